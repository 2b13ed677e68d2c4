"""Single cells: numbers and names, from text and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def number(cell: str) -> float:
    """The float64 nearest to a cell; ValueError where it is text (`1_000` is: only Python reads it as a number)."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str) -> bool:
    """Whether a cell is a number."""
    try:
        number(cell)
    except ValueError:
        return False
    return True


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
