"""The test rows of the run that a model came from, found again through the config beside the model."""

from __future__ import annotations

from pathlib import Path

from dlscratch.config.build import Experiment, build
from dlscratch.config.schema import effective
from dlscratch.datasets import Part
from dlscratch.errors import DataError, UsageError
from dlscratch.runs.folder import RunFolder
from dlscratch.runs.stored_config import differences
from dlscratch.runs.stored_model import check_config
from dlscratch.runs.trained import TrainedModel

ADVICE = "name the data to evaluate on"


def held_out(path: Path, model: TrainedModel) -> Part:
    """The test part. UsageError: no run beside the model, or no test rows. DataError: the data changed since."""
    experiment = experiment_of(path, model)
    if experiment.prepared.test is None:
        config = RunFolder(path.parent).config
        raise UsageError(f"{config}: the run kept no test rows (data.test is 0); {ADVICE}")
    return experiment.prepared.test


def experiment_of(path: Path, model: TrainedModel, advice: str = ADVICE) -> Experiment:
    """The run's config and data once more, the same as then. Errors as above; they end with the advice."""
    config = RunFolder(path.parent).config
    if not config.exists():
        raise UsageError(f"{path}: there is no config.yaml beside it to find its test rows; {advice}")
    try:
        experiment = build(config)
    except DataError as error:
        raise DataError(f"{error}; {advice}") from error
    check_config(model.facts["config"])
    if changed := differences(model.facts["config"], effective(experiment.config)):
        raise UsageError(f"{config}: the model was trained with another config ({changed[0]}); {advice}")
    if experiment.fingerprints != model.facts["training"].get("data"):
        raise DataError(f"{config}: the data files are not those that the model was trained on; {advice}")
    return experiment
