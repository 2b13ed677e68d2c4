"""A finding: what one check saw, whether that is well, and what to do if it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "bad", "skipped"]

MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """The verdict of one check; `number` is what it measured, `meaning` says it in words, `advice` is for not well."""

    check: str
    verdict: Verdict
    number: float | None
    meaning: str
    advice: str = ""


def skipped(check: str, why: str) -> Finding:
    """The finding of a check that has nothing to look at."""
    return Finding(check, "skipped", None, why)


def graded(value: float, warning: float, bad: float) -> Verdict:
    """The verdict on a value that should be low; NaN is bad."""
    return "ok" if value < warning else "warning" if value < bad else "bad"


def some(names: Sequence[str]) -> str:
    """`a, b, c, d, e and 7 more`."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
