"""The commands that ask whether something is the same: verify-resume, reproduce, diff. Exit code 1: it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlscratch.cli.options import ConfigFile, DataRoot, Json, Overrides, Quiet

DIFFERENT = 1


def verify_resume(
    config: ConfigFile,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option("-n", "--steps", min=1, help="Steps before the interruption, and after.")] = 20,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train 2N steps straight, and N, a save, a load and N more: is every bit the same? Exit code 1 if not."""
    from dataclasses import asdict

    from dlscratch.checks.resume import verify_resume as verify
    from dlscratch.cli import compared
    from dlscratch.cli.console import Console

    console = Console(json=json, quiet=quiet)
    with compared.scratch() as folder:
        found = verify(config, folder, overrides or (), steps)
    compared.show_resumption(console, found)
    console.result({**asdict(found), "identical": found.identical})
    if not found.identical:
        raise typer.Exit(DIFFERENT)


def reproduce(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A best.npz or last.npz, or the folder of a run.")],
    data_root: DataRoot = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model again from what it says of itself: is every bit the same? Exit code 1 if not."""
    from dataclasses import asdict

    from dlscratch.checks.reproduce import Reproduction
    from dlscratch.cli import compared
    from dlscratch.cli.console import Console

    console = Console(json=json, quiet=quiet)
    again = Reproduction.of(model, data_root)
    compared.follow(console, again)
    found = again.verdict()
    compared.show_reproduction(console, found)
    console.result({**asdict(found), "identical": found.identical})
    if not found.identical:
        raise typer.Exit(DIFFERENT)


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A model, word vectors, or the folder of a run or of seeds.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same kind.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What is different: architecture, tensors, config, data, metrics, environment. Exit code 0 equal, 1 different.

    Two folders of `train --seeds` differ if a metric does beyond the noise of seeds: Welch's t-test, Holm's correction.
    """
    from dataclasses import asdict

    from dlscratch.checks.difference import compare
    from dlscratch.cli import compared
    from dlscratch.cli.console import Console

    console = Console(json=json, quiet=quiet)
    found = compare(a, b)
    compared.show_comparison(console, found)
    console.result({**asdict(found), "equal": found.equal})
    if not found.equal:
        raise typer.Exit(DIFFERENT)
