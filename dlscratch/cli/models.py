"""The commands that train and use models: train, inspect, evaluate, predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlscratch.cli.options import ConfigFile, DataRoot, Json, ModelFile, Overrides, Quiet
from dlscratch.cli.signals import whole
from dlscratch.errors import UsageError

if TYPE_CHECKING:
    from dlscratch.cli.console import Console

LONGEST_NAME = 40  # letters of a class in a table
WIDEST_MATRIX = 25  # classes that fit a terminal side by side


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/NAME when left out, with --seeds runs/NAME-seeds.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for --set training.epochs=N.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Short for --set seed=N.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Train N runs with N seeds, and say how much they scatter.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's last.npz.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run that the folder holds.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time goes, by layer; writes profile.json, too.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the model of a config; writes config.yaml, run.json, metrics.jsonl, best.npz and last.npz.

    With --seeds these of each run go into OUT/seed-0 …, and OUT/summary.json holds mean and standard deviation.
    """
    from dlscratch.cli.console import Console
    from dlscratch.cli.training import train_one, train_seeds

    if resume and force:
        raise UsageError("--resume goes on with the run in the folder, --force replaces it; choose one")
    console = Console(json=json, quiet=quiet)
    short = {"training.epochs": epochs, "seed": seed}
    settings = [*(overrides or ()), *(f"{path}={value}" for path, value in short.items() if value is not None)]
    if seeds is None:
        train_one(console, config, settings, out, resume=resume, force=force, profile=profile)
    else:
        train_seeds(console, config, settings, out, seeds, resume=resume, force=force, profile=profile)


def evaluate(
    model: ModelFile,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA]...", help="A CSV, an .npz, or IDX images and labels; the run's test rows when left out."
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Loss and metrics of a trained model on raw rows with their target."""
    from dlscratch.cli.console import Console
    from dlscratch.runs import TrainedModel
    from dlscratch.runs.held_out import held_out
    from dlscratch.runs.places import model_at

    model = model_at(model)
    console = Console(json=json, quiet=quiet)
    trained = TrainedModel.load(model)
    results = trained.evaluate(list(data) if data else held_out(model, trained))
    _show_evaluation(console, results, trained.preprocessor.class_names)
    console.result({"model": str(model), "data": list(data or ["test rows of the run"]), **results})


def _show_evaluation(console: Console, results: dict[str, Any], classes: tuple[str, ...]) -> None:
    from dlscratch.cli.console import number
    from dlscratch.pictures.text import cut

    classes = tuple(cut(name, LONGEST_NAME) for name in classes)
    console.table(("metric", "value"), [(name, number(x)) for name, x in results.items() if not isinstance(x, list)])
    if "f1" in results:
        support = [sum(row) for row in results["confusion_matrix"]]
        columns = (results["precision"], results["recall"], results["f1"], support)
        rows = [(name, *map(number, figures)) for name, *figures in zip(classes, *columns, strict=True)]
        console.table(("class", "precision", "recall", "f1", "examples"), rows)
        if len(classes) > WIDEST_MATRIX:
            console.say(f"the confusion matrix of {len(classes)} classes is in --json")
            return
        matrix = [(name, *map(number, row)) for name, row in zip(classes, results["confusion_matrix"], strict=True)]
        console.table(("is \\ taken for", *classes), matrix)


def predict(
    model: ModelFile,
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Raw rows: a CSV, an .npz, or IDX images.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="A CSV file; - for stdout.")] = "-",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predictions of a trained model for raw rows, as CSV: the class and its probabilities, or the number."""
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.runs import TrainedModel
    from dlscratch.runs.places import model_at

    model = model_at(model)
    console = Console(json=json, quiet=quiet)
    target = None if out == "-" else Path(out)
    check_output(target, inputs=[model, *map(Path, data)])
    predictions = TrainedModel.load(model).predict(data)
    if target is not None:
        write_output(target, predictions.to_csv())
        console.say(f"{len(predictions):,} predictions in {out}")
    elif not json:
        console.write(predictions.to_csv())
    console.result({"model": str(model), "predictions": predictions.columns()})


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model, vectors, or any .npz file.")],
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Draw histograms, heat maps and filters of its arrays into DIR."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every SHA-256 instead: of each array, the file, and its data.")
    ] = False,
    data_root: DataRoot = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What is in a file: layers, shapes, parameters, statistics of each array, and how it was trained."""
    from dlscratch.cli.console import Console
    from dlscratch.runs.inspection import inspect as look
    from dlscratch.runs.places import model_at

    console = Console(json=json, quiet=quiet)
    if (verify and plots is not None) or (data_root is not None and not verify):
        raise UsageError("--verify takes the place of --plots, and --data-root is for --verify; leave one out")
    file = model_at(file)
    if verify:
        _verify(console, file, data_root)
        return
    if plots is not None:
        from dlscratch.pictures.figures import check_drawing

        check_drawing()
    document = look(file)
    _show_inspection(console, document)
    if plots is not None:
        document["plots"] = _draw(console, file, plots)
    console.result(document)


def _verify(console: Console, file: Path, data_root: Path | None) -> None:
    from dlscratch.cli.compared import verify_file

    verify_file(console, file, data_root)


def _draw(console: Console, file: Path, folder: Path) -> list[str]:
    """Draw the arrays; the paths of the files."""
    from dlscratch.runs.plots import plot_tensors

    with whole():
        written = [str(path) for path in plot_tensors(file, folder)]
    console.say(f"{len(written)} files in {folder}")
    return written


def _show_inspection(console: Console, document: dict[str, Any]) -> None:
    from dlscratch.cli.console import number

    arrays = document["arrays"]
    console.say(f"{document['file']}: {document['kind']}, {document['bytes']:,} bytes, {len(arrays)} arrays")
    if "layers" in document:
        _show_layers(console, document)
    if "most_frequent" in document:
        _show_words(console, document)
    shown = ["dtype", *(key for key in ("mean", "std", "min", "max", "zeros") if arrays)]
    shown += [key for key in ("nan", "inf") if any(facts.get(key) for facts in arrays.values())]
    rows = [
        (name, _shape(facts["shape"]), *(number(facts.get(key)) for key in shown)) for name, facts in arrays.items()
    ]
    console.table(("array", "shape", *shown), rows, left=3)
    training = document.get("training", {})
    facts = {
        **{key: training[key] for key in ("epoch", "step", "seed") if key in training},
        **training.get("metrics", {}),
    }
    if "classes" in document:
        facts |= {"classes": ", ".join(document["classes"]), "columns": ", ".join(document["columns"])}
    if facts:
        rows = [(name, number(value)) for name, value in facts.items() if value != "" and not isinstance(value, list)]
        console.table(("training", ""), rows, left=2)


def _show_words(console: Console, document: dict[str, Any]) -> None:
    """How many words, the most frequent ones, and what a run says of how they were trained."""
    corpus, options = document.get("corpus", {}), document.get("options", {})
    words = ", ".join(each["word"] for each in document["most_frequent"])
    rows = [("words", f"{document['words']:,}: {words} …"), ("numbers in each", str(document["dim"]))]
    rows += [("options", ", ".join(f"{name} {value}" for name, value in options.items() if value is not None))]
    rows += [("trained on", f"{corpus['words']:,} words, {corpus['bytes']:,} bytes")] if corpus else []
    rows += [("SHA-256", document["vectors_sha256"])] if "vectors_sha256" in document else []
    console.table(("word vectors", ""), [row for row in rows if row[1]], left=2)


def _show_layers(console: Console, document: dict[str, Any]) -> None:
    from dlscratch.cli.console import number

    rows = [
        (
            row["path"],
            "  " * row["path"].count(".") + row["kind"],
            _shape(row["output_shape"]),
            number(row["parameters"]),
        )
        for row in document["layers"]
    ]
    console.table(
        ("layer", "kind", "output", "parameters"), [*rows, ("total", "", "", number(document["parameters"]))], left=3
    )


def _shape(sizes: list[int]) -> str:
    return "×".join(map(str, sizes)) or "scalar"
