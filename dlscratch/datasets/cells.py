"""Single cells: numbers and names, from text and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

Decimal = Literal[".", ","]

MOSTLY = 0.8  # a column with this share of numbers is taken for numbers with mistakes
COMMA = re.compile(r"\s*[+-]?\d+,\d+(e[+-]?\d+)?\s*", re.IGNORECASE)
THOUSANDS = {
    ".": re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?\s*"),
    ",": re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?\s*"),
}


def number(cell: str, decimal: Decimal = ".") -> float:
    """The float64 nearest to a cell; ValueError where it is text (`1_000` is: only Python reads it as a number).

    With a decimal comma, `1.5` is text: it may be meant as 1,5 or as fifteen hundred and more.
    """
    if "_" in cell or (decimal == "," and "." in cell):
        raise ValueError(cell)
    return float(cell.replace(",", ".") if decimal == "," else cell)


def is_number(cell: str, decimal: Decimal = ".") -> bool:
    """Whether a cell is a number."""
    try:
        number(cell, decimal)
    except ValueError:
        return False
    return True


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number such as `162,0`, whose comma cannot separate thousands."""
    return COMMA.fullmatch(cell) is not None and not has_thousands(cell)


def has_thousands(cell: str, decimal: Decimal = ".") -> bool:
    """Whether a cell looks like a number with thousands separators: `1,100`, or `1.100` beside decimal commas."""
    return THOUSANDS[decimal].fullmatch(cell) is not None


def decimal_of(columns: Iterable[Sequence[str]]) -> Decimal:
    """The decimal mark of some columns of cells: "," where one of them holds such numbers and hardly anything else."""
    for cells in columns:
        if any(map(has_decimal_comma, cells)):
            meant = [cell for cell in cells if any(map(str.isdigit, cell))]  # the others may stand for missing
            if sum(is_number(cell, ",") for cell in meant) >= MOSTLY * len(meant):
                return ","
    return "."


def number_name(value: float) -> str:
    """A number as text: `3` for 3.0, else the shortest text that reads back as the same number."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def quoted(names: Iterable[str], most: int = 20) -> str:
    """Names for a message: `"a", "b"`, and how many more there are than `most`."""
    listed = [f'"{name}"' for name in names]
    more = [f"and {len(listed) - most} more"] if len(listed) > most else []
    return ", ".join(listed[:most] + more) or "none"


def sort_names(names: Sequence[str]) -> list[str]:
    """Category names in order: by value when all are numbers, else as text."""
    return sorted(names, key=lambda name: (number(name), name)) if all(map(is_number, names)) else sorted(names)
