"""A training step of a fully connected network in JAX: one compiled function, which reuses its arguments' memory."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from steps import MOMENTUM, RATES


class Jax:
    """A network with ReLU between linear layers, whose weights have PyTorch's names; cross-entropy; SGD or Adam."""

    def __init__(self, weights: Mapping[str, np.ndarray], optimizer: str, threads: int) -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # XLA makes a thread for each processor
        import jax

        self.jax = jax
        parameters = {name: jax.numpy.array(array) for name, array in weights.items()}
        zeros = [jax.tree.map(jax.numpy.zeros_like, parameters) for _ in range(1 + (optimizer == "adam"))]
        self.state = (parameters, *zeros, jax.numpy.zeros(()))
        update = {"sgd": _sgd, "adam": _adam}[optimizer]
        self.compiled = jax.jit(functools.partial(_step, jax, update), donate_argnums=0)

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return self.jax.device_put(x), self.jax.device_put(y.astype(np.int32))

    def step(self, x: Any, y: Any) -> float:
        self.state, loss = self.compiled(self.state, x, y)
        return float(loss)


def _step(jax: Any, update: Any, state: Any, x: Any, y: Any) -> Any:
    parameters, *moments, step = state

    def loss_of(parameters: Any) -> Any:
        h, numbers = x, sorted({int(name.partition(".")[0]) for name in parameters})
        for number in numbers:
            h = h @ parameters[f"{number}.weight"].T + parameters[f"{number}.bias"]
            h = jax.nn.relu(h) if number != numbers[-1] else h
        logs = jax.nn.log_softmax(h)
        return -jax.numpy.take_along_axis(logs, y[:, None], axis=1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(parameters)
    moved = jax.tree.map(functools.partial(update, step + 1), gradients, parameters, *moments)
    parts = [{name: each[i] for name, each in moved.items()} for i in range(1 + len(moments))]
    return (*parts, step + 1), loss


def _sgd(step: Any, g: Any, p: Any, v: Any) -> Any:
    v = MOMENTUM * v + g
    return p - RATES["sgd"] * v, v


def _adam(step: Any, g: Any, p: Any, m: Any, v: Any) -> Any:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    mean, square = m / (1 - 0.9**step), v / (1 - 0.999**step)
    return p - RATES["adam"] * mean / (square**0.5 + 1e-8), m, v
