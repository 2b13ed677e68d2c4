"""Each kind of page, tried from inside: its policy refuses every request and every script but its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api")

from browsing import browser, needs_chromium, open_file
from playwright.sync_api import Browser
from report_pages import image_run

from dlscratch.nn import Linear, Sequential
from dlscratch.pictures.embedding_map import map_words
from dlscratch.pictures.graph import model_graph
from dlscratch.pictures.graph_page import graph_page
from dlscratch.pictures.report import report
from dlscratch.runs.report import collect
from dlscratch.word2vec.vectors import WordVectors

__all__ = ["browser"]  # a fixture

pytestmark = needs_chromium

REFUSED = {
    *("connect-src", "form-action", "frame-src", "img-src", "media-src", "object-src"),
    *("script-src-elem", "style-src-attr", "style-src-elem"),
}
TRY = """async ([address, wanted]) => {
    const refused = new Set();
    document.addEventListener("securitypolicyviolation", (event) => refused.add(event.effectiveDirective));
    const add = (name, properties) => document.body.append(Object.assign(document.createElement(name), properties));
    add("script", { textContent: "window.ran = true" });
    add("script", { src: address });
    add("img", { src: address });
    add("iframe", { src: address });
    add("link", { rel: "stylesheet", href: address });
    add("link", { rel: "prefetch", href: address });
    add("video", { src: address });
    add("object", { data: address });
    add("p", { textContent: "x" }); document.body.lastChild.setAttribute("style", `background: url(${address})`);
    navigator.sendBeacon(address, "x");
    for (const ask of [() => fetch(address), () => new EventSource(address), () => new WebSocket(address)]) {
        try { await ask(); } catch { /* refused */ }
    }
    const form = Object.assign(document.createElement("form"), { action: address, method: "post" });
    document.body.append(form);
    form.submit();
    for (let wait = 0; wait < 200 && !wanted.every((directive) => refused.has(directive)); wait++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return [window.ran ?? null, [...refused]];
}"""


def map_page(folder: Path) -> bytes:
    return map_words(WordVectors(["a", "b", "c"], np.eye(3)), title="map").content(".html")


PAGES: dict[str, Callable[[Path], bytes]] = {
    "map": map_page,
    "graph": lambda folder: graph_page(model_graph(Sequential(Linear(out_features=2), input_shape=3), "graph")),
    "report": lambda folder: report(collect(image_run(folder))),
}


@pytest.fixture
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server on this machine, and what it has been sent. (A browser may connect and say nothing.)"""
    heard: list[bytes] = []

    class Listener(BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(5)
            with suppress(OSError):
                heard.append(self.request.recv(1000))

    with ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", heard
        server.shutdown()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing(
    browser: Browser, listener: tuple[str, list[bytes]], name: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_bytes(PAGES[name](tmp_path))
    context, (address, heard) = browser.new_context(), listener
    page = open_file(context, tmp_path / "page.html")
    ran, refused = page.evaluate(TRY, [address, sorted(REFUSED)])
    assert ran is None
    assert set(refused) >= REFUSED
    context.close()
    assert [sent for sent in heard if sent] == []
