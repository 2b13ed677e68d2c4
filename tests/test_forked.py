"""Forked processes beside signals, other threads and other parents, and what happens where there can be none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import children, lives, wait_for
from small_team import X, alone, bits, network, records, shared
from tiny_runs import ENVIRONMENT

from dlscratch import backend, blas, forked, nn, team
from dlscratch.errors import DlscratchError

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.mark.parametrize("noted", [False, True])
def test_someone_else_may_take_note_of_its_end(noted: bool) -> None:
    """A program that ignores its children's end, or waits for all that there are."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN if not noted else signal.SIG_DFL)
    try:
        with shared(network()):
            pass
        model = network()
        with shared(model) as pid:
            os.kill(pid, signal.SIGKILL)
            if noted:
                os.waitpid(-1, 0)
            with pytest.raises(DlscratchError, match="has ended"):
                model(X, training=True)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_program_s_own_handlers_are_not_run_twice(tmp_path: Path) -> None:
    """SIGUSR1 to a whole group, as batch systems send it before they end a job."""
    told = tmp_path / "told"

    def tell(*_: object) -> None:
        with told.open("a") as file:
            file.write(f"{os.getpid()} ")

    before = signal.signal(signal.SIGUSR1, tell)
    try:
        model = network()
        with shared(model) as pid:
            for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
                os.kill(pid, number)
            os.kill(os.getpid(), signal.SIGUSR1)
            model(X, training=True).sum().backward()
            assert lives(pid)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told.read_text() == f"{os.getpid()} "


# Where there can be none.


def refuse(number: int) -> Callable[..., Any]:
    def refused(*_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refused


def stuck(*_: Any) -> None:
    time.sleep(100)


IMPOSSIBLE = {
    "no more processes": (os, "fork", refuse(errno.EAGAIN)),
    "no memory": (team.mmap, "mmap", refuse(errno.ENOMEM)),
    "no room for semaphores": ("multiprocessing.synchronize._multiprocessing", "SemLock", refuse(errno.ENOSPC)),
    "it does not begin": (forked, "_settle", stuck),
    "it ends at once": (forked, "_settle", lambda *_: os._exit(0)),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_without_it_one_process_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import multiprocessing.synchronize  # noqa: F401

    where, attribute, failing = IMPOSSIBLE[name]
    calls: list[int] = []
    monkeypatch.setattr(team, "PATIENCE", 0.02)
    if isinstance(where, str):
        monkeypatch.setattr(f"{where}.{attribute}", counted(failing, calls))
    else:
        monkeypatch.setattr(where, attribute, counted(failing, calls))
    model = network()
    for _ in records(model):
        assert children() == []
    assert bits(model) == alone()
    assert len(calls) == ("it" not in name)  # it is not tried at each batch; in the fork it is not counted here


def counted(function: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return function(*args, **options)

    return call


def test_beside_other_threads_blas_must_have_one() -> None:
    if blas.library() is None:
        pytest.skip("threadpoolctl knows no BLAS here")
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        for threads in (2, 1):
            model = network()
            with backend.limit_threads(2, blas=threads), nn.data_parallel(model):
                model(X, training=True)
                assert len(children()) == (threads == 1)
    finally:
        release.set()
        thread.join()


COMPUTING = """
import os, threading, numpy as np
from dlscratch import backend, nn
from dlscratch.nn import parallel
parallel.LEAST = 1
a = np.ones((300, 300), np.float32)
def compute():
    while True:
        a @ a
model = nn.Sequential(nn.Conv2d(out_channels=4, kernel_size=3), input_shape=(2, 8, 8))
x = np.ones((4, 2, 8, 8), np.float32)
with backend.limit_threads(2, blas=BLAS):
    for _ in range(2):
        threading.Thread(target=compute, daemon=True).start()
    for _ in range(20):
        with nn.data_parallel(model):
            model(x, training=True).sum().backward()
print("done", flush=True)
os._exit(0)  # its threads never end
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_no_fork_hangs_while_other_threads_compute(threads: int) -> None:
    """Neither here, where OpenBLAS ends its threads first, nor there, where a lock of its may stay closed."""
    source = COMPUTING.replace("BLAS)", f"{threads})")
    done = subprocess.run(
        [sys.executable, "-c", source], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_in_a_thread_of_its_own_and_in_two_at_once() -> None:
    seen: list[int] = []

    def train(model: nn.Sequential, meeting: threading.Barrier) -> None:
        for _ in records(model):
            meeting.wait()
            seen.append(len(children()))
            meeting.wait()

    with backend.limit_threads(2, blas=1):
        for count in (1, 2):
            models, meeting = [network() for _ in range(count)], threading.Barrier(count, timeout=60)
            threads = [threading.Thread(target=train, args=(model, meeting)) for model in models]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [bits(model) for model in models] == [alone()] * count
            assert set(seen) == {count}
            seen.clear()


def test_it_outlives_the_thread_that_made_it() -> None:
    model = network()
    with backend.limit_threads(2, blas=1), nn.data_parallel(model):
        thread = threading.Thread(target=lambda: backend_two(model))
        thread.start()
        thread.join()
        [pid] = children()
        model(X, training=True).sum().backward()
        assert children() == [pid]


def backend_two(model: nn.Sequential) -> None:
    with backend.limit_threads(2, blas=1):
        model(X, training=True)


ORPHAN = """
import sys, threading, time, numpy as np
from dlscratch import backend, nn
from dlscratch.nn import parallel
parallel.LEAST = 1
model = nn.Sequential(nn.Conv2d(out_channels=4, kernel_size=3), input_shape=(2, 8, 8))
def train():
    with backend.limit_threads(2, blas=1), nn.data_parallel(model):
        model(np.ones((4, 2, 8, 8), np.float32), training=True)
        print("ready", flush=True)
        time.sleep(100)
if sys.argv[1] == "main":
    train()
else:
    threading.Thread(target=train).start()
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_killed_the_first_leaves_no_orphan(where: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, where], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        [pid] = children(process.pid)
        if where == "main":  # at once, whatever it is at; else as soon as it looks
            os.kill(pid, signal.SIGSTOP)
        process.kill()
    wait_for(lambda: not lives(pid), 5)


def test_with_one_processor_there_is_none() -> None:
    source = ORPHAN.replace("limit_threads(2", "limit_threads(None").replace("time.sleep(100)", "")
    first = min(os.sched_getaffinity(0))
    with subprocess.Popen(
        [sys.executable, "-c", source.replace('"ready"', "model.partner.halves"), "main"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {first}),
    ) as process:  # fmt: skip
        assert process.communicate(timeout=60)[0] == "None\n"
