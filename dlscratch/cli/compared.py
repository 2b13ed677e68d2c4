"""How it looks whether something is the same, and the temporary folder that finding out takes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from dlscratch.checks.arrays import Change
from dlscratch.checks.difference import Comparison
from dlscratch.checks.integrity import verify
from dlscratch.checks.noise import ALPHA, MetricTest
from dlscratch.checks.reproduce import Reproduction, Verdict
from dlscratch.checks.resume import Resumption
from dlscratch.checks.rows import Row
from dlscratch.cli.console import Console, number
from dlscratch.cli.progress import training_view
from dlscratch.cli.signals import leaving, whole

MOST_ROWS = 12  # of one section that are shown; --json has all
LONGEST = 60  # characters of a value


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also when a signal ends the command."""
    folder = Path(tempfile.mkdtemp(prefix="dlscratch-"))

    def clean() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    with leaving(clean):
        try:
            yield folder
        finally:
            clean()


def follow(console: Console, again: Reproduction) -> None:
    """Train once more, and show it; a signal is obeyed after the step under way."""
    epochs = again.config.training.epochs
    with scratch() as folder, whole() as stop, training_view(console, epochs) as view:
        for record in again.train(folder / "run"):
            view.show(record)
            if stop.signal is not None:
                break


def verify_file(console: Console, path: Path, data_root: Path | None) -> None:
    """Every SHA-256 of a file; an error at the end if one is wrong."""
    found = verify(path, data_root)
    rows = [(each.kind, each.name, each.status, each.sha256 or each.why) for each in found.findings]
    console.table(("", "name", "status", "SHA-256"), rows, left=4)
    for each in found.findings:
        if each.why and each.sha256:
            console.say(f"{each.name}: {each.why}")
    console.result({**asdict(found), "whole": found.whole})
    found.check()


def show_resumption(console: Console, found: Resumption) -> None:
    """The verdict on an interruption, and the first difference."""
    where = f"an interruption after {found.interrupted} (epoch {found.epoch}, batch {found.batch})"
    console.say(f"{found.steps} steps straight, and with {where}:")
    if found.difference is None:
        what = f"{found.arrays} arrays ({found.numbers:,} numbers), {found.values:,} values of steps, epochs and state"
        console.answer(f"identical in every bit: {what}", style="bold")
        return
    first = found.difference
    console.answer(f"different, first at {first.where}: {first.name}", style="bold")
    console.answer(f"straight {first.straight}, resumed {first.resumed}")
    if not found.repeatable:
        console.answer("the runs differ before the interruption already: training does not repeat itself here")


def show_reproduction(console: Console, found: Verdict) -> None:
    """The verdict on a second training, the first difference, and what is different about the machine."""
    what = f"{found.steps:,} steps, {found.epochs} epochs of metrics, {found.arrays} arrays ({found.numbers:,} numbers)"
    if found.difference is None:
        more = "; the next step diverged, too" if found.diverged else ""
        console.answer(f"identical in every bit: {what}{more}", style="bold")
    else:
        first = found.difference
        console.answer(f"different, first in {first.where}: {first.name}", style="bold")
        console.answer(f"then {_short(first.then)}, now {_short(first.now)}")
        _show_tensors(console, found.changed, found.arrays)
        for note in found.notes:
            console.answer(note)
    if found.environment is None:
        console.say("the environment of the training is not known: there is no run.json beside the model")
    elif found.environment:
        _show_rows(console, "environment", found.environment, ("then", "now"))
    elif found.difference is not None:
        console.answer("the environment is the same as far as run.json tells: versions, BLAS, processor")


def show_comparison(console: Console, found: Comparison) -> None:
    """All that differs, and the verdict."""
    for section in found.sections:
        _show_rows(console, section.title if section.counts else f"{section.title} (does not count)", section.rows)
    if found.compared:
        _show_tensors(console, found.tensors, found.compared)
    for note in found.notes:
        console.say(note)
    if found.tests:
        _show_tests(console, found.tests)
        differ = [test.metric for test in found.tests if test.differs]
        beyond = f"different beyond the noise of the seeds: {', '.join(differ)}" if differ else "no more than noise"
        console.answer(beyond, style="bold")
    else:
        console.answer("equal" if found.equal else "different", style="bold")


def _show_rows(console: Console, title: str, rows: Sequence[Row], names: tuple[str, str] = ("a", "b")) -> None:
    shown = [(row.name, _short(row.a), _short(row.b)) for row in rows[:MOST_ROWS]]
    console.table((title, *names), shown, left=3)
    if len(rows) > MOST_ROWS:
        console.say(f"{len(rows) - MOST_ROWS:,} more, which --json lists")


def _show_tensors(console: Console, tensors: Sequence[Change], compared: int) -> None:
    if tensors:
        rows = [_cells(each) for each in tensors[:MOST_ROWS]]
        console.table(("tensor", "‖a − b‖ / ‖a‖", "max |a − b|", "numbers that differ"), rows)
    more = f" ({len(tensors) - MOST_ROWS} of them are not shown)" if len(tensors) > MOST_ROWS else ""
    console.say(f"{len(tensors)} of {compared} arrays differ{more}" if tensors else f"all {compared} arrays are equal")


def _cells(change: Change) -> tuple[str, ...]:
    if change.elements is None:
        return change.name, change.what, "", ""
    return change.name, number(change.relative, 3), number(change.largest, 3), number(change.elements)


def _show_tests(console: Console, tests: Sequence[MetricTest]) -> None:
    rows = [
        (each.metric, *(f"{number(x.mean)} ± {number(x.std, 2)}" for x in (each.a, each.b)), f"{each.t:.3g}",
         f"{each.degrees:.3g}", f"{each.p:.3g}", f"{each.corrected:.3g}", "yes" if each.differs else "no")
        for each in tests
    ]  # fmt: skip
    console.table(("mean ± std", "a", "b", "t", "df", "p", "p (Holm)", f"p < {ALPHA}"), rows)
    console.say(f"Welch's t-test, two-sided, of {tests[0].a.runs} and {tests[0].b.runs} runs; p corrected by Holm")


def _short(value: object) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
