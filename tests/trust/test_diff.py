"""`diff`: nothing that differs is passed over, and nothing is made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of_numpy
from tiny_runs import FLOWERS, project, train, train_until
from tiny_words import text

from dlscratch import Word2VecOptions, Word2VecRun, Word2VecSettings, WordVectors, checkpoint
from dlscratch.checks.arrays import changes, compare
from dlscratch.checks.difference import compare as diff
from dlscratch.checks.rows import Row
from dlscratch.config.build import build
from dlscratch.errors import CheckpointError, UsageError
from dlscratch.runs import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two equal runs, one with another seed, and one of another model."""
    folder = tmp_path_factory.mktemp("diff")
    config = project(folder)
    for name, overrides in {"a": [], "again": [], "seed": ["seed=2"]}.items():
        train(config, folder / name, *overrides)
    (folder / "wide.yaml").write_text(FLOWERS.replace("out_features: 8", "out_features: 9").replace("relu", "tanh"))
    train(folder / "wide.yaml", folder / "wide")
    return folder


def rows(found: Any, title: str) -> list[Row]:
    return next((list(section.rows) for section in found.sections if section.title == title), [])


@pytest.mark.parametrize("file", ["best.npz", "last.npz", ""])
def test_equal_runs_are_equal(cli: Cli, folder: Path, file: str) -> None:
    done = cli("diff", f"a/{file}", f"again/{file}", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "equal"
    assert "does not count" not in done.stdout


def test_another_seed(cli: Cli, folder: Path) -> None:
    done = cli("diff", "a/best.npz", "seed/best.npz", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"], found["kind"]) == (1, False, "model")
    assert {"name": "seed", "a": 1, "b": 2} in next(x["rows"] for x in found["sections"] if x["title"] == "config")
    (a, _), (b, _) = (checkpoint.load(folder / name / "best.npz") for name in ("a", "seed"))
    assert [each["name"] for each in found["tensors"]] == [name for name in a if (a[name] != b[name]).any()]
    for each in found["tensors"]:
        x, y = a[each["name"]].astype(float), b[each["name"]].astype(float)
        assert each["relative"] == pytest.approx(np.linalg.norm(x - y) / np.linalg.norm(x))
        assert each["largest"] == pytest.approx(np.abs(x - y).max())
        assert each["elements"] == (x != y).sum()
    assert done.stderr.splitlines()[-1] == "different"


def test_another_architecture(folder: Path) -> None:
    found = diff(folder / "a" / "best.npz", folder / "wide" / "best.npz")
    names = {row.name: (row.a, row.b) for row in rows(found, "architecture")}
    assert names["layers[0].linear.out_features"] == (8, 9)
    assert names["layers[2].relu"] == ({}, None)
    shapes = {each.name: each.what for each in found.tensors}
    assert shapes["0.bias"] == "float32 (8,) and float32 (9,)"
    assert {(x.a, x.b) for x in found.tensors if x.name == "0.bias"} == {("float32 (8,)", "float32 (9,)")}


def test_runs_name_the_first_epoch_and_the_results(cli: Cli, folder: Path) -> None:
    done = cli("diff", "a", "seed", cwd=folder)
    assert done.returncode == 1
    for part in ("metrics, first in epoch 1", "val_loss", "result", "best.npz: 0.weight", "last.npz: state"):
        assert part in done.stdout


def test_what_cannot_change_a_result_does_not_count(cli: Cli, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "a", tmp_path / "a")
    run = tmp_path / "a" / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"python": "2.7", "started": "long ago"}))
    done = cli("diff", folder / "a", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "equal")
    assert "environment (does not count)" in done.stdout
    assert "2.7" in done.stdout
    train(folder / "flowers.yaml", tmp_path / "named", "name=other", "training.checkpoint_every={steps: 4}")
    found = diff(folder / "a", tmp_path / "named")
    assert found.equal
    assert {row.name for row in rows(found, "how it was run")} == {"name", "training.checkpoint_every.steps"}


def test_a_line_of_metrics_and_a_state(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "a", tmp_path / "a")
    lines = (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()
    (tmp_path / "a" / "metrics.jsonl").write_text("\n".join(lines[:2]) + "\n")
    assert not diff(folder / "a", tmp_path / "a").equal
    arrays, metadata = checkpoint.load(tmp_path / "a" / "last.npz")
    metadata["state"]["totals"]["samples"] = 5
    checkpoint.save(tmp_path / "a" / "last.npz", arrays, metadata)
    found = diff(folder / "a" / "last.npz", tmp_path / "a" / "last.npz")
    assert rows(found, "state") == [Row("totals.samples", 0, 5)]


def test_a_model_against_a_state_is_compared_as_a_model(folder: Path, tmp_path: Path) -> None:
    train(folder / "flowers.yaml", tmp_path / "one", "training.epochs=1")
    found = diff(tmp_path / "one" / "best.npz", tmp_path / "one" / "last.npz")
    assert (found.equal, found.tensors) == (True, ())
    assert "also holds a training's state" in found.notes[0]


def test_a_run_without_a_best_epoch(folder: Path, tmp_path: Path) -> None:
    train_until(Run.start(build(folder / "flowers.yaml"), tmp_path / "cut"), 2)
    assert rows(diff(folder / "a", tmp_path / "cut"), "files") == [Row("best.npz", "there", None)]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of word2vec with two seeds, and vectors in other formats."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "text.txt").write_text(text())
    for name, seed in {"a": 0, "again": 0, "b": 1}.items():
        options = Word2VecOptions(dim=5, epochs=1, min_count=1, seed=seed)
        run = Word2VecRun.start(Word2VecSettings((str(folder / "text.txt"),), options), folder / name)
        for _ in run.train():
            pass
        run.finish()
    vectors = WordVectors.load(folder / "a" / "vectors.npz")
    vectors.save(folder / "a.bin")
    fewer = WordVectors(vectors.words[::-1][1:], vectors.vectors[::-1][1:], None, vectors.counts[::-1][1:])  # type: ignore[index]
    fewer.save(folder / "fewer.npz")
    return folder


def test_word_vectors(cli: Cli, words: Path) -> None:
    assert diff(words / "a", words / "again").equal
    found = diff(words / "a" / "vectors.npz", words / "b" / "vectors.npz")
    assert [each.name for each in found.tensors] == ["input", "output"]
    assert rows(found, "options") == [Row("options.seed", 0, 1)]
    assert "the mean cosine between the two vectors of a word is " in found.notes[0]
    done = cli("diff", "a", "b", cwd=words)
    assert done.returncode == 1
    assert "metrics, first in epoch 1" in done.stdout


def test_word_vectors_in_another_format(words: Path) -> None:
    found = diff(words / "a" / "vectors.npz", words / "a.bin")
    assert [(each.name, each.what) for each in found.tensors] == [("output", "only in a"), ("counts", "only in a")]


def test_other_words_in_another_order(words: Path) -> None:
    found = diff(words / "a" / "vectors.npz", words / "fewer.npz")
    count, alone, order = rows(found, "words")
    assert (count.a - count.b, alone.b, order.a) == (1, "none", "its own")
    assert [each.name for each in found.tensors] == ["output"]  # the vectors of the common words are the same


def test_two_kinds_and_nothing_at_all(folder: Path, words: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is of the kind run, .* of the kind model; name two of one kind"):
        diff(folder / "a", folder / "a" / "best.npz")
    with pytest.raises(UsageError, match=r"is of the kind model, .* of the kind word vectors"):
        diff(folder / "a" / "best.npz", words / "a" / "vectors.npz")
    with pytest.raises(UsageError, match="there is no run in this folder"):
        diff(tmp_path, tmp_path)


def test_what_is_nothing_of_the_kind(cli: Cli, folder: Path) -> None:
    for name in ("nope", "nope.npz"):
        done = cli("diff", "a", name, cwd=folder)
        assert (done.returncode, done.stderr) == (2, f"error: {name}: no such file or folder\n")
    done = cli("diff", "a/config.yaml", "a", cwd=folder)
    what = "is no model, run, set of seeds or word vectors; diff compares these"
    assert (done.returncode, done.stderr) == (2, f"error: a/config.yaml {what}\n")


def test_any_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3.0), name=np.array(["ab", "c"]), b=np.array([b"q"]))
    np.savez(tmp_path / "b.npz", x=np.arange(3), name=np.array(["ab", "d"]), b=np.array([b"r"]))
    found = diff(tmp_path / "a.npz", tmp_path / "b.npz")
    assert [str(each) for each in found.tensors] == [
        "x: float64 (3,) and int64 (3,)",
        "name[1]: c and d (one number differs)",
        "b[0]: b'q' and b'r' (one number differs)",
    ]


def test_damage_is_a_checkpoint_error(cli: Cli, folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "a" / "best.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.npz").write_bytes(data)
    assert cli("diff", folder / "a" / "best.npz", "bad.npz", cwd=tmp_path).returncode == 5
    arrays, metadata = checkpoint.load(folder / "a" / "best.npz")
    for key in ("architecture", "training", "config", "preprocessing"):
        checkpoint.save(tmp_path / "bad.npz", arrays, {k: v for k, v in metadata.items() if k != key})
        with pytest.raises(CheckpointError, match="what it says of itself is damaged"):
            diff(tmp_path / "bad.npz", folder / "a" / "best.npz")


SHAPES = st.tuples(st.integers(0, 3), st.integers(1, 3))
NUMBERS = arrays_of_numpy.arrays(np.float32, SHAPES, elements=st.floats(width=32))


@given(NUMBERS, st.data())
def test_one_flipped_bit_is_one_change(x: Any, data: st.DataObject) -> None:
    assert compare("x", x, x.copy()) is None
    if x.size:
        place = data.draw(st.integers(0, x.size - 1))
        y = x.copy()
        y.reshape(-1).view(np.uint32)[place] ^= 1 << data.draw(st.integers(0, 31))
        change = compare("x", x, y)
        assert change is not None
        assert (change.elements, change.index) == (1, tuple(np.unravel_index(place, x.shape)))
        assert change.relative is not None
        assert change.relative >= 0


def test_nan_is_equal_to_itself_and_minus_zero_is_not_zero() -> None:
    a = {"x": np.array([np.nan, 1.0]), "y": np.array(0.0), "z": np.zeros(2)}
    assert changes(a, {name: x.copy() for name, x in a.items()}) == []
    found = changes(a, {**a, "y": np.array(-0.0), "x": np.array([2.0, 1.0])})
    assert [(each.name, each.relative, each.largest) for each in found] == [("x", np.inf, np.inf), ("y", 0.0, 0.0)]
    assert str(changes({"z": a["z"]}, {"z": a["z"] + 1})[0]) == "z[0]: 0.0 and 1.0 (2 numbers differ, by up to 1)"
