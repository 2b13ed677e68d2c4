"""Corpus -> a file of word ids and its vocabulary: two passes, of which only the first sees text.

The first pass gives each new shape (see tokens.py) the next number and writes the numbers to a file. When all are
counted, the vocabulary is known, and the second pass turns numbers into word ids by looking them up in a table. So text is
read and cut once, even from stdin, and memory holds the different shapes but never the corpus.

    corpus.ids   word ids (uint16, or int32 from 65,535 words on), V for the end of a sentence; the held-out sentences last
    corpus.npz   the vocabulary, how many ids there are, and what they were made of and how: written last, so that
                 a file of ids without it is known as half-finished
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, OutputError
from dlscratch.word2vec.corpus import Corpus
from dlscratch.word2vec.crew import prefetch
from dlscratch.word2vec.formats.arrays import _unpack
from dlscratch.word2vec.tokens import END, Shape, Tokenizer
from dlscratch.word2vec.vocabulary import Selection, Vocabulary
