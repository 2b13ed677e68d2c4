"""Optimizers against PyTorch's numbers; their blocks, packs and saved state."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.errors import CheckpointError, GradientError, UsageError
from dlscratch.optim import OPTIMIZERS, SGD, Adam, optimizers, packs

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "torch_optim.npz"))
CASES = json.loads(str(GOLDEN["cases"]))["optimizers"]
NAMES = ("weight", "bias", "scale")
EVERY_BUFFER = [(kind, options) for kind, options in CASES if options] + [("adam", {}), ("adagrad", {})]


def parameters(dtype="float64"):
    return {name: Tensor(GOLDEN[f"start/{name}"].astype(dtype), requires_grad=True) for name in NAMES}


def give_gradients(named, step, skip=False):
    for name, x in named.items():
        x.grad = np.array(GOLDEN[f"gradient/{name}"][step], x.dtype)
    if skip and step in (0, 7, 8):
        named["bias"].grad = None


def run(kind, options, dtype="float64", skip=False, steps=50):
    named = parameters(dtype)
    optimizer = OPTIMIZERS[kind](named, **options)
    for step in range(steps):
        give_gradients(named, step, skip)
        optimizer.step()
    return named, optimizer


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 3e-6)])
@pytest.mark.parametrize("index", range(len(CASES)))
def test_fifty_steps_equal_pytorch(index, dtype, tolerance, skip):
    kind, options = CASES[index]
    named, _ = run(kind, options, dtype, skip)
    for name, x in named.items():
        expected = GOLDEN[f"optimizer/{index}/{dtype}/{'skip' if skip else 'all'}/{name}"]
        np.testing.assert_allclose(x.data, expected, rtol=tolerance, atol=tolerance / 3)
        assert x.dtype == dtype


@pytest.mark.parametrize(("kind", "options"), EVERY_BUFFER)
@pytest.mark.parametrize(("small", "block"), [(0, 4), (100, 5), (6, 3)])
def test_blocks_and_packs_do_not_change_a_bit(kind, options, small, block, monkeypatch):
    expected, _ = run(kind, options)
    monkeypatch.setattr(packs, "SMALL", small)
    monkeypatch.setattr(packs, "BLOCK", block)
    monkeypatch.setattr(optimizers, "BLOCK", block)
    got, _ = run(kind, options)
    for name in NAMES:
        np.testing.assert_array_equal(got[name].data, expected[name].data)


@pytest.mark.parametrize(("kind", "options"), EVERY_BUFFER)
def test_saved_state_continues_bit_for_bit(kind, options):
    expected, straight = run(kind, options, skip=True)
    named, first = run(kind, options, skip=True, steps=20)
    state = {key: x.copy() for key, x in first.state_dict().items()}
    second = OPTIMIZERS[kind](named, **options)
    second.load_state_dict(state)
    for step in range(20, 50):
        give_gradients(named, step, skip=True)
        second.step()
    for name in NAMES:
        np.testing.assert_array_equal(named[name].data, expected[name].data)
    assert straight.state_dict().keys() == second.state_dict().keys()
    for key, x in straight.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[key], x)


def test_state_is_a_copy_named_by_buffer_and_parameter():
    named, optimizer = run("adam", {}, skip=True, steps=3)
    state = optimizer.state_dict()
    assert sorted(state) == sorted(["lr", "step", *(f"{b}/{n}" for b in ("gradient_sum", "square_sum") for n in NAMES)])
    assert state["step"].tolist() == [3, 2, 3]
    assert state["square_sum/weight"].shape == (4, 3)
    before = state["gradient_sum/weight"].copy()
    give_gradients(named, 3)
    optimizer.step()
    np.testing.assert_array_equal(state["gradient_sum/weight"], before)


def test_a_state_that_does_not_fit_names_every_entry_and_changes_nothing():
    _, optimizer = run("adam", {}, steps=3)
    before = optimizer.state_dict()
    wrong = {**before, "square_sum/bias": np.zeros((4,)), "surplus": np.zeros(1), "step": before["step"] + 7}
    del wrong["gradient_sum/scale"]
    with pytest.raises(CheckpointError) as error:
        optimizer.load_state_dict(wrong)
    parts = ("gradient_sum/scale: missing", "surplus: unexpected", "square_sum/bias: expected shape (3,) of float64")
    assert all(part in str(error.value) for part in parts)
    for key, x in optimizer.state_dict().items():
        np.testing.assert_array_equal(x, before[key])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_gradients_are_never_written(kind):
    named = parameters()
    optimizer = OPTIMIZERS[kind](named, lr=0.1, weight_decay=0.1)
    give_gradients(named, 1)
    for x in named.values():
        x.grad.flags.writeable = False
    optimizer.step()
    assert not np.array_equal(named["weight"].data, GOLDEN["start/weight"])


@pytest.mark.parametrize("size", [30_000, 300])
def test_a_parameter_in_fortran_order_is_updated(size):
    start = np.random.default_rng(0).standard_normal((size // 30, 30))
    straight, turned = Tensor(start.copy(), requires_grad=True), Tensor(np.asfortranarray(start), requires_grad=True)
    assert not turned.data.flags.c_contiguous
    for x in (straight, turned):
        optimizer = Adam([x], lr=0.1)
        for _ in range(3):
            x.grad = np.array(x.data) ** 2
            optimizer.step()
    np.testing.assert_array_equal(turned.data, straight.data)


def test_a_step_allocates_nothing_of_the_size_of_the_parameters():
    big = Tensor(np.ones(400_000, np.float32), requires_grad=True)
    small = [Tensor(np.ones(1000, np.float32), requires_grad=True) for _ in range(8)]
    optimizer = Adam([big, *small])
    for x in (big, *small):
        x.grad = np.ones_like(x.data)
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400_000  # at most a block, where BLAS cannot do it in place; the parameters take 1.6 MB


def test_the_update_is_seen_by_a_graph_that_needs_the_old_values():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    x.grad = np.ones(2, np.float32)
    SGD([x], lr=0.1).step()
    with pytest.raises(GradientError, match="changed in place"):
        y.backward()


def test_zero_grad_and_settable_rate():
    x = Tensor([1.0], requires_grad=True)
    optimizer = SGD([x], lr=0.1)
    optimizer.lr = 0.5
    x.grad = np.ones(1, np.float32)
    optimizer.step()
    assert x.item() == 0.5
    optimizer.zero_grad()
    assert x.grad is None
    optimizer.step()
    assert x.item() == 0.5


def test_a_tied_parameter_is_updated_once():
    x = Tensor([1.0], requires_grad=True)
    optimizer = SGD({"encoder": x, "decoder": x}, lr=0.5)
    x.grad = np.ones(1, np.float32)
    optimizer.step()
    assert x.item() == 0.5
    assert list(optimizer.parameters) == ["encoder"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [([], "got no parameters"), ([1.0], "parameter '0': expected a Tensor"), ([Tensor([1.0])], "requires_grad=True")],
)
def test_parameters_that_cannot_be_optimized_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        SGD(wrong)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(UsageError, match="nesterov needs momentum above 0"):
        SGD([Tensor([1.0], requires_grad=True)], nesterov=True)
