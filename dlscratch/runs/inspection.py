"""What is in an .npz file: for a model its layers, for word vectors their words, for any other file its arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.nn.fields import check_fields
from dlscratch.runs.trained import TrainedModel
from dlscratch.word2vec.formats.arrays import read_npz
from dlscratch.word2vec.formats.table import Table

MOST_FREQUENT = 10
OURS = ("format", "format_version", "written_by")  # what is shown of the metadata of any file,
SHOWN = {  # and of a kind
    "model": ("architecture", "input_shape", "loss", "reader", "training", "state"),
    "word2vec": ("options", "corpus", "vocabulary", "vectors_sha256"),
}
WORDS = {"options": dict[str, Any], "corpus": dict[str, Any], "vectors_sha256": str}


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The file's contents as a JSON document: always `kind`, `bytes` and `arrays`; a model also has `layers`,
    `parameters`, `input_shape`, `classes`, `loss` and `training`, word vectors `words`, `dim` and
    `most_frequent`, and all files of ours their metadata.

    Models and vectors are checked against their SHA-256. CheckpointError if the file is damaged.
    """
    arrays, metadata = checkpoint.load_any(path)
    document: dict[str, Any] = {"file": os.fspath(path), "kind": "npz", "bytes": os.path.getsize(path)}
    if metadata is not None:
        arrays, metadata = checkpoint.load(path)
        kind = str(metadata.get("kind", "npz"))
        document |= {key: value for key, value in metadata.items() if key in (*OURS, *SHOWN.get(kind, ()))}
        document["kind"] = kind
    if document["kind"] == "model":
        assert metadata is not None
        document |= _model(TrainedModel.from_checkpoint(path, arrays, metadata))
    elif document["kind"] == "word2vec":
        check_fields(document, f"{path}: its metadata is damaged", {}, WORDS)
        if document.get("corpus"):
            check_fields(document["corpus"], f"{path}: its metadata is damaged: corpus", {"words": int, "bytes": int})
        document |= _word_vectors(read_npz(Path(path)))
    return document | {"arrays": {name: statistics(array) for name, array in arrays.items()}}


def _model(model: TrainedModel) -> dict[str, Any]:
    network, names = model.network, list(model.preprocessor.kinds)
    layers = [
        {
            "path": row.path,
            "kind": row.kind,
            "output_shape": list(row.output_shape or ()),
            "parameters": row.parameters,
        }
        for row in network.summary()
    ]
    data = {"classes": list(model.preprocessor.class_names), "columns": names}
    return {**data, "layers": layers, "parameters": network.summary().parameters}


def _word_vectors(table: Table) -> dict[str, Any]:
    counts = [None] * MOST_FREQUENT if table.counts is None else table.counts[:MOST_FREQUENT].tolist()
    pairs = zip(table.words[:MOST_FREQUENT], counts, strict=False)
    most_frequent = [{"word": word, "count": count} for word, count in pairs]
    return {"words": len(table.words), "dim": table.vectors.shape[1], "most_frequent": most_frequent}


def statistics(array: Array) -> dict[str, Any]:
    """Shape, type and bytes; for numbers also mean, std, min and max of the finite ones, zeros, NaN and Inf counted."""
    facts: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype), "bytes": array.nbytes}
    if array.dtype.kind not in "biuf":
        return facts
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if finite.size:
        wide = finite.astype(np.float64)
        facts |= {name: float(getattr(np, name)(wide)) for name in ("mean", "std", "min", "max")}
    nan = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
    facts |= {"zeros": int((array == 0).sum()), "nan": nan, "inf": array.size - finite.size - nan}
    return facts
