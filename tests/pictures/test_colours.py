"""Colours: what readers with each kind of colour blindness see, reckoned."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import dlscratch.pictures
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.svg import STYLE

PAGE = Path(dlscratch.pictures.__file__).parent / "page"
FAMILIES = ("weights", "normalization", "activation", "other")
APART = 15  # ΔE 1976; 2.3 is just noticeable, and 16.1 what Okabe and Ito's own colours have
# Complete blindness of each kind in linear RGB: Machado, Oliveira and Fernandes (2009).
SIGHT = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def variables(css: str) -> tuple[dict[str, str], dict[str, str]]:
    """The colours that a style names, for light and for dark."""
    light, dark = css.split("prefers-color-scheme: dark")
    return tuple(dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", part)) for part in (light, dark))  # type: ignore[return-value]


GRAPH, REPORT = (variables((PAGE / f"{name}.css").read_text(encoding="utf-8")) for name in ("graph", "report"))
PALETTES = {
    "runs and clusters": COLOURS,
    "layers, light": [GRAPH[0][name] for name in FAMILIES],
    "layers, dark": [GRAPH[1][name] for name in FAMILIES],
    "curves, light": [REPORT[0][name] for name in ("training", "validation")],
    "curves, dark": [REPORT[1][name] for name in ("training", "validation")],
}


def linear(colour: str) -> np.ndarray:
    x = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, for daylight."""
    x = XYZ @ rgb / [0.95047, 1, 1.08883]
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_can_be_told_apart(palette: str, sight: str) -> None:
    seen = {colour: lab(np.clip(np.array(SIGHT[sight]) @ linear(colour), 0, 1)) for colour in PALETTES[palette]}
    near = [pair for pair in itertools.combinations(seen, 2) if np.linalg.norm(seen[pair[0]] - seen[pair[1]]) < APART]
    assert near == []


@pytest.mark.parametrize("paper", ["#ffffff", "#15171b"])
def test_colours_stand_out_on_paper_of_both_kinds(paper: str) -> None:
    light = {colour: float(XYZ[1] @ linear(colour)) + 0.05 for colour in (paper, *COLOURS)}  # WCAG's contrast
    contrasts = {colour: max(x, light[paper]) / min(x, light[paper]) for colour, x in light.items() if colour != paper}
    assert min(contrasts.values()) > 2, contrasts


def test_the_graphs_page_has_the_colours_of_its_picture() -> None:
    for page, picture in zip(GRAPH, variables(STYLE), strict=True):
        assert {name: page[name] for name in FAMILIES} == {name: picture[name] for name in FAMILIES}


def test_a_test_that_a_near_pair_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PALETTES, "near", ["#cc79a7", "#8a8f98"])  # pink and grey
    test_colours_can_be_told_apart("near", "full")
    with pytest.raises(AssertionError):
        test_colours_can_be_told_apart("near", "deuteranopia")
