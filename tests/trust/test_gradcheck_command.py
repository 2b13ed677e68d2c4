"""`gradcheck CONFIG`: right on every config that ships, and every rule of a model made wrong is caught and located."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli
from shipped import CONFIGS as SHIPPED
from shipped import ROOT, copy_shipped, in_a_tests_time
from tiny_runs import ENVIRONMENT, project, write_idx

from dlscratch.autograd import Tensor
from dlscratch.autograd.engine import Node, wrap
from dlscratch.checks import GradientCheck, check_gradients
from dlscratch.cli.doctor import gradcheck
from dlscratch.config.build import Experiment, build
from dlscratch.errors import GradientError
from dlscratch.nn import LAYERS, Layer, Site
from dlscratch.nn import functional as F
from dlscratch.nn.layers.site import Shape

CONFIGS = ROOT / "configs"
IMAGES = """\
seed: {seed}
data:
  idx: {{images: images.idx3, labels: labels.idx1}}
  preprocessing: {{scale: 255, shape: [1, 8, 8]}}
model:
  - conv2d: {{out_channels: 4, kernel_size: 3, padding: 1, bias_init: zeros}}
  - relu
  - max_pool2d: {{kernel_size: 2}}
  - conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}
  - batch_norm2d
  - relu
  - max_pool2d: {{kernel_size: 2}}
  - flatten
  - linear: {{out_features: 8}}
  - relu
  - dropout: {{p: 0.3}}
  - linear: {{out_features: 3}}
loss: {{cross_entropy: {{label_smoothing: 0.1}}}}
optimizer: adam
training: {{batch_size: 12}}
"""
CUBE = """
import sys
from dlscratch.autograd import op, sample
from dlscratch.nn import LAYERS, Layer

@op(sample((3, 4)))
def cube(x):
    "x * x * x."
    return x * x * x, lambda g: g * 2 * x * x

class Cube(Layer):
    "x * x * x, with a wrong rule."

    def forward(self, x, training, rng):
        return cube(x)

LAYERS["cube"] = Cube
from dlscratch.cli.app import run
sys.argv = ["dlscratch", *sys.argv[1:]]
run()
"""


def images(folder: Path, seed: int = 0) -> Experiment:
    """Images with an empty margin: all is equal there, units are at 0, and windows are full of ties."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((60, 8, 8), np.uint8)
    pixels[:, 2:6, 2:6] = rng.integers(0, 256, (60, 4, 4))
    write_idx(folder / "images.idx3", pixels)
    write_idx(folder / "labels.idx1", np.arange(60) % 3)
    (folder / "images.yaml").write_text(IMAGES.format(seed=seed))
    return build(folder / "images.yaml")


def spoilt(right: Callable[..., Tensor], position: int, change: Callable[[Any], Any]) -> Callable[..., Tensor]:
    """An op whose rule for one operand gives something else."""

    def op(*operands: Any, **options: Any) -> Tensor:
        result = right(*operands, **options)
        if result._node is not None and position < len(result._node.rules):
            rule = result._node.rules[position]
            result._node.rules[position] = rule and (lambda g: change(rule(g)))
        return result

    return op


def verdicts(found: GradientCheck) -> dict[str, str]:
    return {tensor.name: tensor.verdict for tensor in found.tensors}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_configs_that_ship_are_right(tmp_path: Path, name: str) -> None:
    experiment = build(copy_shipped(tmp_path) / "configs" / f"{name}.yaml", in_a_tests_time(name))
    found = check_gradients(experiment)
    assert found.right, found
    assert found.where == ""
    assert [tensor.name for tensor in found.tensors] == [*experiment.model.named_parameters(), "input"]
    assert found.rows == experiment.config.training.batch_size
    for tensor in found.tensors:
        assert tensor.directions == 3
        assert tensor.gradient > 0
        assert tensor.error is not None
        assert tensor.error < 1e-6


def test_the_loss_and_the_gradient_are_those_of_the_first_step() -> None:
    """Beside `fit`, which computes them in float32."""
    from dlscratch.training import fit

    found = check_gradients(build(CONFIGS / "digits.yaml"))
    experiment = build(CONFIGS / "digits.yaml")
    batches = experiment.training_batches()
    step = next(iter(fit(experiment.model, experiment.loss, experiment.optimizer, batches, epochs=1)))
    norm = sum(tensor.gradient**2 for tensor in found.tensors if tensor.name != "input") ** 0.5
    assert step.loss == pytest.approx(found.loss, rel=1e-5)  # type: ignore[union-attr]
    assert step.gradient_norm == pytest.approx(norm, rel=1e-4)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(2))
def test_bends_are_no_mistakes(tmp_path: Path, seed: int) -> None:
    found = check_gradients(images(tmp_path, seed))
    assert found.right, found
    assert sum(tensor.bends for tensor in found.tensors) > 0, "no tie, no bend: the test tests nothing"


def test_it_says_the_same_every_time(tmp_path: Path) -> None:
    experiment = images(tmp_path)
    before = experiment.model.state_dict()
    assert check_gradients(experiment) == check_gradients(experiment)
    for name, array in experiment.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


RULES = [
    *(("conv2d", 0), ("conv2d", 1), ("conv2d", 2), ("relu", 0), ("max_pool2d", 0)),
    *(("batch_norm", 0), ("batch_norm", 1), ("batch_norm", 2), ("dropout", 0)),
    *(("linear", 0), ("linear", 1), ("linear", 2), ("cross_entropy", 0)),
]


@pytest.mark.parametrize(("name", "position"), RULES)
def test_every_rule_made_wrong_by_a_thousandth_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, position: int
) -> None:
    experiment = images(tmp_path)
    monkeypatch.setattr(F, name, spoilt(getattr(F, name), position, lambda g: g * 1.001))
    assert "wrong" in verdicts(check_gradients(experiment, rows=6, directions=1)).values()


@pytest.mark.parametrize("factor", [-1, 0])
def test_a_wrong_sign_and_a_missing_gradient_are_caught(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    experiment = build(CONFIGS / "penguins.yaml")
    monkeypatch.setattr(F, "relu", spoilt(F.relu, 0, lambda g: g * factor))
    found = verdicts(check_gradients(experiment))
    assert found == {**dict.fromkeys(("0.weight", "0.bias", "input"), "wrong"), "2.weight": "right", "2.bias": "right"}


def test_one_wrong_element_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: Any) -> Any:
        g = np.array(g)
        g.flat[5] *= 1.1
        return g

    experiment = build(CONFIGS / "penguins.yaml")
    monkeypatch.setattr(F, "linear", spoilt(F.linear, 1, change))
    assert verdicts(check_gradients(experiment))["0.weight"] == "wrong"


def test_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = images(tmp_path)
    monkeypatch.setattr(F, "batch_norm", spoilt(F.batch_norm, 0, lambda g: g * 1.01))
    found = check_gradients(experiment)
    wrong = [name for name, verdict in verdicts(found).items() if verdict != "right"]
    assert wrong == ["0.weight", "0.bias", "3.weight", "input"]  # 3.bias: batch norm takes its mean out, it has none
    assert found.where == (
        "3.weight is the last of them, so look at its layer, and at what lies between it and 3.bias"
    )
    monkeypatch.undo()
    monkeypatch.setattr(F, "cross_entropy", spoilt(F.cross_entropy, 0, lambda g: g * 1.01))
    assert check_gradients(experiment).where.startswith("11.bias is the last parameter, so look at its layer")


def test_an_op_that_casts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = build(CONFIGS / "penguins.yaml")
    relu = F.relu
    monkeypatch.setattr(F, "relu", lambda x, **options: _single(relu(x, **options)))
    with pytest.raises(GradientError, match="<Single> gives float32 for inputs of float64, too coarse for differences"):
        check_gradients(experiment)


def _single(x: Tensor) -> Tensor:
    array = x.data.astype(np.float32)
    return wrap(array, (x,), Node("Single", array, (x,), [lambda g: g]))


class Counting(Layer):
    """A layer whose output depends on how often it was called in training."""

    def create(self, shape: Shape, site: Site) -> None:
        self.buffers["calls"] = np.array(0.0)

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        self.buffers["calls"] = self.buffers["calls"] + 1
        return x * float(self.buffers["calls"])


def test_buffers_are_the_same_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYERS, "counting", Counting)
    layers = "model=[counting, {linear: {out_features: 3}}]"
    assert check_gradients(build(CONFIGS / "penguins.yaml", [layers])).right


def test_integers_have_no_gradient_but_their_embedding_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "ids.npz", x=rng.integers(0, 9, (80, 3)), y=np.arange(80) % 2)
    (tmp_path / "ids.yaml").write_text(
        "data: {npz: {path: ids.npz}, preprocessing: {scale: ids}}\noptimizer: sgd\n"
        "model: [{embedding: {num_embeddings: 9, embedding_dim: 4}}, flatten, {linear: {out_features: 2}}]\n"
    )
    found = check_gradients(build(tmp_path / "ids.yaml"))
    assert verdicts(found) == dict.fromkeys(("0.weight", "2.weight", "2.bias"), "right")


def test_the_command_says_what_it_found(cli: Cli, tmp_path: Path) -> None:
    config = project(tmp_path)
    done = cli("gradcheck", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "all 7 gradients are right" in done.stdout
    options = ("--rows", "5", "--directions", "1", "--set", "model[0].linear.out_features=3")
    done = cli("gradcheck", config, "--json", *options)
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert (document["right"], document["rows"]) == (True, 5)
    first = document["tensors"][0]
    assert (first["name"], first["shape"], first["directions"], first["verdict"]) == ("0.weight", [3, 4], 1, "right")


def test_the_commands_defaults_are_those_of_the_function() -> None:
    said, own = (signature(function).parameters for function in (gradcheck, check_gradients))
    assert all(said[name].default == own[name].default for name in ("rows", "directions", "tolerance"))


def test_the_command_names_a_wrong_gradient_of_a_users_own_layer(tmp_path: Path) -> None:
    config = project(tmp_path, project(tmp_path).read_text().replace("- batch_norm1d", "- cube"))

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CUBE, *args, str(config)]
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    done = run("gradcheck")
    assert (done.returncode, done.stderr) == (1, "")
    assert "3 of 5 gradients are wrong: 0.bias is the last of them, so look at its layer, and at" in done.stdout
    done = run("doctor", "--json")
    assert done.returncode == 1
    bad = [finding for finding in json.loads(done.stdout)["findings"] if finding["verdict"] == "bad"]
    assert "gradients" in [finding["check"] for finding in bad]
