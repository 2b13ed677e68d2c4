"""What an embedding needs of a config: integers as inputs, and perhaps word vectors as its first weights.

    data:
      npz: {path: sentences.npz}            # x: row numbers of the vectors
      preprocessing: {scale: ids}
    model:
      - embedding: {num_embeddings: 5323, embedding_dim: 100}
      - flatten
      - linear: {out_features: 2}
    initial: {0.weight: runs/kjv/vectors.npz}
"""

from __future__ import annotations

from pathlib import Path

from dlscratch.config.positions import Document, Problem
from dlscratch.config.schema import Config
from dlscratch.datasets import Prepared
from dlscratch.datasets.array_preprocessor import ArrayPreprocessor
from dlscratch.datasets.sources import resolve
from dlscratch.errors import DataError, did_you_mean
from dlscratch.nn import Sequential
from dlscratch.nn.layers import Embedding


def check_integers(document: Document, model: Sequential, prepared: Prepared) -> None:
    """ConfigError unless the model takes integers where it is given them; DataError for one that names no row."""
    first, preprocessor = model[0], prepared.preprocessor
    ids = isinstance(preprocessor, ArrayPreprocessor) and preprocessor.ids
    where = ("data", "preprocessing", "scale")
    if first.takes_integers and not ids:
        what = f"layers[0] {first.kind} takes integers; write scale: ids, with an array of integers (npz)"
        raise document.error([Problem(where, what)])
    if ids and not first.takes_integers:
        what = f"ids are for an embedding, but layers[0] {first.kind} takes numbers; write scale: none"
        raise document.error([Problem(where, what)])
    if isinstance(first, Embedding):
        for part in (prepared.train, prepared.validation, prepared.test):
            if part is not None and part.inputs.size:
                low, high = int(part.inputs.min()), int(part.inputs.max())
                if low < 0 or high >= first.num_embeddings:
                    rows = f"layers[0] embedding has the rows 0 to {first.num_embeddings - 1}"
                    raise DataError(f"{document.name}: the inputs go from {low} to {high}, but {rows}")


def load_initial(document: Document, config: Config, base: Path, model: Sequential) -> list[Path]:
    """Give parameters their first values from files of word vectors; the files.

    ConfigError: no such parameter, or another shape. DataError, CheckpointError: a file that cannot be used.
    """
    if not config.initial:
        return []
    from dlscratch.word2vec.vectors import WordVectors

    parameters, files = model.named_parameters(), []
    for name, file in config.initial.items():
        if name not in parameters:
            what = f"no such parameter{did_you_mean(name, parameters)}; the model has {', '.join(parameters)}"
            raise document.error([Problem(("initial", name), what, at_key=True)])
        files.append(resolve(file, base))
        vectors = WordVectors.load(files[-1]).vectors
        if vectors.shape != parameters[name].shape:
            V, D = vectors.shape
            advice = f"write embedding: {{num_embeddings: {V}, embedding_dim: {D}}}"
            what = f"{file} holds {V} vectors of {D} numbers, but the shape is {parameters[name].shape}; {advice}"
            raise document.error([Problem(("initial", name), what)])
        parameters[name]._mutate()[...] = vectors
    return files
