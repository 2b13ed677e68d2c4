"""One training step of an MLP 784-256-128-10 beside PyTorch eager: SGD with momentum and Adam, four batch sizes.

    pip install '.[bench]' && python benchmarks/train_step.py

Both sides start from the same weights and see the same batches; after 100 steps their losses must agree. Then they run
in turns, each in a process of its own, with the same number of threads.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from pairing import Worker, last_line, report, serve, workers_in_turns

from dlscratch import backend, nn, optim
from dlscratch.autograd import wrap

SIZES = (784, 256, 128, 10)
BATCHES = (16, 64, 256, 1024)
OPTIMIZERS = {
    "sgd": (lambda p: optim.SGD(p, lr=0.01, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
    "adam": (lambda p: optim.Adam(p, lr=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)),
}


class Ours:
    """Our model, loss and optimizer, and a step."""

    def __init__(self, weights: dict[str, np.ndarray], optimizer: str) -> None:
        layers = [
            nn.Linear(SIZES[0], SIZES[1]),
            nn.ReLU(),
            nn.Linear(SIZES[1], SIZES[2]),
            nn.ReLU(),
            nn.Linear(*SIZES[2:]),
        ]
        self.model = nn.Sequential(*layers, input_shape=(SIZES[0],))
        self.model.load_state_dict(weights)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[optimizer][0](self.model.parameters())

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(wrap(x), training=True), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Peer:
    """The same in PyTorch."""

    def __init__(self, optimizer: str) -> None:
        torch.manual_seed(0)
        linear, relu = torch.nn.Linear, torch.nn.ReLU
        self.model = torch.nn.Sequential(linear(*SIZES[:2]), relu(), linear(*SIZES[1:3]), relu(), linear(*SIZES[2:]))
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[optimizer][1](self.model.parameters())

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy().copy() for name, tensor in self.model.state_dict().items()}

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def work(side: str, optimizer: str, batch: int, threads: int) -> None:
    """One side of a case: the losses of 100 steps, and then some steps each turn."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    shape = (batch, SIZES[0])
    data: list[Any] = [(rng.standard_normal(shape, np.float32), rng.integers(0, 10, batch)) for _ in range(8)]
    model: Ours | Peer = Peer(optimizer)
    if side == "ours":
        model = Ours(model.weights(), optimizer)
    else:
        data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data]
    with backend.limit_threads(threads):
        losses = [model.step(*data[i % 8]) for i in range(100)]
        serve(losses, lambda: [model.step(*data[i % 8]) for i in range(steps_of(batch))])


def steps_of(batch: int) -> int:
    """Steps in a turn: about a quarter of a second's."""
    return max(40, 4096 // batch)


def case(optimizer: str, batch: int, threads: int, rounds: int) -> float:
    """The ratio of one case, after a look at the losses."""
    ours, peer = (Worker(__file__, "--work", side, optimizer, str(batch), str(threads)) for side in ("ours", "peer"))
    np.testing.assert_allclose(ours.facts, peer.facts, rtol=2e-2, atol=1e-4)
    seconds = workers_in_turns(ours, peer, rounds)
    return report(f"{optimizer} batch {batch}", *(total / steps_of(batch) for total in seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="alternating turns of each case")
    parser.add_argument("--threads", type=int, default=backend.cpu_count(), help="threads of both sides")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, optimizer, batch, threads = options.work
        work(side, optimizer, int(batch), int(threads))
        return
    print(f"{options.threads} threads; {backend.blas_description()}; PyTorch {torch.__version__}", flush=True)
    cases = [(optimizer, batch) for optimizer in OPTIMIZERS for batch in BATCHES]
    last_line([case(*each, options.threads, options.rounds) for each in cases])


if __name__ == "__main__":
    main()
