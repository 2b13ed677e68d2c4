"""The pictures of the README, made again by the commands that it shows.

    pip install '.[test]' && python data/pictures/make.py

The pages are photographed in Chromium (`apt-get install chromium`); without it their pictures stay what they are.
"""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image  # comes with matplotlib
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MARGIN = 12  # pixels around what is cut out of a page


def dlscratch(*arguments: str | Path) -> None:
    """Run one command, and show it."""
    words = [str(argument) for argument in arguments]
    print("dlscratch", shlex.join(words), flush=True)
    subprocess.run([sys.executable, "-m", "dlscratch", *words, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def drawings(folder: Path) -> None:
    """What a command draws itself; leaves the trained model in `folder`/digits."""
    config, run = ROOT / "configs" / "digits.yaml", folder / "digits"
    dlscratch("explain", "(x + y) * z", "x=-2", "y=5", "z=-4", "--svg", HERE / "explain.svg")
    dlscratch("graph", config, "-o", HERE / "graph.svg")
    dlscratch("train", config, "--out", run)
    dlscratch("plot", run, "--metric", "loss", "--metric", "accuracy", "-o", HERE / "curves.svg")


def photograph(page: Page, name: str, clip: FloatRect | None = None) -> None:
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as image:
        few = image.convert("RGB").quantize(256)  # looks the same, and is a third as large
    few.save(HERE / name, optimize=True)


def rows_of(page: Page, first: str, last: str) -> FloatRect:
    """The page's whole width, from where the element `first` begins to where `last` ends."""
    above, below = (page.locator(selector).first.bounding_box() for selector in (first, last))
    assert above is not None, first
    assert below is not None, last
    top, bottom = max(0, above["y"] - MARGIN), below["y"] + below["height"] + MARGIN
    return {"x": 0, "y": top, "width": 1280, "height": bottom - top}


def report(browser: Browser, folder: Path) -> None:
    """The page about the run: its upper part, and its results with the commonest mistake chosen."""
    dlscratch("report", folder / "digits", "-o", folder / "report.html")
    page = browser.new_page(viewport={"width": 1280, "height": 3000})
    page.goto((folder / "report.html").as_uri())
    photograph(page, "report.png", rows_of(page, "body", "figure"))
    cells = {str(cell.get_attribute("value")): cell for cell in page.locator("#matrix button").all()}
    wrong = [cell for pair, cell in cells.items() if len({*pair.split("-")}) == 2]
    max(wrong, key=lambda cell: int(cell.inner_text())).click()
    photograph(page, "mistakes.png", rows_of(page, "[aria-labelledby=answers]", "[aria-labelledby=mistakes]"))


def word_map(browser: Browser, folder: Path) -> None:
    """The map of the words of the King James Bible, with an analogy answered and the word gold chosen."""
    dlscratch("word2vec", ROOT / "data" / "kjv.txt.gz", "--out", folder / "kjv")
    dlscratch("vectors", "map", folder / "kjv" / "vectors.npz", "-o", folder / "map.html")
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.goto((folder / "map.html").as_uri())
    page.wait_for_function("window.dlscratchMap?.readyAt")
    for name, word in zip("abc", ("man", "king", "woman"), strict=True):
        page.locator(f"#analogy-{name}").fill(word)
    page.locator("#analogy-c").press("Enter")
    page.locator("#search").fill("gold")
    page.locator("#search").press("Enter")
    page.locator("#search").fill("")
    page.wait_for_timeout(500)  # until the labels have faded in
    photograph(page, "map.png")


def pages(folder: Path) -> None:
    if CHROMIUM is None:
        print("report.png, mistakes.png and map.png stay what they are: there is no Chromium")
        return
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM) as browser:
        report(browser, folder)
        word_map(browser, folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        drawings(Path(name))
        pages(Path(name))
