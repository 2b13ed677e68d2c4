"""The config of a word2vec run: the command line over a flat YAML file over the defaults.

    corpus: [kjv.txt.gz]        # files and folders, relative to the config
    dim: 50
    sentences: punctuation
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, create_model

from dlscratch.config.options import Section, options_model
from dlscratch.config.positions import Document, Position, read
from dlscratch.config.schema import base_of, check
from dlscratch.datasets.sources import resolve
from dlscratch.errors import UsageError
from dlscratch.word2vec.options import RunOptions, Word2VecOptions

STDIN = "-"
CONFIG: type[Section] = create_model(
    "Word2VecConfig",
    __base__=(options_model(RunOptions), options_model(Word2VecOptions)),
    corpus=(list[str] | str | None, Field(default=None, description="files and folders of text")),
)


class Given(NamedTuple):
    """A value from the command line, and how it was written: `--lr 0.1`."""

    value: Any
    text: str


@dataclass(frozen=True)
class Word2VecSettings:
    """A word2vec run: its text, what decides about its vectors, and how it goes; paths as they are opened."""

    corpus: tuple[str, ...]
    options: Word2VecOptions = field(default_factory=Word2VecOptions)
    run: RunOptions = field(default_factory=RunOptions)

    def values(self) -> dict[str, Any]:
        """The values of a config; what is None is left out."""
        values = {"corpus": list(self.corpus), **asdict(self.options), **asdict(self.run)}
        return {name: value for name, value in values.items() if value is not None}


def load(path: str | Path | None = None, given: Mapping[str, Given] | None = None) -> Word2VecSettings:
    """Read and check a config (`-`: stdin), if any, with the given values over it. ConfigError, UsageError."""
    given = given or {}
    if str(path) == STDIN and "corpus" in given and STDIN in given["corpus"].value:
        raise UsageError("stdin cannot be the text and the config; give one of them as a file")
    document = _overridden(Document("", {}) if path is None else read(path), given)
    values = dict(check(document, CONFIG))
    base = Path() if path is None else base_of(path)
    corpus = values["corpus"] or []
    settings = Word2VecSettings(
        tuple([corpus] if isinstance(corpus, str) else corpus),
        Word2VecOptions(**{each.name: values[each.name] for each in fields(Word2VecOptions)}),
        RunOptions(**{each.name: values[each.name] for each in fields(RunOptions)}),
    )
    if not settings.corpus:
        raise UsageError("name the text: files, folders, or - for stdin; or `corpus:` in a config")
    return _resolved(settings, base, given)


def _overridden(document: Document, given: Mapping[str, Given]) -> Document:
    """The document with the given values in it; messages about them show how they were written."""
    values, positions = dict(document.values), dict(document.positions)
    for number, (name, (value, _)) in enumerate(given.items(), start=1):
        values[name] = value
        positions = {path: place for path, place in positions.items() if path[:1] != (name,)}
        positions[name,] = (Position(number, 1, 1),) * 2
    texts = tuple(text for _, text in given.values())
    return replace(document, values=values, positions=positions, overrides=texts)


def _resolved(settings: Word2VecSettings, base: Path, given: Mapping[str, Given]) -> Word2VecSettings:
    """The settings with paths from the file as seen from here, and not from the file's folder."""

    def opened(path: str) -> str:
        return path if path == STDIN else str(resolve(path, base))

    options = settings.options
    if options.stopwords is not None and "stopwords" not in given:
        options = replace(options, stopwords=opened(options.stopwords))
    corpus = settings.corpus if "corpus" in given else tuple(map(opened, settings.corpus))
    return replace(settings, corpus=corpus, options=options)
