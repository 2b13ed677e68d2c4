"""The report's page in a browser: opened as a file, without a request, an error or a script of anyone else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from browsing import browser, needs_chromium, open_file, quiet
from playwright.sync_api import Browser, expect
from report_pages import hostile_run, image_run

from dlscratch.pictures.report import report
from dlscratch.runs.report import collect

__all__ = ["browser"]  # a fixture

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports on hostile names, on images, and on a class with a long name."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"hostile": hostile_run(folder), "images": image_run(folder)}
    for name, run in runs.items():
        document = collect(run)
        document["epochs"][0]["val_loss"] = None  # not finite
        (folder / f"{name}.html").write_bytes(report(document))
    document = collect(runs["images"])
    document["classes"][0] = "x" * 120
    (folder / "long.html").write_bytes(report(document))
    return {name: folder / f"{name}.html" for name in (*runs, "long")}


@pytest.fixture
def opened(browser: Browser, reports: dict[str, Path]) -> Iterator[Any]:
    """`opened("images", 1280)`: the page; afterwards, nothing may have gone wrong on it."""
    context = browser.new_context(accept_downloads=True)
    with quiet(context, "data:image/", "blob:"):
        yield lambda name, width=1280: open_file(context, reports[name], width)


def test_a_cell_shows_its_examples(opened: Any) -> None:
    page = opened("images")
    document = json.loads(page.locator("#data").text_content())
    images = page.locator("#examples img:visible")
    assert images.count() == 0
    for button in page.locator("#matrix button").all():
        button.click()
        actual, predicted = map(int, str(button.get_attribute("value")).split("-"))
        expected = [x["where"] for x in document["examples"] if (x["actual"], x["predicted"]) == (actual, predicted)]
        shown = [str(image.get_attribute("alt")).removeprefix("the image of ") for image in images.all()]
        assert shown == expected
        assert button.get_attribute("aria-pressed") == "true"
        assert all(image.evaluate("image => image.naturalWidth") == 6 for image in images.all())
    expect(page.locator("#matrix button[aria-pressed=true]")).to_have_count(1)


def test_the_keyboard_chooses_a_cell_and_reads_a_curve(opened: Any) -> None:
    page = opened("images")
    page.locator("#matrix button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#examples section:visible")).to_have_count(1)
    curve = page.locator("svg[data-places]").first
    curve.focus()
    page.keyboard.press("ArrowLeft")
    readout = page.locator("figure:has(svg[data-places]) output").first
    cells = page.locator("figure:has(svg[data-places])").first.locator("tbody tr").first.locator("th, td")
    values = cells.all_text_contents()
    expect(readout).to_have_text(f"epoch {values[0]} · training {values[1]} · validation {values[2]}")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["hostile", "images"])
def test_the_page_fits(opened: Any, name: str, width: int) -> None:
    page = opened(name, width)
    for button in page.locator("#matrix button").all():
        button.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = "[...document.querySelectorAll('svg[role=img]:not([hidden])')]"
    heights = f"{shown}.map((picture) => picture.getBoundingClientRect().height)"
    assert min(page.evaluate(heights)) > 50


def test_hostile_names_are_inert_and_shown(opened: Any) -> None:
    page = opened("hostile")
    heads = page.locator(".matrix thead th").all_text_contents()
    assert heads == json.loads(page.locator("#data").text_content())["classes"]
    assert page.locator("script").count() == 2
    assert page.locator("img:not([src^='data:image/svg'])").count() == 0


def test_a_table_is_saved_as_csv_and_the_numbers_as_json(opened: Any, tmp_path: Path) -> None:
    page = opened("images")
    page.locator("figure > details summary").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").first.click()
    download.value.save_as(tmp_path / "loss.csv")
    epochs = json.loads(page.locator("#data").text_content())["epochs"]
    rows = [line.split(",") for line in (tmp_path / "loss.csv").read_text().splitlines()]
    assert rows[0] == ["epoch", "training", "validation"]
    numbers = [[float(x) if x else None for x in row] for row in rows[1:]]
    assert numbers == [[e["epoch"], e["loss"], e["val_loss"]] for e in epochs]
    assert numbers[0][2] is None  # and no dash
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the numbers").click()
    download.value.save_as(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["epochs"] == epochs


def test_examples_come_into_view(opened: Any) -> None:
    page = opened("images", 390)
    page.set_viewport_size({"width": 390, "height": 100})
    button = page.locator("#matrix button").first
    button.scroll_into_view_if_needed()
    button.click()
    top = page.locator("#examples").evaluate("box => box.getBoundingClientRect().top")
    assert 0 <= top < 100


def test_curves_by_logarithms_and_one_by_one(opened: Any) -> None:
    page = opened("images")
    pictures = page.locator("figure").first.locator("svg[data-places]")
    assert [picture.is_visible() for picture in pictures.all()] == [True, False]
    page.get_by_role("button", name="Logarithmic").click()
    assert [picture.is_visible() for picture in pictures.all()] == [False, True]
    page.locator(".legend button").first.click()
    expect(pictures.last.locator(".line.training")).to_have_css("visibility", "hidden")
    expect(pictures.last.locator(".line.validation")).to_have_css("visibility", "visible")


def test_long_names_break_and_leave_the_numbers_in_view(opened: Any, reports: dict[str, Path]) -> None:
    page = opened("long", 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cells = page.locator("table:has(caption:text('Each class')) tbody tr").first.locator("th, td").all()
    boxes = [cell.bounding_box() for cell in cells]
    assert boxes[0]["width"] < 200
    assert all(box["height"] == boxes[0]["height"] for box in boxes)
