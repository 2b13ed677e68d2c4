"""Training: the loop, metrics, early stopping, and the state of a run."""

from dlscratch.training.early_stopping import EarlyStopping
from dlscratch.training.loop import Epoch, Step, fit
from dlscratch.training.metrics import METRICS, Metric, evaluate
from dlscratch.training.state import TrainingState
from dlscratch.training.stopwatch import timed_as

__all__ = ["METRICS", "EarlyStopping", "Epoch", "Metric", "Step", "TrainingState", "evaluate", "fit", "timed_as"]
