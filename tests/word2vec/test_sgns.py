"""The kernel: its loss against a loop over pairs, its gradients against differences, its bound against the curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.autograd import Tensor, gradcheck
from dlscratch.word2vec.sgns import Block, Gradients, gradients, losses, sgns

BLOCK = Block(centres=4, window=2, noise=3, negative=5)


@pytest.fixture
def blocks():
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 3, (2, 2, 4))
    C, R = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, BLOCK.rows, 6))
    return C, R, left, right, BLOCK.half_weights()[BLOCK.code(left, right)]


def pair_by_pair(C, R, left, right):
    """The definition: each word in the window, and `negative` noise words for it, spread evenly over the block's."""
    total = 0.0
    for b in range(len(C)):
        for t in range(BLOCK.centres):
            for offset in (o for o in range(-left[b, t], right[b, t] + 1) if o):
                total += np.log1p(np.exp(-C[b, t] @ R[b, t + BLOCK.window + offset]))
                noise = R[b, BLOCK.contexts :]
                total += BLOCK.negative * np.log1p(np.exp(noise @ C[b, t])).mean()
    return total


def test_the_loss_is_that_of_all_pairs(blocks):
    C, R, left, right, halves = blocks
    assert losses(C, R, halves, BLOCK.signs()).sum() == pytest.approx(pair_by_pair(C, R, left, right))


def test_gradcheck(blocks):
    C, R, _, _, halves = blocks
    tensors = Tensor(C, requires_grad=True), Tensor(R, requires_grad=True)
    assert gradcheck(sgns, *tensors, halves, BLOCK.signs())


def test_float32_gradients_agree_with_float64(blocks):
    C, R, _, _, halves = blocks
    results = []
    for dtype in (np.float32, np.float64):
        out = Gradients.empty(2, 4, rows=BLOCK.rows, dim=6, dtype=dtype)
        arrays = (x.astype(dtype) for x in (C, R, halves, BLOCK.signs()))
        gradients(*arrays, out, np.empty_like(halves, dtype), np.empty_like(halves, dtype))
        results.append(out)
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)


def test_the_bound_is_twice_the_trace_of_the_majoriser(blocks):
    C, R, _, _, halves = blocks
    out = Gradients.empty(2, 4, rows=BLOCK.rows, dim=6, dtype=np.float64)
    halves, signs = halves.astype(float), BLOCK.signs().astype(float)
    gradients(C, R, halves, signs, out, np.empty_like(halves), np.empty_like(halves))
    S = C @ R.swapaxes(1, 2)
    curvature = 2 * halves * np.tanh(S / 2) / (2 * S)
    np.testing.assert_allclose(out.h_c, 2 * (curvature * (R**2).sum(-1)[:, None]).sum(2), rtol=1e-6)
    np.testing.assert_allclose(out.h_r, 2 * (curvature * (C**2).sum(-1)[..., None]).sum(1), rtol=1e-6)


def test_a_score_of_zero_has_the_bound_of_its_limit():
    halves, signs = BLOCK.half_weights()[BLOCK.code(np.full((1, 4), 1), np.full((1, 4), 1))], BLOCK.signs()
    C, R = np.zeros((1, 4, 6), np.float32), np.ones((1, BLOCK.rows, 6), np.float32)
    out = Gradients.empty(1, 4, rows=BLOCK.rows, dim=6)
    gradients(C, R, halves, signs, out, np.empty_like(halves), np.empty_like(halves))
    np.testing.assert_allclose(out.h_c, 2 * 2 * halves.sum(-1) * 6 / 4, rtol=1e-6)


@given(st.floats(-40, 40), st.floats(-80, 80))
def test_the_parabola_touches_the_loss_and_lies_above_it(s, x):
    def loss(score):
        return np.logaddexp(0, -score)

    curvature = np.tanh(s / 2) / (2 * s) if abs(s) > 1e-9 else 0.25
    slope = -1 / (1 + np.exp(s))
    assert loss(s) + slope * (x - s) + curvature * (x - s) ** 2 / 2 >= loss(x) - 1e-9


@given(st.data())
def test_weights_mark_the_window_and_nothing_else(data):
    block = Block(data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), 2, 5)
    reach = st.integers(0, block.window)
    t, left, right = data.draw(st.integers(0, block.centres - 1)), data.draw(reach), data.draw(reach)
    codes = block.code(np.full((1, block.centres), left), np.full((1, block.centres), right))
    weights = 2 * block.half_weights()[codes[0, t]]
    near = [j for j in range(block.contexts) if weights[j]]
    centre = t + block.window
    assert near == [*range(centre - left, centre), *range(centre + 1, centre + right + 1)]
    assert set(weights[: block.contexts]) <= {0, 1}
    assert weights[block.contexts :].tolist() == [(left + right) * 5 / 2] * 2
