"""Word vectors from text: a corpus is encoded, trained on, and asked.

Names are imported when they are first used: the command line reads the options, and must not wait for NumPy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes five milliseconds to import
if TYPE_CHECKING:
    from typing import Any

    from dlscratch.word2vec.corpus import Corpus
    from dlscratch.word2vec.encoding import Encoded, encode
    from dlscratch.word2vec.evaluate import evaluate_analogies, evaluate_similarity
    from dlscratch.word2vec.options import Word2VecOptions
    from dlscratch.word2vec.tokens import Tokenizer
    from dlscratch.word2vec.trainer import Trainer
    from dlscratch.word2vec.vectors import WordVectors
    from dlscratch.word2vec.vocabulary import Selection, Vocabulary

_HOMES = {
    "Corpus": "corpus",
    "Encoded": "encoding",
    "encode": "encoding",
    "evaluate_analogies": "evaluate",
    "evaluate_similarity": "evaluate",
    "Word2VecOptions": "options",
    "Tokenizer": "tokens",
    "Trainer": "trainer",
    "WordVectors": "vectors",
    "Selection": "vocabulary",
    "Vocabulary": "vocabulary",
}

__all__ = [
    "Corpus",
    "Encoded",
    "Selection",
    "Tokenizer",
    "Trainer",
    "Vocabulary",
    "Word2VecOptions",
    "WordVectors",
    "encode",
    "evaluate_analogies",
    "evaluate_similarity",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dlscratch.word2vec' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"dlscratch.word2vec.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
