"""YAML in our dialect: values, positions, limits, every message, and the way back to text."""

from __future__ import annotations

import io

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.config.positions import dotted, parse, read, show, to_yaml
from dlscratch.errors import ConfigError

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def problem(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1e5", 1e5), ("1E-4", 1e-4), (".5", 0.5), ("5.", 5.0), ("-1.5e+3", -1500.0), ("+3", 3),
        ("-0", 0),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None), ("2020-01-01", "2020-01-01"), ("0x10", "0x10"), ("0o17", "0o17"),
        ("007", "007"), ("1:30", "1:30"), ("1_000", "1_000"), ("1.2.3", "1.2.3"), ("'1'", "1"), ('"true"', "true"),
        (".inf", float("inf")), ("-.inf", float("-inf")), ("1" * 400, int("1" * 400)), ("[1, a]", [1, "a"]),
        ("|\n  x\n  y\n", "x\ny\n"), ("é 数", "é 数"), ("=", "="), ("a#b", "a#b"), ("a #b", "a"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    found = parse(f"a: {text}").values["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written() -> None:
    assert parse("on: 1\nno: 2\n'3': 4\n\"<<\": 5").values == {"on": 1, "no": 2, "3": 4, "<<": 5}


def test_positions_of_keys_and_values() -> None:
    document = parse("a:\n  - b: 1\n    c: [x,  y]\nd:\n", "c.yaml")
    assert document.where(("a", 0, "c", 1)) == "c.yaml:3:13"
    assert document.where(("a", 0, "c"), at_key=True) == "c.yaml:3:5"
    assert document.where(("a", 0, "c")) == "c.yaml:3:8"
    assert document.where(("a",)) == "c.yaml:2:3"
    assert document.where(("d",)) == "c.yaml:4:3"
    assert document.where(("a", 0, "missing", "deep"), at_key=True) == "c.yaml:2:5"
    assert document.where(("missing",)) == "c.yaml:1:1"


def test_aliases_and_merge_keys() -> None:
    document = parse("base: &b {x: 1, y: [2]}\none:\n  <<: *b\n  x: 3\ntwo: *b\nthree: {<<: [{x: 5}, *b]}\n", "c.yaml")
    values = document.values
    assert values == {
        "base": {"x": 1, "y": [2]}, "one": {"x": 3, "y": [2]}, "two": {"x": 1, "y": [2]}, "three": {"x": 5, "y": [2]}
    }  # fmt: skip
    assert document.where(("two", "y", 0)) == "c.yaml:1:21"
    assert values["one"]["y"] is not values["two"]["y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.yaml:1:1: the file is empty; see `dlscratch init` for a first config"),
        ("# only a comment\n", "c.yaml:1:1: the file is empty; see `dlscratch init` for a first config"),
        ("- 1", "c.yaml:1:1: expected keys with values, such as `seed: 0`, got a list"),
        ("hello", 'c.yaml:1:1: expected keys with values, such as `seed: 0`, got "hello"'),
        ("a: b: c", 'c.yaml:1:5: a ":" cannot stand here; check the indentation, or quote the text'),
        ("a:\n\tb: 1", "c.yaml:2:1: a tab cannot stand here; indent with spaces"),
        ("a: @x", 'c.yaml:1:4: text cannot begin with "@"; put it in quotes'),
        ("a: 1\nb\nc: 2", 'c.yaml:2:1: a ":" is missing after this key'),
        ("a:\n  b: 1\n c: 2", "c.yaml:3:2: this does not fit the lines above; check the indentation"),
        ("a: [1, 2\nb: 3", 'c.yaml:1:4: a "]" or a comma is missing for the bracket that opens here'),
        ("a: {x: 1", 'c.yaml:1:4: a "}" or a comma is missing for the bracket that opens here'),
        ("a: [1,,2]", "c.yaml:1:7: a value is missing here"),
        ("a: 'abc", "c.yaml:1:4: this quote is not closed"),
        ("a: *", "c.yaml:1:5: not valid YAML: expected alphabetic or numeric character, but found the end"),
        ("a: 1\n---\nb: 2", 'c.yaml:2:1: a second document begins here; remove this "---" or what follows'),
        ("a: 1\nb: \x00", "c.yaml:2:4: the character U+0000 is not allowed"),
        (b"a: 1\nb: \xc3\xa9\xe9", "c.yaml:2:5: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: " + "9" * 5000, "c.yaml:1:4: a: a number of 5,000 digits is too long"),
        ("b: {c: 1, c: 2}", "c.yaml:1:11: b.c: given twice; the first is in line 1, column 5"),
        ("a: [{1: 2}]", 'c.yaml:1:6: a[0]: the key 1 is not text; put it in quotes: "1"'),
        ("? [a]\n: 3", "c.yaml:1:3: a list or mapping cannot be a key; a key is text"),
        ("a: !!str 1", 'c.yaml:1:4: a: the tag "!!str" is not allowed; remove it'),
        ("a: &x [*x]", "c.yaml:1:8: a[0]: the alias *x stands inside its own anchor &x"),
        ("a: *x", "c.yaml:1:4: a: the alias *x has no anchor before it &x"),
        ("a: {<<: 3}", "c.yaml:1:5: a.<<: expected an alias of a mapping, such as *defaults, or a list of them"),
        ("a: " + "[" * 60 + "]" * 60, "c.yaml:1:53: nested deeper than 50 levels"),
        ("a: " + "[" * 200_000, "c.yaml:1:53: nested deeper than 50 levels"),
        (BOMB, "c.yaml:4:35: more than 10,000 values, counted with every alias written out"),
        ("a: [" + "1," * 11_000 + "]", "c.yaml:1:20003: more than 10,000 values, counted with every alias written out"),
    ],
)  # fmt: skip
def test_messages(text: str | bytes, message: str) -> None:
    assert problem(text) == message


def test_all_problems_of_one_file_in_its_order() -> None:
    assert problem("a: 1\nb: !!python/object/apply:os.system [echo]\na: 2\n5: 6\n").splitlines() == [
        'c.yaml:2:4: b: the tag "!!python/object/apply:os.system" is not allowed; remove it',
        "c.yaml:3:1: a: given twice; the first is in line 1, column 1",
        'c.yaml:4:1: the key 5 is not text; put it in quotes: "5"',
    ]


def test_nesting_through_aliases_is_limited_too() -> None:
    levels = [f"k{i}: &k{i} " + (f"[[[[[[[[[[*k{i - 1}]]]]]]]]]]" if i else "[1]") for i in range(6)]
    assert problem("\n".join(levels)) == "c.yaml:6:19: nested deeper than 50 levels"


def test_read(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read(path).values == {"a": 1, "b": 2}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: [")))
    with pytest.raises(ConfigError, match=r"^<stdin>:1:5: a value is missing here"):
        read("-")
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file or directory"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match=r"over 1,000,000 bytes; a config is a short YAML file; is this the data\?"):
        read(path)


def test_dotted_and_show() -> None:
    assert dotted(("model", 2, "linear", "a b", "c")) == 'model[2].linear."a b".c'
    assert dotted((0, "x.y\n")) == '[0]."x.y\\n"'
    assert [show(value) for value in ["é", None, True, [1], float("nan"), float("-inf"), 10**50]] == [
        '"é"', "null", "true", "[1]", ".nan", "-.inf", "a number of more than 40 digits"
    ]  # fmt: skip
    assert show("x" * 50) == '"' + "x" * 38 + "…"


TRICKY = [
    "1e-3",
    "0b1",
    "-",
    "?",
    "!x",
    "&x",
    "*x",
    "é",
    "1:30",
    ".5",
    "\x85",
    "y",
    "true ",
    " x",
    "no",
    "null",
    "",
    "~",
    "<<",
    "=",
    "- a",
    "#",
    "2020-01-01",
    "0x1",
    "1_0",
    "on",
    "a: b",
    "\t",
]
TEXT = st.text(max_size=20) | st.sampled_from(TRICKY)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_values_survive_the_way_to_yaml_and_back(values: dict[str, object]) -> None:
    text = to_yaml(values)
    assert repr(parse(text).values) == repr(values)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_other_readers_of_yaml_agree(values: dict[str, object]) -> None:
    assert repr(yaml.safe_load(to_yaml(values))) == repr(values)


PIECES = [*"ab:-[]{},&*!|>'\"?#%@`~ \n\t1.", "\n  ", "\n- ", ": ", "<<: ", "---\n", "\x00", "\ud800"]
YAML_LIKE = st.lists(st.sampled_from(PIECES))


@given(st.text() | YAML_LIKE.map("".join) | st.binary(max_size=40))
def test_no_text_raises_anything_but_a_config_error(text: str | bytes) -> None:
    problems, values = (), {}
    try:
        values = parse(text, "c.yaml").values
    except ConfigError as error:
        problems = error.problems
    assert all(line.startswith("c.yaml:") and "\n" not in line for line in problems)
    assert repr(parse(to_yaml(values)).values) == repr(values)
