"""A forked process: how it begins beside threads and signals, how it ends, and which errors it can send."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from dlscratch import blas
from dlscratch.errors import DlscratchError

COPIED = 160  # rows and columns of matrices that OpenBLAS copies before it multiplies them
DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG of prctl (Linux)
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # that are sent to both: what they mean is decided by the parent


def can_fork() -> bool:
    """Whether a fork does no harm. Before it, OpenBLAS ends its threads: it waits for ever if a thread of Python's is
    just computing with them.
    """
    others = {thread for thread in threading.enumerate() if thread.name != "crew"} - {threading.current_thread()}
    found = blas.library()
    return not others or (found is not None and found.num_threads == 1)


def fork(begun: Callable[[], None], live: Callable[[], None]) -> int:
    """A forked process that says that it has `begun`, and does nothing but `live`, at the latest until its parent ends;
    its number.

    If another thread was just computing, a lock of BLAS's stays closed in the fork: it never says that it has begun.
    """
    parent, by_main = os.getpid(), threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a handler must not run in the fork
    try:
        with warnings.catch_warnings():  # of forks beside threads, which may hold locks
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            if pid == 0:
                try:
                    _settle(before, by_main)
                    if os.getppid() == parent:
                        np.matmul(np.ones((COPIED, COPIED)), np.ones((COPIED, COPIED)))
                        begun()
                        live()
                finally:
                    os._exit(1)
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # a signal that came meanwhile is handled here
    except BaseException:
        end(pid, parent)
        raise
    return pid


def _settle(mask: set[int], by_main: bool) -> None:
    """In the fork: its own signals, no part in the parent's garbage, an end with the parent.

    `by_main`: the main thread forked it; a fork by another thread would end with that thread.
    """
    for number in signal.valid_signals():
        if number in SIGNALS or callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    gc.freeze()  # a file that is garbage would be closed twice, and what it holds back written twice
    if by_main:
        ctypes.CDLL(None).prctl(DEATH_OF_PARENT, signal.SIGKILL)


def has_ended(pid: int) -> bool:
    """Whether a child has ended, also if someone else has reaped it."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def end(pid: int, parent: int) -> None:
    """End a child, if this is its parent."""
    if os.getpid() == parent and not has_ended(pid):
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def portable(error: BaseException, most: int) -> BaseException:
    """The error, or one that tells of it, if it cannot be sent in so many bytes."""
    with suppress(Exception):
        data = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        loaded = pickle.loads(data)
        if len(data) <= most and type(loaded) is type(error) and str(loaded) == str(error):
            return error
    return DlscratchError(f"{type(error).__name__}: {error}"[: most // 8])
