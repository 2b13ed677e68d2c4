"""What `init` writes, and what it says then."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from dlscratch.checkpoint import write_text
from dlscratch.cli.console import Console
from dlscratch.cli.signals import whole
from dlscratch.config.csv_findings import Task
from dlscratch.config.examples import example
from dlscratch.config.starter import Starter, starter
from dlscratch.errors import UsageError

MOST_NOTES = 12
SUFFIXES = re.compile(r"(\.(csv|tsv|npz|idx|gz|txt))+$", re.IGNORECASE)


def write_starter(
    console: Console, data: Path, target: str | None, task: Task, out: Path | None, force: bool
) -> None:
    """Write a starter config, by default as the data's name in the current folder."""
    default = _default_name(data)
    path = Path(default) if out is None else out / default if out.is_dir() else out
    if path.exists() and not force:
        raise UsageError(f"{path}: exists already; write to another file with -o, or overwrite it with --force")
    if path.exists() and path.samefile(data):
        raise UsageError(f"{path}: is the data itself; write the config to another file with -o")
    made = starter(data, path, target, task)
    with whole():
        write_text(path, made.text)
    _warn(console, made)
    _say_next(console, f"wrote {path}: {_summary(made)}", path, map("note: {}".format, _some(made.notes)))
    console.result({"config": str(path), **_facts(made)})


def print_starter(console: Console, data: Path, target: str | None, task: Task) -> None:
    """Print a starter config for the current folder; with --json as a text in the document."""
    made = starter(data, Path(_default_name(data)), target, task)
    if not console.json:
        console.write(made.text)
    _warn(console, made)
    console.result({"config": None, "text": made.text, **_facts(made)})


def write_example(console: Console, name: str, folder: Path, force: bool) -> None:
    """Write an example and its data into a folder."""
    chosen = example(name)
    with whole():
        paths = chosen.write(folder, force=force)
    _say_next(console, f"wrote {_listed(paths)}", folder / f"{name}.yaml", chosen.absent and [
        "first bring the data, which does not come along:",
        *(f"  {folder / each}" for each in chosen.absent),
    ])
    console.result({"config": str(paths[-1]), "files": list(map(str, paths[:-1])), "absent": list(chosen.absent)})


def _default_name(data: Path) -> str:
    """`penguins.yaml` for penguins.csv.gz."""
    name = Path(data.resolve().name if data.name in ("", "..") else data.name).name
    return f"{SUFFIXES.sub('', name) or 'config'}.yaml"


def _say_next(console: Console, what: str, config: Path, first: Iterable[str] = ()) -> None:
    console.say(what)
    for line in first:
        console.say(line)
    console.say("next:")
    for command in ("check", "train"):
        console.say(f"  dlscratch {command} {shlex.quote(str(config))}")


def _warn(console: Console, made: Starter) -> None:
    for warning in made.warnings:
        console.warn(warning)


def _some(notes: list[str]) -> list[str]:
    """The first notes, and how many more there are in the config."""
    more = len(notes) - MOST_NOTES
    return [*notes[:MOST_NOTES], f"{more} more, in the comments of the config"] if more > 1 else notes


def _summary(made: Starter) -> str:
    target, rows = made.found.target, f"{len(made.found.data):,} rows"
    what = f"{len(target.classes)} classes" if target.task == "classification" else "a number"
    return f"{target.name} ({what}) from {rows}"


def _facts(made: Starter) -> dict[str, object]:
    found = made.found
    return {
        "target": found.target.name,
        "task": found.target.task,
        "classes": list(found.target.classes),
        "rows": len(found.data),
        "drop": list(found.options.get("drop", ())),
        "notes": [*made.warnings, *made.notes],
    }


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
