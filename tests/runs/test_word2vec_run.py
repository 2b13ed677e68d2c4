"""A word2vec run: what it leaves, and that an interruption anywhere changes no bit of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import metrics_of
from tiny_words import text

from dlscratch import checkpoint
from dlscratch.config.word2vec import Word2VecSettings, load
from dlscratch.errors import CheckpointError, DataError, DivergedError, UsageError
from dlscratch.runs import word2vec
from dlscratch.runs.word2vec import Word2VecRun
from dlscratch.word2vec import encoding
from dlscratch.word2vec.options import RunOptions, Word2VecOptions
from dlscratch.word2vec.trainer import Epoch
from dlscratch.word2vec.vectors import WordVectors

OPTIONS = Word2VecOptions(dim=8, epochs=3, min_count=2, sample=0, tokens_per_step=240)
LEFT = ["config.yaml", "metrics.jsonl", "run.json", "vectors.npz"]


def settings(folder: Path, run: RunOptions | None = None, **options) -> Word2VecSettings:
    corpus = folder / "corpus.txt"
    if not corpus.exists():
        corpus.write_text(text())
    return Word2VecSettings((str(corpus),), replace(OPTIONS, **options), run or RunOptions(threads=1))


def finish(run: Word2VecRun, steps: int | None = None) -> dict | None:
    """Train to the end; or some steps, and stop as the command line does on a signal."""
    for number, _ in enumerate(run.train(), start=1):
        if number == steps:
            run.interrupted()
            return None
    return run.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    finish(Word2VecRun.start(settings(folder), folder / "run"))
    return folder / "run"


def without_speed(folder: Path) -> list[dict]:
    return [{key: line[key] for key in line if key != "words_per_second"} for line in metrics_of(folder)]


def assert_same(folder: Path, whole: Path) -> None:
    assert sorted(os.listdir(folder)) == LEFT
    assert (folder / "vectors.npz").read_bytes() == (whole / "vectors.npz").read_bytes()
    assert without_speed(folder) == without_speed(whole)
    results = [json.loads((each / "run.json").read_text())["result"] for each in (folder, whole)]
    assert results[0] == results[1]


def test_a_run_leaves_four_files_that_agree(whole: Path) -> None:
    assert sorted(os.listdir(whole)) == LEFT
    facts = json.loads((whole / "run.json").read_text())
    vectors = WordVectors.load(whole / "vectors.npz")
    assert facts["status"] == "finished"
    assert facts["result"]["sha256"] == checkpoint.sha256(vectors.vectors) == vectors.metadata["vectors_sha256"]
    assert facts["result"]["vocabulary"] == len(vectors)
    assert facts["corpus_sha256"] == vectors.metadata["corpus"]["fingerprint"]
    assert {"dlscratch", "numpy", "command", "options", "started", "finished", "seconds"} <= set(facts)
    lines = metrics_of(whole)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] == facts["result"]["loss"] < lines[0]["loss"]
    assert set(lines[0]) == {"epoch", "loss", "lr", "words_per_second"}


def test_the_stored_config_makes_the_same_vectors(whole: Path, tmp_path: Path) -> None:
    again = load(whole / "config.yaml")
    assert again.options == OPTIONS
    assert finish(Word2VecRun.start(again, tmp_path / "again"))["sha256"] in (whole / "run.json").read_text()


@pytest.mark.parametrize("steps", [1, 7, 25, 26, 27, 60])
def test_interrupted_once(tmp_path: Path, whole: Path, steps: int) -> None:
    finish(Word2VecRun.start(settings(tmp_path), tmp_path / "run"), steps)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert {"corpus.ids", "corpus.npz", "last.npz"} <= set(os.listdir(tmp_path / "run"))
    finish(Word2VecRun.resume(settings(tmp_path, RunOptions(threads=2)), tmp_path / "run"))
    assert_same(tmp_path / "run", whole)
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["resumed"]) == 1


def test_interrupted_again_and_again(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without the files that a resume could use: they are made again."""
    monkeypatch.setattr(word2vec, "EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(word2vec, "SAVE_SHARE", 1e9)
    finish(Word2VecRun.start(settings(tmp_path), tmp_path / "run"), 3)
    for number, steps in enumerate(np.random.default_rng(0).integers(1, 25, 6).tolist()):
        if number % 2:
            (tmp_path / "run" / "corpus.npz").unlink()
        finish(Word2VecRun.resume(settings(tmp_path), tmp_path / "run"), steps)
    finish(Word2VecRun.resume(settings(tmp_path), tmp_path / "run"))
    assert_same(tmp_path / "run", whole)


def test_killed_between_the_files(tmp_path: Path, whole: Path) -> None:
    """metrics.jsonl may be ahead of last.npz, and vectors.npz be there before run.json says so."""
    folder = tmp_path / "run"
    finish(Word2VecRun.start(settings(tmp_path), folder), 20)
    last, before = (folder / "last.npz").read_bytes(), (folder / "run.json").read_bytes()
    finish(Word2VecRun.resume(settings(tmp_path), folder))
    (folder / "last.npz").write_bytes(last)
    (folder / "run.json").write_bytes(before)
    (folder / ".last.npz.0123abcd.tmp").write_bytes(b"half")
    (folder / ".corpus.ids.tmp").write_bytes(b"half")
    finish(Word2VecRun.resume(settings(tmp_path), folder))
    assert_same(folder, whole)


def test_killed_before_the_first_save(tmp_path: Path, whole: Path) -> None:
    Word2VecRun.start(settings(tmp_path), tmp_path / "run")
    assert not (tmp_path / "run" / "last.npz").exists()
    finish(Word2VecRun.resume(settings(tmp_path), tmp_path / "run"))
    assert_same(tmp_path / "run", whole)


def test_a_finished_run_has_nothing_left(tmp_path: Path) -> None:
    first = finish(Word2VecRun.start(settings(tmp_path), tmp_path / "run"))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    run = Word2VecRun.resume(settings(tmp_path), tmp_path / "run")
    assert list(run.train()) == []
    assert run.finish() == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_softmax_is_resumed_as_well(tmp_path: Path) -> None:
    options = {"objective": "softmax", "lr": 0.01, "epochs": 2}
    finish(Word2VecRun.start(settings(tmp_path, **options), tmp_path / "a"))
    finish(Word2VecRun.start(settings(tmp_path, **options), tmp_path / "b"), 20)
    finish(Word2VecRun.resume(settings(tmp_path, **options), tmp_path / "b"))
    assert_same(tmp_path / "b", tmp_path / "a")


def test_what_a_resume_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(UsageError, match="there is no word2vec run to resume; start the run without --resume"):
        Word2VecRun.resume(settings(tmp_path), folder)
    (tmp_path / "stop").write_text("a\n")
    finish(Word2VecRun.start(settings(tmp_path, stopwords=str(tmp_path / "stop")), folder), 5)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageError) as caught:
        Word2VecRun.resume(settings(tmp_path, dim=9, lr=0.5), folder)
    assert str(caught.value).splitlines()[1:] == ["  dim: 8 in the run, 9 now", "  lr: 0.025 in the run, 0.5 now"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "stop").write_text("b\n")
    with pytest.raises(CheckpointError, match="recipe"):
        Word2VecRun.resume(settings(tmp_path, stopwords=str(tmp_path / "stop")), folder)
    (tmp_path / "corpus.txt").write_text(text(seed=1))
    with pytest.raises(DataError, match="the text is not that which the run began with; start anew with --force"):
        Word2VecRun.resume(settings(tmp_path, stopwords=str(tmp_path / "stop")), folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays, facts: (arrays, {**facts, "kind": "model"}),
        lambda arrays, facts: ({}, facts),
        lambda arrays, facts: ({**arrays, "input": arrays["input"][:, 1:]}, facts),
        lambda arrays, facts: (arrays, {key: facts[key] for key in facts if key != "number"}),
    ],
)
def test_a_last_npz_that_does_not_fit(tmp_path: Path, damage) -> None:
    finish(Word2VecRun.start(settings(tmp_path), tmp_path / "run"), 5)
    last = tmp_path / "run" / "last.npz"
    checkpoint.save(last, *damage(*checkpoint.load(last)))
    with pytest.raises(CheckpointError, match=r"last\.npz"):
        Word2VecRun.resume(settings(tmp_path), tmp_path / "run")


def test_a_run_is_replaced_only_by_one_whose_text_is_good(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finish(Word2VecRun.start(settings(tmp_path), folder))
    before = (folder / "vectors.npz").read_bytes()
    with pytest.raises(UsageError, match="holds a run"):
        Word2VecRun.start(settings(tmp_path), folder)
    with pytest.raises(DataError, match="min_count 1000000"):
        Word2VecRun.start(settings(tmp_path, min_count=1_000_000), folder, force=True)
    assert (folder / "vectors.npz").read_bytes() == before
    finish(Word2VecRun.start(settings(tmp_path, seed=1), folder, force=True))
    assert (folder / "vectors.npz").read_bytes() != before


def test_a_text_that_cannot_be_used_leaves_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Word2VecRun.start(settings(tmp_path, min_count=1_000_000), tmp_path / "run")
    assert os.listdir(tmp_path / "run") == []


def test_the_encoded_corpus_is_kept_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = RunOptions(threads=1, keep_encoded=True)
    first = finish(Word2VecRun.start(settings(tmp_path, keep), tmp_path / "run"))
    assert {"corpus.ids", "corpus.npz"} <= set(os.listdir(tmp_path / "run"))
    with monkeypatch.context() as patch:
        patch.setattr(word2vec.Corpus, "pieces", lambda self: pytest.fail("the text was read again"))
        again = finish(Word2VecRun.start(settings(tmp_path, keep), tmp_path / "run", force=True))
    assert again == first
    (tmp_path / "corpus.txt").write_text(text(seed=1))
    assert finish(Word2VecRun.start(settings(tmp_path, keep), tmp_path / "run", force=True)) != first


def test_a_kill_while_the_corpus_is_encoded_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of one way must not be taken for those of the other, though there are as many."""
    (tmp_path / "corpus.txt").write_text("b B b B c B b a\n" * 300)
    keep, options = RunOptions(threads=1, keep_encoded=True), {"min_count": 1}
    first = finish(Word2VecRun.start(settings(tmp_path, keep, **options), tmp_path / "run"))
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "_save", lambda encoded: sys.exit())
        with pytest.raises(SystemExit):
            Word2VecRun.start(settings(tmp_path, keep, lowercase=False, **options), tmp_path / "run", force=True)
    again = finish(Word2VecRun.start(settings(tmp_path, keep, **options), tmp_path / "run", force=True))
    assert again == first


def test_input_only_halves_the_file(tmp_path: Path, whole: Path) -> None:
    run = Word2VecRun.start(settings(tmp_path, RunOptions(input_only=True)), tmp_path / "run")
    finish(run)
    assert WordVectors.load(tmp_path / "run" / "vectors.npz").output is None
    assert WordVectors.load(whole / "vectors.npz").output is not None


def test_a_run_that_diverges_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Word2VecRun.start(settings(tmp_path), tmp_path / "run")
    run.trainer.input[:] = np.nan
    with pytest.raises(DivergedError):
        finish(run)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "diverged"
    assert not (tmp_path / "run" / "vectors.npz").exists()


def test_records_come_from_the_trainer(tmp_path: Path) -> None:
    records = list(Word2VecRun.start(settings(tmp_path), tmp_path / "run").train())
    assert [record.epoch for record in records if isinstance(record, Epoch)] == [1, 2, 3]
    assert len(records) > 60
