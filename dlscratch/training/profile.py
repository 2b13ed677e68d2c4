"""Where the time of a training goes: seconds and bytes by layer, forward and backward, and by the run's other parts.

    with Profile() as profile:
        for record in fit(model, loss, optimizer, batches, epochs=3):
            ...
    print(profile)

While a profile is at work, the functions that it times are replaced by ones that also turn its stopwatch; afterwards
they are back, so a training without one pays nothing. An op belongs to the layer in whose forward pass it was computed,
and so does the time of its rules in the backward pass. The arithmetic, and with it the result, stays the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from dlscratch.autograd import Node, Tensor, engine, sharding
from dlscratch.autograd.engine import Rule
from dlscratch.backend import Array
from dlscratch.crew import Job, side_by_side
from dlscratch.errors import UsageError
from dlscratch.nn import Layer
from dlscratch.team import members
from dlscratch.training import loop
from dlscratch.training.loop import TrainingBatches, _Run
from dlscratch.training.metrics import evaluate
from dlscratch.training.stopwatch import READING, SAVING, Place, Stopwatch, timed, undivided, watching

LOSS, GRAPH, GRADIENTS, OPTIMIZER, METRICS = "loss", "graph", "gradients", "optimizer", "metrics"
BATCHES, VALIDATION, OTHER = "batches", "validation", "other"
PARTS = (LOSS, GRAPH, GRADIENTS, OPTIMIZER, METRICS, BATCHES, VALIDATION, SAVING, READING)  # in the table's order
COLUMNS = ("part", "kind", "forward ms", "backward ms", "inside ms", "forward MB", "backward MB", "share")
INSIDE = COLUMNS.index("inside ms")
CAPTION = """\
ms: on the clock, without the layers inside, whose own are told of as "inside". The times of threads that computed side
by side are scaled to the clock's. MB: the arrays that ops gave (forward) and their rules (backward), without views.
graph: the way back through it, and the sums there. gradients: their norm and clipping. batches: waiting for them.
other: the loop itself, and the program around it."""


class Row(NamedTuple):
    """What a layer, or another part of the run, took; a layer's name is its path, and the whole model's is ""."""

    name: str
    kind: str  # of the layer
    forward_seconds: float
    backward_seconds: float
    inside_seconds: float  # of the layers inside, forward and backward; all other figures are without them
    forward_bytes: int
    backward_bytes: int
    share: float  # of the time of the whole

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward_seconds + self.backward_seconds

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        times = (self.forward_seconds, self.backward_seconds, self.inside_seconds)
        figures = [1e3 * s for s in times] + [1e-6 * n for n in (self.forward_bytes, self.backward_bytes)]
        name, kind = self.name or "the model", "  " * self.name.count(".") + self.kind
        return name, kind, *(f"{figure:,.1f}" if figure else "" for figure in figures), f"{self.share:.1%}"


class Profile:
    """Inside `with Profile() as profile:` all that this thread computes is timed, by the layers of one model.

    `fit` makes its model known, and all that a second one takes counts as "other". A model that is trained by a loop of
    one's own is given here, and `timed_as("loss")` names the other parts of such a loop. `rows()`, `document()` (for
    JSON) and `str()` tell what was found.
    """

    def __init__(self, model: Layer | None = None) -> None:
        self.model: Layer | None = None
        self._given = model
        self._watch = Stopwatch(Place(OTHER))
        self._undo = ExitStack()

    def __enter__(self) -> Profile:
        if watching.get() is not None:
            raise UsageError("Profile: another one is at work here; leave it first")
        self._watch = Stopwatch(Place(OTHER))
        self._undo.callback(watching.reset, watching.set(self._watch))
        for module in (engine, sharding):
            self._replace(module, "Node", _TimedNode)
        self._replace(engine, "_backward_pass", timed(engine._backward_pass, Place(GRAPH, backward=True)))
        self._replace(sharding, "side_by_side", _timed_side_by_side)
        self._replace(loop, "evaluate", timed(undivided()(evaluate), Place(VALIDATION)))
        self._replace(loop, "_Run", self._run)
        if self._given is not None:
            self._know(self._given)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, at the latest at the end of the block."""
        if watching.get() is self._watch:
            self._watch.turn(Place(OTHER))
        self._undo.close()

    def _replace(self, owner: Any, name: str, new: object) -> None:
        """Give a module or an object another attribute of its own, until the end."""
        own = vars(owner)
        self._undo.callback(own.__setitem__, name, own[name]) if name in own else self._undo.callback(own.pop, name, 0)
        own[name] = new

    def _time(self, owner: Any, method: str, place: Place) -> None:
        self._replace(owner, method, timed(getattr(owner, method), place))

    def _know(self, model: Layer) -> None:
        """Time the model's layers; one that stands in two places is told of at the first."""
        self.model = model
        first = {id(layer): (path, layer) for path, layer in reversed([*model.named_layers()])}
        for path, layer in first.values():
            self._time(layer, "forward", Place(path))

    def _run(self, **arguments: Any) -> _Run:
        """A run of `fit`, with its parts timed, if it trains the model that is told of."""
        run = _Run(**arguments)
        if self.model is None:
            self._know(run.model)
        if run.model is not self.model:
            return run
        run.train, run.loss = _TimedBatches(run.train), timed(run.loss, Place(LOSS))  # type: ignore[assignment]
        for owner, method, row in (
            (run, "_norm", GRADIENTS), (run, "_clip", GRADIENTS), (run.optimizer, "step", OPTIMIZER),
            (run.totals, "add", METRICS),
        ):  # fmt: skip
            self._time(owner, method, Place(row))
        return run

    @property
    def seconds(self) -> float:
        """All the time from the beginning to the end, or until now."""
        if watching.get() is self._watch:
            self._watch.turn(self._watch.place)
        return sum(self._watch.seconds.values())

    def rows(self) -> list[Row]:
        """A row for each layer, and for each other part that took time: together, all of it."""
        total, seen = self.seconds, {place.row for place in self._watch.seconds}
        layers = {path: layer.kind for path, layer in self.model.named_layers()} if self.model else {}
        parts = [*(name for name in PARTS if name in seen), *sorted(seen.difference(layers, PARTS, [OTHER])), OTHER]
        return [*(self._layer(path, layers, total) for path in layers), *(self._row(name, total) for name in parts)]

    def _layer(self, path: str, layers: Mapping[str, str], total: float) -> Row:
        names = [name for name in layers if name != path and name.startswith(f"{path}." if path else "")]
        inside = sum(seconds for place, seconds in self._watch.seconds.items() if place.row in names)
        return self._row(path, total)._replace(kind=layers[path], inside_seconds=inside)

    def _row(self, name: str, total: float) -> Row:
        sides = Place(name), Place(name, backward=True)
        forward, backward = (self._watch.seconds.get(side, 0.0) for side in sides)
        values, gradients = (self._watch.bytes.get(side, 0) for side in sides)
        return Row(name, "", forward, backward, 0.0, values, gradients, (forward + backward) / total)

    def document(self) -> dict[str, Any]:
        """What was found, as JSON can hold it."""
        rows = [row._asdict() for row in self.rows()]
        return {"seconds": self.seconds, "rows": rows, "about": CAPTION.replace("\n", " ")}

    def table(self) -> list[tuple[str, ...]]:
        """The lines of the table: the titles of the columns, the rows, the total."""
        rows = self.rows()
        sums = [sum(column) for column in list(zip(*rows, strict=True))[2:]]
        sums[INSIDE - 2] = 0.0
        lines = [COLUMNS, *(row.cells() for row in (*rows, Row("total", "", *sums)))]
        nested = any(row.inside_seconds for row in rows if row.name)
        return lines if nested else [line[:INSIDE] + line[INSIDE + 1 :] for line in lines]

    def __str__(self) -> str:
        """The table as text."""
        lines = self.table()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        line = "  ".join(f"{{:{'<' if i < 2 else '>'}{width}}}" for i, width in enumerate(widths))
        return "\n".join([*(line.format(*cells) for cells in lines), CAPTION])


class _TimedNode(Node):
    """A node whose rules are charged to the place at which its op was computed."""

    __slots__ = ()

    def __init__(self, name: str, value: Array, operands: tuple[Any, ...], rules: list[Rule | None]) -> None:
        super().__init__(name, value, operands, rules)
        watch = watching.get()
        if watch is not None:
            place = watch.place
            watch.bytes[place] += members() * _new(value, [x._array for x in operands if isinstance(x, Tensor)])
            self.rules = [rule and _timed_rule(rule, Place(place.row, backward=True)) for rule in self.rules]


def _timed_rule(rule: Rule, place: Place) -> Rule:
    computed = timed(rule, place)

    def counted(g: Array) -> Array:
        given = computed(g)
        watch = watching.get()
        if watch is not None:
            watch.bytes[place] += members() * _new(given, [g])
        return given

    return counted


def _new(array: Array, others: Sequence[Array]) -> int:
    """The bytes of an array; none, if it is a view of another."""
    return 0 if any(np.may_share_memory(array, other) for other in others) else array.nbytes


def _timed_side_by_side(jobs: Sequence[Job]) -> None:
    """side_by_side, each of whose jobs has a stopwatch of its own."""
    watch = watching.get()
    if watch is None:
        side_by_side(jobs)
        return
    place, others = watch.turn(watch.place), list[Stopwatch]()

    def clocked(job: Job) -> None:
        """The job, by a stopwatch of the thread that does it."""
        own = Stopwatch(place)
        token = watching.set(own)
        try:
            job()
        finally:
            own.turn(place)
            watching.reset(token)
            others.append(own)

    side_by_side([functools.partial(clocked, job) for job in jobs])
    watch.share(others)


class _TimedBatches:
    """Batches for which the time of waiting is counted."""

    def __init__(self, batches: TrainingBatches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        batches = timed(self.batches.epoch, Place(BATCHES))(number, start=start)
        yield from iter(timed(functools.partial(next, batches, None), Place(BATCHES)), None)
