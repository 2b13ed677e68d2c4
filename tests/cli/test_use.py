"""`inspect`, `evaluate`, `predict` and `check` as processes."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, FLOWERS, HEIGHTS, SPECIES, flowers, project, train

EVIL = "as\x1b[31mter\u202e"  # turns a terminal red, and text around


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of classes and one of numbers."""
    folder = tmp_path_factory.mktemp("use")
    train(project(folder), folder / "run")
    (folder / "heights.yaml").write_text(HEIGHTS)
    train(folder / "heights.yaml", folder / "heights")
    return folder


RESULTS = {"model", "data", "loss", "accuracy", "confusion_matrix"}
DOCUMENTS = {
    "inspect": (["inspect", "run/best.npz"], {"file", "kind", "bytes", "layers", "arrays", "parameters", "training"}),
    "evaluate": (["evaluate", "run/best.npz", "flowers.csv"], RESULTS),
    "predict": (["predict", "run/best.npz", "flowers.csv"], {"model", "predictions"}),
    "check": (["check", "flowers.yaml"], {"config", "rows", "parameters", "warnings"}),
    "schema": (["schema"], {"$schema", "$defs"}),
    "options": (["options", "linear"], {"name", "family", "options"}),
    "init": (["init", "flowers.csv", "--target", "species", "-o", "-"], {"text", "target"}),
}


@pytest.mark.parametrize("command", DOCUMENTS)
def test_json_is_one_document(cli: Cli, folder: Path, command: str) -> None:
    args, keys = DOCUMENTS[command]
    done = cli(*args, "--json", cwd=folder)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert keys <= set(document if isinstance(document, dict) else document[0])


def test_evaluate_shows_every_class(cli: Cli, folder: Path) -> None:
    done = cli("evaluate", "run/best.npz", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(re.search(rf"^ *{name} .*\d", done.stdout, re.MULTILINE) for name in ("accuracy", *SPECIES))
    assert "\x1b" not in done.stdout


def test_evaluate_agrees_with_the_run_and_with_predict(cli: Cli, folder: Path) -> None:
    result = json.loads((folder / "run" / "run.json").read_text())["result"]["test"]
    document = json.loads(cli("evaluate", "run/best.npz", "--json", cwd=folder).stdout)
    assert {key: document[key] for key in result} == result
    assert document["data"] == ["test rows of the run"]
    everything = json.loads(cli("evaluate", "run/best.npz", "flowers.csv", "--json", cwd=folder).stdout)
    said = list(csv.DictReader(cli("predict", "run/best.npz", "flowers.csv", cwd=folder).stdout.splitlines()))
    truth = list(csv.DictReader((folder / "flowers.csv").read_text().splitlines()))
    hits = [row["species"] == true["species"] for row, true in zip(said, truth, strict=True)]
    assert np.mean(hits) == everything["accuracy"]
    assert [float(row["probability"]) for row in said] == [float(row[f"probability {row['species']}"]) for row in said]


def test_regression_is_in_the_units_of_the_data(cli: Cli, folder: Path) -> None:
    document = json.loads(cli("evaluate", "heights/best.npz", "flowers.csv", "--json", cwd=folder).stdout)
    done = cli("predict", "heights/best.npz", "flowers.csv", "-o", "said.csv", cwd=folder)
    assert done.stdout == "60 predictions in said.csv\n"
    said = np.loadtxt(folder / "said.csv", skiprows=1)
    truth = np.loadtxt(folder / "flowers.csv", delimiter=",", skiprows=1, usecols=1)
    assert document["mae"] == pytest.approx(np.abs(said - truth).mean(), rel=1e-6)
    assert 10 < said.mean() < 40


def test_predict_to_stdout_is_only_csv_even_when_quiet(cli: Cli, folder: Path) -> None:
    loud, quiet = (cli("predict", "run/best.npz", "flowers.csv", *args, cwd=folder) for args in ([], ["-q"]))
    assert loud.stdout == quiet.stdout
    assert (loud.stdout.count("\n"), loud.stderr) == (61, "")
    piped = cli("predict", "run/best.npz", "flowers.csv", "-o", "/dev/stdout", "-q", cwd=folder)
    assert piped.stdout == loud.stdout


def test_names_from_data_steer_no_terminal(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, data=flowers().replace("aster", EVIL))
    done = cli("train", "flowers.yaml", "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    shown = cli("evaluate", "run/best.npz", cwd=tmp_path).stdout
    assert r"as\x1b[31mter\u202e" in shown
    assert "\x1b" not in shown + done.stdout
    document = cli("evaluate", "run/best.npz", "--json", cwd=tmp_path).stdout
    assert "\x1b" not in document
    (tmp_path / "bad.csv").write_text(f"width,height,colour,species\n1,{EVIL},red,{EVIL}\n")
    message = cli("predict", "run/best.npz", "bad.csv", cwd=tmp_path).stderr
    assert r"\x1b[31m" in message
    assert "\x1b" not in message
    to_a_program = cli("predict", "run/best.npz", "flowers.csv", cwd=tmp_path).stdout
    assert EVIL in to_a_program  # the data as they are


def test_unicode_names_in_any_encoding(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, data=flowers().replace("aster", "αστήρ").replace("colour", "цвет"))
    env = {"PYTHONIOENCODING": "ascii"}
    done = cli("train", "flowers.yaml", "--out", "run", cwd=tmp_path, env=env)
    assert done.returncode == 0
    said = cli("predict", "run/best.npz", "flowers.csv", cwd=tmp_path, env=env)
    assert (said.returncode, said.stdout.splitlines()[0].split(",")[4]) == (0, "probability αστήρ")
    assert r"\u03b1\u03c3" in cli("evaluate", "run/best.npz", cwd=tmp_path, env=env).stdout


def test_a_reader_who_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m dlscratch options; echo $? >&2"
    pipe = f"({command}) | head -1"
    done = subprocess.run(pipe, env=ENVIRONMENT, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == "0\n"


def test_closed_streams(folder: Path) -> None:
    command = f"{sys.executable} -m dlscratch evaluate run/best.npz >&- 2>&-"
    assert subprocess.run(command, cwd=folder, env=ENVIRONMENT, shell=True, check=False).returncode == 0


def test_check_warns_of_what_is_hardly_meant(cli: Cli, folder: Path) -> None:
    (folder / "soft.yaml").write_text(FLOWERS.replace("out_features: 3}", "out_features: 3}\n  - softmax"))
    done = cli("check", "soft.yaml", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == "warning: model[5].softmax: cross_entropy takes the softmax itself; leave this layer out\n"
    assert "soft.yaml: can be trained, with 1 warning" in done.stdout


def test_a_hundred_classes(cli: Cli, tmp_path: Path) -> None:
    rows = [f"{row % 100},{row},k{row % 100:03d}" for row in range(400)]
    text = "\n".join(["width,height,species", *rows]) + "\n"
    project(tmp_path, FLOWERS.replace("out_features: 3", "out_features: 100"), text)
    done = cli("train", "flowers.yaml", "--out", "run", "--set", "training.epochs=1", cwd=tmp_path)
    assert done.returncode == 0
    assert "always saying the commonest class would be right as often (0.0100)" in done.stderr
    assert "top_5_accuracy" in done.stdout
    shown = cli("evaluate", "run/best.npz", cwd=tmp_path)
    assert shown.returncode == 0
    assert "k099" in shown.stdout


def test_inspect_shows_layers_and_arrays_of_any_file(cli: Cli, folder: Path) -> None:
    shown = cli("inspect", "run/best.npz", cwd=folder).stdout
    assert all(word in shown for word in ("batch_norm1d", "0.weight", "1.running_mean", "total"))
    np.savez(folder / "any.npz", x=np.arange(6.0).reshape(2, 3), nan=np.array([np.nan]))
    done = cli("inspect", "any.npz", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2×3" in done.stdout
    document = json.loads(cli("inspect", "any.npz", "--json", cwd=folder).stdout)
    assert document["bytes"] == (folder / "any.npz").stat().st_size
