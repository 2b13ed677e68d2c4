"""A model depends on config, data and seed alone: not on threads, the hash seed, the place, the time, the language."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Cli, run_cli
from tiny_runs import FLOWERS, flowers, metrics_of, project

from dlscratch import checkpoint

# 600 columns of a matrix product are more than OpenBLAS sums in one piece, and 200 rows more than one thread takes.
WIDE = FLOWERS.replace("out_features: 8", "out_features: 600}\n  - linear: {out_features: 600").replace(
    "batch_size: 7", "batch_size: 200"
)
SAME = {
    "hash seed, time zone, language": ({"PYTHONHASHSEED": "0", "TZ": "Pacific/Chatham", "LC_ALL": "tr_TR"}, ""),
    "another hash seed": ({"PYTHONHASHSEED": "1"}, ""),
    "BLAS with one thread": ({"OPENBLAS_NUM_THREADS": "1"}, ""),
    "one thread": ({}, "1"),
    "two threads": ({}, "2"),
    "three threads": ({"OPENBLAS_NUM_THREADS": "3"}, "3"),
}


@pytest.fixture(scope="module")
def data() -> str:
    return flowers(450)


def trained(cli: Cli, folder: Path, data: str, env: dict[str, str], threads: str) -> dict[str, object]:
    """What a run leaves."""
    project(folder, WIDE, data)
    more = ["--set", f"training.threads={threads}"] if threads else []
    done = cli("train", "flowers.yaml", "--out", "run", "-q", *more, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return left_by(folder / "run")


def left_by(run: Path) -> dict[str, object]:
    """The SHA-256 of every array, and the metrics."""
    models = [checkpoint.load(run / name)[1]["arrays"] for name in ("best.npz", "last.npz")]
    digests = [{name: facts["sha256"] for name, facts in arrays.items()} for arrays in models]
    return {"best": digests[0], "last": digests[1], "metrics": metrics_of(run)}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory, data: str) -> dict[str, object]:
    """The run with nothing special about it."""
    return trained(run_cli, tmp_path_factory.mktemp("usual"), data, {}, "")


@pytest.mark.parametrize("name", SAME)
def test_the_same_bits(cli: Cli, tmp_path: Path, usual: dict[str, object], data: str, name: str) -> None:
    assert trained(cli, tmp_path, data, *SAME[name]) == usual


def test_the_same_bits_in_another_folder_and_at_another_time(
    cli: Cli, tmp_path: Path, usual: dict[str, object], data: str
) -> None:
    config = project(tmp_path / "a" / "b", WIDE, data)
    os.utime(config.with_name("flowers.csv"), (1, 1))
    done = cli("train", "b/flowers.yaml", "--out", tmp_path / "elsewhere" / "run", "-q", cwd=tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert left_by(tmp_path / "elsewhere" / "run") == usual
