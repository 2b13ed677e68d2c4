"""Make tests/golden/gensim_vectors: what gensim answers about vectors and questions that are made up here.

Run with gensim installed: python tests/golden/make_gensim_vectors.py. Nothing of gensim's own data is in the result.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gensim import __version__
from gensim.models import KeyedVectors

FOLDER = Path(__file__).parent / "gensim_vectors"
PAIRS, RELATIONS, DIM = 12, 3, 12


def made_up_vectors() -> KeyedVectors:
    """Twelve stems in four forms each (so that analogies can be right), with capitals and other scripts among them."""
    rng = np.random.default_rng(20)
    forms = rng.normal(size=(RELATIONS + 1, DIM))
    stems = rng.normal(size=(PAIRS, DIM))
    words, rows = [], []
    for form in range(RELATIONS + 1):
        for stem in range(PAIRS):
            word = f"stem{stem:02d}{'abcd'[form]}"
            words.append(word.capitalize() if stem % 5 == 1 else word)
            rows.append(stems[stem] + forms[form] + 0.55 * rng.normal(size=DIM))
    for word, like in {"STEM03A": 3, "stem01a": 1, "Stem14c": 7, "été": 9, "слово": 20, "言葉": 30, "😀": 40}.items():
        words.append(word)
        rows.append(rows[like] * 1.7 + 0.2 * rng.normal(size=DIM))
    vectors = KeyedVectors(DIM)
    vectors.add_vectors(words, np.array(rows, np.float32))
    return vectors


def write_sets() -> None:
    """A similarity set with ties, other cases and unknown words; an analogy set with sections."""
    rng = np.random.default_rng(21)
    lines = ["# made up", "# Word 1\tWord 2\tscore"]
    for _ in range(60):
        (a, b), (f, g) = rng.integers(PAIRS, size=2), rng.choice(list("abcd"), size=2)
        near = 6 * (a == b) + 2 * (f == g)
        lines.append(f"Stem{a:02d}{f}\tstem{b:02d}{g}\t{round(near + rng.integers(4) / 2, 1)}")
    lines += ["stem00a\tnowhere\t3.5", "never\tstem01b\t1", "ÉTÉ\tстем\t2", "СЛОВО\tété\t1.5"]
    (FOLDER / "similarity.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    questions = []
    for name, (f, g) in {"first": "ab", "second": "ac", "gram1-third": "ad", "gram2-fourth": "bc"}.items():
        questions.append(f": {name}")
        for _ in range(40):
            a, b = rng.choice(PAIRS + 1, size=2, replace=False)
            first, last = ("Stem", "STEM") if a % 2 else ("stem", "stem")
            questions.append(f"{first}{a:02d}{f} stem{a:02d}{g} stem{b:02d}{f} {last}{b:02d}{g}")
    (FOLDER / "analogies.txt").write_text("\n".join(questions) + "\n", encoding="utf-8")


def answers(vectors: KeyedVectors) -> dict[str, object]:
    """Everything that the tests compare."""
    results: dict[str, object] = {"gensim": __version__}
    for limit in (300_000, 30):
        pearson, spearman, oov = vectors.evaluate_word_pairs(FOLDER / "similarity.tsv", restrict_vocab=limit)
        results[f"pairs {limit}"] = [float(pearson[0]), float(spearman[0]), float(oov)]
    for limit, insensitive in ((300_000, True), (40, True), (300_000, False)):
        _, sections = vectors.evaluate_word_analogies(FOLDER / "analogies.txt", limit, insensitive)
        results[f"analogies {limit} {insensitive}"] = {
            section["section"]: [len(section["correct"]), len(section["correct"]) + len(section["incorrect"])]
            for section in sections
        }
    results["nearest"] = vectors.most_similar(["stem00a", "stem02b"], ["été"], topn=8)
    results["nearest one"] = vectors.most_similar("слово", topn=5)
    results["3cosadd"] = vectors.most_similar(["stem00b", "stem02a"], ["stem00a"], topn=5)
    results["3cosmul"] = vectors.most_similar_cosmul(["stem00b", "stem02a"], ["stem00a"], topn=5)
    results["odd"] = vectors.doesnt_match(["stem00a", "stem00b", "stem00c", "😀"])
    results["similarity"] = float(vectors.similarity("言葉", "été"))
    return results


def main() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(exist_ok=True)
    vectors = made_up_vectors()
    write_sets()
    vectors.save_word2vec_format(FOLDER / "vectors.txt")
    vectors.save_word2vec_format(FOLDER / "vectors.bin", binary=True)
    vectors.save_word2vec_format(FOLDER / "vectors.glove", write_header=False)
    np.save(FOLDER / "vectors.npy", vectors.vectors)
    (FOLDER / "vectors.words.txt").write_text("".join(f"{word}\n" for word in vectors.index_to_key), encoding="utf-8")
    text = json.dumps(answers(vectors), ensure_ascii=False, indent=1)
    (FOLDER / "answers.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
