"""Text files as pieces: every packing, folders, stdin, damage, and bytes that are not UTF-8."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.errors import DataError
from dlscratch.word2vec.corpus import Corpus, cut

TEXT = "Gold and silver.\nAnd naïve — words\n".encode()


def text_of(*paths, **options):
    return b"".join(Corpus([str(path) for path in paths], **options).pieces())


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.txt", bytes), ("a.gz", gzip.compress), ("a.bz2", bz2.compress), ("a.xz", lzma.compress), ("b", gzip.compress)],
)
def test_packed_files_are_known_by_their_first_bytes(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(TEXT))
    assert text_of(tmp_path / name) == TEXT + b"\n"


def test_several_files_come_in_the_order_given_and_folders_sorted(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("folder/b.txt", "folder/deep/c", "folder/a.md", "folder/.hidden", "first"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder" / "picture.png").write_bytes(b"\x89PNG\0\0")
    corpus = Corpus([tmp_path / "first", tmp_path / "folder"])
    assert b"".join(corpus.pieces()) == b"first\nfolder/a.md\nfolder/b.txt\nfolder/deep/c\n"
    assert [path.rsplit("/", 1)[1] for path in corpus.skipped] == ["picture.png"]


def test_stdin_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(TEXT))))
    assert text_of("-") == TEXT + b"\n"


def test_the_fingerprint_is_that_of_the_files(tmp_path):
    packed = gzip.compress(TEXT) + b"trailing"[:0]
    (tmp_path / "a.gz").write_bytes(packed)
    corpus = Corpus([tmp_path / "a.gz"])
    list(corpus.pieces())
    assert corpus.digests == [hashlib.sha256(packed).hexdigest()]
    assert corpus.sizes == [len(packed)]
    assert corpus.fingerprint == Corpus([tmp_path / "a.gz"]).read_fingerprint()


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfword")
    assert text_of(tmp_path / "a") == b"word\n"


def test_bytes_that_are_not_utf8_are_named_by_file_line_and_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("dlscratch.word2vec.corpus.PIECE", 16)
    (tmp_path / "latin.txt").write_bytes(b"one\ntwo three four five\nsix na\xefve\n")
    with pytest.raises(DataError, match=r"latin\.txt:3: byte 30 of the text \(0xef\) is not UTF-8.*errors: replace"):
        text_of(tmp_path / "latin.txt")
    assert text_of(tmp_path / "latin.txt", errors="replace").decode().endswith("six na\ufffdve\n\n")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_that_breaks_off_is_named(tmp_path, pack):
    data = pack(b"".join(b"%d " % (n * 7919) for n in range(9999)))
    (tmp_path / "broken.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "broken.gz").rename(tmp_path / "broken")
    with pytest.raises(DataError, match="broken: cannot be read to its end"):
        text_of(tmp_path / "broken")


def test_a_file_damaged_in_the_middle_is_named(tmp_path):
    data = bytearray(gzip.compress(b"".join(b"%d " % (n * 7919) for n in range(9999))))
    data[len(data) // 2] ^= 255
    (tmp_path / "broken.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"broken\.gz: cannot be read to its end"):
        text_of(tmp_path / "broken.gz")


def test_a_name_that_promises_what_the_file_is_not(tmp_path):
    (tmp_path / "plain.gz").write_text("text")
    with pytest.raises(DataError, match=r"plain\.gz: the name ends in \.gz, but"):
        text_of(tmp_path / "plain.gz")


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.png").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"holds no text files \(1 files looked at\)"):
        Corpus([tmp_path / "empty"])
    with pytest.raises(DataError, match="no text to read"):
        Corpus([])
    with pytest.raises(DataError, match=r"novls\.txt: no such file"):
        Corpus([tmp_path / "novls.txt"])


@given(st.text(alphabet="ab \n\t", max_size=200).map(str.encode), st.integers(1, 9))
def test_pieces_lose_nothing_and_cut_no_word(text, size):
    pieces = list(cut(text[i : i + size] for i in range(0, len(text), size)))
    assert b"".join(pieces) == text
    assert [word for piece in pieces for word in piece.split()] == text.split()
    assert all(piece[-1:] in b" \n\t" for piece in pieces[:-1])
