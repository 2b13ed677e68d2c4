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
from dlscratch.autograd import Node, engine
from dlscratch.checks.blackbox import replay
from dlscratch.config.build import build
from dlscratch.datasets import Batches
from dlscratch.errors import CheckpointError, DivergedError, OutputError, ShapeError
from dlscratch.nn import (
    BatchNorm1d,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Linear,
    Loss,
    MaxPool2d,
    MSELoss,
    ReLU,
    Residual,
    Sequential,
)
from dlscratch.optim import SGD
from dlscratch.runs import Run
from dlscratch.runs.blackbox import BlackBox
from dlscratch.training import TrainingState, fit
from dlscratch.training.divergence import Range, Story, examine

WILD = ["optimizer={sgd: {lr: 1e18}}", "training.epochs=9"]
X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
CLASSES = np.arange(6) % 3


def diverged(folder: Path, *overrides: str, config: str = FLOWERS, data: str | None = None) -> tuple[Path, str]:
    """The black box of a run that diverges, and what was said."""
    run = Run.start(build(project(folder, config, data), overrides or WILD), folder / "run")
    with pytest.raises(DivergedError) as caught:
        for _ in run.train():
            pass
    return folder / "run" / "blackbox.npz", str(caught.value)


def network(seed: int = 0) -> Sequential:
    return Sequential(
        Linear(out_features=5), BatchNorm1d(), ReLU(), Residual(Dropout(0.5), Linear(out_features=5)),
        Linear(out_features=3), input_shape=4, seed=seed,
    )  # fmt: skip


def story_of(model: Sequential, x=X, y=CLASSES, loss=None, seed: int = 0, step: int = 7) -> Story:
    state = TrainingState(step=step)
    return examine(model, loss or CrossEntropyLoss(), x, y, lr=0.1, seed=seed, state=state, batches=1)


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
    first = path.read_bytes()
    run = Run.resume(build(tmp_path / "flowers.yaml", WILD), tmp_path / "run")
    with pytest.raises(DivergedError) as caught:
        for _ in run.train():
            pass
    assert str(caught.value) == said
    assert BlackBox.load(path).facts["story"] == checkpoint.load_metadata(path)["story"]
    assert len(path.read_bytes()) == pytest.approx(len(first), abs=200)  # the command in it is another


class Unsteady(Loss):
    """A loss that is finite with an infinite slope: √x at 0."""

    def __call__(self, output, target):
        return ((output * 0) ** 2).sum().sqrt() + output.mean()


class Late(Unsteady):
    """The same from the eighth step on, and before it as one would like."""

    calls = 0

    def __call__(self, output, target):
        self.calls += output.requires_grad
        return super().__call__(output, target) if self.calls >= 8 else output.mean()


class Twice(Loss):
    """A loss whose two gradients are finite while their sum is not."""

    def __call__(self, output, target):
        total = (output * 0).sum()
        return total * 2e38 + total * 2e38


def one_layer(scale: float) -> Sequential:
    model = Sequential(Linear(out_features=1), input_shape=4)
    model[0].weights["weight"]._mutate()[...] = scale
    return model


def with_wild(name: str, value: float = 3e38) -> Sequential:
    model = network()
    model.named_parameters()[name]._mutate()[...] = value
    return model


ZEROS = np.zeros((6, 1), np.float32)
PLANTED = {
    "the first layer": (with_wild("0.weight"), X, CLASSES, None, ("forward", "0", "Linear", "output")),
    "inside": (with_wild("3.1.weight"), X, CLASSES, None, ("forward", "3.1", "Linear", "output")),
    "the loss": (one_layer(1.0), X, ZEROS + 1e20, MSELoss(), ("forward", "loss", "Mse", "output")),
    "slope": (one_layer(1.0), X, ZEROS, Unsteady(), ("backward", "loss", "Sqrt", "gradient of x")),
    "weights": (one_layer(1e-10), X * 0 + 1e25, ZEROS, MSELoss(),
                ("backward", "0", "Linear", "gradient of weight (0.weight)")),
    "sum": (one_layer(1.0), X, ZEROS, Twice(), ("backward", "loss", "Sum", "sum of the gradients of its output")),
    "parameter": (with_wild("4.bias", np.inf), X, CLASSES, None, ("parameters", "", "", "4.bias")),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_the_first_bad_op_is_named_with_its_inputs(name: str) -> None:
    model, x, y, loss, expected = PLANTED[name]
    story = story_of(model, x, y, loss)
    first = story.first
    assert story.error is not None
    assert (first.during, first.layer, first.op, first.array) == expected
    assert not first.range.finite
    assert all(found.finite for found in first.inputs.values())
    before = [layer.path for layer in story.layers].index(first.layer) if first.during == "forward" else 0
    assert all(layer.output.finite for layer in story.layers[:before])


def test_the_ranges_are_those_of_the_arrays() -> None:
    model, x, y, loss, _ = PLANTED["weights"]
    w, b = (p.numpy() for p in model.parameters())
    first = story_of(model, x, y, loss).first
    g = 2 / 6 * (x @ w.T + b)
    assert first.inputs["x"] == Range.of(x)
    assert first.inputs["weight (0.weight)"] == Range((1, 4), float(w.min()), float(w.max()), 0, 0)
    assert first.inputs["gradient"].shape == (6, 1)
    assert first.inputs["gradient"].max == pytest.approx(g.max(), rel=1e-6)
    assert Range.of(np.array([np.nan, 2.0, -np.inf, -1.0, np.inf])) == Range((5,), -1.0, 2.0, 1, 2)


def test_a_step_that_goes_well_is_the_step_of_fit() -> None:
    def step(seed: int, number: int) -> float:
        model, batches, state = network(), Batches(X, CLASSES, 6), TrainingState(step=number)
        optimizer = SGD(model.named_parameters())
        return next(fit(model, CrossEntropyLoss(), optimizer, batches, epochs=1, seed=seed, state=state)).loss

    for seed, number in ((0, 7), (0, 8), (1, 7)):
        story = story_of(network(), seed=seed, step=number)
        assert (story.error, story.first) == (None, None)
        assert story.layers[-1].output.min == step(seed, number)
    stories = [story_of(network(), step=number) for number in (7, 7, 8)]  # dropout repeats
    assert stories[0] == stories[1] != stories[2]


def test_a_batch_that_is_computed_in_parts_is_told_of_as_one() -> None:
    def pictures() -> Sequential:
        convolution, linear = Conv2d(out_channels=8, kernel_size=3, padding=1), Linear(out_features=3)
        return Sequential(convolution, ReLU(), MaxPool2d(2), Flatten(), linear, input_shape=(3, 16, 16))

    x, y = np.random.default_rng(0).standard_normal((128, 3, 16, 16)).astype(np.float32), np.arange(128) % 3
    story, model = story_of(pictures(), x, y), pictures()
    outputs = [x]
    for layer in model:
        outputs.append(layer(outputs[-1]).data)
    for passage, output in zip(story.layers, outputs[1:], strict=False):
        assert passage.output == Range.of(output)
        assert passage.gradient.shape == output.shape
    model[0].weights["weight"]._mutate()[...] = 3e38
    first = story_of(model, x, y).first
    assert (first.during, first.layer, first.array) == ("forward", "0", "output")
    assert {"weight (0.weight)", "bias (0.bias)"} <= set(first.inputs)


def test_the_watcher_leaves_no_trace() -> None:
    model = with_wild("0.weight")
    story_of(model)
    with pytest.raises(ShapeError):
        story_of(model, x=X[:, :3])
    assert engine.Node is Node
    assert not any("forward" in vars(layer) for _, layer in model.named_layers())


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
