"""Whatever a file holds in its names and words, a terminal sees it written out: no command passes an escape code on."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sys
import termios
import threading
from pathlib import Path

import numpy as np
import pytest
from hostile import RAW, limits
from tiny_runs import FLOWERS, flowers, train

from dlscratch import checkpoint
from dlscratch.cli import app
from dlscratch.word2vec.formats import Table, write

EVIL = "\x1b]0;x\x07\x1b[2J\x9b31m\x1b[38;5;99m\u202e\b\x7f"  # a title, a cleared screen, colours, reversed text
OURS = re.compile(r"\x1b\[(?!38;5;99)[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")  # what Rich draws with
NAME = f"evil{EVIL}"
WORDS = [f"{EVIL}{number}" for number in range(4)] + ["man", "king", "woman"]
CONFIG = FLOWERS.replace("flowers.csv", "'*.csv'").replace("species", "'*'").replace("epochs: 3", "epochs: 2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evil names of files, columns, categories, classes, arrays and words."""
    folder = tmp_path_factory.mktemp("evil")
    table = flowers()
    for name in ("width", "colour", "red", "species", "aster", "borage"):
        table = table.replace(name, f"{name}{EVIL}")
    (folder / f"{NAME}.csv").write_text(table, encoding="utf-8")
    quoted = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in EVIL)
    config = CONFIG.replace("'*.csv'", f'"evil{quoted}.csv"').replace("'*'", f'"species{quoted}"')
    (folder / f"{NAME}.yaml").write_text(config, encoding="utf-8")
    (folder / "wrong.yaml").write_text(f'{config}"{quoted}": 1\nname: "{quoted}"\n', encoding="utf-8")
    (folder / f"new{NAME}.csv").write_text(table.replace(f"borage{EVIL}", f"weed{EVIL}"), encoding="utf-8")
    train(folder / f"{NAME}.yaml", folder / f"run{NAME}")
    train(folder / f"{NAME}.yaml", folder / "other", "seed=2")
    checkpoint.save(folder / "arrays.npz", {NAME: np.zeros(3), f"{EVIL}/b": np.eye(3)}, {"kind": NAME, NAME: NAME})
    write(folder / "words.npz", Table(WORDS, np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)))
    (folder / f"{NAME}.txt").write_text(f"{' '.join(WORDS)}\n" * 30, encoding="utf-8")
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\t1.5\n" for a in WORDS for b in WORDS), encoding="utf-8")
    (folder / "questions.txt").write_text(f": {EVIL}\n{' '.join(WORDS[:4])}\n{' '.join(WORDS[3:])}\n", encoding="utf-8")
    return folder


def seen(*args: str) -> tuple[int, str]:
    """The exit code of a command, and all that a terminal of 100 × 40 gets from it."""
    main, sub = pty.openpty()
    termios.tcsetwinsize(sub, (40, 100))
    pieces: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(main, 4096):
                pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.MonkeyPatch.context() as patch, open(sub, "w", encoding="utf-8", errors="backslashreplace") as terminal:
        patch.setattr(sys, "argv", ["dlscratch", *args])
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm-256color")
        with limits():
            code = app._exit_code()
    reader.join()
    os.close(main)
    return code, b"".join(pieces).decode()


DATA, CFG, RUN, MODEL = f"{NAME}.csv", f"{NAME}.yaml", f"run{NAME}", f"run{NAME}/best.npz"
FIRST, SECOND, THIRD, FOURTH = WORDS[:4]
COMMANDS: list[tuple[int, tuple[str, ...]]] = [
    (0, ("init", DATA, "--target", f"species{EVIL}", "-o", "-")),
    (0, ("init", DATA, "--target", f"species{EVIL}", "-o", f"made{NAME}.yaml")),
    (2, ("init", DATA)),
    (0, ("check", CFG)),
    (2, ("check", "wrong.yaml")),
    (2, ("check", CFG, "--set", f'"{NAME}"=1', "--set", f"loss={NAME}")),
    (0, ("train", CFG, "--out", f"again{NAME}")),
    (0, ("train", CFG, "--out", f"seeds{NAME}", "--seeds", "2")),
    (2, ("train", CFG, "--out", RUN)),
    *[(0, ("inspect", file, *more)) for file in (MODEL, "arrays.npz", "words.npz") for more in ((), ("--json",))],
    (0, ("inspect", MODEL, "--verify")),
    *[(0, ("evaluate", MODEL, *more)) for more in ((), (DATA,), ("--json",))],
    (3, ("evaluate", MODEL, f"new{NAME}.csv")),
    (0, ("predict", MODEL, DATA)),
    (0, ("predict", MODEL, DATA, "--json")),
    (0, ("predict", MODEL, DATA, "-o", f"said{NAME}.csv")),
    (3, ("predict", MODEL, f"{EVIL}.csv")),
    (0, ("plot", RUN, "other")),
    (0, ("report", RUN)),
    (0, ("graph", MODEL)),
    (0, ("graph", CFG, "--json")),
    (1, ("diff", RUN, "other")),
    (1, ("diff", MODEL, "other/best.npz")),
    (0, ("reproduce", MODEL)),
    (0, ("gradcheck", CFG)),
    (5, ("replay", MODEL)),
    (0, ("verify-resume", CFG, "-n", "3")),
    (2, ("explain", f"x + {EVIL}", "x=1")),
    (2, ("options", NAME)),
    *[(0, ("vectors", "nearest", "words.npz", FIRST, *more)) for more in ((), ("-q",), ("--json",))],
    (2, ("vectors", "nearest", "words.npz", f"{EVIL}9")),
    (0, ("vectors", "analogy", "words.npz", "man", "king", "woman")),
    (0, ("vectors", "similarity", "words.npz", FIRST, SECOND)),
    (0, ("vectors", "odd-one-out", "words.npz", FIRST, SECOND, THIRD)),
    (0, ("vectors", "evaluate", "words.npz", "--similarity", "pairs.tsv", "--analogies", "questions.txt")),
    (0, ("vectors", "map", "words.npz", "--out", "map.html", "--clusters", "2")),
    (0, ("vectors", "export", "words.npz", "--to", f"{NAME}.glove")),
    (0, ("word2vec", f"{NAME}.txt", "--tokenizer", "whitespace", "--min-count", "1", "--dim", "4", "-o", f"w{NAME}")),
    (0, ("doctor", CFG)),
]


@pytest.mark.parametrize(("code", "args"), COMMANDS, ids=[" ".join(args).replace(EVIL, "*") for _, args in COMMANDS])
def test_a_terminal_sees_no_escape_codes_of_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    ended, text = seen(*args)
    raw = RAW.search(OURS.sub("", text))
    assert raw is None, (raw, text)
    assert ended == code, text
    assert text
