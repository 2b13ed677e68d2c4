"""Runs to report on, and the pages of reports as Python sees them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from tiny_runs import SPECIES, flowers, project, train

HOSTILE = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "\"'&amp; onclick=alert(3)")
IMAGES = """\
seed: 0
data:
  npz: {path: images.npz}
  preprocessing: {scale: 255}
model:
  - flatten
  - linear: {out_features: 2}
optimizer: {sgd: {lr: 0.01}}
training: {epochs: 2, batch_size: 16}
"""


def hostile_flowers() -> str:
    """flowers.csv with a column and with species that a careless page would run."""
    text = flowers().replace("width", '"<img src=y onerror=alert(4)>"')
    for name, evil in zip(SPECIES, HOSTILE, strict=True):
        quoted = '"' + evil.replace('"', '""') + '"'
        text = text.replace(name, quoted)
    return text


def hostile_run(folder: Path) -> Path:
    """The folder of a run on them; its name is hostile, too."""
    run = folder / "<b>run\"'&"
    train(project(folder, data=hostile_flowers()), run, "training.epochs=1")
    return run


def image_run(folder: Path) -> Path:
    """The folder of a run on 80 images of 6×6 noise, which cannot be learned: there are mistakes."""
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", x=rng.integers(0, 256, (80, 6, 6), dtype=np.uint8), y=np.arange(80) % 2)
    (folder / "images.yaml").write_text(IMAGES)
    train(folder / "images.yaml", folder / "images")
    return folder / "images"


class Page(HTMLParser):
    """A page's text, its tables by caption, its named numbers, its cells of the confusion matrix, its tags."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[Any]]] = {}
        self.named: dict[str, float] = {}
        self.matrix: dict[str, int] = {}
        self.text, self.document = "", {}
        self._inside: list[str] = []
        self._rows: list[list[Any]] = []
        self._caption = self._pair = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.append((tag, facts))
        self._inside += [] if tag in ("meta", "img", "br") else [tag]
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._pair = facts.get("data-cell") or ""
        elif tag == "data" and "value" in facts:
            value = json.loads(str(facts["value"]))
            self.named |= {str(facts["data-name"]): value} if "data-name" in facts else {}
            if "td" in self._inside or "th" in self._inside:
                self._rows[-1][-1] = value

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        within = self._inside[-1:] or [""]
        if within == ["script"]:
            self.document = json.loads(data) if data.startswith("{") else self.document
        elif within != ["style"]:
            self.text += data
        if "caption" in self._inside:
            self._caption += data
        elif {"td", "th"} & set(self._inside) and self._pair:
            self.matrix[self._pair] = int(data.replace(",", ""))
        elif {"td", "th"} & set(self._inside) and isinstance(self._rows[-1][-1], str):
            self._rows[-1][-1] += data
