"""Expressions: what they come to, and what is said where they are none. Python itself never evaluates them."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.errors import UsageError
from dlscratch.pictures.expression import COMPOSED, evaluate
from dlscratch.pictures.syntax import assignments

X = np.array([1.0, 2.0, 3.0])


def value_of(text: str, **values: object) -> np.ndarray:
    return evaluate(text, {name: np.asarray(value, dtype=float) for name, value in values.items()}).result.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(x + 1) * -2 / 4 - x", (X + 1) * -2 / 4 - X),
        ("-x ** 2", -(X**2)),
        ("2 ** -1 * x", X / 2),
        ("x @ x", X @ X),
        ("x[1:] * x[-1] + x[[0, 0]]", X[1:] * X[-1] + X[[0, 0]]),
        ("x[None, ::2, ...]", X[None, ::2]),
        ("softmax(reshape(x, shape=(1, 3)), axis=1)", np.exp(X)[None] / np.exp(X).sum()),
        ("sum(x, keepdims=True)", np.array([6.0])),
        ("concatenate([x, x * 2])", np.concatenate([X, X * 2])),
        ("concatenate(x, [7], axis=-1)", np.append(X, 7)),
        ("where([True, False, True], x, 0)", np.array([1.0, 0, 3])),
        ("embedding(reshape(x, shape=(3, 1)), [2, 0])", np.array([[3.0], [1]])),
        ("pad(x, width=[[1, 2]])", np.pad(X, (1, 2))),
        ("mean(x) + var(x, correction=1) + min(x)", np.array(2 + 1 + 1.0)),
        ("minimum(x, 2)", np.minimum(X, 2)),
        ("clip(x, min=1.5, max=None)", np.clip(X, 1.5, None)),
        ("cross_entropy(reshape(x, shape=(1, 3)), [2], weight=[1, 1, 2])", np.log(np.exp(X).sum()) - 3),
    ],
)
def test_an_expression_comes_to_what_numpy_says(text: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(value_of(text, x=X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("x + sine(x)", 'column 5: there is no op sine; did you mean "sin"?', "sine"),
        ("x + y", "column 5: y has no value; add y=2 or y=[1,2,3]", "y"),
        ("sum(x, axes=0)", 'column 8: sum has no option axes; did you mean "axis"?', "axes=0"),
        ("sum(x, 0)", "column 8: sum takes 1 of these; options go by name, such as axis=…", "0"),
        ("x.sum()", "column 1: a dot is not part of an expression; call by name, as in sum(x, axis=0)", "x.sum"),
        ("1 + x // 2", "column 5: an operator that is no op; there are + - * / ** @ and - in front", "x // 2"),
        ("x > 0", "column 1: comparisons are not ops: they have no gradient", "x > 0"),
        ("x + 'a'", "column 5: expected a number, a name or a call of an op here", "'a'"),
        ("x + True", "column 5: expected a number, a name or a call of an op here", "True"),
        ("x + 2j", "column 5: expected a number, a name or a call of an op here", "2j"),
        ("é(x)", "column 1: there is no op é; there are abs, ", "é"),
        ("x * [[1, 2], [3]]", "column 5: rows of different lengths", "[[1, 2], [3]]"),
        ("x + [1, x]", "column 9: expected a number or a list of numbers", "x"),
        ("x @ [1, 2]", "column 1: matmul: <Matmul> of shapes (3,), (2,): ", "x @ [1, 2]"),
        ("x[7]", "column 1: getitem: <Getitem> of shapes (3,): index 7 is out of bounds", "x[7]"),
        ("exp()", "column 1: exp: missing a required argument: 'x'", "exp()"),
        ("pad(x, width=2000)", "column 14: too large here; at most 1,000", "2000"),
        (
            "pad(x, width=1000)",
            "column 1: the result has 2,003 elements; at most 1,000 are shown",
            "pad(x, width=1000)",
        ),
        ("sum(x, axis=x)", "column 13: expected a plain value, such as 1, -1, (0, 1), True or None", "x"),
        ("(lambda: x)()", "column 2: this is not part of an expression", "lambda: x"),
        ("[y for y in x]", "column 1: this is not part of an expression", "[y for y in x]"),
        ("x(1)(2)", "column 1: expected the name of an op", "x(1)"),
        ("exp(*x)", "column 5: a star is not part of an expression; write the operands out", "*x"),
        ("exp(**x)", "column 5: exp has no option None", "**x"),
        ("x if x else x", "column 1: this is not part of an expression", "x if x else x"),
        ("(x + ", "column 1: cannot be read: '(' was never closed", "("),
        ("x + ", "column 4: cannot be read: invalid syntax", ""),
        ("x = 2", "column 3: cannot be read: invalid syntax", "="),
    ],
)
def test_a_message_points_at_what_is_wrong(text: str, message: str, marked: str) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(text, {"x": X})
    head, line, mark = str(caught.value).split("\n")
    assert head.startswith(message)
    assert line == f"  {text.strip()}"
    start, length = len(mark) - len(mark.lstrip()), len(mark.strip())
    assert line[start : start + length] == marked


def test_values_that_do_not_occur_are_named() -> None:
    with pytest.raises(UsageError, match="xx does not occur in 'x \\+ 1'; did you mean \"x\""):
        evaluate("x + 1", {"x": X, "xx": X})
    with pytest.raises(UsageError, match="w does not occur"):
        evaluate("x + 1", {"x": X}, constants=["w"])


@pytest.mark.parametrize(
    "text",
    ["x" * 3000, "(" * 500 + "x" + ")" * 500, "-" * 900 + "x", "+".join(["x"] * 900), "x" + "[0]" * 600, "", "\0"],
)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"nested|more than 200 ops|characters|empty|read|null"):
        evaluate(text, {"x": X})


def test_large_powers_cost_nothing() -> None:
    assert value_of("9 ** 9 ** 9 ** 9 * x", x=1) == np.inf


def test_a_broadcast_that_would_fill_the_memory_is_refused() -> None:
    sizes = {name: np.ones(shape) for name, shape in {"x": (900, 1, 1), "y": (900, 1), "z": (900,)}.items()}
    with pytest.raises(UsageError, match="broadcast to 729,000,000 elements"):
        evaluate("where(x, y, z)", sizes)


def test_constants_have_no_gradient_and_everything_is_float64() -> None:
    expression = evaluate("x * y", {"x": X, "y": X}, constants=["y"])
    assert [part.tensor.requires_grad for part in expression.variables.values()] == [True, False]
    assert {part.value.dtype for part in expression.parts} == {np.dtype(np.float64)}


@pytest.mark.parametrize("name", COMPOSED)
def test_every_function_made_of_ops_can_be_called(name: str) -> None:
    others = {"minimum": ", 2", "unsqueeze": ", axis=0"}
    assert value_of(f"{name}(x{others.get(name, '')})", x=X).size


def test_assignments() -> None:
    values = assignments(["x=-2", "w = [[1, 2], [3, 4]]", "t=(1e-3, .5)", "on=[True, False]"])
    assert {name: value.tolist() for name, value in values.items()} == {
        "x": -2,
        "w": [[1, 2], [3, 4]],
        "t": [1e-3, 0.5],
        "on": [True, False],
    }
    assert values["w"].dtype == np.float64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "'x': expected NAME=VALUE"),
        ("2=3", "'2=3': expected NAME=VALUE"),
        ("lambda=3", "'lambda=3': expected NAME=VALUE"),
        ("x=", "x: the expression is empty"),
        ("x=two", "x: column 1: expected a number or a list of numbers"),
        ("x=open('f')", "x: column 1: expected a number"),
        ("x=[[1,2],[3]]", "x: column 1: rows of different lengths"),
        ("x=1+1", "x: column 1: expected a number"),
        (f"x=1{'0' * 400}", "x: column 1: a number that is too large"),
    ],
)
def test_a_wrong_value_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        assignments([text])
    assert str(caught.value).startswith(message)


def test_a_name_given_twice() -> None:
    with pytest.raises(UsageError, match="x is given twice"):
        assignments(["x=1", "x=2"])


@given(st.text(max_size=60) | st.text(alphabet="xy+-*/@()[],.=:' 0123456789expsum_", max_size=60))
def test_any_text_is_computed_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):  # and nothing else
        evaluate(text, {"x": X, "y": X})


def test_a_sum_of_many_terms_is_not_deep() -> None:
    text = " + ".join(["x * x"] * 150)
    assert evaluate(text, {"x": np.array(2.0)}).result.value == 600


def test_a_message_shows_the_place_in_a_long_expression() -> None:
    with pytest.raises(UsageError) as caught:
        evaluate("+".join(["x"] * 150) + "+sine(x)" + "+x" * 40, {"x": np.array(1.0)})
    first, excerpt, mark = str(caught.value).split("\n")
    assert first == 'column 301: there is no op sine; did you mean "sin"?'
    assert len(excerpt) <= 80
    assert excerpt[mark.index("^") : mark.rindex("^") + 1] == "sine"


def test_a_circumflex_is_taken_for_a_power() -> None:
    with pytest.raises(UsageError, match=r"did you mean \*\*\?"):
        evaluate("x^2", {"x": np.array(1.0)})


@pytest.mark.parametrize("text", ["x.json", "1 + 2", "f(1)", "'a'"])
def test_a_value_is_a_number_or_a_list(text: str) -> None:
    with pytest.raises(UsageError, match="x: column 1: expected a number or a list of numbers"):
        assignments([f"x={text}"])
