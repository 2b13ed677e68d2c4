"""The report's page: every number of it is that of metrics.jsonl and of `evaluate`, and names are only text."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import HOSTILE, Page, hostile_run, image_run
from tiny_runs import HEIGHTS, SPECIES, project, train

from dlscratch.errors import DataError, UsageError
from dlscratch.pictures import charts, report_parts
from dlscratch.pictures.curves import charts as curves_of
from dlscratch.pictures.markup import Html, escape, join, script_json, tag
from dlscratch.pictures.report import report
from dlscratch.runs import TrainedModel
from dlscratch.runs.held_out import held_out
from dlscratch.runs.report import collect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of classes, of numbers and of images."""
    folder = tmp_path_factory.mktemp("report")
    train(project(folder), folder / "run")
    (folder / "heights.yaml").write_text(HEIGHTS)
    train(folder / "heights.yaml", folder / "heights")
    image_run(folder)
    return folder


def page_of(run: Path) -> Page:
    return Page(report(collect(run)))


def evaluated(run: Path) -> dict[str, Any]:
    """What `evaluate --json` says of the test rows."""
    model = TrainedModel.load(run / "best.npz")
    return model.evaluate(held_out(run / "best.npz", model))


@pytest.mark.parametrize("name", ["run", "heights", "images"])
def test_numbers_are_those_of_evaluate(folder: Path, name: str) -> None:
    page, results = page_of(folder / name), evaluated(folder / name)
    single = {f"results.{key}": value for key, value in results.items() if not isinstance(value, list)}
    assert {key: value for key, value in page.named.items() if key.startswith("results.")} == single
    assert page.document["results"] == results
    if "confusion_matrix" in results:
        counts = results["confusion_matrix"]
        assert page.matrix == {f"{i}-{j}": n for i, row in enumerate(counts) for j, n in enumerate(row)}
        each = [row[1:4] for row in page.tables["Each class"][1:]]
        assert each == [list(x) for x in zip(results["precision"], results["recall"], results["f1"], strict=True)]


@pytest.mark.parametrize("name", ["run", "heights"])
def test_curves_are_those_of_the_metrics(folder: Path, name: str) -> None:
    page = page_of(folder / name)
    lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
    assert page.document["epochs"] == lines
    columns = {"loss": ("loss", "val_loss"), "learning rate": ("lr",)}
    columns |= {"R²": ("val_r2",)} if name == "heights" else {"macro F1": ("val_macro_f1",)}
    for title, keys in columns.items():
        table = page.tables[f"{title} by epoch"]
        assert table[1:] == [[line["epoch"], *(line[key] for key in keys)] for line in lines]


def test_examples_belong_to_their_cells(folder: Path) -> None:
    document = collect(folder / "run")
    model = TrainedModel.load(folder / "run" / "best.npz")
    said = model.predict(folder / "flowers.csv")
    assert said.probabilities is not None
    cells = {}
    for each in document["examples"]:
        row = int(each["where"].removeprefix("flowers.csv:")) - 2
        assert document["classes"][each["predicted"]] == said.labels[row]
        assert document["classes"][each["actual"]] == SPECIES[row % 3]
        assert each["probability"] == pytest.approx(said.probabilities[row].max())
        assert each["own_probability"] == pytest.approx(said.probabilities[row, each["actual"]])
        cells[each["actual"], each["predicted"]] = each["cells"]
        line = (folder / "flowers.csv").read_text().splitlines()[row + 1].split(",")
        assert [float(x) for x in each["cells"][:2]] == [float(x) for x in line[:2]]
    matrix = document["results"]["confusion_matrix"]
    assert set(cells) == {(i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if n}


def test_mistakes_are_sorted(folder: Path) -> None:
    document = collect(folder / "images")
    examples, found = document["examples"], document["mistakes"]
    sure = [examples[place]["probability"] for place in found["confident"]]
    own = [examples[place]["own_probability"] for place in found["worst"]]
    assert sure == sorted(sure, reverse=True)
    assert own == sorted(own)
    assert all(examples[place]["actual"] != examples[place]["predicted"] for place in found["worst"])


def test_images_are_shown_as_images(folder: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    document, raw = collect(folder / "images"), np.load(folder / "images.npz")["x"]
    each = document["examples"][0]
    row = int(each["where"].removeprefix("images.npz[").rstrip("]"))
    shown = image.imread(io.BytesIO(base64.b64decode(each["image"].partition(",")[2])))
    assert np.array_equal(np.rint(shown * 255), raw[row])
    shown_on_page = [facts for name, facts in Page(report(document)).tags if name == "img"]
    assert all(facts["alt"] and str(facts["src"]).startswith("data:image/") for facts in shown_on_page)


def test_regression_shows_each_prediction_in_the_units_of_the_data(folder: Path) -> None:
    document = collect(folder / "heights")
    page = Page(report(document))
    rows = page.tables["Predictions of height"][1:]
    truth = np.loadtxt(folder / "flowers.csv", delimiter=",", skiprows=1, usecols=1)
    assert len(rows) == document["results"]["examples"]
    assert [row[1] for row in rows] == [truth[int(row[0].removeprefix("flowers.csv:")) - 2] for row in rows]
    assert np.abs([row[3] for row in rows]).mean() == pytest.approx(document["results"]["mae"], rel=1e-6)
    largest = [abs(row[3]) for row in page.tables["The 12 largest residuals"][1:]]
    assert largest == sorted((abs(row[3]) for row in rows), reverse=True)[:12]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    page = page_of(hostile_run(tmp_path))
    assert all(name in page.text for name in HOSTILE)
    images = [str(facts["src"]) for name, facts in page.tags if name == "img"]
    assert [address.partition(";")[0] for address in images] == ["data:image/svg+xml"]  # the graph
    assert not [facts for _, facts in page.tags if any(key.startswith("on") for key in facts)]
    assert [name for name, _ in page.tags].count("script") == 2  # the data and ours
    assert page.document["classes"] == sorted(HOSTILE)


def test_the_page_needs_nothing_else(folder: Path) -> None:
    content = report(collect(folder / "images")).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', content)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"https?:|@import|url\(", content)
    assert not re.search(r"<[a-z]+ [^>]*\bstyle=", content)  # the policy would forbid it


def test_every_picture_has_a_name_and_a_table(folder: Path) -> None:
    for name in ("run", "heights"):
        page = page_of(folder / name)
        pictures = [facts for tag_, facts in page.tags if tag_ == "svg" and facts.get("role") == "img"]
        assert all(facts["aria-label"] for facts in pictures)
        shown = [facts for facts in pictures if "hidden" not in facts]  # the others are the same by logarithms
        assert len(page.tables) >= len(shown)


def test_a_report_without_the_data(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "moved"
    run.mkdir()
    for file in (folder / "run").iterdir():
        (run / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="flowers"):
        collect(run)
    document = collect(run, examples=False)
    assert document["examples"] == []
    assert document["results"] == json.loads((run / "run.json").read_text())["result"]["test"]
    page = Page(report(document))
    assert page.matrix
    assert "flowers.csv:" not in page.text
    with pytest.raises(UsageError, match=r"there is no run in this folder; there are .*moved"):
        collect(tmp_path)


def test_a_run_that_kept_no_test_rows_shows_others(tmp_path: Path) -> None:
    config = project(tmp_path)
    train(config, tmp_path / "run", "data.test=0.0", "training.epochs=1")
    document = collect(tmp_path / "run")
    assert document["part"] == "validation"
    assert "Results on the validation rows" in Page(report(document)).text


def test_many_classes_are_listed_by_confusion(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlscratch.pictures.report_results.MOST_CLASSES", 1)
    document = collect(folder / "images")
    page = Page(report(document))
    counts = document["results"]["confusion_matrix"]
    listed = page.tables["The commonest confusions of 2 classes"][1:]
    assert sum(int(row[2]) for row in listed) == counts[0][1] + counts[1][0]


def test_nan_and_inf_are_drawn_around_and_counted(folder: Path) -> None:
    document = collect(folder / "run")
    document["epochs"][1]["loss"] = None
    document["model"]["histograms"]["0.bias"] = {"edges": [], "counts": [], "nan": 3, "inf": 1}
    page = Page(report(document))
    assert page.tables["loss by epoch"][2][1] == "–"
    assert "0 finite values, NaN 3, Inf 1" in page.text
    assert ["NaN", "NaN", 3] in page.tables["Histogram of 0.bias"]


def test_a_line_breaks_where_a_value_is_missing() -> None:
    lines = [{"epoch": e, "loss": None if e == 3 else float(e)} for e in range(1, 6)]
    [chart] = curves_of({"a": lines})
    path = re.search(r'class="line training" d="([^"]*)"', charts.line_chart(chart, None))
    assert path is not None
    assert (path[1].count("M"), path[1].count("L")) == (2, 2)


def test_markup_escapes_all_that_is_not_markup() -> None:
    assert tag("td", "<b>&\"'", class_='"x') == '<td class="&quot;x">&lt;b&gt;&amp;&quot;&#x27;</td>'
    assert tag("p", tag("br"), None or "", hidden=True, title=None) == "<p hidden><br></p>"
    assert escape("a\x1b\u202e\0") == "a\\x1b\\u202e\\x00"
    assert join(["<", Html("<i>")]) == "&lt;<i>"
    text = script_json({"a": "</script><!--", "b": "\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--", "b": "\u2028&"}


def test_a_deep_model_is_counted_once_and_does_not_fill_the_page(folder: Path) -> None:
    deep = "  - residual: {layers: [{linear: {out_features: 8}}, relu]}\n" * 20
    (folder / "deep.yaml").write_text((folder / "flowers.yaml").read_text().replace("  - batch_norm1d\n", deep))
    train(folder / "deep.yaml", folder / "deep", "training.epochs=1")
    text = report(collect(folder / "deep")).decode()
    assert "(44 layers)" in text  # three linear ones … without the residuals around them
    drawn = re.search(r'src="data:image/svg\+xml;base64,([^"]*)"', text)
    assert drawn is not None
    assert ": 44 layers, " in base64.b64decode(drawn[1]).decode()
    shown, folded = text.split('<details class="more"><summary>')
    assert shown.count('aria-label="Histogram of ') == 2 * 12  # picture and table
    assert folded.startswith("32 more<")


def test_results_are_called_as_their_charts(folder: Path) -> None:
    text = report(collect(folder / "heights")).decode()
    tiles = re.findall(r"<dt>([^<]*)</dt><dd><data[^>]*>[^<]*</data></dd>(?:<dd class=\"note\">([^<]*))?", text)
    assert ("Mean absolute error", "units of the target") in tiles
    assert ("R²", "part of the variance") in tiles
    assert text.count("The dotted line is the best epoch") == 1


def test_the_name_of_an_axis_stands_clear_of_its_ticks() -> None:
    lines = [{"epoch": e, "loss": 0.0045 + e / 1e7} for e in (1, 2)]
    svg = charts.line_chart(curves_of({"a": lines})[0], None)
    ticks = re.findall(r'<text x="([\d.]+)" y="[^"]*" class="tick end">([^<]*)<', svg)
    assert max(len(name) for _, name in ticks) >= 9
    assert all(float(x) - charts.DIGIT * len(name) > 20 for x, name in ticks)


def test_numbers_from_files_end_at_one_line() -> None:
    table = report_parts.table(("a", "b"), [("x", "1.5"), ("y", None)], "t")
    assert '<th scope="col" class="number"><bdi>b</bdi></th>' in table
    assert '<td class="number"><bdi>1.5</bdi></td>' in table
    assert '<td><bdi>x</bdi></td>' in table
