"""A stopwatch that charges one place at any moment: what a Profile reads, and how any code gets a row in it.

    with timed_as("augmentation"):  # or as a decorator; where no profile is at work, nothing is counted
        ...
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

READING = "reading"  # rows that are told of by the rooms to the right
SAVING = "saving"


class Place(NamedTuple):
    """What time and bytes are charged to: a row of the profile, and one of its two sides."""

    row: str
    backward: bool = False


class Stopwatch:
    """Seconds and bytes by place; the seconds add up to all the time that has passed."""

    def __init__(self, place: Place) -> None:
        self.place, self.since = place, time.perf_counter()
        self.seconds: dict[Place, float] = defaultdict(float)
        self.bytes: dict[Place, int] = defaultdict(int)

    def turn(self, place: Place) -> Place:
        """From now on charge `place`; returns the one that was charged until now."""
        before, now = self.place, time.perf_counter()
        self.seconds[before] += now - self.since
        self.place, self.since = place, now
        return before

    def share(self, others: Iterable[Stopwatch]) -> None:
        """Charge the time since the last turn to the places of others, which ran meanwhile, in proportion to theirs."""
        others, now = list(others), time.perf_counter()
        total = sum(sum(other.seconds.values()) for other in others)
        for other in others:
            for place, seconds in other.seconds.items():
                self.seconds[place] += (now - self.since) * seconds / total
            for place, count in other.bytes.items():
                self.bytes[place] += count
        self.since = now


watching: ContextVar[Stopwatch | None] = ContextVar("watching", default=None)  # the stopwatch of this line of work


def timed(function: Callable[P, R], place: Place) -> Callable[P, R]:
    """The function, whose calls are charged to a place."""

    def call(*arguments: P.args, **options: P.kwargs) -> R:
        """The function's result; without a stopwatch nothing is charged."""
        watch = watching.get()
        if watch is None:
            return function(*arguments, **options)
        before = watch.turn(place)
        try:
            return function(*arguments, **options)
        finally:
            watch.turn(before)

    return call


@contextmanager
def timed_as(row: str) -> Iterator[None]:
    """Inside, the time is charged to a row of the profile that is at work, if one is."""
    watch = watching.get()
    if watch is None:
        yield
        return
    before = watch.turn(Place(row))
    try:
        yield
    finally:
        watch.turn(before)


@contextmanager
def undivided() -> Iterator[None]:
    """Inside, all time is charged to the place at hand."""
    token = watching.set(None)
    try:
        yield
    finally:
        watching.reset(token)
