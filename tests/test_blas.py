"""y ← a·x + b·y is what NumPy makes of it, whatever the library behind."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch import backend, blas


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("size", [1, 100, blas.LEAST, blas.LEAST + 7, 100_003])
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.9), (-0.01, 1.0), (0.3, 0.999)])
def test_axpby_is_ax_plus_by(dtype, size, a, b):
    rng = np.random.default_rng(size)
    x, y = rng.standard_normal((2, size)).astype(dtype)
    expected = a * x.astype(np.float64) + b * y.astype(np.float64)
    before = x.copy()
    blas.axpby(a, x, b, y)
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * np.finfo(dtype).eps * np.abs(expected).max())
    np.testing.assert_array_equal(x, before)
    assert y.dtype == dtype


def test_where_there_is_no_such_blas_numpy_computes_the_same_to_rounding(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 50_000), np.float32)
    fast, plain = y.copy(), y.copy()
    blas.axpby(-0.01, x, 0.9, fast)
    monkeypatch.setattr(blas, "_axpby", lambda dtype: None)
    blas.axpby(-0.01, x, 0.9, plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [20_011, 65_536])
def test_axpby_has_the_same_bits_for_any_number_of_threads(size):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, size), np.float32)
    results = []
    for threads in (1, 2, 3):
        with backend.limit_threads(threads):
            results.append(y.copy())
            blas.axpby(0.3, x, 0.9, results[-1])
    assert all(np.array_equal(results[0], other) for other in results)
