"""`plot`, `report` and `inspect --plots` as processes, and the curve beside the bar."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from report_pages import Page
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from tiny_runs import project, train

from dlscratch.cli.live import MOST_POINTS, CurveAndBar, LiveCurve
from dlscratch.runs.plots import safe_name
from dlscratch.training import Epoch, Step


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs."""
    folder = tmp_path_factory.mktemp("charts")
    for seed in (1, 2):
        train(project(folder), folder / f"run{seed}", f"seed={seed}")
    return folder


def test_plot_in_the_terminal(cli: Cli, folder: Path) -> None:
    done = cli("plot", "run1", "run2", "--metric", "loss", cwd=folder, env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("loss (mean of an example)\n")
    assert all(f"{run}, {part} " in done.stdout for run in ("run1", "run2") for part in ("training", "validation"))
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    wide = cli("plot", "run1", "run2", "--metric", "loss", "-q", cwd=folder, env={"COLUMNS": "120"})
    assert 80 < max(map(len, wide.stdout.splitlines())) <= 120
    assert cli("plot", "run1", "-q", "--json", cwd=folder).stderr == ""
    plain = cli("plot", "run1", cwd=folder, env={"PYTHONIOENCODING": "ascii"})
    assert plain.returncode == 0


def test_plot_json_and_csv_are_the_metrics(cli: Cli, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "run1" / "metrics.jsonl").read_text().splitlines()]
    document = json.loads(cli("plot", "run1", "--json", cwd=folder).stdout)
    validation = next(s for chart in document["charts"] for s in chart["series"] if s["part"] == "validation")
    assert validation["y"] == [line["val_loss"] for line in lines]
    assert cli("plot", "run1", "-o", "c.csv", cwd=folder).stdout == "3 charts in c.csv\n"
    rows = list(csv.DictReader((folder / "c.csv").read_text().splitlines()))
    assert [float(row["value"]) for row in rows if (row["metric"], row["part"]) == ("loss", "training")] == [
        line["loss"] for line in lines
    ]
    cli("plot", "run1", "-o", "c.json", cwd=folder)
    assert json.loads((folder / "c.json").read_text()) == document["charts"]


def test_plot_as_an_image(cli: Cli, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        assert cli("plot", "run1", "run2", "-o", f"c.{kind}", "--log", cwd=folder).returncode == 0
        assert (folder / f"c.{kind}").read_bytes().startswith(start)


def test_plot_without_matplotlib_says_what_to_install(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError")
    done = cli("plot", "run1", "-o", "no.png", cwd=folder, env={"PYTHONPATH": str(tmp_path)})
    expected = "error: drawing PNG, SVG and PDF needs matplotlib; install it with: pip install 'dlscratch[plot]'\n"
    assert (done.returncode, done.stderr) == (2, expected)
    assert not (folder / "no.png").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["plot", "run1", "-o", "c.gif"], "c.gif: expected a name that ends in .png, .svg, .pdf, .json or .csv"),
        (["plot", "run1", "--metric", "los"], 'there is no metric "los"; did you mean "loss"?'),
        (["plot", "run1", "."], ".: there is no run in this folder; there are run1, run2"),
        (["report", "run1", "-o", "c.pdf"], "c.pdf: expected a name that ends in .html or .json"),
        (["report", "."], ".: there is no run in this folder; there are run1, run2"),
        (["report", "none"], "none: there is no run in this folder"),
    ],
)
def test_what_cannot_be_drawn(cli: Cli, folder: Path, args: list[str], message: str) -> None:
    done = cli(*args, cwd=folder)
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")


def test_report_and_its_data(cli: Cli, folder: Path) -> None:
    done = cli("report", "run1", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("run1/report.html: ")
    page = Page((folder / "run1" / "report.html").read_bytes())
    evaluated = json.loads(cli("evaluate", "run1/best.npz", "--json", cwd=folder).stdout)
    assert page.named["results.accuracy"] == evaluated["accuracy"]
    document = json.loads(cli("report", "run1", "-o", "r.json", "--json", "--no-examples", cwd=folder).stdout)
    assert document.pop("file") == "r.json"
    assert json.loads((folder / "r.json").read_text()) == document
    assert {key: evaluated[key] for key in document["results"]} == document["results"]
    assert document["examples"] == []


def test_inspect_draws_every_array(cli: Cli, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    document = json.loads(cli("inspect", "run1/best.npz", "--plots", "plots", "--json", cwd=folder).stdout)
    names = sorted(path.name for path in (folder / "plots").iterdir())
    assert sorted(Path(path).name for path in document["plots"]) == names
    assert {"histogram-0.bias.png", "heatmap-0.weight.png", "histograms.json", "histograms.csv"} <= set(names)
    pictures = {name.removesuffix(".png") for name in names if not name.startswith("histogram")}
    assert {name.removesuffix(".csv") for name in pictures} == {"heatmap-0.weight", "heatmap-4.weight"}
    with np.load(folder / "run1" / "best.npz") as arrays:
        rows = np.loadtxt(folder / "plots" / "heatmap-4.weight.csv", delimiter=",", skiprows=1, dtype=np.float32)
        assert np.array_equal(rows[:, 1:], arrays["4.weight"])
    numbers = json.loads((folder / "plots" / "histograms.json").read_text())
    assert {name: sum(each["counts"]) for name, each in numbers.items()} == {
        name: int(np.prod(facts["shape"])) for name, facts in document["arrays"].items()
    }


def test_names_of_arrays_stay_in_the_folder(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arrays = {"../../evil": np.zeros(3), ".._.._Evil": np.array([np.nan, np.inf]), "$x$": np.eye(3), "": np.ones(1)}
    np.savez(tmp_path / "any.npz", **arrays)
    done = cli("inspect", "any.npz", "--plots", "in/plots", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["any.npz", "in"]
    names = {path.name for path in (tmp_path / "in" / "plots").iterdir()}
    assert {"histogram-.._.._evil.png", "histogram-.._.._Evil-2.png", "heatmap-_x_.png"} <= names
    assert safe_name("a" * 999) == "a" * 80


@pytest.mark.parametrize("width", [36, 60, 80, 90])
def test_behind_the_bar_there_is_room_for_what_the_terminal_writes_at_ctrl_c(width: int) -> None:
    console = Console(width=width, height=30, force_terminal=True, file=io.StringIO(), _environ={})
    bar = CurveAndBar(BarColumn(24), TextColumn("{task.fields[figures]}"), console=console)
    bar.add_task("", total=1, figures="epoch 100/400  loss 0.1234  val_accuracy 0.9876  and more of this")
    with console.capture() as shown:
        console.print(*bar.get_renderables())
    assert 20 < max(map(len, re.sub(r"\x1b[^m]*m", "", shown.get()).splitlines())) <= width - len("^C")


def test_the_epochs_beside_the_bar_are_whole() -> None:
    curve = LiveCurve()
    for step in range(1, 46):
        curve.step(Step(1 + step // 45, step % 45, 45, step, 0, 0.0, 0.0, 0.0), 1 / step)
    console = Console(width=80, height=30, file=sys.stderr, _environ={})
    with console.capture() as shown:
        console.print(curve)
    assert shown.get().splitlines()[-1].split() == ["0", "1", "epoch"]


def test_the_curve_beside_the_bar() -> None:
    curve = LiveCurve()
    for step in range(1, 3001):
        curve.step(Step(1 + (step - 1) // 100, 1 + (step - 1) % 100, 100, step, 0, 0.0, 0.0, 0.0), 1 / step)
    curve.epoch(Epoch(30, 3000, {"val_loss": 0.5}, 0.1, True, 1.0, 1.0))
    assert 2 < len(curve.points) <= MOST_POINTS
    console = Console(width=90, height=30, force_terminal=True, file=sys.stderr, _environ={})
    with console.capture() as shown:
        console.print(curve)
    assert "validation 0.5" in shown.get()
    assert len(shown.get().splitlines()) == 9
    with console.capture() as shown:
        Console(width=90, height=8, file=sys.stderr, _environ={}).print(curve)
    assert shown.get() == ""
