"""The graph of a model: its facts, its forms, and pictures in which nothing covers anything else."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from dlscratch.nn import (
    GELU,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from dlscratch.pictures.graph import Graph, model_graph
from dlscratch.pictures.graph_page import graph_page
from dlscratch.pictures.graph_svg import graph_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert(1)</script> "it\'s" & \\'


def nested() -> Sequential:
    return Sequential(
        Sequential(Linear(out_features=8), ReLU()),
        Residual(Sequential(Linear(out_features=8), Tanh()), Residual(Linear(out_features=8), GELU())),
        Linear(out_features=3),
        input_shape=4,
    )


def residual(blocks: int) -> Sequential:
    """3 layers, and 6 more for each block: 100 layers for 16 blocks and a linear layer."""

    def conv() -> Conv2d:
        return Conv2d(out_channels=4, kernel_size=3, padding=1)

    inside = (Residual(conv(), BatchNorm2d(), ReLU(), conv(), BatchNorm2d(), ReLU()) for _ in range(blocks))
    return Sequential(conv(), ReLU(), *inside, GlobalAvgPool2d(), Linear(out_features=10), input_shape=(1, 8, 8))


def long(layers: int) -> Sequential:
    return Sequential(*(Linear(out_features=8) for _ in range(layers)), input_shape=8)


MODELS: dict[str, Any] = {
    "one": lambda: long(1),
    "three": lambda: long(3),
    "nested": nested,
    "residual": lambda: residual(16),
    "long": lambda: long(100),
    "long inside": lambda: Sequential(Residual(*long(60)), ReLU(), input_shape=8),
}


def test_the_facts_are_those_of_the_model() -> None:
    model = nested()
    graph = model_graph(model, "nested")
    assert graph.root.parameters == model.summary().parameters
    assert graph.summary == "7 layers, 211 parameters, 4 → 3"
    rows = {row.path: (row.kind, row.output_shape) for row in model.summary()}
    assert {block.path: (block.kind, block.output_shape) for block in graph.root.all() if block.path} == rows


def test_the_text() -> None:
    assert (
        model_graph(nested(), "nested").branch().text()
        == """\
nested: 7 layers, 211 parameters, 4 → 3
├── 0 sequential  → 8  40 parameters
│   ├── 0.0 linear  out_features 8  → 8  40 parameters
│   └── 0.1 relu  → 8
├── 1 residual  → 8  144 parameters
│   ├── 1.0 sequential  → 8  72 parameters
│   │   ├── 1.0.0 linear  out_features 8  → 8  72 parameters
│   │   └── 1.0.1 tanh  → 8
│   ├── 1.1 residual  → 8  72 parameters
│   │   ├── 1.1.0 linear  out_features 8  → 8  72 parameters
│   │   ├── 1.1.1 gelu  → 8
│   │   └── <Add> its input 8
│   └── <Add> its input 8
└── 2 linear  out_features 3  → 3  27 parameters"""
    )


def test_folding_keeps_the_sums() -> None:
    graph = model_graph(nested(), "nested")
    folded = graph.folded(1)
    assert folded.summary == graph.folded(0).summary == graph.summary
    assert [block.title for block in folded.root.inside[1].inside] == ["sequential (2 layers)", "residual (2 layers)"]
    assert graph.folded(None) is graph.folded(None)
    assert graph.folded(9).document() == graph.document()


def test_the_ops_are_those_that_run() -> None:
    model = Sequential(Flatten(), Linear(out_features=4), BatchNorm1d(), Dropout(p=0.5), input_shape=(2, 3))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    graph = model_graph(model, "m", ops=True)
    assert [block.ops for block in graph.blocks] == [
        (("Reshape", (6,)),),
        (("Linear", (4,)),),
        (("BatchNorm", (4,)),),
        (),  # nothing is dropped outside training
    ]
    assert all((array == before[name]).all() for name, array in model.state_dict().items())
    [block, *_] = model_graph(Sequential(Residual(ReLU()), input_shape=3), "m", ops=True).blocks
    assert (block.ops, block.inside[0].ops) == ((("Add", (3,)),), (("Relu", (3,)),))


def test_integers_go_in_where_the_model_takes_them() -> None:
    model = Sequential(Embedding(num_embeddings=5, embedding_dim=2), Flatten(), input_shape=3)
    assert [block.ops[0][0] for block in model_graph(model, "m", ops=True).blocks] == ["Embedding", "Reshape"]


def test_the_document_is_json_with_the_ops() -> None:
    document = json.loads(json.dumps(model_graph(nested(), "nested", ops=True).document()))
    assert document["parameters"] == 211
    first = document["layers"][0]["layers"][0]
    assert first["arrays"] == {"weight": [8, 4], "bias": [8]}
    assert first["ops"] == [{"op": "Linear", "shape": [8]}]
    assert document["layers"][1]["adds_input"]


def test_dot_has_every_edge_once_and_quotes_names() -> None:
    text = model_graph(nested(), HOSTILE).dot("right")
    assert '  label="<script>alert(1)</script> \\"it\'s\\" & \\\\";' in text
    assert "rankdir=LR" in text
    edges = re.findall(r"(\w+) -> (\w+)( \[style=dashed\])?;", text)
    assert [(start, end) for start, end, dashed in edges if dashed] == [
        ("layer_1_0_1", "layer_1_1"),
        ("layer_0_1", "layer_1"),
    ]
    straight = [(start, end) for start, end, dashed in edges if not dashed]
    place, chain = "input", ["input"]
    while place != "output":
        [place] = [end for start, end in straight if start == place]
        chain.append(place)
    assert chain == [
        *("input", "layer_0_0", "layer_0_1", "layer_1_0_0", "layer_1_0_1"),
        *("layer_1_1_0", "layer_1_1_1", "layer_1_1", "layer_1", "layer_2", "output"),
    ]


def frames(picture: str, kind: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each layer (`box`) or container (`group`) of a picture."""
    found = []
    for group in ET.fromstring(picture).iter(f"{SVG}g"):
        place = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", group.get("transform", "")) if kind == "box" else None
        x, y = map(float, place.groups()) if place else (0.0, 0.0)
        for frame in group.findall(f"{SVG}rect[@class='{kind}']"):
            left, top = x + float(frame.get("x", 0)), y + float(frame.get("y", 0))
            found.append((left, top, left + float(frame.get("width", 0)), top + float(frame.get("height", 0))))
    return found


def apart(one: Any, other: Any) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def within(one: Any, other: Any) -> bool:
    return other[0] <= one[0] and other[1] <= one[1] and one[2] <= other[2] and one[3] <= other[3]


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_covers_anything_else(name: str, direction: Any) -> None:
    graph = model_graph(MODELS[name](), name, ops=name == "nested")
    picture = graph_svg(graph, direction)
    layers, groups = frames(picture, "box"), frames(picture, "group")
    assert len(layers) == 2 + sum(not block.inside for block in graph.root.all())
    assert len(groups) == sum(bool(block.inside) for block in graph.root.all()) - 1
    for index, one in enumerate(layers):
        assert all(apart(one, other) for other in layers[index + 1 :])
        assert all(apart(one, other) or within(one, other) for other in groups)
    for index, one in enumerate(groups):
        assert all(apart(one, other) or within(one, other) or within(other, one) for other in groups[index + 1 :])


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", ["residual", "long", "long inside"])
def test_a_hundred_layers_have_a_screens_proportions(name: str, direction: Any) -> None:
    root = ET.fromstring(graph_svg(model_graph(MODELS[name](), name), direction))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert 0.6 < width / height < 3
    assert max(width, height) < 4000


def points(picture: str, kind: str) -> list[list[tuple[float, float]]]:
    paths = [node.get("d", "") for node in ET.fromstring(picture).iter(f"{SVG}path") if node.get("class") == kind]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)] for path in paths]


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", ["nested", "residual", "long inside"])
def test_lines_run_along_the_axes_and_past_the_layers(name: str, direction: Any) -> None:
    picture = graph_svg(model_graph(MODELS[name](), name), direction)
    skips = [line for line in points(picture, "skip") if len(line) == 4]
    layers, groups = frames(picture, "box"), frames(picture, "group")
    residuals = sum(block.adds_input for block in model_graph(MODELS[name](), name).root.all())
    assert len(skips) == residuals
    for line in [*points(picture, "edge"), *skips]:
        assert all(one[0] == other[0] or one[1] == other[1] for one, other in itertools.pairwise(line))
    for line in skips:
        for (x1, y1), (x2, y2) in itertools.pairwise(line):
            near = min(x1, x2) - 6, min(y1, y2) - 6, max(x1, x2) + 6, max(y1, y2) + 6
            assert all(apart(near, box) for box in layers)
            assert any(within(near, group) for group in groups)


def hostile() -> Graph:
    return model_graph(nested(), HOSTILE)


def test_names_are_text_in_every_form() -> None:
    picture = graph_svg(hostile())
    assert "<script>" not in picture
    assert HOSTILE in "".join(ET.fromstring(picture).itertext())
    page = graph_page(hostile()).decode()
    assert page.count("<script>") == page.count("</script>") == 1
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_forbids_every_request_and_has_a_table() -> None:
    page = graph_page(model_graph(nested(), "nested", ops=True)).decode()
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|unsafe", page)
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    assert len(rows) == 1 + 11
    assert (
        "<td>1.0.0</td><td>linear</td><td>out_features 8</td><td>8</td><td>8</td><td>72</td><td>Linear</td>" in rows[6]
    )


def test_the_page_of_a_large_model_begins_folded() -> None:
    assert graph_page(model_graph(residual(16), "large")).count(b"<details open>") == 0
    assert graph_page(model_graph(residual(1), "small")).count(b"<details open>") == 1


def test_pictures_have_a_title_a_description_and_both_colours() -> None:
    root = ET.fromstring(graph_svg(model_graph(nested(), "nested")))
    assert root.findtext(f"{SVG}title") == "nested: 7 layers, 211 parameters, 4 → 3"
    assert "1.0.0 linear" in (root.findtext(f"{SVG}desc") or "")
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
