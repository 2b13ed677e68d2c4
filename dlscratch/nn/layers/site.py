"""Where a layer stands in a model: what names its parameters, seeds their values, and begins its error messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dlscratch.autograd import Tensor
from dlscratch.backend import DEFAULT_DTYPE, generator
from dlscratch.errors import ShapeError
from dlscratch.nn.initializers import Initializer, InitializerOption, initializer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """The place of a layer: "3.0" in state_dict, "layers[3] residual, layers[0] linear" in messages."""

    seed: int = 0
    path: str = ""
    name: str = ""
    previous: str = "the input"  # what gives this layer its input
    dtype: Any = DEFAULT_DTYPE
    built: bool = False  # then its sizes can no longer be chosen

    def child(self, index: int, kind: str, previous: str) -> Site:
        """The place of the layer number `index` of a container that stands here."""
        path = f"{self.path}.{index}" if self.path else str(index)
        return replace(self, path=path, name=self.child_name(index, kind), previous=previous)

    def child_name(self, index: int, kind: str) -> str:
        """`layers[0] linear`, with the container's own name in front."""
        return f"{self.name}, layers[{index}] {kind}" if self.name else f"layers[{index}] {kind}"

    def parameter(self, name: str, shape: Shape, option: InitializerOption, default: Initializer) -> Tensor:
        """A parameter whose first values depend on the seed and on its key only, whatever else the model holds."""
        key = f"{self.path}.{name}" if self.path else name
        values = initializer(option, default)(shape, generator(self.seed, "init", key))
        return Tensor(values, requires_grad=True, name=key, dtype=self.dtype)

    def size(self, option: str, has: int | None, gives: int) -> int:
        """The input size: what the option says if it is what comes, or what comes if it says nothing."""
        if has is not None and has != gives:
            advice = "" if self.built else f"; write {option}: {gives} or leave it out"
            raise ShapeError(f"{self.name}: {option} is {has}, but {self.previous} gives {gives}{advice}")
        return gives

    def axes(self, shape: Shape, *names: str) -> Shape:
        """The shape itself, if it has these axes after the batch."""
        if len(shape) != len(names):
            expected = ", ".join(("batch", *names))
            raise ShapeError(f"{self.name}: expected an input ({expected}), but {self.previous} gives {text(shape)}")
        return shape

    def error(self, message: object) -> ShapeError:
        """An error that begins with the layer's name."""
        return ShapeError(f"{self.name}: {message}")


def text(shape: Shape) -> str:
    """(batch, 28, 28)."""
    return f"({', '.join(['batch', *map(str, shape)])})"
