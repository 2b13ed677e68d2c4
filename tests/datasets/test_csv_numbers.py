"""Cells of a CSV by NumPy: each number is what Python's float reads, to the last bit, or it is marked as odd."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import Categories, CsvReader
from dlscratch.datasets.csv_lines import Lines
from dlscratch.datasets.csv_numbers import PlainRows, cut, plain_rows

ODD = ["", "-", ".", "-.", "+1", " 1", "1 ", "1e5", "1E-3", "nan", "inf", "1_0", "1.2.3", "--1", "1-", "abc", "é", "１"]
PLAIN = ["0", "-0", "-0.0", "1.", ".5", "-.25", "007", "0.1", "1234567.1234567", "9" * 15, "0.30000000000000004"]
digits = st.text("0123456789", min_size=1, max_size=19)


def read(cells: list[str]) -> PlainRows:
    rows = parse("".join(f"{cell},x\n" for cell in cells))
    assert rows is not None
    return rows


def parse(text: str, delimiter: str = ",") -> PlainRows | None:
    cells = cut(Lines.of(text), delimiter, 2)
    return None if cells is None else plain_rows(cells, 2)


def check(cells: list[str]) -> int:
    """How many of the cells were numbers; each of these must be what float makes of it, zeros with their sign."""
    rows = read(cells)
    plain = np.flatnonzero(~rows.odd[:, 0])
    expected = np.array([float(cells[row]) for row in plain])
    np.testing.assert_array_equal(rows.values[plain, 0].view(np.int64), expected.view(np.int64))
    assert rows.cells(0) == cells
    return len(plain)


@given(st.lists(st.tuples(st.booleans(), digits, st.just("") | digits), min_size=1, max_size=50))
def test_any_digits(parts: list[tuple[bool, str, str]]) -> None:
    check(["-" * negative + whole + "." * bool(decimals) + decimals for negative, whole, decimals in parts])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_shortest_texts_of_floats(values: list[float]) -> None:
    check(list(map(repr, values)))


def middles(count: int, seed: int) -> list[str]:
    """Decimals of up to 18 digits next to the middle of two floats: the hardest to round."""
    rng = np.random.default_rng(seed)
    found = []
    for x in (10.0 ** rng.uniform(-4, 15, count)).tolist():
        middle = (Fraction(x) + Fraction(float(np.nextafter(x, np.inf)))) / 2
        text = f"{Decimal(middle.numerator) / Decimal(middle.denominator):.25f}"
        for length in (17, 18):
            whole, _, decimals = text.partition(".")
            kept = decimals[: max(0, length - len(whole.lstrip("0")))]
            found += [f"{whole}.{kept}", f"{whole}.{kept[:-1]}{(int(kept[-1:] or 0) + 1) % 10}"]
    return found


def test_decimals_next_to_the_middle_of_two_floats() -> None:
    cells = middles(2000, seed=0)
    assert check(cells) > 0.9 * len(cells)


def test_ties() -> None:
    check([f"{2**52 + n}.5" for n in range(200)] + [f"{2**51 + n}.{part}" for n in range(200) for part in ("25", "75")])


def test_numbers_below_a_power_of_two() -> None:
    """There the units are half as large as above it."""
    powers = [2.0**exponent for exponent in range(-10, 45)]
    shares = [Fraction(share, 10) for share in range(1, 15)]
    exact = [Fraction(x) - Fraction(x) * share / 2**53 for x in powers for share in shares]
    texts = [f"{Decimal(value.numerator) / Decimal(value.denominator):.28f}" for value in exact]
    check([text[:19] for text in texts])  # 18 digits


def test_what_is_odd() -> None:
    rows = read([*ODD, *PLAIN, "9" * 18, "0." + "1" * 23])
    assert rows.odd[:, 0].tolist() == [*(True for _ in ODD), *(False for _ in PLAIN), True, True]
    assert rows.cells(0, np.array([1, 2])) == ["-", "."]
    check(PLAIN)


@pytest.mark.parametrize("place", range(24))
@pytest.mark.parametrize("length", [24, 256 + 4, 65536 + 4])
def test_what_is_odd_in_long_cells(length: int, place: int) -> None:
    """A letter at each place before the end, and cells whose length is short again in one or two bytes."""
    digits = "9" * (length - 24) + "0" * 12 + "9" * 12
    assert read([digits]).odd[0, 0] == (length > 24)
    assert read([f"{digits[: length - place - 1]}x{digits[length - place :]}"]).odd[0, 0]


@pytest.mark.parametrize("wrong", ["x", ":", "/", " ", "é"])
def test_what_is_odd_at_any_place(wrong: str) -> None:
    cell = "12.3456789012345678"
    cells = [cell[:place] + wrong + cell[place + 1 :] for place in range(len(cell)) if cell[place] != "."]
    assert read(cells).odd[:, 0].all()
    assert check([cell]) == 1


def test_few_odd_cells_are_settled_as_python_reads_them() -> None:
    rows = read([*PLAIN, *PLAIN, "1e-05", "1_0", "abc", " 7 "])
    rows.odd[:, 1] = False
    rows.settle()
    assert rows.values[[-4, -1], 0].tolist() == [1e-05, 7]
    assert rows.odd[:, 0].tolist() == [*(False for _ in PLAIN * 2), False, True, True, False]


def test_most_numbers_are_not_odd() -> None:
    values = np.random.default_rng(0).standard_normal(5000).tolist()
    assert check(list(map(repr, values))) > 4950
    assert check([f"{x:.6g}" for x in values]) > 4950
    assert check([str(int(1e9 * x)) for x in values]) == 5000


@pytest.mark.parametrize(
    "text", ['1,"2"\n', "1,2\n3\n", "1,2\n\n3,4\n", "1,2,3\n", "1,2\r3,4\n", "1\n2,3,4\n", "1,2\n3,4,5\n6\n"]
)
def test_rows_that_are_not_plain(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
def test_line_ends_and_delimiters(delimiter: str, newline: str, end: str) -> None:
    lines = [delimiter.join(cells) for cells in (["1.5", "-2"], ["é", "3"])]
    rows = parse(newline.join(lines) + (newline if end else ""), delimiter)
    assert rows is not None
    assert rows.odd.tolist() == [[False, False], [True, False]]
    assert rows.values[:, 1].tolist() == [-2, 3]
    assert rows.cells(0) == ["1.5", "é"]


def test_quotes_change_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{x!r},{n},{'' if n % 9 == 0 else n},word {n % 7} ü,{x:.3e}" for n, x in enumerate(rng.normal(size=6000))]
    (tmp_path / "plain.csv").write_text("a,b,c,d,e\n" + "\n".join(lines))
    quoted_lines = [f'"{first}",{rest}' for first, rest in (line.split(",", 1) for line in lines)]
    (tmp_path / "quoted.csv").write_text('"a",b,c,d,e\n' + "\n".join(quoted_lines))
    plain, quoted = (CsvReader(str(tmp_path / name)).read() for name in ("plain.csv", "quoted.csv"))
    assert plain.columns.keys() == quoted.columns.keys()
    for name, column in plain.columns.items():
        other = quoted.columns[name]
        if isinstance(column, Categories):
            assert isinstance(other, Categories)
            assert column.names == other.names
            column, other = column.codes, other.codes
        np.testing.assert_array_equal(column, other)
    assert np.isnan(plain.columns["c"]).sum() == 667
