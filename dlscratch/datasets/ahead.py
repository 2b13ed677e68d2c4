"""A second thread that works on what the first hands it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

X = TypeVar("X")
Y = TypeVar("Y")
UNDER_WAY = 2  # items that the second thread has


def ahead(function: Callable[[X], Y], items: Iterable[X]) -> Iterator[Y]:
    """`map(function, items)`: while another thread computes it of one item, the caller makes the next, and uses the
    results before. An error of the function comes in the place of its result.
    """
    given: queue.SimpleQueue[X | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[list[Y], BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        while (item := given.get()) is not None:
            try:
                done.put(([function(item)], None))
            except BaseException as error:
                done.put(([], error))

    def result() -> Iterator[Y]:
        found, error = done.get()
        if error is not None:
            raise error
        yield from found

    threading.Thread(target=work, name="ahead", daemon=True).start()
    under_way = 0
    try:
        for item in items:
            given.put(item)
            under_way += 1
            if under_way > UNDER_WAY:
                under_way -= 1
                yield from result()
        for _ in range(under_way):
            yield from result()
    finally:
        given.put(None)
