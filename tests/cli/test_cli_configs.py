"""`init`, `schema` and `options` as processes: exit codes, messages, and that nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from conftest import Cli

from dlscratch.config.examples import example, examples
from dlscratch.config.positions import parse
from dlscratch.config.schema import load

DATA = "size,kind\n" + "".join(f"{row % 9},{'ab'[row % 9 > 4]}\n" for row in range(60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my data.csv").write_text(DATA)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# init of data


def test_init_writes_a_config_and_says_what_is_next(cli: Cli, folder: Path) -> None:
    done = cli("init", "my data.csv", "--target", "kind", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote my data.yaml: kind (2 classes) from 60 rows",
        "next:",
        "  dlscratch check 'my data.yaml'",
        "  dlscratch train 'my data.yaml'",
    ]
    assert load(folder / "my data.yaml")[1].data.reader.options["path"] == "my data.csv"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, "error: name the data, such as `dlscratch init data.csv --target species`, or an --example"),
        (["my data.csv"], 2, 'column is to be learned? For example --target kind; the columns are "size", "kind"'),
        (["my data.csv", "--target", "knd"], 2, 'there is no column "knd"; did you mean "kind"?'),
        (["my data.csv", "--target", "kind", "--task", "sorting"], 2, "sorting"),
        (["my data.csv", "--example", "digits"], 2, "--example brings its own data"),
        (["--example", "digts"], 2, 'no example "digts"; did you mean "digits"?; the examples are digits, mnist_cnn'),
        (["my dat.csv"], 3, 'error: my dat.csv: no such file; did you mean "my data.csv"?'),
        (["my data.csv", "--target", "kind", "--task", "regression"], 3, '"kind" is "a"; regression needs numbers'),
    ],
)  # fmt: skip
def test_init_refuses(cli: Cli, folder: Path, args: list[str], code: int, message: str) -> None:
    done = cli("init", *args, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert files(folder) == {"my data.csv"}


def test_init_overwrites_only_when_forced(cli: Cli, folder: Path) -> None:
    config = folder / "c.yaml"
    config.write_text("mine")
    args = ["init", "my data.csv", "--target", "kind", "-o", "c.yaml"]
    done = cli(*args, cwd=folder)
    assert done.returncode == 2
    assert done.stderr == "error: c.yaml: exists already; write to another file with -o, or overwrite it with --force\n"
    assert config.read_text() == "mine"
    assert cli(*args, "--force", cwd=folder).returncode == 0
    assert config.read_text().startswith("# Learns kind")
    assert files(folder) == {"my data.csv", "c.yaml"}


def test_init_to_stdout(cli: Cli, folder: Path) -> None:
    done = cli("init", "my data.csv", "--target", "kind", "-o", "-", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert parse(done.stdout).values["data"]["csv"] == {"path": "my data.csv", "target": "kind"}
    assert files(folder) == {"my data.csv"}
    checked = cli("check", "-", cwd=folder, input=done.stdout)
    assert checked.returncode == 0, checked.stderr


def test_init_into_a_folder(cli: Cli, folder: Path) -> None:
    (folder / "configs").mkdir()
    assert cli("init", "my data.csv", "--target", "kind", "-o", "configs", cwd=folder).returncode == 0
    assert load(folder / "configs" / "my data.yaml")[1].data.reader.options["path"] == "../my data.csv"


def test_init_json_and_quiet(cli: Cli, folder: Path) -> None:
    done = cli("init", "my data.csv", "--target", "kind", "--json", cwd=folder)
    assert json.loads(done.stdout) == {
        "config": "my data.yaml",
        "target": "kind",
        "task": "classification",
        "classes": ["a", "b"],
        "rows": 60,
        "drop": [],
        "notes": [],
    }
    assert done.stderr.startswith("wrote my data.yaml")
    done = cli("init", "my data.csv", "--target", "kind", "--quiet", "--force", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_init_says_what_a_person_should_know(cli: Cli, folder: Path) -> None:
    rows = [f"{row % 9},{row},{'ab'[row % 9 > 4]}" for row in range(60)]
    (folder / "odd.csv").write_text("\n".join(["size,id,kind", *rows, "1,60,", "2,61,c"]) + "\n")
    done = cli("init", "odd.csv", "--target", "kind", cwd=folder)
    few = "too few for training, validation and test"
    notes = [
        "missing_target: 1 row without a target",
        f'missing: class "c" has 1 row, {few}: it is left out, as if it were missing',
        'drop: "id": counts the rows, 0 to 59: it tells rows apart and teaches nothing',
    ]
    assert (done.stderr, done.stdout.splitlines()[1:4]) == ("", [f"note: {note}" for note in notes])
    done = cli("init", "odd.csv", "--target", "kind", "--json", "--force", cwd=folder)
    assert json.loads(done.stdout)["notes"] == notes


@pytest.mark.parametrize("args", [[], ["-o", "-"], ["--json"]])
def test_init_warns_where_nothing_can_be_held_out(cli: Cli, folder: Path, args: list[str]) -> None:
    (folder / "rare.csv").write_text(DATA + "3,c\n" * 2 + "4,d\n" * 2)
    done = cli("init", "rare.csv", "--target", "kind", *args, cwd=folder)
    warning = "validation: 0: too few rows to hold some out: 2 of the rarest class; nothing tells how well"
    assert f"warning: {warning}" in done.stderr
    if args == ["--json"]:
        assert json.loads(done.stdout)["notes"][0].startswith(warning)


def test_init_where_no_file_can_be(cli: Cli, folder: Path) -> None:
    done = cli("init", "my data.csv", "--target", "kind", "-o", "my data.csv/c.yaml", cwd=folder)
    assert done.returncode == 6
    assert "cannot be written" in done.stderr
    assert (folder / "my data.csv").read_text() == DATA


def test_a_name_cannot_steer_the_terminal_or_the_config(cli: Cli, folder: Path) -> None:
    (folder / "odd.csv").write_text(DATA.replace("size", '"a\x1b[2J\nseed: 9"'))
    done = cli("init", "odd.csv", cwd=folder)
    assert "\x1b" not in done.stderr
    done = cli("init", "odd.csv", "--target", "kind", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert load(folder / "odd.yaml")[1].seed == 0


# init of an example


@pytest.mark.parametrize("name", examples())
def test_examples_write_a_config_and_its_data(cli: Cli, tmp_path: Path, name: str) -> None:
    done = cli("init", "--example", name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"  dlscratch train {name}.yaml" in done.stdout.splitlines()
    text = (tmp_path / f"{name}.yaml").read_text(encoding="utf-8")
    assert ".." not in text
    assert f"dlscratch train {name}.yaml" in text
    load(tmp_path / f"{name}.yaml")
    for absent in example(name).absent:
        assert f"  {absent}" in done.stdout.splitlines()
    if not example(name).absent:
        checked = cli("check", f"{name}.yaml", cwd=tmp_path)
        assert checked.returncode == 0, checked.stderr


def test_examples_share_their_data_and_overwrite_nothing(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "--example", "penguins", "--out", "here", cwd=tmp_path).returncode == 0
    assert cli("init", "--example", "penguin_mass", "--out", "here", cwd=tmp_path).returncode == 0
    assert files(tmp_path) == {"here/penguins.csv", "here/penguins.yaml", "here/penguin_mass.yaml"}
    (tmp_path / "here" / "penguins.csv").write_text("mine")
    done = cli("init", "--example", "penguins", "--out", "here", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: here/penguins.csv: exists already and is not the example's" in done.stderr
    assert (tmp_path / "here" / "penguins.csv").read_text() == "mine"
    assert cli("init", "--example", "penguins", "--out", "here", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "here" / "penguins.csv").read_text() != "mine"


def test_help_names_the_examples(cli: Cli) -> None:
    words = " ".join(cli("init", "--help").stdout.replace("│", " ").split())
    *most, last = examples()
    assert f"{', '.join(most)} or {last}" in words


# schema and options


def test_schema_is_a_json_schema_that_the_examples_meet(cli: Cli, tmp_path: Path) -> None:
    done = cli("schema")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(document)
    for name in examples():
        jsonschema.validate(parse(example(name).text).values, document)
    assert cli("schema", "--json").stdout == done.stdout


def test_options_lists_everything_by_family(cli: Cli) -> None:
    done = cli("options")
    assert (done.returncode, done.stderr) == (0, "")
    words = done.stdout.split()
    assert {"Layers", "linear", "Optimizers", "adam", "Readers", "csv", "training"} <= {*words}


def test_options_of_one_name(cli: Cli) -> None:
    done = cli("options", "dropout")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dropout (layer): In training each element becomes 0")
    assert "a number of at least 0 and less than 1" in " ".join(done.stdout.split())
    assert json.loads(cli("options", "dropout", "--json").stdout) == [
        {
            "name": "dropout",
            "family": "layer",
            "summary": "In training each element becomes 0 with probability p, and the others are divided by 1 − p.",
            "options": [
                {
                    "name": "p",
                    "values": "a number of at least 0 and less than 1",
                    "default": "0.5",
                    "description": "probability that an element is dropped",
                }
            ],
        }
    ]
    assert cli("options", "dropout", "--markdown").stdout.startswith("**`dropout`**: ")


def test_options_refuses(cli: Cli) -> None:
    done = cli("options", "droput")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'error: there is nothing named "droput" in a config; did you mean "dropout"?' in done.stderr
    assert cli("options", "--markdown", "--json").returncode == 2
