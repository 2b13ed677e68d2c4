"""Lines of a CSV in pieces: nothing is lost or changed where one ends, in any encoding; and the thread that helps."""

from __future__ import annotations

import io
import threading
import time
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.backend import limit_threads
from dlscratch.datasets import CsvReader, csv_lines
from dlscratch.datasets.ahead import ahead
from dlscratch.datasets.csv_lines import FRONT, Lines, TextLines, pieces
from dlscratch.errors import DataError

ENCODINGS = ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "shift-jis"]
words = st.text("abc,;\"'09.-ü", max_size=12)


def read(text: str, encoding: str) -> list[Lines]:
    return list(pieces(io.BytesIO(text.encode(encoding)), encoding))


@pytest.fixture(params=[1, 2, 3, 7, 64], autouse=True)
def small_pieces(request, monkeypatch):
    """Borders at every place."""
    monkeypatch.setattr(csv_lines, "PIECE", request.param)
    monkeypatch.setattr(csv_lines, "USUAL", 2)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end"])
def test_pieces_are_the_text_in_whole_lines(encoding, newline, last):
    accent = "я" if encoding == "shift-jis" else "é"
    text = newline.join(["a,b", "", f"{accent}{accent},1", "x" * 50, f"1,{accent}", last])
    found = read(text, encoding)
    assert all(piece.data[piece.end - 1] == ord("\n") for piece in found)
    assert "".join(piece.text() for piece in found).splitlines() == text.splitlines()
    assert all(len(piece.data) % 8 == 0 and piece.data[FRONT - 1] == ord("\n") for piece in found)


@given(st.lists(words, max_size=20), st.integers(0, 20))
def test_lines_that_were_taken_and_the_rest_are_all_lines(lines, count):
    text = "".join(f"{line}\n" for line in lines)
    source = TextLines(iter(read(text, "utf-8")))
    taken = list(islice(source, count))
    assert len(taken) == min(count, len(lines))
    assert "".join([*taken, *(piece.text() for piece in source.rest())]) == text


def test_tables_are_the_same_whatever_the_pieces(tmp_path, monkeypatch):
    rows = [f"{n},{n / 7!r},{'' if n % 9 == 0 else -n},word {n % 7} ü,{n:.2e}" for n in range(300)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,d,e", *rows]))
    small = CsvReader(str(tmp_path / "data.csv")).read()
    monkeypatch.setattr(csv_lines, "PIECE", 1 << 20)
    with limit_threads(1):
        large = CsvReader(str(tmp_path / "data.csv")).read()
    for name in "abce":
        np.testing.assert_array_equal(small.columns[name], large.columns[name])
    assert small.columns["d"].names == large.columns["d"].names
    np.testing.assert_array_equal(small.columns["d"].codes, large.columns["d"].codes)
    np.testing.assert_array_equal(small.columns["b"], np.arange(300) / 7)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_lines_that_end_as_they_did_on_a_mac_are_pieces_too(encoding, monkeypatch):
    monkeypatch.setattr(csv_lines, "PIECE", 64)
    assert len(read("1,2\r" * 1000, encoding)) > 10


def test_what_is_not_utf8_is_told_with_its_line(tmp_path, monkeypatch):
    """Even in a column that nobody wants, far behind the header."""
    monkeypatch.setattr(csv_lines, "PIECE", 1000)
    (tmp_path / "data.csv").write_bytes(b"a,b\n" + b"x,2\n" * 9998 + b"\xff,2\n" + b"x,2\n" * 9)
    with pytest.raises(DataError, match=r"data.csv:10000: is not UTF-8 \(byte 0xff\)"):
        CsvReader(str(tmp_path / "data.csv"), drop=["a"]).read()


def test_ahead_is_map():
    assert list(ahead(str, range(20))) == list(map(str, range(20)))
    assert list(ahead(str, [])) == []


def test_errors_of_the_function_and_of_the_items_come_through():
    results = ahead(lambda n: 1 / n, [2, 1, 0, 5])
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)

    def items():
        yield 1
        raise ValueError("item")

    with pytest.raises(ValueError, match="item"):
        list(ahead(str, items()))


def test_a_map_that_is_left_ends_its_thread():
    results = ahead(str, iter(int, 1))
    next(results)
    results.close()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("ahead") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
