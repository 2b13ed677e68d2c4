"""What a loss wants as targets, how many outputs it needs, and what a model's outputs then mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.targets import Target
from dlscratch.errors import UsageError
from dlscratch.training.metrics import METRICS, Metric, Results, TopK

FOR_CLASSES = ("cross_entropy", "nll", "binary_cross_entropy_with_logits")
FOR_NUMBERS = ("mse", "l1", "huber")
TOP = 5


class InUnits(Metric):
    """Another metric, of outputs and targets brought back to the units of the data."""

    def __init__(self, metric: Metric, target: Target) -> None:
        self.metric, self.target = metric, target
        self.training = metric.training  # type: ignore[misc]

    def sums(self, output: Array, target: Array) -> Array:
        return self.metric.sums(*(self.target.inverse(x.astype(np.float64)) for x in (output, target)))

    def results(self, sums: Array) -> Results:
        return self.metric.results(sums)


@dataclass(frozen=True)
class Objective:
    """A target and a kind of loss (a key of LOSSES) that suit each other; UsageError if they do not.

    Two classes under binary_cross_entropy_with_logits take one output, the logit of the second class; more classes
    take one logit each and exclude nothing.
    """

    target: Target
    loss: str

    def __post_init__(self) -> None:
        suitable = FOR_CLASSES if self.target.task == "classification" else FOR_NUMBERS
        if self.loss not in suitable:
            what = "has classes" if self.target.task == "classification" else "is a number"
            raise UsageError(f'{self.loss} does not suit the target "{self.target.name}", which {what}; '
                             f"use {', '.join(suitable)}")  # fmt: skip

    @property
    def outputs(self) -> int:
        """How many numbers the model must give for an example."""
        return 1 if self.loss in FOR_CLASSES[2:] and self.target.outputs == 2 else self.target.outputs

    def loss_targets(self, targets: Array) -> Array:
        """Targets as the loss takes them: class numbers, 0/1 (N, outputs) for binary losses, numbers (N, k)."""
        if self.loss != "binary_cross_entropy_with_logits":
            return targets
        if self.outputs == 1:
            return targets[:, None].astype(np.float32)
        return np.eye(self.outputs, dtype=np.float32)[targets]

    def metrics(self, *, thorough: bool = False) -> list[Metric]:
        """What tells how good a model is: a few numbers an epoch, or (`thorough`) all there is to say."""
        if self.target.task == "regression":
            errors = [InUnits(METRICS[name](), self.target) for name in ("mae", "rmse")]
            return [*errors, METRICS["r2"]()]  # r2 is the same in any units, and exact in standardised ones
        found = [METRICS[name]() for name in ("accuracy", "macro_f1")]
        if thorough:
            found += [TopK(TOP)] if self.target.outputs > TOP else []
            found += [METRICS[name]() for name in ("per_class", "confusion_matrix")]
        return found

    def probabilities(self, outputs: Array) -> Array:
        """(N, classes) in float64 from a model's outputs (N, outputs)."""
        x = outputs.astype(np.float64)
        if self.loss == "binary_cross_entropy_with_logits":
            p = np.exp(-np.logaddexp(0.0, -x))
            return np.hstack([1 - p, p]) if self.outputs == 1 else p
        x = np.exp(x - x.max(axis=1, keepdims=True))
        return np.asarray(x / x.sum(axis=1, keepdims=True))
