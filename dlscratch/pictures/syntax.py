"""Expressions and values from the command line: read with `ast`, checked against a list, never evaluated by Python.

What may stand in an expression: names, numbers, lists of them, + - * / ** @, a minus in front, calls by name with
options, and subscripts of integers and slices. What may stand in a value: numbers and lists of numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, NoReturn

import numpy as np

from dlscratch.backend import Array
from dlscratch.errors import UsageError

LONGEST = 2_000  # characters
DEEPEST = 100  # levels; a sum of many terms is one
SHOWN = 76  # characters of a long expression in a message
LARGEST = 1_000  # elements of an array, and the size of an option such as an axis or a width

ALLOWED = (
    *(ast.Expression, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple, ast.Call, ast.keyword),
    *(ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop),
)
NOT_ALLOWED: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot is not part of an expression; call by name, as in sum(x, axis=0)",
    ast.Starred: "a star is not part of an expression; write the operands out",
    ast.Compare: "comparisons are not ops: they have no gradient",
}
VALUES = (ast.Constant, ast.List, ast.Tuple, ast.Load, ast.UnaryOp, ast.USub)


class Source:
    """The text of an expression, for messages that point into it."""

    allowed: tuple[type[ast.AST], ...] = ALLOWED
    hints: Mapping[type[ast.AST], str] = NOT_ALLOWED
    otherwise = "this is not part of an expression"

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        if len(self.text) > LONGEST:
            raise UsageError(f"the expression has {len(self.text):,} characters; at most {LONGEST:,} are taken")
        if not self.text:
            raise UsageError('the expression is empty; write one such as "(x + y) * z"')

    def tree(self) -> ast.expr:
        """The syntax tree, checked: only what is on the list, and not too deep."""
        try:
            body = ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            start, end = error.offset or len(self.text) + 1, error.end_offset or 0  # none: at the end
            raise self._error(f"cannot be read: {error.msg}", start - 1, max(end - 1, start)) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise UsageError(f"the expression cannot be read: {error or 'it is nested too deep'}") from None
        self._check(body)
        return body

    def _check(self, body: ast.expr) -> None:
        waiting: list[tuple[ast.AST, int]] = [(body, 0)]
        place: Any = body
        while waiting:
            node, depth = waiting.pop()
            place = node if hasattr(node, "col_offset") else place
            if not isinstance(node, self.allowed):
                self.fail(place, self.hints.get(type(node), self.otherwise))
            if depth > DEEPEST:
                self.fail(place, f"nested more than {DEEPEST} levels deep")
            first = node.left if isinstance(node, ast.BinOp) else None
            waiting.extend((child, depth + (child is not first)) for child in ast.iter_child_nodes(node))

    def part(self, node: ast.expr) -> str:
        """The text of a part of the expression."""
        return ast.get_source_segment(self.text, node) or ""

    def fail(self, node: Any, message: str) -> NoReturn:
        """UsageError with the line and a mark under the part that is wrong."""
        start, end = (len(self.text.encode()[:at].decode()) for at in (node.col_offset, node.end_col_offset))
        raise self._error(message, start, end)

    def _error(self, message: str, start: int, end: int) -> UsageError:
        text, place = self.text, start
        if len(text) > SHOWN:
            cut = max(0, min(start - SHOWN // 2, len(text) - SHOWN))
            text, place = f"…{text[cut : cut + SHOWN]}…", start - cut + 1
        mark = " " * place + "^" * max(1, min(end - start, len(text) - place))
        return UsageError(f"column {start + 1}: {message}\n  {text}\n  {mark}")


class ValueSource(Source):
    """The text of a value: a number, or nested lists of numbers."""

    allowed = VALUES
    hints: Mapping[type[ast.AST], str] = {}
    otherwise = "expected a number or a list of numbers"


def number(node: ast.expr) -> float | int | None:
    """The number that a node is, with a minus in front or not; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    plain = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return node.value if plain else None  # type: ignore[attr-defined]


def array(source: Source, node: ast.expr) -> Array:
    """The array that a number or nested list of numbers is: float64, or booleans where all are True or False."""
    values = _nested(source, node)
    try:
        result = np.array(values)
    except ValueError:
        source.fail(node, "rows of different lengths; an array needs the same in each")
    if result.size > LARGEST:
        source.fail(node, f"{result.size:,} elements; at most {LARGEST:,} are taken, since every number is shown")
    if result.dtype.kind not in "biuf":
        source.fail(node, "a number that is too large, or a mixture of kinds")
    return result if result.dtype.kind == "b" else result.astype(np.float64)


def _nested(source: Source, node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return [_nested(source, item) for item in node.elts]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return node.value
    value = number(node)
    if value is None:
        source.fail(node, "expected a number or a list of numbers")
    return value


def option(source: Source, node: ast.expr) -> Any:
    """The value of an op's option or a subscript: numbers, True, False, None, …, text, slices, and tuples of them."""
    if isinstance(node, ast.List | ast.Tuple):
        items = [option(source, item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Slice):
        return slice(*(part and option(source, part) for part in (node.lower, node.upper, node.step)))
    if isinstance(node, ast.Constant) and not isinstance(node.value, int | float | complex | bytes):
        return node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return node.value
    value = number(node)
    if value is None:
        source.fail(node, "expected a plain value, such as 1, -1, (0, 1), True or None")
    if isinstance(value, int) and abs(value) > LARGEST:
        source.fail(node, f"too large here; at most {LARGEST:,}")
    return value


def assignments(texts: list[str] | tuple[str, ...]) -> dict[str, Array]:
    """The values in `x=-2`, `w=[[1, 2], [3, 4]]`: by name. UsageError says what is wrong with which."""
    values: dict[str, Array] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier() or iskeyword(name):
            raise UsageError(f"{text!r}: expected NAME=VALUE, such as x=-2 or w=[[1,2],[3,4]]")
        if name in values:
            raise UsageError(f"{name} is given twice")
        try:
            source = ValueSource(value)
            values[name] = array(source, source.tree())
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
    return values
