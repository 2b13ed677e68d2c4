"""What tests of several rooms share: the command line as a process, and how many random cases are tried."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

import dlscratch

settings.register_profile("dlscratch", deadline=None)  # a busy machine is no failure
settings.load_profile("dlscratch")

LONGEST = 6 * 3600  # seconds for one test in the long form


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --long tests/trust`: the full number of cases wherever a short run takes a sample."""
    parser.addoption("--long", action="store_true", help="try all random cases and faults, not a sample of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form takes its time."""
    if config.getoption("--long"):
        for item in items:
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether all cases are to be tried: `count = 2000 if long else 50`."""
    return bool(request.config.getoption("--long"))


class Cli(Protocol):
    """`cli("init", "x.csv", cwd=tmp_path)` runs `python -m dlscratch init x.csv` there and gives its end as text."""

    def __call__(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        input: str | None = None,
        env: dict[str, str] | None = None,
        traceback: bool = False,
    ) -> subprocess.CompletedProcess[str]: ...


def run_cli(
    *args: str | Path,
    cwd: Path | None = None,
    input: str | None = None,
    env: dict[str, str] | None = None,
    traceback: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the very code that the tests import; `env` is added to the environment, and no input means an empty one."""
    source = str(Path(dlscratch.__file__).parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "dlscratch", *map(str, args)],
        cwd=cwd,
        input=input or "",
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200", **(env or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
    assert traceback or "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def cli() -> Cli:
    """The command line as a process; fails where a traceback reaches a user, unless `traceback=True`."""
    return run_cli


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The smallest network for images is worth a second process; none is left behind."""
    from processes import children

    from dlscratch.nn import parallel

    monkeypatch.setattr(parallel, "LEAST", 1)
    yield
    gc.collect()
    assert children() == []


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that two processes have shared."""
    from dlscratch.autograd.halves import Halves

    sizes: list[int] = []
    call = Halves.__call__

    def counted(halves: Halves, x: Any, rng: Any) -> Any:
        sizes.append(len(x.data))
        return call(halves, x, rng)

    monkeypatch.setattr(Halves, "__call__", counted)
    return sizes
