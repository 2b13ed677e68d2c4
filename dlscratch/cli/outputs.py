"""The files that a command is told to write: one rule for all of them.

A picture, a page, a table or a converted file can be made again, so it takes the place of what is there, as with
compilers. What cannot be made again stays: the files of a run, and whatever the command itself reads. (The commands
that begin something, `init`, `train` and `word2vec`, replace nothing without --force.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dlscratch.cli.signals import whole
from dlscratch.errors import UsageError


def check_output(out: Path | None, endings: Sequence[str] = (), inputs: Iterable[Path] = ()) -> str:
    """Before the work: the ending of the file, which must be one of `endings`, where there are any; "" for no file.

    UsageError: another ending, or writing to `out` would destroy one of the inputs or a file of a run.
    """
    from dlscratch.pictures.endings import ending_of
    from dlscratch.runs.folder import ALL, RunFolder
    from dlscratch.word2vec.encoding import FACTS, IDS

    if out is None:
        return ""
    if any(out.exists() and each.exists() and out.samefile(each) for each in inputs):
        raise UsageError(f"{out}: is what this command reads; choose another name")
    target = Path(os.path.realpath(out))
    folder = RunFolder(target.parent)
    if target.name.lower() in (*ALL, IDS, FACTS) and (folder.run.exists() or folder.last.exists()):
        raise UsageError(f"{out}: belongs to the run in this folder; choose another name")
    return ending_of(out, endings) if endings else out.suffix


def write_output(out: Path, content: str | bytes, *, follow: bool = True) -> int:
    """Write the whole file or nothing, whatever signals arrive; text in UTF-8. The number of bytes.

    A link is followed, unless `follow` is False. OutputError if it cannot be written.
    """
    from dlscratch.checkpoint import atomic_write

    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with whole(), atomic_write(out, follow=follow) as file:
        file.write(data)
    return len(data)
