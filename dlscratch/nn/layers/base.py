"""Layer: what all layers share. A layer is its options, then what it gives for a shape, its parameters, its call.

    class Scale(Layer):
        "y = weight · x, with a weight for each of the last axis's elements."

        kind = "scale"
        size: Annotated[int | None, Gt(0), Doc("size of each input row; inferred when left out")] = None

        def shape_after(self, shape, site):  # without the batch axis; nothing is changed yet
            site.size("size", self.size, shape[-1])
            return shape

        def create(self, shape, site):
            self.size = shape[-1]
            self.weights["weight"] = site.parameter("weight", (self.size,), None, default=Ones())

        def forward(self, x, training, rng):
            return x * self.weights["weight"]

The fields are the constructor's options, as in a dataclass, and with `LAYERS["scale"] = Scale` a config can use it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, dataclass_transform

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, ShapeError, UsageError
from dlscratch.nn.layers.site import Shape, Site, text
from dlscratch.nn.options import check_options, options_of


@dataclass_transform(eq_default=False)
class Layer:
    """A function of tensors with parameters. Its input's first axis is the batch; shapes are told without it."""

    kind: ClassVar[str] = "layer"  # the key in LAYERS
    takes_integers: ClassVar[bool] = False
    apart: ClassVar[bool] = False  # whether each example is treated by itself, cheaply enough to cut a batch in shards
    halves: ClassVar[bool | None] = None  # whether two processes can share a batch; None: if `apart`, and no parameters
    releases: ClassVar[bool] = False  # whether no gradient of its own needs its output: the next layer may overwrite it
    overwrites: ClassVar[bool] = False  # whether forward() does so, if told by a fourth argument

    weights: dict[str, Tensor]
    buffers: dict[str, Array]
    site: Site | None
    input_shape: Shape | None
    output_shape: Shape | None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        derived = cls.__init__ is not Layer.__init__ and not inspect.get_annotations(cls)  # with its base's options
        if "__init__" not in cls.__dict__ and not derived:
            dataclasses.dataclass(eq=False, repr=False)(cls)
        known = next(base for base in cls.__mro__[1:] if "forward" in base.__dict__)
        if "forward" in cls.__dict__ and known is not Layer:  # what was said of that forward may not hold for this one
            for name in {"apart", "halves", "releases", "overwrites"}.difference(cls.__dict__):
                setattr(cls, name, False)

    def __init__(self) -> None:
        """Nothing is built: weights (what is trained) and buffers (what is not) come with the first shape."""
        self.weights, self.buffers = {}, {}
        self.site = self.input_shape = self.output_shape = None
        check_options(self)

    __post_init__ = __init__

    # What a kind of layer defines: by default it has no parameters and keeps the shape.

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        """The shape that comes out for the shape that goes in; ShapeError, named by the site, if it does not fit."""
        return shape

    def create(self, shape: Shape, site: Site) -> None:
        """Fix the sizes that were left out, and make the parameters."""

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        """The output, for an input that fits."""
        raise NotImplementedError

    def children(self) -> list[Layer]:
        """The layers inside, of a container."""
        return []

    # What all layers can do.

    def build(self, shape: Shape, site: Site | None = None) -> Shape:
        """Make the parameters for inputs of a shape (without the batch axis), and return the output's shape.

        A layer that has been built before keeps its parameters, if they fit.
        """
        site = site or Site(name=self.kind)
        output = self.shape_after(shape, site)
        if self.site is None:
            self.create(shape, site)
            self.site = dataclasses.replace(site, built=True)
        self.input_shape, self.output_shape = shape, output
        return output

    def __call__(self, x: Any, *, training: bool = False, rng: np.random.Generator | None = None) -> Tensor:
        """The output for a batch: a tensor, or an array, which is copied in the parameters' dtype.

        `training=True` switches dropout and batch statistics on; dropout draws from `rng`.
        """
        if not isinstance(x, Tensor):
            x = self._tensor(x)
        if x.shape[1:] != self.input_shape:
            self._accept(x.shape)
        return self.forward(x, training, rng)

    def _tensor(self, x: Any) -> Tensor:
        dtype = self.site.dtype if self.site else Site.dtype
        return Tensor(np.asarray(x), dtype=None if self.takes_integers else dtype)

    def _accept(self, shape: Shape) -> None:
        """Build for the first input; let others pass if all layers can take them, too."""
        if not shape:
            raise ShapeError(f"{self.kind}: expected a batch, got a single number")
        if self.site is None:
            self.build(shape[1:])
            return
        try:
            self.shape_after(shape[1:], self.site)
        except ShapeError as error:
            name = self.site.name or "the model"
            raise ShapeError(f"{error}; {name} takes {text(self.input_shape or ())}, got {shape}") from None

    def named_layers(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and all inside it, by path: "" for itself, "3.0" for the first inside the fourth."""
        yield path, self
        for index, layer in enumerate(self.children()):
            yield from layer.named_layers(f"{path}.{index}" if path else str(index))

    def named_parameters(self) -> dict[str, Tensor]:
        """All parameters, by PyTorch's names: "0.weight"."""
        return {_key(path, name): p for path, layer in self.named_layers() for name, p in layer.weights.items()}

    def named_buffers(self) -> dict[str, Array]:
        """All arrays that belong to the state but are not trained: "2.running_mean"."""
        return {_key(path, name): b for path, layer in self.named_layers() for name, b in layer.buffers.items()}

    def parameters(self) -> list[Tensor]:
        """All parameters."""
        return list(self.named_parameters().values())

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers, by PyTorch's names and in its order."""
        state: dict[str, Array] = {}
        for path, layer in self.named_layers():
            state |= {_key(path, name): parameter.numpy() for name, parameter in layer.weights.items()}
            state |= {_key(path, name): np.array(buffer) for name, buffer in layer.buffers.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over all parameters and buffers; or CheckpointError lists all that does not fit, and nothing changes."""
        if self.site is None:
            raise UsageError("load_state_dict: the sizes are not known yet; give input_shape, or call the model once")
        arrays = {key: np.asarray(value) for key, value in state.items()}
        own = self.state_dict()
        problems = [f"{key}: missing" for key in own if key not in arrays]
        problems += [f"{key}: unexpected" for key in arrays if key not in own]
        problems += [problem for key in own if key in arrays for problem in _misfit(key, own[key], arrays[key])]
        if problems:
            raise CheckpointError("\n".join(["the state does not fit the model:", *problems]))
        for path, layer in self.named_layers():
            for name, parameter in layer.weights.items():
                parameter._mutate()[...] = arrays[_key(path, name)]
            for name, buffer in layer.buffers.items():
                layer.buffers[name] = np.array(arrays[_key(path, name)], dtype=buffer.dtype)

    def config(self) -> dict[str, Any]:
        """The options that are not the default's, with the sizes that were inferred: JSON that builds this layer."""
        target: Any = type(self)
        options = [(name, getattr(self, name), default) for name, (_, default) in options_of(target).items()]
        return {name: _json(value) for name, value, default in options if value != default}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


def _key(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _misfit(key: str, own: Array, given: Array) -> list[str]:
    if given.dtype.kind not in "fiub":
        return [f"{key}: expected numbers, got {given.dtype}"]
    return [] if given.shape == own.shape else [f"{key}: expected shape {own.shape}, got {given.shape}"]


def _json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_json(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
