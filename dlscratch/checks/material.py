"""What checks work on: a copy of a config's untrained model, and experiments that run by their steps alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlscratch.backend import DEFAULT_DTYPE
from dlscratch.config.build import Experiment, assemble
from dlscratch.config.positions import Document
from dlscratch.config.schema import Config
from dlscratch.nn import Sequential


def fresh_model(experiment: Experiment, dtype: npt.DTypeLike = DEFAULT_DTYPE) -> Sequential:
    """Another model with the same first values, in a type of its own."""
    layers = [spec.value() for spec in experiment.config.model]
    copy = Sequential.from_architecture(layers, experiment.model.input_shape, dtype=np.dtype(dtype))
    copy.load_state_dict(experiment.model.state_dict())
    return copy


def without_time_limit(document: Document, config: Config, base: Path) -> Experiment:
    """The experiment that a config describes, but for the clock, which would end two equal runs anywhere."""
    training = config.training.model_copy(update={"time_limit": None})
    return assemble(document, config.model_copy(update={"training": training}), base)
