"""From text to ids on the disk and back, against Python's own counting."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from dlscratch.errors import DataError, OutputError
from dlscratch.word2vec import encoding
from dlscratch.word2vec.corpus import Corpus
from dlscratch.word2vec.encoding import encode, load
from dlscratch.word2vec.tokens import Tokenizer
from dlscratch.word2vec.vocabulary import Selection

KJV = "data/kjv.txt.gz"


@pytest.fixture
def text(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array([f"w{'abcdefghij'[n % 10]}{'xyz' * (n // 10)}" for n in range(60)])
    lines = [" ".join(words[np.minimum(rng.zipf(1.3, rng.integers(0, 12)), 60) - 1]) for _ in range(3000)]
    path = tmp_path / "text.txt"
    path.write_text("\n".join([*lines, "some—words, “glued” to.Gether"]))
    return path


def encoded_in(folder, path, min_count=5, **options):
    return encode(Corpus([path]), Tokenizer(**options), Selection(min_count), folder)


def sentences_of(encoded):
    """Training and held-out sentences as words."""
    ids = encoded.read(0, encoded.training + encoded.held_out)
    result = []
    for part in (ids[: encoded.training], ids[encoded.training :]):
        words = "".join("\n" if i == len(encoded.vocabulary) else encoded.vocabulary.words[i] + " " for i in part)
        result.append([line.split() for line in words.split("\n") if line])
    return result


def test_ids_stand_for_the_words_of_the_text(text, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "NUMBERS", 1000)
    encoded = encoded_in(tmp_path / "run", text)
    lines = [re.findall("[a-z]+", line.lower()) for line in text.read_text().split("\n")]
    counts = Counter(word for line in lines for word in line)
    kept = [[word for word in line if counts[word] >= 5] for line in lines]
    kept = [line for line in kept if line]
    held_out = [line for i, line in enumerate(kept) if i % 1000 == 500]
    assert sentences_of(encoded) == [[line for i, line in enumerate(kept) if i % 1000 != 500], held_out]
    assert dict(zip(encoded.vocabulary.words, encoded.vocabulary.counts, strict=True)) == {
        word: n for word, n in counts.items() if n >= 5
    }
    report = encoded.report
    assert (report.words, report.distinct, report.sentences) == (sum(counts.values()), len(counts), len(kept))
    assert report.dropped == sum(n for n in counts.values() if n < 5)


def test_glued_words_are_taken_apart(text, tmp_path):
    words = encoded_in(tmp_path / "run", text, min_count=1).vocabulary.words
    assert {"some", "words", "glued", "to", "gether"} <= set(words)


def test_what_is_there_is_used_again_only_for_the_same_text_and_recipe(text, tmp_path, monkeypatch):
    first = encoded_in(tmp_path / "run", text)
    monkeypatch.setattr(encoding, "_number", None)  # reading the text again would fail
    assert encoded_in(tmp_path / "run", text).vocabulary.words == first.vocabulary.words
    with pytest.raises(TypeError):
        encoded_in(tmp_path / "run", text, min_count=6)
    text.write_text(text.read_text() + "x")
    with pytest.raises(TypeError):
        encoded_in(tmp_path / "run", text)


def test_an_unfinished_file_is_not_used(text, tmp_path):
    encoded = encoded_in(tmp_path / "run", text)
    ids = (tmp_path / "run" / "corpus.ids").read_bytes()
    (tmp_path / "run" / "corpus.ids").write_bytes(ids[:-2])
    assert load(tmp_path / "run") is None
    encoding.remove(encoded.folder)
    assert list((tmp_path / "run").iterdir()) == []
    assert load(tmp_path / "run") is None


@pytest.mark.parametrize(
    ("text", "held_out"), [("a b a b a b", 0), ("T\n" + "a b " * 50, 0), ("a b c\n" * 40, 4), ("a b\n" * 1600, 6)]
)
def test_a_sentence_is_held_out_where_there_are_enough(tmp_path, text, held_out):
    (tmp_path / "t").write_text(text)
    encoded = encoded_in(tmp_path, tmp_path / "t", min_count=1)
    assert encoded.held_out == held_out
    assert encoded.training + encoded.held_out == encoded.report.words + encoded.report.sentences


def test_a_large_vocabulary_takes_larger_ids(tmp_path):
    words = ["".join("abcdefghij"[int(d)] for d in f"{n:05}") for n in range(70_000)]
    (tmp_path / "t").write_text("\n".join(words))
    encoded = encoded_in(tmp_path, tmp_path / "t", min_count=1)
    assert encoded.dtype == np.int32
    assert sentences_of(encoded)[0][:3] == [[word] for word in words[:3]]


def test_an_empty_corpus_and_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "empty").write_text("  \n\n 12 …\n")
    with pytest.raises(DataError, match="holds no words"):
        encoded_in(tmp_path, tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]
    with pytest.raises(OutputError, match=r"cannot be written"):
        encoded_in(tmp_path / "empty" / "run", tmp_path / "empty")
