"""The commands that draw a run: plot, report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlscratch.cli.options import Json, Quiet

if TYPE_CHECKING:
    from dlscratch.cli.console import Console
    from dlscratch.pictures.curves import Chart

ENDINGS = (".png", ".svg", ".pdf", ".json", ".csv")
REPORT_ENDINGS = (".html", ".json")
HEIGHT = 12  # lines of a chart in the terminal
WIDEST = 160
PIPE_WIDTH = 80

RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of one run or of several.")]


def plot(
    runs: RunFolders,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="A .png, .svg, .pdf, .json or .csv to write.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME", help="Draw this, such as loss or lr. Repeatable.")
    ] = None,
    x: Annotated[Literal["epoch", "step", "seconds"], typer.Option("--x", help="What the curves go over.")] = "epoch",
    log: Annotated[bool, typer.Option("--log", help="Space values by their logarithm.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Curves of loss and metrics, of several runs in one picture: in the terminal, or as a file."""
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.pictures.curves import charts, to_json
    from dlscratch.runs.curves import metrics_of

    ending = check_output(out, ENDINGS)
    console = Console(json=json, quiet=quiet)
    drawn = charts(metrics_of(runs), metric or (), x)
    if out is None:
        _show(console, drawn, log)
    else:
        write_output(out, _content(drawn, ending, log))
        console.say(f"{len(drawn)} charts in {out}")
    console.result({"runs": [str(run) for run in runs], "file": out and str(out), "charts": to_json(drawn)})


def _show(console: Console, drawn: Sequence[Chart], log: bool) -> None:
    """Draw the charts as text: the result, which only a JSON document takes the place of."""
    from dlscratch.cli.live import coloured
    from dlscratch.pictures.braille import plot as lines

    if console.quiet and console.json:
        return
    width = min(WIDEST, shutil.get_terminal_size((PIPE_WIDTH, 0)).columns)  # of a pipe: COLUMNS, if it is set
    for number, chart in enumerate(drawn):
        console.rich.print("\n" * bool(number), coloured(lines(chart, width, HEIGHT, log=log)), sep="")


def _content(drawn: Sequence[Chart], ending: str, log: bool) -> str | bytes:
    """What a file with this ending holds."""
    from dlscratch.pictures.curves import draw, to_csv, to_json

    if ending == ".csv":
        return to_csv(drawn)
    return _json(to_json(drawn)) if ending == ".json" else draw(drawn, ending[1:], log=log)


def _json(document: Any) -> str:
    import json

    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="The .html to write, or its data as .json; RUN/report.html."),
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Show rows of the data, or leave all of them out.")
    ] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """One page about a run, to open or to send: curves, confusion matrix with examples, mistakes, model, config."""
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.pictures.report import report as page
    from dlscratch.runs.places import run_at
    from dlscratch.runs.report import collect

    own = out is None  # a name in the run's folder, and not one that the user chose
    out = out or run_at(run).path / "report.html"
    ending = check_output(out, REPORT_ENDINGS)
    console = Console(json=json, quiet=quiet)
    document = collect(run, examples=examples)
    size = write_output(out, _json(document) if ending == ".json" else page(document), follow=not own)
    console.say(f"{out}: {size:,} bytes")
    console.result({"file": str(out), **document})
