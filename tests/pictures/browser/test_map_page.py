"""The map of words in a browser: opened as a file, it searches, answers and moves, without a request or an error."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api")

from browsing import browser, needs_chromium, open_file, quiet
from playwright.sync_api import Browser, Page, expect

from dlscratch.pictures.embedding_map import map_changes, map_words
from dlscratch.word2vec.vectors import Neighbour, WordVectors

__all__ = ["browser"]  # a fixture

HOSTILE = (
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<!--", "\"'&<>`", "{{data}}", "$&"),
    *("\u202eabc", "\u200b", "\u00a0", "\x00", "\ud800", "😀", "שלום", "__proto__", "constructor", "toString"),
)
PAN = """async (zoom) => {
    const map = window.dlscratchMap, canvas = document.getElementById("map");
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const fire = (type, x, y) =>
        canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: left + x, clientY: top + y }));
    canvas.setPointerCapture = () => {};
    map.view.zoomAt(width / 2, height / 2, zoom);
    map.frameTimes.length = 0;
    fire("pointerdown", 200, 200);
    for (let step = 0; step < 90; step++) {
        await new Promise(requestAnimationFrame);
        fire("pointermove", 200 + step * 3, 200 + Math.sin(step / 10) * 40);
    }
    fire("pointerup", 470, 200);
    return map.frameTimes.slice(1);
}"""

pytestmark = needs_chromium


def plain(seed: int = 0) -> WordVectors:
    """2,000 words in 25 groups."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(25, 50))[rng.integers(25, size=2000)] + rng.normal(size=(2000, 50))
    return WordVectors([f"word{number}" for number in range(2000)], x, counts=np.arange(2000, 0, -1))


def many() -> WordVectors:
    """30,000 words of 100 dimensions."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 100))[rng.integers(300, size=30_000)] + rng.normal(size=(30_000, 100)) / 2
    return WordVectors([f"word{number}" for number in range(30_000)], x, counts=np.arange(30_000, 0, -1))


def hostile() -> WordVectors:
    words = [*HOSTILE, *(f"word{number}" for number in range(20))]
    return WordVectors(words, np.random.default_rng(0).normal(size=(len(words), 6)))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A map of each kind."""
    folder = tmp_path_factory.mktemp("maps")
    shown = {
        "plain": map_words(plain(), title="plain.npz"),
        "hostile": map_words(hostile(), title="</title><script>alert(1)</script>"),
        "change": map_changes(plain(), plain(1), title="a → b"),
    }
    for name, each in shown.items():
        each.save(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in shown}


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """`opened(path)`: the page when it is ready; afterwards, nothing may have gone wrong on it."""
    context = browser.new_context(reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])

    def open_page(path: Path, width: int = 1280, height: int = 800) -> Page:
        page = open_file(context, path, width, height)
        page.wait_for_function("() => window.dlscratchMap?.readyAt")  # the page's policy forbids a mere expression
        return page

    with quiet(context):
        yield open_page


def rows(page: Page, place: str) -> list[int]:
    return [int(str(button.get_attribute("data-row"))) for button in page.locator(f"{place} button.word").all()]


def answers(page: Page, place: str) -> list[tuple[str, str]]:
    """The words and cosines of a table."""
    cells = page.locator(f"{place} td").all_text_contents()
    return list(zip(cells[::2], cells[1::2], strict=True))


def written(neighbours: list[Neighbour]) -> list[tuple[str, str]]:
    return [(word, f"{score:.3f}") for word, score in neighbours]


def click_word(page: Page, row: int) -> None:
    x, y = page.evaluate("row => window.dlscratchMap.screenOf(row)", row)
    page.locator("#map").click(position={"x": x, "y": y})


def test_search_a_word_click_it_and_see_its_neighbours(opened: Any, maps: dict[str, Path]) -> None:
    page, vectors = opened(maps["plain"]), plain()
    page.locator("#search").fill("word19")
    expected = [row for row, word in enumerate(vectors.words) if word.startswith("word19")]
    assert rows(page, "#found") == sorted(expected, key=lambda row: (row != 19, row))[:40]
    expect(page.locator("#status")).to_have_text("111 words found")
    for row in (19, 190, 1990):
        page.locator("#search").fill(f"word{row}")
        page.locator("#found button").first.click()
        expect(page.locator("#word-name")).to_have_text(f"word{row}")
        assert answers(page, "#neighbours") == written(vectors.nearest(f"word{row}"))


def test_click_a_word_on_the_map(opened: Any, maps: dict[str, Path]) -> None:
    page, vectors = opened(maps["plain"]), plain()
    click_word(page, 0)
    name = str(page.locator("#word-name").text_content())
    assert answers(page, "#neighbours") == written(vectors.nearest(name))
    page.locator("#neighbours button.word").first.click()
    assert answers(page, "#neighbours") == written(vectors.nearest(vectors.nearest(name)[0].word))
    page.keyboard.press("Escape")
    expect(page.locator("#word")).to_be_hidden()


def test_analogies_are_those_of_word_vectors(opened: Any, maps: dict[str, Path]) -> None:
    page, vectors = opened(maps["plain"]), plain()
    for question in (("word1", "word2", "word3"), ("word10", "word700", "word1500"), ("word5", "word5", "word6")):
        for name, word in zip("abc", question, strict=True):
            page.locator(f"#analogy-{name}").fill(word)
        page.locator("#analogy button").click()
        assert answers(page, "#answers") == written(vectors.analogy(*question))
    page.locator("#analogy-b").fill("nothing")
    page.locator("#analogy button").click()
    expect(page.locator("#analogy-status")).to_have_text("not on this map: nothing")
    assert answers(page, "#answers") == []


def test_words_are_data(opened: Any, maps: dict[str, Path]) -> None:
    page, vectors = opened(maps["hostile"]), hostile()
    expect(page.locator("#title")).to_have_text("</title><script>alert(1)</script>")
    assert page.title() == "</title><script>alert(1)</script>"
    assert page.locator("script").count() == 2
    for row, word in enumerate(HOSTILE):
        page.locator("#whole").click()
        click_word(page, row)
        shown = str(page.locator("#word-name").text_content())
        assert shown.strip(), repr(word)
        assert rows(page, "#neighbours") == [vectors.row(n.word) for n in vectors.nearest(word)]
    for name, word in zip("abc", HOSTILE, strict=False):
        page.locator(f"#analogy-{name}").fill(word)
    page.locator("#analogy button").click()
    assert rows(page, "#answers") == [vectors.row(n.word) for n in vectors.analogy(*HOSTILE[:3])]
    page.locator("#whole").click()
    page.locator("#in-view").click()
    assert "<script>alert(1)</script>" in page.locator("#selected").input_value().split("\n")
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0


def test_lasso_and_copy(opened: Any, maps: dict[str, Path]) -> None:
    page, vectors = opened(maps["plain"]), plain()
    page.locator("#lasso").click()
    for step, (x, y) in enumerate(((0, 0), (900, 0), (900, 730), (0, 730))):
        page.mouse.move(x + 2, y + 66)
        if step == 0:
            page.mouse.down()
    page.mouse.up()
    assert page.locator("#selected").input_value().split("\n") == list(vectors.words)
    page.locator("#copy").click()
    expect(page.locator("#selection-status")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()").split() == list(vectors.words)


def test_the_table_behind_the_map(opened: Any, maps: dict[str, Path]) -> None:
    page, shown = opened(maps["plain"]), map_words(plain(), title="plain.npz")
    page.locator("#search").fill("word7")
    page.locator("#in-view").click()
    assert page.locator("#table tr").count() == 0
    page.get_by_text("As a table").click()
    expect(page.locator("#table caption")).to_contain_text(f"The first 1,000. x: {shown.layout.axes[0]}")
    lines = [row.locator("td").all_text_contents() for row in page.locator("#table tr").all()[1:4]]
    for (word, x, y, count, cluster), expected in zip(lines, shown.rows(), strict=False):
        assert (word, int(count.replace(",", ""))) == (expected["word"], expected["count"])
        assert [float(x), float(y)] == pytest.approx([expected["x"], expected["y"]], abs=5e-5)
        assert cluster == ", ".join(shown.cluster_names[expected["cluster"]])
    assert shown.layout.axes[1] in str(page.locator("#map").get_attribute("aria-label"))


def test_the_keyboard_moves_the_map(opened: Any, maps: dict[str, Path]) -> None:
    page = opened(maps["plain"])
    before = page.evaluate("window.dlscratchMap.screenOf(3)")
    page.locator("#map").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.dlscratchMap.screenOf(3)") == pytest.approx([before[0] + 60, before[1]])
    page.keyboard.press("+")
    assert page.evaluate("window.dlscratchMap.view.zoom") == pytest.approx(1.3)
    page.keyboard.press("0")
    assert page.evaluate("window.dlscratchMap.screenOf(3)") == pytest.approx(before)
    page.keyboard.press("/")
    page.keyboard.type("word77")
    page.keyboard.press("Enter")
    expect(page.locator("#word-name")).to_have_text("word77")


def test_wheel_and_pinch_zoom_where_they_are(opened: Any, maps: dict[str, Path]) -> None:
    page = opened(maps["plain"], 390, 844)
    box = page.locator("#map").bounding_box()
    x, y = page.evaluate("window.dlscratchMap.screenOf(3)")
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -200)
    page.wait_for_function("() => window.dlscratchMap.view.zoom > 1.5")
    assert page.evaluate("window.dlscratchMap.screenOf(3)") == pytest.approx([x, y], abs=1)
    zoom = page.evaluate("window.dlscratchMap.view.zoom")
    page.evaluate(
        """() => {
            const canvas = document.getElementById("map"), { left, top } = canvas.getBoundingClientRect();
            canvas.setPointerCapture = () => {};
            const fire = (type, pointerId, x) =>
                canvas.dispatchEvent(new PointerEvent(type, { pointerId, clientX: left + x, clientY: top + 200 }));
            fire("pointerdown", 1, 150); fire("pointerdown", 2, 200);
            fire("pointermove", 2, 250); fire("pointerup", 1, 150); fire("pointerup", 2, 250);
        }"""
    )
    assert page.evaluate("window.dlscratchMap.view.zoom") == pytest.approx(2 * zoom)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_labels_never_overlap_and_stay_while_the_map_is_moved(opened: Any, maps: dict[str, Path]) -> None:
    page = opened(maps["plain"])
    place = """pan => {
        const { labels, view, context, state } = window.dlscratchMap;
        view.pan(pan, 0);
        const placed = labels.place(context, view, state.positions, [], 2);
        return placed.map(({ row, x, y, width, height }) => [row, x, y, width, height]);
    }"""
    first, second = page.evaluate(place, 0), page.evaluate(place, 7)
    assert len(first) > 30
    for number, (_, x, y, width, height) in enumerate(first):
        for _, left, top, w, h in first[:number]:
            assert x >= left + w or left >= x + width or y >= top + h or top >= y + height
    assert [label[0] for label in first] == [label[0] for label in second]
    assert first[0][0] == 0  # the most frequent word


def test_what_moved(opened: Any, maps: dict[str, Path]) -> None:
    page, before, after = opened(maps["change"]), plain(), plain(1)
    shown = map_changes(before, after, title="change")
    assert rows(page, "#moved") == shown.moved[:100]
    page.locator("#moved button.word").first.click()
    name = str(page.locator("#word-name").text_content())
    old, new = page.locator("#neighbours table").all()
    assert old.locator("button").all_text_contents() == [n.word for n in before.nearest(name)]
    assert new.locator("button").all_text_contents() == [n.word for n in after.nearest(name)]
    page.locator("#time").fill("0")
    np.testing.assert_allclose(
        page.evaluate("[...window.dlscratchMap.state.positions]"), shown.positions_before.ravel(), rtol=1e-6, atol=1e-6
    )


def test_light_and_dark_and_colours(opened: Any, maps: dict[str, Path]) -> None:
    page = opened(maps["plain"])
    corner = "() => document.getElementById('map').getContext('2d').getImageData(700, 5, 1, 1).data[0]"
    assert page.evaluate(corner) > 200
    page.locator("#theme").click()
    page.wait_for_function(f"() => ({corner})() < 60")
    assert page.locator("#legend button").count() == 8
    page.locator("#colour").select_option("frequency")
    expect(page.locator("#legend")).to_have_text("rarefrequent")


def test_thirty_thousand_words(opened: Any, tmp_path: Path) -> None:
    """Under 8 MB, usable, and with the right neighbours. How fast it is, it prints: a busy machine is no defect.

    `pytest -n 0 -rP -k thirty_thousand` on an idle one shows about half a second until it is ready, and 60 frames.
    """
    vectors = many()
    map_words(vectors, title="many").save(tmp_path / "many.html")
    assert (tmp_path / "many.html").stat().st_size < 8_000_000
    page = opened(tmp_path / "many.html")
    print("ready after", round(page.evaluate("window.dlscratchMap.readyAt")), "ms")
    for zoom in (1, 8):
        times = page.evaluate(PAN, zoom)
        assert len(times) > 60
        print("zoom", zoom, "panning at", round(1000 / np.mean(times)), "frames a second")
    corrected = page.evaluate("JSON.parse(document.getElementById('data').textContent).spaces[0].corrections")
    rounded_wrong = np.frombuffer(base64.b64decode(corrected), "<u2").reshape(-1, 11)[:, 0]
    assert len(rounded_wrong) > 100
    for row in (*range(0, 30_000, 5_000), *rounded_wrong[:10]):
        page.locator("#search").fill(f"word{row}")
        page.locator("#search").press("Enter")
        assert [word for word, _ in answers(page, "#neighbours")] == [n.word for n in vectors.nearest(f"word{row}")]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_first_view_shows_every_dot_beside_the_axes(opened: Any, maps: dict[str, Path], width: int) -> None:
    page = opened(maps["plain"], width)
    places = page.evaluate(
        "() => { const m = window.dlscratchMap; return m.labels.texts.map((_, row) => m.screenOf(row)); }"
    )
    box = page.locator("#map").bounding_box()
    assert all(50 <= x <= box["width"] - 59 and 15 <= y <= box["height"] - 53 for x, y in places)


def test_a_long_word_is_cut_on_the_map_and_whole_beside_it(opened: Any, tmp_path: Path) -> None:
    word = "long" * 25
    WordVectors([word, "b", "c"], np.eye(3)).save(tmp_path / "long.npz")
    map_words(WordVectors.load(tmp_path / "long.npz"), title="long").save(tmp_path / "long.html")
    page = opened(tmp_path / "long.html", 390)
    assert page.evaluate("window.dlscratchMap.labels.texts[0]") == "long" * 7 + "l…"
    page.locator("#search").fill(word)
    page.locator("#search").press("Enter")
    expect(page.locator("#word-name")).to_have_text(word)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
