"""Clipping against PyTorch's numbers, and norms beyond float32's range."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.optim import clip_grad_norm_, clip_grad_value_, gradient_norm

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "torch_optim.npz"))
NAMES = ("weight", "bias", "scale")


def with_gradients():
    named = {name: Tensor(GOLDEN[f"start/{name}"], requires_grad=True) for name in NAMES}
    for name, x in named.items():
        x.grad = np.array(GOLDEN[f"gradient/{name}"][0])
        x.grad.flags.writeable = False
    return named


def tensor_with(gradient):
    x = Tensor(np.zeros(gradient.shape, gradient.dtype), requires_grad=True)
    x.grad = gradient
    return x


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_by_norm_equals_pytorch(max_norm):
    named = with_gradients()
    norm = clip_grad_norm_(named.values(), max_norm)
    assert norm == pytest.approx(float(GOLDEN[f"clip_norm/{max_norm}/norm"]), rel=1e-14)
    for name, x in named.items():
        np.testing.assert_allclose(x.grad, GOLDEN[f"clip_norm/{max_norm}/{name}"], rtol=1e-14)


def test_clip_by_value_equals_pytorch():
    named = with_gradients()
    clip_grad_value_(named.values(), 0.4)
    for name, x in named.items():
        np.testing.assert_array_equal(x.grad, GOLDEN[f"clip_value/{name}"])


def test_parameters_without_gradient_stay_without():
    x = Tensor([1.0], requires_grad=True)
    assert clip_grad_norm_([x], 1.0) == 0.0
    clip_grad_value_([x], 1.0)
    assert x.grad is None


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_the_norm_neither_overflows_nor_vanishes_in_float32(size):
    g = np.full(10_000, size, np.float32)
    with np.errstate(all="ignore"):
        assert gradient_norm([tensor_with(g)]) == pytest.approx(100 * size, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_norm_is_finite_only_if_every_element_is(value):
    g = np.ones(20_000, np.float32)
    g[12_345] = value
    assert not math.isfinite(gradient_norm([tensor_with(g)]))


def test_the_norm_of_many_elements_is_accurate():
    g = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    assert gradient_norm([tensor_with(g)]) == pytest.approx(float(np.linalg.norm(g.astype(np.float64))), rel=1e-7)
