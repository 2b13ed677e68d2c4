"""Shards give what whole batches give, and the same bits for any number of threads."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

from dlscratch import backend, nn, optim
from dlscratch.autograd import Tensor, no_grad, sharding
from dlscratch.crew import side_by_side
from dlscratch.nn.functional import convolution, normalization

CONV = {"kernel_size": 3, "padding": 1}
NETWORK = [
    {"conv2d": {"out_channels": 4, **CONV}},
    "relu",
    {"residual": [{"conv2d": {"out_channels": 4, **CONV}}, "batch_norm2d", "relu"]},
    {"max_pool2d": {"kernel_size": 2}},
    {"conv2d": {"out_channels": 6, "kernel_size": 3, "stride": 2}},
    "flatten",
    {"linear": {"out_features": 3}},
]


def gradients(batch: int = 13, dtype: str = "float64") -> dict[str, np.ndarray]:
    """The output and all gradients of a step, dx among them."""
    rng = np.random.default_rng(0)
    model = nn.Sequential.from_architecture(NETWORK, (2, 9, 8), dtype=dtype)
    x = Tensor(rng.standard_normal((batch, 2, 9, 8)), requires_grad=True, dtype=dtype)
    y = model(x, training=True)
    nn.CrossEntropyLoss()(y, rng.integers(0, 3, batch)).backward()
    return {"y": y.numpy(), "dx": x.grad, **{name: p.grad for name, p in model.named_parameters().items()}}


@pytest.mark.parametrize("cached", [1, 500, 5000])
def test_shards_give_what_the_whole_batch_gives(monkeypatch, cached):
    whole = gradients()
    monkeypatch.setattr(sharding, "CACHED", cached)
    for name, array in gradients().items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_shards_of_a_batch_are_even_and_follow_each_other(monkeypatch):
    monkeypatch.setattr(sharding, "CACHED", 100)
    for examples in (1, 2, 7, 64, 1000):
        for numbers in (1, 30, 250):
            shards = sharding.shards_of(examples, numbers)
            sizes = [shard.stop - shard.start for shard in shards]
            assert np.concatenate([np.arange(examples)[shard] for shard in shards]).tolist() == list(range(examples))
            assert max(sizes) - min(sizes) <= 1
            assert max(sizes) == 1 or max(sizes) * numbers <= 100 + numbers


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, threads):
    monkeypatch.setattr(sharding, "CACHED", 300)
    monkeypatch.setattr(convolution, "SHARED", 0)
    monkeypatch.setattr(normalization, "SHARED", 0)
    with backend.limit_threads(1):
        one = gradients(40, "float32")
    for _ in range(3):
        with backend.limit_threads(threads):
            several = gradients(40, "float32")
        for name, array in several.items():
            np.testing.assert_array_equal(array, one[name], err_msg=name)


@pytest.mark.parametrize("outputs", [1, 10])
@pytest.mark.parametrize("batch", [1, 16, 65, 1000])
def test_a_wide_network_gives_the_same_bits_for_any_number_of_blas_threads(batch, outputs):
    """784 = 24 · 32 + 16 inputs: OpenBLAS alone cuts this sum at another place for two threads than for one."""

    def trained(threads: int) -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, outputs), input_shape=784)
        optimizer = optim.Adam(model.named_parameters())
        with backend.limit_threads(threads):
            for _ in range(2):
                optimizer.zero_grad()
                y = model(rng.standard_normal((batch, 784), np.float32), training=True)
                nn.MSELoss()(y, rng.standard_normal((batch, outputs), np.float32)).backward()
                optimizer.step()
        return [p.numpy() for p in model.parameters()]

    one = trained(1)
    for threads in (2, 3, 4):
        for ours, theirs in zip(trained(threads), one, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_no_grad_reaches_the_threads():
    seen: dict[int, bool] = {}
    both = threading.Barrier(2, timeout=60)

    def job() -> None:
        both.wait()  # so that no thread does both
        seen[threading.get_ident()] = (Tensor(np.ones(3), requires_grad=True) * 2).requires_grad

    with no_grad(), backend.limit_threads(2):
        side_by_side([job, job])
    assert list(seen.values()) == [False, False]


def test_the_first_error_of_a_job_is_raised_and_the_crew_works_on():
    def fail() -> None:
        raise ValueError("this one")

    with backend.limit_threads(2):
        for _ in range(3):
            with pytest.raises(ValueError, match="this one"):
                side_by_side([fail, fail])
            done: list[int] = []
            side_by_side([partial(done.append, number) for number in range(10)])
            assert sorted(done) == list(range(10))


def test_after_an_interrupt_no_call_returns_before_its_last_job():
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def job() -> None:
        time.sleep(0 if threading.current_thread() is threading.main_thread() else 0.3)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with backend.limit_threads(2):
            signal.setitimer(signal.ITIMER_REAL, 0.1)  # while this thread waits for the other
            with pytest.raises(KeyboardInterrupt):
                side_by_side([job] * 8)
            for _ in range(4):
                done: list[int] = []
                side_by_side([partial(_later, done, number) for number in range(5)])
                assert sorted(done) == list(range(5))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _later(done: list[int], number: int) -> None:
    time.sleep(0.02)
    done.append(number)


def test_jobs_may_have_jobs_of_their_own():
    done: list[tuple[int, int]] = []

    def job(outer: int) -> None:
        side_by_side([partial(done.append, (outer, inner)) for inner in range(3)])

    with backend.limit_threads(2):
        side_by_side([partial(job, outer) for outer in range(4)])
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(3)]


def test_blas_has_one_thread_in_a_job_and_its_threads_back_afterwards():
    from dlscratch import blas

    if blas.library() is None:
        pytest.skip("threadpoolctl knows no BLAS here")
    seen: list[int] = []
    with backend.limit_threads(2):
        side_by_side([lambda: seen.append(blas.library().num_threads)] * 3)
        assert blas.library().num_threads == 2
    assert seen == [1, 1, 1]
