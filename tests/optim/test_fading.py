"""Velocities of weights whose gradient stays 0 do not become denormal, and the others stay as they are."""

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
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAKERS)
def test_nothing_of_a_velocity_is_ever_denormal(name, dtype):
    p = Tensor(np.ones(6), requires_grad=True, dtype=dtype)
    optimizer, tiny = MAKERS[name]({"p": p}), np.finfo(dtype).tiny
    velocities = ("gradient_sum", "momentum_buffer", "grad_avg")
    shown = {key for key in optimizer.state_dict() if key.split("/")[0] in velocities}
    assert shown
    for step in range(1200 if dtype == "float32" else 7600):
        p.grad = np.array([0.5, 0, 0, 1e-3, 0, 0], dtype) if step == 0 else np.array([0, 0, 0, 0, 1e-3, -1], dtype)
        optimizer.step()
        if step % 7 == 0 or step > 1000:
            for key, x in optimizer.state_dict().items():
                assert key not in shown or not np.any((x != 0) & (np.abs(x) < tiny)), (step, key, x)
    for key in shown:
        fading = optimizer.state_dict()[key]
        assert not fading[:4].any()
        assert (fading[4:] != 0).all()
