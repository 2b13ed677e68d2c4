"""A step that diverged, done once more with someone watching: where its first NaN or Inf came from.

    story = examine(model, loss, x, y, lr=0.1, seed=0, state=TrainingState(epoch=2, batch=1, step=41), batches=20)
    print(story.error, story.first)
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from dlscratch.autograd import OPS, Node, Tensor
from dlscratch.autograd.watching import Flow, watched_ops
from dlscratch.backend import Array, limit_threads
from dlscratch.errors import DivergedError
from dlscratch.nn import LOSSES, Layer, Loss
from dlscratch.optim import SGD
from dlscratch.training.loop import Step, fit
from dlscratch.training.state import TrainingState

LOSS = "loss"  # the path under which the ops of the loss are told
MOST_PLACES = 10  # that are listed


@dataclass(frozen=True)
class Range:
    """The least and the greatest finite number of an array (None where there is none), and what is not finite."""

    shape: tuple[int, ...]
    min: float | None
    max: float | None
    nan: int
    inf: int

    @classmethod
    def of(cls, array: Any) -> Range:
        """The range of an array of numbers."""
        array = np.asarray(array)
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        nan = int(np.isnan(array).sum())
        return cls(array.shape, low, high, nan, array.size - finite.size - nan)

    def __str__(self) -> str:
        """`3 NaN and 1 Inf in 48 values`."""
        bad = " and ".join(f"{count:,} {name}" for count, name in ((self.nan, "NaN"), (self.inf, "Inf")) if count)
        return f"{bad or 'nothing bad'} in {math.prod(self.shape):,} value{'s' * (math.prod(self.shape) != 1)}"

    def joined(self, other: Range) -> Range:
        """The range of two arrays one below the other."""
        low, high = (
            pick((x for x in pair if x is not None), default=None)
            for pick, pair in ((min, (self.min, other.min)), (max, (self.max, other.max)))
        )
        shape = (self.shape[0] + other.shape[0], *self.shape[1:]) if self.shape else ()
        return Range(shape, low, high, self.nan + other.nan, self.inf + other.inf)

    @property
    def finite(self) -> bool:
        """Whether all numbers are."""
        return not (self.nan or self.inf)


@dataclass(frozen=True)
class First:
    """The first NaN or Inf: in what the step began with (`batch`, `parameters`), or made by an op on its way.

    `array` is what holds it: x, 0.weight, `output`, or the `gradient of weight`. `inputs` are those of the op; in the
    backward pass also the gradient that had come to it. `rows` are the examples that it is in, where not in all.
    """

    during: Literal["batch", "parameters", "forward", "backward"]
    array: str
    range: Range
    layer: str = ""  # its path
    op: str = ""
    inputs: dict[str, Range] = field(default_factory=dict)
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Passage:
    """What a layer gave, and the gradient that came back to its output (None: the backward pass did not come there)."""

    path: str
    kind: str
    output: Range
    gradient: Range | None


@dataclass(frozen=True)
class Story:
    """The step from the batch to the gradients. `error` is what `fit` says of it; None: all is finite this time."""

    error: str | None
    first: First | None
    x: Range
    y: Range
    places: tuple[tuple[str, tuple[int, ...], str], ...]  # of NaN and Inf in the batch: ("x", (row, column), "nan")
    parameters: dict[str, Range]  # and buffers, before the step
    layers: tuple[Passage, ...]  # in the order in which they gave their outputs, the loss last
    gradients: dict[str, Range]  # of the parameters


def examine(
    model: Layer, loss: Loss, x: Array, y: Array, *, lr: float, seed: int, state: TrainingState, batches: int
) -> Story:
    """Do a step once more, from where the training stood (of `batches` in an epoch), as `fit` does it, and watch.

    The model and the state may be changed. One thread does it all, with the same bits, so that there is an order.
    """
    optimizer = SGD(model.named_parameters(), lr=lr)
    parameters = {name: Range.of(array) for name, array in model.state_dict().items()}
    watcher = _Watcher(model, len(x))
    error = None
    with limit_threads(1), watched_ops(watcher.made, watcher.flowed), watcher.watching():
        only, epochs = _Only(x, y, batches), state.epoch + 1
        records = fit(model, watcher.watched(loss), optimizer, only, epochs=epochs, seed=seed, state=state)
        try:
            assert isinstance(next(records), Step)
        except DivergedError as found:
            error = str(found)
    gradients = {name: Range.of(p.grad) for name, p in model.named_parameters().items() if p.grad is not None}
    first = _at_the_start(x, y, parameters) or watcher.first or _in_a_sum(gradients)
    places = tuple((name, *place) for name, array in (("x", x), ("y", y)) for place in _places(array))
    return Story(error, first, Range.of(x), Range.of(y), places, parameters, tuple(watcher.passages()), gradients)


@dataclass(frozen=True)
class _Only:
    """The batches of an epoch of which one alone is known."""

    x: Array
    y: Array
    batches: int

    def __len__(self) -> int:
        return self.batches

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        yield self.x, self.y


@dataclass(frozen=True)
class _Made:
    """An op in the forward pass."""

    layer: str
    output: Range
    inputs: dict[str, Range]
    names: list[str]  # of its operands


class _Watcher:
    """Hears of every op and every rule, knows in which layer they are, and keeps ranges; of arrays, none."""

    def __init__(self, model: Layer, examples: int) -> None:
        self.model, self.examples = model, examples
        self.names = {id(tensor): name for name, tensor in model.named_parameters().items()}
        self.first: First | None = None
        self._inside: list[str] = []  # the layers that are at work, the innermost last
        self._made: dict[int, _Made] = {}
        self._outputs: dict[str, Passage] = {}
        self._ends: dict[str, list[int]] = {}  # of layers: the numbers of the nodes that gave the outputs
        self._gradients: dict[int, Range] = {}  # that came to nodes

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, all layers tell when they begin and what they give."""
        layers = [(path, layer) for path, layer in self.model.named_layers() if path]
        for path, layer in layers:
            vars(layer)["forward"] = self._watched(path, layer.kind, layer.forward)
        try:
            yield
        finally:
            for _, layer in layers:
                vars(layer).pop("forward", None)

    def watched(self, loss: Loss) -> Loss:
        """The loss, which tells the same."""
        kind = next((kind for kind, known in LOSSES.items() if type(loss) is known), type(loss).__name__)
        call: Any = self._watched(LOSS, kind, loss)
        return call  # type: ignore[no-any-return]

    def _watched(self, path: str, kind: str, function: Any) -> Any:
        def call(x: Tensor, *rest: Any) -> Tensor:
            """The function's own result, of which the range is noted, and where its graph ends."""
            self._inside.append(path)
            try:
                y: Tensor = function(x, *rest)
            finally:
                self._inside.pop()
            before, found = self._outputs.get(path), Range.of(y.data)  # of a part of the batch, maybe
            self._outputs[path] = Passage(path, kind, before.output.joined(found) if before else found, None)
            if y._node is not None:
                self._ends.setdefault(path, []).append(y._node.number)
            self._note("forward", "output", y.data, path, "", {"x": Range.of(x.data)})
            return y

        return call

    def made(self, node: Node, value: Array, operands: tuple[Any, ...]) -> None:
        """An op of the forward pass."""
        known = [*_operands(node.name), *(f"operand {n + 1}" for n in range(len(operands)))]
        own = [self.names.get(id(operand)) for operand in operands]
        names = [name if title is None else f"{name} ({title})" for name, title in zip(known, own, strict=False)]
        arrays = [operand.data if isinstance(operand, Tensor) else operand for operand in operands]
        inputs = {name: Range.of(array) for name, array in zip(names, arrays, strict=True) if array is not None}
        layer = self._inside[-1] if self._inside else ""
        self._made[node.number] = _Made(layer, Range.of(value), inputs, names)
        self._note("forward", "output", value, layer, node.name, inputs)

    def flowed(self, flow: Flow) -> None:
        """A rule of the backward pass: what came, and what it gave."""
        made, node = self._made[flow.node.number], flow.node
        incoming = self._gradients.setdefault(node.number, Range.of(flow.incoming))
        if not incoming.finite:  # made by no rule, or it would be known already: by the sum of what rules gave
            self._note("backward", "sum of the gradients of its output", flow.incoming, made.layer, node.name, {})
        inputs = {"gradient": incoming, **made.inputs}
        self._note("backward", f"gradient of {made.names[flow.position]}", flow.part, made.layer, node.name, inputs)

    def _note(
        self,
        during: Literal["forward", "backward"],
        array: str,
        values: Array,
        layer: str,
        op: str,
        inputs: dict[str, Range],
    ) -> None:
        """Keep it if it is the first that is not finite."""
        if self.first is None and not np.isfinite(values).all():
            rows = _rows(values, self.examples)
            self.first = First(during, array, Range.of(values), layer, op, inputs, rows)

    def passages(self) -> Iterator[Passage]:
        """The layers and the loss, with what came back to them."""
        for path, passage in self._outputs.items():
            parts = [self._gradients[end] for end in self._ends.get(path, ()) if end in self._gradients]
            yield replace(passage, gradient=functools.reduce(Range.joined, parts) if parts else None)


def _operands(op: str) -> list[str]:
    """What an op calls its operands; nothing for ops that take any number, or that are not in OPS."""
    known = (function for name, (function, _) in OPS.items() if name.title().replace("_", "") == op)
    parameters = (p for function in known for p in inspect.signature(function).parameters.values())
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def _at_the_start(x: Array, y: Array, parameters: dict[str, Range]) -> First | None:
    """What was not finite before anything was computed."""
    for name, array in (("x", x), ("y", y)):
        if not np.isfinite(array).all():
            return First("batch", name, Range.of(array), rows=_rows(array, len(x)))
    return next((First("parameters", name, found) for name, found in parameters.items() if not found.finite), None)


def _in_a_sum(gradients: dict[str, Range]) -> First | None:
    """A gradient whose parts were all finite."""
    bad = ((name, found) for name, found in gradients.items() if not found.finite)
    return next((First("backward", f"sum of the gradients of {name}", found) for name, found in bad), None)


def _rows(array: Array, examples: int) -> tuple[int, ...]:
    """The examples that an array of the whole batch is not finite in; none where these are all of them."""
    if array.ndim == 0 or len(array) != examples:
        return ()
    bad = ~np.isfinite(array).reshape(examples, -1).all(axis=1)
    return () if bad.all() else tuple(np.flatnonzero(bad).tolist())


def _places(array: Array) -> list[tuple[tuple[int, ...], str]]:
    """Where NaN and Inf are in an array, the first of them."""
    found = np.argwhere(~np.isfinite(array))[:MOST_PLACES]
    return [(tuple(place), str(array[tuple(place)])) for place in found.tolist()]
