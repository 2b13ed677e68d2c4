"""Skip-gram with negative sampling beside gensim's corpus_file mode: speed, the whole run, memory, and quality.

    pip install '.[bench]' && python benchmarks/word2vec.py novels.txt.gz
    python benchmarks/word2vec.py novels.txt.gz --quality      # 5 epochs, 3 seeds each; takes a while

Both read the same file, one sentence a line with blanks between the words, and train with dim 100, window 5,
negative 5, sample 1e-3, min-count 5 on two threads. Every run is a process of its own, ours and gensim's in turns;
times begin after the imports. The last line is the ratio of training words per second, 1 epoch, medians.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

THREADS = 2
Result = dict[str, Any]


def ours(corpus: Path, folder: Path, epochs: int, seed: int, min_count: int) -> Result:
    """Train with dlscratch; seconds of its parts."""
    from dlscratch.word2vec.corpus import Corpus
    from dlscratch.word2vec.encoding import encode
    from dlscratch.word2vec.options import Word2VecOptions
    from dlscratch.word2vec.tokens import Tokenizer
    from dlscratch.word2vec.trainer import Trainer
    from dlscratch.word2vec.vectors import WordVectors
    from dlscratch.word2vec.vocabulary import Selection

    start = time.perf_counter()
    encoded = encode(Corpus([corpus]), Tokenizer(), Selection(min_count), folder)
    counted = time.perf_counter()
    trainer = Trainer(encoded, Word2VecOptions(epochs=epochs, seed=seed))
    for _ in trainer.run(THREADS):
        pass
    trained = time.perf_counter()
    trainer.save(folder / "vectors.npz")
    end = time.perf_counter()
    encoded.remove()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WordVectors.load(folder / "vectors.npz").save(folder / "vectors.txt")
    words = encoded.report.words * epochs
    return {"count": counted - start, "train": trained - counted, "whole": end - start, "words": words, "peak": peak}


def gensim(corpus: Path, folder: Path, epochs: int, seed: int, min_count: int) -> Result:
    """Train with gensim; seconds of its parts."""
    from gensim.models import Word2Vec

    start = time.perf_counter()
    options = {"vector_size": 100, "window": 5, "negative": 5, "sample": 1e-3, "min_count": min_count, "sg": 1}
    model = Word2Vec(**options, workers=THREADS, seed=seed, epochs=epochs)
    model.build_vocab(corpus_file=str(corpus))
    counted = time.perf_counter()
    sizes = {"total_examples": model.corpus_count, "total_words": model.corpus_total_words}
    model.train(corpus_file=str(corpus), **sizes, epochs=epochs)
    trained = time.perf_counter()
    model.wv.save(str(folder / "vectors.kv"))
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.wv.save_word2vec_format(str(folder / "vectors.txt"))
    words = model.corpus_total_words * epochs
    return {"count": counted - start, "train": trained - counted, "whole": end - start, "words": words, "peak": peak}


SIDES = {"ours": ours, "gensim": gensim}


def run(side: str, corpus: Path, folder: Path, epochs: int = 1, seed: int = 1, min_count: int = 5) -> Result:
    """One side in a process of its own."""
    (folder / side).mkdir(exist_ok=True)
    command = [sys.executable, __file__, str(corpus), "--side", side, "--folder", str(folder / side)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    options = [f"--epochs={epochs}", f"--seed={seed}", f"--min-count={min_count}"]
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def speed(corpus: Path, folder: Path, rounds: int) -> float:
    """Both sides in turns, one epoch; the ratio of training speeds."""
    results: dict[str, list[Result]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, found in results.items():
            found.append(run(side, corpus, folder))
            last = found[-1]
            seconds = "   ".join(f"{part} {last[part]:6.2f} s" for part in ("count", "train", "whole"))
            rate, peak = last["words"] / last["train"], last["peak"] / 1024
            print(f"{side:7} {seconds}   {rate:11,.0f} words/s   peak {peak:5.0f} MB", flush=True)
    median = {s: {k: statistics.median(r[k] for r in found) for k in found[0]} for s, found in results.items()}
    mine, theirs = median["ours"], median["gensim"]
    print(f"counting and encoding: {mine['count'] / mine['whole']:.0%} of our whole run")
    print(f"peak memory: {mine['peak'] / theirs['peak']:.2f} of gensim's")
    print(f"whole run: {theirs['whole'] / mine['whole']:.2f} times as fast")
    return float(mine["words"] / mine["train"]) / float(theirs["words"] / theirs["train"])


def memory(corpus: Path, folder: Path) -> None:
    """Our peak on the corpus four times over, beside that on the corpus once."""
    fourfold = folder / "fourfold.txt"
    with fourfold.open("wb") as file:
        for _ in range(4):
            with corpus.open("rb") as text:
                shutil.copyfileobj(text, file)
    once, four = run("ours", corpus, folder)["peak"], run("ours", fourfold, folder, min_count=20)["peak"]
    print(f"peak memory on four times the text, with the same vocabulary: {four / once:.3f} of that on the text once")


def quality(folder: Path) -> tuple[float, float, float]:
    """WordSim-353, SimLex-999 and analogies of the vectors in a folder, by gensim's own evaluation."""
    import gensim as package
    from gensim.models import KeyedVectors

    sets = Path(package.__file__).parent / "test" / "test_data"
    vectors = KeyedVectors.load_word2vec_format(str(folder / "vectors.txt"))
    pairs = [vectors.evaluate_word_pairs(str(sets / name))[1][0] for name in ("wordsim353.tsv", "simlex999.txt")]
    return pairs[0], pairs[1], vectors.evaluate_word_analogies(str(sets / "questions-words.txt"), 30_000)[0]


def compare_quality(corpus: Path, folder: Path, seeds: int) -> None:
    """Both sides after 5 epochs, some seeds each: means and deviations."""
    scores: dict[str, list[tuple[float, float, float]]] = {side: [] for side in SIDES}
    for seed in range(1, seeds + 1):
        for side, found in scores.items():
            run(side, corpus, folder, epochs=5, seed=seed)
            found.append(quality(folder / side))
            print(f"{side:7} seed {seed}: " + "   ".join(f"{score:.3f}" for score in found[-1]), flush=True)
    for place, name in enumerate(("WordSim-353", "SimLex-999", "analogies")):
        columns = [[score[place] for score in found] for found in scores.values()]
        (mine, theirs), deviation = map(statistics.mean, columns), statistics.stdev(columns[1])
        verdict = "good" if mine >= theirs - deviation else "too low"
        print(f"{name}: ours {mine:.3f}, gensim {theirs:.3f} ± {deviation:.3f}: {verdict}")


def sentences(path: Path) -> Iterator[str]:
    """The text as both sides read it: words in small letters, a blank between them, one sentence a line."""
    from dlscratch.word2vec.tokens import END, Tokenizer

    tokenizer = Tokenizer()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            yield " ".join(word for shape in tokenizer.shapes(line) if shape != END for word in tokenizer.words(shape))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side that count (3)")
    parser.add_argument("--quality", action="store_true", help="compare the vectors after 5 epochs as well")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each side for --quality (3)")
    for name, kind in {"--side": str, "--folder": Path, "--epochs": int, "--seed": int, "--min-count": int}.items():
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(SIDES[args.side](args.corpus, args.folder, args.epochs, args.seed, args.min_count)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus.txt"
        with corpus.open("w", encoding="utf-8") as file:  # in pieces: children inherit the parent's peak memory
            file.writelines(sentence + "\n" for sentence in sentences(args.corpus))
        if args.quality:
            compare_quality(corpus, folder, args.seeds)
        ratio = speed(corpus, folder, args.rounds)
        memory(corpus, folder)
    print(f"ratio: {ratio:.2f}")


if __name__ == "__main__":
    main()
