"""Whether a model fits into memory, found before any is taken: the sizes in a config or a file are only claims."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlscratch.autograd import Tensor
from dlscratch.nn.functional.windows import Geometry
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.images import Conv2d, Pooling
from dlscratch.nn.layers.site import Shape, Site
from dlscratch.nn.sequential import Sequential, layers_of

NUMBER = 4  # bytes of a float32
COPIES = 4  # of each parameter while it is trained: itself, its gradient and what an optimizer remembers of it
CELL = 300  # bytes that pooling takes for each cell of its window
MOST_AXES = 32  # of an array, the batch's among them
CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> int:
    """The bytes of memory that this process may have."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    with contextlib.suppress(OSError, ValueError):  # no such file, or the text "max"
        limits.append(int(CGROUP.read_text()))
    return min(limits)


class _Counted(Exception):  # noqa: N818  it is no error
    """The way out of a layer's `create`."""


@dataclass(frozen=True)
class Planned(Site):
    """A place in a model that is only planned: its parameters are counted, and ShapeError says when they are too many.

    `parameters` are the numbers and `memory` the bytes that there may be; `where` says of what.
    """

    parameters: int = 0
    memory: int = 0
    where: str = ""
    counted: list[int] = field(default_factory=lambda: [0])

    def parameter(self, name: str, shape: Shape, option: Any, default: Any) -> Tensor:
        """Count a layer's first parameter, which is its largest, and leave `create` before anything is made."""
        self.counted[0] += math.prod(shape)
        if self.counted[0] > self.parameters:
            sizes = " x ".join(map(_figure, shape))
            count = _figure(self.counted[0])
            raise self.error(f"with its {name} of {sizes} the model has {count} parameters, {self.where}")
        raise _Counted

    def check(self, what: str, shape: Shape, size: int) -> None:
        """ShapeError where a batch takes more memory than there is, or more axes than an array can have."""
        if len(shape) >= MOST_AXES:
            raise self.error(f"{what} has {len(shape)} axes; an array has {MOST_AXES} at most")
        if COPIES * size > self.memory:
            sizes = ", ".join(["batch", *map(_figure, shape)])
            need = f"takes {_figure(size)} bytes a batch, too many for the memory of {_figure(self.memory)}"
            raise self.error(f"{what} ({sizes}) {need}")


def check_training(architecture: Sequence[Any], shape: Shape, rows: int) -> None:
    """ShapeError where this machine could not hold the model, or a batch of so many rows inside it, for training."""
    most = memory()
    where = f"more than can be trained in {_figure(most)} bytes of memory"
    _plan(architecture, shape, rows, Planned(parameters=most // (COPIES * NUMBER), memory=most, where=where))


def check_stored(architecture: Sequence[Any], shape: Shape, rows: int, parameters: int) -> None:
    """ShapeError where an architecture needs more parameters than were stored with it, or a batch too much memory."""
    site = Planned(parameters=parameters, memory=memory(), where=f"but {_figure(parameters)} numbers are stored")
    _plan(architecture, shape, rows, site)


def _plan(architecture: Sequence[Any], shape: Shape, rows: int, site: Planned) -> None:
    site.check("the input", shape, rows * NUMBER * math.prod(shape))
    _walk(Sequential(*layers_of(architecture)), shape, rows, site)


def _walk(container: Sequential, shape: Shape, rows: int, site: Planned) -> None:
    """Give every layer its input's shape, as building them would."""
    for place, layer in container._sites(site):
        assert isinstance(place, Planned)
        output = layer.shape_after(shape, place)
        place.check("its output", output, rows * NUMBER * math.prod(output))
        place.check("its input, with its margins,", shape, _work(layer, shape, rows))
        if isinstance(layer, Sequential):
            _walk(layer, shape, rows, place)
        else:
            with contextlib.suppress(_Counted):
                layer.create(shape, place)
        shape = output


def _work(layer: Layer, shape: Shape, rows: int) -> int:
    """The bytes of images with their margins, and of what pooling notes of its window; 0 for other layers."""
    if not isinstance(layer, Conv2d | Pooling):
        return 0
    geometry = Geometry.of(layer.kernel_size, 1, layer.padding, getattr(layer, "dilation", 1))
    padded = [sum(sizes) for sizes in zip(shape[1:], geometry.before, geometry.after, strict=True)]
    cells = math.prod(geometry.kernel) if isinstance(layer, Pooling) else 0
    return rows * shape[0] * NUMBER * math.prod(padded) + CELL * cells


def _figure(number: int) -> str:
    """A number for a message; Python has no text for one of thousands of digits."""
    return f"{number:,}" if number < 1 << 64 else "over 2^64"
