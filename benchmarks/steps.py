"""A training step of a network, ours and PyTorch's: from the same weights, on the same batches, in turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pairing import Worker, report, serve, workers_in_turns

from dlscratch import backend, nn, optim
from dlscratch.autograd import wrap

OPTIMIZERS = {
    "sgd": (lambda p: optim.SGD(p, lr=0.01, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
    "adam": (lambda p: optim.Adam(p, lr=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)),
}
COMPARED = 100  # steps whose losses must agree


class Ours:
    """Our model, loss and optimizer, and a step."""

    def __init__(self, model: nn.Sequential, optimizer: str) -> None:
        self.model, self.loss = model, nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[optimizer][0](model.parameters())

    def blas_threads(self, batch: int) -> int | None:
        return nn.blas_threads(self.model, batch)  # as `dlscratch train` does

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(wrap(x), training=True), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Peer:
    """The same in PyTorch."""

    def __init__(self, model: torch.nn.Module, optimizer: str) -> None:
        self.model, self.loss = model, torch.nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[optimizer][1](model.parameters())

    def blas_threads(self, batch: int) -> int | None:
        return None

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def work(
    side: str,
    ours: Callable[[], nn.Sequential],
    peer: Callable[[], torch.nn.Module],
    shape: tuple[int, ...],
    optimizer: str,
    steps: int,
    threads: int,
) -> None:
    """One side of a case: the losses of the first steps, and then `steps` of them each turn."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data: list[Any] = [(rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])) for _ in range(8)]
    theirs = peer()
    model: Ours | Peer = Peer(theirs, optimizer)
    if side == "ours":
        backend.keep_memory()  # as `fit` does
        network = ours()
        network.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
        model = Ours(network, optimizer)
        del theirs
    else:
        data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data]
    with backend.limit_threads(threads, model.blas_threads(shape[0])):
        losses = [model.step(*data[i % 8]) for i in range(COMPARED)]
        serve(losses, lambda: [model.step(*data[i % 8]) for i in range(steps)])


def case(name: str, script: str, arguments: tuple[object, ...], steps: int, rounds: int) -> float:
    """The ratio of one case, after a look at the losses; the script is called with `--work SIDE ARGUMENTS`."""
    ours, peer = (Worker(script, "--work", side, *map(str, arguments)) for side in ("ours", "peer"))
    np.testing.assert_allclose(ours.facts, peer.facts, rtol=5e-2, atol=2e-3)
    return report(name, *(total / steps for total in workers_in_turns(ours, peer, rounds)))


def header(threads: int) -> None:
    """What both sides run on."""
    print(f"{threads} threads; {backend.blas_description()}; PyTorch {torch.__version__}", flush=True)
