"""A trained model takes raw data: what it predicts is what evaluate counts, for every task, loss and reader."""

from __future__ import annotations

import csv
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import FLOWERS, HEIGHTS, SPECIES, project, train, write_idx

from dlscratch import checkpoint
from dlscratch.config.build import build
from dlscratch.datasets import Arrays, Preprocessing
from dlscratch.errors import CheckpointError, DataError, UsageError
from dlscratch.nn import Sequential
from dlscratch.runs import TrainedModel
from dlscratch.runs.held_out import held_out
from dlscratch.runs.inspection import inspect, statistics
from dlscratch.runs.plots import first_filters

NLL = FLOWERS.replace("out_features: 3}", "out_features: 3}\n  - log_softmax") + "loss: nll\n"
LOGITS = FLOWERS.replace("target: species", "target: colour") + "loss: binary_cross_entropy_with_logits\n"
BINARY = LOGITS.replace("out_features: 3", "out_features: 1")
SEVERAL = FLOWERS + "loss: binary_cross_entropy_with_logits\n"
CONFIGS = {"classes": FLOWERS, "nll": NLL, "one logit": BINARY, "a logit each": SEVERAL, "regression": HEIGHTS}


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of each kind, with the very rows of its test part in test.csv."""
    folder = tmp_path_factory.mktemp("trained")
    config = project(folder, CONFIGS[request.param])
    train(config, folder / "run")
    header, *lines = (folder / "flowers.csv").read_text().splitlines()
    part = build(config).prepared.test
    assert part is not None
    (folder / "test.csv").write_text("\n".join([header, *(lines[row] for row in part.rows)]) + "\n")
    return folder


def load(folder: Path) -> TrainedModel:
    return TrainedModel.load(folder / "run" / "best.npz")


def column(path: Path, name: str) -> list[str]:
    with path.open() as file:
        return [row[name] for row in csv.DictReader(file)]


def test_the_held_out_rows_are_the_file_of_these_rows(trained: Path) -> None:
    model = load(trained)
    from_file = model.evaluate(trained / "test.csv")
    assert from_file == model.evaluate(held_out(trained / "run" / "best.npz", model))
    assert from_file == model.evaluate([trained / "test.csv"])
    assert from_file["examples"] == 15


def test_predictions_give_the_numbers_of_evaluate(trained: Path) -> None:
    model = load(trained)
    results, said = model.evaluate(trained / "test.csv"), model.predict(trained / "test.csv")
    assert len(said) == 15
    truth = column(trained / "test.csv", said.name)
    if said.probabilities is None:
        assert said.values is not None
        error = said.values[:, 0] - np.array(truth, float)
        assert results["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-6)
        assert results["rmse"] == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-6)
        return
    hits = [label == true for label, true in zip(said.labels, truth, strict=True)]
    assert results["accuracy"] == pytest.approx(np.mean(hits))
    assert results["loss"] == pytest.approx(cross_entropy(model, said.probabilities, truth), rel=1e-4)


def cross_entropy(model: TrainedModel, p: np.ndarray, truth: list[str]) -> float:
    """The loss from the probabilities, written down once more: of the class, or of each class on its own."""
    hot = np.array([[true == name for name in model.preprocessor.class_names] for true in truth])
    if p.shape[1] > 2 and "binary_cross_entropy_with_logits" in model.loss:
        return float(-np.where(hot, np.log(p), np.log1p(-p)).mean())
    return float(-np.log(p[hot]).mean())


def test_the_csv_of_predictions_reads_back_to_float32(trained: Path, tmp_path: Path) -> None:
    said = load(trained).predict(trained / "test.csv")
    (tmp_path / "said.csv").write_text(said.to_csv())
    with (tmp_path / "said.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name, values in said.columns().items():
        kind = np.float32 if isinstance(values[0], float) else str
        assert [kind(row[name]) for row in rows] == list(map(kind, values))


def test_columns_in_another_order_and_extra_ones_change_nothing(trained: Path, tmp_path: Path) -> None:
    with (trained / "test.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "new.csv").open("w") as file:
        writer = csv.DictWriter(file, ["note", "species", "colour", "height", "width"])
        writer.writeheader()
        writer.writerows({**row, "note": "x y z"} for row in rows)
    model = load(trained)
    assert model.predict(tmp_path / "new.csv").columns() == model.predict(trained / "test.csv").columns()
    assert model.evaluate(tmp_path / "new.csv") == model.evaluate(trained / "test.csv")


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A classifier of species."""
    folder = tmp_path_factory.mktemp("flowers")
    train(project(folder), folder / "run", "training.epochs=1")
    return load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width,height\n1,2\n", r'the model needs the column "colour", which is not there$'),
        ("width,hight,colour\n1,2,red\n", r'needs the column "height", which is not there; did you mean "hight"'),
        ("width,height,colour\n1,2,red\n1,2,green\n", r':3: column "colour" is "green", which no training row was'),
        ("width,height,colour\n1,tall,red\n", r':2: column "height" holds "tall", but the model was trained on'),
        ("width,height,colour\n", "has a header but no rows"),
        ("", "is empty"),
    ],
)
def test_rows_that_the_model_cannot_take(flowers: TrainedModel, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        flowers.predict(tmp_path / "new.csv")


def test_predict_needs_no_target_and_evaluate_does(flowers: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("width,height,colour\n2,30,red\n")
    said = flowers.predict(tmp_path / "new.csv")
    assert said.labels[0] in SPECIES
    assert np.allclose(said.probabilities.sum(axis=1), 1)
    with pytest.raises(DataError, match='there is no column "species"'):
        flowers.evaluate(tmp_path / "new.csv")
    (tmp_path / "new.csv").write_text("width,height,colour,species\n2,30,red,dahlia\n")
    with pytest.raises(DataError, match='"dahlia"'):
        flowers.evaluate(tmp_path / "new.csv")


def images(rows: int = 24) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(rows) % 2
    rng = np.random.default_rng(0)
    return (rng.integers(0, 100, (rows, 4, 4)) + 150 * labels[:, None, None]).astype(np.uint8), labels


IMAGES = """\
data:
  READER
  validation: 0.25
  test: 0
  preprocessing: {scale: 255, shape: [16]}
model: [{linear: {out_features: 2}}]
optimizer: {adam: {lr: 0.1}}
training: {epochs: 5, batch_size: 8}
"""


def test_npz_and_idx_train_the_same_model(tmp_path: Path) -> None:
    x, y = images()
    np.savez(tmp_path / "all.npz", x=x, y=y)
    write_idx(tmp_path / "x.idx", x)
    write_idx(tmp_path / "y.idx", y)
    readers = {"npz": "npz: {path: all.npz}", "idx": "idx: {images: x.idx, labels: y.idx}"}
    results = {}
    for kind, reader in readers.items():
        (tmp_path / f"{kind}.yaml").write_text(IMAGES.replace("READER", reader))
        train(tmp_path / f"{kind}.yaml", tmp_path / kind)
        model = TrainedModel.load(tmp_path / kind / "best.npz")
        files: list[Any] = ["all.npz"] if kind == "npz" else ["x.idx", "y.idx"]
        results[kind] = model.evaluate([tmp_path / name for name in files])
        labels = model.predict([tmp_path / name for name in files[:1]]).labels
        assert np.mean(np.array(labels, int) == y) == results[kind]["accuracy"] == 1.0
        with pytest.raises(UsageError, match="got 3 files"):
            model.evaluate(["a", "b", "c"])
    assert results["npz"] == results["idx"]


def test_images_with_labels_are_predicted_without_them(tmp_path: Path) -> None:
    x, y = images()
    write_idx(tmp_path / "x.idx", x)
    write_idx(tmp_path / "y.idx", y)
    (tmp_path / "c.yaml").write_text(IMAGES.replace("READER", "idx: {images: x.idx, labels: y.idx}"))
    train(tmp_path / "c.yaml", tmp_path / "run", "training.epochs=1")
    model = TrainedModel.load(tmp_path / "run" / "best.npz")
    both = model.predict([tmp_path / "x.idx", tmp_path / "y.idx"])
    assert both.columns() == model.predict(tmp_path / "x.idx").columns()


# Files that are not the model they seem to be.


def test_a_constant_target_and_one_row_to_predict(tmp_path: Path) -> None:
    data = "a,y\n" + "".join(f"{row},7.5\n" for row in range(20))
    config = HEIGHTS.replace("height", "y").replace("  - batch_norm1d\n", "")
    result = train(project(tmp_path, config, data), tmp_path / "run", "data.task=regression")
    assert np.isfinite(result["test"]["rmse"])
    (tmp_path / "one.csv").write_text("a\n3\n")
    assert load(tmp_path).predict(tmp_path / "one.csv").columns()["y"] == pytest.approx([7.5], abs=5)


def test_every_flipped_or_missing_byte_is_noticed(flowers: TrainedModel, tmp_path: Path) -> None:
    """Either the file is refused, or (a date in the archive's index) the model is bit for bit the same."""
    flowers.save(tmp_path / "good.npz")
    good, rng = (tmp_path / "good.npz").read_bytes(), np.random.default_rng(0)
    said = []
    for place in rng.integers(0, len(good), 120):
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        cut = rng.random() < 0.2
        (tmp_path / "bad.npz").write_bytes(damaged[:place] if cut else damaged)
        try:
            model = TrainedModel.load(tmp_path / "bad.npz")
        except CheckpointError as error:
            said.append(str(error))
        else:
            model.save(tmp_path / "same.npz")
            assert (tmp_path / "same.npz").read_bytes() == good
    assert len(said) > 90
    assert all(text.startswith(f"{tmp_path}/bad.npz: ") for text in said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "vectors"}, "expected a model, got vectors"),
        ({"architecture": [{"linear": {"out_features": 5}}]}, r"0\.weight: expected shape \(5, 4\)"),
        ({"architecture": [{"lineal": {}}]}, "lineal"),
        ({"architecture": "x"}, "architecture is 'x'; expected list"),
        ({"architecture": None}, "architecture|metadata is damaged"),
        ({"loss": {"mse": {}}}, "mse does not suit"),
        ({"loss": {}}, "metadata is damaged"),
        ({"loss": None}, "metadata is damaged"),
        ({"loss": {"hinge": {}}}, "hinge"),
        ({"reader": 3}, "metadata is damaged"),
        ({"preprocessing": {}}, "preprocessing"),
        ({"input_shape": ["a"]}, "input_shape is a list of 1; expected list"),
        ({"format_version": 2}, r"format version 2, written by dlscratch .*; upgrade with"),
    ],
)
def test_metadata_of_another_model(flowers: TrainedModel, tmp_path: Path, change: dict, message: str) -> None:
    arrays, metadata = flowers.contents()
    checkpoint.save(tmp_path / "bad.npz", arrays, {**metadata, **change})
    with pytest.raises(CheckpointError, match=rf"(?s)bad\.npz: .*({message})"):
        TrainedModel.load(tmp_path / "bad.npz")


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"weights": [1, 2]}))
    with pytest.raises(CheckpointError, match="a Python pickle, which could run code and is never opened"):
        TrainedModel.load(tmp_path / "model.pkl")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match=r"array 'x' holds Python objects \(a pickle\), which could run code"):
        inspect(tmp_path / "objects.npz")
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    with pytest.raises(CheckpointError, match="it looks like a PyTorch file, whose pickle could run code"):
        TrainedModel.load(tmp_path / "torch.pt")


# inspect


def test_inspect_describes_a_model(flowers: TrainedModel, tmp_path: Path) -> None:
    flowers.save(tmp_path / "m.npz")
    document = inspect(tmp_path / "m.npz")
    assert document["kind"] == "model"
    assert [layer["kind"] for layer in document["layers"]] == ["linear", "batch_norm1d", "relu", "dropout", "linear"]
    assert document["parameters"] == sum(p.size for p in flowers.network.parameters())
    assert document["arrays"]["0.weight"]["shape"] == [8, 4]
    assert document["training"]["epoch"] == 1
    assert document["bytes"] == (tmp_path / "m.npz").stat().st_size


def test_channels_last_images_are_predicted_and_drawn_as_they_lie(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)
    fitted = Preprocessing(scale=255, channels_last=True).fit(Arrays(images, np.arange(6) % 2, "x.npz", "y"))
    network = Sequential.from_architecture([{"flatten": {}}, {"linear": {"out_features": 2}}], (3, 5, 4))
    model = TrainedModel(network, fitted, {"cross_entropy": {}}, {"npz": {}}, {"config": {}, "training": {}})
    model.save(tmp_path / "m.npz")
    model = TrainedModel.load(tmp_path / "m.npz")
    weight, bias = network.state_dict().values()
    logits = np.einsum("nhwc,kchw->nk", images / 255, weight.reshape(2, 3, 5, 4)) + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(images).probabilities, expected, rtol=1e-5)
    _, filters = first_filters(model) or ("", None)
    np.testing.assert_array_equal(filters, weight.reshape(2, 3, 5, 4).transpose(0, 2, 3, 1))


def test_inspect_takes_any_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "any.npz", numbers=np.array([0.0, 1.0, np.nan, np.inf]), text=np.array(["a"]), none=np.empty(0))
    document = inspect(tmp_path / "any.npz")
    assert document["kind"] == "npz"
    assert {"mean": 0.5, "zeros": 1, "nan": 1, "inf": 1}.items() <= document["arrays"]["numbers"].items()
    assert document["arrays"]["text"] == {"shape": [1], "dtype": "<U1", "bytes": 4}
    assert document["arrays"]["none"]["zeros"] == 0


def test_statistics_are_numpys() -> None:
    x = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    facts = statistics(x)
    assert (facts["mean"], facts["std"]) == pytest.approx((x.mean(), x.std()), abs=1e-6)
    assert (facts["min"], facts["max"]) == (x.min(), x.max())
