"""Named arrays against each other, bit by bit: which differ, by how much, and where first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array


@dataclass(frozen=True)
class Change:
    """An array that is not the same in a and in b; what cannot be said of it is None.

    `relative` is ‖a − b‖ / ‖a‖ and `largest` is max |a − b|, both in float64 and infinite where a number is not
    finite in one of the two; `elements` are those that differ; `index`, `a` and `b` are the first of them. Of arrays
    that cannot be compared by their elements, `a` and `b` are the types and shapes.
    """

    name: str
    what: str  # "values", or "float32 (3, 4) and float32 (3, 5)", "only in a"
    relative: float | None = None
    largest: float | None = None
    elements: int | None = None
    index: tuple[int, ...] | None = None
    a: bool | int | float | str | None = None
    b: bool | int | float | str | None = None

    @property
    def place(self) -> str:
        """The name with the index, `0.weight[3, 1]`."""
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name

    def __str__(self) -> str:
        """`0.weight[3, 1]: 0.5 and 0.25 (12 numbers differ, by up to 0.25)`."""
        if self.index is None:
            return f"{self.name}: {self.what}"
        amount = "one number differs" if self.elements == 1 else f"{self.elements:,} numbers differ"
        by = "" if self.largest is None else f", by up to {self.largest:.3g}"
        return f"{self.place}: {self.a} and {self.b} ({amount}{by})"


def changes(a: Mapping[str, Array], b: Mapping[str, Array]) -> list[Change]:
    """The arrays that differ in a bit, in a's order; those of b alone at the end."""
    found = [compare(name, x, b[name]) if name in b else Change(name, "only in a", a=_kind(x)) for name, x in a.items()]
    more = [Change(name, "only in b", b=_kind(x)) for name, x in b.items() if name not in a]
    return [each for each in found if each is not None] + more


def compare(name: str, a: Array, b: Array) -> Change | None:
    """What is different about b, or None if it has a's type, shape and bits."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return Change(name, f"{_kind(a)} and {_kind(b)}", a=_kind(a), b=_kind(b))
    if not a.nbytes:
        return None
    bits = [np.ascontiguousarray(x).reshape(-1).view(np.uint8).reshape(x.size, -1) for x in (a, b)]
    differs = (bits[0] != bits[1]).any(axis=1)
    if not differs.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), a.shape))
    relative, largest = _distance(a, b)
    return Change(name, "values", relative, largest, int(differs.sum()), index, _value(a[index]), _value(b[index]))


def _kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def _value(element: np.generic) -> bool | int | float | str:
    """An element as JSON can hold it."""
    value = element.item()
    return value if isinstance(value, bool | int | float | str) else repr(value)


def _distance(a: Array, b: Array) -> tuple[float | None, float | None]:
    """‖a − b‖ / ‖a‖ and max |a − b|; None for arrays that hold no numbers."""
    if a.dtype.kind not in "biuf":
        return None, None
    with np.errstate(all="ignore"):
        wide = a.astype(np.float64)
        difference = wide - b.astype(np.float64)
        if not np.isfinite(difference).all():
            return float("inf"), float("inf")
        norm, whole = float(np.linalg.norm(difference)), float(np.linalg.norm(wide))
        return (norm / whole if whole else float("inf") if norm else 0.0), float(np.abs(difference).max())
