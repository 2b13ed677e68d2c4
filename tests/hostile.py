"""Commands on files from a stranger: run in this process, within limits of time and memory, and judged by their end."""

from __future__ import annotations

import contextlib
import io
import re
import resource
import signal
import sys
import tracemalloc
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
LITTLE = 40_000_000  # bytes of objects that a refusal may take
LONGEST_LINE = 20_000  # of a message, whose control characters are written out
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
    assert not RAW.search(ending.err), ending.err[:LONGEST_LINE]
    if ending.code:
        assert ending.err.startswith("error: "), ending.err[:LONGEST_LINE]
        assert ending.out == ""
        assert max(map(len, ending.err.splitlines())) < LONGEST_LINE, ending.err[:LONGEST_LINE]


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Fails where more memory was taken for Python's and NumPy's objects than a refusal needs."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


def refused(code: int, *args: str | Path) -> str:
    """The message of a command that must refuse a file, and take little memory for it."""
    with little_memory():
        ending = command(*args)
    judge(ending, {code})
    assert ending.code == code, ending
    return ending.err.removeprefix("error: ")


def written(name: str, data: bytes | bytearray | str) -> Path:
    """A file in the current folder, or in one below it that is made."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def tried(examples: int, strategy: st.SearchStrategy[Any]) -> Callable[[Callable[[Any], None]], None]:
    """A decorator that calls a function with so many examples of a strategy, the same ones each time."""
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    options = settings(max_examples=examples, derandomize=True, **quiet)  # type: ignore[arg-type]
    return lambda function: options(given(strategy)(function))()


PIECES = st.sampled_from([
    *(b",", b";", b"|", b"\t", b'"', b"'", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"#", b"/", b"..", b"\\", b"="),
    *(b"NA", b"nan", b"NaN", b"inf", b"-inf", b"1e999", b"1e308", b"-1e308", b"5e-324", b"1_000", b"0x1F", b"007"),
    *(b"1,5", b"1.100,5", b"12/31/2020", b"?", b"null", b"True", b"9e9999", "é".encode(), "١٢".encode(), b"\x1b[2J"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1a", b"1" * 400, b"9" * 5000, b"x" * 9000, b'"' * 999),
    *(b"," * 700, b" " * 700, b"\n" * 3000, b"[" * 300, b"\0" * 4, b"\x01" * 4, b"\x7f" * 4, b"\x80" * 4, b"\xff" * 4),
])  # fmt: skip
ACTIONS = st.sampled_from(["replace", "insert", "delete", "copy", "flip", "cut"])
EDITS = st.lists(st.tuples(ACTIONS, st.integers(0, 10**6), st.integers(0, 60), PIECES), min_size=1, max_size=4)


def mutated(*good: bytes, head: int = 0) -> st.SearchStrategy[bytes]:
    """One of some files with one to four things changed; with `head` every second of them among the first bytes."""
    return st.builds(_edited, st.sampled_from(good), EDITS, st.just(head))


def _edited(data: bytes, edits: list[tuple[str, int, int, bytes]], head: int) -> bytes:
    for number, (action, at, size, piece) in enumerate(edits):
        at %= min(head, len(data)) if head and number % 2 == 0 and data else len(data) or 1
        if action == "flip":
            data = data[:at] + bytes(byte ^ 1 << size % 8 for byte in data[at : at + 1]) + data[at + 1 :]
        elif action == "cut":
            data = data[at:] if size % 3 == 0 else data[:at]
        else:
            new = {"delete": b"", "copy": data[at : at + size] * 2}.get(action, piece)
            data = data[:at] + new + data[at if action == "insert" else at + size :]
    return data
