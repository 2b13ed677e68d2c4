"""pydantic's errors -> lines that say what is wrong and what to do, in the order of the file.

pydantic says where; what was expected is said from the hint that stands there. So the words do not depend on
pydantic's, and an option that can be of several types gives one line instead of one for each type.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic import BaseModel, ValidationError

from dlscratch.config.nodes import FLOAT as NUMERIC
from dlscratch.config.options import Marker, OneOf, Options, bounds_in
from dlscratch.config.positions import Document, KeyPath, Problem, show
from dlscratch.errors import ConfigError, did_you_mean

# What people write who come from elsewhere -> our name, which is PyTorch's.
OTHER_NAMES = {
    "learning_rate": "lr",
    "batchsize": "batch_size",
    "batch": "batch_size",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "n_epochs": "epochs",
    "iterations": "epochs",
    "random_seed": "seed",
    "random_state": "seed",
    "units": "out_features",
    "hidden": "out_features",
    "filters": "out_channels",
    "rate": "p",
    "l2": "weight_decay",
    "gradient_clipping": "clip_norm",
    "max_grad_norm": "clip_norm",
    "layers": "model",
    "dataset": "data",
    "label": "target",
    "file": "path",
}

MOST_EXPLAINED = 100  # problems: nobody makes as many, and each takes its time
WORDS: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "text", type(None): "null"}
BOUNDS = [(Gt, "gt", "greater than"), (Ge, "ge", "at least"), (Lt, "lt", "less than"), (Le, "le", "at most")]


def config_error(error: ValidationError, document: Document, model: type[BaseModel]) -> ConfigError:
    """All of pydantic's complaints about the document, one line each."""
    problems: dict[KeyPath, Problem] = {}
    lines = error.errors(include_url=False, include_context=False)
    for line in lines[:MOST_EXPLAINED]:
        found = _problem(line["type"], line["loc"], line["msg"], document, model)
        problems.setdefault(found.path, found)
    more = [f"{document.name}: and {len(lines) - MOST_EXPLAINED:,} more"] if len(lines) > MOST_EXPLAINED else []
    return ConfigError([*document.error(problems.values()).problems, *more])


def _problem(kind: str, loc: KeyPath, message: str, document: Document, model: type[BaseModel]) -> Problem:
    if kind == "problem":
        return Problem(loc, message)
    if kind == "extra_forbidden":
        return Problem(loc, _unknown_key(loc, document, model), at_key=True)
    path, hint = _hint_at(model, loc)
    if kind == "missing":
        return Problem(path, f"missing; it is required: {describe(hint)}")
    value, expected = _value(document, path), describe(hint)
    return Problem(path, f"expected {expected}, got {show(value)}{_advice(value, expected)}")


def _advice(value: Any, expected: str) -> str:
    """What to do about a value that only looks like a number, or like none."""
    if isinstance(value, str) and "number" in expected.replace("integer", "number") and NUMERIC.match(value):
        return "; remove the quotes"
    if isinstance(value, float) and not math.isfinite(value) and "number" in expected:
        return "; write a finite number"
    if isinstance(value, float) and value.is_integer() and "an integer" in expected:
        return f"; write {int(value)}"
    return ""


def _value(document: Document, path: KeyPath) -> Any:
    """The value at a path; for options of a bare name, the name."""
    value: Any = document.values
    for part in path:
        if isinstance(value, str):
            return value
        value = value[part] if value is not None else None
    return value


def _hint_at(model: Any, loc: KeyPath) -> tuple[KeyPath, Any]:
    """The path and the hint of an error; a path ends where an option can be of several types."""
    hint = model
    for length, part in enumerate(loc):
        below = _below(hint, part)
        if below is None:
            return loc[:length], hint
        hint = below
    return loc, hint


def _inside(hint: Any) -> Any:
    """The hint without `Annotated` and `| None`; a model for options."""
    marker = _marker(hint)
    if marker is not None:
        return marker.model if isinstance(marker, Options) else marker
    if get_origin(hint) is Annotated:
        return _inside(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        return _inside(members[0]) if len(members) == 1 else hint
    return hint


def _marker(hint: Any) -> Marker | None:
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, Marker)), None)


def _below(hint: Any, part: str | int) -> Any:
    """The hint of a key or index inside a hint, or None."""
    inside = _inside(hint)
    if isinstance(inside, OneOf):
        return Annotated[dict, inside.options(str(part))] if part in inside.registry else None
    if isinstance(inside, type) and issubclass(inside, BaseModel):
        field = inside.model_fields.get(str(part))
        return None if field is None else Annotated[field.annotation, None, *field.metadata]
    origin, members = get_origin(inside), get_args(inside)
    if origin is tuple:
        return members[0] if members[-1] is ... else members[min(int(part), len(members) - 1)]
    return members[-1] if origin in (list, dict) else None


def describe(hint: Any, rules: tuple[Any, ...] = ()) -> str:
    """What a hint expects, in words: "an integer greater than 0 or null"."""
    marker, origin, inner = _marker(hint), get_origin(hint), get_args(hint)
    if marker is not None:
        return marker.words
    if origin is Annotated:
        return describe(inner[0], (*rules, *(rule for note in inner[1:] for rule in bounds_in(note))))
    if origin is Literal:
        return f"one of {', '.join(map(_choice, inner))}" if len(inner) > 1 else show(inner[0])
    if origin in (Union, types.UnionType):
        members = [describe(member, rules) for member in inner]
        return (", or " if any(" or " in member for member in members) else " or ").join(members)
    if origin is tuple and inner[-1] is not ...:
        return f"a list of {len(inner)}, each {describe(inner[0], rules)}"
    if origin in (list, tuple):
        return f"a list{_length(rules)}, each {describe(inner[0])}"
    if origin is dict:
        return f"a mapping, each value {describe(inner[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"a mapping with keys such as {', '.join(list(hint.model_fields)[:3])}"
    if hint is type(None):
        return "null"
    return WORDS.get(hint, "a value") + (_length(rules) if hint is str else _bounds(rules))


def _choice(value: Any) -> str:
    """A value to choose: a word as it is, a punctuation mark in quotes."""
    return show(value) if isinstance(value, str) and not any(map(str.isalnum, value)) else str(value)


def _bounds(rules: tuple[Any, ...]) -> str:
    """ " greater than 0 and at most 1"."""
    bounds = [(rule, name, text) for kind, name, text in BOUNDS for rule in rules if isinstance(rule, kind)]
    words = [f"{text} {show(getattr(rule, name))}" for rule, name, text in bounds]
    words += [f"a multiple of {show(rule.multiple_of)}" for rule in rules if isinstance(rule, MultipleOf)]
    if not words:
        return ""
    return (" of " if words[0].startswith("at ") else " ") + " and ".join(words)


def _length(rules: tuple[Any, ...]) -> str:
    """ " of at least 1": of a list's items or a text's characters."""
    words = [f"at least {rule.min_length}" for rule in rules if isinstance(rule, MinLen)]
    words += [f"at most {rule.max_length}" for rule in rules if isinstance(rule, MaxLen)]
    return f" of {' and '.join(words)}" if words else ""


def _unknown_key(path: KeyPath, document: Document, model: type[BaseModel]) -> str:
    """What to say of a key that is not known where it stands."""
    key, known = str(path[-1]), list(_inside(_hint_at(model, path[:-1])[1]).model_fields)
    ours = OTHER_NAMES.get(key, key)
    if ours in known:
        return f'unknown key; did you mean "{ours}"?'
    if home := _home(key, model, document):
        return f"unknown key here; it belongs {home}"
    if closest := did_you_mean(key, known):
        return f"unknown key{closest}"
    if home := _home(ours, model, document):
        return f'unknown key; it belongs {home} as "{ours}"'
    return f"unknown key; the keys here are {', '.join(known)}" if known else "unknown key; there are no options here"


def _home(key: str, model: type[BaseModel], document: Document) -> str:
    """Where a key is known, such as "in optimizer.adam"; an empty string where it is not."""
    if key in model.model_fields:
        return "at the top level"
    homes = [path for path, keys in _places(model, document.values, "") if key in keys]
    return "in " + min(homes, key=lambda path: "…" in path) if homes else ""


def _places(hint: Any, value: Any, path: str) -> Iterator[tuple[str, Iterable[str]]]:
    """Every mapping below a hint, as its path and its keys; the kinds that the document uses come first."""
    inside = _inside(hint)
    if isinstance(inside, OneOf):
        yield from _places_of_kinds(inside, value, path)
    elif isinstance(inside, type) and issubclass(inside, BaseModel):
        if path:
            yield path, inside.model_fields
        for name in inside.model_fields:
            inner = value.get(name) if isinstance(value, dict) else None
            yield from _places(_below(inside, name), inner, f"{path}.{name}" if path else name)
    elif get_origin(inside) is list:
        for index, item in enumerate(value if isinstance(value, list) else []):
            yield from _places(_below(inside, index), item, f"{path}[{index}]")
        yield from _places(_below(inside, 0), None, f"{path}[…]")


def _places_of_kinds(choice: OneOf, value: Any, path: str) -> Iterator[tuple[str, Iterable[str]]]:
    keys = {kind: choice.options(kind).model.model_fields for kind in choice.registry}
    used = value if isinstance(value, str) else next(iter(value), None) if isinstance(value, dict) else None
    if used in keys:
        yield f"{path}.{used}", keys[used]
    if path.endswith("]") and used is not None:
        return
    yield path.removesuffix("[…]"), keys
    shared = set.intersection(*map(set, keys.values())) if keys else set()
    yield f"{path}.<kind>", shared
    yield from ((f"{path}.{kind}", options) for kind, options in keys.items())
