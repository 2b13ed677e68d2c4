"""The fast trainer: one formula with autograd, the same bits for any threads, and nothing that makes it diverge."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.crew import Crew
from dlscratch.errors import CheckpointError, DivergedError
from dlscratch.word2vec.blocks import Blocks
from dlscratch.word2vec.corpus import Corpus
from dlscratch.word2vec.encoding import encode
from dlscratch.word2vec.options import Word2VecOptions
from dlscratch.word2vec.plan import plan
from dlscratch.word2vec.prefetch import prefetch
from dlscratch.word2vec.sgns import Block, sgns
from dlscratch.word2vec.tokens import Tokenizer
from dlscratch.word2vec.trainer import Epoch, Trainer
from dlscratch.word2vec.vectors import WordVectors
from dlscratch.word2vec.vocabulary import Selection

KJV = Path(__file__).parents[2] / "data" / "kjv.txt.gz"


@pytest.fixture(scope="module")
def kjv(tmp_path_factory):
    return encode(Corpus([KJV]), Tokenizer(), Selection(), tmp_path_factory.mktemp("kjv"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return encoded_text(tmp_path_factory.mktemp("small"), random_text())


def random_text(lines=600, words=40):
    rng = np.random.default_rng(0)
    letters = ["".join(chr(97 + int(d)) for d in f"{n:02}") for n in range(words)]
    return "\n".join(" ".join(letters[i] for i in rng.integers(0, words, 12)) for _ in range(lines))


def encoded_text(folder, text, min_count=1):
    (folder / "text").write_text(text)
    return encode(Corpus([folder / "text"]), Tokenizer(), Selection(min_count), folder)


def train(encoded, threads=1, **options):
    trainer = Trainer(encoded, Word2VecOptions(**options))
    return trainer, [record for record in trainer.run(threads) if isinstance(record, Epoch)]


def test_one_step_leaves_the_tables_that_autograd_leaves(small):
    trainer = Trainer(small, Word2VecOptions(dim=20))
    rng = np.random.default_rng(0)
    trainer.output[...] = rng.normal(size=trainer.output.shape)
    trainer.input[...] = rng.normal(size=trainer.input.shape)
    tables = [Tensor(table, requires_grad=True) for table in (trainer.input, trainer.output)]
    step, lr = next(trainer.blocks.epoch(0)), 1e-4  # so small that no bound is met
    halves = trainer.block.half_weights()[step.codes]
    sgns(tables[0][step.centres], tables[1][step.rows], halves, trainer.block.signs()).backward()
    with Crew(1) as crew:
        trainer.step(step, lr, crew)
    for mine, table in zip((trainer.input, trainer.output), tables, strict=True):
        moved = -lr * table.grad
        assert np.abs(moved).max() > 1e-4
        np.testing.assert_allclose(mine - table.data, moved, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_change_a_bit(small, threads):
    options = {"epochs": 2, "tokens_per_step": 2000, "dim": 16}
    one, many = train(small, 1, **options)[0], train(small, threads, **options)[0]
    assert one.input.tobytes() == many.input.tobytes()
    assert one.output.tobytes() == many.output.tobytes()


def test_neither_hash_seed_nor_process_changes_a_bit(tmp_path):
    script = (
        "from tests.word2vec.test_trainer import *\nimport pathlib\n"
        "trainer, _ = train(encoded_text(pathlib.Path('.'), random_text(60)), 2, dim=8, epochs=1)\n"
        "print(trainer.table().metadata['vectors_sha256'])"
    )
    results = set()
    for seed in ("0", "1"):
        (folder := tmp_path / seed).mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        results.add(subprocess.check_output([sys.executable, "-c", script], cwd=folder, env=environment, text=True))
    assert len(results) == 1
    assert len(results.pop().strip()) == 64


@pytest.mark.parametrize("stop", [1, 7, 12])
def test_a_run_that_goes_on_from_a_state_ends_with_the_same_bits(small, stop):
    options = Word2VecOptions(epochs=3, tokens_per_step=1000, dim=16)
    whole = Trainer(small, options)
    records = [record.loss for record in whole.run()]
    broken = Trainer(small, options)
    seen = [record.loss for record in itertools.islice(broken.run(2), stop)]
    arrays, facts = broken.state()
    resumed = Trainer(small, options)
    resumed.restore({name: array.copy() for name, array in arrays.items()}, facts)
    seen += [record.loss for record in resumed.run(2)]
    assert resumed.input.tobytes() == whole.input.tobytes()
    assert resumed.output.tobytes() == whole.output.tobytes()
    assert seen == records


def test_a_state_of_other_options_is_refused(small):
    state = Trainer(small, Word2VecOptions(dim=8)).state()
    with pytest.raises(CheckpointError, match="started with another options"):
        Trainer(small, Word2VecOptions(dim=8, seed=1)).restore(*state)


def test_the_king_james_bible_knows_silver_and_the_queen(kjv, tmp_path):
    trainer, epochs = train(kjv, 2)
    assert epochs[-1].loss < epochs[0].loss < 6 * np.log(2)
    trainer.save(tmp_path / "vectors.npz")
    vectors = WordVectors.load(tmp_path / "vectors.npz")
    assert "silver" in [word for word, _ in vectors.nearest(["gold"], top=3)]
    assert "queen" in [word for word, _ in vectors.nearest(["king", "woman"], ["man"], top=3)]


def test_the_npz_opens_with_numpy_alone(small, tmp_path):
    trainer, _ = train(small, dim=4, epochs=1)
    digest = trainer.save(tmp_path / "vectors.npz")
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as arrays:
        words, offsets = arrays["words"].tobytes(), arrays["word_offsets"]
        assert words[offsets[1] : offsets[2]].decode() == small.vocabulary.words[1]
        assert arrays["counts"].tolist() == small.vocabulary.counts.tolist()
        assert arrays["input"].tobytes() == trainer.input.tobytes()
    vectors = WordVectors.load(tmp_path / "vectors.npz")
    assert vectors.metadata["vectors_sha256"] == digest
    trainer.save(tmp_path / "input.npz", input_only=True)
    assert "output" not in np.load(tmp_path / "input.npz").files


STRESS = {
    "one sentence": "in the beginning was the word and the word was with the word",
    "one repeated word": "a b " + "a " * 3000,
    "two words": "a b " * 2000,
    "a word a line": "a\nb\n" * 50,
}


@pytest.mark.parametrize("text", STRESS.values(), ids=STRESS)
@pytest.mark.parametrize("sample", [0, 1e-3])
def test_tiny_corpora_stay_finite(tmp_path, text, sample):
    encoded = encoded_text(tmp_path, text)
    trainer, epochs = train(encoded, 2, lr=0.05, epochs=15, dim=300, sample=sample, tokens_per_step=4096)
    assert np.isfinite(trainer.input).all()
    assert max(np.abs(trainer.input).max(), np.abs(trainer.output).max()) < 20
    assert all(epoch.loss is None or np.isfinite(epoch.loss) for epoch in epochs)


def test_steps_of_131072_tokens_with_a_large_lr_lose_nothing(kjv):
    trainer, epochs = train(kjv, 2, lr=0.05, epochs=4, tokens_per_step=131_072)
    assert np.isfinite(trainer.input).all()
    assert epochs[-1].loss < epochs[0].loss < 6 * np.log(2)


def test_a_loss_that_is_not_finite_is_an_error(small):
    trainer = Trainer(small, Word2VecOptions(dim=4))
    trainer.output[0] = np.nan
    with pytest.raises(DivergedError, match="epoch 1: the held-out loss is nan"):
        list(trainer.run())


def test_every_training_word_is_a_centre_once_an_epoch_when_nothing_is_thinned_out(small):
    blocks = Blocks(small, Block(8, 2, 4, 5), 0, 0.75, 0, 1000)
    seen = np.zeros(len(small.vocabulary), int)
    for step in blocks.epoch(0):
        centres = step.centres[step.codes % 9 > 0]  # who sees anybody
        seen += np.bincount(centres, minlength=len(seen))
    ids = small.read(0, small.training)
    np.testing.assert_array_equal(seen, np.bincount(ids[ids < len(seen)], minlength=len(seen)))


def test_a_plan_trains_nothing_and_knows_the_pairs(small):
    found = plan(small, Word2VecOptions(dim=8, epochs=2, sample=0, window=1), seconds=0.01)
    assert found.kept == 2 * small.report.words
    assert found.pairs == pytest.approx(2 * 2 * 600 * 11, rel=0.02)  # 12 words a line: 11 neighbours, both ways
    assert found.vocabulary == 40
    assert found.seconds > 0
    assert found.memory > 0


def test_errors_of_jobs_and_of_what_is_made_ahead_come_through():
    def fail():
        raise ValueError("job")

    def items():
        yield 1
        raise ValueError("item")

    with Crew(3) as crew, pytest.raises(ValueError, match="job"):
        crew.run([fail, int, int])
    with pytest.raises(ValueError, match="item"):
        list(prefetch(items()))
    assert next(prefetch(iter(range(10**9)))) == 0  # and one that is left behind ends


def test_where_no_pair_is_left_there_is_no_loss(tmp_path):
    encoded = encoded_text(tmp_path, "a\nb\n" * 50)  # no word has a neighbour
    _, epochs = train(encoded, epochs=2)
    assert [epoch.loss for epoch in epochs] == [None, None]
    few = encoded_text(tmp_path, random_text(words=12))
    assert Trainer(few, Word2VecOptions(sample=0)).kept == 1
    assert Trainer(few, Word2VecOptions(sample=1e-3)).kept < 0.2
