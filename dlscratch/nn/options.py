"""The check of constructor options: the signature that config/ makes a schema of is the rule in Python, too."""

from __future__ import annotations

import functools
import inspect
import operator
import types
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from dlscratch.errors import UsageError

REQUIRED: Any = ...  # the default of an option that must be given, though one with a default stands before it
BOUNDS: dict[Any, tuple[str, str, Any]] = {
    Gt: ("gt", ">", operator.gt),
    Ge: ("ge", "≥", operator.ge),
    Lt: ("lt", "<", operator.lt),
    Le: ("le", "≤", operator.le),
}


@functools.cache
def options_of(target: Any) -> dict[str, tuple[Any, Any]]:
    """The options of a constructor: name -> (annotated hint, default). Options are the parameters with `Annotated`."""
    hints = get_type_hints(target.__init__, include_extras=True)
    found = [p for p in inspect.signature(target).parameters.values() if get_origin(hints.get(p.name)) is Annotated]
    return {p.name: (hints[p.name], p.default) for p in found if p.kind is not inspect.Parameter.VAR_POSITIONAL}


def check_options(instance: Any) -> None:
    """UsageError for the first option, kept under its own name, that is missing or not as its annotation demands."""
    target: Any = type(instance)
    title = target.__name__
    for name, (hint, _) in options_of(target).items():
        value = getattr(instance, name)
        if value is ...:
            raise UsageError(f"{title}: {name} is missing; write {title}({name}=…)")
        if not (fits(value, hint) and all(_within(number, hint) for number in _numbers(value))):
            raise UsageError(f"{title}: {name} is {value!r}; expected {_words(hint)}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the JSON-like type that a hint names; lists stand for tuples, integers for floats."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Annotated:
        return fits(value, inner[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, member) for member in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin in (tuple, list):
        fixed = origin is tuple and ... not in inner
        items = isinstance(value, list | tuple) and all(fits(item, inner[0]) for item in value)
        return items and (not fixed or len(value) == len(inner))
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, Real) else []


def _bounds(hint: Any) -> list[tuple[str, Any, Any]]:
    """The limits in an annotated hint: (sign, number, comparison)."""
    notes = [note for note in get_args(hint)[1:] if type(note) in BOUNDS]
    return [(sign, getattr(note, name), holds) for note in notes for name, sign, holds in [BOUNDS[type(note)]]]


def _within(number: Any, hint: Any) -> bool:
    return all(holds(number, limit) for _, limit, holds in _bounds(hint))


def _words(hint: Any) -> str:
    """`int | tuple[int, int] > 0`."""
    base = get_args(hint)[0]
    name = base.__name__ if isinstance(base, type) else str(base).replace("typing.", "")
    return " ".join([name, *(f"{sign} {limit}" for sign, limit, _ in _bounds(hint))])
