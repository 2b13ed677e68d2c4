"""The commands that ask whether a model is right: gradcheck and doctor. Exit code 1: something is wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from dlscratch.cli.options import ConfigFile, Json, Overrides, Quiet

if TYPE_CHECKING:
    from dlscratch.checks.gradients import GradientCheck
    from dlscratch.checks.symptoms.finding import Finding
    from dlscratch.cli.console import Console
    from dlscratch.config.build import Experiment

STYLES = {"bad": "bold red", "warning": "yellow"}


def gradcheck(
    config: ConfigFile,
    overrides: Overrides = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Take so many rows of the first batch; all of it.")] = None,
    directions: Annotated[int, typer.Option(min=1, help="Random directions in each parameter.")] = 3,
    tolerance: Annotated[
        float, typer.Option(min=1e-12, max=1, help="The relative difference of two slopes that is still right.")
    ] = 1e-5,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare each gradient with finite differences, on the first batch, in float64. Exit code 1 if one is wrong."""
    from dataclasses import asdict

    from dlscratch.checks.gradients import check_gradients
    from dlscratch.cli.console import Console
    from dlscratch.config.build import build

    console = Console(json=json, quiet=quiet)
    found = check_gradients(build(config, overrides or ()), rows=rows, directions=directions, tolerance=tolerance)
    _show_gradients(console, found)
    console.result({"config": config, "right": found.right, "where": found.where, **asdict(found)})
    if not found.right:
        raise typer.Exit(1)


def _show_gradients(console: Console, found: GradientCheck) -> None:
    from dlscratch.cli.console import number

    console.say(f"loss {found.loss:.6g} of {found.rows:,} rows, in float64, along random directions:")
    rows = [
        (each.name, "×".join(map(str, each.shape)), each.verdict, number(each.error, 2), number(each.gradient),
         each.directions, each.bends)
        for each in found.tensors
    ]  # fmt: skip
    console.table(("parameter", "shape", "verdict", "largest error", "|gradient|", "judged", "bends"), rows, left=3)
    if any(each.bends for each in found.tensors):
        console.say("bends: directions too near to a bend of relu, max-pooling … to tell; others were taken instead")
    wrong = sum(each.verdict == "wrong" for each in found.tensors)
    if found.right:
        console.answer(f"all {len(rows)} gradients are right", style="bold")
    else:
        what = f"{wrong} of {len(rows)} gradients are wrong" if wrong else "not all gradients could be judged"
        console.answer(f"{what}: {found.where}", style=STYLES["bad"])


def doctor(config: ConfigFile, overrides: Overrides = None, json: Json = False, quiet: Quiet = False) -> None:
    """Look for what can be wrong with data, model and training: each with a verdict, the number, and what to do.

    Exit code 1 if something is bad; warnings leave it at 0.
    """
    from dataclasses import asdict

    from dlscratch.cli.console import Console
    from dlscratch.config.build import build

    console = Console(json=json, quiet=quiet)
    findings = _examined(console, build(config, overrides or ()))
    count = Counter(finding.verdict for finding in findings)
    _show_findings(console, findings)
    told = ", ".join(f"{count[verdict]} {verdict}" for verdict in ("bad", "warning", "ok", "skipped"))
    console.answer(f"{config}: {told}", style="bold")
    console.result({"config": config, "healthy": not count["bad"], "findings": [asdict(each) for each in findings]})
    if count["bad"]:
        raise typer.Exit(1)


def _examined(console: Console, experiment: Experiment) -> list[Finding]:
    """The findings; a person who watches sees what has been done."""
    from dlscratch.checks.doctor import doctor as examine

    if console.quiet or not console.is_terminal:
        return list(examine(experiment))
    findings = []
    with console.rich.status("examining") as status:
        for finding in examine(experiment):
            findings.append(finding)
            status.update(f"{len(findings)}: {finding.check}")
    return findings


def _show_findings(console: Console, findings: list[Finding]) -> None:
    from dlscratch.cli.console import number

    rows = [(each.verdict, each.check, number(each.number, 3), each.meaning) for each in findings]
    console.table(("verdict", "check", "number", "what it means"), rows, left=4)
    for each in findings:
        if each.advice:
            console.answer(f"{each.verdict}, {each.check}: {each.advice}", style=STYLES[each.verdict])
