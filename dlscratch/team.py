"""A team of two: this process, and a fork of it that computes the second half of a batch.

Threads of one Python process get in each other's way between NumPy's calls, processes do not. What both need lies in
memory that they share: the parameters, what goes in and comes out, and what they tell each other. They wait for each
other awake for a moment, and asleep after it. Where there is no fork, or one thread, one process does both halves, with
the same bits: what sums over a batch adds up each half by itself, wherever it runs (`sum_halves`).
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from dlscratch import backend, forked
from dlscratch.backend import Array
from dlscratch.errors import DlscratchError

AWAKE = 0.002  # seconds of waiting awake; to be woken takes up to a tenth of a millisecond
PATIENCE = 0.5  # seconds of sleep from one look to the next whether the other still lives
LOOKS = 10  # at a process that does not begin, until it is given up
NOTE = 2**16  # bytes of what is told in between
MESSAGE = 2**20  # bytes of a call or an answer, without its arrays

_member: ContextVar[Member | None] = ContextVar("member", default=None)
_of_a_half: ContextVar[bool] = ContextVar("of_a_half", default=False)


def members() -> int:
    """Over how many processes the batch at hand is spread: 1 or 2."""
    return 1 if _member.get() is None else 2


def halves(count: int) -> list[slice]:
    """Where sums over a batch (of examples, or of lines of them) are cut: an even number here, nothing in a half."""
    return [slice(0, count)] if count % 2 or is_half() else [slice(0, count // 2), slice(count // 2, count)]


def is_half() -> bool:
    """Whether what is here is (part of) one half of a batch."""
    return members() == 2 or _of_a_half.get()


@contextmanager
def part_of_half() -> Iterator[None]:
    """Inside, a part of one half is at hand."""
    token = _of_a_half.set(True)
    try:
        yield
    finally:
        _of_a_half.reset(token)


def sum_halves(found: Sequence[Any]) -> Any:
    """The sum over the parts of a batch: of each half's parts first, where all are here."""
    return sum(sum(half) for half in in_halves(found))


def in_halves(found: Sequence[Any]) -> list[Sequence[Any]]:
    """What was found for the parts of a batch, by halves."""
    return [found[half] for half in halves(len(found))]


def both(array: Array) -> list[Array]:
    """This array of a half, and the other half's, in their order; where a batch is whole, [array]."""
    member = _member.get()
    return [array] if member is None else member.exchange(array)


def of_whole_batch(shape: tuple[int, ...]) -> tuple[tuple[int, ...], slice]:
    """The shape of the whole batch's array, and which of its examples are here."""
    member = _member.get()
    if member is None:
        return shape, slice(None)
    n = shape[0]
    return (2 * n, *shape[1:]), slice(member.index * n, (member.index + 1) * n)


def may_help() -> bool:
    """Whether a second process may help here."""
    return sys.platform == "linux" and backend.thread_count() > 1 and not is_half()


class Memory:
    """Memory that stays common to this process and its forks."""

    def __init__(self, size: int) -> None:
        self._map, self._used = mmap.mmap(-1, size), 0

    def room(self, size: int) -> Array:
        """The next `size` bytes."""
        start = self._used
        self._used += -(-size // 64) * 64
        return np.frombuffer(self._map, np.uint8, size, start)


def placed(room: Array, like: Array) -> Array:
    """An array in some bytes, with the shape and dtype of another, whose axes lie in the same order in memory."""
    return np.ndarray(like.shape, like.dtype, room.data, strides=np.empty_like(like, subok=False).strides)


class Member:
    """One of the two, as it sees itself: `index` is 0 for this process and 1 for its fork."""

    def __init__(self, index: int, notes: list[list[Array]], post: Callable[[], Any], wait: Callable[[], None]) -> None:
        self.index, self.post, self.wait = index, post, wait
        self._notes = notes  # of each member two, used in turn: one may still be read when the next is written
        self._turn = 0

    def exchange(self, array: Array) -> list[Array]:
        """See `both`."""
        flat = np.ascontiguousarray(array).reshape(-1)
        pieces = [self._piece(flat[i : i + NOTE // flat.itemsize]) for i in range(0, flat.size, NOTE // flat.itemsize)]
        other = np.concatenate(pieces).reshape(array.shape)
        return [array, other] if self.index == 0 else [other, array]

    def _piece(self, mine: Array) -> Array:
        notes, self._turn = [each[self._turn] for each in self._notes], 1 - self._turn
        placed(notes[self.index], mine)[...] = mine
        self.post()
        self.wait()
        return placed(notes[1 - self.index], mine).copy()


class Team:
    """This process and a fork, in which `serve` answers what is called here. `memory` is what both have in common.

    A call and its answer are any objects that can be pickled; an error that `serve` raises is raised by `answer`.
    OSError: there can be no such process now.
    """

    def __init__(self, serve: Callable[[Any], Any], memory: Memory) -> None:
        import multiprocessing

        self._message, self._failed = memory.room(MESSAGE), memory.room(1)
        notes = [[memory.room(NOTE) for _ in range(2)] for _ in range(2)]
        fork = multiprocessing.get_context("fork")
        here, there = fork.Semaphore(0), fork.Semaphore(0)
        self.parent, self._asked = os.getpid(), False
        me = weakref.proxy(self)  # so that the memory is free when nobody holds the team any more
        self.here = Member(0, notes, there.release, lambda: me._wait(here))
        self._there = Member(1, notes, here.release, lambda: me._wait(there))
        threads = backend.thread_count()
        self._threads = threads - threads // 2, threads // 2
        self.pid = forked.fork(self._there.post, lambda: self._live(serve))
        self.dismiss = weakref.finalize(self, forked.end, self.pid, self.parent)
        try:
            self._await_birth(here)
        except BaseException:
            self.dismiss()
            raise

    def _await_birth(self, semaphore: Any) -> None:
        for _ in range(LOOKS):
            if semaphore.acquire(True, PATIENCE):
                return
            if forked.has_ended(self.pid):
                break
        raise ChildProcessError("the forked process has ended, or did not begin")

    @property
    def ready(self) -> bool:
        """Whether it can be called: it lives, is this process's, has its threads, and no call was broken off."""
        own = os.getpid() == self.parent and backend.thread_count() == sum(self._threads)
        return own and self.dismiss.alive and not self._asked

    @staticmethod
    def size() -> int:
        """Bytes that a team needs besides what its members share."""
        return MESSAGE + 4 * NOTE + 64

    def call(self, request: Any) -> None:
        """Let the other begin."""
        self._asked = True
        self._write(request)
        self.here.post()

    @contextmanager
    def half(self) -> Iterator[None]:
        """Inside, this process computes its half. An error ends the team: the other may wait for what will not come."""
        try:
            with _as(self.here, self._threads[0]):
                yield
        except BaseException:
            self.dismiss()
            raise

    def answer(self) -> Any:
        """What the other gives back."""
        try:
            self.here.wait()
        except BaseException:
            self.dismiss()
            raise
        answer, self._asked = self._read(), False
        return answer

    def _write(self, message: Any) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._message[: len(data)] = np.frombuffer(data, np.uint8)

    def _read(self) -> Any:
        return pickle.loads(self._message.data)

    def _wait(self, semaphore: Any) -> None:
        """Until the other has posted."""
        until = time.monotonic() + AWAKE
        while not semaphore.acquire(False):
            if time.monotonic() < until:
                os.sched_yield()
            elif semaphore.acquire(True, PATIENCE):
                break
            else:
                self._look()
        if self._failed[0] and os.getpid() == self.parent:
            self._failed[0] = 0
            self.dismiss()
            raise self._read()

    def _look(self) -> None:
        """Whether the other still lives."""
        if os.getpid() != self.parent:
            if os.getppid() != self.parent:
                os._exit(0)
        elif forked.has_ended(self.pid):
            self.dismiss.detach()
            raise DlscratchError(
                "the process that computes half of each batch has ended (killed? out of memory?); "
                "train again with --resume, or with training: threads: 1, which needs no second process"
            )

    def _live(self, serve: Callable[[Any], Any]) -> None:
        """The fork's life: it answers. After an error it waits for its end: what comes then is no call."""
        with np.errstate(all="ignore"):
            self._there.wait()
            while self._answers(serve):
                self._there.post()
                self._there.wait()
        self._there.post()
        while True:
            time.sleep(PATIENCE)
            self._look()

    def _answers(self, serve: Callable[[Any], Any]) -> bool:
        try:
            with _as(self._there, self._threads[1]):
                self._write(serve(self._read()))
            return True
        except BaseException as error:
            self._write(forked.portable(error, MESSAGE))
            self._failed[0] = 1  # last, for whoever still waits for a note sees it, too
            return False


@contextmanager
def _as(member: Member, threads: int) -> Iterator[None]:
    token = _member.set(member)
    try:
        with backend.own_threads(threads):
            yield
    finally:
        _member.reset(token)
