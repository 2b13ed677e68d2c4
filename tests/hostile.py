"""Commands on files from a stranger: run in this process, within limits of time and memory, and judged by their end."""

from __future__ import annotations

import contextlib
import io
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlscratch.cli import app

SECONDS = 10.0  # of processor time that one case may take
MEMORY = 1 << 30  # bytes of address space that it may add
LONGEST_MESSAGE = 5000
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what could steer a terminal


class HangError(BaseException):
    """A case that took too long: no `except` of the program takes it for its own."""


@contextlib.contextmanager
def limits(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Within this, more time is a HangError and more memory a MemoryError."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

    def hang(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, hang)
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor: a busy machine is no failure
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.signal(signal.SIGPROF, before)


class Ending(NamedTuple):
    """How a command ended: its exit code, and what it wrote to stdout and, with its error, to stderr."""

    code: int
    out: str
    err: str


def command(*args: str | Path) -> Ending:
    """A command as the process would run it, within limits; whatever would be a traceback comes through."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["dlscratch", *map(str, args)])
        with limits():
            code = app._exit_code()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Ending(code, *texts)


def judge(ending: Ending, codes: set[int]) -> None:
    """Fail unless the command succeeded, or refused with one of the codes and a message that is fit for a terminal."""
    assert ending.code in {0, *codes}, ending
    assert not RAW.search(ending.err), ending.err[:LONGEST_MESSAGE]
    if ending.code:
        assert ending.err.startswith("error: "), ending.err[:LONGEST_MESSAGE]
        assert ending.out == ""
        assert len(ending.err) < LONGEST_MESSAGE, ending.err[:LONGEST_MESSAGE]


@pytest.fixture(scope="module")
def peak() -> Iterator[None]:
    """Prints by how much the process's memory grew, for the long form's report."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"memory grew by {grown / 1024:.0f} MB at most")


def tried(examples: int, strategy: st.SearchStrategy[Any]) -> Callable[[Callable[[Any], None]], None]:
    """A decorator that calls a function with so many examples of a strategy, the same ones each time."""
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    options = settings(max_examples=examples, derandomize=True, **quiet)  # type: ignore[arg-type]
    return lambda function: options(given(strategy)(function))()
