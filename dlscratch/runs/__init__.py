"""Training runs in a folder, and the models that come out of them."""

from dlscratch.runs.run import Run
from dlscratch.runs.trained import Predictions, TrainedModel

__all__ = ["Predictions", "Run", "TrainedModel"]
