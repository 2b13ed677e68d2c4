"""How far a run is: all that the next step depends on, besides the model and the optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from dlscratch.backend import Array
from dlscratch.errors import CheckpointError

COUNTS = ("epoch", "batch", "step", "seconds", "epoch_seconds", "base_lr")
PARTS = ("totals", "schedule", "early_stopping")


class Part(Protocol):
    """What remembers something of its own during a run."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class TrainingState:
    """Where a run stands. `fit` moves it on; whenever `fit` yields a record it can be saved, and continued from.

    With it belong `model.state_dict()` and `optimizer.state_dict()`. Random numbers need no state: those of a step
    depend on the seed and the step's number only, the order of an epoch on the seed and the epoch's number.
    """

    epoch: int = 0  # finished epochs
    batch: int = 0  # finished batches of the epoch after them
    step: int = 0  # finished updates
    seconds: float = 0.0  # spent on the run
    epoch_seconds: float = 0.0  # of them, on the epoch under way
    base_lr: float | None = None  # the optimizer's rate before any schedule
    best_weights: dict[str, Array] | None = None  # with restore_best: the model after its best epoch
    _parts: dict[str, Part] = field(default_factory=dict, repr=False)
    _loaded: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def attach(self, **parts: Part) -> None:
        """Save from now on what these remember; and first let them remember what was loaded."""
        for name, part in parts.items():
            if name in self._loaded:
                part.load_state_dict(self._loaded.pop(name))
        self._parts = parts

    def state_dict(self) -> dict[str, Any]:
        """All but `best_weights`, fit for JSON, whose numbers come back bit for bit."""
        parts = {name: part.state_dict() for name, part in self._parts.items()} | self._loaded
        return {name: getattr(self, name) for name in COUNTS} | {name: parts.get(name, {}) for name in PARTS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`, before `fit` is called."""
        if set(state) != {*COUNTS, *PARTS}:
            raise CheckpointError(f"training state: expected {', '.join(COUNTS + PARTS)}; got {', '.join(state)}")
        for name in COUNTS:
            setattr(self, name, state[name])
        self._loaded = {name: state[name] for name in PARTS if state[name]}
