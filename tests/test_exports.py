"""The public names are those that are listed, and the lists agree with each other."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import dlscratch

PACKAGE = Path(dlscratch.__file__).parent
ROOMS = ("autograd", "nn", "optim", "datasets", "training", "runs", "word2vec")


def type_checking_imports() -> set[str]:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    froms = [node for node in ast.walk(blocks[0]) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in froms if (node.module or "").startswith("dlscratch") for alias in node.names}


def test_the_three_lists_of_public_names_agree() -> None:
    assert set(dlscratch._HOMES) | {"__version__"} == set(dlscratch.__all__)
    assert type_checking_imports() == set(dlscratch._HOMES)


@pytest.mark.parametrize("name", dlscratch.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(dlscratch, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Tensro'"):
        dlscratch.Tensro  # noqa: B018


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_what_it_imports(room: str) -> None:
    module = importlib.import_module(f"dlscratch.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []


def test_the_version_is_in_one_place() -> None:
    places = [
        file.name
        for file in PACKAGE.rglob("*.py")
        if f'"{dlscratch.__version__}"' in file.read_text(encoding="utf-8")
    ]
    assert places == ["_version.py"]
