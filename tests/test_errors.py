"""The tree that errors.py draws is the tree that it defines."""

from __future__ import annotations

import inspect
import re

import pytest

from dlscratch import errors


def classes() -> dict[str, type[errors.DlscratchError]]:
    found = inspect.getmembers(errors, lambda x: inspect.isclass(x) and issubclass(x, errors.DlscratchError))
    return dict(found)


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^(.*?)(\w+Error) +(\d) ", errors.__doc__ or "", re.MULTILINE)
    assert {(name, int(code)) for _, name, code in drawn} == {(name, c.exit_code) for name, c in classes().items()}
    parents: list[str] = []
    for lead, name, _ in drawn:
        depth = (len(lead) - 4) // 4
        del parents[depth:]
        if parents:
            assert classes()[name].__mro__[1].__name__ == parents[-1]
        parents.append(name)


def test_every_class_says_what_it_is() -> None:
    assert all(error.__doc__ for error in classes().values())


@pytest.mark.parametrize(("word", "expected"), [("epoch", '; did you mean "epochs"?'), ("zzz", "")])
def test_did_you_mean(word: str, expected: str) -> None:
    assert errors.did_you_mean(word, ["epochs", "seed"]) == expected


def test_a_missing_extra_is_one_line() -> None:
    error = errors.MissingExtraError("matplotlib", "plot", "drawing a PNG")
    assert str(error) == "drawing a PNG needs matplotlib; install it with: pip install 'dlscratch[plot]'"
