"""What `train` does: one run, or one for each of several seeds; what is said of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscratch.cli.console import Console, number
from dlscratch.cli.progress import training_view
from dlscratch.cli.signals import Stop, whole
from dlscratch.config.build import Experiment, build
from dlscratch.errors import DivergedError
from dlscratch.pictures.graph import model_graph
from dlscratch.pictures.text import counted
from dlscratch.runs import Run

if TYPE_CHECKING:
    from dlscratch.runs.seeds import Seeds
    from dlscratch.training.profile import Profile

MOST_COLUMNS = 8  # seeds whose figures stand side by side


def train_one(
    console: Console,
    config: str,
    overrides: list[str],
    out: Path | None,
    *,
    resume: bool,
    force: bool,
    profile: bool = False,
) -> None:
    """One run, to its end."""
    with _profiling(profile) as watch:
        experiment = build(config, overrides)
        folder = out or Path("runs") / str(experiment.config.name)
        describe_experiment(console, experiment)
        with whole() as stop:
            run = Run.resume(experiment, folder) if resume else Run.start(experiment, folder, force=force)
            _say_where(console, run)
            follow(console, run, stop)
            profiled = _end_profile(console, run, watch)
    result = {**run.finish(), **profiled}
    _show_result(console, result)
    console.result(result)


def train_seeds(
    console: Console,
    config: str,
    overrides: list[str],
    out: Path | None,
    count: int,
    *,
    resume: bool,
    force: bool,
    profile: bool = False,
) -> None:
    """A run for each seed, one after the other, and a table of all."""
    from dlscratch.runs.seeds import Seeds

    series = Seeds.of(config, overrides, out, count)
    series.check(resume=resume, force=force)
    if force:
        series.clear()
    results: dict[int, dict[str, Any]] = {}
    for seed in series.seeds:
        with _profiling(profile) as watch, whole() as stop:
            run = series.run(seed, resume=resume, force=force)
            if not results:
                describe_experiment(console, run.experiment)
            console.say(f"seed {seed}: {run.folder.path}", style="bold")
            _say_where(console, run)
            try:
                follow(console, run, stop)
            except DivergedError as error:
                raise series.diverged(seed, error) from None
            _end_profile(console, run, watch)
        results[seed] = run.finish()
    summary = series.summarize(results)
    _show_summary(console, series, summary)
    console.result({"folder": str(series.folder), **summary})


def follow(console: Console, run: Run, stop: Stop) -> None:
    """Train to the end; a signal is obeyed after the step under way, when last.npz is safely written."""
    record = None
    with training_view(console, run.experiment.config.training.epochs) as view:
        for record in run.train():
            view.show(record)
            if stop.signal is not None:
                break
    if stop.signal is not None:
        run.interrupted()
        console.warn(f"stopped; {run.folder.last} is written, go on with --resume")
    elif record is None:
        console.say("nothing is left to train; raise training.epochs or training.time_limit to go on")


def describe_experiment(console: Console, experiment: Experiment) -> None:
    """What will be trained on what, and what looks odd about it."""
    target = experiment.objective.target
    rows = ", ".join(f"{name} {count:,}" for name, count in experiment.rows.items())
    what = f"{len(target.classes)} classes" if target.task == "classification" else "a number"
    shape = "x".join(map(str, experiment.prepared.preprocessor.input_shape))
    graph = model_graph(experiment.model, "")
    model = f"{counted(graph.root.parameters, 'parameter')} in {counted(graph.layers, 'layer')}"
    console.say(f"{experiment.config.name}: {shape} inputs, target {target.name} ({what}); rows: {rows}; {model}")
    for warning in experiment.warnings:
        console.warn(warning)


def _say_where(console: Console, run: Run) -> None:
    """Where a run goes on that is not at its beginning."""
    if run.state.step and not run.idle:
        console.say(f"resuming at epoch {run.state.epoch + 1}, step {run.state.step + 1}")


def _profiling(wanted: bool) -> AbstractContextManager[Profile | None]:
    """Inside, all that is computed is timed, if it is wanted."""
    if not wanted:
        return nullcontext()
    from dlscratch.training.profile import Profile

    return Profile()


def _end_profile(console: Console, run: Run, profile: Profile | None) -> dict[str, Any]:
    """Show what the training took, and write it to the run's folder; what --json adds to the result."""
    if profile is None or run.idle:
        return {}
    from dlscratch.training.profile import CAPTION

    profile.stop()
    document = profile.document()
    run.folder.write_profile(document)
    titles, *lines = profile.table()
    console.table(titles, lines, left=2)
    console.say(CAPTION)
    return {"profile": document}


def _show_result(console: Console, result: dict[str, Any]) -> None:
    for part in ("validation", "test"):
        if part in result:
            figures = "  ".join(
                f"{name} {number(value)}" for name, value in result[part].items() if not isinstance(value, list)
            )
            style = "bold" if part == "test" else None
            console.answer(f"{part} (best epoch, {result['best_epoch']}):  {figures}", style)
            _compare_with_guessing(console, part, result[part])
    console.answer(result["model"])


def _compare_with_guessing(console: Console, part: str, results: dict[str, Any]) -> None:
    """Warn of a model that a constant answer equals."""
    if "confusion_matrix" in results:
        most = max(map(sum, results["confusion_matrix"])) / results["examples"]
        if results["accuracy"] <= most:
            console.warn(f"{part}: always saying the commonest class would be right as often ({most:.4f})")
    elif results["r2"] <= 0:
        console.warn(f"{part}: always saying the mean would be as good (r2 {results['r2']:.4g})")


def _show_summary(console: Console, series: Seeds, summary: dict[str, Any]) -> None:
    """Mean ± standard deviation of each metric, and the figures of each seed where they fit."""
    from dlscratch.runs.seeds import SUMMARY

    shown = series.seeds if len(series.seeds) <= MOST_COLUMNS else ()
    rows = [
        (name, f"{number(each['mean'])} ± {number(each['std'], 2)}", *map(number, each["values"][: len(shown)]))
        for name, each in summary["metrics"].items()
    ]
    head = f"mean ± std of {len(series.seeds)}"
    console.table(("best epoch of each", head, *(f"seed {seed}" for seed in shown)), rows)
    console.answer(str(series.folder / SUMMARY))
