"""Counting, thinning out, and the distribution of noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlscratch.errors import DataError
from dlscratch.word2vec.vocabulary import Noise, Selection, Vocabulary, read_stopwords

COUNTS = {"b": 7, "a": 7, "the": 40, "rare": 2, "c": 5}


def test_words_are_sorted_by_count_and_then_by_name():
    assert Selection().choose(COUNTS).words == ["the", "a", "b", "c"]
    assert Selection(max_vocab=2).choose(COUNTS).words == ["the", "a"]
    assert Selection(stopwords=frozenset({"the"})).choose(COUNTS).words == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("selection", "counts", "message"),
    [
        (Selection(), {}, "the corpus holds no words"),
        (Selection(50), COUNTS, "no word is left of 5 .* frequent word occurs 40 times, the next 7 .* min_count 5"),
        (Selection(10), {"a": 4, "b": 3}, "no word is left of 2 .* occurs 4 times, the next 3 times; try min_count 3"),
        (Selection(10), COUNTS, 'only one word, "the", is left of 5 .* try min_count 5'),
        (Selection(), {"a": 99}, 'only one word, "a", is left of 1 different ones; .* at least two'),
        (Selection(max_vocab=1), COUNTS, 'only one word, "the", is left with max_vocab 1'),
    ],
)
def test_too_few_words(selection, counts, message):
    with pytest.raises(DataError, match=message):
        selection.choose(counts)


def test_keep_probabilities_are_those_of_word2vec():
    keep = Vocabulary(["a", "b"], np.array([900_000, 100])).keep_probabilities(1e-3)
    f = 900_000 / 900_100
    np.testing.assert_allclose(keep, [(1e-3 / f) ** 0.5 + 1e-3 / f, 1, 1], rtol=1e-6)
    assert Vocabulary(["a", "b"], np.array([900_000, 100])).keep_probabilities(0).tolist() == [1, 1, 1]


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50))
@example([1.0, 1.0, 85.0, 85.0])  # what one lacks is exactly what another has to spare,
@example([2.0, 3.0, 2.0, 0.5, 5.0, 1.0, 2.0, 0.5])  # and some have an even share
def test_noise_has_exactly_the_distribution_of_its_weights(weights):
    noise = Noise(np.array(weights))
    n = len(weights)
    shares = np.bincount(np.arange(n), noise.own, n) + np.bincount(noise.alias, 1 - noise.own.astype(float), n)
    np.testing.assert_allclose(shares / n, np.array(weights) / np.sum(weights), atol=1e-6)


def test_noise_is_drawn_by_count_to_the_exponent():
    vocabulary = Vocabulary(list("abc"), np.array([256, 16, 1]))
    drawn = vocabulary.noise(0.75).draw(np.random.default_rng(0), 100_000)
    np.testing.assert_allclose(np.bincount(drawn) / 100_000, np.array([64, 8, 1]) / 73, atol=0.004)


def test_stopwords_are_one_a_line():
    assert read_stopwords(["# common", "the", "", " and "]) == {"the", "and"}
