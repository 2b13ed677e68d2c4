"""The reference: everything that a config can hold is in it, in words, with its default."""

from __future__ import annotations

import json

import pytest

from dlscratch.config import reference
from dlscratch.config.options import options_model
from dlscratch.config.reference import Entry, Option
from dlscratch.config.schema import Config, Data, Training
from dlscratch.datasets.preprocessing import Preprocessing
from dlscratch.datasets.readers import READERS
from dlscratch.errors import UsageError
from dlscratch.nn.initializers import INITIALIZERS
from dlscratch.nn.layers import LAYERS
from dlscratch.nn.losses import LOSSES
from dlscratch.optim.optimizers import OPTIMIZERS
from dlscratch.optim.schedules import SCHEDULES
from dlscratch.training.early_stopping import EarlyStopping


def option(entry: str, name: str) -> Option:
    [found] = [each for each in reference.named(entry)[0].options if each.name == name]
    return found


def test_every_kind_of_every_registry_is_there() -> None:
    families = [READERS, LAYERS, INITIALIZERS, LOSSES, OPTIMIZERS, SCHEDULES]
    names = ["config", "data", "training", "checkpoint_every", "preprocessing", "early_stopping"]
    names += [kind for registry in families for kind in registry]
    assert [entry.name for entry in reference.entries()] == names


@pytest.mark.parametrize("entry", list(reference.entries()), ids=lambda entry: f"{entry.family} {entry.name}")
def test_everything_is_described(entry: Entry) -> None:
    assert entry.summary.endswith(".")
    for each in entry.options:
        assert each.description, each.name
        assert each.values not in ("", "a value"), each.name
        assert "mapping, each value" not in each.values, each.name


@pytest.mark.parametrize(("name", "section"), [("config", Config), ("data", Data), ("training", Training)])
def test_sections_have_all_their_keys(name: str, section: type[Config]) -> None:
    assert [each.name for each in reference.named(name)[0].options] == list(section.model_fields)


@pytest.mark.parametrize(("name", "target"), [("preprocessing", Preprocessing), ("early_stopping", EarlyStopping)])
def test_parts_have_all_their_keys(name: str, target: type) -> None:
    known = [key for key in options_model(target).model_fields if key != "task"]
    assert [each.name for each in reference.named(name)[0].options] == known


@pytest.mark.parametrize(
    ("entry", "name", "values", "default"),
    [
        ("linear", "in_features", "an integer greater than 0", ""),
        ("linear", "out_features", "an integer greater than 0", None),
        ("linear", "bias", "true or false", "true"),
        ("linear", "weight_init", "an initializer", ""),
        ("adam", "betas", "a list of 2, each a number of at least 0 and less than 1", "[0.9, 0.999]"),
        ("adam", "eps", "a number of at least 0", "1e-08"),
        ("dropout", "p", "a number of at least 0 and less than 1", "0.5"),
        ("batch_norm1d", "momentum", "a number of at least 0 and at most 1 or null", "0.1"),
        ("residual", "layers", "a list, each a layer", "[]"),
        ("csv", "missing_target", "one of error, drop", "error"),
        ("csv", "decimal", 'one of ".", ","', ""),
        ("npz", "target", "text or null", "y"),
        ("config", "loss", "a loss", ""),
        ("config", "model", "a list of at least 1, each a layer", None),
        ("training", "clip_norm", "a number greater than 0", ""),
        ("training", "early_stopping", "its options", ""),
        ("data", "csv", "its options", ""),
        ("early_stopping", "patience", "an integer greater than 0 or null", None),
    ],
)
def test_values_and_defaults_in_words(entry: str, name: str, values: str, default: str | None) -> None:
    assert (option(entry, name).values, option(entry, name).default) == (values, default)


def test_a_name_of_two_families_gives_both() -> None:
    assert [entry.family for entry in reference.named("constant")] == ["initializer", "schedule"]


def test_an_unknown_name_gives_the_closest() -> None:
    with pytest.raises(UsageError, match='nothing named "liner" in a config; did you mean "linear"'):
        reference.named("liner")


def test_markdown_of_one_entry() -> None:
    assert reference.markdown("dropout") == (
        "**`dropout`**: In training each element becomes 0 with probability p, and the others are divided by 1 − p.\n\n"
        "| option | value | default | meaning |\n| --- | --- | --- | --- |\n"
        "| `p` | a number of at least 0 and less than 1 | 0.5 | probability that an element is dropped |"
    )
    assert reference.markdown("relu").count("\n") == 0


def test_markdown_tables_have_four_cells_in_every_row() -> None:
    rows = [line for line in reference.markdown().splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {5}
    assert len(rows) == sum(2 * bool(entry.options) + len(entry.options) for entry in reference.entries())


def test_the_document_is_plain_json() -> None:
    assert json.loads(json.dumps(reference.document()))[0]["family"] == "section"
    assert [entry["name"] for entry in reference.document("adam")] == ["adam"]
