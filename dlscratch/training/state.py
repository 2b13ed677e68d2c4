"""How far a run is: all that the next step depends on, besides the model and the optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from dlscratch.backend import Array
from dlscratch.errors import CheckpointError
from dlscratch.nn.fields import check_fields, shown

COUNTS: dict[str, Any] = {
    **dict.fromkeys(("epoch", "batch", "step"), int),
    **dict.fromkeys(("seconds", "epoch_seconds"), float),
    "base_lr": float | None,
}
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
                loaded = self._loaded.pop(name)
                check_fields(loaded, f"training state: {name}", {key: _like(x) for key, x in part.state_dict().items()})
                part.load_state_dict(loaded)
        self._parts = parts

    def state_dict(self) -> dict[str, Any]:
        """All but `best_weights`, fit for JSON, whose numbers come back bit for bit."""
        parts = {name: part.state_dict() for name, part in self._parts.items()} | self._loaded
        return {name: getattr(self, name) for name in COUNTS} | {name: parts.get(name, {}) for name in PARTS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`, before `fit` is called."""
        if not isinstance(state, dict) or set(state) != {*COUNTS, *PARTS}:
            raise CheckpointError(f"training state: expected {', '.join((*COUNTS, *PARTS))}; got {shown(state)}")
        check_fields(state, "training state", {**COUNTS, **dict.fromkeys(PARTS, dict[str, Any])})
        for name in COUNTS:
            if not 0 <= (state[name] or 0) < float("inf"):
                raise CheckpointError(f"training state: {name} is {shown(state[name])}; expected none below 0")
            setattr(self, name, state[name])
        self._loaded = {name: state[name] for name in PARTS if state[name]}


def _like(fresh: Any) -> Any:
    """What may be loaded where a part that is new has this: numbers for a number, which may still be missing."""
    return list[Any] if isinstance(fresh, list) else float | None if fresh is None else float
