"""What a fully connected network is made of: linear, embedding, dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.blas import one_thread
from dlscratch.team import of_whole_batch

FEW_ROWS = 64  # up to here BLAS shares out W Xᵀ better among its threads than X Wᵀ, and the result may stay turned
WHOLE = 320  # terms of a sum that BLAS adds up in one go, on all processors; a longer sum it cuts in pieces
PIECES = 32  # of which a length must be a multiple, so that BLAS cuts it alike for any number of threads


@op(sample((5, 3), (4, 3), (4,)), sample((2, 3, 4), (5, 4)), sample((3,), (2, 3), (2,)), sample((70, 2), (3, 2), (3,)))
def linear(x: Array, weight: Array, bias: Array | None = None) -> Any:
    """x Wᵀ + b: x of shape (..., in), weight (out, in) and bias (out,), to (..., out).

    It is fastest with a weight in Fortran's order, which is also that of its gradient.
    """
    if x.shape[-1:] != weight.shape[1:] or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("expected x of shape (..., in), weight (out, in) and bias (out,)")
    X = _rows(x)
    few = len(X) <= FEW_ROWS
    dtype = np.promote_types(x.dtype, weight.dtype)
    Y = np.empty_like(x, dtype, "F" if few else "C", shape=(len(X), len(weight)))
    product(weight, X.T, out=Y.T) if few else product(X, weight.T, out=Y)
    if bias is not None:
        Y += bias

    def dx(g: Array) -> Array:
        G = _rows(g)
        d = product(weight.T, G.T).T if few else product(G, weight)
        return d if d.shape == x.shape else d.reshape(x.shape)

    def dweight(g: Array) -> Array:
        d = np.empty_like(weight, order="F")
        product(X.T, _rows(g), out=d.T)
        return d

    def db(g: Array) -> Array:
        G = _rows(g)
        twice = product(np.ones_like(G, shape=(2, len(G))), G)  # BLAS is three times as fast as sum(0)
        return np.array(twice[0])

    return Y if x.ndim == 2 else Y.reshape(*x.shape[:-1], len(weight)), dx, dweight, db


def _rows(x: Array) -> Array:
    """All leading axes of x in one, so that each product is one call of BLAS."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """a @ b of matrices in float32, with the same bits for any number of BLAS threads.

    OpenBLAS halves a long sum, or what is left of it, to even numbers on one thread and anywhere on several. So it
    gets a length that it cuts alike, and the rest, of fewer than 32 terms, is added after it. A product with a vector
    it would cut for each number of threads in another way.
    """
    if 1 in (a.shape[0], b.shape[1]):
        with one_thread():
            return np.matmul(a, b, out=out)
    terms = a.shape[1]
    rest = terms % PIECES
    if terms <= WHOLE or not rest:
        return np.matmul(a, b, out=out)
    total: Array = product(a[:, :-rest], b[:-rest], out)
    total += a[:, -rest:] @ b[-rest:]
    return total


@op(sample((5, 3), np.array([[0, 2, 2], [4, 0, 2]])), sample((5, 3), np.array(1)))
def embedding(weight: Array, indices: Array) -> Any:
    """The rows of weight (V, D) that integer indices of shape S name: S + (D,). Gradients of repeated rows add up."""
    indices = check_indices(indices, len(weight), "row of weight")

    def dweight(g: Array) -> Array:
        """Sorted by the row that they belong to, gradients add up a stretch at a time."""
        total = np.zeros_like(weight)
        if indices.size:
            order = np.argsort(indices, axis=None, kind="stable")
            named = indices.reshape(-1)[order]
            starts = np.flatnonzero(np.diff(named, prepend=-1))  # where each row's stretch begins
            total[named[starts]] = np.add.reduceat(g.reshape(-1, g.shape[-1])[order], starts, axis=0)
        return total

    return weight[indices], dweight


def check_indices(indices: Any, count: int, what: str) -> Any:
    """The indices themselves; ValueError unless they are integers from 0 to count − 1."""
    if indices.dtype.kind not in "iu":
        raise ValueError(f"expected integers that each name a {what}, got dtype {indices.dtype}")
    if not are_indices(indices, count):
        wrong = next(int(i) for i in indices.reshape(-1) if not 0 <= i < count)
        raise ValueError(f"index {wrong} names no {what}: there are {count}, from 0 to {count - 1}")
    return indices


def are_indices(x: Array, count: int) -> bool:
    """Whether all are integers from 0 to count − 1; read without a sign, one below 0 is larger than its dtype has."""
    if x.dtype.kind not in "iu":
        return False
    unsigned = x.view(x.dtype.str.replace("i", "u"))
    return not x.size or bool(np.maximum.reduce(unsigned, None) < min(count, np.iinfo(x.dtype).max + 1))


@op(sample((3, 4), p=0.4, rng=0))
def dropout(x: Array, *, p: float = 0.5, rng: np.random.Generator | int) -> Any:
    """x with each element set to 0 with probability p, and the others divided by 1 − p, so that the mean stays.

    p counts in steps of 1 / 65,536.

    `rng` is the generator that draws the mask (it moves on), or a seed. Call it in training only.
    """
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}; expected at least 0 and less than 1")
    kept = round((1 - p) * 65536)  # of 65,536: 16 random bits an element are enough, and twice as fast as 32
    shape, here = of_whole_batch(x.shape)
    mask = np.empty_like(x, bool)  # in the order of x's memory
    mask[...] = (_random16(np.random.default_rng(rng), shape) < kept)[here]
    scale = mask.astype(x.dtype)
    scale *= 65536 / max(kept, 1)
    return x * scale, lambda g: g * scale


def _random16(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of 16 bits: each that the generator draws is four of them."""
    count, bits = math.prod(shape), rng.bit_generator
    words = -(-count // 4)
    quick = isinstance(bits, np.random.PCG64)  # `integers` would give the same words in twice the time
    drawn = bits.random_raw(words) if quick else rng.integers(0, 2**64, words, np.uint64)
    return drawn.astype("<u8", copy=False).view("<u2")[:count].reshape(shape)
