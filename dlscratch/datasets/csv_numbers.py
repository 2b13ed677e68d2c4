"""Rows of a CSV without quotes into float64, thousands of cells at once and each to the last bit: strtod in NumPy.

Eight characters are one 64-bit word, and three multiplications make of it the number that they spell (D. Lemire,
"Number parsing at a gigabyte per second", 2021). So a cell of up to 18 digits becomes an integer m and a number k of
decimals, and m / 10^k is rounded once. What else may stand in a cell (text, nothing, an exponent, more digits) is
marked as odd and left to Python.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.csv_lines import Lines

NEWLINE, RETURN, QUOTE, DOT, MINUS, ZERO = b'\n\r".-0'
MANY = np.int8(127)  # characters: so many or more
MOST_DIGITS, MOST_DECIMALS = 24, 22  # three words; and 10^22 is the last power of ten that float64 holds

Word = np.uint64
ZEROS, SIX, TOP = Word(0x3030303030303030), Word(0x7676767676767676), Word(0x8080808080808080)
STEPS = [  # digits to numbers of two, four and eight digits: ten (100, 10,000) times the first of two, and the second
    (Word((10**digits << 8 * digits) + 1), Word(8 * digits), Word(mask))
    for digits, mask in ((1, 0x00FF00FF00FF00FF), (2, 0x0000FFFF0000FFFF), (4, 0x00000000FFFFFFFF))
]
LAST = np.array([(1 << 64) - (1 << 8 * (8 - count)) for count in range(9)], Word)  # masks: the last 0 … 8 characters
TENS = 10.0 ** np.arange(MOST_DECIMALS + 1)
FIVES = 5 ** np.arange(MOST_DECIMALS + 1)


@dataclass(frozen=True)
class Cells:
    """Where the cells of some lines begin and end, row by row, and what they look like.

    Counts of characters are single bytes: eight times as many of them are added in one instruction.
    """

    lines: Lines
    starts: Array
    ends: Array
    negative: Array  # 1 or 0
    digits: Array  # all characters but a sign in front and a dot
    decimals: Array  # those after the dot; MANY where there is none


@dataclass(frozen=True)
class PlainRows:
    """Rows of cells: where each stands in the lines, its number, and whether it is odd: not just digits."""

    lines: Lines
    starts: Array
    ends: Array
    values: Array
    odd: Array

    def __len__(self) -> int:
        return len(self.values)

    def cells(self, column: int, rows: Array | slice = slice(None)) -> list[str]:
        """The text of a column's cells."""
        return self.lines.parts(self.starts[rows, column], self.ends[rows, column])

    def settle(self) -> None:
        """Let Python read the odd cells where they are few, such as 1e-05 among other numbers."""
        rows, columns = np.divmod(np.flatnonzero(self.odd), self.odd.shape[1])
        if len(rows) < len(self):
            cells = self.lines.parts(self.starts[rows, columns], self.ends[rows, columns])
            for row, column, cell in zip(rows.tolist(), columns.tolist(), cells, strict=True):
                if "_" not in cell:
                    with suppress(ValueError):
                        self.values[row, column] = float(cell)
                        self.odd[row, column] = False


def cut(lines: Lines, delimiter: str, width: int) -> Cells | None:
    """The cells of lines without quotes; None where there are quotes, or a row that has not `width` cells."""
    if np.count_nonzero(lines.data == RETURN):
        text = lines.text().replace("\r\n", "\n")
        if "\r" in text:
            return None
        lines = Lines.of(text)
    data = lines.data
    if np.count_nonzero(data == QUOTE) or delimiter == "." or not delimiter.isascii():
        return None
    marked = data == NEWLINE
    rows = np.count_nonzero(marked) - 1
    marked |= data == ord(delimiter)
    marked |= data == DOT
    marks = np.flatnonzero(marked)
    last = np.flatnonzero(data[marks] != DOT)  # of each cell, the mark that ends it; and one before the first
    bounds = marks[last]
    starts, ends = bounds[:-1] + 1, bounds[1:]
    if rows * width != len(ends) or (data[ends[width - 1 :: width]] != NEWLINE).any():
        return None
    if width == 1 and (starts == ends).any():
        return None  # a blank line is no row
    last -= 1
    length, decimals = _count(ends - starts), _count(ends - marks[last[1:]] - 1)
    negative = (data[starts] == MINUS).view(np.int8)
    dotted = decimals < length  # the mark before stands in the cell, and so it is a dot
    return Cells(lines, starts, ends, negative, length - negative - dotted, np.where(dotted, decimals, MANY))


def _count(characters: Array) -> Array:
    return np.minimum(characters, MANY).astype(np.int8)


def plain_rows(cells: Cells, width: int) -> PlainRows:
    """The numbers in cells, in rows of so many."""
    values, odd = _numbers(cells)
    starts, ends, values, odd = (each.reshape(-1, width) for each in (cells.starts, cells.ends, values, odd))
    return PlainRows(cells.lines, starts, ends, np.asfortranarray(values), odd)


def _numbers(cells: Cells) -> tuple[Array, Array]:
    """The number in each cell, and whether it is odd."""
    digits, decimals = cells.digits, cells.decimals
    divided = decimals * (decimals < MANY)
    odd = (digits < 1) | (digits > MOST_DIGITS) | (divided > MOST_DECIMALS)
    integers = _integers(cells.lines.data, cells.ends, digits, decimals, odd)
    values = _quotients(integers.view(np.int64), divided, odd)
    values *= 1 - 2 * cells.negative
    return values, odd


def _integers(data: Array, ends: Array, digits: Array, decimals: Array, odd: Array) -> Array:
    """The integer that the digits before each end make, without their dot; marks as odd what is more than 10^18."""
    total = _eight(_words(data, ends, decimals), digits, odd)
    for place, add in ((8, _add_eight), (16, _add_two), (18, _add_none)):
        some = _rows(digits > place)
        if some is None:
            break
        sums, marked = total[some], odd[some]
        add(sums, data, ends[some] - place, digits[some] - place, decimals[some] - place, marked)
        total[some], odd[some] = sums, marked
    return total


def _add_eight(total: Array, data: Array, ends: Array, digits: Array, decimals: Array, odd: Array) -> None:
    more = _eight(_words(data, ends, decimals), digits, odd)
    more *= Word(10**8)
    total += more


def _add_two(total: Array, data: Array, ends: Array, digits: Array, decimals: Array, odd: Array) -> None:
    """The last two digits of the third eight, the only ones that most long numbers have."""
    found = np.zeros(len(ends), np.uint8)
    for place in (2, 1):
        digit = data[ends - place - (decimals < place)] - ZERO
        digit *= digits >= place
        odd |= digit > 9
        found *= 10
        found += digit
    more = found.astype(Word)
    more *= Word(10**16)
    total += more


def _add_none(total: Array, data: Array, ends: Array, digits: Array, decimals: Array, odd: Array) -> None:
    """Only zeros may stand before 18 digits."""
    odd |= _eight(_words(data, ends, decimals), digits, odd) > 0


def _rows(chosen: Array) -> Array | slice | None:
    """Where a mask is true, to index with: all rows if they are most, as a view costs nothing; None for nowhere."""
    count = np.count_nonzero(chosen)
    return None if not count else slice(None) if count > 0.7 * len(chosen) else np.flatnonzero(chosen)


def _words(data: Array, ends: Array, decimals: Array) -> Array:
    """The eight characters before each end, the last one on top; the dot before the last `decimals` is left out."""
    words: Array = data.view("<u8")
    place = ends >> 3
    shift = ((ends & 7) << 3).view(Word)
    near: Array = words[place]
    near <<= Word(64) - shift
    place -= 1
    near |= words[place] >> shift
    some = _rows(decimals < 8)
    if some is not None:
        far = near[some] << Word(8)
        far |= data[ends[some] - 9]
        after_dot = LAST.take(decimals[some], mode="clip")
        far &= ~after_dot
        far |= near[some] & after_dot
        near[some] = far
    return near


def _eight(words: Array, digits: Array, odd: Array) -> Array:
    """The numbers in the last `digits` characters of each word, eight at most; marks as odd what is no digit there."""
    words ^= ZEROS
    words &= LAST.take(digits, mode="clip")
    odd |= ((words + SIX | words) & TOP).view(np.int64) != 0
    for factor, shift, mask in STEPS:
        words *= factor
        words >>= shift
        words &= mask
    return words


def _quotients(m: Array, k: Array, odd: Array) -> Array:
    """m / 10^k as float64, rounded once; marks as odd the few where that cannot be told.

    Below 2^53 both are exact, so that one division does it (W. Clinger, 1990). Else the quotient Q 2^e, with an integer
    Q, may be one unit off, and the rest m 2^-e-k - Q 5^k says so. Computed modulo 2^64 it is exact, for it is less than
    1.5 * 5^k. No quotient is in the middle of two numbers, since 5^k is odd.
    """
    quotient = m.astype(np.float64)
    quotient /= TENS.take(k, mode="clip")
    if m.max(initial=0) < 1 << 53:
        return quotient
    fraction, exponent = np.frexp(quotient)
    Q, five = (fraction * 2.0**53).astype(np.int64), FIVES.take(k, mode="clip")
    shift = 53 - exponent - k
    rest = (m << shift) - Q * five
    rest *= 2
    quotient.view(np.int64)[...] += (rest > five).view(np.int8) - (rest < -five).view(np.int8)
    if shift.min(initial=0) < 0:  # so many digits before the dot that m 2^-e-k is no integer
        odd |= shift < 0
    if (fraction == 0.5).any():
        odd |= (fraction == 0.5) & (rest < 0)  # below a power of two the units are smaller
    return quotient
