"""How parameters begin. Each initializer draws an array of a shape from a generator, in float64.

A weight's shape is (out, in, ...), as in PyTorch: fan_in = in · cells of the kernel, fan_out = out · cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge

from dlscratch.backend import Array
from dlscratch.errors import UsageError, did_you_mean
from dlscratch.nn.options import check_options

Shape = tuple[int, ...]
Mode = Annotated[Literal["fan_in", "fan_out"], Doc("keep the variance in the forward pass, or in the backward pass")]
NegativeSlope = Annotated[float, Ge(0), Doc("the slope of the leaky ReLU that follows; 0 for ReLU")]
Gain = Annotated[float, Ge(0), Doc("a factor for all values")]


class Initializer:
    """What all initializers share; `initializer(shape, rng)` gives the values."""

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        raise NotImplementedError


def fans(shape: Shape) -> tuple[int, int]:
    """fan_in and fan_out of a weight's shape."""
    if len(shape) < 2:
        raise UsageError(f"kaiming and xavier need a weight with two axes or more, got shape {shape}; use another one")
    cells = math.prod(shape[2:])
    return shape[1] * cells, shape[0] * cells


@dataclass(frozen=True)
class Kaiming(Initializer):
    """What the two Kaiming initializers share."""

    a: NegativeSlope = 0.0
    mode: Mode = "fan_in"

    def std(self, shape: Shape) -> float:
        """√(2 / ((1 + a²) fan))."""
        fan = fans(shape)[0 if self.mode == "fan_in" else 1]
        return math.sqrt(2 / ((1 + self.a**2) * max(fan, 1)))


@dataclass(frozen=True)
class KaimingUniform(Kaiming):
    """Uniform with standard deviation √(2 / ((1 + a²) fan)), for networks of ReLUs (He et al., 2015)."""

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        bound = math.sqrt(3) * self.std(shape)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class KaimingNormal(Kaiming):
    """Normal with standard deviation √(2 / ((1 + a²) fan)), for networks of ReLUs (He et al., 2015)."""

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return self.std(shape) * rng.standard_normal(shape)


@dataclass(frozen=True)
class XavierUniform(Initializer):
    """Uniform with standard deviation gain · √(2 / (fan_in + fan_out)), for tanh and σ (Glorot and Bengio, 2010)."""

    gain: Gain = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        bound = self.gain * math.sqrt(6 / max(sum(fans(shape)), 1))
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class XavierNormal(Initializer):
    """Normal with standard deviation gain · √(2 / (fan_in + fan_out)), for tanh and σ (Glorot and Bengio, 2010)."""

    gain: Gain = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return self.gain * math.sqrt(2 / max(sum(fans(shape)), 1)) * rng.standard_normal(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between low and high."""

    low: Annotated[float, Doc("the least value")] = 0.0
    high: Annotated[float, Doc("the greatest value")] = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal with a mean and a standard deviation."""

    mean: Annotated[float, Doc("the mean")] = 0.0
    std: Annotated[float, Ge(0), Doc("the standard deviation")] = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """Every element the same."""

    value: Annotated[float, Doc("the value of every element")] = 0.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.full(shape, self.value, dtype=np.float64)


@dataclass(frozen=True)
class Zeros(Initializer):
    """Every element 0."""

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """Every element 1."""

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape)


INITIALIZERS: dict[str, type[Initializer]] = {
    "kaiming_uniform": KaimingUniform,
    "kaiming_normal": KaimingNormal,
    "xavier_uniform": XavierUniform,
    "xavier_normal": XavierNormal,
    "uniform": Uniform,
    "normal": Normal,
    "constant": Constant,
    "zeros": Zeros,
    "ones": Ones,
}

# A name, `{name: {option: value}}`, or None for the layer's own default. In an Annotated hint the note "initializer"
# stands beside it: it tells config/ to take the names and options from INITIALIZERS.
InitializerOption = str | dict[str, dict[str, float | str]] | None


def initializer(option: InitializerOption, default: Initializer) -> Initializer:
    """The initializer that an option such as "zeros" or {"constant": {"value": 0.1}} names."""
    if option is None:
        return default
    [(name, options)] = [(option, {})] if isinstance(option, str) else option.items() or [("", {})]
    if name not in INITIALIZERS:
        hint = did_you_mean(name, INITIALIZERS) or f"; there are {', '.join(INITIALIZERS)}"
        raise UsageError(f'unknown initializer "{name}"{hint}')
    try:
        return INITIALIZERS[name](**(options or {}))
    except TypeError as error:
        raise UsageError(f"initializer {name}: {error}") from error
