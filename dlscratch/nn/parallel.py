"""Data parallelism: two processes that each take half of a training batch of images.

    with data_parallel(model):
        for x, y in batches:
            loss(model(x, training=True), y).backward()
            optimizer.step()

`fit` does so by itself. The results have the same bits as without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import is_
from typing import Any

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.autograd.halves import Halves, two_may_share
from dlscratch.forked import can_fork
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.sequential import Residual, Sequential, in_turn, multiplications

LEAST = 4_000_000  # multiplications, forward, from which on a second process is worth its calls


@contextmanager
def data_parallel(model: Layer) -> Iterator[None]:
    """Inside, a second process computes half of what the model's first layers do with images, in training.

    It is a fork of this one, made at the first batch, and again where a layer has got other options. It helps with
    batches of an even size, up to the first Linear, LayerNorm or layer of a kind of your own (unless this says
    `halves = True`, or is `apart` and has no parameters), on Linux, where there may be more than one thread. Beside
    other threads of Python it needs a BLAS of one thread (`limit_threads`). Where it cannot help, one process does it
    all, with the same bits. Ask for a batch's gradient before the next batch: later there is none (GradientError).
    """
    if not isinstance(model, Sequential) or model.partner is not None:
        yield
        return
    model.partner = partner = _Partner(model)
    try:
        yield
    finally:
        model.partner = None
        partner.close()


class _Partner:
    """The second process of a model, once there is something for it to do."""

    def __init__(self, model: Sequential) -> None:
        self.model = model
        self.halves: Halves | None = None
        self.possible = True  # as long as there was no error
        self.layers: list[Layer] = []  # that it helps with
        self.known: list[Any] = []  # what they were like when it began

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copy of the model has none."""
        return type(None), ()

    def begin(self, x: Tensor, rng: np.random.Generator | None) -> tuple[int, Tensor]:
        """How many of the layers have been computed, and what they gave."""
        if x.shape[1:] != self.model.input_shape or x.ndim != 4 or not two_may_share(x):
            return 0, x
        if self.halves is None or not self.halves.fits(x) or not _same(self.known, self._state()):
            self._prepare(x)
        if self.halves is None:
            return 0, x
        return len(self.layers), self.halves(x, rng)

    def _prepare(self, x: Tensor) -> None:
        """Have a second process for batches like x, if that pays; where there can be none, one does it all."""
        self.close()
        self.layers = layers = _first(self.model.layers)
        if not self.possible or self.model.partner is not self or not self._pays(x) or not can_fork():
            return

        def function(x: Tensor, rng: np.random.Generator | None) -> Tensor:
            return in_turn(layers, True, rng, x)

        parameters = [p for layer in layers for p in layer.parameters()]
        self.possible, self.known = False, self._state()
        with suppress(OSError, ImportError):  # no more processes, memory or semaphores
            self.halves = Halves(function, x, parameters, layers[-1].output_shape or ())
            self.possible = True

    def _pays(self, x: Tensor) -> bool:
        """Whether there is enough to do, and the bits would be the same: all of one dtype, nothing used twice."""
        parameters = [p for layer in self.model.layers for p in layer.parameters()]
        alike = all(p.dtype == x.dtype and p._node is None for p in parameters)
        once = len(set(map(id, parameters))) == len(parameters)
        return alike and once and len(x._array) * sum(map(multiplications, self.layers)) >= LEAST

    def _state(self) -> list[Any]:
        """All that the second process would not hear of: layers, options, which tensors are the parameters."""
        inside = [each for layer in self.model.layers[: len(self.layers)] for _, each in layer.named_layers()]
        return [x for each in inside for x in (each, *vars(each).values(), *each.weights.values())]

    def close(self) -> None:
        """End the process."""
        if self.halves is not None:
            self.halves.close()
            self.halves = None


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def _first(layers: list[Layer]) -> list[Layer]:
    """The layers up to one that cannot be halved, without those that would share its shards otherwise."""
    count = next((i for i, layer in enumerate(layers) if not can_halve(layer)), len(layers))
    while 0 < count < len(layers) and layers[count - 1].apart and layers[count].apart:
        count -= 1
    return layers[:count]


def can_halve(layer: Layer) -> bool:
    """Whether each half of a batch can be computed by itself, up to what `team.both` tells."""
    if type(layer).forward in (Sequential.forward, Residual.forward):
        return all(map(can_halve, layer.children()))
    if layer.halves is None:  # what the engine sums for parameters it would sum in another order
        return layer.apart and not layer.parameters()
    return layer.halves
