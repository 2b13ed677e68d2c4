"""Rows of a CSV without quotes into float64, thousands of cells at once and each to the last bit: strtod in NumPy.

Eight characters are one 64-bit word, and three multiplications make of it the number that they spell (D. Lemire,
"Number parsing at a gigabyte per second", 2021). So a cell of up to 18 digits becomes an integer m and a number k of
decimals, and m / 10^k is rounded once. What else may stand in a cell (text, nothing, an exponent, more digits) is
marked as odd and left to Python.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array

FRONT = 32  # characters before the text, so that the words of its first cell begin inside the array
NEWLINE, DOT, MINUS = b"\n.-"
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
class PlainRows:
    """Rows of cells: where each stands in the text (FRONT more), its number, and whether it is odd: not just digits."""

    text: str
    starts: Array
    ends: Array
    values: Array
    odd: Array

    def __len__(self) -> int:
        return len(self.values)

    def cells(self, column: int, rows: Array | slice = slice(None)) -> list[str]:
        """The text of a column's cells."""
        starts, ends = (places[rows, column] - FRONT for places in (self.starts, self.ends))
        return [self.text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def plain_rows(text: str, delimiter: str, width: int) -> PlainRows | None:
    """The rows in whole lines of text; None where there are quotes, or a row that has not `width` cells."""
    text = text.replace("\r\n", "\n") if "\r" in text else text
    text = text if text.endswith("\n") else f"{text}\n"
    if '"' in text or "\r" in text or delimiter == "." or not delimiter.isascii():
        return None
    data = _characters(text)
    marks = np.flatnonzero((data == ord(delimiter)) | (data == NEWLINE) | (data == DOT))
    is_dot = data[marks] == DOT
    last = np.flatnonzero(~is_dot)  # of each cell, the mark that ends it
    ends = marks[last]
    breaks = data[ends] == NEWLINE
    if np.count_nonzero(breaks) * width != len(ends) or not breaks[width - 1 :: width].all():
        return None
    starts = np.empty_like(ends)
    starts[0] = FRONT
    np.add(ends[:-1], 1, out=starts[1:])
    if width == 1 and (starts == ends).any():
        return None  # a blank line is no row
    last -= 1
    decimals = (ends - marks[last]) * is_dot[last] - 1  # after the mark before, if this is a dot; else -1
    values, odd = _numbers(data, starts, ends, decimals)
    return PlainRows(text, *(each.reshape(-1, width) for each in (starts, ends, values, odd)))


def _characters(text: str) -> Array:
    """One byte for each character, "?" for those outside Latin-1, in whole words between other bytes."""
    parts = b"0" * FRONT, text.encode("latin-1", "replace"), b"0" * (-len(text) % 8)
    return np.frombuffer(b"".join(parts), np.uint8)


def _numbers(data: Array, starts: Array, ends: Array, decimals: Array) -> tuple[Array, Array]:
    """The number in each cell, and whether it is odd; `decimals`: digits after the dot, -1 where there is no dot."""
    negative = data[starts] == MINUS
    dotted = decimals >= 0
    digits = ends - starts - negative - dotted
    odd = (digits < 1) | (digits > MOST_DIGITS) | (decimals > MOST_DECIMALS)
    integers = _integers(data, ends, digits, np.where(dotted, decimals, MOST_DIGITS), odd)
    values = _quotients(integers.view(np.int64), np.maximum(decimals, 0), odd)
    values *= 1 - 2.0 * negative
    return values, odd


def _integers(data: Array, ends: Array, digits: Array, decimals: Array, odd: Array) -> Array:
    """The integer that the digits before each end make, without their dot; marks as odd what is more than 10^18."""
    total = _eight(_words(data, ends, decimals), digits, odd)
    for place in (8, 16):
        some = _rows(digits > place)
        if some is None:
            break
        marked = odd[some]
        more = _eight(_words(data, ends[some] - place, decimals[some] - place), digits[some] - place, marked)
        if place == 16:
            marked |= more > 99
        more *= Word(10**place)
        odd[some] = marked
        total[some] += more
    return total


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
    if decimals.min(initial=8) >= 8:
        return near
    far = near << Word(8)
    far |= data[ends - 9]
    after_dot = LAST.take(decimals, mode="clip")
    near &= after_dot
    far &= ~after_dot
    near |= far
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
