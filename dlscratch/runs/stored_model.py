"""The metadata of a model, as a stranger may have written it: each field is of its type, or the file is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlscratch.datasets import READERS
from dlscratch.errors import CheckpointError
from dlscratch.nn import LOSSES
from dlscratch.nn.fields import check_fields, check_kind

DAMAGED = "the model's metadata is damaged"
Document = dict[str, Any]
MODEL = {
    "architecture": list[Any],
    "input_shape": list[int],
    "preprocessing": Document,
    "loss": Document,
    "reader": Document,
    "config": Document,
    "training": Document,
}
TRAINING = {"seed": int, "data": list[str], "epoch": int, "step": int, "metrics": Document}


def check_model(metadata: Mapping[str, Any]) -> None:
    """CheckpointError unless loss, reader, config and training are what they must be; the rest is checked when made."""
    check_fields(metadata, DAMAGED, MODEL)
    check_kind(LOSSES, metadata["loss"], f"{DAMAGED}: loss")
    check_kind(READERS, metadata["reader"], f"{DAMAGED}: reader")
    check_fields(metadata["training"], f"{DAMAGED}: training", {}, TRAINING)
    check_fields(metadata["config"], f"{DAMAGED}: config", {}, {"name": str})
    if min(metadata["input_shape"], default=1) < 1:
        raise CheckpointError(f"{DAMAGED}: input_shape has a size below 1")


def check_resumed(metadata: Mapping[str, Any]) -> None:
    """CheckpointError unless what a resume looks at, besides the state itself, has its types."""
    check_fields(metadata, "the metadata is damaged", {"training": Document}, {"lines": list[Document]})
    check_fields(metadata["training"], "the metadata is damaged: training", {"data": list[str]}, TRAINING)
    check_config(metadata.get("config"))


def check_config(config: Any) -> None:
    """CheckpointError unless the parts of a stored config that are looked at without a schema have their types."""
    check_fields(config, "the stored config is damaged", {"data": Document}, {"initial": Document})
    if not all(isinstance(path, str) for path in config.get("initial", {}).values()):
        raise CheckpointError("the stored config is damaged: initial is no mapping of parameters to files")
