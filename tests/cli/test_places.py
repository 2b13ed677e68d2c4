"""Paths as people write them: a run's folder or one of its files; what is missing is said, and where it may be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import project, train

from dlscratch.word2vec.vectors import WordVectors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, one that diverged at once, one with text for a number, and one of word vectors."""
    folder = tmp_path_factory.mktemp("places")
    train(project(folder), folder / "runs" / "good", "training.epochs=1")
    for name in ("diverged", "damaged", "moved", "words"):
        (folder / "runs" / name).mkdir()
    facts = {"status": "diverged", "error": "step 3: the loss is nan"}
    (folder / "runs" / "diverged" / "run.json").write_text(json.dumps(facts))
    (folder / "runs" / "damaged" / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1}\n{"epoch": 2, "loss": "low"}\n')
    for name in ("run.json", "config.yaml", "metrics.jsonl", "best.npz"):
        shutil.copy(folder / "runs" / "good" / name, folder / "runs" / "moved" / name)
    config = folder / "runs" / "moved" / "config.yaml"
    config.write_text(config.read_text().replace("flowers.csv", "gone.csv"))
    vectors = WordVectors(map(str, range(9)), np.random.default_rng(0).normal(size=(9, 3)))
    vectors.save(folder / "runs" / "words" / "vectors.npz")
    return folder


@pytest.mark.parametrize(
    ("by_file", "by_folder"),
    [
        (["plot", "runs/good/metrics.jsonl"], ["plot", "runs/good"]),
        (["report", "runs/good/best.npz", "-o", "r.html"], ["report", "runs/good", "-o", "r.html"]),
        (["graph", "runs/good/best.npz"], ["graph", "runs/good"]),
        (["inspect", "runs/good/best.npz"], ["inspect", "runs/good"]),
        (["evaluate", "runs/good/best.npz"], ["evaluate", "runs/good"]),
        (["predict", "runs/good/best.npz", "flowers.csv"], ["predict", "runs/good", "flowers.csv"]),
        (["inspect", "runs/words/vectors.npz"], ["inspect", "runs/words"]),
        (["vectors", "nearest", "runs/words/vectors.npz", "1"], ["vectors", "nearest", "runs/words", "1"]),
        (["vectors", "map", "runs/words/vectors.npz"], ["vectors", "map", "runs/words"]),
    ],
    ids=" ".join,
)
def test_a_run_is_found_by_its_folder_and_by_its_files(
    cli: Cli, folder: Path, by_file: list[str], by_folder: list[str]
) -> None:
    one, other = (cli(*args, cwd=folder) for args in (by_file, by_folder))
    assert one.returncode == other.returncode == 0, one.stderr + other.stderr
    assert one.stdout == other.stdout != ""


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["report", "runs"], 2, "runs: there is no run in this folder; there are runs/damaged, runs/diverged"),
        (["inspect", "runs"], 2, "runs: there is no run in this folder; there are runs/damaged, runs/diverged"),
        (["reproduce", "runs"], 2, "no last.npz in this folder; there are runs/damaged, runs/diverged"),
        (["replay", "runs/good"], 2, "runs/good: there is no blackbox.npz in it: the run did not diverge"),
        (["train", "runs/good"], 2, "runs/good is a run's folder, not a config; its config is runs/good/config.yaml"),
        (["check", "runs/good/best.npz"], 2, "best.npz is a model or another .npz file, not a config; its config is"),
        (["evaluate", "flowers.yaml"], 5, "something else; a config is trained first: dlscratch train flowers.yaml"),
        (["plot", "flowers.csv"], 2, "flowers.csv: there is no run beside this file; name a run's folder"),
        (["plot", "runs/diverged"], 2, "runs/diverged: diverged before an epoch had ended: step 3: the loss is nan"),
        (["report", "runs/diverged"], 2, "in it: diverged before an epoch had ended: step 3: the loss is nan"),
        (["report", "runs/words"], 2, "in it: a run of word vectors: use `plot`, and `vectors map`"),
        (["plot", "runs/damaged"], 5, "runs/damaged/metrics.jsonl:2: loss is 'low'; expected float"),
        (["report", "runs/moved"], 3, "no such file; use --no-examples for a report without the data"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_is_missing_is_said(cli: Cli, folder: Path, args: list[str], code: int, message: str) -> None:
    done = cli(*args, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
