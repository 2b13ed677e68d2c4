"""A CSV of 1,000,000 rows and 50 columns beside pandas: short numbers, long ones, and ones of several kinds with text.

    pip install '.[bench]' && python benchmarks/read_csv.py

Each reading is a process of its own, ours and pandas' in turns; the time begins after the imports. Both must have read
the same numbers, to the last bit, and the same text. The files, 1.8 GB together, lie in a temporary folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pairing import last_line, report

COLUMNS, BLOCK = 50, 10_000


def write(path: Path, kind: str, rows: int) -> None:
    """Blocks of random rows, the same again and again."""
    rng = np.random.default_rng(0)
    floats, integers = rng.standard_normal((BLOCK, COLUMNS)).tolist(), rng.integers(-1000, 10**6, (BLOCK, 25)).tolist()
    words = [f"word {number}" for number in rng.integers(0, 200, BLOCK)]
    lines = {
        "short": lambda row: [f"{x:.6g}" for x in floats[row]],
        "long": lambda row: map(repr, floats[row]),
        "mixed": lambda row: [*map(str, integers[row]), *(f"{x:.4f}" for x in floats[row][26:]), words[row]],
    }
    block = "".join(",".join(lines[kind](row)) + "\n" for row in range(BLOCK))
    with path.open("w") as file:
        file.write(",".join(f"column {number}" for number in range(COLUMNS)) + "\n")
        file.writelines(block for _ in range(rows // BLOCK))


def ours(path: str) -> dict[str, Any]:
    """Read with dlscratch; the digest of each column."""
    from dlscratch.datasets import Categories, CsvReader

    start = time.perf_counter()
    table = CsvReader(path).read()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    columns = [
        np.array(column.names, object)[column.codes] if isinstance(column, Categories) else column
        for column in table.columns.values()
    ]
    return {"seconds": seconds, "peak": peak, "digest": digest(columns)}


def peer(path: str) -> dict[str, Any]:
    """Read with pandas."""
    import pandas as pd

    start = time.perf_counter()
    frame = pd.read_csv(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak": peak, "digest": digest([frame[name].to_numpy() for name in frame])}


def digest(columns: list[np.ndarray]) -> str:
    """SHA-256 of numbers as float64 and of text."""
    found = hashlib.sha256()
    for column in columns:
        text = column.dtype.kind not in "biuf"
        found.update("\n".join(column).encode() if text else np.ascontiguousarray(column, np.float64).tobytes())
    return found.hexdigest()


def work(side: str, path: Path) -> dict[str, Any]:
    """One reading in a process of its own."""
    command = [sys.executable, __file__, "--work", side, str(path)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def case(kind: str, folder: Path, rows: int, rounds: int) -> float:
    """The ratio for one kind of cells."""
    path = folder / f"{kind}.csv"
    write(path, kind, rows)
    results = [(work("ours", path), work("peer", path)) for _ in range(rounds)]
    assert len({side["digest"] for both in results for side in both}) == 1, "they have not read the same"
    path.unlink()
    seconds = (statistics.median(both[side]["seconds"] for both in results) for side in (0, 1))
    ratio = report(f"{kind}, {rows:,} x {COLUMNS}", *seconds, unit="s")
    peaks = (max(both[side]["peak"] for both in results) / 1024 for side in (0, 1))
    print("{:40s} ours {:9.0f} MB  peer {:9.0f} MB".format("  peak memory", *peaks))
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--rounds", type=int, default=3, help="alternating readings")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, path = options.work
        print(json.dumps({"ours": ours, "peer": peer}[side](path)))
        return
    with tempfile.TemporaryDirectory() as folder:
        last_line([case(kind, Path(folder), options.rows, options.rounds) for kind in ("short", "long", "mixed")])


if __name__ == "__main__":
    main()
