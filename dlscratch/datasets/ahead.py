"""A second thread that works on what the first hands it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

X = TypeVar("X")
Y = TypeVar("Y")
UNDER_WAY = 2  # items that the second thread has


def ahead(function: Callable[[X], Y], items: Iterable[X]) -> Iterator[Y]:
    """`map(function, items)`: another thread computes it, while the caller makes the next items and uses results.

    An error of the function comes in the place of its result.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # which costs small files more than it saves them

    under_way: deque[Future[Y]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        for item in items:
            under_way.append(thread.submit(function, item))
            if len(under_way) > UNDER_WAY:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
