"""Ctrl-C and SIGTERM at any moment: 130 and 143, no traceback, and either nothing is left or a run to resume."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, FLOWERS, arrays_of, metrics_of, project, train

from dlscratch.cli.signals import Interrupted, whole

SIGNALS = [signal.SIGINT, signal.SIGTERM]
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
LONG = FLOWERS.replace("epochs: 3", "epochs: 150")

# The command line with a signal at the n-th module that is looked for after its first line: deep in the imports.
AT_IMPORT = """
import os, sys
import dlscratch.__main__, dlscratch.cli.signals
class Bell:
    left = int(sys.argv.pop(1))
    number = int(sys.argv.pop(1))
    def find_spec(self, *args):
        Bell.left -= 1
        if not Bell.left:
            os.kill(os.getpid(), Bell.number)
sys.meta_path.insert(0, Bell())
dlscratch.__main__.main()
"""


# And with a signal when the work is done and the interpreter is being taken down.
AT_EXIT = """
import atexit, os, signal
import dlscratch.__main__
atexit.register(lambda: [os.kill(os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM)])
dlscratch.__main__.main()
"""


def start(*args: str, cwd: Path, ignoring: bool = False) -> subprocess.Popen[str]:
    """A command under way."""
    before = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignoring else None
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *args], cwd=cwd, env=ENVIRONMENT, text=True, preexec_fn=before, **pipes)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("imports", [1, 50, 130, 220, 290, 350])
def test_a_signal_while_modules_are_imported(tmp_path: Path, imports: int) -> None:
    project(tmp_path)
    number = SIGNALS[imports % 20 // 10]
    args = ["-c", AT_IMPORT, str(imports), str(int(number)), "train", "flowers.yaml", "--out", "run"]
    process = start(*args, cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", f"{WORDS[number]}\n")
    assert not (tmp_path / "run").exists()


def test_a_signal_after_the_work_is_too_late(tmp_path: Path) -> None:
    process = start("-c", AT_EXIT, "--version", cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_data_are_read(tmp_path: Path, number: signal.Signals) -> None:
    project(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    process = start("-m", "dlscratch", "train", "pipe.yaml", "--out", "run", cwd=tmp_path)
    with (tmp_path / "pipe.yaml").open("w") as pipe:  # opens when the command has begun to read
        pipe.write("seed:")
        pipe.flush()
        time.sleep(0.2)  # Python does not notice a signal in the microsecond before a read that blocks
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, f"{WORDS[number]}\n")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the interrupted ones must equal."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(project(folder, LONG), folder / "run")
    return folder / "run"


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted_twice_and_resumed(cli: Cli, tmp_path: Path, uninterrupted: Path, number: signal.Signals) -> None:
    project(tmp_path, LONG)
    rng, run = random.Random(int(number)), tmp_path / "run"
    for extra in ([], ["--resume"]):
        before = (run / "run.json").stat().st_mtime_ns if extra else 0
        process = start("-m", "dlscratch", "train", "flowers.yaml", "--out", "run", *extra, cwd=tmp_path)
        wait_for(lambda: (run / "run.json").exists() and (run / "run.json").stat().st_mtime_ns > before)  # noqa: B023
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        expected = f"warning: stopped; run/last.npz is written, go on with --resume\n{WORDS[number]}\n"
        assert (process.returncode, err) == (128 + number, expected)
        assert '"status": "interrupted"' in (run / "run.json").read_text()
    assert cli("train", "flowers.yaml", "--out", "run", "--resume", cwd=tmp_path).returncode == 0
    for name in ("best.npz", "last.npz"):
        assert arrays_of(run / name) == arrays_of(uninterrupted / name)
    assert metrics_of(run) == metrics_of(uninterrupted)
    assert sorted(os.listdir(run)) == sorted(os.listdir(uninterrupted))


def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    project(tmp_path, LONG)
    process = start("-m", "dlscratch", "train", "flowers.yaml", "--out", "run", cwd=tmp_path, ignoring=True)
    wait_for((tmp_path / "run" / "run.json").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_block_is_whole_and_a_second_signal_breaks_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = []

    def block(*numbers: signal.Signals) -> None:
        with whole() as stop:
            for number in numbers:
                os.kill(os.getpid(), number)
            done.append(stop.signal)

    with pytest.raises(Interrupted) as caught:
        block(signal.SIGINT)
    assert (done, caught.value.exit_code, signal.getsignal(signal.SIGINT)) == ([signal.SIGINT], 130, before)
    with pytest.raises(Interrupted) as caught:
        block(signal.SIGINT, signal.SIGTERM)
    assert (len(done), caught.value.exit_code, signal.getsignal(signal.SIGINT)) == (1, 143, before)
