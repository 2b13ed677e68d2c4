"""Imports go one way only, and each outside library has its one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dlscratch"
ORDER = (
    ("_version", "errors", "backend", "archives", "blas", "forked", "team", "crew"),
    ("checkpoint",),
    ("autograd",),
    ("nn",),
    ("optim",),
    ("datasets",),
    ("training",),
    ("word2vec",),
    ("pictures",),
    ("config",),
    ("runs",),
    ("checks",),
    ("cli",),
    ("__init__", "__main__"),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
HOMES = {
    "typer": "cli",
    "rich": "cli",
    "click": "cli",
    "pydantic": "config",
    "pydantic_core": "config",
    "yaml": "config",
}
DRAWING = ("matplotlib", "sklearn", "umap")
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path, package: Path = PACKAGE) -> str:
    return file.relative_to(package).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def problems(source: str, room: str) -> list[str]:
    tree = ast.parse(source)
    found = []
    for name, node in imports(tree):
        top, _, rest = name.partition(".")
        if top == "dlscratch":
            target = rest.partition(".")[0]
            target = target if target in LEVEL else "__init__"
            if LEVEL[target] > LEVEL[room] or (
                LEVEL[target] == LEVEL[room] and target != room and room not in ORDER[0]
            ):
                found.append(f"line {node.lineno}: {room} imports {target}")
        elif top in HOMES and room != HOMES[top]:
            found.append(f"line {node.lineno}: {top} belongs in {HOMES[top]}/ alone")
        elif top in DRAWING and (room != "pictures" or node in tree.body):
            found.append(f"line {node.lineno}: {top} is imported inside a function of pictures/ alone")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path) -> None:
    assert problems(file.read_text(encoding="utf-8"), room_of(file)) == []


@pytest.mark.parametrize(
    ("source", "room", "expected"),
    [
        ("from dlscratch.nn import Linear", "autograd", "line 1: autograd imports nn"),
        ("def f():\n    import dlscratch.cli.app", "training", "line 2: training imports cli"),
        ("from dlscratch import Tensor", "nn", "line 1: nn imports __init__"),
        ("import rich.table", "training", "line 1: rich belongs in cli/ alone"),
        (
            "import matplotlib.pyplot as plt",
            "pictures",
            "line 1: matplotlib is imported inside a function of pictures/ alone",
        ),
        (
            "def f():\n    import sklearn",
            "datasets",
            "line 2: sklearn is imported inside a function of pictures/ alone",
        ),
    ],
)
def test_a_wrong_import_is_found(source: str, room: str, expected: str) -> None:
    assert problems(source, room) == [expected]


def test_every_room_has_its_place() -> None:
    assert {room_of(file) for file in FILES} <= set(LEVEL)
