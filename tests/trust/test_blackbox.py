"""A run that diverges leaves a black box, and the step can be done again from it alone: which op, which inputs, why."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import FLOWERS, flowers, project, train

from dlscratch import checkpoint
from dlscratch.checks.blackbox import replay
from dlscratch.config.build import build
from dlscratch.errors import CheckpointError, DivergedError, OutputError
from dlscratch.nn import Loss
from dlscratch.runs import Run
from dlscratch.runs.blackbox import BlackBox

WILD = ["optimizer={sgd: {lr: 1e18}}", "training.epochs=9"]


def diverged(folder: Path, *overrides: str, config: str = FLOWERS, data: str | None = None) -> tuple[Path, str]:
    """The black box of a run that diverges, and what was said."""
    run = Run.start(build(project(folder, config, data), overrides or WILD), folder / "run")
    with pytest.raises(DivergedError) as caught:
        for _ in run.train():
            pass
    return folder / "run" / "blackbox.npz", str(caught.value)


def test_the_command_line_keeps_the_step_and_does_it_again(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    more = [text for override in WILD for text in ("--set", override)]
    done = cli("train", "flowers.yaml", "--out", "a run", *more, cwd=tmp_path)
    assert done.returncode == 4
    said, _, command = done.stderr.strip().splitlines()[-1].rpartition(" with: ")
    assert "The step is kept in a run/blackbox.npz" in said
    facts = json.loads((tmp_path / "a run" / "run.json").read_text())
    assert f"error: {facts['error']}\n" == done.stderr
    alone = tmp_path / "elsewhere" / "a run"
    alone.mkdir(parents=True)
    shutil.copy(tmp_path / "a run" / "blackbox.npz", alone)
    (tmp_path / "flowers.csv").unlink()
    again = cli(*shlex.split(command)[1:], cwd=alone.parent)
    assert again.returncode == 4
    assert "the first: output of <" in again.stdout
    assert "to do: " in again.stdout
    assert again.stdout.splitlines()[-1] == "reproduced, with the same numbers"
    assert cli("replay", "a run", cwd=alone.parent).stdout == again.stdout  # by its folder
    as_json = cli(*shlex.split(command)[1:], "--json", cwd=alone.parent)
    document = json.loads(as_json.stdout)
    assert (as_json.returncode, document["reproduced"], document["same"]) == (4, True, True)
    assert document["error"] == document["recorded"]["error"]
    assert os.listdir(alone) == ["blackbox.npz"]


def test_it_holds_the_step_and_the_weights_before_it(tmp_path: Path) -> None:
    path, said = diverged(tmp_path)
    arrays, facts = checkpoint.load(path)
    last, _ = checkpoint.load(tmp_path / "run" / "last.npz")
    for name in (name for name in last if "/" not in name):
        np.testing.assert_array_equal(arrays[name], last[name])
    assert f"epoch {facts['epoch']}, batch {facts['batch']} of {facts['batches']} (step {facts['step']})" in said
    assert facts["lr"] == 1e18
    assert facts["config"]["data"]["csv"]["target"] == "species"
    experiment = build(tmp_path / "flowers.yaml", WILD)
    train, rows = experiment.prepared.train, arrays["batch/rows"]
    np.testing.assert_array_equal(arrays["batch/x"], train.inputs[rows])
    np.testing.assert_array_equal(arrays["batch/y"], train.targets[rows])
    assert set(rows) <= set(train.rows)


def test_a_resumed_run_diverges_at_the_same_step(tmp_path: Path) -> None:
    path, said = diverged(tmp_path)
    arrays, facts = checkpoint.load(path)
    path.unlink()
    run = Run.resume(build(tmp_path / "flowers.yaml", WILD), tmp_path / "run")
    with pytest.raises(DivergedError) as caught:
        for _ in run.train():
            pass
    assert str(caught.value) == said
    again, facts_again = checkpoint.load(path)
    assert {name: x.tobytes() for name, x in again.items()} == {name: x.tobytes() for name, x in arrays.items()}
    for name in ("story", "step", "lr", "error", "config"):
        assert facts_again[name] == facts[name], name


class Late(Loss):
    """A loss that is finite with an infinite slope, √x at 0, from the eighth step on."""

    calls = 0

    def __call__(self, output, target):
        self.calls += output.requires_grad
        return ((output * 0) ** 2).sum().sqrt() + output.mean() if self.calls >= 8 else output.mean()


def test_nan_in_the_data_is_told_by_row_and_column(tmp_path: Path) -> None:
    data = flowers().splitlines()
    data[24] = "2.5,1e300,red,aster"
    options = ["data.preprocessing={scale: none}", "data.validation=0", "data.test=0"]
    with np.errstate(over="ignore"):
        path, _ = diverged(tmp_path, *options, data="\n".join(data) + "\n")
    found = replay(path)
    assert [text.partition(" (")[2] for text in found.places()] == ['row 24 of the data), column 2 "height": inf']
    assert found.story.first.during == "batch"
    assert found.advice() == ["correct, scale or leave out these rows of the data: no training can go on with them"]


def test_it_is_the_step_that_was_made_with_its_dropout_and_its_rows(tmp_path: Path) -> None:
    experiment = replace(build(project(tmp_path, FLOWERS), ["data.validation=0"]), loss=Late())
    run = Run.start(experiment, tmp_path / "run")
    with pytest.raises(DivergedError, match="epoch 2, batch 1 of 7") as caught:
        for _ in run.train():
            pass
    arrays, facts = checkpoint.load(tmp_path / "run" / "blackbox.npz")
    assert facts["story"]["error"] == facts["error"]  # to all digits of the loss
    assert str(caught.value).startswith(facts["error"])
    assert (facts["story"]["first"]["during"], facts["story"]["first"]["op"]) == ("backward", "Sqrt")
    np.testing.assert_array_equal(arrays["batch/x"], experiment.prepared.train.inputs[arrays["batch/rows"]])


def test_where_it_is_not_reproduced_that_is_said(cli: Cli, tmp_path: Path) -> None:
    path, said = diverged(tmp_path)
    box = BlackBox.load(path)
    tame = {name: np.tanh(array) for name, array in box.network.state_dict().items()}
    box.network.load_state_dict(tame)
    box.facts["environment"]["numpy"] = "1.0"
    box.save(path)
    done = cli("replay", path)
    assert done.returncode == 0
    assert "not reproduced: here the loss and all gradients of this step are finite" in done.stdout
    assert said.partition(". The step is kept")[0] in done.stdout
    assert f"numpy: 1.0 there, {np.__version__} here" in done.stdout
    document = json.loads(cli("replay", path, "--json").stdout)
    assert (document["reproduced"], document["error"], document["recorded"]["first"]["op"]) == (False, None, "Linear")


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays, facts: (arrays, {**facts, "kind": "model"}),
        lambda arrays, facts: (arrays, {key: facts[key] for key in facts if key != "lr"}),
        lambda arrays, facts: (arrays, {**facts, "lr": "fast"}),
        lambda arrays, facts: (arrays, {**facts, "step": None}),
        lambda arrays, facts: (arrays, {**facts, "loss": {"none": {}}}),
        lambda arrays, facts: (arrays, {**facts, "architecture": [{"linear": {"out_features": 2}}]}),
        lambda arrays, facts: (arrays, {**facts, "architecture": [{"linear": {"out_features": 10**12}}]}),
        lambda arrays, facts: (arrays, {**facts, "input_shape": [10**12]}),
        lambda arrays, facts: ({**arrays, "batch/x": arrays["batch/x"][:, :2]}, facts),
        lambda arrays, facts: ({**arrays, "batch/y": arrays["batch/y"][:2]}, facts),
        lambda arrays, facts: ({**arrays, "batch/y": arrays["batch/y"] + 5}, facts),
        lambda arrays, facts: ({**arrays, "batch/y": np.full(7, "a")}, facts),
        lambda arrays, facts: ({**arrays, "batch/x": np.full(arrays["batch/x"].shape, "a")}, facts),
        lambda arrays, facts: ({**arrays, "batch/rows": arrays["batch/rows"].astype(float)}, facts),
        lambda arrays, facts: ({name: arrays[name] for name in arrays if name != "batch/y"}, facts),
    ],
)
def test_a_file_that_is_no_black_box_is_refused(tmp_path: Path, damage) -> None:
    path, _ = diverged(tmp_path)
    checkpoint.save(path, *damage(*checkpoint.load(path)))
    with pytest.raises(CheckpointError, match=r"blackbox\.npz"):
        replay(path)


def test_a_full_disk_does_not_hide_the_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: BlackBox, path: Path) -> None:
        raise OutputError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(BlackBox, "save", full)
    _, said = diverged(tmp_path)
    assert "this update was not made" in said
    assert said.endswith("blackbox.npz: cannot be written: No space left on device")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["error"] == said


def test_a_new_run_in_the_folder_removes_it(tmp_path: Path) -> None:
    path, _ = diverged(tmp_path)
    train(tmp_path / "flowers.yaml", tmp_path / "run", force=True)
    assert not path.exists()
