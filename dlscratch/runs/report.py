"""What a report says of a run, as one JSON document: pictures/report.py draws it, `report --json` prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlscratch import checkpoint
from dlscratch.datasets import Part
from dlscratch.errors import CheckpointError, UsageError
from dlscratch.nn.fields import check_fields
from dlscratch.pictures.tensors import histograms, histograms_json
from dlscratch.runs.folder import RunFolder
from dlscratch.runs.held_out import experiment_of
from dlscratch.runs.inspection import inspect
from dlscratch.runs.places import run_at, unfinished
from dlscratch.runs.records import PARTS, finite
from dlscratch.runs.report_rows import Rows, classification, regression
from dlscratch.runs.trained import TrainedModel

ENVIRONMENT = ("dlscratch", "python", "numpy", "blas", "platform", "processors", "command")
TIMES = ("status", "started", "resumed", "finished", "seconds", "error")
PER_CLASS = dict.fromkeys(("precision", "recall", "f1"), list[float | None]) | {"confusion_matrix": list[list[int]]}
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
    check_fields(facts, f"{folder.run}", {}, {"seconds": float | None})  # those of word2vec are several
    results = _with_examples(folder, model) if examples else _without_examples(folder, facts, model)
    document = {
        "name": model.facts["config"].get("name") or folder.path.name,
        "run": {key: facts[key] for key in TIMES if key in facts},
        "data": _data(facts, model),
        "target": model.objective.target.name,
        "task": model.objective.target.task,
        "classes": list(model.preprocessor.class_names),
        "best_epoch": model.facts["training"].get("epoch"),
        "epochs": folder.read_metrics(),
        **results,
        "model": _model(folder, model),
        "config": _config(folder),
        "environment": {key: facts[key] for key in ENVIRONMENT if key in facts},
    }
    return dict(finite(document))


def _config(folder: RunFolder) -> str:
    """The text of config.yaml, which nobody reads further: whatever its bytes are, they are shown."""
    return folder.config.read_text(encoding="utf-8", errors="backslashreplace") if folder.config.is_file() else ""


def _data(facts: dict[str, Any], model: TrainedModel) -> dict[str, Any]:
    stored = facts.get("data", {})
    inputs = {"inputs": list(model.preprocessor.input_shape), "columns": list(model.preprocessor.kinds)}
    rows = {name: count for name, count in stored.get("rows", {}).items() if name in PARTS}
    return {"files": stored.get("files", {}), "rows": rows, **inputs}


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


def _without_examples(folder: RunFolder, facts: dict[str, Any], model: TrainedModel) -> dict[str, Any]:
    """The results that the run itself has written, where it came to its end; CheckpointError: they are of no model."""
    results = facts.get("result", {})
    part = next((name for name in PARTS if name in results), None)  # the first that there is, is shown
    found, what = results.get(part, {}), f"{folder.run}: result.{part}"
    check_fields(found, what, {})
    needed = PER_CLASS if "confusion_matrix" in found else {}
    check_fields(found, what, needed, dict.fromkeys(found, float | list | None) | needed)
    lists = [found[name] for name in needed] + found.get("confusion_matrix", [])
    if any(len(values) != len(model.preprocessor.class_names) for values in lists):
        raise CheckpointError(f"{what}: expected a number for each of {len(model.preprocessor.class_names)} classes")
    return {"part": part, "results": found, "examples": []}


def _with_examples(folder: RunFolder, model: TrainedModel) -> dict[str, Any]:
    """The results on the test rows, and rows to look at; on others where the run kept no test rows."""
    experiment = experiment_of(folder.best, model, ADVICE)
    parts: dict[str, Part] = {name: part for name in PARTS if (part := getattr(experiment.prepared, name)) is not None}
    name, part = next(iter(parts.items()))
    rows = Rows.of(experiment, name, part, model.preprocessor)
    look = classification if model.objective.target.task == "classification" else regression
    return {"part": name, "results": model.evaluate(part), "columns": rows.columns, **look(model, part, rows)}
