"""Classification or regression, class names, targets as a loss takes them, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import Arrays, Categories, Preprocessing, Table, Target, find_target
from dlscratch.errors import DataError


def table(values) -> Table:
    return Table({"a": np.arange(float(len(values))), "y": values}, len(values), "data.csv", "y")


def arrays(values) -> Arrays:
    values = np.asarray(values)
    return Arrays(np.zeros((len(values), 1)), values, "data.npz", "y")


numbers = np.random.default_rng(0)
CASES = {
    "0/1": (table(np.array([0.0, 1.0, 1.0])), ("0", "1")),
    "digits": (table(np.tile(np.arange(10.0), 20)), tuple("0123456789")),
    "text": (table(Categories(np.array([1, 0, 1]), ("cat", "dog"))), ("cat", "dog")),
    "a hundred labels": (arrays(np.tile(np.arange(100), 5)), tuple(map(str, range(100)))),
    "text in an array": (arrays(["b", "a", "b"]), ("a", "b")),
    "true and false": (arrays([True, False]), ("0", "1")),
    "a column of labels": (arrays([[0], [1], [1]]), ("0", "1")),
    "prices": (table(numbers.integers(100, 900, 200).astype(float)), ()),
    "fractions": (table(numbers.normal(size=200)), ()),
    "few rows": (table(np.arange(10.0)), ()),
    "two values each": (arrays(numbers.normal(size=(9, 2))), ()),
}


@pytest.mark.parametrize(("data", "classes"), CASES.values(), ids=CASES)
def test_the_task_is_found(data, classes):
    target = find_target(data)
    assert target.task == ("classification" if classes else "regression")
    assert target.classes == classes
    assert Target.from_state(json.loads(json.dumps(target.state()))) == target


def test_the_task_can_be_told():
    assert find_target(table(np.array([0.0, 1.0])), "regression").task == "regression"
    assert find_target(table(np.array([1.5, 10, 9, 3])), "classification").classes == ("1.5", "3", "9", "10")
    assert find_target(table(Categories(np.array([0, 1]), ("3", "4.5"))), "regression").task == "regression"


def test_classes_are_numbered_by_name():
    target = find_target(table(np.array([5.0, 7, 5, 9, 9, 7])), "classification")
    encoded = target.encode(table(np.array([9.0, 5])))
    assert (encoded.tolist(), encoded.dtype, target.outputs) == ([2, 0], np.int64, 3)
    assert target.encode(table(Categories(np.array([0, 1]), ("7", "9")))).tolist() == [1, 2]


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), min_size=2))
def test_regression_targets_are_standardised_and_come_back(values):
    data = table(np.array(values))
    fitted = Preprocessing(task="regression").fit(data)
    encoded = fitted.transform_targets(data)
    assert (encoded.shape, encoded.dtype) == ((len(values), 1), np.float32)
    mean, scale = (values[0], 1) if min(values) == max(values) else (np.mean(values), np.std(values))
    np.testing.assert_allclose(encoded[:, 0] * scale, np.array(values) - mean, atol=1e-5 * scale, rtol=1e-5)
    np.testing.assert_allclose(fitted.inverse(encoded)[:, 0], values, atol=1e-5 * scale + 1e-9, rtol=1e-6)


def test_the_scale_comes_from_the_training_rows_and_can_be_left_out():
    data = table(np.array([1.5, 2.5, 1000.0]))
    fitted = Preprocessing().fit(data, np.array([0, 1]))
    assert fitted.transform_targets(data)[:, 0].tolist() == [-1, 1, 1996]
    fitted = Preprocessing(scale_target=False).fit(data)
    assert fitted.transform_targets(data)[:, 0].tolist() == [1.5, 2.5, 1000]


def complaint(call, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    return str(caught.value)


def test_targets_that_cannot_be_learned():
    assert complaint(find_target, Table({"a": np.zeros(2), "b": np.ones(2)}, 2, "data.csv")) == (
        'data.csv: no target is named; write target: COLUMN beside path; the columns are "a", "b"'
    )
    assert complaint(find_target, Arrays(np.eye(2), source="data.npz")) == (
        "data.npz: no target is named; write target: ARRAY beside path (npz), or labels: FILE beside images (idx)"
    )
    assert complaint(find_target, table(np.zeros(3))) == (
        'data.csv: the target "y" is "0" in every row; expected at least two classes'
    )
    assert complaint(find_target, table(Categories(np.array([0, 1]), ("1", "x"))), "regression") == (
        'row 2: the target "y" is "x"; regression needs numbers'
    )
    assert complaint(find_target, arrays([1.0, np.nan])) == (
        'data.npz: row 2: the target "y" is nan; expected a finite number'
    )
    assert complaint(find_target, table(Categories(np.array([0, -1]), ("a",)))) == 'row 2: the target "y" is missing'
    assert complaint(find_target, arrays(np.zeros((3, 2))), "classification") == (
        'data.npz: the target "y" has shape (3, 2); expected one class for each row'
    )


def test_targets_that_were_not_there_in_training():
    fitted = Preprocessing().fit(table(np.array([0.0, 1.0])))
    assert complaint(fitted.transform_targets, table(np.array([1.0, 2.0]))) == (
        'row 2: the target "y" is "2", which was not a class in training; the classes are "0", "1"'
    )
    assert complaint(Preprocessing().fit(Arrays(np.eye(2))).transform_targets, arrays([0, 1])) == (
        "this preprocessing was fitted without a target; name the column or array to learn"
    )
