"""The best epoch so far, and when to stop because it was too long ago."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt

from dlscratch.nn.options import check_options
from dlscratch.optim.schedules import monitored
from dlscratch.training.metrics import HIGHER_IS_BETTER


class EarlyStopping:
    """Stop after `patience` epochs in a row without improvement; without a patience only remember the best epoch."""

    def __init__(
        self,
        patience: Annotated[int | None, Gt(0), Doc("epochs without improvement after which to stop; null: never")],
        monitor: Annotated[str | None, Doc("the value; val_loss when left out (loss without validation data)")] = None,
        mode: Annotated[Literal["auto", "min", "max"], Doc("whether lower or higher is better")] = "auto",
        min_delta: Annotated[float, Ge(0), Doc("an improvement that is not larger than this is none")] = 0.0,
    ) -> None:
        self.patience, self.monitor, self.mode, self.min_delta = patience, monitor, mode, min_delta
        check_options(self)
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.waited = 0

    def improves(self, values: dict[str, Any]) -> bool:
        """Whether an epoch's values are better than the best so far."""
        value = monitored(values, self.monitor)
        if self.best is None:
            return value == value  # not NaN
        return value > self.best + self.min_delta if self._higher() else value < self.best - self.min_delta

    def observe(self, values: dict[str, Any], epoch: int) -> bool:
        """Take note of a finished epoch; whether it is the best so far."""
        if self.improves(values):
            self.best, self.best_epoch, self.waited = monitored(values, self.monitor), epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def stopped(self) -> bool:
        """Whether the best epoch was too long ago."""
        return self.patience is not None and self.waited >= self.patience

    def _higher(self) -> bool:
        if self.mode == "auto":
            return (self.monitor or "").endswith(HIGHER_IS_BETTER)
        return self.mode == "max"

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, as plain numbers."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
