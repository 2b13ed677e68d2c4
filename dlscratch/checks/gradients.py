"""Is the gradient right: a model's own loss of its own first batch, in float64, against central differences.

Along a direction v in one tensor p the loss is a function of one number, φ(t) = loss(p + t·v). Its slope at 0 is ⟨g, v⟩
by the gradient g that backward() gives, and (φ(h) − φ(−h)) / 2h by two calls of the model. v is random, so that one
number checks every element of p. Dropout has one and the same mask at every call.

Relu, max-pooling and absolute values bend φ. With a bend between −h and h the two numbers may differ though the
gradient is right. So several steps h are tried: a bend beyond the smallest does no harm. Where none of them fits, and
the gradient itself jumps between −h and h by enough to explain it, the direction tells nothing: it is dropped, and
counted. A bend may also lie exactly at 0 (a unit that gives 0, equal pixels in a window); what could not be judged for
that reason is judged at another point, where parameters and inputs of a few rows are moved at random by a third of
their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dlscratch import backend
from dlscratch.autograd import Tensor, no_grad
from dlscratch.autograd.watching import nodes_of
from dlscratch.backend import Array, generator
from dlscratch.checks.material import fresh_model
from dlscratch.config.build import Experiment
from dlscratch.errors import GradientError

Verdict = Literal["right", "wrong", "not judged"]

TOLERANCE = 1e-5
DIRECTIONS = 3
STEPS = (1e-5, 1e-4, 1e-6, 1e-7)  # in units of the tensor's own size; the last is the smallest
POINTS = 3  # the model's own, and two that are moved
MOVED = 0.3
FEW = 8  # rows, at a point that is moved: each has bends of its own
BEND = 10  # a jump of the gradient, relative to it, explains a difference of so many times as much
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a loss, relative
INPUT = "input"


@dataclass(frozen=True)
class TensorGradient:
    """What was found of one parameter, or of the input."""

    name: str
    shape: tuple[int, ...]
    gradient: float  # its norm
    directions: int  # that were judged
    bends: int  # directions that were dropped
    error: float | None  # the largest, relative; None where nothing was judged
    verdict: Verdict


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradients` found."""

    loss: float
    rows: int
    tolerance: float
    tensors: tuple[TensorGradient, ...]

    @property
    def right(self) -> bool:
        """Whether every gradient was judged, and is right."""
        return all(tensor.verdict == "right" for tensor in self.tensors)

    @property
    def where(self) -> str:
        """Where to look for what is wrong: gradients are wrong from there back to the input. Empty if all are right."""
        doubtful = [tensor.name for tensor in self.tensors if tensor.verdict != "right"]
        names = [tensor.name for tensor in self.tensors if tensor.name != INPUT]
        if not doubtful:
            return ""
        if doubtful == [INPUT]:
            return "only that of the input, so look at what the first layer does with its own input"
        last = max(names.index(name) for name in doubtful if name != INPUT)
        if last == len(names) - 1:
            return f"{names[last]} is the last parameter, so look at its layer, what follows it, and the loss"
        after = names[last + 1]
        return f"{names[last]} is the last of them, so look at its layer, and at what lies between it and {after}"


@dataclass
class _Case:
    """A tensor that is being checked."""

    shape: tuple[int, ...]
    gradient: float = 0.0
    errors: list[float] = field(default_factory=list)
    bends: int = 0

    def judged(self, tolerance: float, directions: int) -> bool:
        """Whether it is known to be wrong, or right along enough directions."""
        return len(self.errors) >= directions or any(error > tolerance for error in self.errors)

    def result(self, name: str, tolerance: float, directions: int) -> TensorGradient:
        worst = max(self.errors, default=None)
        verdict: Verdict = "not judged" if not self.judged(tolerance, directions) else "right"
        verdict = "wrong" if worst is not None and worst > tolerance else verdict
        return TensorGradient(name, self.shape, self.gradient, len(self.errors), self.bends, worst, verdict)


def check_gradients(
    experiment: Experiment,
    *,
    rows: int | None = None,
    directions: int = DIRECTIONS,
    tolerance: float = TOLERANCE,
) -> GradientCheck:
    """Check the gradient of each parameter, and of inputs that are no integers, on the first batch of the training.

    `rows` takes only so many rows of the batch. Two slopes may differ by `tolerance`, relative to the larger of them
    and to |g|·|v|/√n, and by what float64 can round. GradientError: an op does not keep float64.
    """
    with backend.limit_threads(1), np.errstate(all="ignore"):
        loss = _Loss(experiment, rows)
        loss.check_types()
        cases = {name: _Case(tensor.shape) for name, tensor in loss.tensors.items()}
        for name, g in loss.gradients().items():
            cases[name].gradient = float(np.linalg.norm(g))
        first, counted = loss.value(), loss.rows
        for point in range(POINTS):
            rng = generator(experiment.config.seed, "gradcheck", point)
            waiting = {name: case for name, case in cases.items() if not case.judged(tolerance, directions)}
            if waiting and point:
                loss = _Loss(experiment, min(counted, FEW))
                loss.move(rng)
            _judge(loss, waiting, rng, directions, tolerance)
    tensors = [case.result(name, tolerance, directions) for name, case in cases.items()]
    return GradientCheck(first, counted, tolerance, tuple(tensors))


class _Loss:
    """The loss of a batch as a function of tensors, in float64, with the same random numbers at every call."""

    def __init__(self, experiment: Experiment, rows: int | None) -> None:
        self.function, self.seed = experiment.loss, experiment.config.seed
        self.model = fresh_model(experiment, np.float64)
        x, y = next(experiment.training_batches().epoch(0))
        x, self.target = x[:rows], y[:rows]
        self.rows = len(x)
        integers = x.dtype.kind in "iu"
        self.x = Tensor(x) if integers else Tensor(x, requires_grad=True, dtype=np.float64)
        self.tensors = self.model.named_parameters() | ({} if integers else {INPUT: self.x})
        self.buffers = [(layer, dict(layer.buffers)) for _, layer in self.model.named_layers()]

    def __call__(self) -> Tensor:
        output = self.model(self.x, training=True, rng=generator(self.seed, "dropout", 0))
        for layer, buffers in self.buffers:
            layer.buffers.update(buffers)
        return self.function(output, self.target)

    def check_types(self) -> None:
        """GradientError where an op gives another type than float64: too coarse for differences."""
        for node in nodes_of(self()):
            if node.dtype != np.float64:
                raise GradientError(
                    f"<{node.name}> gives {node.dtype} for inputs of float64, too coarse for differences; let it "
                    "create arrays with its input's dtype"
                )

    def value(self) -> float:
        """The loss where the tensors are."""
        with no_grad():
            return float(self().item())

    def value_at(self, name: str, values: Array) -> float:
        """The loss with other values of one tensor."""
        with self._moved(name, values):
            return self.value()

    def gradients(self) -> dict[str, Array]:
        """The gradient of each tensor; zeros where none flowed."""
        for tensor in self.tensors.values():
            tensor.zero_grad()
        loss = self()
        if loss.requires_grad:
            loss.backward()
        return {name: np.zeros(x.shape) if x.grad is None else x.grad for name, x in self.tensors.items()}

    def gradient_at(self, name: str, values: Array) -> Array:
        """The gradient of one tensor at other values of it."""
        with self._moved(name, values):
            return self.gradients()[name]

    @contextmanager
    def _moved(self, name: str, values: Array) -> Iterator[None]:
        tensor = self.tensors[name]
        here = tensor.numpy()
        tensor.data = values
        try:
            yield
        finally:
            tensor.data = here

    def move(self, rng: np.random.Generator) -> None:
        """Go to a random point beside this one."""
        for tensor in self.tensors.values():
            values = tensor.numpy()
            tensor.data = values + MOVED * _size(values) * rng.standard_normal(values.shape)


def _judge(
    loss: _Loss, cases: dict[str, _Case], rng: np.random.Generator, directions: int, tolerance: float
) -> None:
    """Check tensors along as many directions as they lack, where the loss is."""
    gradients, middle = loss.gradients() if cases else {}, loss.value()
    for name, case in cases.items():
        for _ in range(directions - len(case.errors)):
            error = _error(loss, name, gradients[name], middle, rng, tolerance)
            if error is None:
                case.bends += 1
            else:
                case.errors.append(error)


def _error(
    loss: _Loss, name: str, g: Array, middle: float, rng: np.random.Generator, tolerance: float
) -> float | None:
    """How far the gradient is off along a random direction, relative; None where bends can explain it."""
    p = loss.tensors[name].numpy()
    v = _size(p) * rng.standard_normal(p.shape)
    slope = float(np.sum(g * v))
    typical = max(abs(slope), float(np.linalg.norm(g) * np.linalg.norm(v)) / max(v.size, 1) ** 0.5)
    errors = []
    for h in STEPS:
        expected = (loss.value_at(name, p + h * v) - loss.value_at(name, p - h * v)) / (2 * h)
        scale = max(typical, abs(expected)) + ROUNDING * abs(middle) / h / tolerance
        errors.append(abs(expected - slope) / scale if scale else 0.0)
        if errors[-1] <= tolerance:
            return errors[-1]
    explained = errors[-1] <= BEND * _jump(loss, name, p, h * v, g) or not math.isfinite(errors[-1])
    return None if explained else min(errors)


def _jump(loss: _Loss, name: str, p: Array, step: Array, g: Array) -> float:
    """How much the gradient at p differs from those at both ends of a tiny step, relative to the largest of them."""
    beside = [loss.gradient_at(name, values) for values in (p - step, p + step)]
    norms = [float(np.linalg.norm(each)) for each in (g, *beside)]
    return sum(float(np.linalg.norm(each - g)) for each in beside) / (max(norms) or 1)


def _size(values: Array) -> float:
    """The root mean square of some values, 1 where all are 0."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.any() else 1.0
