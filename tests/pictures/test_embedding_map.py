"""Maps of words: what they hold, what is written, and that words are data wherever they go."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Cli

from dlscratch.errors import DataError, MissingExtraError, UsageError
from dlscratch.pictures.embedding_map import EmbeddingMap, map_changes, map_words
from dlscratch.word2vec.vectors import WordVectors

HOSTILE = (
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<!--", "]]>", "\"'&<>`", "{{data}}"),
    *("$x$", "\u202eabc", "\u200b", " ", "\u2028", "\x00\x07", "\ud800", "😀", "שלום", "__proto__", "constructor"),
)


def hostile(seed: int = 0) -> WordVectors:
    words = [*HOSTILE, *(f"word{number}" for number in range(40))]
    x = np.random.default_rng(seed).normal(size=(len(words), 6))
    return WordVectors(words, x, counts=np.arange(len(words), 0, -1))


class Scripts(HTMLParser):
    """The scripts, styles and policy of a page, and every tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.policy = ""
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open = tag
        if tag in self.texts:
            self.texts[tag].append("")
        if ("http-equiv", "Content-Security-Policy") in attributes:
            self.policy = str(dict(attributes)["content"])

    def handle_data(self, text: str) -> None:
        if self.open in self.texts:
            self.texts[self.open][-1] += text

    def handle_endtag(self, tag: str) -> None:
        self.open = ""


def page(shown: EmbeddingMap, folder: Path) -> tuple[Scripts, Any]:
    shown.save(folder / "map.html")
    found = Scripts((folder / "map.html").read_text(encoding="utf-8"))
    return found, json.loads(found.texts["script"][0])


def test_words_are_data_in_the_page(tmp_path: Path) -> None:
    vectors = hostile()
    found, document = page(map_words(vectors, title="</title><script>alert(1)</script>"), tmp_path)
    assert document["words"] == list(vectors.words)
    assert document["counts"] == vectors.counts.tolist()  # type: ignore[union-attr]
    assert found.tags.count("script") == 2  # the data and ours
    assert "img" not in found.tags


def test_the_policy_allows_our_style_and_script_alone(tmp_path: Path) -> None:
    found, _ = page(map_words(hostile(), title="map"), tmp_path)
    digests = [hashlib.sha256(found.texts[kind][-1].encode()).digest() for kind in ("style", "script")]
    style, script = (base64.b64encode(digest).decode() for digest in digests)
    assert found.policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search("https?:|@import|url\\(", "".join(found.texts["style"] + found.texts["script"][-1:]))


def test_json_and_csv_hold_the_same(tmp_path: Path) -> None:
    shown = map_words(WordVectors(["a,b", '"', "c"], np.eye(3), counts=[3, 2, 1]), title="map")
    for ending in ("json", "csv"):
        shown.save(tmp_path / f"map.{ending}")
    words = json.loads((tmp_path / "map.json").read_text())["words"]
    with (tmp_path / "map.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [word["word"] for word in words] == ["a,b", '"', "c"]
    assert [{key: str(value) for key, value in word.items()} for word in words] == rows
    np.testing.assert_allclose([[word["x"], word["y"]] for word in words], shown.layout.positions)


def test_words_beyond_the_limit_are_left_out() -> None:
    shown = map_words(hostile(), title="map", words=20)
    assert shown.vectors.words == hostile().words[:20]
    assert shown.total == len(hostile())


def test_a_turned_space_has_not_moved_and_a_word_that_changed_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(300)]
    x = rng.normal(size=(300, 10))
    y = 3 * x @ np.linalg.qr(rng.normal(size=(10, 10)))[0]
    y[7] = y[123]
    order = rng.permutation(300)
    after = WordVectors([words[row] for row in order], y[order])
    shown = map_changes(WordVectors(words, x), after, title="change")
    assert shown.vectors.words[shown.moved[0]] == "w7"
    others = np.delete(shown.cosines, shown.moved[0])  # type: ignore[arg-type]
    assert others.min() > 0.97
    _, document = page(shown, tmp_path)
    assert document["change"]["moved"] == shown.moved[:100]
    assert len(document["spaces"]) == 2


def test_what_moved_may_have_fewer_dimensions_and_other_words() -> None:
    before = WordVectors(["a", "b", "c", "x"], np.eye(4))
    after = WordVectors(["y", "c", "b", "a"], np.eye(4, 3) + 0.1)
    shown = map_changes(before, after, title="change")
    assert shown.vectors.words == ("c", "b", "a")
    with pytest.raises(DataError, match="share 0 words"):
        map_changes(before, WordVectors(["q"], np.eye(1)), title="change")


def test_how_many_clusters_have_a_colour() -> None:
    with pytest.raises(UsageError, match="a map shows from 1 to 8 clusters, each with a colour, not 9"):
        map_words(hostile(), title="map", clusters=9)


@pytest.mark.parametrize("words", [1, 50_001])
def test_how_many_words_a_map_shows(words: int) -> None:
    with pytest.raises(UsageError, match="a map shows from 2 to 50,000 words"):
        map_words(hostile(), title="map", words=words)


@pytest.mark.parametrize("vectors", [np.zeros((2, 1)), np.ones((3, 2)), np.eye(9)])
def test_a_map_of_little(vectors: np.ndarray, tmp_path: Path) -> None:
    shown = map_words(WordVectors(map(str, range(len(vectors))), vectors), title="map")
    _, document = page(shown, tmp_path)
    assert len(document["words"]) == len(vectors)


def test_a_picture_is_the_same_each_time_and_words_are_text_in_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shown = map_words(hostile(), title="$a map$ <b>")
    for name in ("a.svg", "b.svg", "a.png"):
        shown.save(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    texts = [text.text for text in ElementTree.parse(tmp_path / "a.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {"$a map$ <b>", "<script>alert(1)</script>", "word1"} <= set(texts)


def test_a_picture_shows_what_moved(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    map_changes(hostile(), hostile(1), title="change").save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 10_000


def test_a_picture_without_matplotlib_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib; install it with: pip install 'dlscratch\[plot\]'"):
        map_words(hostile(), title="map").save(tmp_path / "a.png")


def test_the_command(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.npz", "b.npz"):
        WordVectors(map(str, range(50)), rng.normal(size=(50, 5))).save(tmp_path / name)
    done = cli("vectors", "map", "a.npz", "-o", "map.html", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["words"], found["dim"], found["out"]) == (50, 5, "map.html")
    assert found["bytes"] == (tmp_path / "map.html").stat().st_size
    done = cli("vectors", "map", "a.npz", "b.npz", "-o", "map.csv", cwd=tmp_path)
    assert done.returncode == 0
    assert "moved most" in done.stdout
    done = cli("vectors", "map", "a.npz", "-o", "map.pdf", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "error: map.pdf: expected a name that ends in .html, .png, .svg, .json or .csv\n",
    )


def test_two_equal_files_have_nothing_that_moved() -> None:
    vectors = WordVectors("abcdef", np.random.default_rng(0).normal(size=(6, 4)))
    turned = WordVectors("abcdef", vectors.vectors[:, ::-1])
    assert map_changes(vectors, turned, title="t").stayed
    assert not map_changes(vectors, WordVectors("abcdef", vectors.vectors**2), title="t").stayed
