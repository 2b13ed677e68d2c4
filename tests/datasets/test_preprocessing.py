"""Preprocessing against scikit-learn's numbers (see golden/make_preprocessing.py), its state, and its complaints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlscratch.datasets import Arrays, Categories, CsvReader, Preprocessing, Table, preprocessor_from_state
from dlscratch.errors import CheckpointError, DataError, UsageError

ROOT = Path(__file__).parents[2]
ALL = np.arange(344)
TRAIN = ALL[ALL % 3 != 0]


@pytest.fixture(scope="module")
def penguins() -> Table:
    return CsvReader(str(ROOT / "data" / "penguins.csv"), target="species", categorical=["year"]).read()


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("impute", ["median", "mean"])
def test_tables_equal_scikit_learn(penguins, scale, impute):
    golden = np.load(ROOT / "tests" / "golden" / "preprocessing.npz")
    fitted = Preprocessing(scale=scale, impute=impute).fit(penguins, TRAIN)
    np.testing.assert_allclose(fitted.transform(penguins), golden[f"{scale} {impute}"], rtol=0, atol=2e-6)
    assert fitted.feature_names == tuple(golden["names"])


def back(fitted):
    """The same preprocessor after a journey through JSON."""
    return preprocessor_from_state(json.loads(json.dumps(fitted.state())))


def test_the_state_is_the_whole_preprocessor(penguins):
    fitted = Preprocessing(missing_indicator=True, unseen="ignore", impute=-1.5).fit(penguins, TRAIN)
    again = back(fitted)
    assert again.state() == fitted.state()
    assert (again.class_names, again.input_shape, again.feature_names, again.kinds) == (
        ("Adelie", "Chinstrap", "Gentoo"),
        fitted.input_shape,
        fitted.feature_names,
        fitted.kinds,
    )
    np.testing.assert_array_equal(again.transform(penguins), fitted.transform(penguins))
    np.testing.assert_array_equal(again.transform_targets(penguins), fitted.transform_targets(penguins))


def test_only_the_training_rows_count():
    values = np.array([1.0, 2.0, 3.0, 1000.0, np.nan])
    table = Table({"a": values, "b": Categories(np.array([0, 1, 0, 2, -1]), ("x", "y", "z"))}, 5)
    fitted = Preprocessing(unseen="ignore").fit(table, np.array([0, 1, 2]))
    x = fitted.transform(table)
    np.testing.assert_allclose(x[:, 0], (np.array([1, 2, 3, 1000, 2]) - 2) / np.std([1, 2, 3]), rtol=1e-6)
    assert fitted.feature_names == ("a", "b=x", "b=y")
    assert x[:, 1:].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]]


def test_missing_values_get_their_inputs():
    table = Table({"a": np.array([1.0, np.nan, 3.0]), "b": Categories(np.array([0, -1, 0]), ("x",))}, 3)
    fitted = Preprocessing(scale="none", impute=9, missing_indicator=True).fit(table)
    assert fitted.feature_names == ("a", "a is missing", "b=x", "b=missing")
    assert fitted.transform(table).tolist() == [[1, 0, 1, 0], [9, 1, 0, 1], [3, 0, 1, 0]]


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_a_constant_column_becomes_zero(scale):
    table = Table({"a": np.full(1000, 0.1)}, 1000)
    assert not Preprocessing(scale=scale).fit(table).transform(table).any()
    arrays = Arrays(np.full((1000, 2), 0.1))
    fitted = Preprocessing(scale=scale, per_feature=True).fit(arrays)
    np.testing.assert_allclose(fitted.convert(fitted.transform(arrays)), 0)


def test_predict_takes_columns_in_any_order_and_ignores_others():
    table = Table({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0]), "y": np.array([0.0, 1.0])}, 2, target="y")
    fitted = Preprocessing(scale="none").fit(table)
    raw = Table({"b": np.array([30.0]), "other": np.array([5.0]), "a": np.array([10.0])}, 1)
    assert fitted.transform(raw).tolist() == [[10, 30]]


def complaint(call, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    return str(caught.value)


def text(*values: str | None) -> Categories:
    names = sorted({value for value in values if value is not None})
    return Categories(np.array([-1 if value is None else names.index(value) for value in values]), tuple(names))


def test_data_that_does_not_fit_the_model():
    fitted = back(Preprocessing().fit(Table({"age": np.array([1.0, 2.0]), "sex": text("f", "m")}, 2)))
    age = np.array([1.0, 2.0])
    assert complaint(fitted.transform, Table({"ages": age, "sex": text("f", "f")}, 2, "new.csv")) == (
        'new.csv: the model needs the column "age", which is not there; did you mean "ages"?'
    )
    assert complaint(fitted.transform, Table({"age": age, "sex": text("f", "x")}, 2)) == (
        'row 2: column "sex" is "x", which no training row was; known are "f", "m"; '
        "correct the cell, or train with unseen: ignore"
    )
    assert complaint(fitted.transform, Table({"age": age, "sex": text(None, "f")}, 2)) == (
        'row 1: column "sex" is missing, which no training row was; known are "f", "m"; '
        "correct the cell, or train with unseen: ignore"
    )
    assert complaint(fitted.transform, Table({"age": text("3", "old"), "sex": text("f", "f")}, 2)) == (
        'row 2: column "age" holds "old", but the model was trained on numbers there'
    )
    assert complaint(fitted.transform, Arrays(np.zeros((2, 2)), source="x.npz")) == (
        "x.npz: holds arrays, but the model was trained on a table with named columns"
    )


def test_renamed_columns_are_proposed_and_never_those_in_use():
    x, names = np.array([1.0, 2.0]), ["sepal width (cm)", "petal width (cm)", "PetalLength"]
    fitted = Preprocessing().fit(Table(dict.fromkeys(names, x), 2))
    without = {"sepal width (cm)": x, "PetalLength": x}
    there = 'the column "petal width (cm)", which is not there'
    assert complaint(fitted.transform, Table({**without, "colour": x}, 2)) == f"table: the model needs {there}"
    assert complaint(fitted.transform, Table({**without, "petal width": x}, 2)) == (
        f'table: the model needs {there}; did you mean "petal width"?'
    )
    assert complaint(fitted.transform, Table({"petal_length": x, "Petal.Width": x, "sepal width (cm)": x}, 2)) == (
        'table: the model needs the columns "petal width (cm)", "PetalLength", which are not there; '
        'did you mean "Petal.Width" for "petal width (cm)", "petal_length" for "PetalLength"?'
    )


def test_numbers_read_as_text_and_text_read_as_numbers():
    fitted = Preprocessing(scale="none").fit(Table({"a": np.array([1.0, 2.0]), "zip": text("7", "x")}, 2))
    raw = Table({"a": text("3.5", None), "zip": np.array([7.0, 7.0])}, 2)
    assert fitted.transform(raw).tolist() == [[3.5, 1, 0], [1.5, 1, 0]]


def test_columns_that_cannot_be_learned_from():
    table = Table({"name": text(*map(str, range(5)))}, 5, "data.csv")
    assert complaint(Preprocessing(max_categories=4).fit, table) == (
        'data.csv: column "name" has 5 categories in 5 training rows; '
        "list it under drop, or raise max_categories (now 4)"
    )
    assert complaint(Preprocessing().fit, Table({"a": np.full(2, np.nan)}, 2, "data.csv")) == (
        'data.csv: column "a" has no value in the training rows; list it under drop'
    )
    assert complaint(Preprocessing().fit, Table({"y": np.array([0.0, 1.0])}, 2, "data.csv", "y")) == (
        "data.csv: no column is left to learn from"
    )


thousandths = st.integers(-100_000, 100_000).map(lambda number: number / 1000)


@given(
    inputs=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=4))
    | hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3), elements=thousandths),
    per_feature=st.booleans(),
)
def test_arrays_are_standardised(inputs, per_feature):
    data = Arrays(inputs)
    fitted = back(Preprocessing(per_feature=per_feature).fit(data))
    axis = 0 if per_feature else None
    constant = inputs.min(axis) == inputs.max(axis)
    std = np.where(constant, 1, inputs.std(axis, dtype=np.float64))
    expected = (inputs - inputs.mean(axis, dtype=np.float64)) / std
    found = fitted.convert(fitted.transform(data))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_statistics_of_many_chunks(monkeypatch):
    monkeypatch.setattr("dlscratch.datasets.array_preprocessor.CHUNK", 64)
    inputs = np.random.default_rng(0).normal(1e3, 1, (200, 3, 4))
    rows = np.arange(0, 200, 2)
    fitted = Preprocessing(per_feature=True).fit(Arrays(inputs), rows)
    np.testing.assert_allclose(fitted.shift, inputs[rows].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.divisor, inputs[rows].std(axis=0), rtol=1e-9)
    fitted = Preprocessing().fit(Arrays(inputs), rows)
    np.testing.assert_allclose(fitted.divisor, inputs[rows].std(), rtol=1e-9)
    fitted = Preprocessing(scale="minmax").fit(Arrays(inputs), rows)
    np.testing.assert_allclose([fitted.shift, fitted.divisor], [inputs[rows].min(), np.ptp(inputs[rows])])


def test_images_stay_as_they_are_until_a_batch_is_made():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    fitted = Preprocessing(scale=255, shape=[1, 3, 4]).fit(Arrays(images))
    raw = fitted.transform(Arrays(images))
    assert np.shares_memory(raw, images)
    assert raw.shape == (2, 1, 3, 4)
    x = fitted.convert(raw)
    np.testing.assert_allclose(x, images.reshape(2, 1, 3, 4) / 255, rtol=1e-7)
    assert images.max() == 23


@pytest.mark.parametrize("options", [{}, {"per_feature": True}, {"shape": [24]}])
def test_channels_last_are_moved_to_the_front(options):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2)).astype(np.uint8)
    moved = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    fitted = back(Preprocessing(channels_last=True, **options).fit(Arrays(images)))
    expected = Preprocessing(**options).fit(Arrays(moved))
    assert fitted.input_shape == expected.input_shape
    found = fitted.transform(Arrays(images))
    np.testing.assert_array_equal(found, expected.transform(Arrays(moved)))
    x = fitted.convert(found)
    np.testing.assert_array_equal(x, expected.convert(expected.transform(Arrays(moved))))
    assert x.flags.c_contiguous
    assert np.shares_memory(found, images) or "shape" in options


@pytest.mark.parametrize(
    ("raw", "shape", "options", "message"),
    [
        ([8, 9, 3], [3, 8, 9], {}, "has shape [8, 9, 3]; shape keeps the values in their order and moves no axis"),
        ([8, 9, 3], [3, 8, 9], {}, "channels would be mixed up; write channels_last: true and leave shape out"),
        ([8, 9, 3], [9, 8, 3], {}, "would be mixed up; transpose the array in the file and leave shape out"),
        ([8, 9, 3], [8, 9, 3], {"channels_last": True}, "[8, 9, 3]; channels_last makes it [3, 8, 9], and shape keeps"),
        ([8], None, {"channels_last": True}, "channels_last is true, but an example of x.npz has shape [8]; expected"),
    ],
)  # fmt: skip
def test_a_shape_that_would_mix_the_values(raw, shape, options, message):
    with pytest.raises(UsageError) as caught:
        Preprocessing(shape=shape, **options).fit(Arrays(np.zeros((2, *raw)), source="x.npz"))
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [[1, 8, 9], [9, 8], [72], [8, 9, 1]])
def test_a_shape_that_mixes_nothing(shape):
    raw = (9, 8) if shape == [9, 8] else (8, 9, 1)
    assert Preprocessing(shape=shape).fit(Arrays(np.eye(72).reshape(72, *raw))).input_shape == tuple(shape)


def test_large_numbers_keep_their_differences():
    data = Arrays(np.array([[1e9], [1e9 + 1], [1e9 + 2]]))
    fitted = Preprocessing(scale="minmax").fit(data)
    assert fitted.convert(fitted.transform(data)).ravel().tolist() == [0, 0.5, 1]


def test_arrays_that_do_not_fit():
    fitted = Preprocessing().fit(Arrays(np.eye(4)))
    assert complaint(fitted.transform, Arrays(np.zeros((2, 3)), source="x.npz")) == (
        "x.npz: an example has shape [3], but the model was trained on [4]"
    )
    assert complaint(fitted.transform, Arrays(np.array([[0, 1, 2, 3], [0, 1, np.nan, 3]]), source="x.npz")) == (
        "x.npz: row 2 of the inputs holds NaN or an infinite number; expected finite numbers"
    )
    assert complaint(fitted.transform, Table({}, 0, "x.csv")) == (
        "x.csv: holds a table, but the model was trained on arrays"
    )
    with pytest.raises(UsageError) as caught:
        Preprocessing(shape=[1, 5]).fit(Arrays(np.eye(4), source="x.npz"))
    assert str(caught.value) == "shape is [1, 5], 5 values, but an example of x.npz has shape [4], 4 values"
    with pytest.raises(UsageError, match="scale is -1; expected standard, minmax, none, ids or a number above 0"):
        Preprocessing(scale=-1)


@pytest.mark.parametrize(
    "damage", [{}, {"data": "pictures"}, {"data": "table", "columns": [{"name": "a"}], "target": None}]
)
def test_a_damaged_state(damage):
    with pytest.raises(CheckpointError, match="the stored preprocessing is damaged"):
        preprocessor_from_state(damage)
