"""Similarity and analogy sets against gensim's numbers; ranks against scipy's definition; malformed sets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.errors import DataError, UsageError
from dlscratch.word2vec.evaluate import correlation, evaluate_analogies, evaluate_similarity, ranks
from dlscratch.word2vec.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden" / "gensim_vectors"
VECTORS = WordVectors.load(GOLDEN / "vectors.txt")
ANSWERS: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
SMALL = WordVectors(["a", "b", "c", "d"], np.array([[1, 0], [1, 1], [0, 1], [-1, 1]]))


def write(folder: Path, text: str, name: str = "set.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("limit", [300_000, 30])
def test_similarity_equals_gensims(limit: int) -> None:
    result = evaluate_similarity(VECTORS, GOLDEN / "similarity.tsv", restrict_vocab=limit)
    pearson, spearman, unknown = ANSWERS[f"pairs {limit}"]
    assert result.spearman == pytest.approx(spearman, abs=1e-7)
    assert result.pearson == pytest.approx(pearson, abs=1e-6)
    assert 100 * (1 - result.used / result.pairs) == pytest.approx(unknown)
    assert result.low is not None
    assert result.high is not None
    assert -1 <= result.low < spearman < result.high <= 1


@pytest.mark.parametrize(("limit", "insensitive"), [(300_000, True), (40, True), (300_000, False)])
def test_analogies_equal_gensims(limit: int, insensitive: bool) -> None:
    path = GOLDEN / "analogies.txt"
    result = evaluate_analogies(VECTORS, path, restrict_vocab=limit, case_sensitive=not insensitive)
    theirs = ANSWERS[f"analogies {limit} {insensitive}"]
    ours = {score.name: [score.correct, score.used] for score in (*result.sections, result.total)}
    assert ours == {name.replace("Total accuracy", "total"): value for name, value in theirs.items()}
    assert result.total.questions == 160
    assert result.restrict_vocab == min(limit, len(VECTORS))


def test_sections_named_gram_are_syntactic() -> None:
    result = evaluate_analogies(VECTORS, GOLDEN / "analogies.txt")
    by_name = {score.name: score for score in result.sections}
    assert result.semantic is not None
    assert result.syntactic is not None
    assert result.semantic.correct == by_name["first"].correct + by_name["second"].correct
    assert result.syntactic.used == by_name["gram1-third"].used + by_name["gram2-fourth"].used
    assert result.total.accuracy == result.total.correct / result.total.used


def test_3cosmul_asks_for_the_same_as_analogy(tmp_path: Path) -> None:
    question = ("stem00a", "stem00b", "stem02a")
    for method in ("3cosadd", "3cosmul"):
        answer = VECTORS.analogy(*question, top=1, method=method)[0].word  # type: ignore[arg-type]
        path = write(tmp_path, " ".join([*question, answer.upper()]))
        assert evaluate_analogies(VECTORS, path, method=method).total.correct == 1  # type: ignore[arg-type]


def test_other_cases_of_the_asked_words_are_no_answers(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "b", "c", "C", "d"], np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 4]]))
    assert evaluate_analogies(vectors, write(tmp_path, ": s\na b c D\n")).total.correct == 1
    case = evaluate_analogies(vectors, write(tmp_path, ": s\na b c d\n"), case_sensitive=True)
    assert case.total.correct == 0  # "C" is the answer then


def test_any_case_of_the_expected_word_is_right_and_upper_case_is_what_counts(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "b", "c", "strasse", "STRASSE"], np.array([[1, 0], [1, 0], [0, 1], [-1, 0], [1, 4]]))
    assert evaluate_analogies(vectors, write(tmp_path, ": s\na b c Straße\n")).total.correct == 1


def test_a_question_that_leaves_no_word_over_is_wrong(tmp_path: Path) -> None:
    assert evaluate_analogies(SMALL, write(tmp_path, "a b c a"), restrict_vocab=3).total.correct == 0


def test_unknown_questions_count_as_not_used(tmp_path: Path) -> None:
    result = evaluate_analogies(SMALL, write(tmp_path, ": one\na b c x\n: two\na b c d\n"))
    first = result.sections[0]
    assert (first.questions, first.used, first.accuracy) == (1, 0, None)
    assert result.semantic is None


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=30))
def test_ranks_are_means_over_ties(values: list[int]) -> None:
    expected = [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]
    assert ranks(np.array(values)).tolist() == expected


def test_correlation_is_numpys_and_none_where_there_is_no_order() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert correlation(x, np.full(40, 0.1)) is None


def test_the_bootstrap_interval_depends_on_the_seed_alone() -> None:
    first, again, other = (
        evaluate_similarity(VECTORS, GOLDEN / "similarity.tsv", seed=seed, resamples=50) for seed in (1, 1, 2)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


@pytest.mark.parametrize(
    "text",
    [
        "a\tb\t3\nb\tc\t2\na\tc\t1\n",
        "# comment\n\na b 3\nb c 2\na c 1",
        "\ufeffWord 1,Word 2,Human (mean)\na, b, 3\r\nb,c,2\na,c,1e0\n",
        "a\tb\t3\t1\t7\nb\tc\t2\t1\t1\na\tc\t1\t0\t0\nx\ty\t4\n",
    ],
)
def test_similarity_files_of_all_kinds(tmp_path: Path, text: str) -> None:
    result = evaluate_similarity(SMALL, write(tmp_path, text))
    assert (result.used, result.spearman) == (3, pytest.approx(0.8660254))
    packed = tmp_path / "set.tsv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert evaluate_similarity(SMALL, packed).spearman == result.spearman


def test_unknown_words_are_listed(tmp_path: Path) -> None:
    result = evaluate_similarity(SMALL, write(tmp_path, "a b 3\na zoo 2\nZOO ape 1\nb c 1\n"))
    assert (result.pairs, result.used, result.unknown_words) == (4, 2, ("ZOO", "ape", "zoo"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b 1\na b\n", r"set.txt:2: expected two words and a score, separated by spaces, got 'a b'"),
        ("a\tb\t1\na\tb\tnan\n", r"set.txt:2: .* separated by tabs"),
        ("a,b,1\na,,1\n", r"set.txt:2: .* separated by commas"),
        ("x y\n", r"set.txt:1: expected two words"),
        ("# nothing\n", "holds no pairs"),
        ("x y 1\n", "no pair has both words among the vectors; unknown are x, y"),
    ],
)
def test_malformed_similarity_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_similarity(SMALL, write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (": s\na b c d\na b c\n", r"set.txt:3: expected a question of four words, got 3: 'a b c'"),
        (": s\n", "holds no questions"),
        ("", "holds no questions"),
    ],
)
def test_malformed_analogy_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_analogies(SMALL, write(tmp_path, text))


def test_bytes_that_are_not_utf8_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"a b 1\n\xe9 b 2\n")
    with pytest.raises(DataError, match=r"latin.txt:2: byte 0 is not UTF-8"):
        evaluate_similarity(SMALL, tmp_path / "latin.txt")
    with pytest.raises(DataError, match=r'no such file; did you mean "latin.txt"'):
        evaluate_analogies(SMALL, tmp_path / "latim.txt")
    with pytest.raises(UsageError, match="restrict_vocab must be at least 1"):
        evaluate_analogies(SMALL, tmp_path / "latin.txt", restrict_vocab=0)
    with pytest.raises(UsageError, match="no method"):
        evaluate_analogies(SMALL, tmp_path / "latin.txt", method="cos")  # type: ignore[arg-type]
