"""Training steps of a network, ours and its peers': from the same weights, on the same batches, in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from pairing import Worker, last_line, report, serve, workers_in_turns

from dlscratch import backend, blas, nn, optim
from dlscratch.autograd import wrap

RATES = {"sgd": 0.01, "adam": 1e-3}
MOMENTUM = 0.9  # of sgd
COMPARED = 100  # steps whose losses must agree
PACKAGES = {"pytorch": "torch", "jax": "jax", "scikit-learn": "scikit-learn"}  # the peers


class Side(Protocol):
    """A network and its optimizer: batches as it takes them, and the loss of a step, before its update."""

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]: ...
    def step(self, x: Any, y: Any) -> float: ...


class Ours:
    """Our model, loss and optimizer."""

    def __init__(self, model: nn.Sequential, optimizer: str) -> None:
        self.model, self.loss = model, nn.CrossEntropyLoss()
        parameters, lr = model.parameters(), RATES[optimizer]
        self.optimizer = optim.Adam(parameters, lr) if optimizer == "adam" else optim.SGD(parameters, lr, MOMENTUM)
        backend.keep_memory()  # as `fit` does

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x, y

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(wrap(x), training=True), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def work(side: Side, shape: tuple[int, ...], steps: int, threads: int) -> None:
    """One side of a case: the losses of the first steps, and then `steps` of them each turn."""
    rng = np.random.default_rng(0)
    data = [side.batch(rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])) for _ in range(8)]
    few = nn.blas_threads(side.model, shape[0]) if isinstance(side, Ours) else None  # as `dlscratch train` does
    side_by_side = nn.data_parallel(side.model) if isinstance(side, Ours) else nullcontext()
    with backend.limit_threads(threads, few), side_by_side:
        losses = [side.step(*data[i % 8]) for i in range(COMPARED)]
        serve(losses, lambda: [side.step(*data[i % 8]) for i in range(steps)])


def case(
    name: str, script: str, arguments: tuple[object, ...], peers: Sequence[str], steps: int, rounds: int
) -> dict[str, float]:
    """The ratio to each peer, after a look at the losses; the script is called with `--work SIDE ARGUMENTS`."""
    workers = [Worker(script, "--work", side, *map(str, arguments)) for side in ("ours", *peers)]
    for peer in workers[1:]:
        np.testing.assert_allclose(workers[0].facts, peer.facts, rtol=5e-2, atol=2e-3)
    ours, *theirs = [total / steps for total in workers_in_turns(workers, rounds)]
    return {peer: report(f"{name}, {peer}", ours, seconds) for peer, seconds in zip(peers, theirs, strict=True)}


def summary(ratios: Sequence[Mapping[str, float]]) -> None:
    """The geometric means over all cases; that to the first peer is the last line."""
    first, *others = ratios[0]
    for peer in others:
        last_line([ratio[peer] for ratio in ratios], f"ratio to {peer}")
    last_line([ratio[first] for ratio in ratios])


def header(threads: int, peers: Sequence[str]) -> None:
    """What all sides run on."""
    versions = ", ".join(f"{peer} {version(PACKAGES[peer])}" for peer in peers)
    print(f"{threads} threads; {blas.description()}; {versions}", flush=True)
