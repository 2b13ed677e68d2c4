"""What is a word: the fast way on bytes against the pattern on text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlscratch.word2vec import tokens
from dlscratch.word2vec.tokens import END, Tokenizer, _pattern

LETTERS = st.text(alphabet="abzAZ'’ .!?-_09éÉßΣσ—“”…。हिन्\u00a0\n\t", max_size=60)


def sentences(text, *args, **options):
    tokenizer = Tokenizer(*args, **options)
    found = [[]]
    for shape in tokenizer.shapes(text.encode()):
        if shape == END:
            found.append([])
        found[-1] += tokenizer.words(shape)
    return [words for words in found if words]


@given(LETTERS)
@example("Don’t 'tis knee'd' said—then “Été” 3.5 well-known rock'n'roll")
def test_words_are_those_of_the_pattern_line_by_line(text):
    lines = [[word.replace("’", "'").lower() for word in _pattern().findall(line)] for line in text.split("\n")]
    assert sentences(text) == [line for line in lines if line]


@given(LETTERS)
def test_both_ways_of_cutting_find_the_same_words(text):
    usual = sentences(text)
    limit, tokens.MOSTLY_FOREIGN = tokens.MOSTLY_FOREIGN, -1.0
    try:
        assert sentences(text + "\né")[:-1] == usual
    finally:
        tokens.MOSTLY_FOREIGN = limit


@given(LETTERS)
def test_whitespace_takes_text_as_it_is(text):
    lines = [line.split() for line in text.split("\n")]
    assert sentences(text, "whitespace") == [line for line in lines if line]


def test_the_rules_by_example():
    assert sentences("Don’t 'tis KNEE' naïve, 3rd rock'n'roll हिन्दी") == [
        ["don't", "tis", "knee", "naïve", "rd", "rock'n'roll", "हिन्दी"]
    ]
    assert sentences("The End", lowercase=False) == [["The", "End"]]
    assert sentences("The END", "whitespace") == [["The", "END"]]


@pytest.mark.parametrize("kind", ["words", "whitespace"])
def test_sentences_by_punctuation(kind):
    text = 'He said "no." Then 3.5\nmiles! More\n\nnext… 終わり。新 U.S.A'
    found = [[w.strip('".!…。') for w in line] for line in sentences(text, kind, "punctuation", False)]
    assert [line[0] for line in found] == ["He", "Then", "More", "next", "終わり", "新"]


def test_a_word_of_any_length_is_a_word():
    assert sentences("a" * 3_000_000 + " b") == [["a" * 3_000_000, "b"]]
