"""What NumPy's BLAS can do and NumPy has no name for: y ← a·x + b·y in one pass over memory, and its threads.

NumPy's own `y *= b; y += a * x` reads and writes memory three times and more. Where the library is not found, or is
not OpenBLAS, that is what happens.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import threadpoolctl

from dlscratch.backend import Array

NAMES = ("scipy_cblas_{}64_", "cblas_{}64_", "cblas_{}")  # in NumPy's wheels; with long integers; and elsewhere
LEAST = 4096  # elements from which on a call of BLAS pays
REALS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}  # BLAS's letter and C's type of NumPy's dtypes


@functools.cache
def library() -> Any:
    """threadpoolctl's controller of the BLAS that NumPy runs on; None if there is none that it knows.

    Other packages, such as SciPy, may have brought one of their own.
    """
    found = [each for each in threadpoolctl.ThreadpoolController().lib_controllers if each.user_api == "blas"]
    return next((each for each in found if "numpy" in each.filepath), found[0] if found else None)


def description() -> str:
    """The BLAS that NumPy runs on, e.g. `openblas 0.3.31 SkylakeX`."""
    found = library()
    if found is None:
        return "unknown"
    return f"{found.internal_api} {found.version} {getattr(found, 'architecture', '')}".strip()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, BLAS computes on one thread; this costs a microsecond, threadpoolctl's own context a hundred.

    It holds for the whole process: of two threads that enter and leave on their own, one may end it for both.
    """
    found = library()
    before = found.num_threads if found is not None else 1
    if before == 1:
        yield
        return
    found.set_num_threads(1)
    try:
        yield
    finally:
        found.set_num_threads(before)


def axpby(a: float, x: Array, b: float, y: Array) -> None:
    """y ← a·x + b·y in place, for flat arrays of one dtype and size without gaps. Same bits for any threads."""
    compute = _axpby(y.dtype.char) if y.size >= LEAST and type(y) is np.ndarray else None
    if compute is None:
        y *= b
        y += x * a
    else:
        compute(y.size, a, _address(x), 1, b, _address(y), 1)


def _address(x: Any) -> int:
    """Where an array's memory begins; to ask `x.ctypes` takes three times as long."""
    return ctypes.addressof(ctypes.c_char.from_buffer(x)) if x.flags.writeable else int(x.ctypes.data)


@functools.cache
def _axpby(dtype: str) -> Callable[..., None] | None:
    """OpenBLAS's function for a dtype."""
    if dtype not in REALS or library() is None or library().internal_api != "openblas":
        return None
    letter, real = REALS[dtype]
    for pattern in NAMES:
        function = getattr(library().dynlib, pattern.format(f"{letter}axpby"), None)
        if function is not None:
            integer = ctypes.c_int64 if "64" in pattern else ctypes.c_int
            function.argtypes = [integer, real, ctypes.c_void_p, integer, real, ctypes.c_void_p, integer]
            function.restype = None
            return function  # type: ignore[no-any-return]
    return None
