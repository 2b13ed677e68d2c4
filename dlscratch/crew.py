"""Threads that do the jobs of one step together.

Which thread does which job depends on timing; what a job computes must not. So each job writes to places of its own,
and reads nothing that another job of the same call writes. BLAS works on one thread in the meantime: the others are
busy, and so the bits of a product do not depend on how many there are.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dlscratch import blas
from dlscratch.backend import thread_count
from dlscratch.team import halves

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
            threading.Thread(target=self._serve, args=(begin,), name="crew", daemon=True).start()

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all the jobs, in any order, and return when the last is done; the first error is raised here.

        After an interrupt (Ctrl-C) between jobs some threads may still be at work: then only `dismiss` is left to do.
        """
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
        self.dismiss()

    def dismiss(self) -> None:
        """Let the threads end, each after the job that it is at."""
        self._jobs = None
        for begin in self._begin:
            begin.release()


_busy = threading.Lock()  # the threads of `side_by_side` serve one caller at a time


def side_by_side(jobs: Sequence[Job], together: bool = True) -> None:
    """Do all the jobs, each in the caller's context (no_grad): on as many threads as `limit_threads` allows, or on one,
    if not `together`.

    Jobs that call this again, and callers on other threads, do theirs one after the other. The first error is raised.
    """
    threads = min(thread_count(), len(jobs)) if together else 1
    with blas.one_thread():
        if threads > 1 and _busy.acquire(blocking=False):
            try:
                _share_out(jobs, _crew(threads, os.getpid()))
            finally:
                _busy.release()
        else:
            for job in jobs:
                job()


def even_parts(examples: int, numbers: int, most: int) -> list[slice]:
    """Even parts of a batch, at most about `most` numbers each; `numbers` is how many an example has.

    Each half of the batch is cut by itself, so that sums over the batch can be added up by halves, and two threads come
    to an end together.
    """
    parts = []
    for half in halves(examples):
        size = half.stop - half.start
        count = min(-(-size * numbers // most), size)
        ends = [half.start + size * i // max(count, 1) for i in range(count + 1)]
        parts += [slice(*pair) for pair in itertools.pairwise(ends)]
    return parts


def each_part(function: Callable[[slice], Any], parts: Sequence[slice], together: bool = True) -> list[Any]:
    """What the function gives for each part, in their order; the parts are computed side by side, if `together`.

    It does not pay for little work: to wake a thread would take longer than its share.
    """
    results: list[Any] = [None] * len(parts)

    def job(index: int) -> None:
        results[index] = function(parts[index])

    side_by_side([functools.partial(job, index) for index in range(len(parts))], together)
    return results


def _share_out(jobs: Sequence[Job], crew: Crew) -> None:
    context = contextvars.copy_context()
    try:
        crew.run([functools.partial(context.copy().run, job) for job in jobs])
    except BaseException:  # it may still be at work: the next call gets another
        crew.dismiss()
        _crew.cache_clear()
        raise


@functools.cache
def _crew(threads: int, process: int) -> Crew:
    """The threads, which wait from call to call; a forked process needs its own."""
    return Crew(threads)
