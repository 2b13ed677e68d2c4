"""What a start costs: help and version import nothing heavy, and every command and option explains itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT
from typer.main import get_command

import dlscratch
from dlscratch.cli.app import app

OURS = ("dlscratch.nn", "dlscratch.config", "dlscratch.runs")
HEAVY = ("numpy", "pydantic", "yaml", "threadpoolctl", "rich.progress", *OURS)
REPORT = """
import json, sys
sys.argv = ["dlscratch", *sys.argv[1:]]
from dlscratch.__main__ import main
try:
    main()
except SystemExit as end:
    print(json.dumps({"code": end.code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def modules_after(*args: str) -> tuple[int, set[str]]:
    """The exit code of a command, and all that it imported."""
    command = [sys.executable, "-c", REPORT, *args]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    report = json.loads(done.stderr.splitlines()[-1])
    return report["code"], set(report["modules"])


def heavy(modules: set[str]) -> set[str]:
    return modules.intersection(HEAVY)


@pytest.mark.parametrize(
    ("args", "allowed"),
    [(["--help"], set()), (["--version"], set()), (["train", "--help"], {"pydantic"})],  # Typer's own, for parameters
)
def test_help_and_version_import_nothing_heavy(args: list[str], allowed: set[str]) -> None:
    code, modules = modules_after(*args)
    assert code == 0
    assert "dlscratch.cli.app" in modules
    assert heavy(modules) <= allowed


def test_the_test_above_can_fail() -> None:
    _, modules = modules_after("options", "linear")
    assert {"numpy", "pydantic", "yaml", "dlscratch.nn", "dlscratch.config"} <= heavy(modules)


def test_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout) == (0, f"dlscratch {dlscratch.__version__}\n")


def commands(group: Any = None, path: str = "") -> dict[str, Any]:
    """Every command by name, such as `train` or `vectors evaluate`, also those that are made when they are used."""
    group = group or get_command(app)
    context, found = group.context_class(group), {}
    for name in list(group.commands):
        _, command, _ = group.resolve_command(context, [name])
        found |= commands(command, f"{path}{name} ") if hasattr(command, "commands") else {path + name: command}
    return found


def test_every_command_and_option_has_a_help() -> None:
    assert {"check", "evaluate", "init", "inspect", "options", "predict", "schema", "train"} <= set(commands())
    for name, command in commands().items():
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"


def test_every_command_takes_json() -> None:
    for name, command in commands().items():
        assert "--json" in [text for parameter in command.params for text in parameter.opts], name


def test_no_arguments_show_the_help(cli: Cli) -> None:
    done = cli()
    assert "Usage: " in done.stdout + done.stderr
    assert "130" in done.stdout + done.stderr  # the exit codes
