"""A whole training run, from the config and the data to the saved model, beside a PyTorch script: start-up included.

    pip install '.[bench]' && python benchmarks/whole_process.py [--mnist FOLDER]

Both train the same network with the same optimizer on as many rows, in batches of the same size, for as many epochs,
look at the validation rows after each, keep the best weights in a file, and try these on the test rows. The digits are
those of configs/digits.yaml; MNIST (an MLP 784-256-128-10, 5 epochs) is left out where its four files are not there.
Modules are compiled, as pip leaves them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pairing import in_turns, last_line, report

ROOT = Path(__file__).parents[1]
MNIST = """
data:
  idx: {images: FOLDER/train-images-idx3-ubyte.gz, labels: FOLDER/train-labels-idx1-ubyte.gz}
  validation: 0.05
  test:
    idx: {images: FOLDER/t10k-images-idx3-ubyte.gz, labels: FOLDER/t10k-labels-idx1-ubyte.gz}
  preprocessing: {scale: 255, shape: [784]}
model:
  - linear: {out_features: 256}
  - relu
  - linear: {out_features: 128}
  - relu
  - linear: {out_features: 10}
optimizer:
  adam: {lr: 1e-3}
training: {epochs: 5, batch_size: 128}
"""


@dataclass(frozen=True)
class Case:
    """A config, PyTorch's script for the same and what this reads, and how good both must be, and how much alike."""

    name: str
    config: Path
    script: str
    data: Path
    accuracy: float
    difference: float


def run(*command: object) -> float:
    """Run Python; the accuracy on the test rows that it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    line = [sys.executable, *map(str, command)]
    output = subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout
    found = re.search(r"^test .*?accuracy ([0-9.]+)", output, re.MULTILINE)
    assert found is not None, output
    return float(found.group(1))


def measure(case: Case, folder: Path, rounds: int) -> float:
    """The ratio of one case, after a look at what was reached."""
    reached: dict[str, float] = {}

    def ours() -> None:
        out = folder / case.name
        reached["ours"] = run("-m", "dlscratch", "train", case.config, "--out", out, "--force")

    def peer() -> None:
        script = ROOT / "benchmarks" / "peers" / case.script
        reached["peer"] = run(script, case.data, folder / f"{case.name}.pt")

    seconds = in_turns(ours, peer, rounds)
    print(f"{case.name}: accuracy {reached['ours']:.4f}, peer {reached['peer']:.4f}")
    assert min(reached.values()) >= case.accuracy, "one of them has not learned what it should"
    assert abs(reached["ours"] - reached["peer"]) <= case.difference, "they have not done the same"
    return report(f"{case.name}, whole process", *seconds, unit="s")


def cases(mnist: Path, folder: Path) -> list[Case]:
    """The digits, and MNIST where it is."""
    found = [
        Case("digits", ROOT / "configs/digits.yaml", "torch_digits.py", ROOT / "data/digits.csv.gz", 0.95, 0.025),
    ]
    if (mnist / "train-images-idx3-ubyte.gz").exists():
        config = folder / "mnist.yaml"
        config.write_text(MNIST.replace("FOLDER", str(mnist.resolve())))
        found.append(Case("mnist", config, "torch_mnist.py", mnist, 0.97, 0.01))
    else:
        print(f"no MNIST in {mnist}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="alternating runs")
    parser.add_argument("--mnist", type=Path, default=ROOT / "data/mnist", help="the folder of MNIST's four .gz files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        last_line([measure(case, Path(folder), options.rounds) for case in cases(options.mnist, Path(folder))])


if __name__ == "__main__":
    main()
