"""What a report says of a model's answers: the confusion matrix and its examples, mistakes, predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlscratch.pictures import report_parts as parts
from dlscratch.pictures.charts import residual_chart, scatter_chart
from dlscratch.pictures.markup import Html, join, tag

MOST_CLASSES = 30  # in a matrix; of more, the commonest confusions are listed
MOST_CONFUSIONS = 200
LEVELS = 9  # shades of a cell

Document = Mapping[str, Any]


def answers(document: Document) -> Html:
    """The table of the classes and the confusion matrix; or predicted against actual numbers."""
    if "points" in document:
        return _points(document)
    results, classes = document["results"], document["classes"]
    if "confusion_matrix" not in results:
        return Html("")
    beside = tag("div", _matrix(document), _classes(results, classes), class_="beside")
    return join([beside, _chosen(document)])


def _classes(results: Mapping[str, Any], classes: Sequence[str]) -> Html:
    counts = [sum(row) for row in results["confusion_matrix"]]
    columns = (results["precision"], results["recall"], results["f1"], counts)
    rows = [(name, *numbers) for name, *numbers in zip(classes, *columns, strict=True)]
    return parts.table(("class", "precision", "recall", "f1", "examples"), rows, "Each class", row_heads=True)


def _matrix(document: Document) -> Html:
    counts, classes = document["results"]["confusion_matrix"], document["classes"]
    if len(classes) > MOST_CLASSES:
        return _confusions(counts, document)
    known = {(each["actual"], each["predicted"]) for each in document["examples"]}
    rows = []
    for actual, row in enumerate(counts):
        cells = [_cell(document, actual, taken, row, (actual, taken) in known) for taken in range(len(row))]
        rows.append(tag("tr", tag("th", parts.text(classes[actual]), scope="row"), *cells))
    caption = tag("caption", "Confusion matrix: how many examples of a class (row) were taken for a class (column). "
                  + ("Choose a number to see its examples." if known else ""))  # fmt: skip
    corner = tag("td", "is ↓ taken for →", class_="corner")
    head = tag("tr", corner, *(tag("th", parts.text(name), scope="col") for name in classes))
    matrix = tag("table", caption, tag("thead", head), tag("tbody", *rows), class_="matrix", id="matrix")
    return parts.scrolling(matrix, "Confusion matrix")


def _cell(document: Document, actual: int, taken: int, row: Sequence[int], known: bool) -> Html:
    """The count, shaded by its part of the row; a button where there are examples."""
    count = row[taken]
    shade = -(-LEVELS * count // max(1, sum(row)))
    style = f"{'hit' if actual == taken else 'miss'} level-{shade}" if count else "empty"
    content = _button(document, actual, taken, count) if known else parts.number(count)
    return tag("td", content, class_=style, data_cell=f"{actual}-{taken}")


def _button(document: Document, actual: int, taken: int, count: int) -> Html:
    label = _said(document, actual, taken, count)
    return tag("button", f"{count:,}", type="button", value=f"{actual}-{taken}", title=label, aria_label=label)


def _said(document: Document, actual: int, taken: int, count: int) -> str:
    classes = document["classes"]
    examples = f"{count:,} example{'s' if count != 1 else ''} of {classes[actual]}"
    return f"{examples}, recognised" if actual == taken else f"{examples} taken for {classes[taken]}"


def _confusions(counts: Sequence[Sequence[int]], document: Document) -> Html:
    """Of many classes: which are taken for which most often."""
    classes = document["classes"]
    known = {(each["actual"], each["predicted"]) for each in document["examples"]}
    found = sorted(
        ((count, actual, taken) for actual, row in enumerate(counts) for taken, count in enumerate(row)
         if count and actual != taken),
        key=lambda each: -each[0],
    )[:MOST_CONFUSIONS]  # fmt: skip
    rows = [
        (classes[a], classes[b], _button(document, a, b, count) if (a, b) in known else count) for count, a, b in found
    ]
    caption = f"The commonest confusions of {len(classes)} classes"
    return tag("div", parts.table(("is", "taken for", "examples"), rows, caption), id="matrix")


def _chosen(document: Document) -> Html:
    """All examples, of which the page shows those of the cell that is chosen."""
    if not document["examples"]:
        return Html("")
    matrix = document["results"]["confusion_matrix"]
    pairs = {(each["actual"], each["predicted"]): None for each in document["examples"]}
    groups = []
    for actual, taken in pairs:
        shown = [each for each in document["examples"] if (each["actual"], each["predicted"]) == (actual, taken)]
        count = matrix[actual][taken]
        title = _said(document, actual, taken, count) + (f"; {len(shown)} of them" if len(shown) < count else "")
        gallery = _gallery(document, shown)
        groups.append(tag("section", tag("h3", title), gallery, data_pair=f"{actual}-{taken}", hidden=True))
    hint = tag("p", "Choose a number in the matrix: its examples appear here.", class_="hint")
    return tag("div", hint, *groups, id="examples", aria_live="polite")


def mistakes(document: Document) -> Html:
    """The mistakes to look at first."""
    examples = document["examples"]
    if "points" in document:
        title = f"The {len(examples)} largest residuals"
        return parts.table(
            ("row", "actual", "predicted", "residual", *document["columns"]),
            [_residual_row(each) for each in examples], title, row_heads=True,
        )  # fmt: skip
    found = document.get("mistakes")
    if found is None:
        return Html("")
    if not found["worst"]:
        return tag("p", "There are none.")
    confident, worst = ([examples[place] for place in found[name]] for name in ("confident", "worst"))
    same = {each["where"] for each in confident} == {each["where"] for each in worst}
    heads = {"The most confident: p of the wrong class is largest": confident}
    heads |= {} if same else {"The worst: p of its own class is smallest": worst}
    return join(tag("div", tag("h3", title), _gallery(document, shown)) for title, shown in heads.items())


def _residual_row(each: Mapping[str, Any]) -> list[Any]:
    def one(values: list[float]) -> Any:
        return values[0] if len(values) == 1 else ", ".join(f"{value:.4g}" for value in values)

    residual = [p - a for a, p in zip(each["actual"], each["predicted"], strict=True)]
    look = each["cells"] if "cells" in each else [_image(each)]
    return [each["where"], one(each["actual"]), one(each["predicted"]), one(residual), *look]


def _gallery(document: Document, shown: Sequence[Mapping[str, Any]]) -> Html:
    """Examples as images side by side, or as the rows of a table."""
    if shown and "image" in shown[0]:
        return tag("div", *(_card(document, each) for each in shown), class_="gallery")
    classes = document["classes"]
    rows = [
        (each["where"], classes[each["actual"]], classes[each["predicted"]], each["probability"],
         each["own_probability"], *each["cells"])
        for each in shown
    ]  # fmt: skip
    columns = ("row", "is", "taken for", "probability", "of its own class", *document["columns"])
    return parts.table(columns, rows, f"{len(rows)} rows" if len(rows) > 1 else "1 row", row_heads=True)


def _card(document: Document, each: Mapping[str, Any]) -> Html:
    actual, predicted = (parts.text(document["classes"][each[key]]) for key in ("actual", "predicted"))
    said: list[object] = [tag("b", actual)]
    sure = [tag("span", "p(", predicted, ") = ", parts.number(each["probability"]), class_="note")]
    if each["actual"] != each["predicted"]:
        said += [" as ", tag("b", predicted)]
        sure += [tag("span", "p(", actual, ") = ", parts.number(each["own_probability"]), class_="note")]
    place = tag("span", parts.text(each["where"]), class_="note")
    return tag("figure", _image(each), tag("figcaption", tag("span", *said), *sure, place))


def _image(each: Mapping[str, Any]) -> Html:
    return tag("img", src=each["image"], alt=f"the image of {each['where']}", class_="pixels")


def _points(document: Document) -> Html:
    """Two pictures for each number that is predicted."""
    points, figures = document["points"], []
    for number, (actual, predicted) in enumerate(zip(points["actual"], points["predicted"], strict=True)):
        name = document["target"] if len(points["actual"]) == 1 else f"{document['target']} {number}"
        rows = [(where, a, p, p - a) for where, a, p in zip(points["where"], actual, predicted, strict=True)]
        behind = parts.table(("row", "actual", "predicted", "residual"), rows, f"Predictions of {name}", row_heads=True)
        of = (actual, predicted, points["where"], name)
        figures.append(parts.figure(join(["Predicted against actual ", parts.text(name)]), scatter_chart(*of), behind))
        figures.append(parts.figure(join(["Residuals of ", parts.text(name)]), residual_chart(*of), behind))
    return tag("div", *figures, class_="grid")
