"""A small network that `fit` trains with a second process, for tests of that process."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from processes import children

from dlscratch import backend, datasets, nn, optim
from dlscratch.training import fit

X = np.random.default_rng(0).standard_normal((16, 2, 8, 8), np.float32)
Y = np.arange(16) % 3


def network(*layers: nn.Layer) -> nn.Sequential:
    head = layers or (nn.BatchNorm2d(), nn.ReLU())
    return nn.Sequential(
        *(nn.Conv2d(out_channels=4, kernel_size=3), *head, nn.Flatten(), nn.Linear(out_features=3)),
        input_shape=(2, 8, 8),
    )


def records(model: nn.Sequential, epochs: int = 2, threads: int = 2) -> Iterator[Any]:
    """`fit` under way."""
    optimizer = optim.SGD(model.named_parameters(), lr=0.05)
    with backend.limit_threads(threads, blas=1):
        yield from fit(model, nn.CrossEntropyLoss(), optimizer, datasets.Batches(X, Y, 4), epochs=epochs)


def bits(model: nn.Sequential) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.state_dict().items()}


@functools.cache
def alone() -> dict[str, bytes]:
    """What one process makes of the network in two epochs."""
    model = network()
    for _ in records(model, threads=1):
        assert children() == []
    return bits(model)


@contextmanager
def shared(model: nn.Sequential) -> Iterator[int]:
    """A block with a second process at work, and its number."""
    with backend.limit_threads(2, blas=1), nn.data_parallel(model):
        model(X, training=True).sum().backward()
        [pid] = children()
        yield pid
