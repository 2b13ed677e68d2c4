"""Convolutional networks trained by two processes: killed, interrupted, diverged, profiled and checked as by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from processes import children, lives, wait_for
from test_reproduce import reproduced
from tiny_runs import ENVIRONMENT, arrays_of, metrics_of, train, write_idx

from dlscratch import checkpoint
from dlscratch.checks import check_gradients
from dlscratch.checks.blackbox import replay
from dlscratch.checks.resume import verify_resume
from dlscratch.config.build import build
from dlscratch.errors import DivergedError
from dlscratch.runs import Run

IMAGES = """\
seed: 3
data:
  idx: {images: images.idx3, labels: labels.idx1}
  preprocessing: {scale: 255, shape: [1, 16, 16]}
  validation: 0.2
model:
  - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
  - relu
  - residual: {layers: [{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}}, batch_norm2d, relu]}
  - max_pool2d: {kernel_size: 2}
  - conv2d: {out_channels: 12, kernel_size: 3, stride: 2}
  - dropout: {p: 0.2}
  - flatten
  - linear: {out_features: 3}
optimizer: adam
training: {epochs: 40, batch_size: 50, checkpoint_every: {steps: 7}}
"""
HUGE = ["optimizer={sgd: {lr: 1e30}}"]
EPOCHS = 40


def images(folder: Path) -> Path:
    """A folder with images that a network can tell apart, and the config: batches of 50, 50 and 44."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    pictures = rng.integers(0, 160, (240, 16, 16))
    for label in range(3):
        pictures[labels == label, 4 * label : 4 * label + 6, 3:12] += 90
    write_idx(folder / "images.idx3", pictures)
    write_idx(folder / "labels.idx1", labels)
    (folder / "images.yaml").write_text(IMAGES)
    return folder / "images.yaml"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that all others must equal: by one process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(images(folder), folder / "run", "training.threads=1")
    return folder / "run"


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    """`dlscratch train` under way, in a group of processes of its own."""
    command = [sys.executable, "-m", "dlscratch", "train", "images.yaml", "--out", "run", *more]
    return subprocess.Popen(
        [*command, "--set", "training.threads=2"], cwd=folder, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def second(process: subprocess.Popen[str], run: Path, written: int = 0) -> int:
    """The second process, when last.npz has been written after a time."""
    last = run / "last.npz"
    wait_for(lambda: process.poll() is not None or (last.exists() and last.stat().st_mtime_ns > written))
    assert process.poll() is None, process.communicate()
    wait_for(lambda: children(process.pid))
    [pid] = children(process.pid)
    return pid


def finish(cli: Cli, folder: Path, expected: Path) -> None:
    """Resume to the end: every bit is that of the run without an interruption."""
    done = cli("train", "images.yaml", "--out", "run", "-q", "--resume", "--set", "training.threads=2", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("best.npz", "last.npz"):
        assert arrays_of(folder / "run" / name) == arrays_of(expected / name)
    assert metrics_of(folder / "run") == metrics_of(expected)


def test_killed_one_and_then_the_other(cli: Cli, tmp_path: Path, uninterrupted: Path) -> None:
    images(tmp_path)
    run = tmp_path / "run"
    process = start(tmp_path)
    os.kill(second(process, run), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: the process that computes half of each batch has ended (killed? out of memory?); ")
    assert len(err.splitlines()) == 1
    assert checkpoint.load(run / "last.npz")[1]["state"]["step"] < 3 * EPOCHS
    before = (run / "last.npz").stat().st_mtime_ns
    process = start(tmp_path, "--resume")
    pid = second(process, run, before)
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not lives(pid), 5)
    finish(cli, tmp_path, uninterrupted)


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_to_both(cli: Cli, tmp_path: Path, uninterrupted: Path, number: signal.Signals, word: str) -> None:
    images(tmp_path)
    process = start(tmp_path)
    pid = second(process, tmp_path / "run")
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    expected = f"warning: stopped; run/last.npz is written, go on with --resume\n{word}\n"
    assert (process.returncode, err) == (128 + number, expected)
    assert '"status": "interrupted"' in (tmp_path / "run" / "run.json").read_text()
    assert not lives(pid)
    finish(cli, tmp_path, uninterrupted)


def test_without_streams(tmp_path: Path, uninterrupted: Path) -> None:
    images(tmp_path)
    command = f"exec {sys.executable} -m dlscratch train images.yaml --out run --set training.threads=2 <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, timeout=60, check=False).returncode == 0
    assert arrays_of(tmp_path / "run" / "last.npz") == arrays_of(uninterrupted / "last.npz")


def test_a_profile_changes_nothing_and_tells_of_all(cli: Cli, tmp_path: Path, uninterrupted: Path) -> None:
    images(tmp_path)
    options = ["--out", "run", "--profile", "-q", "--set", "training.threads=2"]
    done = cli("train", "images.yaml", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert arrays_of(tmp_path / "run" / "last.npz") == arrays_of(uninterrupted / "last.npz")
    document = json.loads((tmp_path / "run" / "profile.json").read_text())
    rows = {row["name"]: row for row in document["rows"]}
    seconds = [row["forward_seconds"] + row["backward_seconds"] for row in rows.values()]
    assert sum(seconds) == pytest.approx(document["seconds"])
    assert min(rows[name]["forward_seconds"] for name in ("0", "1", "2.0", "2.1", "2.2", "3", "4", "5", "7")) > 0
    assert min(rows[name]["backward_seconds"] for name in ("0", "1", "2.0", "2.1", "2.2", "3", "4", "5", "7")) > 0


def diverged(folder: Path, threads: int) -> tuple[Path, str]:
    """The black box of a run that diverges, and what was said without the place."""
    run = Run.start(build(images(folder), [*HUGE, f"training.threads={threads}"]), folder / "run")
    with pytest.raises(DivergedError) as caught:
        for _ in run.train():
            pass
    return folder / "run" / "blackbox.npz", str(caught.value).replace(str(folder), "")


def test_a_run_that_diverges_is_done_again(helped: list[int], tmp_path: Path) -> None:
    (one, said), (two, told) = (diverged(tmp_path / str(threads), threads) for threads in (1, 2))
    assert helped
    assert told == said
    assert arrays_of(two) == arrays_of(one)
    found = replay(two)
    assert (found.reproduced, found.same) == (True, True)
    assert found.places() == replay(one).places()


def test_the_checks_agree(helped: list[int], tmp_path: Path) -> None:
    config = images(tmp_path)
    more = ["training.threads=2", "training.epochs=3"]
    found = verify_resume(config, tmp_path / "scratch", more, steps=4)
    assert (found.difference, found.steps, found.interrupted) == (None, 8, 4)
    assert len(helped) == 16
    train(config, tmp_path / "run", *more)
    helped.clear()
    assert reproduced(tmp_path / "run").identical
    assert helped == [50, 50, 44] * 3
    assert check_gradients(build(config, more)).right
