"""Sequential: layers one after the other, as one layer; and Residual, which adds its input."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, overload

import numpy as np
from annotated_doc import Doc

from dlscratch.autograd import Tensor
from dlscratch.autograd.sharding import in_shards, shards_of
from dlscratch.errors import UsageError, did_you_mean
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.images import Conv2d
from dlscratch.nn.layers.site import Shape, Site, text

LEAST_SHARED = 3_000_000  # multiplications in a step's forward pass: below, threads wait longer than they work


class Sequential(Layer):
    """Layers one after the other.

    Built at once where `input_shape` (without the batch axis) is given, else by the first batch. First values depend
    on the seed and on each parameter's key only. `model[1]` is a layer, `model[:2]` a Sequential of the same layers.
    """

    def __init__(
        self,
        *layers: Annotated[Layer, Doc("the layers, first to last")],
        input_shape: Shape | int | None = None,
        seed: int = 0,
        dtype: Any = np.float32,
    ) -> None:
        self.layers: list[Layer] = list(layers)
        self.partner: Any = None  # who computes half of a batch: see `data_parallel`
        super().__init__()
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise UsageError(f"{self.kind}: layers[{index}] is {layer!r}; expected a layer, such as Linear(64, 10)")
        self.start = Site(seed=seed, dtype=np.dtype(dtype))
        if input_shape is not None:
            self.build((input_shape,) if isinstance(input_shape, int) else tuple(input_shape))

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]  # of a layer it is a constant, here it depends on them
        return any(layer.takes_integers for layer in self.layers)

    def children(self) -> list[Layer]:
        return self.layers

    def build(self, shape: Shape, site: Site | None = None) -> Shape:
        output = super().build(shape, site or self.start)
        if site is None:
            self._check_shared()
        return output

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        for place, layer in self._sites(site):
            shape = layer.shape_after(shape, place)
        return shape

    def create(self, shape: Shape, site: Site) -> None:
        for place, layer in self._sites(site):
            shape = layer.build(shape, place)

    def _sites(self, site: Site) -> Iterator[tuple[Site, Layer]]:
        previous = site.previous
        for index, layer in enumerate(self.layers):
            yield site.child(index, layer.kind, previous), layer
            previous = site.child_name(index, layer.kind)

    def _check_shared(self) -> None:
        """A layer with parameters must not stand in two places: a saved model could not say so."""
        first: dict[int, str] = {}
        for path, layer in self.named_layers():
            if (layer.weights or layer.buffers) and first.setdefault(id(layer), path) != path:
                raise UsageError(f"layers {first[id(layer)]} and {path} are one and the same {layer!r}; make two")

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Layer after layer; the first may be shared with a second process (see `data_parallel`)."""
        done, x = self.partner.begin(x, rng) if training and self.partner is not None else (0, x)
        return in_turn(self.layers[done:], training, rng, x)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Layer | Sequential:
        if isinstance(index, int):
            return self.layers[index]
        part = Sequential(*self.layers[index], seed=self.start.seed, dtype=self.start.dtype)
        if part.layers and part.layers[0].input_shape is not None:
            part.build(part.layers[0].input_shape)
        return part

    def __repr__(self) -> str:
        inside = (f"({i}): {layer!r}".replace("\n", "\n  ") for i, layer in enumerate(self.layers))
        return "\n  ".join([f"{type(self).__name__}(", *inside]) + "\n)"

    def config(self) -> dict[str, Any]:
        return {"layers": self.architecture()}

    def architecture(self) -> list[dict[str, Any]]:
        """The layers as JSON, in the form that a config's `model:` has: [{"linear": {"out_features": 64}}, …]."""
        return [{layer.kind: layer.config()} for layer in self.layers]

    @classmethod
    def from_architecture(
        cls, architecture: Sequence[Any], input_shape: Shape | None = None, seed: int = 0, dtype: Any = np.float32
    ) -> Sequential:
        """The model that `architecture()`, or a config's `model:`, describes."""
        return cls(*layers_of(architecture), input_shape=input_shape, seed=seed, dtype=dtype)

    def summary(self) -> Summary:
        """One row for each layer: path, kind, output shape, parameters. print() shows it as a table."""
        rows = Summary()
        for path, layer in self.named_layers():
            if path:
                rows.append(Row(path, layer.kind, layer.output_shape, sum(p.size for p in layer.weights.values())))
        return rows


class Residual(Sequential):
    """Its layers' output plus its input (He et al., 2016); both must have one shape."""

    releases: ClassVar[bool] = True

    def __init__(self, *layers: Annotated[Layer, Doc("the layers, first to last")]) -> None:
        super().__init__(*layers)

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        output = super().shape_after(shape, site)
        if output != shape:
            raise site.error(f"its layers make {text(output)} of {text(shape)}, but their sum needs one shape for both")
        return output

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return super().forward(x, training, rng) + x


def in_turn(layers: list[Layer], training: bool, rng: np.random.Generator | None, x: Tensor) -> Tensor:
    """Layer after layer; of images, those that treat each one apart run in shards, side by side."""
    if x.ndim < 4:
        return _one_by_one(layers, training, rng, x)
    for apart, group in itertools.groupby(layers, key=lambda layer: layer.apart):
        together = list(group)
        numbers, left = _widest(together), math.prod(together[-1].output_shape or ())
        shards = shards_of(len(x._array), numbers) if apart and x.ndim > 3 and 4 * left <= numbers else []
        if len(shards) > 1:
            parameters = [p for layer in together for p in layer.weights.values()]
            x = in_shards(functools.partial(_one_by_one, together, training, rng), [x], parameters, shards)
        else:
            x = _one_by_one(together, training, rng, x)
    return x


def _one_by_one(layers: list[Layer], training: bool, rng: np.random.Generator | None, x: Tensor) -> Tensor:
    left = False  # whether what the last layer gave is of no use to anyone but the next
    for layer in layers:
        forward: Any = layer.forward
        if left and layer.overwrites and "forward" not in vars(layer):  # else somebody listens
            x = forward(x, training, rng, True)
        else:
            x = layer(x, training=training, rng=rng)
        left = layer.releases and "forward" not in vars(layer)
    return x


def _widest(layers: list[Layer]) -> int:
    """The most numbers of an example that go into a layer and come out."""
    return max(math.prod(layer.input_shape or ()) + math.prod(layer.output_shape or ()) for layer in layers)


def layers_of(architecture: Sequence[Any], where: str = "") -> list[Layer]:
    """The layers that a list describes: each a kind, or {kind: options}; the options of a container may be its list."""
    from dlscratch.nn.layers import LAYERS  # a registry of containers, too: it imports this file

    layers = []
    for index, item in enumerate(architecture):
        if not (isinstance(item, str) or (isinstance(item, dict) and len(item) == 1)):
            raise UsageError(f"{where}layers[{index}]: expected a kind of layer or {{kind: options}}, got {item!r}")
        [(kind, options)] = [(item, None)] if isinstance(item, str) else item.items()
        if kind not in LAYERS:
            hint = did_you_mean(kind, LAYERS) or f"; there are {', '.join(LAYERS)}"
            raise UsageError(f'{where}layers[{index}]: unknown layer "{kind}"{hint}')
        options = {"layers": options} if isinstance(options, list) else dict(options or {})
        name = f"{where}layers[{index}] {kind}"
        try:
            layers.append(LAYERS[kind](*layers_of(options.pop("layers", ()), f"{name}, "), **options))
        except (TypeError, UsageError) as error:
            raise error if str(error).startswith(where + "layers[") else UsageError(f"{name}: {error}") from None
    return layers


def multiplications(model: Layer) -> int:
    """How many multiplications the matrix products take for one example, forward."""
    return sum(
        weight.size * math.prod(layer.output_shape or ()) // weight.shape[0]
        for _, layer in model.named_layers()
        for weight in layer.weights.values()
        if weight.ndim > 1
    )


def blas_threads(model: Layer, batch_size: int) -> int | None:
    """How many threads BLAS should have for a step: one where there is too little to be shared, or where images are cut
    in shards, which use the cores themselves; as many as there are (None) otherwise.
    """
    small = batch_size * multiplications(model) < LEAST_SHARED
    return 1 if small or any(isinstance(layer, Conv2d) for _, layer in model.named_layers()) else None


@dataclass(frozen=True)
class Row:
    """One layer in a summary; `parameters` counts its own, not those of layers inside it."""

    path: str
    kind: str
    output_shape: Shape | None
    parameters: int


class Summary(list[Row]):
    """The rows of a model's summary; as text, a table with the total."""

    @property
    def parameters(self) -> int:
        """All parameters together."""
        return sum(row.parameters for row in self)

    def __str__(self) -> str:
        cells = [("layer", "kind", "output shape", "parameters")]
        for row in self:
            shape = "?" if row.output_shape is None else text(row.output_shape)
            indent = "  " * row.path.count(".")
            cells.append((row.path, indent + row.kind, shape, f"{row.parameters:,}"))
        cells.append(("total", "", "", f"{self.parameters:,}"))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        line = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<<>", widths, strict=True))
        return "\n".join(line.format(*row) for row in cells)

    __repr__ = __str__
