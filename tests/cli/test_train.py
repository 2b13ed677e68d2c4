"""`train` as a process: what it prints, where it writes, and what decides about both."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, FLOWERS, HEIGHTS, metrics_of, project

from dlscratch.cli.progress import epoch_line
from dlscratch.training import Epoch

EPOCH = r"epoch +(\d+)/(\d+)  loss [\d.]+  .*val_loss [\d.]+  val_accuracy [\d.]+.*  lr 0\.01  [\d.]+ s"


def trained(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_line_an_epoch_and_no_escape_codes(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "flowers.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines, validation, test, model = done.stdout.splitlines()
    assert first.startswith("flowers: 4 inputs, target species (3 classes); rows: train 33, validation 12, test 15;")
    assert [re.match(EPOCH, line).groups() for line in lines] == [(str(n), "3") for n in (1, 2, 3)]  # type: ignore[union-attr]
    assert validation.startswith("validation (best epoch,")
    assert test.startswith("test (best epoch,")
    assert model == "runs/flowers/best.npz"
    assert "\x1b" not in done.stdout
    command = trained(tmp_path / "runs" / "flowers")["command"]
    assert command == "dlscratch train flowers.yaml"


def test_json_is_one_document_and_alone_on_stdout(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "flowers.yaml", "--out", "run", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert (result["folder"], result["model"], result["epochs"]) == ("run", "run/best.npz", 3)
    assert result["test"] == trained(tmp_path / "run")["result"]["test"]
    assert len(re.findall(EPOCH, done.stderr)) == 3


def test_quiet_says_the_result_alone(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "flowers.yaml", "--out", "run", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["validation", "test", "run/best.npz"]
    assert trained(tmp_path / "run")["status"] == "finished"


def test_set_beats_the_file_and_the_file_the_default(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    settings = ["--set", "training.epochs=2", "--set", "model[0].linear.out_features=5", "--set", "training.epochs=1"]
    assert cli("train", "flowers.yaml", "--out", "run", "-q", *settings, cwd=tmp_path).returncode == 0
    config = trained(tmp_path / "run")["config"]
    assert config["training"]["epochs"] == 1
    assert config["model"][0]["linear"]["out_features"] == 5
    assert (config["training"]["batch_size"], config["data"]["task"]) == (7, "auto")
    assert len(metrics_of(tmp_path / "run")) == 1


def test_a_config_from_stdin_counts_paths_from_here(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "-", "--set", "name=piped", cwd=tmp_path, input=FLOWERS)
    assert (done.returncode, done.stderr) == (0, "")
    assert trained(tmp_path / "runs" / "piped")["result"]["epochs"] == 3
    done = cli("train", "-", "--out", "x", cwd=tmp_path, input="sed: 1\n")
    assert (done.returncode, done.stderr.splitlines()[0].split(": ")[:2]) == (2, ["error", "<stdin>:1:1"])


def test_a_config_in_another_folder_and_a_name_with_odd_characters(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path / "there").rename(tmp_path / "there" / "ünï (1) [x].yaml")
    done = cli("train", "there/ünï (1) [x].yaml", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    [run] = (tmp_path / "runs").iterdir()
    assert run.name == trained(run)["config"]["name"] == "ünï _1_ _x_"
    assert cli("evaluate", run / "best.npz", "-q", cwd=tmp_path).returncode == 0


def test_a_narrow_terminal_has_a_line_an_epoch_all_the_same() -> None:
    values = {"loss": 0.28114, "val_loss": 0.30125, "val_accuracy": 0.94444}
    best = Epoch(epoch=3, step=60, values=values, lr=0.003, best=True, seconds=0.1, samples_per_second=1)
    whole = "epoch  3/40  loss 0.2811  val_loss 0.3013  val_accuracy 0.9444  lr 0.003  0.1 s  best"
    assert epoch_line(best, 40) == epoch_line(best, 40, 100) == whole
    assert epoch_line(best, 40, 80) == whole.replace("  lr 0.003", "")
    assert epoch_line(best, 40, 70) == whole.replace("  lr 0.003  0.1 s", "")
    for width in range(35, 120):
        shown = epoch_line(best, 40, width)
        assert len(shown) <= width
        assert epoch_line(replace(best, best=False), 40, width) == shown.removesuffix("  best")


def test_force_replaces_resume_goes_on_and_neither_is_refused(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    train = ["train", "flowers.yaml", "--out", "run"]
    assert cli(*train, "-q", "--set", "training.epochs=1", cwd=tmp_path).returncode == 0
    best = (tmp_path / "run" / "best.npz").read_bytes()
    done = cli(*train, "-q", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: run holds a run; go on with it (--resume), replace it (--force)")
    assert (tmp_path / "run" / "best.npz").read_bytes() == best
    assert cli(*train, "-q", "--resume", "--set", "training.epochs=2", cwd=tmp_path).returncode == 0
    assert [line["epoch"] for line in metrics_of(tmp_path / "run")] == [1, 2]
    done = cli(*train, "--resume", "--set", "training.epochs=3", cwd=tmp_path)
    assert done.stdout.splitlines()[1] == "resuming at epoch 3, step 11"
    assert done.stdout.splitlines()[2].startswith("epoch 3/3")
    done = cli(*train, "--resume", "--set", "training.epochs=3", cwd=tmp_path)
    assert "nothing is left to train; raise training.epochs or training.time_limit to go on\n" in done.stdout
    assert "resuming" not in done.stdout
    assert cli(*train, "-q", "--force", cwd=tmp_path).returncode == 0
    assert [line["epoch"] for line in metrics_of(tmp_path / "run")] == [1, 2, 3]


def test_a_diverged_run_ends_with_4(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, HEIGHTS)
    wild = ["--set", "model=[{linear: {out_features: 1}}]", "--set", "optimizer={sgd: {lr: 1e30}}"]
    done = cli("train", "flowers.yaml", "--out", "run", "-q", *wild, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    place = r"error: epoch 1, batch \d of 5 \(step \d\): loss "
    assert re.match(place + r".* with lr 1e\+30; this update was not made", done.stderr)
    assert trained(tmp_path / "run")["status"] == "diverged"
    assert (tmp_path / "run" / "last.npz").exists()


def test_the_same_bytes_from_anywhere(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path / "a")
    project(tmp_path / "b" / "c")
    cli("train", "flowers.yaml", "-q", cwd=tmp_path / "a", env={"PYTHONHASHSEED": "1"})
    cli("train", "b/c/flowers.yaml", "--out", "out", "-q", cwd=tmp_path, env={"PYTHONHASHSEED": "2", "TZ": "UTC+9"})
    models = [folder / "best.npz" for folder in (tmp_path / "a" / "runs" / "flowers", tmp_path / "out")]
    assert models[0].read_bytes() == models[1].read_bytes()


def on_a_terminal(*args: str, cwd: Path, **env: str) -> str:
    """What a person at a terminal of 100 columns sees of a command."""
    ours, theirs = pty.openpty()
    terminal = {"COLUMNS": "100", "TERM": "xterm"}
    clean = {name: value for name, value in ENVIRONMENT.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    command = [sys.executable, "-m", "dlscratch", *args]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, cwd=cwd, env={**clean, **terminal, **env}, **streams)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 1 << 16)
        except OSError:  # Linux's way to say that nobody writes any more
            break
    os.close(ours)
    assert process.wait() == 0
    return seen.decode()


def test_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    project(tmp_path)
    seen = on_a_terminal("train", "flowers.yaml", "--set", "training.epochs=30", cwd=tmp_path)
    assert "━" in seen
    assert re.search(r"\d+%", seen)
    assert "epoch 30/30" in seen
    assert "\x1b[1m" in seen  # bold


def test_no_color_is_honoured(tmp_path: Path) -> None:
    project(tmp_path)
    seen = on_a_terminal("train", "flowers.yaml", cwd=tmp_path, NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\d", seen)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_reader_who_leaves_does_not_stop_the_training(tmp_path: Path, extra: list[str]) -> None:
    project(tmp_path)
    command = [sys.executable, "-m", "dlscratch", "train", "flowers.yaml", "--out", "run", *extra]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, **pipes)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert trained(tmp_path / "run")["status"] == "finished"
