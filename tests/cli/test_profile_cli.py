"""`train --profile` as a process: a table, profile.json, and the same model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, FLOWERS, HEIGHTS, project

LONG = FLOWERS.replace("epochs: 3", "epochs: 20000")


def test_a_table_and_a_file_and_the_same_model(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    assert cli("train", "flowers.yaml", "--out", "plain", "-q", cwd=tmp_path).returncode == 0
    done = cli("train", "flowers.yaml", "--out", "run", "--profile", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "best.npz").read_bytes() == (tmp_path / "plain" / "best.npz").read_bytes()
    assert not (tmp_path / "plain" / "profile.json").exists()
    document = json.loads((tmp_path / "run" / "profile.json").read_text())
    names = [row["name"] for row in document["rows"]]
    assert names[:6] == ["", "0", "1", "2", "3", "4"]
    assert {"loss", "optimizer", "metrics", "batches", "validation", "saving", "reading", "other"} <= set(names)
    seconds = sum(row["forward_seconds"] + row["backward_seconds"] for row in document["rows"])
    assert seconds == pytest.approx(document["seconds"])
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["1", "batch_norm1d"] in [line[:2] for line in lines]
    assert "100.0%" in next(line for line in lines if line[:1] == ["total"])


def test_it_is_in_json_and_force_removes_that_of_the_run_before(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    train = ["train", "flowers.yaml", "--out", "run", "--json"]
    result = json.loads(cli(*train, "--profile", cwd=tmp_path).stdout)
    assert result["profile"] == json.loads((tmp_path / "run" / "profile.json").read_text())
    assert "profile" not in json.loads(cli(*train, "--force", cwd=tmp_path).stdout)
    assert not (tmp_path / "run" / "profile.json").exists()


def test_each_run_of_several_seeds_has_its_own(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "flowers.yaml", "--out", "runs", "--seeds", "2", "--profile", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert all((tmp_path / "runs" / f"seed-{seed}" / "profile.json").exists() for seed in (1, 2))


def test_a_run_that_diverges_ends_as_without_it(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, HEIGHTS)
    wild = ["--set", "model=[{linear: {out_features: 1}}]", "--set", "optimizer={sgd: {lr: 1e30}}"]
    train = ["train", "flowers.yaml", "--out", "run", "--force", "-q", *wild]
    plain, profiled = cli(*train, cwd=tmp_path), cli(*train, "--profile", cwd=tmp_path)
    assert (profiled.returncode, profiled.stdout, profiled.stderr) == (4, plain.stdout, plain.stderr)
    assert (tmp_path / "run" / "blackbox.npz").exists()


def test_a_run_that_is_stopped_tells_what_it_took(tmp_path: Path) -> None:
    project(tmp_path, LONG)
    command = [sys.executable, "-m", "dlscratch", "train", "flowers.yaml", "--out", "run", "--profile", "-q"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "run" / "best.npz").exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    document = json.loads((tmp_path / "run" / "profile.json").read_text())
    assert document["seconds"] > 1
    assert "batch_norm1d" in out
