"""The vectors in a page: their bits, and that nearest words are those of WordVectors whatever was rounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.pictures.packing import Packed, pack, pack_bits, quantise
from dlscratch.pictures.projection import units
from dlscratch.word2vec.vectors import WordVectors


@given(st.integers(8, 24), st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=50))
def test_bits_stand_one_after_the_other(bits: int, numbers: list[int]) -> None:
    codes = np.array(numbers) % (1 << bits)
    text = "".join(f"{code:0{bits}b}" for code in codes)
    expected = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    assert pack_bits(codes, bits).tobytes() == expected


def test_many_codes_are_packed_as_few_are() -> None:
    codes = np.random.default_rng(0).integers(0, 1 << 13, 10_001)
    text = "".join(f"{code:013b}" for code in codes)
    whole = text[: len(text) // 8 * 8]
    assert pack_bits(codes, 13).tobytes().startswith(int(whole, 2).to_bytes(len(whole) // 8, "big"))


@pytest.mark.parametrize("bits", [8, 13, 24])
def test_rounding_keeps_directions(bits: int) -> None:
    x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    codes = quantise(x, bits)
    assert np.abs(codes).max() == (1 << (bits - 1)) - 1
    assert (units(codes) * units(x)).sum(axis=1).min() > 1 - 2.0 ** -(2 * bits - 4)


def test_zeros_and_tiny_numbers_are_no_trouble() -> None:
    codes = quantise(np.array([[0, 0], [1e-45, 0], [3e38, -3e38]], np.float32), 8)
    np.testing.assert_array_equal(codes, [[0, 0], [127, 0], [127, -127]])


def answers(packed: Packed, row: int) -> list[int]:
    """What the page answers: the listed neighbours, or those of the codes."""
    unit = units(packed.codes)
    listed = {int(row[0]): row[1:].tolist() for row in packed.corrections}
    cosines = unit @ unit[row]
    cosines[row] = -np.inf
    found = np.argsort(-cosines, kind="stable")[: packed.corrections.shape[1] - 1].tolist()
    return listed.get(row, found)


@pytest.mark.parametrize("count", [2, 5, 33, 40, 700])
def test_the_nearest_words_are_those_of_word_vectors(count: int) -> None:
    vectors = WordVectors(map(str, range(count)), np.random.default_rng(count).normal(size=(count, 6)))
    packed = pack(vectors.vectors, letters=0)
    assert packed.bits == 8
    assert len(packed.corrections) > 0 or count < 6
    for row in range(count):
        assert [str(other) for other in answers(packed, row)] == [n.word for n in vectors.nearest(str(row))]


def test_without_corrections_some_would_be_wrong() -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 50))
    assert len(pack(vectors, letters=0).corrections) > 30
    assert len(pack(vectors).corrections) == 0
    assert pack(vectors).bits == 24


def test_words_with_equal_vectors_come_in_the_order_of_the_vocabulary() -> None:
    x = np.tile(np.random.default_rng(2).normal(size=(10, 4)), (4, 1))
    vectors = WordVectors(map(str, range(40)), x)
    packed = pack(vectors.vectors, letters=0)
    for row in range(40):
        assert answers(packed, row)[:3] == [int(n.word) for n in vectors.nearest(str(row))][:3]
