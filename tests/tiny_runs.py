"""Tiny data and configs that tests of runs and of the command line train on."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

import dlscratch
from dlscratch import checkpoint
from dlscratch.config.build import build
from dlscratch.runs import Run
from dlscratch.training import Epoch

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(dlscratch.__file__).parents[1])}  # for processes: the same code

FLOWERS = """\
seed: 1
data:
  csv: {path: flowers.csv, target: species}
  validation: 0.2
  test: 0.25
model:
  - linear: {out_features: 8}
  - batch_norm1d
  - relu
  - dropout: {p: 0.2}
  - linear: {out_features: 3}
optimizer: {adam: {lr: 0.01}}
training: {epochs: 3, batch_size: 7}
"""
HEIGHTS = FLOWERS.replace("target: species", "target: height").replace("out_features: 3", "out_features: 1")
SPECIES = ("aster", "borage", "clover")


def flowers(rows: int = 60, seed: int = 0) -> str:
    """A CSV with two columns of numbers, one of text, and three species that they tell apart."""
    rng = np.random.default_rng(seed)
    lines = ["width,height,colour,species"]
    for row in range(rows):
        kind = row % 3
        width, height = rng.normal(2.0 + kind, 0.4), rng.normal(30.0 - 5 * kind, 2.0)
        lines.append(f"{width:.3f},{height:.3f},{('red', 'blue')[int(rng.random() < 0.3 * kind)]},{SPECIES[kind]}")
    return "\n".join(lines) + "\n"


def project(folder: Path, config: str = FLOWERS, data: str | None = None) -> Path:
    """A folder with flowers.csv and a config; the config's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flowers.csv").write_text(flowers() if data is None else data, encoding="utf-8")
    (folder / "flowers.yaml").write_text(config, encoding="utf-8")
    return folder / "flowers.yaml"


def train(config: Path, out: Path, *overrides: str, force: bool = False) -> dict[str, Any]:
    """A run to its end; its result."""
    run = Run.start(build(config, overrides), out, force=force)
    for _ in run.train():
        pass
    return run.finish()


def train_until(run: Run, step: int) -> None:
    """Take records up to a step, then stop as the command line does on a signal."""
    for record in run.train():
        if not isinstance(record, Epoch) and record.step >= step:
            break
    run.interrupted()


def arrays_of(path: Path) -> dict[str, bytes]:
    """Every array of a checkpoint as bytes."""
    return {name: array.tobytes() for name, array in checkpoint.load(path)[0].items()}


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def write_idx(path: Path, array: np.ndarray) -> None:
    """An IDX file of bytes, as MNIST's."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())
