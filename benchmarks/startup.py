"""What a start costs: `dlscratch --help`, and the import, beside those of Python, NumPy and PyTorch.

    pip install '.[bench]' && python benchmarks/startup.py

Each is a process of its own, all in turns; modules are compiled, as pip leaves them. The last line is the time of
`import torch` over that of `dlscratch --help`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "dlscratch --help": ["-m", "dlscratch", "--help"],
    "dlscratch --version": ["-m", "dlscratch", "--version"],
    "import dlscratch": ["-c", "import dlscratch"],
    "import dlscratch.nn": ["-c", "import dlscratch.nn"],
    "import numpy": ["-c", "import numpy"],
    "import torch": ["-c", "import torch"],
}


def seconds(arguments: list[str]) -> float:
    """The wall time of one process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each")
    rounds = parser.parse_args().rounds
    times = [[seconds(arguments) for arguments in COMMANDS.values()] for _ in range(rounds + 1)][1:]
    medians = dict(zip(COMMANDS, map(statistics.median, zip(*times, strict=True)), strict=True))
    for name, median in medians.items():
        print(f"{name:24s} {median * 1e3:8.1f} ms")
    print(f"ratio: {medians['import torch'] / medians['dlscratch --help']:.2f}")


if __name__ == "__main__":
    main()
