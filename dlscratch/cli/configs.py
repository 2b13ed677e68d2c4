"""The commands about configs: init writes one, check finds what is wrong with one, schema and options describe them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dlscratch.cli.options import ConfigFile, Json, Overrides, Quiet
from dlscratch.errors import UsageError


def init(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="A CSV, NPZ or IDX file of images, or a folder of them.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="What to learn: a column, array or file of labels.")
    ] = None,
    task: Annotated[
        Literal["auto", "classification", "regression"], typer.Option("--task", help="auto: told by the target.")
    ] = "auto",
    example: Annotated[
        str | None,
        typer.Option(
            "--example",
            metavar="NAME",
            help="Write an example and its data: digits, mnist_cnn, mnist_mlp, penguin_mass or penguins.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The config to write, - for stdout; with --example a folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at data and write a commented config that trains on it; or write an example and its data."""
    from dlscratch.cli import starting
    from dlscratch.cli.console import Console

    console = Console(json=json, quiet=quiet)
    if example is not None:
        if data is not None or target is not None or task != "auto":
            raise UsageError("--example brings its own data; leave DATA, --target and --task out")
        starting.write_example(console, example, out or Path(), force)
    elif data is None:
        raise UsageError("name the data, such as `dlscratch init data.csv --target species`, or an --example")
    elif str(out) == "-":
        starting.print_starter(console, data, target, task)
    else:
        starting.write_starter(console, data, target, task, out, force)


def check(config: ConfigFile, overrides: Overrides = None, json: Json = False, quiet: Quiet = False) -> None:
    """Find everything that is wrong with a config, its data and its model, before any training."""
    from dlscratch.cli.console import Console
    from dlscratch.config.build import build

    console = Console(json=json, quiet=quiet)
    experiment = build(config, overrides or ())
    for warning in experiment.warnings:
        console.warn(warning)
    parts = {name: getattr(experiment.prepared, name) for name in ("train", "validation", "test")}
    rows = {name: len(part) for name, part in parts.items() if part is not None}
    parameters = sum(parameter.size for parameter in experiment.model.parameters())
    count = len(experiment.warnings)
    verdict = "nothing is wrong" if count == 0 else f"can be trained, with {count} warning{'s' * (count > 1)}"
    console.say(f"{config}: {verdict}")
    console.say(f"{', '.join(f'{name} {count:,}' for name, count in rows.items())} rows; {parameters:,} parameters")
    console.result({"config": config, "rows": rows, "parameters": parameters, "warnings": list(experiment.warnings)})


def schema(json: Json = False) -> None:
    """Print the JSON Schema of a config, with which editors complete and check."""
    from dlscratch.cli.console import Console
    from dlscratch.config.schema import json_schema

    Console(json=True).result(json_schema())  # with and without --json


def options(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A kind or section, such as linear, adam or training.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables as Markdown.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe every option of every layer, loss, optimizer, schedule, reader and section of a config."""
    from dlscratch.cli.console import Console
    from dlscratch.config import reference

    if markdown and json:
        raise UsageError("--markdown and --json are two forms of the same; choose one")
    console = Console(json=json)  # the text is the result: --quiet leaves it
    if markdown:
        console.write(f"{reference.markdown(name)}\n")
    elif json:
        console.result(reference.document(name))
    elif name is None:
        for title, group in reference.families().items():
            console.table([title, ""], [(entry.name, entry.summary) for entry in group], left=2)
    else:
        for entry in reference.named(name):
            console.say(f"{entry.name} ({entry.family}): {entry.summary}")
            if entry.options:
                console.table(["option", "value", "default", "meaning"], entry.rows(), left=4)
