"""The configs that ship with their data; in the place of MNIST, which does not come along, a few random images."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
from tiny_runs import write_idx

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


def copy_shipped(folder: Path) -> Path:
    """A folder with configs/ and data/ as in a checkout; the folder."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "data" / "mnist").mkdir(parents=True)
    for file in ("digits.csv.gz", "penguins.csv"):
        shutil.copy(ROOT / "data" / file, folder / "data")
    rng = np.random.default_rng(0)
    for part, rows in (("train", 64), ("t10k", 16)):
        arrays = {"images-idx3": rng.integers(0, 256, (rows, 28, 28)), "labels-idx1": np.arange(rows) % 10}
        for name, array in arrays.items():
            file = folder / "data" / "mnist" / f"{part}-{name}-ubyte"
            write_idx(file, array)
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    return folder


def in_a_tests_time(name: str) -> list[str]:
    """What makes a config small enough for a test."""
    return ["training.batch_size=16", "training.threads=1"] if "mnist" in name else []
