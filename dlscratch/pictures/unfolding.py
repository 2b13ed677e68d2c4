"""The ops inside a function that is made of ops, as parts of the expression that calls it: mean(x) -> sum(x) / 3.

The function runs as always; what it does is heard from the engine and not read from its source.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dlscratch.autograd import OPS, Node, Tensor
from dlscratch.autograd.engine import wrap
from dlscratch.autograd.watching import nodes_of, origin, watched_ops
from dlscratch.backend import Array
from dlscratch.pictures.parts import OP_OF, STRENGTH, STRONGEST, Part, short, written

Made = tuple[Node, Array, tuple[Any, ...]]


@contextmanager
def heard() -> Iterator[list[Made]]:
    """Inside, every op that is recorded is written down: its node, its value and its operands."""
    made: list[Made] = []
    with watched_ops(lambda node, value, operands: made.append((node, value, operands)), lambda flow: None):
        yield made


def unfold(parts: list[Part], made: list[Made], result: Tensor) -> Part:
    """The op that made the result, as a part; those before it that were heard, and their numbers, go to `parts`."""
    known = {id(origin(part.tensor)): part for part in parts}
    own = set(map(id, nodes_of(result)))  # another thread may have been heard, too
    for node, value, values in made:
        if id(node) not in own:
            continue
        op = OP_OF[node.name]
        operands = tuple(_operand(parts, known, each) for each in values)
        text, strength = written(op, operands, options=_has_options(op)), STRENGTH.get(op, STRONGEST)
        parts.append(Part(len(parts), text, op, wrap(value, (), node), operands, strength))
        known[id(node)] = parts[-1]
    return parts.pop()


def _operand(parts: list[Part], known: dict[int, Part], value: Any) -> Part:
    """The part that went into an op; a number that the function brought along becomes one."""
    tensor = value if isinstance(value, Tensor) else Tensor(np.asarray(value, np.float64))
    part = known.get(id(origin(tensor)))
    if part is None:
        text = short(tensor.data)
        part = Part(len(parts), text, "", tensor, strength=STRENGTH["neg"] if text[0] == "-" else STRONGEST)
        parts.append(part)
    return part


def _has_options(op: str) -> bool:
    return any(each.kind is each.KEYWORD_ONLY for each in inspect.signature(OPS[op][0]).parameters.values())
