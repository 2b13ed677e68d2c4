"""One rule for the files that commands write: results are replaced, a run's files and a command's inputs never."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, project, train
from typer.core import TyperGroup
from typer.main import get_command

from dlscratch.cli.app import app
from dlscratch.word2vec.vectors import WordVectors

OUT = {"--out", "-o", "--svg", "--to"}  # options that name a file to write
BEGIN = {"init", "train", "word2vec"}  # they replace nothing without --force, as tests of theirs say
COMMANDS = {  # and a file of the run with a name that each of them takes
    "plot": (["plot", "run", "--out"], "run.json"),
    "report": (["report", "run", "--no-examples", "--out"], "run.json"),
    "graph": (["graph", "run/best.npz", "--out"], "run.json"),
    "explain": (["explain", "x * x", "x=2", "--svg"], "config.yaml"),
    "predict": (["predict", "run/best.npz", "flowers.csv", "--out"], "metrics.jsonl"),
    "vectors map": (["vectors", "map", "words.npz", "--out"], "run.json"),
    "vectors export": (["vectors", "export", "words.npz", "--to"], "vectors.npz"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, its data, word vectors, and a config that is JSON, too."""
    folder = tmp_path_factory.mktemp("outputs")
    train(project(folder), folder / "run", "training.epochs=1")
    WordVectors(map(str, range(9)), np.random.default_rng(0).normal(size=(9, 3))).save(folder / "words.npz")
    shutil.copy(folder / "words.npz", folder / "words.csv")
    shutil.copy(folder / "run" / "best.npz", folder / "model.npz")
    (folder / "link.csv").symlink_to("flowers.csv")
    (folder / "config.json").write_text(
        '{"data": {"csv": {"path": "flowers.csv", "target": "species"}}, "model": [{"linear": {"out_features": 3}}],'
        ' "optimizer": "adam"}'
    )
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_command_that_writes_a_file_is_here() -> None:
    group = get_command(app)
    context = group.context_class(group)
    commands = {name: group.resolve_command(context, [name])[1] for name in list(group.commands)}
    groups = {name: each for name, each in commands.items() if isinstance(each, TyperGroup)}
    commands |= {f"{name} {inner}": each for name, group in groups.items() for inner, each in group.commands.items()}
    found = {name for name, each in commands.items() if any(OUT & set(option.opts) for option in each.params)}
    assert found == BEGIN | set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_result_takes_the_place_of_what_is_there(cli: Cli, folder: Path, command: str) -> None:
    args, _ = COMMANDS[command]
    ending = {"explain": "svg", "predict": "csv", "vectors export": "txt"}.get(command, "json")
    (folder / f"old.{ending}").write_text("old")
    done = cli(*args, f"old.{ending}", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / f"old.{ending}").stat().st_size > 20


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_a_run_stays(cli: Cli, folder: Path, command: str) -> None:
    args, name = COMMANDS[command]
    before = files(folder)
    done = cli(*args, f"{folder}/run/../run/{name}", cwd=folder)
    assert (done.returncode, files(folder)) == (2, before)
    assert done.stderr == (
        f"error: {folder}/run/../run/{name}: belongs to the run in this folder; choose another name\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["predict", "model.npz", "flowers.csv", "-o", "flowers.csv"],
        ["predict", "model.npz", "flowers.csv", "-o", "link.csv"],
        ["predict", "model.npz", "flowers.csv", "-o", "model.npz"],
        ["graph", "config.json", "-o", "config.json"],
        ["vectors", "export", "words.npz", "--to", "words.npz"],
        ["vectors", "map", "words.npz", "words.csv", "--from", "npz", "-o", "words.csv"],
    ],
)
def test_what_a_command_reads_stays(cli: Cli, folder: Path, args: list[str]) -> None:
    before = files(folder)
    done = cli(*args, cwd=folder)
    assert (done.returncode, files(folder)) == (2, before)
    assert done.stderr == f"error: {args[-1]}: is what this command reads; choose another name\n"


def test_a_map_under_way_is_interrupted_at_once(tmp_path: Path) -> None:
    WordVectors(map(str, range(9)), np.eye(9)).save(tmp_path / "words.npz")
    (tmp_path / "umap.py").write_text("open('begun', 'w').close(); import time; time.sleep(60)")
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    command = [sys.executable, "-m", "dlscratch", "vectors", "map", "words.npz", "--method", "umap"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**ENVIRONMENT, "PYTHONPATH": path}, stderr=subprocess.PIPE)
    while not (tmp_path / "begun").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == b"interrupted\n"
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["begun", "umap.py", "words.npz"]
