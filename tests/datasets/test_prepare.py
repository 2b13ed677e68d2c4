"""From a file to batches, summaries of columns, and the readers' signatures as config/ reads them."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import numpy as np
import pytest
from annotated_doc import Doc

from dlscratch.datasets import READERS, Arrays, CsvReader, Preprocessing, Table, describe, prepare
from dlscratch.errors import DataError

DATA = Path(__file__).parents[2] / "data"


def test_the_penguins_from_file_to_batches():
    table = CsvReader(str(DATA / "penguins.csv"), target="species").read()
    prepared = prepare(table, Preprocessing(), seed=0, validation=0.2, test=0.2)
    assert [len(prepared.train), len(prepared.validation), len(prepared.test)] == [206, 69, 69]
    x, y = next(prepared.train.batches(32, shuffle=True, seed=0).epoch(0))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((32, 11), np.float32, (32,), np.int64)
    everything = np.concatenate([x for x, _ in prepared.train.batches(50)])
    np.testing.assert_allclose(everything[:, 3].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(everything[:, 3].std(), 1, atol=1e-6)


def test_parts_of_their_own():
    data = Arrays(np.arange(40, dtype=np.uint8).reshape(20, 2), np.arange(20) % 2, target="y")
    other = Arrays(np.full((3, 2), 255, np.uint8), np.array([0, 1, 1]), target="y")
    prepared = prepare(data, Preprocessing(scale=255), seed=0, validation=0.25, test=other)
    assert [len(prepared.train), len(prepared.validation), len(prepared.test)] == [14, 6, 3]
    ((x, y),) = prepared.test.batches(10)
    assert (x.tolist(), y.tolist()) == ([[1, 1]] * 3, [0, 1, 1])
    assert prepare(data, Preprocessing(), seed=0).test is None
    assert prepared.train.inputs is prepared.validation.inputs


def test_a_class_too_small_names_file_and_column():
    table = Table({"x": np.arange(9.0), "y": np.array([0.0] * 8 + [1])}, 9, "data.csv", "y")
    with pytest.raises(DataError) as caught:
        prepare(table, Preprocessing(), seed=0, validation=0.2, test=0.2)
    assert str(caught.value) == (
        'data.csv: target "y": class "1" has 1 row, too few to split into train, validation, test; '
        "add rows, take its rows out of the file, or write validation: 0 and test: 0"
    )
    assert len(prepare(table, Preprocessing(), seed=0).train) == 9


def test_summaries_of_columns():
    summaries = {summary.name: summary for summary in describe(CsvReader(str(DATA / "penguins.csv")).read())}
    assert list(summaries)[:2] == ["species", "island"]
    species, mass = summaries["species"], summaries["body_mass_g"]
    assert (species.kind, species.missing, species.distinct) == ("categorical", 0, 3)
    assert species.examples == ("Adelie", "Gentoo", "Chinstrap")
    assert (mass.kind, mass.missing, mass.minimum, mass.maximum) == ("numeric", 2, 2700, 6300)


@pytest.mark.parametrize("schema", [*READERS.values(), Preprocessing])
def test_every_option_is_documented(schema):
    hints = typing.get_type_hints(schema.__init__, include_extras=True)
    for name in list(inspect.signature(schema).parameters):
        assert any(isinstance(extra, Doc) for extra in hints[name].__metadata__), name
