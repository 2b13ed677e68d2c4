"""`vectors` and `inspect` of vectors as processes: answers, documents, formats, and files that cannot be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_words import refusal

from dlscratch.word2vec.evaluate import evaluate_analogies, evaluate_similarity
from dlscratch.word2vec.vectors import WordVectors

WORDS = ["king", "queen", "man", "woman", "-", "+", "gold", "\x1b[31mred\x1b[0m", "naïve", "日本"]
SIMILARITY = "king\tqueen\t9\nman\twoman\t8\ngold\tking\t3\ngold\tunknown\t1\n"
ANALOGIES = ": family\nman king woman queen\nking man queen woman\n: gram1\nman gold woman king\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with vectors.npz: queen is king − man + woman."""
    folder = tmp_path_factory.mktemp("vectors")
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 12)).astype(np.float32)
    vectors /= np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    vectors[1] = vectors[0] - vectors[2] + vectors[3]
    WordVectors(WORDS, vectors, vectors, np.arange(len(WORDS), 0, -1)).save(folder / "vectors.npz")
    (folder / "similarity.tsv").write_text(SIMILARITY)
    (folder / "analogies.txt").write_text(ANALOGIES)
    return folder


# Questions


def test_nearest(cli: Cli, made: Path) -> None:
    args = ("vectors", "nearest", "vectors.npz", "king", "-", "man", "+", "woman", "--top", "3")
    wanted = WordVectors.load(made / "vectors.npz").nearest(["king", "woman"], ["man"], top=3)
    assert wanted[0].word == "queen"
    document = json.loads(cli(*args, "--json", cwd=made).stdout)
    assert document == {
        "vectors": "vectors.npz",
        "positive": ["king", "woman"],
        "negative": ["man"],
        "nearest": [{"word": word, "score": score} for word, score in wanted],
    }
    shown = cli(*args, cwd=made).stdout
    assert shown.split()[:2] == ["word", "score"]
    assert f"queen {wanted[0].score:.4f}" in " ".join(shown.split())
    lines = cli(*args, "--quiet", cwd=made).stdout.splitlines()
    assert lines[0] == f"queen\t{wanted[0].score:.4f}"
    assert len(lines) == 3


def test_a_sign_may_be_a_word(cli: Cli, made: Path) -> None:
    done = cli("vectors", "nearest", "vectors.npz", "+", "-", "-", "+", "--json", cwd=made)
    document = json.loads(done.stdout)
    assert (document["positive"], document["negative"]) == (["-"], ["+"])
    done = cli("vectors", "nearest", "vectors.npz", "king", "-", cwd=made)
    assert done.returncode == 2
    assert 'error: there is no word behind "-"; to ask for the word "-", write + -' in done.stderr


def test_queries_from_a_file(cli: Cli, made: Path, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("gold\n\n# a comment\nking - man + woman\n+ -\n")
    args = ("vectors", "nearest", "vectors.npz", "--queries", tmp_path / "q.txt", "--top", "2")
    document = json.loads(cli(*args, "--json", cwd=made).stdout)
    assert [(each["positive"], each["negative"]) for each in document["answers"]] == [
        (["gold"], []),
        (["king", "woman"], ["man"]),
        (["-"], []),
    ]
    assert document["answers"][1]["nearest"][0]["word"] == "queen"
    lines = cli(*args, "--quiet", cwd=made).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines[1:4]] == ["gold", "king woman - man", "king woman - man"]


@pytest.mark.parametrize(
    ("command", "lines", "message"),
    [
        ("nearest", "gold\nkng\n", ':2: no vector for "kng"; the closest spellings are "king"'),
        ("nearest", "gold -\n", ':1: there is no word behind "-"'),
        ("nearest", "\n# nothing\n", ": holds no queries"),
        ("analogy", "man king woman\nman king\n", ":2: expected three words, such as man king woman, got 2"),
    ],
)
def test_queries_that_cannot_be_used(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, lines: str, message: str
) -> None:
    (tmp_path / "q.txt").write_text(lines)
    monkeypatch.chdir(tmp_path)
    code, said = refusal("vectors", command, str(made / "vectors.npz"), "--queries", "q.txt")
    assert code == 3
    assert f"error: q.txt{message}" in said


@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
def test_analogy(cli: Cli, made: Path, method: str) -> None:
    args = ("vectors", "analogy", "vectors.npz", "man", "king", "woman", "--method", method)
    document = json.loads(cli(*args, "--json", cwd=made).stdout)
    assert (document["method"], document["a"], document["b"], document["c"]) == (method, "man", "king", "woman")
    wanted = WordVectors.load(made / "vectors.npz").analogy("man", "king", "woman", method=method)
    assert document["nearest"] == [each._asdict() for each in wanted]


def test_similarity_and_the_odd_one_out(cli: Cli, made: Path) -> None:
    vectors = WordVectors.load(made / "vectors.npz")
    done = cli("vectors", "similarity", "vectors.npz", "king", "queen", cwd=made)
    assert done.stdout == f"{vectors.similarity('king', 'queen'):.4f}\n"
    done = cli("vectors", "similarity", "vectors.npz", "king", "queen", "--json", cwd=made)
    assert json.loads(done.stdout)["similarity"] == vectors.similarity("king", "queen")
    done = cli("vectors", "odd-one-out", "vectors.npz", "king", "queen", "gold", cwd=made)
    assert done.stdout == f"{vectors.odd_one_out(['king', 'queen', 'gold'])}\n"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nearest", "vectors.npz"], 2, "error: name words, or a file of queries with --queries"),
        (["nearest", "vectors.npz", "kin"], 2, 'error: no vector for "kin"; the closest spellings are "king"'),
        (["nearest", "vectors.npz", "King"], 2, 'error: no vector for "King"; there is "king"'),
        (["analogy", "vectors.npz", "man"], 2, "error: expected three words"),
        (["odd-one-out", "vectors.npz", "man", "king"], 2, "error: the odd one out is asked of three words"),
        (["evaluate", "vectors.npz"], 2, "error: name what to evaluate on"),
        (["evaluate", "vectors.npz", "--similarity", "analogies.txt"], 3, "analogies.txt:1: expected two words and a"),
        (["export", "vectors.npz", "--to", "x.xyz"], 2, "error: x.xyz: the ending does not say the format"),
        (["export", "vectors.npz", "--to", "x", "--format", "word3vec"], 2, 'did you mean "word2vec"?'),
        (["nearest", "nothing.npz", "king"], 5, "error: nothing.npz: no such file"),
        (["nearest", "nothing.bin", "king"], 3, "error: nothing.bin: no such file"),
    ],
)  # fmt: skip
def test_mistakes(made: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, message: str) -> None:
    before = sorted(os.listdir(made))
    monkeypatch.chdir(made)
    found, said = refusal("vectors", *args)
    assert found == code
    assert message in said
    assert sorted(os.listdir(made)) == before


def test_words_cannot_steer_the_terminal(cli: Cli, made: Path) -> None:
    """Neither in tables nor in plain lines; a JSON document holds them escaped."""
    for more in ((), ("--quiet",), ("--json",)):
        done = cli("vectors", "nearest", "vectors.npz", "gold", *more, cwd=made)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "日本" in done.stdout
    assert WORDS[7] in [each["word"] for each in json.loads(done.stdout)["nearest"]]
    assert "\x1b" not in cli("inspect", "vectors.npz", cwd=made).stdout


# Evaluation and inspection


def test_evaluate(cli: Cli, made: Path) -> None:
    args = ("vectors", "evaluate", "vectors.npz", "--similarity", "similarity.tsv", "--analogies", "analogies.txt")
    document = json.loads(cli(*args, "--json", cwd=made).stdout)
    vectors = WordVectors.load(made / "vectors.npz")
    wanted = evaluate_similarity(vectors, made / "similarity.tsv")
    [found] = document["similarity"]
    assert (found["pairs"], found["used"], found["unknown_words"]) == (4, 3, ["unknown"])
    assert (found["spearman"], found["low"], found["high"]) == (wanted.spearman, wanted.low, wanted.high)
    questions = evaluate_analogies(vectors, made / "analogies.txt")
    [found] = document["analogies"]
    assert found["total"]["correct"] == questions.total.correct
    assert [each["name"] for each in found["sections"]] == ["family", "gram1"]
    assert found["restrict_vocab"] == len(WORDS)
    shown = " ".join(cli(*args, "--restrict-vocab", "6", cwd=made).stdout.split())
    assert "pairs used 2 of 4" in shown
    assert "analogies.txt: among the first 6 words, by 3cosadd" in shown
    assert "total 2 of 3" in shown


def test_inspect(cli: Cli, made: Path) -> None:
    document = json.loads(cli("inspect", "vectors.npz", "--json", cwd=made).stdout)
    assert (document["kind"], document["words"], document["dim"]) == ("word2vec", len(WORDS), 12)
    assert document["most_frequent"][0] == {"word": "king", "count": 10}
    assert set(document["arrays"]) == {"input", "output", "words", "word_offsets", "counts"}
    shown = cli("inspect", "vectors.npz", cwd=made).stdout
    assert "10: king, queen, man, woman" in shown


# Formats


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v.glove", "v.npy", "v.npz", "folder/"])
def test_export_to_every_format_and_back(cli: Cli, made: Path, tmp_path: Path, name: str) -> None:
    done = cli("vectors", "export", made / "vectors.npz", "--to", name, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["words"], document["dim"]) == (len(WORDS), 12)
    assert document["lost"] == {"v.npz": [], "folder/": ["output"]}.get(name, ["output", "counts"])
    assert ("warning: " in done.stderr) == bool(document["lost"])
    done = cli("vectors", "export", name, "--to", "back.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    back, first = WordVectors.load(tmp_path / "back.npz"), WordVectors.load(made / "vectors.npz")
    assert back.words == first.words
    assert np.array_equal(back.vectors, first.vectors)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("v.txt", b"2 x\na 1 2\n", "v.txt: word 1|v.txt:1: expected"),
        ("v.txt", b"2 3\na 1 2\nb 1 2\n", "v.txt:2: expected a word and 3 numbers, got 3 fields"),
        ("v.txt", b"9 2\na 1 2\nb 1 2\n", "v.txt:1: the header promises 9 vectors|v.txt: the header promises 9 words"),
        ("v.txt", b"2 2\na 1 2\na 1 2\n", "the word 'a' occurs twice, as number 1 and number 2"),
        ("v.txt", b"2 2\na 1 2\nb 1 nan\n", "the vector of 'b' (number 2) has nan in it"),
        ("v.bin", b"2 1\na \0\0\0\0b \0\0", "v.bin: the header promises 2 words, but word 2 is cut short"),
        ("v.npz", b"PK", "v.npz: the archive is damaged or cut short"),
    ],
)
def test_files_that_cannot_be_used(cli: Cli, tmp_path: Path, name: str, contents: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(contents)
    done = cli("vectors", "export", name, "--to", "out.npz", cwd=tmp_path)
    assert done.returncode == (5 if name == "v.npz" else 3)
    assert any(part in done.stderr for part in message.split("|")), done.stderr
    assert os.listdir(tmp_path) == [name]


def test_words_that_are_not_utf8_can_be_replaced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"2 1\n\xff 1\nb 2\n")
    done = cli("vectors", "export", "v.txt", "--to", "v.npz", cwd=tmp_path)
    assert done.returncode == 3
    assert "v.txt:2" in done.stderr
    done = cli("vectors", "export", "v.txt", "--to", "v.npz", "--errors", "replace", cwd=tmp_path)
    assert done.returncode == 0
    assert WordVectors.load(tmp_path / "v.npz").words == ("\ufffd", "b")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(cli: Cli, made: Path) -> None:
    done = cli("vectors", "export", "vectors.npz", "--to", "/dev/full", "--format", "word2vec", cwd=made)
    assert done.returncode == 6
    assert "error: /dev/full: cannot be written: No space left on device" in done.stderr
