"""A rehearsal before the training: the model and the loss on a few rows, and whether what is monitored exists."""

from __future__ import annotations

import math

from dlscratch.config.positions import Document, Problem
from dlscratch.config.schema import Config
from dlscratch.datasets import Prepared
from dlscratch.errors import DlscratchError
from dlscratch.nn import Layer, Loss
from dlscratch.optim.schedules import Schedule, monitored
from dlscratch.training import EarlyStopping, evaluate
from dlscratch.training.objective import Objective

ROWS = 8


def rehearse(
    document: Document,
    config: Config,
    prepared: Prepared,
    objective: Objective,
    model: Layer,
    loss: Loss,
    watching: tuple[EarlyStopping | None, Schedule | None],
) -> None:
    """ConfigError: a loss that does not suit the outputs or is no number, or a monitored value that is not there."""
    part, rows = prepared.train, prepared.train.rows[:ROWS]
    x, y = part.preprocessor.convert(part.inputs[rows]), objective.loss_targets(part.targets[rows])
    try:
        values = evaluate(model, loss, [(x, y)], objective.metrics())
    except DlscratchError as error:
        raise document.error([Problem(("loss",), str(error))]) from None
    if not math.isfinite(monitored(values, "loss")):
        what = "the untrained model gives no finite loss; look at its first values"
        raise document.error([Problem(("model",), what)])
    if prepared.validation is not None:
        values |= {f"val_{name}": value for name, value in values.items()}
    kind = "" if config.schedule is None else config.schedule.kind
    places = ("training", "early_stopping", "monitor"), ("schedule", kind, "monitor")
    for place, watcher in zip(places, watching, strict=True):
        if (monitor := getattr(watcher, "monitor", None)) is not None:
            try:
                monitored(values, monitor)
            except DlscratchError as error:
                raise document.error([Problem(place, str(error))]) from None
