"""Text for people: what comes from files made harmless, long names cut, counts and shapes written out."""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # controls, and what turns text around


def harmless(text: object) -> str:
    """Text as it may be shown: characters that nobody sees, which could steer a terminal, are written out."""
    return HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """The same on one line, for a cell of a table."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def cut(text: str, letters: int) -> str:
    """A text of at most so many letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def capital(text: str) -> str:
    """The text as a heading has it: `macro F1` -> `Macro F1`."""
    return text[:1].upper() + text[1:]


def counted(number: int, what: str) -> str:
    """`1 layer`, `1,280 parameters`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def figure(value: float, digits: int = 4) -> str:
    """A number with so many significant digits: 0.0003, 239.1, 26,980; very large and very small ones as 1e+12."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if 10 ** (digits - 1) <= abs(rounded) < 1e9 else f"{value:.{digits}g}"


def file_size(count: int) -> str:
    """`812 bytes`, `8.1 kB`, `7.3 MB`."""
    if count < 1000:
        return counted(count, "byte")
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def times(shape: Sequence[int]) -> str:
    """`16×28×28`; `1` for a single number."""
    return "×".join(map(str, shape)) or "1"
