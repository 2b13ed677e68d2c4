"""Mutated configs: each is accepted or refused in words, in bounded time and memory; `check` reads and builds all."""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from conftest import Cli
from hostile import command, judge, tried
from hypothesis import strategies as st
from tiny_runs import FLOWERS, HEIGHTS, project, write_idx

from dlscratch.config.positions import parse, to_yaml
from dlscratch.datasets import READERS, Preprocessing
from dlscratch.nn import LOSSES
from dlscratch.nn.initializers import INITIALIZERS
from dlscratch.nn.layers import LAYERS
from dlscratch.nn.options import options_of
from dlscratch.optim import OPTIMIZERS, SCHEDULES
from dlscratch.training import EarlyStopping

IMAGES = """\
data:
  idx: {images: images.idx, labels: labels.idx}
  validation: 0.2
  test: {idx: {images: images.idx, labels: labels.idx}}
  preprocessing: {scale: 255, shape: [1, 8, 8], per_feature: true}
model:
  - conv2d: {out_channels: 4, kernel_size: [3, 3], padding: 1, stride: 1, weight_init: xavier_normal}
  - batch_norm2d: {momentum: 0.2}
  - max_pool2d: {kernel_size: 2}
  - residual: {layers: [{conv2d: {out_channels: 4, kernel_size: 3, padding: same}}, relu]}
  - avg_pool2d: {kernel_size: 2, stride: 1, padding: 0}
  - sequential: {layers: [flatten, {layer_norm: {normalized_shape: 36}}]}
  - reshape: {shape: [4, 9]}
  - flatten: {start_dim: 1, end_dim: -1}
  - linear: {out_features: 3, bias_init: {constant: {value: 0.5}}}
loss: {cross_entropy: {label_smoothing: 0.1, weight: [1, 2, 1]}}
optimizer: {sgd: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 1e-3}}
schedule: {reduce_on_plateau: {factor: 0.5, patience: 2, monitor: val_loss}}
training: {epochs: 2, batch_size: 8, clip_norm: 1.0, time_limit: 10m, early_stopping: {patience: 3}}
"""
SENTENCES = """\
data:
  npz: {path: sentences.npz, inputs: x, target: y}
  preprocessing: {scale: ids}
model: [{embedding: {num_embeddings: 9, embedding_dim: 4}}, flatten, {linear: {out_features: 2}}]
initial: {0.weight: vectors.txt}
optimizer: {adamw: {lr: 1e-3, betas: [0.9, 0.99]}}
"""
TABLE = HEIGHTS.replace("validation: 0.2", "validation: {csv: {path: flowers.csv, target: height}}")
TABLE += "schedule: {one_cycle: {max_lr: 0.1}}\n"
ALIASES = FLOWERS.replace("{out_features: 8}", "&wide {out_features: 8}")\
    .replace("{out_features: 3", "{<<: *wide, out_features: 3")
BASES = (FLOWERS, TABLE, IMAGES, SENTENCES, ALIASES)
VECTORS = "corpus: [missing.txt]\ndim: 8\nepochs: 2\nmin_count: 1\nsentences: punctuation\nlr: 0.05\nsample: 1e-3\n"

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "model": LAYERS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "data": READERS,
}
KINDS = [kind for registry in (*REGISTRIES.values(), INITIALIZERS) for kind in registry]
OPTIONS = sorted({
    name
    for target in (*(t for registry in REGISTRIES.values() for t in registry.values()), Preprocessing, EarlyStopping)
    for name in options_of(target)
})  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All data that the configs name."""
    folder = tmp_path_factory.mktemp("configs")
    project(folder)
    rng = np.random.default_rng(0)
    write_idx(folder / "images.idx", rng.integers(0, 256, (30, 8, 8)))
    write_idx(folder / "labels.idx", np.arange(30) % 3)
    np.savez(folder / "sentences.npz", x=rng.integers(0, 9, (30, 5)), y=np.arange(30) % 2)
    rows = "".join(f"w{row} 1 2 3 {row}\n" for row in range(9))
    (folder / "vectors.txt").write_text(f"9 4\n{rows}")
    return folder


def endings(folder: Path, strategy: st.SearchStrategy[str], examples: int, *args: str) -> list[int]:
    """The exit codes of a command for texts of a strategy; each must be right and said well."""
    codes: list[int] = []

    @tried(examples, strategy)
    def _(text: str) -> None:
        path = folder / "c.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        ending = command(*args, path)
        judge(ending, {2, 3, 5})
        codes.append(ending.code)

    print({code: codes.count(code) for code in sorted(set(codes))})
    return codes


def test_the_bases_are_good(folder: Path) -> None:
    assert endings(folder, st.sampled_from(BASES), 10, "check").count(0) == len(BASES)


# Text: tokens replaced, inserted, deleted, copied, put into brackets

NUMBERS = (
    *("0", "1", "2", "3", "-1", "0.0", "0.5", "1.0", "-0.5", "63", "64", "65", "255", "256", "65536", "1000000"),
    *("2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "1000000000", "9" * 35, "9" * 5000),
    *("1e-9", "1e-320", "1e38", "1e39", "1e300", "1e308", "1e999", ".inf", "-.inf", ".nan", "1_000", "007", "0x10"),
)
SIGNS = (
    *("{", "}", "[", "]", ":", ",", "-", "?", "&", "*", "!", "|", ">", "'", '"', "%", "@", "`", "#", "\\", ".", "~"),
    *("&a", "*a", "*b", "<<:", "!!python/object/apply:os.system", "!!int", "!t", "%YAML", "---", "...", "[[]]", "{}"),
    *("null", "true", "yes", '""', r'"\ud800"', r'"\0"', r'"\x1b[31m"', r'"\UFFFFFFFF"', "../..", "~nobody"),
    *("/dev/zero", "/etc", "rot13", "1.5h", "task", "validation", "test", "preprocessing", "default", *REGISTRIES),
    *(" ", "\n", "\n  ", "\t", "\r", "\0", "\u2028", "\ufeff", "training", "seed", "name", "initial"),
)
TOKENS = st.sampled_from([*KINDS, *OPTIONS, *NUMBERS, *SIGNS])
TOKEN = re.compile(r"[A-Za-z_]\w*|[-+.\d][\w.+-]*|\n[ -]*|\s+|.")
EDIT = st.tuples(
    st.sampled_from(["replace", "insert", "delete", "copy", "wrap"]),
    st.integers(0, 400),
    st.integers(0, 400),
    TOKENS | st.text(max_size=3),
)


def edited(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    """The text with some of its tokens replaced, inserted, deleted, copied elsewhere, or put into brackets."""
    tokens = TOKEN.findall(text)
    for action, at, size, token in edits:
        at %= len(tokens) or 1
        piece = tokens[at : at + size % 12 + 1]
        if action == "replace":
            tokens[at : at + 1] = [token]
        elif action == "insert":
            tokens.insert(at, f" {token} ")
        elif action == "delete":
            del tokens[at : at + len(piece)]
        elif action == "copy":
            tokens[size % (len(tokens) or 1) : 0] = piece
        else:
            tokens[at : at + len(piece)] = ["[", *piece, "]"] if size % 2 else ["{", token, ": ", *piece, "}"]
    return "".join(tokens)


TEXTS = st.builds(edited, st.sampled_from(BASES), st.lists(EDIT, min_size=1, max_size=3))
WORD_TEXTS = st.builds(edited, st.just(VECTORS), st.lists(EDIT, min_size=1, max_size=3))


def test_mutated_texts(folder: Path, long: bool) -> None:
    codes = endings(folder, TEXTS, 5000 if long else 80, "check")
    assert not long or set(codes) >= {0, 2, 3}


def test_mutated_texts_of_word2vec(folder: Path, long: bool) -> None:
    codes = endings(folder, WORD_TEXTS, 1000 if long else 30, "word2vec", "--config")
    assert not long or set(codes) == {2, 3}  # 3: a good one, whose corpus is missing


# Values: what the schema allows, with numbers that no machine can bear

SMALL, HUGE = (1, 2, 3, 4, 8), (0, -1, 36, 63, 10**6, 2**31, 10**9, 10**12, 2**63, 2**64, 10**30)
INTEGERS = st.sampled_from(SMALL) | st.sampled_from(HUGE)
FLOATS = st.sampled_from([0.5, 0.1, 0.9, 1.0]) | st.sampled_from([0.0, -1.0, 1e-300, 5e-324, 1e300, 1e38, 3.5e38])
WORDS = st.sampled_from(["species", "height", "flowers.csv", "val_loss", "utf-16", "rot13", "", "\ud800", "\x1b[2J"])
ANYTHING = st.sampled_from([None, True, [], {}, "relu", [[1]], {"a": 1}]).map(copy.deepcopy) | INTEGERS | FLOATS | WORDS


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of the type that a hint names, in and out of its bounds."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if "initializer" in inner:
            return kinds(INITIALIZERS)
        return kinds(LAYERS).map(lambda layer: [layer]) if "layers" in inner else values(inner[0])
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (list, tuple):
        return st.lists(values(inner[0]), min_size=1, max_size=4)
    return {int: INTEGERS, float: FLOATS, bool: st.booleans(), str: WORDS}.get(hint, ANYTHING)


def options(target: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Options of a constructor: those that must be given, and some of the others."""
    hints = options_of(target)
    must = {name: values(hint) for name, (hint, default) in hints.items() if default in (..., target.__class__)}
    may = {name: values(hint) for name, (hint, _) in hints.items() if name not in must}
    return st.fixed_dictionaries(must, optional=may)


def kinds(registry: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """One kind of a registry with options."""
    found = st.deferred(lambda: st.one_of(*(options(t).map(lambda o, k=k: {k: o}) for k, t in registry.items())))
    return found | st.sampled_from(sorted(registry))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """The paths of all values in a config, and the values."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(place for key, each in inner for place in places(each, (*path, key)))]


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same type."""
    return {bool: st.booleans(), int: INTEGERS, float: FLOATS, str: WORDS}.get(type(value), ANYTHING)


@st.composite
def altered(draw: st.DrawFn) -> str:
    """A good config with one to three of its values changed: most for others of their type, some for anything."""
    config = parse(draw(st.sampled_from(BASES))).values
    for _ in range(draw(st.integers(1, 3))):
        action, above = draw(st.sampled_from(["type", "type", "kind", "insert", "anything"])), []
        if action in ("kind", "insert"):
            above, last = ["model"], draw(st.integers(0, len(config["model"]) - 1))
            if action == "kind" and draw(st.booleans()):
                above, last = [], draw(st.sampled_from(["loss", "optimizer", "schedule"]))
        else:
            found = [place for place, value in places(config) if action != "type" or not isinstance(value, dict | list)]
            *above, last = draw(st.sampled_from([place for place in found if place]))
        parent: Any = config
        for key in above:
            parent = parent[key]
        if action == "insert":
            parent.insert(last, draw(kinds(LAYERS)))
        elif action == "kind":
            parent[last] = draw(kinds(REGISTRIES[above[0] if above else last]))
        else:
            parent[last] = draw(alike(parent[last]) if action == "type" else ANYTHING)
        if not isinstance(config.get("model"), list) or not config["model"]:
            break
    return to_yaml(config)


def test_mutated_values(folder: Path, long: bool) -> None:
    codes = endings(folder, altered(), 5000 if long else 80, "check")
    assert not long or set(codes) >= {0, 2, 3}


def test_as_processes(folder: Path, cli: Cli, long: bool) -> None:
    @tried(100 if long else 4, TEXTS | altered())
    def _(text: str) -> None:
        (folder / "c.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
        done = cli("check", "c.yaml", cwd=folder)  # which fails where there is a traceback
        assert done.returncode in (0, 2, 3, 5), done
