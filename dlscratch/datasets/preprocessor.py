"""What every fitted preprocessing has: inputs and targets for a model, and a state that a checkpoint stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from dlscratch.backend import Array
from dlscratch.datasets.tables import Arrays, Kind, Table
from dlscratch.datasets.targets import Target
from dlscratch.errors import DataError


class Preprocessor(ABC):
    """Raw data -> what the model takes, with the numbers found in the training rows."""

    target: Target | None

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example as the model sees it."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """The names of the model's inputs, for a table; empty for arrays."""

    @property
    @abstractmethod
    def kinds(self) -> dict[str, Kind]:
        """What `CsvReader.read` should expect of each column of inputs; empty for arrays."""

    @abstractmethod
    def transform(self, data: Table | Arrays) -> Array:
        """The inputs of some data, as `Batches` takes them; `convert` makes the model's numbers of them."""

    @abstractmethod
    def convert(self, x: Array) -> Array:
        """A batch of `transform`'s array in the model's numbers: float32, or the integers of an embedding."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that was found, as plain JSON; `preprocessor_from_state` turns it back."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Preprocessor:
        """The preprocessor that `state` described."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their numbers; empty for regression."""
        return () if self.target is None else self.target.classes

    def transform_targets(self, data: Table | Arrays) -> Array:
        """The targets as a loss takes them: int64 (N,), or float32 (N, k) standardised."""
        return self._known_target().encode(data)

    def inverse(self, outputs: Array) -> Array:
        """The model's regression outputs (N, k) in the units of the data."""
        return self._known_target().inverse(outputs)

    def _known_target(self) -> Target:
        if self.target is None:
            raise DataError("this preprocessing was fitted without a target; name the column or array to learn")
        return self.target


def target_state(target: Target | None) -> dict[str, Any] | None:
    """The target's part of a state."""
    return None if target is None else target.state()


def target_from_state(state: Mapping[str, Any]) -> Target | None:
    """The target of a state."""
    return None if state["target"] is None else Target.from_state(state["target"])
