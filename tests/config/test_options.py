"""Constructor signatures as schemas, on small registries: strict types, bounds, kinds, nesting, every message."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval, Len, Lt, MinLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from dlscratch.config.options import OneOf, Options, Section, Spec, options_model, plain
from dlscratch.config.positions import parse, to_yaml
from dlscratch.config.problems import config_error, describe
from dlscratch.errors import ConfigError


class Layer:
    pass


class Dense(Layer):
    """A dense layer.

    Not part of the summary.
    """

    def __init__(
        self,
        hidden_from_configs: object = None,
        *,
        size: Annotated[int, Gt(0), Doc("outputs")],
        inputs: Annotated[int | None, Gt(0), Doc("inputs")] = None,
        bias: Annotated[bool, Doc("whether to add a bias")] = True,
    ) -> None:
        pass


class Relu(Layer):
    def __init__(self) -> None:
        pass


class Conv(Layer):
    def __init__(
        self,
        kernel: Annotated[int | tuple[int, int], Gt(0), Doc("…")] = 3,
        pad: Annotated[int | Literal["same"], Ge(0), Doc("…")] = 0,
    ) -> None:
        pass


class Drop(Layer):
    def __init__(self, p: Annotated[float, Interval(ge=0, lt=1), Doc("…")] = 0.5) -> None:
        pass


class Residual(Layer):
    def __init__(self, *layers: Annotated[Layer, Doc("…")]) -> None:
        pass


class Chain(Layer):
    def __init__(self, layers: Annotated[list[Layer], Doc("…")], seed: int = 0) -> None:
        pass


class Marked(Layer):
    def __init__(self, inner: Annotated[list[Any], "layers", Doc("…")]) -> None:
        pass


class Lists(Layer):
    def __init__(
        self,
        shape: Annotated[list[int], MinLen(1), Ge(-1), Doc("…")],
        names: Annotated[list[str] | None, Doc("…")] = None,
        weights: Annotated[dict[str, float] | None, Gt(0), Doc("…")] = None,
        text: Annotated[str, Len(1, 3), Doc("…")] = "x",
        mode: Annotated[Literal["mean", "sum"], Doc("…")] = "mean",
    ) -> None:
        pass


LAYERS = {
    "dense": Dense, "relu": Relu, "conv": Conv, "drop": Drop, "residual": Residual, "chain": Chain, "marked": Marked,
    "lists": Lists,
}  # fmt: skip
LAYER = OneOf("layer", LAYERS)


class Model(Section):
    model: list[Annotated[Spec, LAYER]] = Field(default=[])
    one: Annotated[Spec, LAYER] | None = None
    options: Annotated[dict[str, Any], Options(Drop)] = Field(default={"p": 0.5})
    size: Annotated[int, Gt(0)] = 1


def check(text: str) -> Model:
    document = parse(text, "c.yaml")
    try:
        return Model.model_validate(document.values)
    except ValidationError as error:
        raise config_error(error, document, Model) from None


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(text)
    return [line.removeprefix("c.yaml:") for line in caught.value.problems]


def test_kinds_and_options_with_defaults_filled_in() -> None:
    text = "model: [relu, relu: , dense: {size: 3}, {conv: {kernel: [3, 5], pad: same}}, {drop: {p: 0}}]"
    assert check(text).model == [
        Spec("relu", {}),
        Spec("relu", {}),
        Spec("dense", {"size": 3, "inputs": None, "bias": True}),
        Spec("conv", {"kernel": (3, 5), "pad": "same"}),
        Spec("drop", {"p": 0.0}),
    ]


@pytest.mark.parametrize(("kind", "key"), [("residual", "layers"), ("chain", "layers"), ("marked", "inner")])
def test_layers_hold_layers(kind: str, key: str) -> None:
    inner = check(f"one: {{{kind}: {{{key}: [relu, {{residual: {{layers: [drop]}}}}]}}}}").one
    assert inner == Spec(kind, {key: [Spec("relu", {}), Spec("residual", {"layers": [Spec("drop", {"p": 0.5})]})]})


def test_plain_values_are_what_a_config_may_hold() -> None:
    config = check("model: [{residual: {layers: [relu]}}, conv: {kernel: [1, 2]}]\noptions: {p: 0.25}\none:")
    assert plain(config) == {
        "model": [{"residual": {"layers": [{"relu": {}}]}}, {"conv": {"kernel": [1, 2], "pad": 0}}],
        "options": {"p": 0.25},
        "size": 1,
    }


def test_only_annotated_parameters_are_options() -> None:
    assert list(options_model(Dense).model_fields) == ["size", "inputs", "bias"]
    assert list(options_model(Dense, without="bias").model_fields) == ["size", "inputs"]
    assert list(options_model(Chain, LAYER).model_fields) == ["layers"]
    assert options_model(Dense).model_fields["size"].description == "outputs"


SIZE = "expected an integer greater than 0"
A_LAYER = 'a layer by name, or as one name with its options, such as "dense" or {dense: {…}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model:\n- dense: {size: abc}", f'2:17: model[0].dense.size: {SIZE}, got "abc"'),
        ("one: {dense: {size: 0}}", f"1:21: one.dense.size: {SIZE}, got 0"),
        ("one: {dense: {size: '3'}}", f'1:21: one.dense.size: {SIZE}, got "3"; remove the quotes'),
        ("one: {dense: {size: 1e2}}", f"1:21: one.dense.size: {SIZE}, got 100.0; write 100"),
        ("one: {dense: {size: true}}", f"1:21: one.dense.size: {SIZE}, got true"),
        ("one: {dense: {size: null}}", f"1:21: one.dense.size: {SIZE}, got null"),
        ("one: {dense: {size: 1, inputs: 0}}", f"1:32: one.dense.inputs: {SIZE} or null, got 0"),
        ("one: {dense: {size: 1, bias: yes}}", '1:30: one.dense.bias: expected true or false, got "yes"'),
        ("one: {dense: {size: 1, bias: 1}}", "1:30: one.dense.bias: expected true or false, got 1"),
        ("one: {dense: {bias: true}}", "1:14: one.dense.size: missing; it is required: an integer greater than 0"),
        ("one: dense", "1:6: one.dense.size: missing; it is required: an integer greater than 0"),
        ("one: {dense: 64}", "1:14: one.dense: expected a mapping of options (size, inputs, bias), got 64"),
        ("one: {relu: [1]}", "1:13: one.relu: expected no options, got [1]"),
        ("one: {relu: {x: 1}}", "1:14: one.relu.x: unknown key; there are no options here"),
        ("one: {dense: {sise: 1, size: 1}}", '1:15: one.dense.sise: unknown key; did you mean "size"?'),
        ("one: {drop: {rate: 0.1}}", '1:14: one.drop.rate: unknown key; did you mean "p"?'),
        ("one: {drop: {qqqq: 0.1}}", "1:14: one.drop.qqqq: unknown key; the keys here are p"),
        ("one: {drop: {p: 1}}", "1:17: one.drop.p: expected a number of at least 0 and less than 1, got 1"),
        ("one: {drop: {p: .nan}}",
         "1:17: one.drop.p: expected a number of at least 0 and less than 1, got .nan; write a finite number"),
        ("one: {lists: {shape: [1], weights: {no: .inf}}}",
         "1:41: one.lists.weights.no: expected a number greater than 0, got .inf; write a finite number"),
        ("one: {conv: {kernel: [3, x]}}",
         f'1:22: one.conv.kernel: {SIZE} or a list of 2, each an integer greater than 0, got [3, "x"]'),
        ("one: {conv: {pad: full}}", '1:19: one.conv.pad: expected an integer of at least 0 or "same", got "full"'),
        ("one: {lists: {shape: []}}",
         "1:22: one.lists.shape: expected a list of at least 1, each an integer of at least -1, got []"),
        ("one: {lists: {shape: [1, -2]}}", "1:26: one.lists.shape[1]: expected an integer of at least -1, got -2"),
        ("one: {lists: {shape: [1], names: [a, 3]}}", "1:38: one.lists.names[1]: expected text, got 3"),
        ("one: {lists: {shape: [1], weights: {no: 0}}}",
         "1:41: one.lists.weights.no: expected a number greater than 0, got 0"),
        ("one: {lists: {shape: [1], text: abcd}}",
         '1:33: one.lists.text: expected text of at least 1 and at most 3, got "abcd"'),
        ("one: {lists: {shape: [1], mode: max}}", '1:33: one.lists.mode: expected one of mean, sum, got "max"'),
        ("one: dens", '1:6: one: unknown layer "dens"; did you mean "dense"?'),
        ("one: xyz",
         '1:6: one: unknown layer "xyz"; there are dense, relu, conv, drop, residual, chain, marked, lists'),
        ("one: {relu: , drop: }", "1:6: one: expected one layer, got 2: relu, drop; keep one of them"),
        ("one: {}", f"1:6: one: expected {A_LAYER}, or null, got {{}}"),
        ("one: 3", f"1:6: one: expected {A_LAYER}, or null, got 3"),
        ("model: relu", f'1:8: model: expected a list, each {A_LAYER}, got "relu"'),
        ("model: [{residual: {layers: [{drop: {p: 2}}]}}]",
         "1:41: model[0].residual.layers[0].drop.p: expected a number of at least 0 and less than 1, got 2"),
        ("model: [{chain: {layers: [rel]}}]",
         '1:27: model[0].chain.layers[0]: unknown layer "rel"; did you mean "relu"?'),
        ("options: {p: x}", '1:14: options.p: expected a number of at least 0 and less than 1, got "x"'),
        ("options: 3", "1:10: options: expected a mapping of options (p), got 3"),
        ("size: -1", "1:7: size: expected an integer greater than 0, got -1"),
        ("bias: true\none: {dense: {size: 1}}", "1:1: bias: unknown key here; it belongs in one.dense"),
        ("p: 1\nmodel: [relu, drop]", "1:1: p: unknown key here; it belongs in model[1].drop"),
        ("kernel: 1", "1:1: kernel: unknown key here; it belongs in one.conv"),
        ("relu: 1", "1:1: relu: unknown key here; it belongs in model"),
        ("one: {drop: {model: 1}}", "1:14: one.drop.model: unknown key here; it belongs at the top level"),
    ],
)  # fmt: skip
def test_messages(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    found = problems("sized: 1\none: {drop: {q: 1, p: 3}}\nmodel: [x, y, relu]\nsize: a")
    assert [line.partition(": ")[0] for line in found] == ["1:1", "2:14", "2:23", "3:9", "3:12", "4:7"]


def test_models_are_built_when_their_kind_is_used() -> None:
    options_model.cache_clear()
    check("model: [relu, relu, drop]")
    assert options_model.cache_info().currsize == 2


def test_describe_says_every_kind_of_bound() -> None:
    assert describe(Annotated[int, Interval(gt=0, le=9)]) == "an integer greater than 0 and at most 9"
    assert describe(float | Literal["a", "b"] | None) == "a number or one of a, b or null"
    assert describe(Annotated[float, Lt(1)] | list[str]) == "a number less than 1 or a list, each text"


KEYS = ["model", "one", "options", "p", "layers", "kernel", "shape", "weights", "size", "", "a.b", *LAYERS]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.floats() | st.sampled_from(["relu", "same", "x", "", "3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["model", "one", "options", "size", "p", "y"]), JSON, max_size=4))
def test_no_values_raise_anything_but_a_config_error(values: dict[str, Any]) -> None:
    try:
        config = check(to_yaml(values))
    except ConfigError:
        return
    assert plain(Model.model_validate(plain(config))) == plain(config)
