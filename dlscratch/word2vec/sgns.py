"""Skip-gram with negative sampling on blocks: the loss and its gradients, as three matrix products.

A block is T neighbouring words (centres) and M rows that they share: the words from `window` before the first to
`window` behind the last, then K noise words. With C (T×D) the centres' rows of the input table and R (M×D) the shared
rows of the output table, S = C Rᵀ scores every centre with every row, and

    loss = Σ w·log(1 + exp(−y·s))      y = +1 for words, −1 for noise words
    G    = ∂loss/∂S = w·(σ(S) − [y = 1]),    ∂loss/∂C = G R,    ∂loss/∂R = Gᵀ C

The weight w is 1 where a word lies in its centre's window, 0 where it does not, and n·negative/K for noise words, where
n is the number of words in the window: as much as if each pair had drawn its own. (Mikolov et al. 2013, equation 4;
noise shared by a block as in Ji et al. 2016. A noise word that is also in the window counts as both.)

How far a step may go. A pair's loss curves along its score by σ(1−σ), which vanishes where the score is large: a row
that trusts it leaps across the valley. But the parabola of Jaakkola and Jordan (2000) touches the loss at s and lies
above it everywhere, and curves by λ(s) = tanh(s/2) / 2s ≤ 1/4. So with R fixed, a centre's loss lies below a quadratic
whose curvature is at most h = Σ w·λ(s)·|r|² in any direction, and no step of up to 2/h along −gradient can raise it.
The same holds for a row of R with C fixed. (Both move at once, which the bound does not cover; tests drive it hard.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlscratch.autograd import op, sample
from dlscratch.backend import Array


class Block(NamedTuple):
    """How blocks are cut: T centres, window, K noise words, and how many noise words a pair stands for."""

    centres: int
    window: int
    noise: int
    negative: int

    @property
    def contexts(self) -> int:
        """The rows that are words of the text."""
        return self.centres + 2 * self.window

    @property
    def rows(self) -> int:
        """All shared rows: M."""
        return self.contexts + self.noise

    def code(self, left: Array, right: Array) -> Array:
        """A centre's row in `half_weights` from how many words it sees on either side; both are (blocks, T)."""
        reach = self.window + 1
        place = np.arange(self.centres, dtype=np.int32) * np.int32(reach * reach)
        return left * np.int32(reach) + right + place

    def half_weights(self) -> Array:
        """w/2 for each centre of a block (its place, words seen left, words seen right) and each row, float32.

        Halves, because σ(s) = (1 + tanh(s/2)) / 2.
        """
        place, left, right = np.ogrid[: self.centres, : self.window + 1, : self.window + 1]
        distance = np.arange(self.contexts) - self.window - place[..., None]
        near = (distance >= -left[..., None]) & (distance <= right[..., None]) & (distance != 0)
        noise = np.broadcast_to((left + right)[..., None] * (self.negative / self.noise), (*near.shape[:3], self.noise))
        table = np.concatenate([near, noise], axis=-1) / 2
        return table.reshape(-1, self.rows).astype(np.float32)

    def signs(self) -> Array:
        """y for each row: +1 for words, −1 for noise words."""
        return np.repeat(np.array([1, -1], np.float32), [self.contexts, self.noise])


class Gradients(NamedTuple):
    """∂loss/∂C (B, T, D) and ∂loss/∂R (B, M, D), and 2h for each of their rows."""

    C: Array
    R: Array
    h_c: Array
    h_r: Array

    @classmethod
    def empty(cls, *shape: int, rows: int, dim: int, dtype: npt.DTypeLike = np.float32) -> Gradients:
        """Room for them: `shape` is (B, T), `rows` is M."""
        blocks, centres = shape
        sizes = (blocks, centres, dim), (blocks, rows, dim), (blocks, centres), (blocks, rows)
        return cls(*(np.empty(size, dtype) for size in sizes))


def gradients(C: Array, R: Array, halves: Array, signs: Array, out: Gradients, S: Array, G: Array) -> None:
    """The gradients of blocks: C (B, T, D), R (B, M, D), w/2 and room for S and G (B, T, M), y (M)."""
    # C Rᵀ, half of it, as (R Cᵀ)ᵀ: BLAS takes twice as long for two small matrices that both lie in rows
    B, T, D = C.shape
    turned, product = out.C.reshape(B, D, T), G.reshape(B, -1, T)  # room that is needed later on
    np.copyto(turned, C.swapaxes(1, 2))
    np.matmul(R, turned, out=product)
    np.multiply(product.swapaxes(1, 2), 0.5, out=S)
    np.tanh(S, out=G)
    with np.errstate(invalid="ignore"):
        np.divide(G, S, out=S)  # 4λ, but 0/0 at 0,
    np.fmin(S, 1, out=S)  # where it is 1: fmin prefers a number to NaN
    S *= halves
    np.matmul(S, np.vecdot(R, R)[..., None], out=out.h_c[..., None])
    np.matmul(S.swapaxes(1, 2), np.vecdot(C, C)[..., None], out=out.h_r[..., None])
    G -= signs
    G *= halves
    np.matmul(G, R, out=out.C)
    np.matmul(G.swapaxes(1, 2), C, out=out.R)


def losses(C: Array, R: Array, halves: Array, signs: Array) -> Array:
    """The loss of each centre, (B, T)."""
    terms = np.logaddexp(0, -signs * (C @ R.swapaxes(-1, -2)))
    total: Array = np.vecdot(terms, 2 * halves)
    return total


SMALL = Block(centres=3, window=2, noise=2, negative=5)
_halves = SMALL.half_weights()[SMALL.code(np.array([[0, 1, 2], [1, 2, 1]]), np.array([[2, 1, 0], [0, 2, 1]]))]


@op(sample((2, 3, 4), (2, 9, 4), _halves, SMALL.signs()))
def sgns(C: Array, R: Array, halves: Array, signs: Array) -> Any:
    """The loss of blocks of skip-gram with negative sampling, summed: C (B, T, D), R (B, M, D), w/2 (B, T, M), y."""
    halves, signs = halves.astype(C.dtype), signs.astype(C.dtype)
    found = Gradients.empty(*C.shape[:2], rows=R.shape[1], dim=R.shape[2], dtype=C.dtype)
    gradients(C, R, halves, signs, found, np.empty_like(halves), np.empty_like(halves))
    return losses(C, R, halves, signs).sum(), lambda g: g * found.C, lambda g: g * found.R
