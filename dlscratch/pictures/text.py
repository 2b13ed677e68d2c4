"""Text for people: what comes from files made harmless, long names cut, counts and shapes written out."""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # controls, and what turns text around


def harmless(text: object) -> str:
    """Text as it may be shown: characters that nobody sees, which could steer a terminal, are written out."""
    return HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), str(text))


def cut(text: str, letters: int) -> str:
    """A text of at most so many letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def counted(number: int, what: str) -> str:
    """`1 layer`, `1,280 parameters`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def times(shape: Sequence[int]) -> str:
    """`16×28×28`; `1` for a single number."""
    return "×".join(map(str, shape)) or "1"
