"""Word vectors small enough to travel in a page, and the neighbours that rounding would put in another order.

A row is divided by its largest number and rounded to signed whole numbers of 8 to 24 bits, as many as fit: cosines need
its direction alone. The codes, plus 2ᵇⁱᵗˢ⁻¹, stand one after the other without gaps, the highest bit first, in
base64. For the words whose nearest neighbours differ after rounding, the right ones are listed beside the codes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.projection import units

LETTERS = 6_600_000  # of base64 for all vectors of a page: 30,000 words of 100 numbers at 13 bits
FEWEST_BITS, MOST_BITS = 8, 24
ROWS_AT_ONCE = 512
NEIGHBOURS = 10
CANDIDATES = 32

Share = Callable[[float], None]


class Packed(NamedTuple):
    """Codes (V, D), their bits, and rows (C, 11): a word and its neighbours, where the codes alone would err."""

    codes: Array
    bits: int
    corrections: Array

    def document(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {
            "dim": self.codes.shape[1],
            "bits": self.bits,
            "codes": base64_text(pack_bits(self.codes + (1 << (self.bits - 1)), self.bits)),
            "listed": self.corrections.shape[1] - 1,
            "corrections": base64_text(self.corrections.astype("<u2")),
        }


def pack(vectors: Array, letters: int = LETTERS, tell: Share = lambda share: None) -> Packed:
    """The vectors (V, D) in at most `letters` of base64, unless 8 bits need more."""
    bits = int(np.clip(letters * 6 // vectors.size, FEWEST_BITS, MOST_BITS))
    codes = quantise(vectors, bits)
    return Packed(codes, bits, _corrections(vectors, codes, tell))


def quantise(vectors: Array, bits: int) -> Array:
    """Each row as whole numbers from -(2ᵇⁱᵗˢ⁻¹ - 1) to 2ᵇⁱᵗˢ⁻¹ - 1."""
    largest = np.abs(vectors).max(axis=1, keepdims=True).astype(np.float64)
    scaled = vectors / np.where(largest == 0, 1.0, largest)
    return np.rint(scaled * ((1 << (bits - 1)) - 1)).astype(np.int32)


def pack_bits(codes: Array, bits: int) -> Array:
    """The lowest `bits` bits of every code, the highest first, as bytes; zeros fill the last."""
    shifts = np.arange(bits - 1, -1, -1)
    flat = codes.reshape(-1)
    step = 8 * ROWS_AT_ONCE  # a multiple of 8 codes ends with a whole byte
    parts = [np.packbits(flat[start : start + step, None] >> shifts & 1) for start in range(0, len(flat), step)]
    return np.concatenate(parts)


def base64_text(array: Array) -> str:
    """The array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _corrections(vectors: Array, codes: Array, tell: Share) -> Array:
    """The rows and their true neighbours, for which the codes give others or another order."""
    top = min(NEIGHBOURS, len(vectors) - 1)
    exact, rounded = units(vectors), units(codes)
    found = [np.empty((0, top + 1), np.intp)]
    for rows, candidates in _candidates(exact.astype(np.float32)):
        true = _order(exact, rows, candidates)[:, :top]
        wrong = (true != _order(rounded, rows, candidates)[:, :top]).any(axis=1)
        found.append(np.column_stack([rows[wrong], true[wrong]]))
        tell(float(rows[-1] + 1) / len(vectors))
    return np.concatenate(found)


def _order(unit: Array, rows: Array, candidates: Array) -> Array:
    """The candidates of each row from the greatest cosine on, equal ones in the order of the vocabulary."""
    cosines = np.einsum("rcd,rd->rc", unit[candidates], unit[rows])
    cosines[candidates == rows[:, None]] = -np.inf
    return np.take_along_axis(candidates, np.argsort(-cosines, axis=1, kind="stable"), axis=1)


def _candidates(unit: Array) -> Iterator[tuple[Array, Array]]:
    """Blocks of rows, and for each row those (sorted) whose float32 cosines with it are greatest, itself among them.

    The words are dealt into piles; the greatest cosines are in the piles whose best are greatest.
    """
    most = min(CANDIDATES + 1, len(unit))
    piles = max(most, len(unit) // CANDIDATES)
    deep = -(-len(unit) // piles)
    cosines = np.full((ROWS_AT_ONCE, piles * deep), -np.inf, np.float32)
    for start in range(0, len(unit), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(unit)))
        block = cosines[: len(rows)]
        np.matmul(unit[rows], unit.T, out=block[:, : len(unit)])
        best = block.reshape(len(rows), deep, piles).max(axis=1)
        chosen = np.argpartition(-best, most - 1, axis=1)[:, :most]
        members = (chosen[:, :, None] + piles * np.arange(deep)).reshape(len(rows), -1)
        greatest = np.argpartition(-np.take_along_axis(block, members, axis=1), most - 1, axis=1)[:, :most]
        yield rows, np.sort(np.take_along_axis(members, greatest, axis=1), axis=1)
