"""The test rows of the run that a model came from, found again through the config beside the model."""

from __future__ import annotations

from pathlib import Path

from dlscratch.config.build import build
from dlscratch.config.schema import effective
from dlscratch.datasets import Part
from dlscratch.errors import DataError, UsageError
from dlscratch.runs.folder import RunFolder
from dlscratch.runs.stored_config import differences
from dlscratch.runs.trained import TrainedModel

ADVICE = "name the data to evaluate on"


def held_out(path: Path, model: TrainedModel) -> Part:
    """The test part. UsageError: no run beside the model, or no test rows. DataError: the data changed since."""
    config = RunFolder(path.parent).config
    if not config.exists():
        raise UsageError(f"{path}: there is no config.yaml beside it to find its test rows; {ADVICE}")
    experiment = build(config)
    if changed := differences(model.facts["config"], effective(experiment.config)):
        raise UsageError(f"{config}: the model was trained with another config ({changed[0]}); {ADVICE}")
    if experiment.fingerprints != model.facts["training"]["data"]:
        raise DataError(f"{config}: the data files are not those that the model was trained on; {ADVICE}")
    if experiment.prepared.test is None:
        raise UsageError(f"{config}: the run kept no test rows (data.test is 0); {ADVICE}")
    return experiment.prepared.test
