"""An interruption changes no bit: `verify-resume` on every config that ships, and on runs that forget something."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from shipped import CONFIGS, copy_shipped, in_a_tests_time
from tiny_runs import ENVIRONMENT, FLOWERS, arrays_of, flowers, metrics_of, project, train

from dlscratch import checkpoint
from dlscratch.checks.resume import Resumption, verify_resume
from dlscratch.config.build import build
from dlscratch.datasets import Batches
from dlscratch.nn import Sequential
from dlscratch.optim import Adam
from dlscratch.runs import Run
from dlscratch.runs.folder import RunFolder
from dlscratch.training import EarlyStopping, TrainingState
from dlscratch.training.metrics import Totals

EVERY = FLOWERS.replace("batch_size: 7", "batch_size: 7, checkpoint_every: {steps: 3}")  # of 5 in an epoch


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_shipped(tmp_path_factory.mktemp("shipped"))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_that_ships(shipped: Path, tmp_path: Path, name: str) -> None:
    found = verify_resume(shipped / "configs" / f"{name}.yaml", tmp_path, in_a_tests_time(name), steps=7)
    assert (found.difference, found.steps, found.interrupted) == (None, 14, 7)


def test_what_is_said_of_one(cli: Cli, shipped: Path) -> None:
    done = cli("verify-resume", "configs/digits.yaml", "-n", "7", "--json", cwd=shipped)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["identical"], found["difference"], found["arrays"], found["numbers"]) == (True, None, 20, 101_221)
    first, second = done.stderr.splitlines()
    assert first == "14 steps straight, and with an interruption after 7 (epoch 1, batch 7):"
    assert second.startswith("identical in every bit: 20 arrays (101,221 numbers), ")


@pytest.mark.parametrize("steps", [1, 5, 6, 7, 60])
def test_wherever_the_interruption_is(tmp_path: Path, steps: int) -> None:
    found = verify_resume(project(tmp_path), tmp_path / "scratch", steps=steps)
    assert found.identical
    assert (found.steps, found.interrupted) == (min(2 * steps, 15), min(steps, 7))  # 15 steps are the whole run


@pytest.mark.parametrize("optimizer", ["sgd: {momentum: 0.9}", "adamw", "rmsprop: {centered: true}", "adagrad"])
@pytest.mark.parametrize("schedule", ["one_cycle", "reduce_on_plateau: {patience: 0}"])
def test_optimizers_and_schedules(tmp_path: Path, optimizer: str, schedule: str) -> None:
    text = FLOWERS.replace("{adam: {lr: 0.01}}", f"{{{optimizer}}}" if ":" in optimizer else optimizer)
    text += f"schedule: {{{schedule}}}\n" if ":" in schedule else f"schedule: {schedule}\n"
    assert verify_resume(project(tmp_path, text), tmp_path / "scratch", steps=7).identical


def nothing(*args: object, **options: object) -> None:
    """What a method does that forgets."""


def forget_position(monkeypatch: pytest.MonkeyPatch) -> None:
    state_dict = TrainingState.state_dict
    monkeypatch.setattr(TrainingState, "state_dict", lambda state: {**state_dict(state), "batch": 0})


def forget_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Sequential.load_state_dict

    def without_means(model: Sequential, state: dict) -> None:
        load(model, {name: 0 * array if name.endswith("running_mean") else array for name, array in state.items()})

    monkeypatch.setattr(Sequential, "load_state_dict", without_means)


def forget_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "rewind_metrics", lambda folder, *rest: folder.metrics.unlink())


SAVED = "what was saved"
FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "optimizer": (lambda patch: patch.setattr(Adam, "load_state_dict", nothing), "step 9", "loss"),
    "position": (forget_position, "step 8", "batch"),
    "totals": (lambda patch: patch.setattr(Totals, "load_state_dict", nothing), "epoch 2", "loss"),
    "best": (lambda patch: patch.setattr(EarlyStopping, "load_state_dict", nothing), "epoch 2", "best"),
    "buffers": (forget_buffers, "epoch 2", "val_loss"),
    "metrics": (forget_lines, SAVED, "metrics.jsonl"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_resume_forgets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    plant, where, name = FAULTS[fault]
    plant(monkeypatch)
    never_better = ["training.early_stopping={patience: 9, min_delta: 100}"]  # than in epoch 1
    found = verify_resume(project(tmp_path), tmp_path / "scratch", never_better, steps=7)
    assert found.difference is not None
    assert found.repeatable
    assert found.difference.where.startswith(where)
    assert found.difference.name.startswith(name)
    assert found.difference.straight != found.difference.resumed


def test_a_training_that_never_repeats_itself_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "order", lambda self, number: np.random.default_rng().permutation(self.rows))
    found = verify_resume(project(tmp_path), tmp_path / "scratch", steps=7)
    assert not found.identical
    assert not found.repeatable


def test_what_a_person_reads_of_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    from dlscratch.checks.resume import Difference
    from dlscratch.cli.compared import show_resumption
    from dlscratch.cli.console import Console

    difference = Difference("step 23", 23, "loss", "0.5", "0.25")
    show_resumption(Console(), Resumption("c.yaml", 40, 20, 1, 20, 4, 100, 300, difference))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["different, first at step 23: loss", "straight 0.5, resumed 0.25"]


def test_one_step_cannot_be_interrupted(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, FLOWERS.replace("epochs: 3, batch_size: 7", "epochs: 1, batch_size: 64"))
    done = cli("verify-resume", "flowers.yaml", cwd=tmp_path)
    message = "error: flowers.yaml: training is over after one step; raise training.epochs to verify it\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_a_config_from_stdin_and_no_trace_on_the_disk(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "tmp").mkdir()
    env = {"TMPDIR": str(tmp_path / "tmp")}
    done = cli("verify-resume", "-", "-n", "3", "-q", cwd=tmp_path, input=FLOWERS, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("identical in every bit: ")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flowers.csv", "flowers.yaml", "tmp"]


def abandoned(config: Path, folder: Path, step: int) -> dict:
    """A run that is gone after a step without a word, as by kill -9; the state in its last.npz."""
    for record in Run.start(build(config), folder).train():
        if record.step == step:
            break
    return checkpoint.load(folder / "last.npz")[1]["state"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    train(project(folder), folder / "run")
    return folder / "run"


@pytest.mark.parametrize(("step", "saved"), [(4, (0, 3)), (8, (1, 1)), (14, (2, 2))])
def test_checkpoint_every_steps_saves_inside_an_epoch(
    tmp_path: Path, whole: Path, step: int, saved: tuple[int, int]
) -> None:
    config = project(tmp_path, EVERY)
    state = abandoned(config, tmp_path / "run", step)
    assert (state["epoch"], state["batch"]) == saved
    run = Run.resume(build(config), tmp_path / "run")
    assert run.state.step == step // 3 * 3
    assert run.state.seconds == state["seconds"] > 0  # so a time limit goes on where it was
    left = 15 - run.state.step + 3 - saved[0]  # steps and epochs
    assert len(list(run.train())) == left
    run.finish()
    for name in ("best.npz", "last.npz"):
        assert arrays_of(tmp_path / "run" / name) == arrays_of(whole / name)
    assert metrics_of(tmp_path / "run") == metrics_of(whole)


def test_checkpoint_every_minutes(tmp_path: Path) -> None:
    text = FLOWERS.replace("batch_size: 7", "batch_size: 7, checkpoint_every: {minutes: %s}")
    config = project(tmp_path, text % "1e-9")
    assert abandoned(config, tmp_path / "often", 3)["batch"] == 3
    config.write_text(text % "5")
    run = Run.start(build(config), tmp_path / "seldom")
    for record in run.train():
        if record.step == 3:
            break
    assert not run.folder.last.exists()


def test_checkpoint_every_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    config = project(tmp_path, EVERY)
    abandoned(config, tmp_path / "run", 4)
    for text in (FLOWERS, EVERY.replace("steps: 3", "minutes: 2")):
        config.write_text(text)
        assert Run.resume(build(config), tmp_path / "run").state.step == 3


@pytest.mark.parametrize("value", ["{}", "{steps: 2, minutes: 1}", "{steps: 0}", "{minutes: 0}", "10m"])
def test_checkpoint_every_is_one_of_two(cli: Cli, tmp_path: Path, value: str) -> None:
    project(tmp_path, FLOWERS.replace("batch_size: 7", f"batch_size: 7, checkpoint_every: {value}"))
    done = cli("check", "flowers.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "training.checkpoint_every" in done.stderr


def test_killed_inside_an_epoch(cli: Cli, tmp_path: Path) -> None:
    """One long epoch: without checkpoint_every there would be nothing to resume."""
    text = EVERY.replace("epochs: 3, batch_size: 7", "epochs: 1, batch_size: 3").replace("steps: 3", "steps: 50")
    lines = flowers().splitlines(keepends=True)
    project(tmp_path, text, "".join(lines + lines[1:] * 60))
    command = [sys.executable, "-m", "dlscratch", "train", "flowers.yaml", "-q", "--out"]
    process = subprocess.Popen([*command, "killed"], cwd=tmp_path, env=ENVIRONMENT)
    while not (tmp_path / "killed" / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    state = checkpoint.load(tmp_path / "killed" / "last.npz")[1]["state"]
    assert (state["epoch"], state["batch"] % 50) == (0, 0)
    assert cli(*command[3:], "killed", "--resume", cwd=tmp_path).returncode == 0
    assert cli(*command[3:], "whole", cwd=tmp_path).returncode == 0
    for name in ("best.npz", "last.npz"):
        assert arrays_of(tmp_path / "killed" / name) == arrays_of(tmp_path / "whole" / name)
    assert metrics_of(tmp_path / "killed") == metrics_of(tmp_path / "whole")
    assert sorted(os.listdir(tmp_path / "killed")) == sorted(os.listdir(tmp_path / "whole"))
