"""Memory and threads: what is kept from step to step, and how many may compute."""

from __future__ import annotations

import platform
import subprocess
import sys
import zlib

import numpy as np
import pytest

from dlscratch import backend

STEPS = """
import resource
import numpy as np
from dlscratch import backend
if {keep}:
    backend.keep_memory()
def step():
    arrays = [np.zeros(500_000) for _ in range(8)]  # 4 MB each
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no mallopt")
def test_kept_memory_is_not_cleared_by_the_system_again():
    """A page fault is a page that the system had to clear; without keep_memory this needs thousands."""
    keeping, usual = (
        int(subprocess.run([sys.executable, "-c", STEPS.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (True, False)
    )
    assert keeping < 100 < usual


def test_scratch_is_the_same_memory_again_where_name_and_dtype_are_the_same():
    like = np.empty(0, np.float32)
    first = backend.scratch("a", (3, 4), like)
    assert (first.shape, first.dtype) == ((3, 4), np.float32)
    assert np.shares_memory(first, backend.scratch("a", (2, 2), like))
    assert not np.shares_memory(first, backend.scratch("b", (3, 4), like))
    assert not np.shares_memory(first, backend.scratch("a", (3, 4), np.empty(0)))
    assert backend.scratch("a", (100, 100), like).shape == (100, 100)


def test_limits_of_threads_nest_and_end():
    all_of_them = backend.thread_count()
    with backend.limit_threads(3):
        assert backend.thread_count() == 3
        with backend.limit_threads(None):
            assert backend.thread_count() == backend.cpu_count()
        assert backend.thread_count() == 3
    assert backend.thread_count() == all_of_them


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**80])
def test_a_generator_is_numpys_of_the_seed_and_the_purposes(seed):
    words = [seed, zlib.crc32(b"dropout"), 3]
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    np.testing.assert_array_equal(backend.generator(seed, "dropout", 3).random(5), expected.random(5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scratch_begins_on_a_line_of_the_cache_and_is_the_same_again(dtype):
    like = np.zeros(3, dtype)
    for size in range(1000, 1016):
        first = backend.scratch(f"tested {size}", (size, 3), like)
        assert first.ctypes.data % backend.LINE == 0
        assert np.shares_memory(first, backend.scratch(f"tested {size}", (50, 3), like))
        assert first.shape == (size, 3)
        assert first.dtype == like.dtype
