"""One training step of an MLP 784-256-128-10 beside PyTorch eager: SGD with momentum and Adam, four batch sizes.

    pip install '.[bench]' && python benchmarks/train_step.py

Both sides start from the same weights and see the same batches; after 100 steps their losses must agree. Then they run
in turns, each in a process of its own, with the same number of threads.
"""

from __future__ import annotations

import argparse
import itertools

import torch
from pairing import last_line
from steps import OPTIMIZERS, case, header, work

from dlscratch import backend, nn

SIZES = (784, 256, 128, 10)
BATCHES = (16, 64, 256, 1024)


def ours() -> nn.Sequential:
    first, second, third = (nn.Linear(*pair) for pair in itertools.pairwise(SIZES))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, input_shape=(SIZES[0],))


def peer() -> torch.nn.Module:
    first, second, third = (torch.nn.Linear(*pair) for pair in itertools.pairwise(SIZES))
    return torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), third)


def steps_of(batch: int) -> int:
    """Steps in a turn: about a quarter of a second's."""
    return max(40, 4096 // batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="alternating turns of each case")
    parser.add_argument("--threads", type=int, default=backend.cpu_count(), help="threads of both sides")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, optimizer, batch, threads = options.work
        work(side, ours, peer, (int(batch), SIZES[0]), optimizer, steps_of(int(batch)), int(threads))
        return
    header(options.threads)
    last_line([
        case(f"{name} batch {batch}", __file__, (name, batch, options.threads), steps_of(batch), options.rounds)
        for name in OPTIMIZERS for batch in BATCHES
    ])  # fmt: skip


if __name__ == "__main__":
    main()
