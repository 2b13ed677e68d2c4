"""Explanations: the article's numbers, those of gradcheck, and pictures that show names as text."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes

from dlscratch.autograd import OPS, Tensor, gradcheck, ops
from dlscratch.errors import UsageError
from dlscratch.pictures.explain import Explanation, explain, stretched
from dlscratch.pictures.explain_svg import explain_svg
from dlscratch.pictures.expression import COMPOSED, evaluate
from dlscratch.pictures.parts import STRENGTH, Part, short, written
from dlscratch.pictures.rules import IDEAS, rules_of
from dlscratch.pictures.unfolding import heard, unfold

ARTICLE = """\
forward
<Mul> (x + y) * z = -12
├── <Add> x + y = 3
│   ├── <Tensor> x = -2
│   └── <Tensor> y = 5
└── <Tensor> z = -4

backward
step 1: <Mul> (x + y) * z   g = 1
├── to x + y: g * z = 1 * (-4) = -4
└── to z: g * (x + y) = 1 * 3 = 3
step 2: <Add> x + y   g = -4
├── to x: g = -4
└── to y: g = -4

gradients
x: -4
y: -4
z: 3"""

REUSED = "sum((x @ w + b) ** 2) + sum(w * w)"
INSIDE = "sum(var(x * w, axis=0)) * mean(x) - logsumexp(x - w) / min(minimum(x, w - 9))"
VALUES = {"x": [[1.0, 2.0], [3.0, 4.0]], "w": [[1.0, -1.0], [0.5, 2.0]], "b": [1.0, 2.0]}


def reused() -> Explanation:
    """An expression in which b is broadcast and w is used three times."""
    return explain(REUSED, **VALUES)


def test_the_numbers_of_the_article() -> None:
    explanation = explain("(x + y) * z", x=-2, y=5, z=-4)
    assert str(explanation) == ARTICLE
    document = explanation.document()
    assert document["value"] == -12
    assert document["gradients"] == {"x": -4, "y": -4, "z": 3}
    assert [node["op"] for node in document["nodes"]] == ["Tensor", "Tensor", "Tensor", "Add", "Mul"]


def test_with_a_broadcast_and_a_reuse_the_numbers_are_those_of_gradcheck() -> None:
    def function(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return ops.sum((x @ w + b) ** 2) + ops.sum(w * w)

    inputs = [Tensor(np.array(VALUES[name]), requires_grad=True) for name in "xwb"]
    assert gradcheck(function, *inputs, directions=5)
    for each in inputs:
        each.zero_grad()
    function(*inputs).backward()
    for name, each in zip("xwb", inputs, strict=True):
        np.testing.assert_array_equal(reused().gradients[name], each.grad)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (REUSED, VALUES),
        ("sum(sigmoid(x * y) / (1 + exp(-x)))", {"x": [[0.3], [-1.2]], "y": [0.5, 1.5, -2.0]}),
        ("mean(softmax(x) * x) + logsumexp(x) - var(x)", {"x": [0.1, -0.4, 1.3]}),
        ("sum(concatenate(x[1:], x, y ** x[:2])) * x[0]", {"x": [0.5, 1.5, 2.5], "y": [1.2, 0.7]}),
        ("cross_entropy(linear(x, w, b), [1, 0]) + mse(x, [[1, 2], [3, 4]])", VALUES),
    ],
)
def test_every_gradient_is_that_of_finite_differences(text: str, values: dict[str, Any]) -> None:
    found = explain(text, **values).gradients
    arrays = {name: np.array(value) for name, value in values.items()}
    for name, array in arrays.items():
        expected = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            step = np.zeros_like(array)
            step[place] = 1e-6
            ends = [evaluate(text, {**arrays, name: array + sign * step}).result.value for sign in (1, -1)]
            expected[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("text", [REUSED, INSIDE])
def test_the_steps_add_up(text: str) -> None:
    """What flows to a part is what it passes on: no number is shown that is not accounted for."""
    document = explain(text, **{name: value for name, value in VALUES.items() if name in text}).document()
    gradients = {node["id"]: node["gradient"] for node in document["nodes"]}
    received: dict[int, Any] = {}
    for step in document["steps"]:
        assert step["gradient"] == gradients[step["node"]]
        for flow in step["flows"]:
            summed = np.sum(flow["given"], axis=tuple(flow["summed_over"]))
            np.testing.assert_array_equal(summed.reshape(np.shape(flow["part"])), flow["part"])
            before = received.get(flow["to"], 0.0)
            np.testing.assert_array_equal(0 if flow["before"] is None else flow["before"], before)
            received[flow["to"]] = np.add(before, flow["part"])
            np.testing.assert_array_equal(flow["total"], received[flow["to"]])
    for number, total in received.items():
        np.testing.assert_array_equal(gradients[number], total)


def test_sums_are_told() -> None:
    text = str(reused())
    assert "to b: g = [[6, 10], [12, 14]], summed over axis 0 = [18, 24]" in text
    assert (
        "to w: x transposed @ g = [[42, 52], [60, 76]]; with [[2, -2], [1, 4]] from before: [[44, 50], [61, 80]]"
        in text
    )
    twice = str(explain("x * x", x=3))
    assert "to x: g * x = 1 * 3 = 3; with 3 from before: 6" in twice


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3))
def test_the_axes_summed_are_those_that_broadcasting_stretched(shapes: BroadcastableShapes) -> None:
    for shape in shapes.input_shapes:
        given_ = np.random.default_rng(0).normal(size=shapes.result_shape)
        x = Tensor(np.zeros(shape), requires_grad=True)
        ops.broadcast_to(x, shape=shapes.result_shape).backward(given_)
        axes = stretched(given_.shape, shape)
        np.testing.assert_allclose(np.sum(given_, axis=axes).reshape(shape), x.grad)
        assert all(given_.shape[axis] != 1 or axis < given_.ndim - len(shape) for axis in axes)


def test_constants_have_no_gradient() -> None:
    explanation = explain("x * y", constants=["y"], x=2, y=3)
    assert explanation.document()["gradients"] == {"x": 3.0, "y": None}
    assert "<Tensor> y = 3 (constant)" in str(explanation)
    assert "y: no gradient" in str(explanation)


@pytest.mark.parametrize("text", ["argmax(x)", "1 + 2", "x"])
def test_where_there_is_little_to_explain(text: str) -> None:
    explanation = explain(text, **({"x": [1.0, 2.0]} if "x" in text else {}))
    assert explanation.steps == []
    assert "nothing here has a gradient" in str(explanation)
    assert explain_svg(explanation)


VARIANCE = """\
<Var> var(x - 1) = sum((x - 1 - sum(x - 1, …) / 3) ** 2, …) / 3 = 0.666667
├── <Sum> sum((x - 1 - sum(x - 1, …) / 3) ** 2, …) = 2
│   └── <Pow> (x - 1 - sum(x - 1, …) / 3) ** 2 = [1, 0, 1]
│       ├── <Sub> x - 1 - sum(x - 1, …) / 3 = [-1, 0, 1]
│       │   ├── <Sub> x - 1 = [0, 1, 2]
│       │   │   ├── <Tensor> x = [1, 2, 3]
│       │   │   └── <Number> 1
│       │   └── <Div> sum(x - 1, …) / 3 = [1]
│       │       ├── <Sum> sum(x - 1, …) = [3]
│       │       │   └── <Sub> x - 1 = [0, 1, 2] (see above)
│       │       └── <Number> 3
│       └── <Number> 2
└── <Number> 3"""


def test_functions_made_of_ops_show_the_ops_inside() -> None:
    explanation = explain("var(x - 1)", x=[1, 2, 3])
    assert explanation.forward().text() == VARIANCE
    steps = [branch.text() for branch in explanation.backward()]
    assert steps[0].startswith("step 1: <Div> var(x - 1) = sum((x - 1 - sum(x - 1, …) / 3) ** 2, …) / 3   g = 1\n")
    assert steps[0].endswith("to sum((x - 1 - sum(x - 1, …) / 3) ** 2, …): g / 3 = 1 / 3 = 0.333333")
    nodes = explanation.document()["nodes"]
    assert (nodes[-1]["op"], nodes[-1]["made_of"]) == ("Var", "sum((x - 1 - sum(x - 1, …) / 3) ** 2, …) / 3")
    assert "= sum((x - 1 - sum(x - 1, …)" in explain_svg(explanation)


@pytest.mark.parametrize("name", COMPOSED)
def test_what_is_written_inside_a_function_comes_to_what_is_shown(name: str) -> None:
    options = {"minimum": ", y - 1", "squeeze": ", axis=0", "unsqueeze": ", axis=0"}.get(name, "")
    values = {"x": np.array([[1.0, 2.0, 4.0]]), "y": np.array([[0.5, 3.0, 5.0]])}
    parts = evaluate(f"{name}(x * y - 2{options}) * 3", values).parts
    for part in parts:
        if "…" not in part.text:
            np.testing.assert_allclose(evaluate(part.text, _used(part.text, values)).result.value, part.value)
    assert parts[-2].made_of or parts[-3].made_of
    assert all(operand.number < part.number for part in parts for operand in part.operands)
    assert [part.number for part in parts] == list(range(len(parts)))


@pytest.mark.parametrize("inner", STRENGTH)
@pytest.mark.parametrize("outer", STRENGTH)
def test_brackets_stand_where_they_are_needed(outer: str, inner: str) -> None:
    numbers = {"x": [[1.3, 2], [1.7, 3]], "y": [[0.7, 1], [0.5, 1]], "z": [[2.0, 1], [3, 2]]}
    values = {name: np.array(value) for name, value in numbers.items()}
    x, y, z = evaluate("add(x, y) * z", values).parts[:3]

    def part(op: str, *operands: Part) -> Part:
        used = operands[:1] if op == "neg" else operands
        with np.errstate(all="ignore"):  # roots of negative numbers are NaN in both
            result = OPS[op][0](*(each.tensor for each in used))
        return Part(9, written(op, used), op, result, used, STRENGTH[op])

    for whole in (part(outer, part(inner, x, y), z), part(outer, z, part(inner, x, y))):
        np.testing.assert_allclose(evaluate(whole.text, _used(whole.text, values)).result.value, whole.value)


def _used(text: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in values.items() if re.search(rf"\b{name}\b", text)}


def test_ops_of_another_thread_are_not_shown() -> None:
    x, foreign = Tensor([1.0, 2.0], requires_grad=True, name="x"), Tensor(1.0, requires_grad=True)
    parts = [Part(0, "x", "", x)]
    with heard() as made:
        total = ops.sum(x)
        ops.exp(foreign)
        last = unfold(parts, made, total / 2)
    assert (last.text, [part.text for part in parts]) == ("sum(x, …) / 2", ["x", "sum(x, …)", "2"])


def test_a_function_of_constants_stays_closed() -> None:
    explanation = explain("mean(x) * y", constants=["x"], x=[1, 2, 3], y=2)
    assert "<Mean> mean(x) = 2\n" in explanation.forward().text()


def test_functions_in_functions_end_somewhere() -> None:
    deep = explain("var(" * 30 + "x" + ")" * 30, x=[1.0, 2.0, 3.0])
    assert len(str(deep)) < 400_000  # what is used twice is not written twice
    assert explain_svg(deep)
    with pytest.raises(UsageError, match="more than 200 ops one in the other; functions are made of several"):
        explain("var(" * 40 + "x" + ")" * 40, x=[1.0, 2.0, 3.0])


def test_rules_are_written_in_the_expressions_names() -> None:
    text = str(explain("softmax(t) / exp(u - 1)", t=[1.0, 2.0], u=0.5))
    assert "to u - 1: g * exp(u - 1) = " in text
    assert "to softmax(t): g / exp(u - 1) = " in text
    assert "to t: softmax(t) * (g - sum(g * softmax(t), axis, keepdims=True)) = " in text


def test_long_rules_are_cut_but_never_name_anything_else() -> None:
    long = " + ".join(["y * y"] * 9)
    text = str(explain(f"exp({long}) / x", x=2, y=0.1))
    assert "to x: -g * (exp(y * y + y * y +…) / (x * x) = " in text  # the op itself calls its operands x and y


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name][1]])
def test_the_rule_of_every_op_can_be_read(name: str) -> None:
    rules = rules_of(name)
    assert name not in IDEAS or rules.texts == IDEAS[name]
    assert all(isinstance(rules.text(position, {}), str) for position in range(4))


@pytest.mark.parametrize("name", ["mul", "div", "pow", "sub", "neg", "exp", "sqrt", "tanh", "sigmoid", "log"])
def test_a_rule_in_numbers_comes_to_what_the_engine_says(name: str) -> None:
    """Also the rules that are told in words of ours, and not in the op's: pow."""
    symbol = {"mul": "x * y", "div": "x / y", "pow": "x ** y", "sub": "x - y", "neg": "-x"}.get(name, f"{name}(x)")
    explanation = explain(symbol, x=0.7, **({"y": -1.3} if "y" in symbol else {}))
    for move in explanation.steps[0].moves:
        assert move.filled or move.rule == "g" or (name, move.flow.position) == ("pow", 1)
        if move.filled:
            np.testing.assert_allclose(eval(move.filled, {"__builtins__": {}}), move.flow.given, rtol=1e-5)


def test_the_picture_shows_names_values_and_gradients() -> None:
    picture = explain_svg(reused())
    root = ET.fromstring(picture)
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<Matmul> x @ w" in texts
    assert "← [18, 24] Σ axis 0" in texts
    assert "gradient [18, 24]" in texts
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert root.find("{http://www.w3.org/2000/svg}desc") is not None
    assert "prefers-color-scheme: dark" in picture
    assert not re.search(r"<script|href|@import|url\((?!#)", picture)


def boxes(picture: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box in a picture."""
    found = []
    for group in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}g"):
        place = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", group.get("transform", ""))
        frame = group.find("{http://www.w3.org/2000/svg}rect[@class='box']")
        if place and frame is not None:
            x, y = map(float, place.groups())
            found.append((x, y, x + float(frame.get("width", 0)), y + float(frame.get("height", 0))))
    return found


@pytest.mark.parametrize("text", [REUSED, "(x + b) * (x - b) / (x + b * w @ x) + b * b * b + b", "x @ w @ x @ w + b"])
def test_no_box_of_the_picture_covers_another(text: str) -> None:
    found = boxes(explain_svg(explain(text, **VALUES)))
    assert len(found) > 6
    for index, (left, top, right, bottom) in enumerate(found):
        for other in found[index + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_text_in_a_picture_is_escaped() -> None:
    picture = explain_svg(explain("x[0] * 2", x=[1.0, 2.0]))
    assert "&lt;Getitem&gt;" in picture
    ET.fromstring(picture)


def test_documents_are_json() -> None:
    json.dumps(reused().document())


def test_short_values() -> None:
    assert short(np.array(-12.0)) == "-12"
    assert short(np.array([[1, 2.5], [1e-9, 3]])) == "[[1, 2.5], [1e-09, 3]]"
    assert short(np.arange(100.0)) == "[0, 1, ..., 98, 99]"
