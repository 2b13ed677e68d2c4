"""The command replay: the step at which a run diverged, once more and slowly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlscratch.cli.options import Json, Quiet
from dlscratch.errors import DivergedError

if TYPE_CHECKING:
    from dlscratch.checks.blackbox import Replay
    from dlscratch.cli.console import Console
    from dlscratch.training.divergence import Range

COLUMNS = ("shape", "min", "max", "NaN", "Inf")
MARK = "◀ here"
MOST_ROWS = 10


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The blackbox.npz of a diverged run, or its folder.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the step at which a run diverged once more, and show where its first NaN or Inf comes from.

    Needs neither the data nor the config. Exit code 4 where the step diverges again, 0 where it does not.
    """
    from dlscratch.checks.blackbox import replay as rerun
    from dlscratch.cli.console import Console

    console = Console(json=json, quiet=quiet)
    found = rerun(file)
    _show(console, found)
    console.result(found.document())
    if found.reproduced:
        raise typer.Exit(DivergedError.exit_code)


def _show(console: Console, found: Replay) -> None:
    facts, story = found.box.facts, found.story
    place = f"epoch {facts['epoch']}, batch {facts['batch']} of {facts['batches']} (step {facts['step']})"
    console.say(f"{place}: {len(found.box.rows)} examples, lr {facts['lr']:.6g}, seed {facts['seed']}", style="bold")
    _show_forward(console, found)
    if story.gradients:
        _show_backward(console, found)
    elif found.reproduced:
        console.say("no backward pass: the loss is not finite\n")
    if found.reproduced:
        _show_first(console, found)
    else:
        _show_difference(console, found)


def _show_forward(console: Console, found: Replay) -> None:
    story, first = found.story, found.story.first
    start = {"x": story.x, "y": story.y}
    start |= {name: values for name, values in story.parameters.items() if not values.finite}
    here = first.array if first and first.during in ("batch", "parameters") else None
    rows = [(name, "", *_cells(values), _mark(name == here)) for name, values in start.items()]
    here = first.layer if first and first.during == "forward" else None
    rows += [(layer.path, layer.kind, *_cells(layer.output), _mark(layer.path == here)) for layer in story.layers]
    console.table(("forward", "", *COLUMNS, ""), rows, left=2)


def _show_backward(console: Console, found: Replay) -> None:
    story = found.story
    here = story.first.layer if story.first and story.first.during == "backward" else None
    rows = []
    for layer in reversed(story.layers):
        if layer.gradient is not None:
            mark = _mark(layer.path == here)
            rows.append((layer.path, f"{layer.kind}: of its output", *_cells(layer.gradient), mark))
        own = {name: values for name, values in story.gradients.items() if name.rpartition(".")[0] == layer.path}
        rows += [(name, "", *_cells(values), "") for name, values in own.items()]
    console.table(("gradients", "", *COLUMNS, ""), rows, left=2)


def _show_first(console: Console, found: Replay) -> None:
    """The culprit, its inputs, and what to do."""
    first = found.story.first
    if first is not None:
        console.answer(f"the first: {found.where()}: {first.range}{_rows(first.rows)}", style="bold")
        if first.inputs:
            console.table(("made of", *COLUMNS), [(name, *_cells(values)) for name, values in first.inputs.items()])
    for place in found.places():
        console.answer(place)
    for advice in found.advice():
        console.answer(f"to do: {advice}")
    how = "with the same numbers" if found.same else f"though not with the same numbers as {found.box.facts['error']}"
    console.answer(f"reproduced, {how}")


def _show_difference(console: Console, found: Replay) -> None:
    """What to say where the step goes well."""
    console.answer("not reproduced: here the loss and all gradients of this step are finite", style="bold")
    console.answer(f"what was recorded: {found.box.facts['error']}")
    for line in found.differences() or ["nothing that is known to matter differs here from where it was recorded"]:
        console.answer(line)


def _cells(values: Range) -> tuple[str, ...]:
    from dlscratch.cli.console import number

    shape, bad = "×".join(map(str, values.shape)) or "scalar", (values.nan, values.inf)
    return shape, number(values.min), number(values.max), *(f"{count:,}" if count else "" for count in bad)


def _mark(here: object) -> str:
    return MARK if here else ""


def _rows(rows: tuple[int, ...]) -> str:
    """`, rows 1, 2, 3 …`: of the batch."""
    if not rows:
        return ""
    shown = ", ".join(str(row + 1) for row in rows[:MOST_ROWS])
    return f", in row{'s' * (len(rows) > 1)} {shown}{' …' * (len(rows) > MOST_ROWS)} of the batch"
