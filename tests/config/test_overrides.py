"""`--set`: what it changes, where it says a value came from, and each of its messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.config.overrides import apply_overrides
from dlscratch.config.positions import Document, Problem, parse
from dlscratch.errors import ConfigError

TEXT = "model:\n- linear: {out: 1}\n- dropout\n- relu:\nopt: {adam: {lr: 1}}\n"


def after(*overrides: str) -> Document:
    return apply_overrides(parse(TEXT, "c.yaml"), overrides)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("model[0].linear.out=64", ("model", 0), {"linear": {"out": 64}}),
        ("model[1].dropout.p=1e-1", ("model", 1), {"dropout": {"p": 0.1}}),
        ("model[2].relu.x=no", ("model", 2), {"relu": {"x": "no"}}),
        ("model[-1]={gelu: }", ("model", 2), {"gelu": None}),
        ("training.epochs=3", ("training",), {"epochs": 3}),
        ("a.b.c=[1, {x: 2}]", ("a",), {"b": {"c": [1, {"x": 2}]}}),
        ('a."b c.d"=1', ("a",), {"b c.d": 1}),
        ("name=", ("name",), None),
        ("name=a=b", ("name",), "a=b"),
        ("opt=sgd", ("opt",), "sgd"),
    ],
)
def test_values(override: str, path: tuple[str | int, ...], value: object) -> None:
    here: object = after(override).values
    for part in path:
        here = here[part]  # type: ignore[index]
    assert here == value


def test_the_document_before_is_unchanged_and_the_last_wins() -> None:
    before = parse(TEXT)
    assert apply_overrides(before, ["opt.adam.lr=2", "opt.adam.lr=3"]).values["opt"] == {"adam": {"lr": 3}}
    assert before.values["opt"] == {"adam": {"lr": 1}}


def test_positions_name_the_override() -> None:
    document = after("model[-1].relu.x={a: 1}", "training.epochs=abc", "opt.adam.lr=2")
    assert document.where(("model", 2, "relu", "x", "a")) == "--set model[-1].relu.x={a: 1}"
    assert document.where(("training", "batch"), at_key=True) == "--set training.epochs=abc"
    assert document.where(("model", 0, "linear", "out"), at_key=True) == "c.yaml:2:12"
    problems = [Problem(("opt", "adam", "lr"), "z"), Problem(("training", "epochs"), "x"), Problem(("model", 0), "y")]
    assert document.error(problems).problems == (
        "c.yaml:2:3: model[0]: y",
        "--set training.epochs=abc: training.epochs: x",
        "--set opt.adam.lr=2: opt.adam.lr: z",
    )


def test_a_replaced_value_forgets_the_positions_inside_it() -> None:
    assert after("opt={adam: {}}").where(("opt", "adam", "lr")) == "--set opt={adam: {}}"


KEY_VALUE = "write KEY=VALUE, such as training.epochs=30 or model[2].linear.out_features=64"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", KEY_VALUE),
        ("=3", KEY_VALUE),
        (".a=3", KEY_VALUE),
        ("a..b=3", KEY_VALUE),
        ("[0]=3", KEY_VALUE),
        ("a[x]=3", KEY_VALUE),
        ("model[3].linear=1", "model: is a list of 3; write model[0] to model[2]"),
        ("model[-4]=1", "model: is a list of 3; write model[0] to model[2]"),
        ("model.linear=1", "model: is a list of 3; write model[0] to model[2]"),
        ("opt[0]=1", "opt: is a mapping, not a list; write a key instead of [0]"),
        (
            "model[1].relu.x=1",
            'model[1]: is "dropout", which holds nothing that could be set; to replace it, write model[1]={relu: …}',
        ),
        (
            "opt.adam.lr[0]=1",
            "opt.adam.lr: is 1, which holds nothing that could be set; to replace it, write opt.adam.lr=[…]",
        ),
        ("opt=[1", 'opt: a "]" or a comma is missing for the bracket that opens here'),
        ("opt={x: {y: 1, y: 2}}", "opt.x.y: given twice; the first is in line 1, column 6"),
        ("opt=!!python/object:os.system 3", 'opt: the tag "!!python/object:os.system" is not allowed; remove it'),
    ],
)
def test_messages(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        after(override)
    assert str(caught.value) == f"--set {override}: {message}"


def test_every_wrong_override_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        after("x", "opt.adam.lr=3", "opt[0]=1", "a=1\n  b: 2")
    starts = [line.partition(": ")[0] for line in caught.value.problems]
    assert starts == ["--set x", "--set opt[0]=1", "--set a=1\\n  b"]


@given(st.text(max_size=20) | st.lists(st.sampled_from([*'amodel[]{}.="-01: \n', "model", "opt.", "[0]"])).map("".join))
def test_no_override_raises_anything_but_a_config_error(text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        after(text)
    except ConfigError as error:
        problems = error.problems
    assert not any("\n" in line for line in problems)
