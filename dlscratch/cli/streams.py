"""Standard output and error as every command may use them: a reader who left is no error, a full disk is one."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from dlscratch.errors import OutputError


def guard() -> None:
    """Put guarded streams in the place of stdout and stderr."""
    sys.stdout = _guarded(sys.stdout, 1, "standard output")
    sys.stderr = _guarded(sys.stderr, 2, None)


class _Guarded(io.FileIO):
    """A stream that goes on in silence when nobody reads it any more, and complains once when it cannot be written."""

    def __init__(self, descriptor: int, called: str | None) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.called = called  # None: there is nowhere to complain

    def write(self, data: Any) -> int:
        """All of it counts as written once nobody reads; OutputError, the first time, where the disk is full."""
        try:
            return super().write(data)
        except OSError as error:
            called, self.called = self.called, None
            if called is None or isinstance(error, BrokenPipeError):
                return len(data)
            raise OutputError(f"{called}: cannot be written: {error.strerror}") from error


def _guarded(stream: TextIO | None, descriptor: int, called: str | None) -> TextIO:
    """The same stream, guarded; characters that its encoding lacks are written as \\u escapes."""
    if stream is None:  # closed by the parent
        return open(os.devnull, "w", encoding="utf-8")
    buffer = io.BufferedWriter(_Guarded(descriptor, called))
    at_once = stream.isatty() or called is None
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=at_once)
