"""The plain model over the whole vocabulary: the same sense, the same interface."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlscratch.word2vec.corpus import Corpus
from dlscratch.word2vec.encoding import encode
from dlscratch.word2vec.options import Word2VecOptions
from dlscratch.word2vec.softmax import OBJECTIVES
from dlscratch.word2vec.tokens import Tokenizer
from dlscratch.word2vec.trainer import Epoch
from dlscratch.word2vec.vectors import WordVectors
from dlscratch.word2vec.vocabulary import Selection

FRAMES = ["the {} eats the fish", "a {} sleeps on the mat", "my {} drinks milk at night"]
CITIES = ["we went to {} by train", "the mayor of {} spoke", "in {} it rains every day"]
NAMES = {**dict.fromkeys(["cat", "dog", "fox"], FRAMES), **dict.fromkeys(["paris", "rome", "oslo"], CITIES)}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    lines = [frame.format(name) for name, frames in NAMES.items() for frame in frames] * 10
    (folder / "text").write_text("\n".join(rng.permutation(lines)))
    return encode(Corpus([folder / "text"]), Tokenizer(), Selection(), folder)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_words_in_the_same_places_are_neighbours(encoded, objective, tmp_path):
    options = Word2VecOptions(objective=objective, dim=16, window=3, epochs=40, sample=0, lr=0.025)
    trainer = OBJECTIVES[objective](encoded, options)
    epochs = [record for record in trainer.run() if isinstance(record, Epoch)]
    assert epochs[-1].loss < epochs[0].loss
    trainer.save(tmp_path / "vectors.npz")
    vectors = WordVectors.load(tmp_path / "vectors.npz")
    assert {word for word, _ in vectors.nearest("cat", top=2)} == {"dog", "fox"}
    assert {word for word, _ in vectors.nearest("rome", top=2)} == {"paris", "oslo"}


def test_softmax_goes_on_from_a_state_with_the_same_bits(encoded):
    options = Word2VecOptions(objective="softmax", dim=8, epochs=2)
    whole, broken, resumed = (OBJECTIVES["softmax"](encoded, options) for _ in range(3))
    list(whole.run())
    list(itertools.islice(broken.run(), 9))
    resumed.restore(*broken.state())
    list(resumed.run())
    assert resumed.input.tobytes() == whole.input.tobytes()


def test_the_loss_is_the_cross_entropy_of_all_pairs(encoded):
    trainer = OBJECTIVES["softmax"](encoded, Word2VecOptions(objective="softmax", dim=8, window=1, sample=0))
    scores = trainer.input.astype(float) @ trainer.output.T.astype(float)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    ids = encoded.read(encoded.training, encoded.held_out)
    pairs = [(a, b) for a, b in itertools.pairwise(ids) if max(a, b) < len(encoded.vocabulary)]
    expected = -np.mean([logs[a, b] + logs[b, a] for a, b in pairs]) / 2
    assert trainer.held_out_loss() == pytest.approx(expected)
