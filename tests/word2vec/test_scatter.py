"""Summing the gradients of repeated rows, against np.add.at in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.word2vec import scatter
from dlscratch.word2vec.scatter import Ranks, Room, descend, occurrences, share


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_rows_move_by_lr_times_the_sum_of_their_gradients(parts):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 12, 200) ** 2 // 6
    d, bound, room = rng.normal(size=(200, 5)).astype(np.float32), np.full(200, 1e-6, np.float32), Room()
    table = rng.normal(size=(30, 5)).astype(np.float32)
    expected = table.astype(np.float64)
    np.subtract.at(expected, ids, 0.1 * d.astype(np.float64))
    for part in range(parts):
        descend(table, share(occurrences(ids), part, parts), d, bound, 0.1, room)
    np.testing.assert_allclose(table, expected, atol=1e-5)


def test_the_number_of_parts_does_not_change_a_bit():
    rng = np.random.default_rng(0)
    ids, d = rng.integers(0, 40, 500), rng.normal(size=(500, 7)).astype(np.float32)
    bound, tables = rng.random(500, np.float32), []
    for parts in (1, 2, 4):
        table = np.zeros((40, 7), np.float32)
        for part in range(parts):
            descend(table, share(occurrences(ids), part, parts), d, bound, 0.1, Room())
        tables.append(table.tobytes())
    assert len(set(tables)) == 1


def test_a_bound_shortens_the_step_of_its_row_alone():
    table, d = np.zeros((3, 2), np.float32), np.ones((4, 2), np.float32)
    descend(table, occurrences(np.array([0, 2, 2, 2])), d, np.array([1, 8, 8, 16], np.float32), 0.5, Room())
    np.testing.assert_allclose(table[:, 0], [-0.5, 0, -3 * 4 / 32])  # Σ 2h = 32: step 2/h = 4/32 < 0.5


@pytest.mark.parametrize("most", [1, 3, 99])
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_ranks_hold_every_occurrence_once_and_in_order(most, ids):
    usual, scatter.RANKS = scatter.RANKS, most
    ranks = Ranks.of(occurrences(np.array(ids)))
    scatter.RANKS = usual
    assert sorted(ranks.order.tolist()) == list(range(len(ids)))
    assert sorted(ranks.rows.tolist()) == sorted(set(ids))
    at = 0
    for nth, size in enumerate(ranks.sizes):
        for row, occurrence in zip(ranks.rows[:size], ranks.order[at : at + size], strict=True):
            assert [i for i, x in enumerate(ids) if x == row][nth] == occurrence
        at += size
    runs = np.split(ranks.order[at:], ranks.behind[1:])
    for row, run in zip(ranks.rows, runs, strict=False):
        assert [i for i, x in enumerate(ids) if x == row][len(ranks.sizes) :] == run.tolist()


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_shares_hold_all_occurrences_of_a_row_or_none(ids, parts):
    shares = [share(occurrences(np.array(ids, int)), part, parts) for part in range(parts)]
    rows = [set((keys >> 32).tolist()) for keys in shares]
    assert sum(map(len, rows)) == len(set().union(*rows))
    assert sorted(place for keys in shares for place in (keys & 0xFFFFFFFF).tolist()) == list(range(len(ids)))
