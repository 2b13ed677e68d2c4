"""What checks work on: a copy of a config's untrained model, and batches as the training takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dlscratch.backend import DEFAULT_DTYPE
from dlscratch.config.build import Experiment
from dlscratch.datasets import Batches
from dlscratch.nn import Sequential


def fresh_model(experiment: Experiment, dtype: npt.DTypeLike = DEFAULT_DTYPE) -> Sequential:
    """Another model with the same first values, in a type of its own."""
    layers = [spec.value() for spec in experiment.config.model]
    copy = Sequential.from_architecture(layers, experiment.model.input_shape, dtype=np.dtype(dtype))
    copy.load_state_dict(experiment.model.state_dict())
    return copy


def training_batches(experiment: Experiment) -> Batches:
    """The batches that the training would take, in its order."""
    config, part = experiment.config, experiment.prepared.train
    part = replace(part, targets=experiment.objective.loss_targets(part.targets))
    return part.batches(config.training.batch_size, shuffle=True, seed=config.seed)
