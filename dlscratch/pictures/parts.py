"""A part of an expression: a variable, a number or an op, with what it came to; and how all of them are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

import dlscratch.nn.functional  # noqa: F401  its ops enter OPS
from dlscratch.autograd import OPS, Tensor
from dlscratch.backend import Array
from dlscratch.pictures.text import cut

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "matmul": "@"}
STRENGTH = {"add": 1, "sub": 1, "mul": 2, "div": 2, "matmul": 2, "neg": 3, "pow": 4}  # how tightly operators bind
STRONGEST = 5  # names, numbers and calls need no brackets


@dataclass(eq=False)
class Part:
    """A variable, a number or an op of an expression, and what it came to.

    `op` is the op's name in OPS; "" for variables and numbers. Where a function made of ops was called, it is the last
    of these, `called` is the function's name and `made_of` how its ops are written.
    """

    number: int
    text: str
    op: str
    tensor: Tensor
    operands: tuple[Part, ...] = ()
    strength: int = STRONGEST
    called: str = ""
    made_of: str = ""
    depth: int = field(init=False)  # how many parts stand one in the other

    def __post_init__(self) -> None:
        self.depth = 1 + max((part.depth for part in self.operands), default=0)

    @property
    def value(self) -> Array:
        """What it came to, read-only."""
        return self.tensor.data

    @property
    def name(self) -> str | None:
        """The variable's name; None for numbers and ops."""
        return self.tensor.name

    @property
    def title(self) -> str:
        """`Mul`, or `Mean` for a function made of ops; `Tensor` for a variable, and `Number`."""
        return title(self.called or self.op) or ("Tensor" if self.name else "Number")

def title(op: str) -> str:
    """`max_pool2d` -> `MaxPool2D`, as the engine names its nodes."""
    return op.title().replace("_", "")


OP_OF = {title(name): name for name in OPS}  # by the names of the engine's nodes


def short(value: Array) -> str:
    """Values on one line, six digits each; of large arrays the corners."""
    text = np.array2string(
        np.asarray(value), separator=", ", threshold=24, edgeitems=2, formatter={"float_kind": lambda x: f"{x:.6g}"}
    )
    return " ".join(text.split())


def written(op: str, operands: Sequence[Part], *, options: bool = False) -> str:
    """An op on its operands as an expression has it: `x - y`, `exp(x)`, `sum(x, …)` where it was given options."""
    if op not in STRENGTH:
        return f"{op}({', '.join([*(part.text for part in operands), *['…'] * options])})"
    strength = STRENGTH[op]
    if op == "neg":
        return f"-{bracketed(operands[0], strength)}"
    left, right = (strength + 1, strength) if op == "pow" else (strength, strength + 1)
    return f"{bracketed(operands[0], left)} {INFIX[op]} {bracketed(operands[1], right)}"


def bracketed(part: Part, strength: int = STRONGEST, letters: int = 0) -> str:
    """A part's text, in brackets where it binds less tightly than that, or is cut to so many letters."""
    text = cut(part.text, letters or len(part.text))
    return text if part.strength >= strength and text == part.text else f"({text})"
