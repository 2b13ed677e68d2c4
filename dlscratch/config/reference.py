"""The reference of everything that a config can hold, made from the signatures: for `options` and the README."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any, get_args

from pydantic.fields import FieldInfo

from dlscratch.config.options import INITIALIZER, Marker, OneOf, Options, Section, plain, summary
from dlscratch.config.positions import show
from dlscratch.config.problems import describe
from dlscratch.config.schema import (
    LAYER,
    LOSS,
    OPTIMIZER,
    PREPROCESSING,
    SCHEDULE,
    CheckpointEvery,
    Config,
    Data,
    Training,
)
from dlscratch.datasets.readers import READERS
from dlscratch.errors import UsageError, did_you_mean
from dlscratch.training.early_stopping import EarlyStopping

SECTIONS: dict[str, type[Section]] = {
    "config": Config,
    "data": Data,
    "training": Training,
    "checkpoint_every": CheckpointEvery,
}
PARTS = {"preprocessing": PREPROCESSING, "early_stopping": Options(EarlyStopping)}
KINDS = {
    "reader": OneOf("reader", READERS),
    "layer": LAYER,
    "initializer": INITIALIZER,
    "loss": LOSS,
    "optimizer": OPTIMIZER,
    "schedule": SCHEDULE,
}
TITLES = {
    "section": "Sections of a config",
    "reader": "Readers",
    "layer": "Layers",
    "initializer": "Initializers",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
}


@dataclass(frozen=True)
class Option:
    """An option in words; an empty default says that it may be left out, None that it must be given."""

    name: str
    values: str
    default: str | None
    description: str


@dataclass(frozen=True)
class Entry:
    """A section or a kind, and its options."""

    name: str
    family: str
    summary: str
    options: tuple[Option, ...]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Name, values, default and description of each option."""
        return [
            (each.name, each.values, "required" if each.default is None else each.default, each.description)
            for each in self.options
        ]


def entries() -> Iterator[Entry]:
    """All of it, family by family, in the order of the config and of the registries."""
    for name, section in SECTIONS.items():
        yield _entry(name, "section", summary(section), section)
    for name, part in PARTS.items():
        yield _entry(name, "section", summary(part.target), part.model)
    for family, choice in KINDS.items():
        for kind, target in choice.registry.items():
            yield _entry(kind, family, summary(target), choice.options(kind).model)


def families() -> dict[str, list[Entry]]:
    """The entries under the titles of their families."""
    found: dict[str, list[Entry]] = {title: [] for title in TITLES.values()}
    for entry in entries():
        found[TITLES[entry.family]].append(entry)
    return found


def named(name: str) -> list[Entry]:
    """The entries of a name, more than one where families share it; UsageError with the closest name for none."""
    everything = list(entries())
    found = [entry for entry in everything if entry.name == name]
    if not found:
        hint = did_you_mean(name, [entry.name for entry in everything])
        raise UsageError(f'there is nothing named "{name}" in a config{hint}; `dlscratch options` lists all names')
    return found


def markdown(name: str | None = None) -> str:
    """The entries of a name, or the whole reference, as the README holds it."""
    if name is not None:
        return "\n\n".join(map(entry_markdown, named(name)))
    parts: list[str] = []
    for title, group in families().items():
        parts += [f"### {title}", *map(entry_markdown, group)]
    return "\n\n".join(parts)


def entry_markdown(entry: Entry) -> str:
    """One entry: a line, and the table of its options where it has any."""
    head = f"**`{entry.name}`**: {_escaped(entry.summary)}"
    if not entry.options:
        return head
    rows: list[tuple[str, ...]] = [("option", "value", "default", "meaning"), ("---",) * 4]
    rows += [(f"`{name}`", *map(_escaped, rest)) for name, *rest in entry.rows()]
    return "\n".join([head, "", *(f"| {' | '.join(row)} |" for row in rows)])


def document(name: str | None = None) -> list[dict[str, Any]]:
    """The entries of a name, or all, as plain JSON."""
    return [asdict(entry) for entry in (entries() if name is None else named(name))]


def _entry(name: str, family: str, text: str, model: type[Section]) -> Entry:
    return Entry(name, family, text, tuple(_option(key, field) for key, field in model.model_fields.items()))


def _option(name: str, field: FieldInfo) -> Option:
    default = None if field.is_required() else _value(field.default) if field.default_factory is None else ""
    hint: Any = Annotated[field.annotation, None, *field.metadata]
    values = describe(hint)
    for marker in _markers(hint):
        values = values.replace(marker.words, _in_short(marker))
    if default == "":  # null is the same as leaving it out
        values = values.removesuffix(", or null").removesuffix(" or null")
    return Option(name, values, default, field.description or "")


def _markers(hint: Any) -> Iterator[Marker]:
    if isinstance(hint, Marker):
        yield hint
    for part in get_args(hint):
        yield from _markers(part)


def _in_short(marker: Marker) -> str:
    """The words without what the entries beside it tell."""
    if isinstance(marker, Options):
        return "its options"
    return marker.words.partition(" by name,")[0]


def _value(value: Any) -> str:
    """A default as it would be written in YAML."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else show(plain(value))


def _escaped(text: str) -> str:
    """Text that means itself in a cell of a Markdown table."""
    return "".join(f"\\{letter}" if letter in "|*<" else letter for letter in text)
