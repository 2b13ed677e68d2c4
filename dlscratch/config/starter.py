"""A first config for some data: what was found as comments, and choices that train well at once."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.config.columns import FEW_ROWS
from dlscratch.config.csv_findings import Task
from dlscratch.config.facts import facts, safe, shown
from dlscratch.config.findings import Found, look_at
from dlscratch.config.positions import to_yaml
from dlscratch.datasets.cells import is_number
from dlscratch.datasets.tables import Categories, Column, Table
from dlscratch.errors import UsageError

STANDARD = "standard", "mean 0 and deviation 1, over the training rows"
CHANNELS = 1, 3, 4
ROWS_A_CLASS = 10  # fewer rows a class than this, on average, and the target may be another column
LEAST_IMAGE, LARGE_IMAGE = 8, 64  # pixels a side: from the first on a convolutional network, from the second on deeper


@dataclass(frozen=True)
class Size:
    """What suits a number of rows: hidden sizes, and how long and in what steps to train; images take their time."""

    hidden: tuple[int, ...]
    batch_size: int
    epochs: int
    image_epochs: int
    lr: float


SIZES = {  # up to so many rows
    1_000: Size((32,), 16, 100, 60, 5e-3),
    10_000: Size((128, 64), 64, 60, 30, 3e-3),
    100_000: Size((256, 128), 128, 30, 6, 1e-3),
    math.inf: Size((256, 128), 512, 20, 4, 1e-3),
}


@dataclass(frozen=True)
class Starter:
    """A config's text, what it was made of, and what a person should know of it: `notes` stand in it as comments."""

    text: str
    found: Found

    @property
    def notes(self) -> list[str]:
        """The reasons for options, each behind the option's name."""
        return [f"{option}: {note}" for option, notes in self.found.notes.items() for note in notes]

    @property
    def warnings(self) -> list[str]:
        """What may well be wrong with the data or its use."""
        return list(_warnings(self.found))


def starter(path: Path, output: Path, target: str | None = None, task: Task = "auto") -> Starter:
    """The config for the data at `path`, with paths as they are right in a file at `output`.

    UsageError where a CSV's target is not named, DataError where the data cannot be used.
    """
    found = look_at(path, target, task)
    sections = [
        "\n".join(_heading(path, output, found)),
        "seed: 0",
        "\n".join(_data(found, output.parent)),
        "\n".join(_model(found)),
        _line("", "loss", "cross_entropy" if found.target.task == "classification" else "mse", _loss_note(found)),
        "optimizer:\n" + _line("  ", "adam", {"lr": 2e-3 if _image_shape(found) else _size(found).lr}),
        _line("", "schedule", "cosine", "from lr down to 0 over the whole run"),
        "\n".join(_training(found)),
    ]
    return Starter("\n\n".join(sections) + "\n", found)


def _warnings(found: Found) -> Iterator[str]:
    target, rows = found.target, len(found.data)
    if len(target.classes) > 2 and rows < ROWS_A_CLASS * len(target.classes):
        numbers = "; amounts are learned with --task regression" if all(map(is_number, target.classes)) else ""
        many = f'"{target.name}" has {len(target.classes)} classes in {rows:,} rows'
        yield f"{many}, few rows for each: is it what is to be learned?{numbers}"
    parts = dict(zip(("validation", "test"), _fractions(found), strict=True))
    without = [part for part, share in parts.items() if not share and (part == "validation" or found.test is None)]
    if without:
        zeros = " and ".join(f"{part}: 0" for part in without)
        yield f"{zeros}: {_few(found)}; nothing tells how well the model does on other rows than those it learns from"


def _few(found: Found) -> str:
    """Why a part is left out."""
    return f"too few rows to hold some out: {_least(found)} of the rarest class"


def _heading(path: Path, output: Path, found: Found) -> Iterator[str]:
    name = shlex.quote(output.name)
    what = found.target.task if found.target.task == "regression" else f"{len(found.target.classes)} classes"
    yield f"# Learns {shown(found.target.name)} ({what}) from {shown(path.name or str(path))}."
    yield "# Written by `dlscratch init`: a start that should train well at once, and is yours to change."
    yield "#"
    yield f"#     dlscratch check {safe(name)}"
    yield f"#     dlscratch train {safe(name)}"
    yield "#"
    yield "# Paths are relative to this file. What is there:"
    yield "#"
    yield from (f"#   {line}".rstrip() for line in facts(found))


def _data(found: Found, folder: Path) -> Iterator[str]:
    yield "data:"
    yield f"  {found.reader}:"
    for key, value in _relative(found.options, folder).items():
        yield from (f"    # {safe(note)}" for note in found.notes.get(key, ()))
        yield _line("    ", key, value)
    yield _line("  ", "task", found.target.task)
    validation, test = _fractions(found)
    few = _few(found)
    yield _line("  ", "validation", validation, "this part of the rows chooses the best epoch" if validation else few)
    if found.test is None:
        yield _line("  ", "test", test, "and this part is kept for the final result" if test else few)
    else:
        yield f"  test:\n    {found.reader}:"
        yield from (_line("      ", key, value) for key, value in _relative(found.test, folder).items())
    yield "  preprocessing:"
    yield from (_line("    ", key, value, note) for key, (value, note) in _preprocessing(found).items())


def _relative(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same options with paths that start at the config's folder."""
    files = {"path", "images", "labels"}
    return {key: _path_from(folder, Path(value)) if key in files else value for key, value in options.items()}


def _path_from(folder: Path, path: Path) -> str:
    real = os.path.join(os.path.realpath(path.parent), path.name)
    text = Path(os.path.relpath(real, os.path.realpath(folder))).as_posix()
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"{path}: the name is not UTF-8, which a config cannot hold; rename the file")
    return f"./{text}" if text.startswith("~") else text


def _fractions(found: Found) -> tuple[float, float]:
    """The parts for validation and test: each class needs a row in every part."""
    rows, least = len(found.data), _least(found)
    validation, test = (0.15, 0.2) if rows < 1_000 else (0.1, 0.2) if rows < 50_000 else (0.05, 0.1)
    return validation if least > (1 if found.test else 2) else 0, test if least > 1 else 0


def _least(found: Found) -> int:
    """The rows of the rarest class, or all rows where there are no classes."""
    return min(found.class_counts().values(), default=len(found.data))


def _preprocessing(found: Found) -> dict[str, tuple[Any, str]]:
    """The options and the reason for each."""
    if isinstance(found.data, Table):
        dropped = found.options.get("drop", ())
        return _for_columns([column for name, column in found.data.features.items() if name not in dropped])
    x = found.data.inputs
    if x.dtype == np.uint8 and x.max() > 127:
        options: dict[str, tuple[Any, str]] = {"scale": (255, "bytes are 0 to 255: divided by 255 they are 0 to 1")}
    else:
        options = {"scale": STANDARD} | ({"per_feature": (True, "each number by itself")} if x.ndim == 2 else {})
    if _channels_last(found):
        options["channels_last"] = True, "height, width, channels become channels, height, width"
    elif shape := _image_shape(found):
        options["shape"] = list(shape), "channels, height, width"
    return options


def _for_columns(columns: Sequence[Column]) -> dict[str, tuple[Any, str]]:
    numbers = [column for column in columns if not isinstance(column, Categories)]
    most = _pixel_maximum(numbers) if len(numbers) == len(columns) else None
    options: dict[str, tuple[Any, str]] = {"scale": STANDARD}
    if most:
        options["scale"] = most, f"0 to {most} in all columns, as pixels are: divided by {most} they are 0 to 1"
    if any(np.isnan(column).any() for column in numbers):
        options["impute"] = "median", "what a missing number becomes"
    if any(isinstance(column, Categories) and _has_rare(column) for column in columns):
        options["unseen"] = "ignore", "some texts are rare: the training rows may lack them"
    return options


def _pixel_maximum(columns: Sequence[Array]) -> int | None:
    """The common maximum of many columns of whole numbers from 0 on, most of which come near it; None for others."""
    if len(columns) < LEAST_IMAGE**2 // 2 or not all(np.all(column == np.floor(column)) for column in columns):
        return None
    high = [float(column.max()) for column in columns]
    alike = sum(value >= max(high) / 2 for value in high) >= len(high) / 2
    return int(max(high)) if alike and all(column.min() >= 0 for column in columns) and max(high) > 1 else None


def _has_rare(column: Categories) -> bool:
    """Whether a category, or the missing cell, is in so few rows that none may be a training row."""
    return bool(np.unique(column.codes, return_counts=True)[1].min() < FEW_ROWS)


def _image_shape(found: Found) -> tuple[int, int, int] | None:
    """Channels, height and width where the examples are images; None for everything else."""
    shape = found.data.inputs.shape[1:] if not isinstance(found.data, Table) else ()
    shape = (1, *shape) if len(shape) == 2 else (shape[2], *shape[:2]) if _channels_last(found) else shape
    return (shape[0], shape[1], shape[2]) if _is_image(shape) else None


def _channels_last(found: Found) -> bool:
    """Whether the examples are images whose last axis is the channels."""
    shape = found.data.inputs.shape[1:] if not isinstance(found.data, Table) else ()
    return len(shape) == 3 and not _is_image(shape) and _is_image((shape[2], *shape[:2]))


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in CHANNELS and min(shape[1:]) >= LEAST_IMAGE


def _model(found: Found) -> Iterator[str]:
    yield "model:"
    shape = _image_shape(found)
    yield from map(_layer, _convolutional(shape) if shape else _fully_connected(found))
    outputs = found.target.outputs
    note = "one number a class; cross_entropy makes them probabilities" if found.target.classes else ""
    yield _layer({"linear": {"out_features": outputs}}, note)


def _convolutional(shape: tuple[int, int, int]) -> list[Any]:
    channels = (16, 32) if min(shape[1:]) < LARGE_IMAGE else (16, 32, 64, 64)
    layers: list[Any] = []
    for count in channels:
        layers.append({"conv2d": {"out_channels": count, "kernel_size": 3, "padding": 1}})
        layers += ["batch_norm2d"] if count > 16 else []  # on the full picture it would take the most time
        layers += ["relu", {"max_pool2d": {"kernel_size": 2}}]
    return [*layers, "flatten", {"linear": {"out_features": 128}}, "relu", {"dropout": {"p": 0.3}}]


def _fully_connected(found: Found) -> list[Any]:
    flat = isinstance(found.data, Table) or found.data.inputs.ndim <= 2
    layers: list[Any] = [] if flat else ["flatten"]
    for count in _size(found).hidden:
        layers += [{"linear": {"out_features": count}}, "relu"]
        if count >= 128 and found.target.task == "classification":
            layers.append({"dropout": {"p": 0.2}})
    return layers


def _loss_note(found: Found) -> str:
    return "of the standardised target; results are told in its own units" if found.target.task == "regression" else ""


def _training(found: Found) -> Iterator[str]:
    size = _size(found)
    epochs = size.image_epochs if _image_shape(found) else size.epochs
    yield "training:"
    yield f"  epochs: {epochs}"
    yield f"  batch_size: {size.batch_size}"
    if _fractions(found)[0] and epochs >= 20:
        yield _line("  ", "early_stopping", {"patience": epochs // 3}, "the best epoch is kept in any case")


def _size(found: Found) -> Size:
    return next(size for rows, size in SIZES.items() if len(found.data) < rows)


def _line(lead: str, key: str, value: Any, comment: str = "") -> str:
    """A key and its value, a scalar or a list or mapping of scalars, in one line of YAML with a comment behind it."""
    text = to_yaml({key: value}).strip()
    text = lead + (text[1:-1] if text.startswith("{") else text)  # {a: 1} as a: 1
    return f"{text:<32} # {comment}" if comment else text


def _layer(layer: Any, comment: str = "") -> str:
    """An entry of the list of layers: a bare kind, or a kind with options."""
    [(kind, options)] = [(layer, None)] if isinstance(layer, str) else layer.items()
    return f"  - {kind}" if options is None else _line("  - ", kind, options, comment)
