"""Ctrl-C and SIGTERM: at once where nothing can be lost, at the end of a block that must be whole.

Imports nothing that takes time: these are the first lines that run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interrupted(BaseException):
    """A signal arrived; the command line ends with 128 and its number."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(WORDS[signal.Signals(number)])


class Stop:
    """What `whole` gives: `signal` becomes the number of the signal that arrived."""

    signal: int | None = None


def leave_at_once() -> None:
    """From now on a signal ends the process, whatever it does: no exception that an import could swallow."""
    _handle(_leave)


def ignore() -> None:
    """From now on signals come too late: the work is done, and the interpreter is being taken down."""
    _handle(signal.SIG_IGN)


@contextmanager
def leaving(clean: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal cleans up and ends the process at once: for work that nothing is lost of."""

    def leave(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            clean()
        _leave(number, frame)

    with _handlers(leave):
        yield


@contextmanager
def whole() -> Iterator[Stop]:
    """Inside, the first signal is noted, and raised as Interrupted at the end; a second one is raised at once."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        _handle(_raise)

    with _handlers(note):
        yield stop
        if stop.signal is not None:
            raise Interrupted(stop.signal)


@contextmanager
def _handlers(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside, both signals have the handler; afterwards those that they had."""
    before = {number: signal.getsignal(number) for number in WORDS}
    _handle(handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Set the handler of both signals; one that the parent told us to ignore, as nohup does, stays ignored."""
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, f"{WORDS[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
