"""What the README says a second time is what the code says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from dlscratch.cli.app import app
from dlscratch.config import reference
from dlscratch.config.positions import parse
from dlscratch.config.schema import Config, check
from dlscratch.errors import ConfigError

README = Path(__file__).parents[1] / "README.md"


def test_the_reference_is_what_options_prints() -> None:
    text = README.read_text(encoding="utf-8")
    found = re.findall(r"<!-- options -->\n(.*?)\n<!-- /options -->", text, re.DOTALL)
    assert len(found) == 1, "the README needs one part between <!-- options --> and <!-- /options -->"
    assert found[0].strip() == reference.markdown(), "paste the output of `dlscratch options --markdown`"


def blocks(language: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [body for name, body in fences if name == language]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("configs", "data"):
        (tmp_path / folder).symlink_to(README.parent / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)


def test_the_second_command_is_what_ci_runs() -> None:
    second = next(block for block in blocks("sh") if "pytest" in block).strip()
    assert second in (README.parent / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def promises() -> list[list[str]]:
    """The rows of the table of promises: the promise, its commands, the tests that hold it."""
    text = README.read_text(encoding="utf-8")
    table = text.partition("| promise | command | test that holds it |\n")[2].partition("\n\n")[0]
    return [row.strip("| ").split(" | ") for row in table.splitlines()[1:]]


def commands_of(cell: str) -> list[str]:
    return re.findall(r"`(dlscratch [^`]+)`", cell)


def command_lines() -> list[list[str]]:
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    lines += [line for _, commands, _ in promises() for line in commands_of(commands)]
    return [shlex.split(line) for line in lines if line.startswith("dlscratch ")]


@pytest.mark.parametrize("line", command_lines(), ids=" ".join)
def test_a_command_of_the_readme_exists_with_its_options(line: list[str]) -> None:
    command, words = get_command(app), line[1:]
    while isinstance(command, TyperGroup):
        _, command, words = command.resolve_command(typer.Context(command), words)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= known


def test_each_promise_has_a_command_on_a_config_that_ships_and_tests_that_exist() -> None:
    assert promises()
    for promise, commands, tests in promises():
        lines, files = commands_of(commands), re.findall(r"\((tests/[^)]+)\)", tests)
        assert lines, promise
        assert files, promise
        configs = [word for line in lines for word in shlex.split(line) if word.startswith("configs/")]
        for file in (*files, *configs):
            assert (README.parent / file).is_file(), f"{promise}: {file}"


def configs() -> list[str]:
    return [block for block in blocks("yaml") if "optimizer:" in block]


def test_the_yaml_of_the_readme_is_a_config() -> None:
    for block in configs():
        check(parse(block, "README.md"), Config)


def test_the_messages_of_the_readme_are_what_is_said() -> None:
    shown = next(block for block in blocks("") if "learning_rate" in block)
    good = configs()[0]
    bad = good.replace("lr:", "learning_rate:").replace("epochs: 60", "epochs: sixty")
    with pytest.raises(ConfigError) as caught:
        check(parse(bad, "config.yaml"), Config)
    assert str(caught.value) == shown.strip()


def test_nothing_in_the_readme_waits_to_be_filled_in() -> None:
    assert re.findall(r"^[A-Z_]{6,}$", README.read_text(encoding="utf-8"), re.MULTILINE) == []
