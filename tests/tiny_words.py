"""What tests of word2vec runs and of its command line share: a tiny text, and a command that is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.cli.app import app
from dlscratch.errors import DlscratchError


def text(lines: int = 500, words: int = 40, seed: int = 0) -> str:
    """Lines of twelve words; neighbouring words of the alphabet are often neighbours in a line."""
    rng = np.random.default_rng(seed)
    names = ["".join(chr(97 + int(digit)) for digit in f"{number:02}") for number in range(words)]
    starts, steps = rng.integers(0, words, lines), rng.integers(-3, 4, (lines, 12))
    rows = (starts[:, None] + steps) % words
    return "".join(" ".join(names[i] for i in row) + "\n" for row in rows)


def refusal(*args: str) -> tuple[int, str]:
    """The exit code and the message of a command that is refused; in this process, which saves its start."""
    with pytest.raises(DlscratchError) as caught:
        app(list(args), standalone_mode=False)
    return caught.value.exit_code, f"error: {caught.value}"
