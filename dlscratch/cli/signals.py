"""Ctrl-C and SIGTERM: at once where nothing can be lost, after the step where a run must first be saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived; the command line ends with 143."""


class Stop:
    """What `stop_after_step` gives: `signal` becomes the number of the signal that arrived."""

    signal: int | None = None


def terminate_at_once() -> None:
    """From now on SIGTERM raises Terminated, as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _raise_terminated)


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def stop_after_step() -> Iterator[Stop]:
    """Inside, the first Ctrl-C or SIGTERM is only noted; a second one stops at once."""
    stop = Stop()
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        for each, handler in old.items():
            signal.signal(each, handler)

    for number in old:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
