"""`doctor` and data: shuffled labels, answers in the inputs, shared rows and columns that teach nothing are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from patients import CONFIGS, Change, findings, sick

from dlscratch.checks.symptoms import columns, rows
from dlscratch.checks.symptoms.patient import Patient
from dlscratch.config.build import build


def shuffled(column: str, seed: int) -> Change:
    def change(table: list[dict[str, str]]) -> list[dict[str, str]]:
        order = np.random.default_rng(seed).permutation(len(table))
        return [{**row, column: table[other][column]} for row, other in zip(table, order, strict=True)]

    return change


def with_column(value: Callable[[dict[str, str], int], object]) -> Change:
    return lambda table: [{**row, "extra": str(value(row, index))} for index, row in enumerate(table)]


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
