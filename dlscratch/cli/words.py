"""The command word2vec: its options are those of Word2VecOptions and RunOptions, said once and there."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from annotated_doc import Doc

from dlscratch.cli.options import Json, Quiet
from dlscratch.errors import UsageError
from dlscratch.word2vec.options import RunOptions, Word2VecOptions

if TYPE_CHECKING:
    from dlscratch.cli.console import Console
    from dlscratch.config.word2vec import Given, Word2VecSettings
    from dlscratch.runs.word2vec import Word2VecRun
    from dlscratch.word2vec.plan import Plan

FLAGS = {"lowercase": "--lowercase/--keep-case"}  # where both ways have a name
LEAST_KEPT = 0.2  # of the words, by subsampling
SUFFIXES = (".gz", ".bz2", ".xz")


def word2vec(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS...", help="Text: files, also .gz .bz2 .xz, folders, - for stdin."),
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="A YAML file with any of these options.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder; runs/NAME when left out.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what a run would need, and train nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the folder's run that was interrupted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run that the folder holds.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    **options: Any,
) -> None:
    """Train word vectors on text; writes vectors.npz, config.yaml, run.json and metrics.jsonl."""
    from dlscratch.cli.console import Console
    from dlscratch.config.word2vec import load

    if resume and force:
        raise UsageError("--resume goes on with the run in the folder, --force replaces it; choose one")
    settings = load(config, _given({"corpus": corpus or None, **options}))
    folder = out or Path("runs") / _name(settings)
    console = Console(json=json, quiet=quiet)
    if settings.options.objective == "softmax":
        console.warn("objective softmax computes the whole vocabulary for each pair: it is slow, for small texts")
    if plan:
        _plan(console, settings, folder)
    else:
        _train(console, settings, folder, resume=resume, force=force)


def command() -> Any:
    """The command with all of its options: made when it is used, since they take time."""
    signature = inspect.signature(word2vec, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    keyword = [each.replace(kind=each.KEYWORD_ONLY) for each in (*own, *_parameters())]

    def run(**given: Any) -> None:
        word2vec(**given)

    run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in keyword}
    app = typer.Typer(add_completion=False)
    app.command("word2vec", help=word2vec.__doc__)(run)
    return typer.main.get_command(app)


def _parameters() -> Iterator[inspect.Parameter]:
    """An option of the command line for each option of a run: None where it is not given."""
    for target in (Word2VecOptions, RunOptions):
        hints = get_type_hints(target, include_extras=True)
        for name, parameter in inspect.signature(target).parameters.items():
            option = typer.Option(
                *([FLAGS[name]] if name in FLAGS else []),
                help=_help(hints[name], parameter.default),
                metavar="FILE" if name == "stopwords" else None,
            )
            kind = get_args(hints[name])[0]
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
            )


def _help(hint: Any, default: Any) -> str:
    """The option's documentation, its default, and its bounds."""
    documentation = next(note.documentation for note in get_args(hint) if isinstance(note, Doc))
    bounds = [
        f"{sign} {getattr(note, name):,}"
        for note in get_args(hint)
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if hasattr(note, name)
    ]
    said = [] if default is None or isinstance(default, bool) else [f"default {default}"]
    return f"{documentation} ({', '.join(said + bounds)})" if said + bounds else str(documentation)


def _given(options: dict[str, Any]) -> dict[str, Given]:
    """The options that were given, and how each is written."""
    from dlscratch.config.word2vec import Given

    given = {name: value for name, value in options.items() if value is not None}
    return {name: Given(value, _written(name, value)) for name, value in given.items()}


def _written(name: str, value: Any) -> str:
    if name == "corpus":
        return shlex.join(value)
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        yes, _, no = FLAGS.get(name, f"{flag}/--no-{flag[2:]}").partition("/")
        return yes if value else no
    return f"{flag} {shlex.quote(str(value))}"


def _name(settings: Word2VecSettings) -> str:
    """`kjv` for data/kjv.txt.gz."""
    if settings.corpus[0] == "-":
        return "stdin"
    path = Path(settings.corpus[0]).resolve()
    name = path.name.removesuffix(path.suffix) if path.suffix.lower() in SUFFIXES else path.name
    return Path(name).stem or "text"


def _train(console: Console, settings: Word2VecSettings, folder: Path, *, resume: bool, force: bool) -> None:
    """Count, encode and train to the end; a signal is obeyed at once, or after the step under way, when it is saved."""
    from dlscratch.cli.signals import leaving, whole
    from dlscratch.cli.word_progress import word_view
    from dlscratch.runs.word2vec import Word2VecRun, abandon

    with word_view(console) as view:

        def clean() -> None:
            view.leave()
            abandon(folder)

        with leaving(clean):
            if resume:
                run = Word2VecRun.resume(settings, folder, view.counted)
            else:
                run = Word2VecRun.start(settings, folder, force=force, tell=view.counted)
        if run.result is None:
            _describe(console, run)
        with whole() as stop:
            for record in run.train():
                view.show(record, run)
                if stop.signal is not None:
                    run.interrupted()
                    console.warn(f"stopped; {run.folder.last} is written, go on with --resume")
                    break
    if run.result is not None:
        console.say("the run is finished; nothing is left to train")
    _show_result(console, run.finish())


def _describe(console: Console, run: Word2VecRun) -> None:
    """What the text holds, and what is dropped of it."""
    report, options = run.encoded.report, run.settings.options
    if report.skipped:
        console.warn(f"{len(report.skipped):,} files that are no text were left out, such as {report.skipped[0]}")
    plural = "s" if report.sentences > 1 else ""
    console.say(f"{report.words:,} words, {report.distinct:,} different ones, in {report.sentences:,} sentence{plural}")
    why = [f"fewer than {options.min_count} times"] if options.min_count > 1 else []
    why += ["stop words"] if options.stopwords else []
    why += [f"beyond the {options.max_vocab:,} most frequent"] if options.max_vocab else []
    share = report.dropped / report.words
    dropped = f"{report.dropped_distinct:,} different words dropped, {report.dropped:,} occurrences ({share:.1%})"
    console.say(f"vocabulary {len(run.encoded.vocabulary):,}; {dropped}{': ' if why else ''}{', or '.join(why)}")


    if run.trainer.kept < LEAST_KEPT:
        what = f"--sample {options.sample:g} leaves {run.trainer.kept:.1%} of the words, since each of them is frequent"
        console.warn(f"{what}; for a text of few different words take --sample 0")


def _show_result(console: Console, result: dict[str, Any]) -> None:
    console.say(f"{result['vocabulary']:,} words, {result['dim']} numbers each; SHA-256 {result['sha256']}")
    console.say(result["vectors"], style="bold")
    console.result(result)


def _plan(console: Console, settings: Word2VecSettings, folder: Path) -> None:
    import shutil
    from dataclasses import asdict

    from dlscratch.cli.signals import leaving
    from dlscratch.cli.word_progress import word_view
    from dlscratch.runs.word2vec import plan_run, planning_folder

    def clean() -> None:
        shutil.rmtree(planning_folder(folder), ignore_errors=True)

    with leaving(clean):
        try:
            with word_view(console) as view:
                found = plan_run(settings, folder, view.counted)
        finally:
            clean()
    _show_plan(console, found)
    console.result(asdict(found))


def _show_plan(console: Console, plan: Plan) -> None:
    from dlscratch.cli.word_progress import duration

    report = plan.report
    rows = [
        ("words", f"{report.words:,}, {report.distinct:,} different ones"),
        ("dropped", f"{report.dropped:,}, {report.dropped_distinct:,} different ones"),
        ("vocabulary", f"{plan.vocabulary:,}"),
        ("kept by subsampling", f"{plan.kept:,} in all epochs"),
        ("pairs", f"{plan.pairs:,} in all epochs"),
        ("words in a step", f"{plan.tokens_per_step:,}"),
        ("memory", f"{plan.memory / 1e6:,.0f} MB for training"),
        ("speed", f"{plan.words_per_second:,.0f} words/s, as measured"),
        ("time", f"{duration(plan.seconds)} of training"),
    ]
    console.table(("plan", ""), rows, left=2)
