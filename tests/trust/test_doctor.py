"""`doctor CONFIG`: configs that ship are healthy, each disease of model and training is named, with right numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli
from patients import CONFIGS, findings, sick
from tiny_runs import flowers, project

from dlscratch.autograd import Tensor
from dlscratch.checks import Finding, doctor
from dlscratch.checks.doctor import CHECKS
from dlscratch.checks.symptoms import model, training
from dlscratch.checks.symptoms.patient import BATCH, Patient
from dlscratch.config.build import Experiment, build
from dlscratch.nn import LAYERS, Layer

NAMES = [check.__name__.replace("_", " ") for check in CHECKS]


def bad(experiment: Experiment) -> set[str]:
    return {name for name, finding in findings(experiment).items() if finding.verdict == "bad"}


# The configs that ship


@pytest.mark.parametrize("name", ["digits", "penguins", "penguin_mass"])
def test_the_configs_that_ship_are_healthy(name: str) -> None:
    found = findings(build(CONFIGS / f"{name}.yaml"))
    assert list(found) == NAMES
    assert {check: finding for check, finding in found.items() if finding.verdict in ("bad", "warning")} == {}
    assert all(np.isfinite(finding.number) for finding in found.values() if finding.number is not None)


def test_it_says_the_same_every_time_and_trains_nobodys_model() -> None:
    experiment = build(CONFIGS / "penguins.yaml")
    before = experiment.model.state_dict()
    assert list(doctor(experiment)) == list(doctor(experiment))
    for name, array in experiment.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# Diseases of scale


@pytest.mark.parametrize(
    ("name", "override", "named"),
    [
        ("penguins", "data.preprocessing.scale=none", {"input scale", "initial loss"}),
        ("digits", "data.preprocessing.scale=0.0625", {"input scale", "initial loss"}),
        ("penguin_mass", "data.preprocessing.scale_target=false", {"initial loss"}),
    ],
)
def test_what_is_not_scaled(name: str, override: str, named: set[str]) -> None:
    assert named <= bad(build(CONFIGS / f"{name}.yaml", [override]))


# Diseases of the model


def test_a_batch_norm_that_leaks_in_evaluation() -> None:
    layers = "model=[{linear: {out_features: 8}}, %s, relu, {linear: {out_features: 3}}]"
    healthy = Patient(build(CONFIGS / "penguins.yaml", [layers % "batch_norm1d"]))
    assert model.rows_apart_in_evaluation(healthy).number == 0
    in_training = model.rows_apart_in_training(healthy)
    assert in_training.verdict == "ok"
    assert in_training.meaning.startswith("layers[1] batch_norm1d: a row's output depends on the rows beside it, as is")
    leaking = build(CONFIGS / "penguins.yaml", [layers % "{batch_norm1d: {track_running_stats: false}}"])
    finding = findings(leaking)["rows apart in evaluation"]
    assert finding.verdict == "bad"
    assert "layers[1] batch_norm1d" in finding.meaning


class Centred(Layer):
    """Subtracts the mean of the batch, which the graph knows nothing of."""

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        return x - x.data.mean(axis=0)


class Softmaxed(Layer):
    """A softmax over the wrong axis: over the batch."""

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        e = x.exp()
        return e / e.sum(axis=0)


@pytest.mark.parametrize("kind", [Centred, Softmaxed])
@pytest.mark.parametrize("beside", ["", "batch_norm1d, "])
def test_a_layer_that_mixes_rows_is_named(monkeypatch: pytest.MonkeyPatch, kind: type[Layer], beside: str) -> None:
    monkeypatch.setitem(LAYERS, "mixer", kind)
    layers = f"model=[{{linear: {{out_features: 8}}}}, {beside}mixer, {{linear: {{out_features: 3}}}}]"
    patient = Patient(build(CONFIGS / "penguins.yaml", [layers]))
    for check in (model.rows_apart_in_evaluation, model.rows_apart_in_training):
        finding = check(patient)
        assert finding.verdict == "bad"
        assert f"layers[{2 if beside else 1}]" in finding.meaning


def test_dead_units_are_counted() -> None:
    def dead(bias: str) -> Finding:
        return model.dead_units(Patient(build(CONFIGS / "penguins.yaml", [f"model[0].linear.bias_init={bias}"])))

    assert dead("{constant: {value: -50}}").verdict == "bad"
    assert dead("{constant: {value: -50}}").number == 1
    assert dead("{constant: {value: 50}}").number == 0


def test_half_of_the_units_are_dead() -> None:
    experiment = build(CONFIGS / "penguins.yaml")
    state = experiment.model.state_dict()
    state["0.bias"][::2], state["0.bias"][1::2] = -50, 50
    experiment.model.load_state_dict(state)
    assert model._dead(Patient(experiment).model(), Patient(experiment).x) == {"1": 0.5}


def test_the_first_loss_is_that_of_guessing() -> None:
    zeros = [f"model[5].linear.{name}_init=zeros" for name in ("weight", "bias")]
    experiment = build(CONFIGS / "digits.yaml", zeros)
    finding = model.initial_loss(Patient(experiment))
    assert finding.number == pytest.approx(1)
    assert f"{np.log(10):.4g}" in finding.meaning


# Diseases of the training


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("digits", "adam"), ("penguins", "adam"), ("penguins", "sgd"), ("penguin_mass", "adam"), ("penguin_mass", "sgd")],
)
def test_a_learning_rate_of_100(name: str, optimizer: str) -> None:
    found = findings(build(CONFIGS / f"{name}.yaml", [f"optimizer={{{optimizer}: {{lr: 100}}}}"]))
    for check in ("first steps", "update to weight"):
        assert found[check].verdict == "bad"
        assert "lower lr" in found[check].advice


def test_a_learning_rate_too_small() -> None:
    found = findings(build(CONFIGS / "penguins.yaml", ["optimizer={adam: {lr: 1e-9}}"]))
    assert found["update to weight"].advice == "nothing moves: raise lr"
    assert found["first steps"].verdict == "warning"


def test_the_ratio_of_update_to_weight() -> None:
    """sgd moves a weight by lr · gradient."""
    overrides = ["optimizer={sgd: {lr: 0.01}}", "training.epochs=1", "model[0].linear.weight_init={normal: {std: 2}}"]
    experiment = build(CONFIGS / "penguins.yaml", overrides)
    x, y = next(experiment.training_batches().epoch(0))
    network = Patient(experiment).model()
    experiment.loss(network(x, training=True), y).backward()
    weight = network.named_parameters()["0.weight"]
    assert weight.grad is not None
    expected = 0.01 * np.linalg.norm(weight.grad) / np.linalg.norm(weight.data)
    assert Patient(experiment).trial.updates["0.weight"][0] == pytest.approx(expected, rel=1e-4)


def test_a_model_that_can_learn_nothing() -> None:
    layers = "model=[{linear: {out_features: 1}}, relu, {linear: {out_features: 10}}]"
    finding = training.one_batch_overfit(Patient(build(CONFIGS / "digits.yaml", [layers])))
    assert finding.verdict in ("bad", "warning")
    assert finding.number is not None
    assert finding.number < 0.99


def test_dropout_is_no_hindrance_to_learning_by_heart() -> None:
    layers = "model=[{linear: {out_features: 16}}, relu, {dropout: {p: 0.95}}, {linear: {out_features: 3}}]"
    assert training.one_batch_overfit(Patient(build(CONFIGS / "penguins.yaml", [layers]))).verdict == "ok"


def test_batch_norm_is_never_given_a_single_row(tmp_path: Path) -> None:
    patient = Patient(build(project(tmp_path, data=flowers(252))))
    assert patient.known % BATCH == 1
    assert training.inputs_beat_none(patient).verdict == "ok"


def test_the_test_of_relatedness_is_not_surer_than_it_may_be() -> None:
    """Over many shufflings the standard deviations must be standard: mean 0 and spread 1."""
    patient = Patient(build(CONFIGS / "penguins.yaml"))
    rng, z = np.random.default_rng(0), []
    for _ in range(100):
        patient.targets = rng.permutation(patient.targets)
        z.append(training._nearest(patient))
    assert abs(np.mean(z)) < 0.3
    assert 0.8 < np.std(z) < 1.2


def test_a_check_in_which_a_layer_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fussy(Layer):
        def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
            return x.reshape(-1, 10) if training else x

    monkeypatch.setitem(LAYERS, "fussy", Fussy)
    found = findings(build(CONFIGS / "penguins.yaml", ["model=[fussy, {linear: {out_features: 3}}]"]))
    assert list(found) == NAMES
    monkeypatch.setattr(Fussy, "forward", lambda self, x, training, rng: x.reshape(-1, 7) if training else x)
    found = findings(build(CONFIGS / "penguins.yaml", ["model=[fussy, {linear: {out_features: 3}}]"]))
    assert found["initial loss"].verdict == "bad"
    assert "reshape" in found["initial loss"].meaning.lower()


# The command


def test_the_command(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", CONFIGS / "penguins.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("penguins.yaml: 0 bad, 0 warning, 16 ok, 0 skipped")
    assert "\x1b" not in done.stdout
    sick(tmp_path, "penguins", lambda table: table + table)
    done = cli("doctor", tmp_path / "sick.yaml", "--json", "--set", "training.epochs=2")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert not document["healthy"]
    assert [finding["check"] for finding in document["findings"]] == NAMES
    assert "bad, shared rows: the result would be partly remembered" in done.stderr


def test_each_finding_is_shown_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def check(name: str) -> Callable[[Patient], Finding]:
        def make(patient: Patient) -> Finding:
            made.append(name)
            return Finding(name, "ok", None, "")

        return make

    monkeypatch.setattr(sys.modules["dlscratch.checks.doctor"], "CHECKS", (check("one"), check("two")))
    for number, finding in enumerate(doctor(build(CONFIGS / "penguins.yaml")), start=1):
        assert (finding.check, len(made)) == (made[-1], number)
