"""Checkpoints that a stranger made: whole, with right checksums, and with anything in their metadata and arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
WILD = st.sampled_from([
    *(10**6, 2**31, 10**12, 2**63, 10**30, 1e300, float("nan"), float("inf"), -5, [10**6] * 4, [1] * 70, [1, 2, 3]),
    *("\ud800", "\x1b[2J", "../../etc/passwd", "/dev/zero", "a\0b", "x" * 3000, ["a", "b"], [["deep"]] * 3),
    *([], {}, [[]], [{}], {"": ""}, {"a": {"b": 1}}),
])  # fmt: skip
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
            moved = st.sampled_from([*document.values()]).map(copy.deepcopy)
            parent[last] = draw(ANYTHING if action == "set" else moved)
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


def endings(folder: Path, name: str, examples: int, strategy: st.SearchStrategy[Any]) -> None:
    """Save the arrays and metadata of a strategy in the place of a good file, and run all commands on it."""
    good, codes = (folder / name).read_bytes(), []

    @tried(examples, strategy)
    def _(contents: tuple[dict[str, Any], dict[str, Any]]) -> None:
        for args in COMMANDS[name]:
            checkpoint.save(folder / name, *contents)
            ending = command(*(name if arg == "FILE" else arg for arg in args))
            judge(ending, {2, 3, 4, 5})
            codes.append(ending.code)

    (folder / name).write_bytes(good)
    print(name, {code: codes.count(code) for code in sorted(set(codes))})
    assert examples < 100 or set(codes) >= {0, 5}


def own(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "arrays"}


@pytest.mark.parametrize("name", COMMANDS)
def test_strange_metadata(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, long: bool) -> None:
    monkeypatch.chdir(folder)
    arrays, metadata = checkpoint.load(folder / name)
    documents = altered(own(metadata))
    endings(folder, name, 500 if long else 6, documents.map(lambda document: (arrays, document)))


TYPES = ("f2", "f8", ">f4", "i1", "u8", "?", "c16", "U3", "S2", "M8[s]")
VALUES = (np.nan, np.inf, 3e38, -1e-40, -1.0, 2.0**62)
OTHERS: tuple[Callable[[np.ndarray], Any], ...] = (
    *(np.zeros_like, np.transpose, np.ravel, np.asfortranarray, lambda x: np.zeros((0, 3)), lambda x: np.zeros(())),
    *(lambda x, dtype=dtype: np.ones(x.shape).astype(dtype) for dtype in TYPES),
    *(lambda x, value=value: np.full(x.shape, value, x.dtype if abs(value) < 2**63 else "f4") for value in VALUES),
)
NAMES = st.sampled_from(["../../x", "/tmp/x", "", "a/b", "\x1b[2J", "optimizer/x", "x.npy", "é" * 90, "0.weight"])
ACTIONS = st.sampled_from(["other", "other", "remove", "add", "name"])


@st.composite
def replaced(draw: st.DrawFn, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with one or two of them replaced, removed, added, or renamed."""
    arrays = dict(arrays)
    for _ in range(draw(st.integers(1, 2))):
        name, action = draw(st.sampled_from(sorted(arrays))), draw(ACTIONS)
        array = arrays[name] if action == "add" or len(arrays) == 1 else arrays.pop(name)
        if action == "other":
            with np.errstate(all="ignore"):
                arrays[name] = draw(st.sampled_from(OTHERS))(array)
        elif action in ("add", "name"):
            arrays[draw(NAMES)] = array
    return arrays


@pytest.mark.parametrize("name", COMMANDS)
def test_strange_arrays(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, long: bool) -> None:
    monkeypatch.chdir(folder)
    arrays, metadata = checkpoint.load(folder / name)
    endings(folder, name, 500 if long else 6, replaced(arrays).map(lambda found: (found, own(metadata))))
