"""Averages of gradients that stay 0 do not become denormal, and the others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.optim import SGD, Adam, AdamW, RMSprop

MAKERS = {
    "sgd": lambda p: SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: Adam(p),
    "adamw": lambda p: AdamW(p),
    "rmsprop": lambda p: RMSprop(p, momentum=0.9),
    "centered": lambda p: RMSprop(p, centered=True, alpha=0.9),
    "fast": lambda p: Adam(p, betas=(0.9, 0.9)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAKERS)
def test_nothing_that_fades_is_ever_denormal(name, dtype):
    p = Tensor(np.ones(6), requires_grad=True, dtype=dtype)
    optimizer, tiny = MAKERS[name]({"p": p}), np.finfo(dtype).tiny
    shown = {key for key in optimizer.state_dict() if key.startswith(("gradient", "momentum", "grad", "square"))}
    assert shown
    for step in range(1200 if dtype == "float32" else 7600):
        p.grad = np.array([0.5, 0, 0, 1e-3, 0, 0], dtype) if step == 0 else np.array([0, 0, 0, 0, 1e-3, -1], dtype)
        optimizer.step()
        if step % 7 == 0 or step > 1000:
            for key, x in optimizer.state_dict().items():
                assert key not in shown or not np.any((x != 0) & (np.abs(x) < tiny)), (step, key, x)
    for key in shown:
        fading = optimizer.state_dict()[key]
        assert not fading[:4].any() or (key.startswith("square") and name not in ("centered", "fast"))
        assert (fading[4:] != 0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_left_stays_as_it_is(dtype):
    p = Tensor(np.ones(3), requires_grad=True, dtype=dtype)
    optimizer, expected = SGD({"p": p}, lr=1e-3, momentum=0.9), np.zeros(3)
    for _ in range(64):
        p.grad = np.array([1, -1e-3, 0], dtype)
        optimizer.step()
        expected = 0.9 * expected + p.grad
    np.testing.assert_allclose(optimizer.state_dict()["momentum_buffer/p"], expected, rtol=2e-2)


def test_squares_are_kept_where_they_are_all_that_is_divided_by():
    p = Tensor(np.ones(1), requires_grad=True)
    optimizer = Adam({"p": p}, eps=0)
    for _ in range(64):
        p.grad = np.array([1e-16], np.float32)
        optimizer.step()
    assert np.isfinite(p.data).all()
    assert optimizer.state_dict()["square_sum/p"] > 0
