"""explain and graph, as processes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import Cli

from dlscratch.nn import LAYERS

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "configs" / "digits.yaml"
MNIST = ROOT / "configs" / "mnist_cnn.yaml"


def test_explain_shows_the_articles_numbers(cli: Cli, tmp_path: Path) -> None:
    done = cli("explain", "(x + y) * z", "x=-2", "y=5", "z=-4", "--svg", "graph.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line in ("<Mul> (x + y) * z = -12", "├── to x + y: g * z = 1 * (-4) = -4", "x: -4", "y: -4", "z: 3"):
        assert line in done.stdout
    assert "(x + y) * z = -12" in "".join(ET.parse(tmp_path / "graph.svg").getroot().itertext())


def test_explain_as_json(cli: Cli) -> None:
    done = cli("explain", "(x + y) * z", "x=-2", "y=5", "z=-4", "--constant", "y", "--json", "--quiet")
    document = json.loads(done.stdout)
    assert (document["value"], document["gradients"]) == (-12, {"x": -4, "y": None, "z": 3})
    assert done.stderr == ""


def test_explain_after_two_dashes_may_begin_with_a_minus(cli: Cli) -> None:
    done = cli("explain", "--quiet", "--", "-x * 2", "x=3")
    assert "x: -2" in done.stdout  # the text is the result: --quiet leaves it
    for args in (["-x * 2", "x=3"], ["--quiet", "-x * 2", "x=3"]):
        done = cli("explain", *args)
        how = 'begins as an option does; write -- before it: dlscratch explain -- "-x * 2"'
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: -x * 2 {how}\n")
    assert "-y does not occur" in cli("explain", "x", "x=3", "--constant", "-y").stderr  # an option's value


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["x + sine(x)", "x=1"],
            'error: column 5: there is no op sine; did you mean "sin"?\n  x + sine(x)\n      ^^^^\n',
        ),
        (["x + y", "x=1"], "error: column 5: y has no value; add y=2 or y=[1,2,3]\n  x + y\n      ^\n"),
        (["x", "x=a"], "error: x: column 1: expected a number or a list of numbers\n  a\n  ^\n"),
        (["__import__('os').system('echo')", "x=1"], "error: column 1: a dot is not part of an expression"),
    ],
)
def test_explain_points_at_what_is_wrong(cli: Cli, args: list[str], message: str) -> None:
    done = cli("explain", *args)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stdout == ""


def test_explain_shows_control_characters_written_out(cli: Cli) -> None:
    done = cli("explain", "x + \x1b[31m", "x=1")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr + done.stdout


def test_graph_as_text(cli: Cli) -> None:
    done = cli("graph", DIGITS, "--ops")
    assert done.stdout.startswith("digits: 6 layers, ")
    assert "├── 0 linear  out_features " in done.stdout
    assert "<Linear> " in done.stdout


@pytest.mark.parametrize("suffix", ["svg", "html", "dot", "json", "txt"])
def test_graph_of_a_config_without_its_data(cli: Cli, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"graph.{suffix}"
    done = cli("graph", MNIST, "--input-shape", "1,28,28", "-o", file, "--direction", "right")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"12 layers, 206,986 parameters, 1×28×28 → 10; drawn in {file}\n"
    text = file.read_text(encoding="utf-8")
    assert "max_pool2d" in text
    assert {"svg": "<svg", "html": "<!doct", "dot": "digra", "json": "{", "txt": "mnist"}[suffix] in text[:6]


def test_a_page_has_all_that_depth_folds_elsewhere(cli: Cli, tmp_path: Path) -> None:
    config = DIGITS.read_text(encoding="utf-8")
    head, tail = config[: config.index("\nmodel:")], config[config.index("\nloss:") :]
    model = "\nmodel:\n  - residual: {layers: [{linear: {out_features: 64}}]}\n  - linear: {out_features: 10}\n"
    (tmp_path / "c.yaml").write_text(head + model + tail, encoding="utf-8")
    for suffix in ("txt", "html"):
        done = cli("graph", "c.yaml", "--input-shape", "64", "--depth", "0", "-o", f"g.{suffix}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "residual (1 layer)" in (tmp_path / "g.txt").read_text(encoding="utf-8")
    assert "0.0 linear" in (tmp_path / "g.html").read_text(encoding="utf-8")


def test_graph_says_how_to_do_without_the_data(cli: Cli) -> None:
    done = cli("graph", MNIST)
    assert done.returncode == 3
    assert "--input-shape draws the graph without data" in done.stderr


def test_graph_of_a_saved_model(cli: Cli, tmp_path: Path) -> None:
    trained = cli("train", DIGITS, "--set", "training.epochs=1", "--out", tmp_path / "run", "--quiet")
    assert trained.returncode == 0, trained.stderr
    done = cli("graph", tmp_path / "run" / "best.npz", "--json", "--depth", "0")
    document = json.loads(done.stdout)
    assert document["title"] == "digits"  # as the run is called
    assert {layer["kind"] for layer in document["layers"]} <= set(LAYERS)
    refused = cli("graph", tmp_path / "run" / "best.npz", "--input-shape", "64")
    assert refused.returncode == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--input-shape", "28"],
            "expected an input (batch, channels, height, width), but the input gives (batch, 28)",
        ),
        (["--input-shape", "a,b"], "--input-shape a,b: expected sizes above 0, such as 1,28,28"),
        (["--input-shape", "1,0,28"], "--input-shape 1,0,28: expected sizes above 0"),
        (["-o", "graph.png"], "graph.png: expected a name that ends in .svg, .html, .dot, .json or .txt"),
    ],
)
def test_graph_refuses(cli: Cli, args: list[str], message: str) -> None:
    done = cli("graph", MNIST, *args)
    assert done.returncode == 2
    assert message in done.stderr
