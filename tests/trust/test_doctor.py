"""`doctor CONFIG`: configs that ship are healthy, each planted disease is named, and the numbers are what they say."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import flowers, project

from dlscratch.autograd import Tensor
from dlscratch.checks import Finding, doctor
from dlscratch.checks.doctor import CHECKS
from dlscratch.checks.material import training_batches
from dlscratch.checks.symptoms import columns, model, rows, training
from dlscratch.checks.symptoms.patient import BATCH, Patient
from dlscratch.config.build import Experiment, build
from dlscratch.nn import LAYERS, Layer

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
NAMES = [check.__name__.replace("_", " ") for check in CHECKS]

Change = Callable[[list[dict[str, str]]], list[dict[str, str]]]


def findings(experiment: Experiment) -> dict[str, Finding]:
    return {finding.check: finding for finding in doctor(experiment)}


def bad(experiment: Experiment) -> set[str]:
    return {name for name, finding in findings(experiment).items() if finding.verdict == "bad"}


def sick(folder: Path, name: str, change: Change, *overrides: str) -> Experiment:
    """An example's config with its data changed."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    found = re.search(r"\.\./data/(\S+)", text)
    assert found is not None
    source = ROOT / "data" / found[1]
    with gzip.open(source, "rt") if source.suffix == ".gz" else open(source) as file:
        table = change(list(csv.DictReader(file)))
    with open(folder / "sick.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    (folder / "sick.yaml").write_text(text.replace(found[0], "sick.csv"))
    return build(folder / "sick.yaml", overrides)


def shuffled(column: str, seed: int) -> Change:
    def change(table: list[dict[str, str]]) -> list[dict[str, str]]:
        order = np.random.default_rng(seed).permutation(len(table))
        return [{**row, column: table[other][column]} for row, other in zip(table, order, strict=True)]

    return change


def with_column(value: Callable[[dict[str, str], int], object]) -> Change:
    return lambda table: [{**row, "extra": str(value(row, index))} for index, row in enumerate(table)]


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


# Diseases in the data


@pytest.mark.parametrize(
    ("name", "column", "seed"),
    [("penguins", "species", 1), ("penguin_mass", "body_mass_g", 1), ("digits", "digit", 1)],
)
def test_shuffled_labels(tmp_path: Path, name: str, column: str, seed: int) -> None:
    found = findings(sick(tmp_path, name, shuffled(column, seed)))
    assert found["labels related to inputs"].verdict == "bad", found["labels related to inputs"]
    assert found["inputs beat none"].verdict in ("bad", "warning")
    assert found["labels related to inputs"].advice.startswith("targets look shuffled")


LEAKS: dict[str, tuple[str, Callable[[dict[str, str], int], object]]] = {
    "its number": ("penguins", lambda row, index: "AGC".index(row["species"][0])),
    "with noise": ("penguins", lambda row, index: "AGC".index(row["species"][0]) + 0.1 * np.sin(index)),
    "another name": ("penguins", lambda row, index: row["species"][::-1]),
    "in pounds": ("penguin_mass", lambda row, index: row["body_mass_g"].replace("NA", "0") + "22e-4"),
    "its logarithm": ("penguin_mass", lambda row, index: np.log(float(row["body_mass_g"].replace("NA", "4000")))),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_the_target_in_the_inputs(tmp_path: Path, leak: str) -> None:
    name, value = LEAKS[leak]
    finding = columns.target_in_the_inputs(Patient(sick(tmp_path, name, with_column(value))))
    assert finding.verdict == "bad", finding
    assert finding.advice == 'is "extra" known before the answer is? If not, list it under drop'


def test_no_penguin_is_told_by_one_measurement_alone() -> None:
    finding = columns.target_in_the_inputs(Patient(build(CONFIGS / "penguins.yaml")))
    assert (finding.verdict, finding.number) == ("ok", pytest.approx(0.5, abs=0.1))


def test_duplicates_between_train_and_test(tmp_path: Path) -> None:
    experiment = sick(tmp_path, "penguins", lambda table: table + table)
    finding = rows.shared_rows(Patient(experiment))
    prepared = experiment.prepared
    assert prepared.test is not None
    known = {prepared.train.inputs[row].tobytes() for row in prepared.train.rows}
    share = np.mean([prepared.test.inputs[row].tobytes() in known for row in prepared.test.rows])
    assert (finding.verdict, finding.number) == ("bad", pytest.approx(share))
    assert f"{share:.1%} of the test rows" in finding.meaning


def test_equal_rows_with_other_targets_are_not_shared(tmp_path: Path) -> None:
    other = {"Adelie": "Gentoo", "Gentoo": "Chinstrap", "Chinstrap": "Adelie"}
    experiment = sick(
        tmp_path, "penguins", lambda table: table + [{**row, "species": other[row["species"]]} for row in table]
    )
    assert rows.shared_rows(Patient(experiment)).number == 0


def test_rows_that_can_hardly_differ_are_no_leak(tmp_path: Path) -> None:
    lines = [f"{i % 3},{i % 2},{'no' if i % 2 else 'yes'}\n" for i in range(90)]
    (tmp_path / "few.csv").write_text("a,b,y\n" + "".join(lines))
    (tmp_path / "few.yaml").write_text(
        "data: {csv: {path: few.csv, target: y}}\nmodel: [{linear: {out_features: 2}}]\noptimizer: sgd\n"
    )
    finding = rows.shared_rows(Patient(build(tmp_path / "few.yaml")))
    assert (finding.verdict, finding.number) == ("warning", 1.0)


def test_constant_and_duplicated_columns(tmp_path: Path) -> None:
    def change(table: list[dict[str, str]]) -> list[dict[str, str]]:
        inches = [str(float(row["bill_length_mm"].replace("NA", "44.45")) / 25.4) for row in table]
        more = [{"planet": "earth", "nought": "0", "inches": inch, "isle": row["island"].lower()}
                for row, inch in zip(table, inches, strict=True)]  # fmt: skip
        return [{**row, **each} for row, each in zip(table, more, strict=True)]

    patient = Patient(sick(tmp_path, "penguins", change, "data.preprocessing.impute=44.45"))
    constant, duplicated = columns.constant_columns(patient), columns.duplicated_columns(patient)
    assert (constant.verdict, constant.number) == ("warning", 2)
    assert constant.meaning == "2 of 10 inputs never change: planet, nought"
    assert (duplicated.verdict, duplicated.number) == ("warning", 2)
    assert duplicated.meaning.startswith("said twice: inches is bill_length_mm, isle is island")


def test_classes_that_are_hardly_there(tmp_path: Path) -> None:
    def change(table: list[dict[str, str]]) -> list[dict[str, str]]:
        return [row for i, row in enumerate(table) if row["species"] == "Adelie" or i % 20 == 0]

    finding = rows.target_balance(Patient(sick(tmp_path, "penguins", change)))
    assert finding.verdict == "warning"
    assert finding.number == pytest.approx(91 / (91 + 4 + 2), abs=0.01)


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
    x, y = next(training_batches(experiment).epoch(0))
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


def test_iteration_shows_each_finding_when_it_is_made() -> None:
    examined: Iterator[Finding] = doctor(build(CONFIGS / "penguins.yaml"))
    assert next(examined).check == NAMES[0]
