"""What a report says of a run, as one JSON document: pictures/report.py draws it, `report --json` prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlscratch import checkpoint
from dlscratch.datasets import Part
from dlscratch.errors import UsageError
from dlscratch.pictures.tensors import histograms, histograms_json
from dlscratch.runs.folder import RunFolder, finite
from dlscratch.runs.held_out import experiment_of
from dlscratch.runs.inspection import inspect
from dlscratch.runs.places import metrics_at, run_at, unfinished
from dlscratch.runs.report_rows import Rows, classification, regression
from dlscratch.runs.trained import TrainedModel

ENVIRONMENT = ("dlscratch", "python", "numpy", "blas", "platform", "processors", "command")
TIMES = ("status", "started", "resumed", "finished", "seconds", "error")
PARTS = ("test", "validation", "train")  # the first that there is, is shown
ADVICE = "use --no-examples for a report without the data"


def collect(path: Path, *, examples: bool = True) -> dict[str, Any]:
    """The document of the run at a path. Without `examples` the data are not read, and the results are run.json's.

    UsageError: no run of a model there. DataError: the data changed, or are gone. CheckpointError: damaged.
    """
    folder = run_at(path)
    if not folder.best.exists():
        words = "a run of word vectors: use `plot`, and `vectors map`"
        why = words if folder.vectors.exists() else unfinished(folder)
        raise UsageError(f"{path}: there is no {folder.best.name}, the model of a run, in it: {why}")
    model = TrainedModel.load(folder.best)
    facts = folder.read_run()
    results = _with_examples(folder, model) if examples else _without_examples(facts)
    document = {
        "name": model.facts["config"].get("name") or folder.path.name,
        "run": {key: facts[key] for key in TIMES if key in facts},
        "data": _data(facts, model),
        "target": model.objective.target.name,
        "task": model.objective.target.task,
        "classes": list(model.preprocessor.class_names),
        "best_epoch": model.facts["training"].get("epoch"),
        "epochs": metrics_at(folder),
        **results,
        "model": _model(folder, model),
        "config": folder.config.read_text(encoding="utf-8") if folder.config.exists() else "",
        "environment": {key: facts[key] for key in ENVIRONMENT if key in facts},
    }
    return dict(finite(document))


def _data(facts: dict[str, Any], model: TrainedModel) -> dict[str, Any]:
    stored = facts.get("data", {})
    inputs = {"inputs": list(model.preprocessor.input_shape), "columns": list(model.preprocessor.kinds)}
    return {"files": stored.get("files", {}), "rows": stored.get("rows", {}), **inputs}


def _model(folder: RunFolder, model: TrainedModel) -> dict[str, Any]:
    """The layers, all that rebuilds them, and the histograms of their arrays."""
    found = inspect(folder.best)
    arrays, _ = checkpoint.load(folder.best)
    return {
        "file": folder.best.name,
        "bytes": found["bytes"],
        "parameters": found["parameters"],
        "layers": found["layers"],
        "architecture": model.network.architecture(),
        "input_shape": list(model.network.input_shape or ()),
        "loss": model.loss,
        "histograms": histograms_json(histograms(arrays)),
    }


def _without_examples(facts: dict[str, Any]) -> dict[str, Any]:
    """The results that the run itself has written, where it came to its end."""
    found = facts.get("result", {})
    part = next((name for name in PARTS if name in found), None)
    return {"part": part, "results": found.get(part, {}), "examples": []}


def _with_examples(folder: RunFolder, model: TrainedModel) -> dict[str, Any]:
    """The results on the test rows, and rows to look at; on others where the run kept no test rows."""
    experiment = experiment_of(folder.best, model, ADVICE)
    parts: dict[str, Part] = {name: part for name in PARTS if (part := getattr(experiment.prepared, name)) is not None}
    name, part = next(iter(parts.items()))
    rows = Rows.of(experiment, name, part, model.preprocessor)
    look = classification if model.objective.target.task == "classification" else regression
    return {"part": name, "results": model.evaluate(part), "columns": rows.columns, **look(model, part, rows)}
