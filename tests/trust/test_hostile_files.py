"""Data, texts and configs made to do harm: they run nothing, and take neither the memory nor the time they claim."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hostile import Ending, command, judge, refused, written

from dlscratch import archives, checkpoint
from dlscratch.word2vec import corpus, encoding

MODEL = "model: [{linear: {out_features: 2}}]\noptimizer: {sgd: {lr: 0.1}}\n"
TABLE = f"data: {{csv: {{path: data.csv, target: kind}}}}\n{MODEL}"
IMAGES = f"data: {{idx: {{images: images, labels: images}}}}\n{MODEL}"
ROWS = "a,b,kind\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(40))


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# IDX and vectors


def idx(*shape: int, data: bytes = b"") -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + data


IDX = {
    "10^12 images": (idx(10**6, 10**3, 10**3), "more than the file's 16 bytes can hold"),
    "2^32 of everything": (idx(*[2**32 - 1] * 20), "more than the file's 84 bytes can hold"),
    "255 axes": (idx(*[1] * 255, data=b"x"), "its header claims 255 dimensions"),
    "nothing times much": (idx(0, 2**32 - 1, 2**32 - 1), "the header promises 0 x 4294967295"),
    "empty pictures": (idx(30, 4, 0), "holds no examples"),
}


@pytest.mark.parametrize("case", IDX)
def test_idx_headers(case: str) -> None:
    data, message = IDX[case]
    for name, content in {"images": data, "images.gz": gzip.compress(data)}.items():
        written(name, content)
        written("c.yaml", IMAGES.replace(": images", f": {name}"))
        found = refused(3, "check", "c.yaml")
        assert message in found or (name.endswith(".gz") and "bytes can hold" in found)


VECTORS = {
    "v.txt": b"1000000000000 100\na 1 2\n",
    "w.txt": b"1 999999999\na 1 2\n",
    "v.bin": b"1000000000000 100\na 1234",
    "w.bin": b"10 4\n" + b"x" * 1_500_000,
    "v.txt.gz": gzip.compress(b"300000 300\na 1 2\n"),
    "v.bin.gz": gzip.compress(b"300000 300\na 1 2\n"),
    "v.glove": b"a" + b" " * 1_500_000,
    "x.txt": b"x" * 1_500_000,
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_that_promise_too_much(name: str) -> None:
    written(name, VECTORS[name])
    refused(3, "vectors", "nearest", name, "a")


def test_a_projector_whose_first_row_is_long_and_whose_config_leads_away() -> None:
    written("p/vectors.tsv", "\t".join("1" * 100_000) + "\n" + "1\n" * 100_000)
    written("p/metadata.tsv", "a\n" * 100_001)
    assert "vectors.tsv:2: expected 100000 numbers, got 1" in refused(3, "vectors", "nearest", "p/", "a")
    for path in ("../secret.tsv", "/etc/passwd", "a/../../secret.tsv"):
        written("p/projector_config.pbtxt", f'embeddings {{\n  tensor_path: "{path}"\n}}\n')
        assert "which lies outside of the folder" in refused(3, "vectors", "nearest", "p/", "a")


# Bombs in .gz, .bz2 and .xz


@pytest.fixture
def small_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that bombs for the tests need not be large."""
    monkeypatch.setattr(archives, "ALLOWED", 1 << 20)


@pytest.mark.usefixtures("small_allowance")
@pytest.mark.parametrize(
    ("name", "text"),
    [("data.csv.gz", b"a,b,kind\n" + b"1,2,0\n1,2,1\n" * 200_000), ("data.csv.gz", b"a,b,kind\n" + b"1" * 1_500_000)],
)
def test_bombs_of_tables(name: str, text: bytes) -> None:
    written(name, gzip.compress(text))
    written("c.yaml", TABLE.replace("data.csv", name))
    assert "refused as a decompression bomb: unpack it first, if you trust it" in refused(3, "check", "c.yaml")
    written(name, gzip.compress(ROWS.encode() * 1))
    assert command("check", "c.yaml").code == 0


@pytest.mark.usefixtures("small_allowance")
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_bombs_of_text(pack: Callable[[bytes], bytes]) -> None:
    written("text", pack(b"one two three\n" * 100_000))
    assert "refused as a decompression bomb" in refused(3, "word2vec", "text", "--plan")


@pytest.mark.usefixtures("small_allowance")
def test_bombs_of_images_and_vectors() -> None:
    written("images.gz", gzip.compress(idx(1_500_000, data=bytes(1_500_000))))
    written("c.yaml", IMAGES.replace(": images", ": images.gz"))
    assert "bytes can hold" in refused(3, "check", "c.yaml")
    written("v.glove.gz", gzip.compress(b"a" + b" 1" * 1_500_000))
    assert "refused as a decompression bomb" in refused(3, "vectors", "nearest", "v.glove.gz", "a")


def test_a_packed_text_that_asks_for_gigabytes() -> None:
    data = bytearray(lzma.compress(b"one two three\n" * 99))
    size = 4 * (data[12] + 1)  # of the block's header, in which a byte tells the size of the dictionary
    data[16] = 40
    data[8 + size : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 8 + size]))
    assert "takes more memory to unpack than there is" in refused(3, "word2vec", written("text.xz", data), "--plan")


# Text


def plan(text: bytes, *more: str) -> Ending:
    written("text", text)
    return command("word2vec", "text", "--plan", "--dim", "4", "--min-count", "1", "-q", *more)


TEXTS = {
    "full stops": b"." * 1_000_000 + b"x",
    "quoted stops": b'."' * 500_000 + b"x",
    "ellipses": "…".encode() * 300_000 + b"x",
    "blanks": b"\n" + b" " * 1_000_000 + b"x",
    "marks": ("a" + "\u0301" * 900_000).encode(),
    "apostrophes": b"a'" * 500_000,
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_that_is_slow_to_match(case: str) -> None:
    assert plan(TEXTS[case], "--sentences", "punctuation").code == 3  # within the limit of time


def test_text_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LONGEST_WORD", 1 << 20)
    ending = plan(b"x" * 4_000_000)
    assert "text: has more than 1048576 bytes without a blank or a line's end; is it text?" in ending.err
    monkeypatch.setattr(encoding, "memory", lambda: 1_000_000)
    ending = plan(" ".join(map(str, range(5000))).encode(), "--tokenizer", "whitespace")
    assert (ending.code, "the corpus has more than 1,250 different words" in ending.err) == (3, True)


# CSV


@pytest.mark.parametrize("name", ["rot13", "zip", "hex", "idna", "undefined", "unicode_escape", "", "a\\0b"])
def test_encodings_that_no_file_has(name: str) -> None:
    written("data.csv", ROWS)
    written("c.yaml", TABLE.replace("kind}", f'kind, encoding: "{name}"}}'))
    assert "is not known; try utf-8 or latin-1" in refused(2, "check", "c.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ROWS.encode(), "data.csv:1: is not UTF-16 (UTF-16 stream does not start with BOM)"),
        (ROWS.encode("utf-16")[:-1], "data.csv:41: is not UTF-16"),
        (b"\xff\xfe" + b"\x00\xd8" * 9, "data.csv:1: is not UTF-16 (byte 0x00)"),
    ],
)
def test_utf_16_that_is_none(data: bytes, message: str) -> None:
    written("data.csv", data)
    written("c.yaml", TABLE.replace("kind}", "kind, encoding: utf-16}"))
    assert message in refused(3, "check", "c.yaml")
    written("data.csv", ROWS.encode("utf-16"))
    assert command("check", "c.yaml").code == 0


LINES = {
    "a line of 10 MB": ("a,b,kind\n" + "1" * 10_000_000 + ",2,0\n", "field larger than field limit"),
    "a quote left open": ('a,b,kind\n1,2,0\n"' + "x,\n" * 300_000, "is a quote left open in this row?"),
    "a million blank lines": ("a,b,kind\n" + "\n" * 1_000_000 + "1,2,0\n", "the target"),
    "a million columns": ("," * 1_000_000 + "\n", 'there is no column "kind"'),
    "numbers of 100,000 digits": ("a,b,kind\n" + f"{'9' * 100_000},1,0\n" * 20, "expected a finite number"),
    "NUL in a number": (ROWS.replace("3,3,1", "3,\0,1"), 'column "b" holds "\\x00"'),
    "a class for each row": ("a,b,kind\n" + "".join(f"1,2,x{n}\n" for n in range(100_000)), "has 1 row, too few"),
}


@pytest.mark.parametrize("case", LINES)
def test_odd_tables(case: str) -> None:
    text, message = LINES[case]
    written("data.csv", text)
    written("c.yaml", TABLE)
    ending = command("check", "c.yaml")
    assert (ending.code, message in ending.err) == (3, True), ending.err[:500]


def test_wide_tables_and_other_line_ends() -> None:
    columns = 10_000
    header = ",".join(f"c{n}" for n in range(columns)) + ",kind\n"
    written("data.csv", header + "".join("x," * columns + f"{n % 2}\n" for n in range(12)))
    written("c.yaml", TABLE)
    assert command("check", "c.yaml").code == 0
    written("data.csv", ROWS.replace("\n", "\r"))
    assert command("check", "c.yaml").code == 0


def test_pipes_are_not_waited_for() -> None:
    os.mkfifo("pipe.npz")
    assert "expected a file, got a folder, a device or a pipe" in refused(5, "inspect", "pipe.npz")
    os.mkfifo("data.csv")
    written("c.yaml", TABLE)
    assert "data.csv: no such file" in refused(3, "check", "c.yaml")


# YAML


YAML = {
    "laughs": "a: &a [1]\n" + "".join(f"{y}: &{y} [{','.join([f'*{x}'] * 10)}]\n" for x, y in pairwise("abcdefghi")),
    "lists": "a: " + "[" * 200_000,
    "mappings": "{a: " * 100_000,
    "dashes": "- " * 300_000,
    "keys of keys": "? " * 300_000,
    "aliases": "a: &a 1\nb: [" + "*a," * 300_000 + "]",
    "merges": "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a]}}\n" for n in range(3000)),
    "a long number": "%YAML " + "9" * 5000 + ".1\n---\na: 1",
    "a far character": 'a: "\\UFFFFFFFF"',
    "a run's name that leads away": f"name: ../../x\n{TABLE}",
    "half a character": TABLE.replace("data.csv", '"\\ud800"'),
    "many keys": "".join(f"k{n}: 1\n" for n in range(9000)),
    "many typing errors": "".join(f"optimizr{n}: 1\n" for n in range(9000)),
    "code": "seed: !!python/object/apply:os.system ['touch hacked']",
    "2 MB": "a" * 2_000_000,
    "quotes": "'" * 900_000,
    "tags": "!" * 900_000,
}  # fmt: skip


@pytest.mark.parametrize("case", YAML)
def test_odd_yaml(tmp_path: Path, case: str) -> None:
    written("c.yaml", YAML[case])
    ending = command("check", "c.yaml")
    judge(ending, {2})
    assert ending.err.startswith("error: c.yaml")
    assert len(ending.err) < 100_000
    assert command("word2vec", "--config", "c.yaml").code == 2
    assert not (tmp_path / "hacked").exists()


def test_no_message_is_endless() -> None:
    name = "x" * 1_000_000
    checkpoint.save("a.npz", {name[:60_000]: np.zeros(1)}, {"kind": name})
    ending = command("predict", "a.npz", "b.csv")
    assert (ending.code, len(ending.err) < 5000) == (5, True)
