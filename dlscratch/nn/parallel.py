"""Data parallelism: two processes that each take half of a training batch of images.

    with data_parallel(model):
        for x, y in batches:
            loss(model(x, training=True), y).backward()
            optimizer.step()

`fit` does so by itself. The results have the same bits as without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.autograd.halves import Halves
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.sequential import Sequential, in_turn, multiplications
from dlscratch.team import can_fork

LEAST = 4_000_000  # multiplications, forward, from which on a second process is worth its calls


@contextmanager
def data_parallel(model: Layer) -> Iterator[None]:
    """Inside, a second process computes half of what the model's first layers do with images, in training.

    It is a fork of this one, made at the first batch: what is changed in a layer's options afterwards stays without
    effect, except for its parameters' values and `requires_grad`. It helps with batches of an even size, up to the
    first layer of a kind of your own (one without `halves = True`), where there may be more than one thread, on Linux.
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
        self.count = 0  # of layers that it helps with

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copy of the model has none."""
        return type(None), ()

    def begin(self, x: Tensor, rng: np.random.Generator | None) -> tuple[int, Tensor]:
        """How many of the layers have been computed, and what they gave."""
        if self.halves is None or not self.halves.fits(x):
            self._prepare(x)
        if self.halves is None or not self.halves.fits(x):
            return 0, x
        return self.count, self.halves(x, rng)

    def _prepare(self, x: Tensor) -> None:
        """Have a second process for batches like x, if that pays."""
        if len(x._array) % 2 or x.ndim != 4 or x.requires_grad or not can_fork():
            return
        layers = self.model.layers
        self.count = next((i for i, layer in enumerate(layers) if not can_halve(layer)), len(layers))
        layers = layers[: self.count]
        if len(x._array) * sum(map(multiplications, layers)) < LEAST:
            return
        self.close()
        parameters = [p for layer in layers for p in layer.parameters()]

        def function(x: Tensor, rng: np.random.Generator | None) -> Tensor:
            return in_turn(layers, True, rng, x)

        self.halves = Halves(function, x, parameters, layers[-1].output_shape or ())

    def close(self) -> None:
        """End the process."""
        if self.halves is not None:
            self.halves.close()
            self.halves = None


def can_halve(layer: Layer) -> bool:
    """Whether each half of a batch can be computed by itself, up to what `team.both` tells."""
    if isinstance(layer, Sequential):
        return all(map(can_halve, layer.layers))
    return layer.apart if layer.halves is None else layer.halves
