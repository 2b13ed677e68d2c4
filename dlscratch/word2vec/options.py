"""The options of a word2vec run: one signature, from which the command line and the config file are made."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class Word2VecOptions:
    """What decides about the vectors, besides the corpus."""

    dim: Annotated[int, Ge(1), Le(10_000), Doc("numbers in a word vector")] = 100
    window: Annotated[int, Ge(1), Le(100), Doc("most words to either side; each centre draws 1 … window")] = 5
    negative: Annotated[int, Ge(1), Le(1000), Doc("noise words for each pair of words")] = 5
    sample: Annotated[float, Ge(0), Lt(1), Doc("words with a larger share of the text are thinned out; 0: none")] = 1e-3
    min_count: Annotated[int, Ge(1), Doc("words that occur less often are dropped")] = 5
    max_vocab: Annotated[int | None, Ge(2), Doc("keep at most so many words, the most frequent ones")] = None
    epochs: Annotated[int, Ge(1), Doc("passes over the corpus")] = 5
    lr: Annotated[float, Gt(0), Le(1), Doc("learning rate at the start; falls linearly to almost 0")] = 0.025
    noise_exponent: Annotated[float, Ge(-2), Le(2), Doc("noise words are drawn by count to this power")] = 0.75
    seed: Annotated[int, Ge(0), Doc("the one number that all randomness comes from")] = 0
    tokenizer: Annotated[
        Literal["words", "whitespace"], Doc("words: letters with apostrophes inside; whitespace: text as it is")
    ] = "words"
    sentences: Annotated[
        Literal["lines", "punctuation"], Doc("what ends a sentence: the line, or . ! ? and empty lines")
    ] = "lines"
    lowercase: Annotated[bool, Doc("turn words into small letters; the tokenizer whitespace never does")] = True
    stopwords: Annotated[str | None, Doc("a file of words to leave out, one a line")] = None
    errors: Annotated[Literal["strict", "replace"], Doc("bytes that are not UTF-8: refuse, or put U+FFFD")] = "strict"
    objective: Annotated[
        Literal["sgns", "softmax"],
        Doc("sgns: negative sampling; softmax: the whole vocabulary, slow, for small corpora"),
    ] = "sgns"
    tokens_per_step: Annotated[
        int | None, Ge(1), Le(1 << 20), Doc("words that one step learns from; by default what suits the corpus")
    ] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run goes and what it leaves: nothing here changes a vector."""

    threads: Annotated[
        int | None, Ge(1), Le(1024), Doc("threads, by default all processors; the vectors stay the same")
    ] = None
    input_only: Annotated[bool, Doc("leave the second table out of vectors.npz, which halves it")] = False
    keep_encoded: Annotated[bool, Doc("keep the encoded corpus beside the vectors, and use it again")] = False
