"""What a person means by a path: the run of a folder or of one of its files, and the model or vectors in a folder."""

from __future__ import annotations

from pathlib import Path

from dlscratch.errors import UsageError
from dlscratch.runs.folder import VECTORS, RunFolder

MOST_NAMED = 8


def run_at(path: Path) -> RunFolder:
    """The run in a folder, or that which a file lies in. UsageError: there is none; it names those further down."""
    folder = RunFolder(path.parent if path.is_file() else path)
    if not folder.holds_a_run:
        where = "beside this file; name a run's folder" if path.is_file() else f"in this folder{runs_inside(path)}"
        raise UsageError(f"{path}: there is no run {where}")
    return folder


def model_at(path: Path) -> Path:
    """The file itself; of a folder the model or the word vectors of its run. UsageError where it has none."""
    if not path.is_dir():
        return path
    folder = run_at(path)
    found = next((file for file in (folder.best, folder.vectors) if file.exists()), None)
    if found is None:
        raise UsageError(f"{path}: there is no {folder.best.name} in it: {unfinished(folder)}")
    return found


def black_box_at(path: Path) -> Path:
    """The file itself; of a folder the black box of its run. UsageError where it has none."""
    if not path.is_dir():
        return path
    folder = run_at(path)
    if not folder.black_box.exists():
        raise UsageError(f"{path}: there is no {folder.black_box.name} in it: the run did not diverge")
    return folder.black_box


def vectors_at(path: Path) -> Path:
    """The file or projector's folder itself; of a run's folder its word vectors. UsageError where it has none."""
    folder = RunFolder(path)
    if not path.is_dir() or not folder.holds_a_run:
        return path
    if not folder.vectors.exists():
        raise UsageError(f"{path}: there is no {VECTORS} in it: {unfinished(folder)}")
    return folder.vectors


def unfinished(folder: RunFolder) -> str:
    """Why a run has nothing to show."""
    facts = folder.read_run()
    if facts.get("status") == "diverged":
        return f"diverged before an epoch had ended: {facts.get('error')}"
    if not folder.read_metrics():
        return "no epoch has ended yet"
    return "its training has not ended; go on with --resume" if facts.get("status") != "finished" else "it was removed"


def runs_inside(path: Path) -> str:
    """`; there are A, B`: the runs in the folders of a folder; empty where there are none."""
    if not path.is_dir():
        return ""
    found = sorted(str(each) for each in path.iterdir() if each.is_dir() and RunFolder(each).holds_a_run)
    more = ["…"] if len(found) > MOST_NAMED else []
    return f"; there are {', '.join([*found[:MOST_NAMED], *more])}" if found else ""
