"""What was found in some data, as lines of text that are fit for a config's comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlscratch.config.findings import Found
from dlscratch.datasets.cells import number_name
from dlscratch.datasets.describe import ColumnSummary, describe
from dlscratch.datasets.tables import Table

MOST_LISTED = 40  # columns or classes
NAME_WIDTH = 40


def facts(found: Found) -> Iterator[str]:
    """The data in words: its size, its columns, its classes."""
    if isinstance(found.data, Table):
        yield f"{len(found.data):,} rows, {len(found.data.columns)} columns"
        yield ""
        yield from _columns(found.data, found.options.get("drop", ()))
    else:
        x = found.data.inputs
        shape = " x ".join(map(str, x.shape[1:])) or "one number"
        yield f"{len(x):,} examples of {shape}, {x.dtype}, {_span(float(x.min()), float(x.max()))}"
    if found.target.task == "classification":
        yield ""
        yield from _classes(found)


def _columns(table: Table, dropped: Sequence[str]) -> Iterator[str]:
    rows = [("column", "kind", "missing", "values")]
    for column in describe(table)[:MOST_LISTED]:
        kind = "text" if column.kind == "categorical" else "numbers"
        role = "target: " if column.name == table.target else "left out: " if column.name in dropped else ""
        rows.append((shown(column.name), kind, str(column.missing or ""), role + _values(column)))
    yield from _aligned(rows)
    if len(table.columns) > MOST_LISTED:
        yield f"… and {len(table.columns) - MOST_LISTED} more"


def _values(column: ColumnSummary) -> str:
    """`32.1 to 59.6, mean 43.9`, or `Biscoe, Dream and 1 more`."""
    if column.minimum is not None and column.maximum is not None:
        return f"{_span(column.minimum, column.maximum)}, mean {column.mean:.4g}"
    more = column.distinct - len(column.examples)
    return ", ".join(map(shown, column.examples)) + (f" and {more:,} more" if more else "")


def _classes(found: Found) -> Iterator[str]:
    counts = found.class_counts()
    rows = [("class", "rows"), *((shown(name), f"{count:,}") for name, count in list(counts.items())[:MOST_LISTED])]
    yield from _aligned(rows)
    if len(counts) > MOST_LISTED:
        yield f"… and {len(counts) - MOST_LISTED} more"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table as lines, with columns under each other."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    yield from ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _span(low: float, high: float) -> str:
    return f"{_figure(low)} to {_figure(high)}"


def _figure(value: float) -> str:
    return number_name(value) if value.is_integer() else f"{value:.4g}"


def shown(name: str) -> str:
    """A name in a comment: harmless and short."""
    text = safe(name)
    return text if len(text) <= NAME_WIDTH else text[: NAME_WIDTH - 1] + "…"


def safe(text: str) -> str:
    """Text that cannot end a comment or break YAML: whatever is not printable is written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
