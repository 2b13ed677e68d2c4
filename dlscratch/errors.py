"""Every error that dlscratch raises on purpose, and the exit code that the command line gives it.

    DlscratchError                 1   something went wrong inside
    ├── UsageError                 2   a wrong argument, option or call
    │   ├── ConfigError            2   a config file with one or more problems
    │   ├── ShapeError             2   arrays or layers that do not fit each other (also a ValueError)
    │   ├── GradientError          2   backward() where there is nothing to differentiate (also a RuntimeError)
    │   └── MissingExtraError      2   an optional package is not installed
    ├── DataError                  3   a CSV, IDX, NPZ or text file that cannot be used
    ├── DivergedError              4   NaN or Inf in the loss or a gradient; the weights are those before it
    ├── CheckpointError            5   a checkpoint or vectors file that is damaged, foreign or does not fit
    └── OutputError                6   a file could not be written (full disk, no permission); the old one is whole

An interrupted run ends with 130 (Ctrl-C) or 143 (SIGTERM), after its last checkpoint is safely written.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from typing import Any

MOST_COMPARED, LONGEST_COMPARED = 20_000, 200  # names, and characters of a name


class DlscratchError(Exception):
    """The root: whatever dlscratch raises on purpose can be caught with this."""

    exit_code = 1


class UsageError(DlscratchError):
    """A wrong argument, option or call."""

    exit_code = 2


class ConfigError(UsageError):
    """A config with problems: one line for each, as `file:line:column: dotted.path: what, and what to do`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ShapeError(UsageError, ValueError):
    """Arrays or layers whose shapes or types do not fit each other."""


class GradientError(UsageError, RuntimeError):
    """A gradient was asked for where there is none, or an array changed under a recorded graph."""


class MissingExtraError(UsageError, ImportError):
    """An optional package is needed; the message is the one line that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}; install it with: pip install 'dlscratch[{extra}]'")


class DataError(DlscratchError):
    """A data file that is missing, damaged, or does not hold what was expected."""

    exit_code = 3


class DivergedError(DlscratchError):
    """The loss or a gradient became NaN or infinite; training stopped before the update.

    `batch` holds the inputs and the targets of the step, where `fit` made it.
    """

    exit_code = 4
    batch: tuple[Any, Any] | None = None


class CheckpointError(DlscratchError):
    """A checkpoint or vectors file that is damaged, foreign, too new, or does not fit the model."""

    exit_code = 5


class OutputError(DlscratchError):
    """A file could not be written; what was there before is unchanged."""

    exit_code = 6


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most alike in `known`, upper or lower case; None where nothing is as alike as `cutoff`, 0 to 1.

    The time grows with the square of a name's length: what no person would have typed is not compared.
    """
    folded = {name.casefold(): name for name in itertools.islice(known, MOST_COMPARED) if len(name) <= LONGEST_COMPARED}
    if len(word) > LONGEST_COMPARED:
        return None
    close = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "closest"?`, or an empty string where nothing in `known` is close."""
    found = closest(word, known)
    return "" if found is None else f'; did you mean "{found}"?'
