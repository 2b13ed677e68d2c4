"""The graph's page in a browser: folds, unfolds, turns, asks nobody for anything, and a hostile name does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from browsing import browser, needs_chromium, open_file, quiet
from playwright.sync_api import Browser, Page, expect

from dlscratch.nn import Linear, ReLU, Residual, Sequential
from dlscratch.pictures.graph import model_graph
from dlscratch.pictures.graph_page import graph_page

__all__ = ["browser"]  # a fixture

HOSTILE = "<script>document.title='x'</script><img src=x onerror=alert(1)>"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page, opened from its file; afterwards, nothing may have been asked for or gone wrong."""
    file: Path = tmp_path_factory.mktemp("graph") / "graph.html"
    blocks = (Residual(Linear(out_features=4), ReLU()) for _ in range(25))
    model = Sequential(*blocks, input_shape=4)
    file.write_bytes(graph_page(model_graph(model, HOSTILE, ops=True)))
    context = browser.new_context()
    with quiet(context):
        yield open_file(context, file)


def test_names_are_text(page: Page) -> None:
    assert page.title() == f"{HOSTILE}: graph"
    expect(page.locator("h1")).to_have_text(HOSTILE)
    assert page.locator("img").count() == 0


def test_layers_fold_and_unfold(page: Page) -> None:
    layer = page.get_by_text("3.0 linear")
    expect(layer.first).to_be_hidden()  # 50 layers begin folded
    page.get_by_text("3 residual", exact=True).click()
    expect(layer.first).to_be_visible()
    layer.first.click()
    expect(page.get_by_text("parameter weight").nth(3)).to_be_visible()
    page.get_by_role("button", name="Fold all", exact=True).click()
    expect(layer.first).to_be_hidden()
    page.get_by_role("button", name="Unfold all").click()
    expect(page.get_by_text("24.1 relu").first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("turned", [False, True])
def test_the_page_fits_its_window(page: Page, width: int, turned: bool) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    if turned:
        page.get_by_role("button", name="Turn").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("As a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_graph_turns(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("button", name="Fold all", exact=True).click()
    ends = page.locator("#graph > li")

    def beside() -> bool:
        first, second = (ends.nth(index).bounding_box() for index in (0, 1))
        assert first is not None
        assert second is not None
        return second["x"] > first["x"] + 20

    before = beside()
    page.get_by_role("button", name="Turn").click()
    assert beside() is not before
