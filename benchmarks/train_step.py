"""One training step of an MLP 784-256-128-10 beside PyTorch eager, JAX's jit and scikit-learn: SGD with momentum and
Adam, four batch sizes.

    pip install '.[bench]' && python benchmarks/train_step.py

All sides start from the same weights and see the same batches, and each step gives its loss; those of 100 steps must
agree. Then they run in turns, each in a process of its own, with the same number of threads.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
from steps import PACKAGES, RATES, Ours, Side, case, header, summary, work

from dlscratch import backend, nn

SIZES = (784, 256, 128, 10)
BATCHES = (16, 64, 256, 1024)


def ours() -> nn.Sequential:
    first, second, third = (nn.Linear(*pair) for pair in itertools.pairwise(SIZES))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, input_shape=(SIZES[0],))


def peer(weights: dict[str, np.ndarray], optimizer: str, threads: int) -> Side:
    import torch
    from peers.torch_step import Torch

    first, second, third = (torch.nn.Linear(*pair) for pair in itertools.pairwise(SIZES))
    module = torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), third)
    return Torch(module, weights, optimizer, threads)


def side_of(side: str, optimizer: str, batch: int, threads: int) -> Side:
    """One side; only its own library is imported."""
    model = ours()
    weights = model.state_dict()
    match side:
        case "ours":
            return Ours(model, optimizer)
        case "jax":
            from peers.jax_mlp import Jax

            return Jax(weights, optimizer, threads)
        case "scikit-learn":
            from peers.sklearn_mlp import Sklearn

            return Sklearn(weights, optimizer, batch)
    return peer(weights, optimizer, threads)


def steps_of(batch: int) -> int:
    """Steps in a turn: about a quarter of a second's."""
    return max(40, 4096 // batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="alternating turns of each case")
    parser.add_argument("--threads", type=int, default=backend.cpu_count(), help="threads of both sides")
    parser.add_argument("--peers", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, optimizer, *numbers = options.work
        batch, threads = map(int, numbers)
        work(side_of(side, optimizer, batch, threads), (batch, SIZES[0]), steps_of(batch), threads)
        return
    header(options.threads, options.peers)
    cases = [(optimizer, batch, options.threads) for optimizer in RATES for batch in options.batches]
    summary([
        case(f"{each[0]}, batch {each[1]}", __file__, each, options.peers, steps_of(each[1]), options.rounds)
        for each in cases
    ])


if __name__ == "__main__":
    main()
