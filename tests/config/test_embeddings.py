"""Word vectors as the first weights of an embedding, and integers that stay integers: from NPZ to predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlscratch import checkpoint
from dlscratch.config.build import build
from dlscratch.config.positions import parse
from dlscratch.datasets import Arrays, Preprocessing, preprocessor_from_state
from dlscratch.datasets.tables import Table
from dlscratch.errors import CheckpointError, ConfigError, DataError, UsageError
from dlscratch.runs import Run, TrainedModel
from dlscratch.word2vec.vectors import WordVectors

CONFIG = """\
data:
  npz: {path: sentences.npz}
  preprocessing: {scale: ids}
model:
  - embedding: {num_embeddings: 6, embedding_dim: 3}
  - flatten
  - linear: {out_features: 2}
initial: {0.weight: vectors/v.bin}
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 2, batch_size: 8}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config, sentences of row numbers, and vectors in a folder of their own."""
    rng = np.random.default_rng(0)
    (tmp_path / "vectors").mkdir()
    vectors = WordVectors("abcdef", rng.normal(size=(6, 3)))
    vectors.save(tmp_path / "vectors" / "v.bin")
    inputs = rng.integers(0, 6, (40, 4), dtype=np.uint8)
    np.savez(tmp_path / "sentences.npz", x=inputs, y=np.arange(40) % 2)
    (tmp_path / "c.yaml").write_text(CONFIG)
    return tmp_path / "c.yaml"


def problem(config: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        build(config, overrides)
    return str(caught.value).replace(f"{config.parent}/", "")


def test_the_embedding_begins_as_the_vectors(config: Path) -> None:
    experiment = build(config)
    vectors = WordVectors.load(config.parent / "vectors" / "v.bin")
    weight = experiment.model.named_parameters()["0.weight"]
    assert np.array_equal(weight.data, vectors.vectors)
    assert len(experiment.files) == 2
    assert any(name.endswith("v.bin") for name in experiment.files)


def test_from_integers_to_predictions(config: Path, tmp_path: Path) -> None:
    run = Run.start(build(config), tmp_path / "run")
    for _ in run.train():
        pass
    run.finish()
    trained = TrainedModel.load(tmp_path / "run" / "best.npz")
    inputs = np.load(tmp_path / "sentences.npz")["x"]
    expected = trained.network(inputs).numpy()
    assert np.array_equal(trained.outputs(trained.preprocessor.transform(Arrays(inputs))), expected)
    assert len(trained.predict(tmp_path / "sentences.npz")) == 40
    first = WordVectors.load(tmp_path / "vectors" / "v.bin").vectors
    learned = checkpoint.load(tmp_path / "run" / "last.npz")[0]["0.weight"]
    assert 0 < np.abs(learned - first).max() < 1
    stored = parse((tmp_path / "run" / "config.yaml").read_text())
    assert stored.values["initial"] == {"0.weight": "../vectors/v.bin"}
    assert list(Run.resume(build(tmp_path / "run" / "config.yaml"), tmp_path / "run").train()) == []


def test_what_does_not_fit(config: Path) -> None:
    assert problem(config, "model[0].embedding.embedding_dim=4") == (
        'c.yaml:8:21: initial."0.weight": vectors/v.bin holds 6 vectors of 3 numbers, but the shape is (6, 4); '
        "write embedding: {num_embeddings: 6, embedding_dim: 3}"
    )
    assert problem(config, "initial={1.weight: v.bin}") == (
        '--set initial={1.weight: v.bin}: initial."1.weight": no such parameter; did you mean "2.weight"?; '
        "the model has 0.weight, 2.weight, 2.bias"
    )
    assert problem(config, "initial=v.bin") == (
        "--set initial=v.bin: initial: expected a mapping of parameters to files, such as {0.weight: vectors.npz} or "
        'null, got "v.bin"'
    )
    assert "layers[0] embedding takes integers; write scale: ids" in problem(config, "data.preprocessing.scale=none")
    without = problem(config, "model=[flatten, linear: {out_features: 2}]", "initial=null")
    assert "layers[0] flatten takes numbers; write scale: none" in without
    with pytest.raises(DataError, match=r"the inputs go from 0 to 5, but layers\[0\] embedding has the rows 0 to 3"):
        build(config, ["model[0].embedding.num_embeddings=4", "initial=null"])
    (config.parent / "vectors" / "v.bin").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"v\.bin"):
        build(config)
    with pytest.raises(CheckpointError, match="no such file"):
        build(config, ["initial={0.weight: nothing.npz}"])


def test_ids_are_integers_and_stay_what_they_are() -> None:
    inputs = np.array([[3, 70_000], [1, 2]])
    fitted = Preprocessing(scale="ids").fit(Arrays(inputs))
    again = preprocessor_from_state(fitted.state())
    for each in (fitted, again):
        converted = each.convert(each.transform(Arrays(inputs)))
        assert converted.dtype == np.int64
        assert np.array_equal(converted, inputs)
    with pytest.raises(DataError, match=r"x\.npz: the inputs have type float64; scale: ids expects integers"):
        again.transform(Arrays(inputs * 1.0, source="x.npz"))
    with pytest.raises(UsageError, match="scale is ids, which is for arrays of integers"):
        Preprocessing(scale="ids").fit(Table({"a": np.zeros(2)}, 2))


def test_a_preprocessing_that_was_stored_before_there_were_ids() -> None:
    state = Preprocessing().fit(Arrays(np.eye(3))).state()
    del state["ids"]
    assert preprocessor_from_state(state).convert(np.ones((1, 3))).dtype == np.float32
