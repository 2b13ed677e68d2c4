"""Check gradients against finite differences, in random directions: for our own ops and for yours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dlscratch.autograd.engine import Tensor
from dlscratch.backend import Array, generator
from dlscratch.errors import GradientError


class Sample(NamedTuple):
    """Operands on which an op is checked: shapes to be filled with random numbers, or arrays as they are."""

    operands: tuple[tuple[int, ...] | Array, ...]
    low: float
    high: float
    options: dict[str, Any]

    def tensors(self, rng: np.random.Generator) -> list[Any]:
        """The operands: float64 tensors that want a gradient, and the arrays as they are."""
        return [
            Tensor(rng.uniform(self.low, self.high, x), requires_grad=True) if isinstance(x, tuple) else x
            for x in self.operands
        ]


def sample(*operands: tuple[int, ...] | Array, low: float = -2.0, high: float = 2.0, **options: Any) -> Sample:
    """A sample for `@op`: shapes become arrays uniform in [low, high), other operands and options go in as given."""
    return Sample(operands, low, high, options)


def gradcheck(
    function: Callable[..., Tensor],
    *inputs: Any,
    epsilon: float = 1e-6,
    tolerance: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """True if backward() through `function(*inputs)` agrees with central differences; else GradientError says where.

    Inputs that are float64 tensors with requires_grad=True are checked. For random u (shape of the result) and v
    (shape of the input), the slope of ⟨u, function⟩ along v, by central differences of step `epsilon`, must equal
    ⟨gradient, v⟩ to `tolerance`, relative to the larger of the two and to |gradient|·|v|/√n. One number checks every
    element at once, at the cost of two calls.
    """
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked or any(x.dtype != np.float64 for x in checked):
        raise GradientError("gradcheck needs float64 inputs with requires_grad=True: Tensor(x, True, dtype='float64')")
    rng = generator(seed, "gradcheck")
    ids = {id(x) for x in checked}
    inputs = tuple(Tensor(x, requires_grad=True) if id(x) in ids else x for x in inputs)  # grad is the caller's
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    for _ in range(directions):
        result = function(*inputs)
        u = rng.standard_normal(result.shape)
        for x in checked:
            x.zero_grad()
        result.backward(u)
        for position, x in enumerate(inputs):
            if isinstance(x, Tensor) and x.requires_grad:
                _check_direction(function, inputs, position, u, rng.standard_normal(x.shape), epsilon, tolerance)
    return True


def _check_direction(
    function: Callable[..., Tensor], inputs: Any, position: int, u: Array, v: Array, epsilon: float, tolerance: float
) -> None:
    x = inputs[position]
    ahead, behind = (
        function(*inputs[:position], Tensor(x.data + step * v, requires_grad=True), *inputs[position + 1 :]).data
        for step in (epsilon, -epsilon)
    )
    expected = float(np.sum(u * (ahead - behind))) / (2 * epsilon)
    gradient = np.zeros_like(v) if x.grad is None else x.grad
    got = float(np.sum(gradient * v))
    size = max(abs(expected), abs(got), float(np.linalg.norm(gradient) * np.linalg.norm(v)) / max(v.size, 1) ** 0.5)
    if not abs(expected - got) <= tolerance * size + 1e-8:
        raise GradientError(
            f"gradcheck of {getattr(function, '__name__', function)}, input {position} of shape {x.shape}: along a "
            f"random direction, finite differences give {expected:.10g}, backward() gives {got:.10g}"
        )
