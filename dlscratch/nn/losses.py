"""The losses: options in the constructor, then `loss(output, target)` is one number to be made small.

They are the means of nn.functional's losses: definitions, options and their names are PyTorch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from dlscratch.autograd import Tensor
from dlscratch.backend import Array
from dlscratch.nn import functional as F
from dlscratch.nn.options import check_options

ClassWeights = Annotated[list[float] | None, Ge(0), Doc("a weight for each class; without it all count the same")]
IgnoreIndex = Annotated[int, Doc("rows with this class count for nothing")]


class Loss:
    """What all losses share."""

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        raise NotImplementedError


def _array(values: Any) -> Array | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


@dataclass
class CrossEntropyLoss(Loss):
    """−log softmax(output)[class]: logits (N, C, ...) against integer classes (N, ...)."""

    weight: ClassWeights = None
    ignore_index: IgnoreIndex = -100
    label_smoothing: Annotated[
        float, Ge(0), Le(1), Doc("the part of the target that is spread evenly over all classes")
    ] = 0.0

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.cross_entropy(
            output,
            target,
            weight=_array(self.weight),
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


@dataclass
class NLLLoss(Loss):
    """−output[class]: log-probabilities (N, C, ...) against integer classes (N, ...)."""

    weight: ClassWeights = None
    ignore_index: IgnoreIndex = -100

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.nll(output, target, weight=_array(self.weight), ignore_index=self.ignore_index)


@dataclass
class BCEWithLogitsLoss(Loss):
    """−t log σ(output) − (1 − t) log σ(−output): logits against targets from 0 to 1 of the same shape."""

    pos_weight: Annotated[
        float | list[float] | None, Gt(0), Doc("a weight for positive targets: one number, or one for each output")
    ] = None

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, target, pos_weight=_array(self.pos_weight))


@dataclass
class MSELoss(Loss):
    """(output − target)², with target in output's shape."""

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.mse(output, target)


@dataclass
class L1Loss(Loss):
    """|output − target|, with target in output's shape."""

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.l1(output, target)


@dataclass
class HuberLoss(Loss):
    """½ d² for d = output − target up to delta, and delta · (|d| − ½ delta) beyond: outliers pull less."""

    delta: Annotated[float, Gt(0), Doc("where the square turns into a straight line")] = 1.0

    def __call__(self, output: Tensor, target: Any) -> Tensor:
        return F.huber(output, target, delta=self.delta)


LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropyLoss,
    "nll": NLLLoss,
    "binary_cross_entropy_with_logits": BCEWithLogitsLoss,
    "mse": MSELoss,
    "l1": L1Loss,
    "huber": HuberLoss,
}
