"""Splits: every row once, by chance but from the seed alone, each class in its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import split
from dlscratch.errors import DataError, UsageError

fractions = st.sampled_from([0.0, 0.1, 0.25, 0.45])


def parts(found) -> list[list[int]]:
    return [part.tolist() for part in (found.train, found.validation, found.test)]


@given(rows=st.integers(3, 300), seed=st.integers(0, 2**32), validation=fractions, test=fractions)
def test_every_row_is_in_one_part(rows, seed, validation, test):
    found = split(rows, seed, validation=validation, test=test)
    train, held_out, tested = parts(found)
    assert sorted(train + held_out + tested) == list(range(rows))
    assert all(part == sorted(part) for part in parts(found))
    assert train
    assert abs(len(held_out) - rows * validation) <= 1
    assert abs(len(tested) - rows * test) <= 1
    assert parts(found) == parts(split(rows, seed, validation=validation, test=test))


@given(counts=st.lists(st.integers(3, 60), min_size=2, max_size=5), validation=fractions, test=fractions)
def test_each_class_has_its_share(counts, validation, test):
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    found = split(len(classes), 1, validation=validation, test=test, classes=classes)
    for number, count in enumerate(counts):
        for rows, share in ((found.validation, validation), (found.test, test)):
            assert abs((classes[rows] == number).sum() - count * share) <= 1
            assert not share or (classes[rows] == number).any()
        assert (classes[found.train] == number).any()


def test_the_seed_decides():
    assert parts(split(100, 0, test=0.2)) != parts(split(100, 1, test=0.2))
    assert parts(split(1000, 0, test=0.2))[2][:5] == [1, 6, 12, 16, 25]  # a change here changes everybody's results


def test_too_few_rows():
    with pytest.raises(DataError) as caught:
        split(5, 0, validation=0.2, test=0.2, classes=np.array([0, 0, 0, 1, 1]), class_names=("cat", "dog"))
    assert str(caught.value) == (
        'class "dog" has 2 rows, too few to split into train, validation, test; '
        "add rows, take its rows out of the file, or write validation: 0 or test: 0"
    )
    with pytest.raises(DataError, match="has 1 row, too few to split into train, test; add rows, or write test: 0"):
        split(1, 0, test=0.5)
    with pytest.raises(UsageError, match=r"validation is 0.5 and test is 0.5; expected fractions with a sum below 1"):
        split(10, 0, validation=0.5, test=0.5)
