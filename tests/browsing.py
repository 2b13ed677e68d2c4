"""Pages opened from their files in a headless Chromium, watched for requests, errors and dialogs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

needs_chromium = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.filterwarnings("default"),  # what Playwright warns of is not ours
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, for all tests of a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def quiet(context: BrowserContext, *harmless: str) -> Iterator[None]:
    """Inside, no page of the context may ask for anything but itself (and `harmless` addresses) or complain."""
    troubles: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: None if request.is_navigation_request() else troubles.append(request.url))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))

    context.on("page", watch)
    yield
    context.close()
    assert [trouble[:200] for trouble in troubles if not trouble.startswith(harmless)] == []


def open_file(context: BrowserContext, path: Path, width: int = 1280, height: int = 900) -> Page:
    """A page of this size, from its file."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.goto(path.as_uri())
    return page
