"""The page of a report: a run's document (runs/report.py) as one file of HTML that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from dlscratch.nn import Sequential
from dlscratch.pictures import report_parts as parts
from dlscratch.pictures.charts import histogram_chart, line_chart
from dlscratch.pictures.curves import UNITS, Chart, charts, title_of
from dlscratch.pictures.graph import Graph, model_graph
from dlscratch.pictures.graph_svg import graph_svg
from dlscratch.pictures.markup import Html, join, tag
from dlscratch.pictures.offline import page
from dlscratch.pictures.report_results import answers, mistakes
from dlscratch.pictures.tensors import Histogram
from dlscratch.pictures.text import capital, counted, times

MOST_NAMED = 8  # layers in a sentence
MOST_LAYERS = 40  # in a graph whose containers are unfolded
MOST_HISTOGRAMS = 12  # that are not folded away
WIDE = 4.5  # width : height of the graph

Document = Mapping[str, Any]
SECTIONS = {
    "curves": "Curves",
    "answers": "Results",
    "mistakes": "Mistakes",
    "model": "Model",
    "histograms": "Weights",
    "config": "Config and data",
    "environment": "Environment",
}


def report(document: Document) -> bytes:
    """The page. All names in it are text, whatever they hold; its numbers are the document's."""
    graph = _graph(document)
    contents = {
        "curves": _curves(document),
        "answers": answers(document),
        "mistakes": mistakes(document),
        "model": _model(document, graph),
        "histograms": _histograms(document),
        "config": _config(document),
        "environment": _environment(document),
    }
    shown = {name: content for name, content in contents.items() if content}
    titles = SECTIONS | ({"mistakes": "Largest residuals"} if "points" in document else {})
    links = [tag("a", titles[name], href=f"#{name}") for name in shown]
    menu = tag("nav", *links, aria_label="Parts of the report")
    sections = [parts.section(name, titles[name], content) for name, content in shown.items()]
    body = join([tag("header", _summary(document, graph), menu), tag("main", *sections)])
    title = f"{document['name']}: report"
    return page("report", ["report.js"], title, _without_images(document), images=True, body=body)


def _without_images(document: Document) -> dict[str, Any]:
    """The document that the page carries: its images are in the page already."""
    kept = [{key: x for key, x in each.items() if key != "image"} for each in document["examples"]]
    return {**document, "examples": kept}


def _summary(document: Document, graph: Graph) -> Html:
    """What was trained on what, and how well it does."""
    classes = document["classes"]
    what = f"one of {len(classes)} classes" if classes else "a number"
    inputs = times(document["data"]["inputs"])
    rows = ", ".join(f"{count:,} for {_PURPOSES[name]}" for name, count in document["data"]["rows"].items())
    layers = [layer["kind"] for layer in document["model"]["layers"]]
    named = " → ".join(layers) if len(layers) <= MOST_NAMED else counted(graph.layers, "layer")
    size = parts.number(document["model"]["parameters"], "model.parameters")
    target = tag("strong", parts.text(document["target"]))
    first = ["A model of ", size, f" parameters ({named}) that predicts ", target, f", {what}, from {inputs} inputs. "]
    sentence = join([*first, f"Rows: {rows}. ", _training(document)])
    tiles = [_tile(name, value) for name, value in document["results"].items() if not isinstance(value, list)]
    title = f"Results on the {_ROWS[document['part']]}" if document["part"] else "No results: the run did not end"
    heading = tag("h1", parts.text(document["name"]))
    return join([heading, tag("p", sentence), tag("p", title, class_="over"), tag("dl", *tiles, class_="tiles")])


def _tile(name: str, value: Any) -> Html:
    """A result, named as its chart is, with its unit."""
    unit = tag("dd", UNITS[name], class_="note") if name in UNITS else ""
    return tag("div", tag("dt", capital(title_of(name))), tag("dd", parts.number(value, f"results.{name}")), unit)


_PURPOSES = {"train": "training", "validation": "validation", "test": "the test"}
_ROWS = {"test": "test rows", "validation": "validation rows", "train": "training rows"}


def _training(document: Document) -> str:
    run, best = document["run"], document["best_epoch"]
    said = f"Trained for {counted(len(document['epochs']), 'epoch')}"
    said += f" in {run['seconds']:,.3g} s" if "seconds" in run else ""
    said += f"; the model is that of epoch {best}, the best one" if best else ""
    ended = run.get("status", "finished")
    return f"{said}." if ended == "finished" else f"{said}. The run is {ended}."


def _curves(document: Document) -> Html:
    lines = document["epochs"]
    found = charts({document["name"]: lines}) if lines else []
    rates = charts({document["name"]: lines}, ["lr"]) if lines else []
    best = document["best_epoch"]
    figures = [_curve(chart, best) for chart in [*found, *rates] if chart.series]
    hint = f"The dotted line is the best epoch, {best}. " if best else ""
    switch = tag("button", "Logarithmic", type="button", id="log", aria_pressed="false", hidden=True)
    head = tag("p", hint, "Point at an epoch to read its numbers. ", switch, class_="hint")
    return join([head, tag("div", *figures, class_="grid")]) if figures else Html("")


def _curve(chart: Chart, best: int | None) -> Html:
    names = [s.part for s in chart.series]
    numbers = parts.table(
        [chart.x, *names], zip(map(int, chart.series[0].x), *(s.y for s in chart.series), strict=True),
        f"{chart.title} by {chart.x}", row_heads=True,
    )  # fmt: skip
    picture = line_chart(chart, best)
    if all(y is None or y > 0 for s in chart.series for y in s.y):
        picture = join([picture, line_chart(chart, best, log=True)])
    legend = parts.legend(names) if chart.metric != "lr" else ""
    return parts.figure(capital(chart.title), picture, numbers, legend, tag("output", class_="readout"))


def _model(document: Document, graph: Graph) -> Html:
    """The layers as a picture, and as a table."""
    model = document["model"]
    rows = [
        (layer["path"], layer["kind"], times(layer["output_shape"]), layer["parameters"])
        for layer in model["layers"]
    ]
    layers = parts.table(("layer", "kind", "output of an example", "parameters"), rows, "Layers, first to last")
    return parts.figure("Graph of the layers", parts.scrolling(_drawn(graph), "Graph of the layers"), layers)


def _graph(document: Document) -> Graph:
    """The model's graph, its inner containers folded where there are many layers."""
    model = document["model"]
    network = Sequential.from_architecture(model["architecture"], tuple(model["input_shape"]))
    graph = model_graph(network, document["name"])
    return graph.folded(None if graph.layers <= MOST_LAYERS else 1)


def _drawn(graph: Graph) -> Html:
    """The graph as an image: its style is its own, and it follows light and dark."""
    address = base64.b64encode(graph_svg(graph, "right", WIDE).encode("utf-8", "backslashreplace")).decode()
    return tag("img", src=f"data:image/svg+xml;base64,{address}", alt="The layers in a row; the table follows")


def _histograms(document: Document) -> Html:
    """One of each array: the first are there to see, the others unfold."""
    found = document["model"]["histograms"].items()
    figures = [_histogram(name, Histogram(**facts)) for name, facts in found]
    shown, rest = figures[:MOST_HISTOGRAMS], figures[MOST_HISTOGRAMS:]
    more = tag("details", tag("summary", f"{len(rest):,} more"), tag("div", *rest, class_="grid"), class_="more")
    return join([tag("div", *shown, class_="grid"), more if rest else ""])


def _histogram(name: str, found: Histogram) -> Html:
    count = tag("span", found.title, class_="note")
    title = join([parts.text(name), " ", count])
    rows = [*zip(found.edges[:-1], found.edges[1:], found.counts, strict=True)]
    extra = [(kind, kind, n) for kind, n in (("NaN", found.nan), ("Inf", found.inf)) if n]
    numbers = parts.table(("from", "to", "values"), [*rows, *extra], f"Histogram of {name}")
    picture = histogram_chart(name, found) if found.counts else tag("p", "No finite value.")
    return parts.figure(title, picture, numbers)


def _config(document: Document) -> Html:
    files = document["data"]["files"].items()
    listed = parts.table(("file", "SHA-256"), files, "Data files") if files else ""
    text = tag("pre", tag("code", document["config"]), tabindex=0, aria_label="config.yaml")
    return join([listed, text if document["config"] else ""])


def _environment(document: Document) -> Html:
    known = {**document["run"], **document["environment"]}
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in known.items()}
    return parts.facts((name, parts.cell(value)) for name, value in shown.items())
