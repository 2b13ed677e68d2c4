"""A whole training run, from the config and the CSV to the saved model, beside a PyTorch script: start-up included.

    pip install '.[bench]' && python benchmarks/whole_process.py

Both train the network of configs/digits.yaml on the same rows for the same number of epochs and save the best weights;
both must reach 95% on their test rows.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pairing import in_turns, last_line, report

ROOT = Path(__file__).parents[1]


def run(*command: object) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True, text=True)
    return done.stdout


def check(output: str) -> None:
    found = re.search(r"^test .*?accuracy ([0-9.]+)", output, re.MULTILINE)
    assert found is not None, output
    assert float(found.group(1)) >= 0.95, output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="alternating runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = in_turns(
            lambda: check(
                run("-m", "dlscratch", "train", ROOT / "configs/digits.yaml", "--out", f"{folder}/ours", "--force")
            ),
            lambda: check(
                run(ROOT / "benchmarks/peers/torch_digits.py", ROOT / "data/digits.csv.gz", f"{folder}/best.pt")
            ),
            options.rounds,
        )
    last_line([report("digits, whole process", *seconds, unit="s")])


if __name__ == "__main__":
    main()
