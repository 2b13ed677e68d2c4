"""Nearest words, analogies and the rest against gensim's answers; ties, batches, and unknown words."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscratch.errors import CheckpointError, DataError, ShapeError, UsageError
from dlscratch.word2vec.formats import Table, write
from dlscratch.word2vec.search import METHODS, Query, UnitVectors
from dlscratch.word2vec.vectors import WordVectors, closest_spellings

GOLDEN = Path(__file__).parents[1] / "golden" / "gensim_vectors"


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    return WordVectors.load(GOLDEN / "vectors.txt")


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    result: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
    return result


def same(ours: list[Any], theirs: list[Any]) -> None:
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([score for _, score in ours], [score for _, score in theirs], rtol=3e-6)


def test_answers_equal_those_of_gensim(vectors: WordVectors, answers: dict[str, Any]) -> None:
    same(vectors.nearest(["stem00a", "stem02b"], ["été"], top=8), answers["nearest"])
    same(vectors.nearest("слово", top=5), answers["nearest one"])
    same(vectors.analogy("stem00a", "stem00b", "stem02a", top=5), answers["3cosadd"])
    same(vectors.analogy("stem00a", "stem00b", "stem02a", top=5, method="3cosmul"), answers["3cosmul"])
    assert vectors.odd_one_out(["stem00a", "stem00b", "stem00c", "😀"]) == answers["odd"]
    assert vectors.similarity("言葉", "été") == pytest.approx(answers["similarity"], rel=1e-5)


def test_a_batch_answers_as_one_at_a_time(vectors: WordVectors) -> None:
    queries = [([word], [other]) for word, other in zip(vectors.words, vectors.words[::-1], strict=True)]
    assert vectors.nearest_batch(queries, 4) == [vectors.nearest(*query, top=4) for query in queries]
    questions = list(zip(vectors.words, vectors.words[1:], vectors.words[2:], strict=False))
    for method in METHODS:
        batch = vectors.analogy_batch(questions, 3, method)
        assert batch == [vectors.analogy(*question, top=3, method=method) for question in questions]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_search_agrees_with_a_plain_float64_search(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    count, dim = data.draw(st.integers(2, 30)), data.draw(st.integers(1, 9))
    table = rng.integers(-2, 3, size=(count, dim)).astype(np.float32)  # many ties, opposite rows and rows of zeros
    table *= np.float32(10.0) ** rng.integers(-30, 30, size=(count, 1))
    row = st.integers(0, count - 1)
    query = Query(data.draw(st.lists(row, min_size=1, max_size=3)), data.draw(st.lists(row, max_size=2)), [0])
    limit, top = data.draw(st.integers(1, count)), data.draw(st.integers(1, 5))
    unit = UnitVectors(table)
    for method, objective in METHODS.items():
        cosines = unit.cosines(np.arange(limit), query.positive + query.negative)
        parts = [*objective.prepare(cosines)]
        scores = objective.combine(parts[: len(query.positive)], parts[len(query.positive) :])
        expected = [n for n in np.argsort(-scores, kind="stable") if n not in query.excluded][:top]
        rows, found = next(unit.search([query], top, method, limit))
        assert rows.tolist() == expected
        assert found.tolist() == scores[expected].tolist()


def test_cosines_that_float32_cannot_tell_apart_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    table = (rng.normal(size=300) + 1e-6 * rng.normal(size=(200, 300))).astype(np.float32)
    exact = table / np.sqrt((table.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    expected = [f"w{n}" for n in np.argsort(-(exact @ exact[0]), kind="stable") if n][:20]
    vectors = WordVectors([f"w{n}" for n in range(200)], table)
    assert [word for word, _ in vectors.nearest("w0", top=20)] == expected


def test_ties_come_in_the_order_of_the_vocabulary() -> None:
    rng = np.random.default_rng(0)
    table = np.repeat(rng.normal(size=(4, 50)).astype(np.float32), 25, axis=0)
    vectors = WordVectors([f"w{n}" for n in range(100)], table)
    assert [word for word, _ in vectors.nearest("w10", top=24)] == [f"w{n}" for n in range(25) if n != 10]


def test_what_is_asked_for_is_no_answer(vectors: WordVectors) -> None:
    words = {word for word, _ in vectors.nearest(["stem00a", "stem00b"], ["stem00c"], top=1000)}
    assert words == set(vectors.words) - {"stem00a", "stem00b", "stem00c"}


def test_a_row_of_zeros_is_like_nothing() -> None:
    vectors = WordVectors(["zero", "a", "b"], np.array([[0, 0], [1, 0], [0, 1]]))
    assert vectors.similarity("zero", "a") == 0
    assert [score for _, score in vectors.nearest("zero")] == [0, 0]


def test_an_unknown_word_is_told_with_the_closest_spellings(vectors: WordVectors) -> None:
    with pytest.raises(
        UsageError, match=r'"stm00a"; the closest spellings are "stem00a", "stem02a", "stem03a"$'
    ):
        vectors["stm00a"]
    with pytest.raises(UsageError, match=r'no vector for "Stem00a"; there is "stem00a": upper and lower case count'):
        vectors.nearest("Stem00a")
    with pytest.raises(UsageError, match=r'^no vector for "zzzzqqqq"$'):
        vectors.similarity("zzzzqqqq", "stem00a")


def test_the_closest_spellings_of_38000_words_come_fast() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(row) for row in rng.choice(list("abcdefghij"), size=(38_000, 7))] + ["silver"]
    started = time.process_time()
    assert closest_spellings("silvr", words)[0] == "silver"
    assert time.process_time() - started < 1


def test_wrong_questions_are_refused(vectors: WordVectors) -> None:
    with pytest.raises(UsageError, match="top must be at least 1, got 0"):
        vectors.nearest("été", top=0)
    with pytest.raises(UsageError, match="at least one word"):
        vectors.nearest([])
    with pytest.raises(UsageError, match="three words or more, got 2"):
        vectors.odd_one_out(["stem00a", "stem00b"])
    with pytest.raises(UsageError, match="no method"):
        vectors.analogy("stem00a", "stem00b", "stem02a", method="3cosine")  # type: ignore[arg-type]


def test_it_is_a_container_of_read_only_vectors(vectors: WordVectors) -> None:
    assert "été" in vectors
    assert "zzz" not in vectors
    assert len(vectors) == len(vectors.words) == 55
    assert repr(vectors) == "WordVectors(55 words, 12 dimensions)"
    np.testing.assert_array_equal(vectors["😀"], vectors.vectors[-1])
    with pytest.raises(ValueError, match="read-only"):
        vectors["😀"][0] = 1


def test_damaged_content_is_refused_with_the_word(tmp_path: Path) -> None:
    table = np.ones((3, 2), np.float32)
    with pytest.raises(DataError, match="'b' occurs twice, as number 1 and number 3"):
        WordVectors(["b", "a", "b"], table)
    bad = table.copy()
    bad[1, 1] = np.nan
    with pytest.raises(DataError, match=r"the vector of 'b' \(number 2\) has nan in it"):
        WordVectors("abc", bad)
    with pytest.raises(DataError, match=r"the vector of 'b' \(number 2\) has nan in it"):
        WordVectors("abc", table, output=bad)
    with pytest.raises(DataError, match="has inf in it"):
        WordVectors("abc", np.full((3, 2), 1e300))
    for shape in ((2, 2), (3,), (3, 0)):
        with pytest.raises(ShapeError, match=r"expected vectors of shape \(3, dimensions\)"):
            WordVectors("abc", np.ones(shape))
    with pytest.raises(ShapeError, match="expected output of shape"):
        WordVectors("abc", table, output=np.ones((3, 1)))
    with pytest.raises(ShapeError, match="expected counts of shape"):
        WordVectors("abc", table, counts=np.ones(2, np.int64))
    with pytest.raises(DataError, match="there are no words"):
        WordVectors([], np.ones((0, 2)))
    write(tmp_path / "bad.npz", Table(list("abc"), bad))
    write(tmp_path / "bad.txt", Table(list("abc"), bad))
    with pytest.raises(CheckpointError, match=r"bad.npz: the vector of 'b'"):
        WordVectors.load(tmp_path / "bad.npz")
    with pytest.raises(DataError, match=r"bad.txt: the vector of 'b'"):
        WordVectors.load(tmp_path / "bad.txt")
