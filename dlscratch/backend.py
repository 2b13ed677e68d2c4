"""Array module, dtype, seeded generators and thread limits: the only place that knows about devices."""

from __future__ import annotations

import ctypes
import math
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import threadpoolctl

Array = npt.NDArray[Any]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of malloc.h
DEFAULT_DTYPE = np.dtype(np.float32)


def array_module(array: object) -> ModuleType:
    """The module that made an array: NumPy, or CuPy for an array on a GPU."""
    if type(array).__module__.partition(".")[0] == "cupy":
        import cupy  # type: ignore[import-not-found,unused-ignore]

        return cupy  # type: ignore[no-any-return,unused-ignore]
    return np


def as_array(value: object, dtype: npt.DTypeLike | None = None) -> Array:
    """A new array of `value`: float32 for Python numbers and lists, the array's own dtype for arrays."""
    if isinstance(value, np.ndarray | np.generic):
        return np.array(value, dtype=dtype)
    if array_module(value) is not np:
        return array_module(value).array(value, dtype=dtype)  # type: ignore[no-any-return]
    if dtype is None:
        array = np.asarray(value)
        dtype = DEFAULT_DTYPE if array.dtype.kind in "iuf" else array.dtype
    return np.array(value, dtype=dtype)


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A PCG64 generator for one purpose of one run: `generator(0, "init")` and `generator(0, "order", 3)` are
    independent streams, and adding a purpose never shifts the numbers of another.
    """
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in purpose]
    entropy: Any = [seed, *words]
    if all(isinstance(word, int) and 0 <= word < 2**32 for word in entropy):
        entropy = np.array(entropy, np.uint32)  # what NumPy makes of the list, more slowly
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The generator's state as plain numbers and text, fit for JSON."""
    return dict(rng.bit_generator.state)


def set_generator_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Continue a generator from `generator_state`."""
    rng.bit_generator.state = state


def cpu_count() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def limit_threads(threads: int | None, blas: int | None = None) -> Iterator[None]:
    """Inside, at most `threads` threads compute, our own and BLAS's (None: as many as there are processors).

    `blas` gives BLAS fewer: its idle threads go on spinning for a while, on cores that ours could use.
    """
    token = _threads.set(threads)
    try:
        with threadpoolctl.threadpool_limits(limits=blas or threads):
            yield
    finally:
        _threads.reset(token)


def thread_count() -> int:
    """How many threads may compute here."""
    return _threads.get() or cpu_count()


@contextmanager
def own_threads(threads: int) -> Iterator[None]:
    """Inside, `threads` of our own threads may compute; BLAS keeps its own."""
    token = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(token)


def keep_memory() -> None:
    """Let the C library (glibc) keep the memory that is freed, for the next step needs as much again.

    Otherwise it hands large arrays back to the system, which clears each page when it is touched first; at a batch of
    1,024 rows that takes a fifth of a step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, 2**30)
        mallopt(MMAP_THRESHOLD, 2**30) or mallopt(MMAP_THRESHOLD, 2**25)  # the most that some versions take


LINE = 64  # bytes of a cache's line: arithmetic on arrays that begin with one is up to twice as fast
_scratch = threading.local()


def scratch(name: str, shape: tuple[int, ...], like: Array) -> Array:
    """Memory for what nobody needs any more when the caller returns: of each name, the same at each call in a thread.

    Fresh memory costs as much as the work on it: the system clears each page when it is touched first.
    """
    kept: dict[str, Array] = _scratch.__dict__
    size, key = math.prod(shape), f"{name} {like.dtype.char}"
    if key not in kept or kept[key].size < size or type(kept[key]) is not type(like):
        kept[key] = _aligned(size, like)
    return kept[key][:size].reshape(shape)


def _aligned(size: int, like: Array) -> Array:
    """So many numbers like others, from the beginning of a line on."""
    spare = LINE // like.itemsize
    array = np.empty_like(like, shape=size + spare)
    start = -array.ctypes.data % LINE // like.itemsize if type(array) is np.ndarray else 0
    return array[start : start + size]


def strided(array: Array, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
    """The view of flat memory whose axes take so many elements a step: places may be seen more than once."""
    strides = tuple([step * array.itemsize for step in steps])
    if type(array) is np.ndarray:
        return np.ndarray(shape, array.dtype, array, 0, strides)
    return array_module(array).lib.stride_tricks.as_strided(array, shape, strides)  # type: ignore[no-any-return]


def read_only(array: Array) -> Array:
    """A view that refuses to be written through (CuPy has no such views: there it is the array itself)."""
    view = array.view()
    if isinstance(view, np.ndarray):
        view.flags.writeable = False
    return view
