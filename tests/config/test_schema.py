"""The whole config: sections, contradictions between keys, defaults, what a run stores, and the JSON Schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlscratch.config.positions import Document, parse, to_yaml
from dlscratch.config.schema import Config, check, effective, json_schema, load
from dlscratch.datasets.readers import READERS
from dlscratch.errors import ConfigError
from dlscratch.nn.layers import LAYERS
from dlscratch.optim.optimizers import OPTIMIZERS

GOOD = """\
seed: 3
data:
  csv: {path: a.csv, target: digit}
  test: {csv: {path: b.csv, target: digit}}
model:
  - linear: {out_features: 64}
  - relu
  - residual: {layers: [relu, {linear: {out_features: 64}}]}
  - dropout: {p: 0.1}
loss: {cross_entropy: {label_smoothing: 0.1}}
optimizer: {adam: {lr: 1e-3}}
training:
  epochs: 3
  time_limit: 10m
"""
READER_NAMES = ", ".join(READERS)


def checked(text: str) -> Config:
    return check(parse(text, "c.yaml"), Config)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return [line.removeprefix("c.yaml:") for line in caught.value.problems]


def test_a_good_config_is_typed() -> None:
    config = checked(GOOD)
    assert (config.seed, config.training.epochs, config.training.batch_size) == (3, 3, 32)
    assert config.training.time_limit == 600
    assert (config.data.reader.kind, config.data.reader.options["path"]) == ("csv", "a.csv")
    assert config.data.test.kind == "csv"
    assert [layer.kind for layer in config.model] == ["linear", "relu", "residual", "dropout"]
    assert config.model[2].options["layers"][0].kind == "relu"
    assert config.optimizer.options["lr"] == 0.001
    assert config.loss is not None
    assert config.loss.options["label_smoothing"] == 0.1
    assert config.schedule is None
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


def test_what_a_run_stores_gives_the_same_config_again() -> None:
    stored = effective(checked(GOOD))
    assert stored["training"]["batch_size"] == 32
    assert effective(checked(to_yaml(stored))) == stored


def test_load_names_the_run_after_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text(GOOD)
    document, config = load(path, ["training.epochs=7", "model[-1].dropout.p=0.5"])
    assert isinstance(document, Document)
    assert (config.name, config.training.epochs, config.model[-1].options["p"]) == ("digits", 7, 0.5)
    assert load(path, ["name=other"])[1].name == "other"
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert load("-")[1].name == "stdin"
    with pytest.raises(ConfigError) as caught:
        load(path, ["training.epochs=abc"])
    expected = '--set training.epochs=abc: training.epochs: expected an integer of at least 1, got "abc"'
    assert str(caught.value) == expected


SECONDS = "seconds greater than 0, or text such as 90s, 10m or 1.5h"
NAME = 'a name of letters, digits, spaces, ".", "_" and "-", which begins with a letter or digit'
PART = "a fraction of the rows of at least 0 and less than 1, or a reader such as {csv: {path: test.csv}}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("learning_rate: 1", 'learning_rate: unknown key; it belongs in optimizer.adam as "lr"'),
        ("lr: 1", "lr: unknown key here; it belongs in optimizer.adam"),
        ("epochs: 1", "epochs: unknown key here; it belongs in training"),
        ("sedd: 1", 'sedd: unknown key; did you mean "seed"?'),
        ("adam: 1", "adam: unknown key here; it belongs in optimizer"),
        ("momentum: 1", "momentum: unknown key here; it belongs in optimizer.sgd"),
        ("name: ../x", f'name: expected {NAME}, or null, got "../x"'),
        ("schedule: {constant: , x: }", "schedule: expected one schedule, got 2: constant, x; keep one of them"),
    ],
)
def test_messages_at_the_top(more: str, message: str) -> None:
    column = 1 if "unknown key" in message else more.index(" ") + 2
    assert problems(GOOD + more) == [f"15:{column}: {message}"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  epochs: 3", "  epoch: 3", '13:3: training.epoch: unknown key; did you mean "epochs"?'),
        ("  epochs: 3", "  epochs: 0", "13:11: training.epochs: expected an integer of at least 1, got 0"),
        (
            "  test: {csv:",
            "  preprocessing: {task: auto}\n  test: {csv:",
            "4:19: data.preprocessing.task: unknown key here; it belongs in data",
        ),
        ("10m", "10 min", f'14:15: training.time_limit: expected {SECONDS}, or null, got "10 min"'),
        ("10m", ".inf", f"14:15: training.time_limit: expected {SECONDS}, or null, got .inf"),
        ("10m", "0", f"14:15: training.time_limit: expected {SECONDS}, or null, got 0"),
        ("  test: {csv:", "  test: {jpg:", f'4:9: data.test: unknown reader "jpg"; there are {READER_NAMES}'),
        ("seed: 3", "seed: -1", "1:7: seed: expected an integer of at least 0, got -1"),
        ("{p: 0.1}", "0.1", "9:14: model[3].dropout: expected a mapping of options (p), got 0.1"),
        (
            "  csv: {path: a.csv, target: digit}\n",
            "  validation: 0.2\n",
            f"3:3: data: expected one reader ({READER_NAMES}), got none",
        ),
        (
            "  test: {csv: {path: b.csv, target: digit}}\n",
            "  test: 0.9\n",
            "4:9: data.test: validation and test together leave no rows to train on; make their sum less than 1",
        ),
        ("  test: {csv: {path: b.csv, target: digit}}\n", "  test: 1\n", f"4:9: data.test: expected {PART}, got 1"),
    ],
)
def test_messages_inside(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert problems(GOOD.replace(old, new)) == [message]


def test_two_readers_and_their_own_problems_are_told_together() -> None:
    found = problems(GOOD.replace("  test:", "  npz: {}\n  test:").replace("seed: 3", "seed: x"))
    assert found[:2] == [
        '1:7: seed: expected an integer of at least 0, got "x"',
        f"3:3: data: expected one reader ({READER_NAMES}), got 2: csv, npz",
    ]
    assert found[2].startswith("4:8: data.npz.path: missing; it is required: text")


def test_null_is_an_empty_section_and_what_is_missing_is_told() -> None:
    assert checked(GOOD.partition("training:")[0] + "training:\n").training.epochs == 10
    assert [line.partition(";")[0] for line in problems("data:\nseed: 1")] == [
        "1:1: model: missing",
        "1:1: optimizer: missing",
        f"1:6: data: expected one reader ({READER_NAMES}), got none",
    ]


def test_the_json_schema_accepts_the_good_and_refuses_the_bad() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = parse(GOOD).values
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors(effective(checked(GOOD)))) == []
    for change in [
        {"lr": 1}, {"seed": "x"}, {"model": []}, {"model": ["linear2"]}, {"model": [{"relu": None, "dropout": None}]},
        {"model": [{"linear": {"out_features": 0}}]}, {"data": {}}, {"training": {"epoch": 3}},
        {"optimizer": {"adam": 3}},
    ]:  # fmt: skip
        assert list(validator.iter_errors({**good, **change})), change


def test_the_json_schema_describes_every_kind_and_option() -> None:
    definitions = json_schema()["$defs"]
    for name, registry in [("layer", LAYERS), ("optimizer", OPTIMIZERS), ("reader", READERS)]:
        kinds = definitions[name]["anyOf"][1]["properties"]
        assert set(kinds) == set(registry)
        for kind in kinds.values():
            options = kind["anyOf"][0] if "anyOf" in kind else kind
            assert options["description"]
            assert all(option.get("description") for option in options.get("properties", {}).values())


def test_an_initializer_is_checked_like_a_kind_and_kept_as_written() -> None:
    config = checked(GOOD.replace("{out_features: 64}", "{out_features: 64, weight_init: {constant: {value: 0.5}}}", 1))
    assert config.model[0].options["weight_init"] == {"constant": {"value": 0.5}}
    assert config.model[0].options["bias_init"] is None
    found = problems(GOOD.replace("{out_features: 64}", "{out_features: 64, weight_init: {constnt: {value: 1}}}", 1))
    assert found == [
        '6:45: model[0].linear.weight_init: unknown initializer "constnt"; did you mean "constant"?',
    ]
