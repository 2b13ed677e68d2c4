"""Threads that do the jobs of one step together, and one that works ahead.

Which thread does which job depends on timing; what a job computes must not. So each job writes to places of its own,
and reads nothing that another job of the same call writes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Job = Callable[[], Any]


class Crew:
    """`threads` threads, the caller's own among them, that share out the jobs of each `run`."""

    def __init__(self, threads: int) -> None:
        self._begin = [threading.Semaphore(0) for _ in range(threads - 1)]
        self._end = threading.Semaphore(0)
        self._jobs: Iterator[Job] | None = iter(())
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        for begin in self._begin:
            threading.Thread(target=self._serve, args=(begin,), name="word2vec", daemon=True).start()

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all the jobs, in any order, and return when the last is done; the first error is raised here."""
        self._jobs, self._error = iter(jobs), None
        for begin in self._begin:
            begin.release()
        self._work()
        for _ in self._begin:
            self._end.acquire()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException as error:
                self._error = self._error or error

    def _next(self) -> Job | None:
        with self._lock:
            return next(self._jobs, None) if self._jobs is not None and self._error is None else None

    def _serve(self, begin: threading.Semaphore) -> None:
        while begin.acquire() and self._jobs is not None:
            self._work()
            self._end.release()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._jobs = None
        for begin in self._begin:
            begin.release()


def prefetch(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items, made by another thread while the caller works; at most `depth` wait. Errors come through."""
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def make() -> None:
        last: tuple[T | None, BaseException | None] = (None, None)
        try:
            for item in items:
                waiting.put((item, None))
                if stopped.is_set():
                    return
        except BaseException as error:
            last = (None, error)
        waiting.put(last)

    thread = threading.Thread(target=make, name="word2vec prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                waiting.get(timeout=0.01)
            except queue.Empty:
                continue
