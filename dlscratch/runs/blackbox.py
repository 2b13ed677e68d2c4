"""The black box of a run that diverged: all that the step depends on in one file, from which it can be done again.

blackbox.npz is a file of dlscratch.checkpoint of the kind "black box":

    0.weight …      the parameters and buffers before the step
    batch/x         the inputs of the step, as the model took them
    batch/y         its targets, as the loss took them
    batch/rows      the rows of the training data that they are, from 0
    metadata        architecture, input_shape, loss; lr, seed; epoch, batch and step (from 1), batches (in an epoch);
                    columns (names of the inputs, of a table), config, environment; error (what was said) and
                    story (what `examine` found: see training/divergence.py)
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.config.build import Experiment
from dlscratch.config.schema import effective
from dlscratch.errors import CheckpointError, DivergedError, DlscratchError, OutputError
from dlscratch.nn import LOSSES, Loss, Sequential
from dlscratch.nn.sizes import check_stored
from dlscratch.runs.folder import environment
from dlscratch.training import TrainingState
from dlscratch.training.divergence import Story, examine

KIND = "black box"
BATCH = ("batch/x", "batch/y", "batch/rows")
FACTS: dict[str, Any] = {
    "lr": float, "seed": int, "epoch": int, "batch": int, "batches": int, "step": int,
    "columns": list, "config": dict, "environment": dict, "error": str, "story": dict,
}  # fmt: skip


@dataclass(frozen=True)
class BlackBox:
    """A step that diverged: the network before it, the loss, the batch, and the facts that the file's metadata has."""

    network: Sequential
    loss: Loss
    loss_spec: dict[str, dict[str, Any]]
    x: Array
    y: Array
    rows: Array
    facts: dict[str, Any]

    def rerun(self) -> Story:
        """Do the step once more, and say what happened; the network may change."""
        lr, seed, batches = (self.facts[name] for name in ("lr", "seed", "batches"))
        state = TrainingState(**{name: self.facts[name] - 1 for name in ("epoch", "batch", "step")})
        return examine(self.network, self.loss, self.x, self.y, lr=lr, seed=seed, state=state, batches=batches)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, atomically."""
        batch = dict(zip(BATCH, (self.x, self.y, self.rows), strict=True))
        own = {
            "kind": KIND,
            "architecture": self.network.architecture(),
            "input_shape": list(self.network.input_shape or ()),
            "loss": self.loss_spec,
        }
        checkpoint.save(path, {**self.network.state_dict(), **batch}, {**own, **self.facts}, follow=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BlackBox:
        """The black box that `save` wrote. CheckpointError: damaged, altered, or something else."""
        arrays, metadata = checkpoint.load(path)
        if metadata.get("kind") != KIND:
            raise CheckpointError(f"{path}: expected a {KIND}, got {metadata.get('kind', 'something else')}")
        try:
            return cls._from(arrays, metadata)
        except DlscratchError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{path}: its metadata is damaged ({type(error).__name__}: {error})") from error

    @classmethod
    def _from(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> BlackBox:
        architecture, shape = metadata["architecture"], tuple(metadata["input_shape"])
        weights = {name: array for name, array in arrays.items() if name not in BATCH}
        check_stored(architecture, shape, len(arrays[BATCH[0]]), sum(array.size for array in weights.values()))
        network = Sequential.from_architecture(architecture, shape)
        network.load_state_dict(weights)
        [(kind, options)] = metadata["loss"].items()
        facts = {name: metadata[name] for name in FACTS}
        if wrong := [name for name, kind in FACTS.items() if not isinstance(facts[name], kind)]:
            raise TypeError(f"{wrong[0]} is {facts[wrong[0]]!r}")
        x, y, rows = (arrays[name] for name in BATCH)
        if x.shape[1:] != network.input_shape or not len(x) == len(y) == len(rows) or rows.dtype.kind != "i":
            raise ValueError("the batch does not fit the model")
        return cls(network, LOSSES[kind](**options), metadata["loss"], x, y, rows, facts)


def record(path: Path, experiment: Experiment, state: TrainingState, error: DivergedError) -> DivergedError:
    """Write the black box of the step that `fit` stopped at; the error, which then also says how to see it again."""
    try:
        box = _box(experiment, state, error)
        box.facts["story"] = json.loads(json.dumps(asdict(box.rerun())))
        box.save(path)
    except OutputError as failed:  # the run has diverged all the same
        told = DivergedError(f"{error}. {failed}")
    else:
        how = f"dlscratch replay {shlex.quote(str(path))}"
        told = DivergedError(f"{error}. The step is kept in {path}; see what happened in it with: {how}")
    told.batch = error.batch
    return told


def _box(experiment: Experiment, state: TrainingState, error: DivergedError) -> BlackBox:
    """The black box, with a network of its own, and without a story."""
    assert error.batch is not None
    model, train, size = experiment.model, experiment.prepared.train, experiment.config.training.batch_size
    network = Sequential.from_architecture(model.architecture(), model.input_shape)
    network.load_state_dict(model.state_dict())
    batches = train.batches(size, shuffle=True, seed=experiment.config.seed)
    facts = {
        "lr": experiment.optimizer.lr,
        "seed": experiment.config.seed,
        "epoch": state.epoch + 1,
        "batch": state.batch + 1,
        "batches": len(batches),
        "step": state.step + 1,
        "columns": list(train.preprocessor.feature_names),
        "config": effective(experiment.config),
        "environment": environment(),
        "error": str(error),
    }
    spec = {experiment.loss_spec.kind: experiment.loss_spec.options}
    rows = batches.order(state.epoch)[state.batch * size : (state.batch + 1) * size]
    return BlackBox(network, experiment.loss, spec, *error.batch, rows, facts)
