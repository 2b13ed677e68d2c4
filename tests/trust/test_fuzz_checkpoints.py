"""Checkpoints that a stranger made: whole, with right checksums, and with anything in their metadata and arrays."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import command, judge, tried
from hypothesis import strategies as st
from tiny_runs import FLOWERS, project, train, write_idx
from tiny_words import text

from dlscratch import checkpoint

CONVOLUTION = """\
data: {idx: {images: images.idx, labels: labels.idx}, preprocessing: {shape: [1, 8, 8]}}
model: [{conv2d: {out_channels: 2, kernel_size: 3}}, batch_norm2d, {max_pool2d: {kernel_size: 2}}, flatten,
  {residual: {layers: [{linear: {out_features: 18}}, relu]}}, {linear: {out_features: 1}}]
loss: {binary_cross_entropy_with_logits: {}}
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 1}
"""
HEIGHTS = FLOWERS.replace("species", "height").replace("out_features: 3", "out_features: 1")
LAST = '{"patience": 3}'

HARMLESS = st.sampled_from([None, True, 0, 1, -1, 0.5, "", "x", "species", "linear", "relu", "csv", "table", "arrays"])
WILD = st.sampled_from([10**6, 2**31, 10**12, 2**63, 10**30, 1e300, float("nan"), float("inf"), -5, "\ud800", "\x1b[2J",
    "../../etc/passwd", "/dev/zero", "a\0b", "x" * 3000, [], {}, [[]], [{}], {"": ""}, [1, 2, 3], ["a", "b"], {"a": {"b": 1}},
    [10**6] * 4, [1] * 70, [["deep"]] * 3])  # fmt: skip
ANYTHING = (HARMLESS | WILD).map(copy.deepcopy)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@st.composite
def altered(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one to three values changed, removed, added, or moved to another place."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(places(document)[1:]))
        parent: Any = document
        for key in above:
            parent = parent[key]
        action = draw(st.sampled_from(["set", "set", "remove", "add", "move"]))
        if action == "remove":
            del parent[last]
        elif action == "add":
            grown = parent[last] if isinstance(parent[last], dict | list) else parent
            key = draw(st.sampled_from(["kind", "x", "layers", "options"]))
            if isinstance(grown, dict):
                grown[key] = draw(ANYTHING)
            else:
                grown.append(draw(ANYTHING))
        else:
            parent[last] = draw(ANYTHING) if action == "set" else copy.deepcopy(draw(st.sampled_from([*document.values()])))
        if len(places(document)) < 2:
            break
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind, with their data."""
    folder = tmp_path_factory.mktemp("strange")
    rng = np.random.default_rng(0)
    project(folder)
    write_idx(folder / "images.idx", rng.integers(0, 256, (40, 8, 8)))
    write_idx(folder / "labels.idx", np.arange(40) % 2)
    for name, config in {"flowers": FLOWERS, "heights": HEIGHTS, "images": CONVOLUTION}.items():
        (folder / f"{name}.yaml").write_text(config)
        train(folder / f"{name}.yaml", folder / name, "training.epochs=1", f"training.early_stopping={LAST}")
    (folder / "text.txt").write_text(text(60))
    (folder / "initial.yaml").write_text("""\
data: {npz: {path: rows.npz}, preprocessing: {scale: ids}}
model: [{embedding: {num_embeddings: 39, embedding_dim: 6}}, flatten, {linear: {out_features: 2}}]
initial: {0.weight: words/vectors.npz}
optimizer: {sgd: {lr: 0.1}}
""")
    np.savez(folder / "rows.npz", x=rng.integers(0, 39, (40, 3)), y=np.arange(40) % 2)
    words = ("word2vec", folder / "text.txt", "--out", folder / "words", "--dim", "6", "--epochs", "1", "-q")
    assert command(*words).code == 0
    return folder


MODELS = {"flowers": "flowers.csv", "heights": "flowers.csv", "images": "images.idx"}
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    **{
        f"{name}/best.npz": (
            *(("predict", "FILE", data), ("predict", "FILE", data, "--json")),
            ("evaluate", "FILE", *([data, "labels.idx"] if name == "images" else [data])),
            *(("inspect", "FILE"), ("inspect", "FILE", "--json"), ("graph", "FILE"), ("evaluate", "FILE")),
        )
        for name, data in MODELS.items()
    },
    "flowers/last.npz": (
        ("train", "flowers.yaml", "--out", "flowers", "--resume", "--epochs", "2", "-q",
         "--set", f"training.early_stopping={LAST}"),
    ),
    "words/vectors.npz": (
        *(("vectors", "nearest", "FILE", "ab"), ("vectors", "export", "FILE", "--to", "exported.npz")),
        *(("inspect", "FILE"), ("inspect", "FILE", "--json"), ("check", "initial.yaml")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_strange_metadata(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, long: bool) -> None:
    monkeypatch.chdir(folder)
    arrays, metadata = checkpoint.load(folder / name)
    before = set(folder.iterdir())
    codes: list[int] = []
    shutil.copy(folder / name, folder / "good.npz")

    @tried(400 if long else 12, altered({key: value for key, value in metadata.items() if key != "arrays"}))
    def _(document: dict[str, Any]) -> None:
        checkpoint.save(folder / name, arrays, document)
        for args in COMMANDS[name]:
            ending = command(*(name if arg == "FILE" else arg for arg in args))
            judge(ending, {1, 2, 3, 5})
            codes.append(ending.code)

    shutil.copy(folder / "good.npz", folder / name)
    print(name, {code: codes.count(code) for code in sorted(set(codes))})
