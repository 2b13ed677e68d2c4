"""The second process: when there is one, what it is told, which errors it sends, and what its end means."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from processes import children, lives
from small_team import X, Y, alone, bits, network, records, shared

from dlscratch import backend, nn, team
from dlscratch.autograd import Tensor
from dlscratch.errors import ConfigError, DlscratchError, GradientError, ShapeError
from dlscratch.nn import parallel
from dlscratch.team import Memory, Team, both

pytestmark = pytest.mark.usefixtures("at_once")


# When there is one.


def test_there_is_one_while_fit_is_at_work() -> None:
    model = network()
    seen = [tuple(children()) for _ in records(model)]
    assert len(set(seen)) == 1
    assert len(seen[0]) == 1
    assert children() == []
    assert bits(model) == alone()


def test_there_is_none_for_little_work_and_for_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    with backend.limit_threads(2, blas=1), nn.data_parallel(model):
        model(X)
        assert children() == []
        monkeypatch.setattr(parallel, "LEAST", 4 * 2 * 9 * 36 * len(X) + 1)
        model(X, training=True)
        assert children() == []
        monkeypatch.setattr(parallel, "LEAST", 4 * 2 * 9 * 36 * len(X))
        model(X, training=True)
        assert len(children()) == 1


def test_it_has_ended_after_a_break_and_where_the_generator_is_dropped() -> None:
    for _ in records(network()):
        break
    assert children() == []
    under_way = records(network())
    next(under_way)
    assert len(children()) == 1
    del under_way
    assert children() == []


def test_it_has_ended_after_an_error_in_the_block() -> None:
    model = network()

    def fail(wrong: np.ndarray) -> None:
        with shared(model):
            nn.CrossEntropyLoss()(model(X, training=True), wrong)

    with pytest.raises(ShapeError):
        fail(Y[:3])
    assert children() == []
    assert model.partner is None


def test_it_has_ended_after_a_step_that_diverges() -> None:
    model = network()
    model[0].weights["weight"].data = np.full((4, 2, 3, 3), np.nan, np.float32)
    with pytest.raises(DlscratchError, match="loss nan"):
        next(records(model))
    assert children() == []


def test_its_memory_is_free_after_the_block() -> None:
    gc.disable()
    try:
        model = network()
        with shared(model):
            halves = weakref.ref(model.partner.halves)
            memory = weakref.ref(model.partner.halves._team)
        model.zero_grad()
        assert halves() is None
        assert memory() is None
    finally:
        gc.enable()


# Errors.


class Fails(nn.Layer):
    """A layer that fails in a half of the batch, or in both."""

    halves = True

    error: Any = None
    where: tuple[int, ...] = (1,)

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        member = team._member.get()
        if member is not None and member.index in self.where:
            raise self.error
        return x * 1


class PlainError(Exception):
    """One that is loaded as it is."""


class StubbornError(Exception):
    """One that pickle can write, but not read."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}, for {why}")


HOLDING = PlainError("a lock", threading.Lock())
ERRORS = [
    (ShapeError("this half"), ShapeError, "this half"),
    (ConfigError(["first", "second"]), DlscratchError, "ConfigError: first\nsecond"),  # would be loaded as another
    (MemoryError(), MemoryError, "^$"),
    (SystemExit(3), SystemExit, "3"),
    (PlainError("mine"), PlainError, "mine"),
    (StubbornError("no", "a reason"), DlscratchError, "StubbornError: no, for a reason"),
    (HOLDING, DlscratchError, "PlainError: .*a lock"),
    (PlainError("long" * 2**20), DlscratchError, "PlainError: longlong"),
]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("where", [(0,), (1,), (0, 1)])
def test_an_error_in_a_half_is_raised_here(where: tuple[int, ...], batch_norm: bool) -> None:
    """Also where the other half waits for numbers that will not come; and the next batch has a new process."""
    model = network(*([nn.BatchNorm2d()] if batch_norm else []), Fails(where=where), nn.BatchNorm2d(), nn.ReLU())
    failing = next(layer for layer in model if isinstance(layer, Fails))
    failing.error = ShapeError("this half")
    with backend.limit_threads(2, blas=1), nn.data_parallel(model):
        with pytest.raises(ShapeError, match="this half"):
            model(X, training=True)
        assert children() == []
        failing.where = ()
        model(X, training=True).sum().backward()
        assert len(children()) == 1


@pytest.mark.parametrize(("error", "kind", "text"), ERRORS, ids=lambda x: getattr(x, "__name__", ""))
def test_errors_of_any_kind(error: BaseException, kind: type[BaseException], text: str) -> None:
    model = network(Fails(error=error))
    with backend.limit_threads(2, blas=1), nn.data_parallel(model), pytest.raises(kind, match=text):
        model(X, training=True)


@contextmanager
def pair(serve: Callable[[Any], Any]) -> Iterator[Team]:
    """A team alone."""
    with backend.limit_threads(2, blas=1):
        made = Team(serve, Memory(Team.size() + 1000))
        try:
            yield made
        finally:
            made.dismiss()


def test_an_error_is_told_of_also_to_one_who_still_waits_for_what_came_before_it() -> None:
    def serve(request: Any) -> Any:
        both(np.ones(3))
        raise ShapeError("after the note")

    with pair(serve) as two:
        two.call("begin")
        two.here.post()  # what `both` does before it waits
        time.sleep(0.05)
        with pytest.raises(ShapeError, match="after the note"), two.half():
            two.here.wait()


def test_after_an_error_a_note_is_not_taken_for_a_call() -> None:
    def serve(request: Any) -> Any:
        raise ShapeError(f"asked for {request!r}")

    with pair(serve) as two:
        two.call("begin")
        time.sleep(0.05)
        two.here.post()
        time.sleep(0.05)
        with pytest.raises(ShapeError, match=r"^asked for 'begin'$"), two.half():
            two.here.wait()


def test_what_is_told_in_between_arrives_in_order_and_whole() -> None:
    sizes = [1, 3, 40_000, 2, 16_384, 16_385, 0, 5]

    def exchanged(sign: int) -> list[Any]:
        return [both(sign * np.arange(size, dtype=dtype)) for size in sizes for dtype in ("float32", "float64") if size]

    with pair(lambda request: [[x.sum() for x in found] for found in exchanged(request)]) as two:
        for _ in range(3):
            two.call(-1)
            with two.half():
                mine = exchanged(1)
            assert two.answer() == [[x.sum() for x in found] for found in mine]
            assert all((first == -second).all() for first, second in mine)


def test_a_call_that_was_broken_off_is_not_answered_by_the_next() -> None:
    with pair(lambda request: request) as two:
        two.call("first")
        two.half()
        assert two.answer() == "first"
        assert two.ready
        two.call("second")  # and here Ctrl-C, before anybody waits for it
        assert not two.ready


@pytest.mark.parametrize("layer", [nn.BatchNorm2d, nn.ReLU])
def test_ctrl_c_while_the_other_is_waited_for(layer: type[nn.Layer]) -> None:
    """In the middle of its half, and at the end: all goes on in the block, with the same bits."""
    model, expected = network(layer()), network(layer())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with shared(model) as pid:
        os.kill(pid, signal.SIGSTOP)
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with pytest.raises(KeyboardInterrupt):
                model(X, training=True)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert not lives(pid)
        model.zero_grad()
        y = model(X, training=True)
        y.sum().backward()
    for _ in range(3):  # the interrupted batch counts here, too
        expected.zero_grad()
        z = expected(X, training=True)
        z.sum().backward()
    np.testing.assert_array_equal(y.data, z.data)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(ours.grad, theirs.grad)


def test_a_fork_of_ones_own_has_nothing_to_do_with_it() -> None:
    """It would take this process's answers."""
    model = network()
    with shared(model) as pid:
        own = os.fork()
        if own == 0:
            model(X, training=True)
            os._exit(len(children()))  # one of its own
        assert os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]) == 1
        before = model(X, training=True)
        assert children() == [pid]
        before.sum().backward()


# Its end.


def test_killed_it_ends_the_training_with_advice_and_the_next_begins_anew() -> None:
    model = network()
    with shared(model) as pid:
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(DlscratchError, match=r"has ended \(killed\? out of memory\?\); train again with --resume"):
            model(X, training=True)
        model(X, training=True).sum().backward()
        [other] = children()
        assert other != pid


def test_killed_between_forward_and_backward() -> None:
    model = network()
    with shared(model) as pid:
        y = model(X, training=True).sum()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(DlscratchError, match="has ended"):
            y.backward()
        with pytest.raises(GradientError, match="after the second of them has ended"):
            y.backward()
