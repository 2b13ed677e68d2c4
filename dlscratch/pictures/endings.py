"""What a file is to hold, told by how its name ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlscratch.errors import UsageError


def ending_of(path: Path, known: Sequence[str]) -> str:
    """The ending of a name, in lower case, such as `.svg`. UsageError for one that is not known."""
    ending = path.suffix.lower()
    if ending not in known:
        listed = " or ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
        raise UsageError(f"{path}: expected a name that ends in {listed}")
    return ending
