"""Curves, terminal plots, tensors and images: what is drawn is what the numbers are."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import Arrays, Preprocessing
from dlscratch.errors import MissingExtraError, UsageError
from dlscratch.pictures import curves, tensors
from dlscratch.pictures.axes import Axis, tick_name
from dlscratch.pictures.braille import as_text, plot
from dlscratch.pictures.images import brightness, image_shape, pixels_of
from dlscratch.pictures.png import png

FALLING = [
    {"epoch": e, "step": 10 * e, "seconds": 2.0, "loss": 1 / e, "val_loss": 2 / e, "best": True} for e in range(1, 9)
]
RISING = [{"epoch": e, "step": 5 * e, "seconds": 1.0, "loss": float(e), "lr": 0.1, "f1": [1.0]} for e in range(1, 4)]
finite = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(finite, finite, st.integers(2, 9))
def test_ticks_are_few_round_and_inside(low: float, high: float, most: int) -> None:
    axis = Axis.around([low, high])
    ticks = axis.ticks(most)
    assert 1 <= len(ticks) <= most + 1
    span = axis.high - axis.low
    assert all(axis.low - 1e-6 * span <= tick <= axis.high + 1e-6 * span for tick in ticks)
    assert axis(axis.low) == 0
    assert axis(axis.high) == pytest.approx(1)


KINDS = st.sampled_from(["", "log", "whole"])
ANY = st.floats() | st.integers(-(10**40), 10**40) | st.sampled_from([0, 1, 1e308, -1e308, 5e-324])


@given(st.lists(ANY, max_size=5), KINDS, st.sampled_from([1, math.inf]), st.integers(1, 9))
def test_whatever_the_numbers_all_that_is_drawn_lies_on_the_axis(
    values: list[float], kind: str, most: float, count: int
) -> None:
    options = {"most": most, "margin": 0.05} if kind != "whole" else {"whole": True}
    axis = Axis.around(values, 0, 79, log=kind == "log", **options)
    ticks = axis.ticks(count)
    assert 1 <= len(ticks) <= count + 1
    places = [axis(value) for value in (*values, *ticks)]
    assert all(place is None or -1 <= place <= 80 for place in places)
    usual = [value for value in values if 1e-300 < value < 1e300]
    assert None not in map(axis, usual)


def test_a_value_that_is_better_than_the_best_is_drawn_all_the_same() -> None:
    for wrong, name in ((2.0, "2"), (1e6, "1M"), (9223372036854775808, "9.22e+18")):
        lines = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate((0.5, wrong, 0.4), start=1)]
        [chart] = curves.charts({"a": lines}, ["accuracy"])
        assert as_text(plot(chart, 60, 6)).split("\n")[1].lstrip().startswith(f"{name}┤")


def test_ticks_by_powers_of_ten() -> None:
    assert Axis.around([0.001, 10, None, -1], log=True).ticks() == [0.001, 0.01, 0.1, 1, 10]
    assert Axis.around([0.001, 10], log=True)(0.1) == pytest.approx(0.5)
    assert Axis.around([1, 2], log=True)(0) is None
    assert [tick_name(x) for x in (0.25, 20_000, -1.5, 1500)] == ["0.25", "20k", "−1.5", "1500"]
    assert [tick_name(x) for x in (20_000_000, 1_500_000, 3e9)] == ["20M", "1.5M", "3G"]


@given(st.lists(st.integers(1, 300), min_size=1))
def test_between_two_epochs_there_is_no_tick(epochs: list[int]) -> None:
    ticks = Axis.around(epochs, whole=True).ticks()
    assert ticks
    assert all(tick.is_integer() and min(epochs) <= tick <= max(epochs) for tick in ticks)


def test_charts_hold_the_lines_of_each_run() -> None:
    loss, rate = curves.charts({"a": FALLING, "b": RISING}, ["loss", "lr"], "seconds")
    assert [(s.run, s.part) for s in loss.series] == [("a", "training"), ("a", "validation"), ("b", "training")]
    assert loss.series[1].y == [2 / e for e in range(1, 9)]
    assert loss.series[0].x == [2.0 * e for e in range(1, 9)]  # seconds of an epoch add up
    assert rate.series[0].y == [0.1] * 3
    assert [chart.metric for chart in curves.charts({"b": RISING})] == ["loss"]  # no clock, no lists, no rate
    with pytest.raises(UsageError, match=r'there is no metric "los"; did you mean "loss"\?'):
        curves.charts({"a": FALLING}, ["los"])


def test_a_run_has_its_colour_in_all_charts_of_a_picture() -> None:
    runs = {"a": [{"epoch": 1, "loss": 1.0}], "b": [{"epoch": 1, "loss": 1.0, "val_loss": 1.0, "r2": 0.5}]}
    looks = {(s.run, s.colour) for chart in curves.charts(runs) for s in chart.series}
    assert looks == {("a", 0), ("b", 1)}


def test_no_axis_goes_beyond_the_best() -> None:
    [chart] = curves.charts({"a": [{"epoch": e, "r2": 1 - 0.1 / e} for e in (1, 2, 50)] + [{"epoch": 51, "r2": 1.0}]})
    assert as_text(plot(chart, 60, 6)).split("\n")[1].startswith("   1┤")
    assert Axis.around([0.5, 1.0], margin=0.05, most=chart.most).high == 1
    assert curves.charts({"a": FALLING})[0].most == float("inf")


def test_charts_as_csv_and_json_read_back_exactly() -> None:
    [chart] = curves.charts({"a,b": FALLING})
    rows = list(csv.DictReader(io.StringIO(curves.to_csv([chart]))))
    assert [float(row["value"]) for row in rows if row["part"] == "training"] == [1 / e for e in range(1, 9)]
    assert {row["run"] for row in rows} == {"a,b"}
    odd = [{"epoch": e, "step": 1, "seconds": 0.1 / 3, "loss": 1.0} for e in (1, 2, 3)]
    [chart_of_time] = curves.charts({"a": odd}, x="seconds")
    rows = list(csv.DictReader(io.StringIO(curves.to_csv([chart_of_time]))))
    assert [float(row["seconds"]) for row in rows] == chart_of_time.series[0].x
    [document] = json.loads(json.dumps(curves.to_json([chart])))
    assert document["series"][1]["y"] == [2 / e for e in range(1, 9)]


def test_a_plot_in_the_terminal() -> None:
    [chart] = curves.charts({"a": RISING})
    lines = as_text(plot(chart, 60, 6)).split("\n")
    assert lines[0] == "loss (mean of an example)"
    assert lines[1].startswith("3┤")
    assert lines[1].endswith("training 3")
    assert lines[6].startswith("1┤")
    assert lines[8].split() == ["1", "2", "3", "epoch"]
    inked = [next(i for i, sign in enumerate(line[2:]) if "\u2800" < sign <= "\u28ff") for line in lines[1:7]]
    assert inked == sorted(inked, reverse=True)  # the curve rises
    assert max(map(len, lines)) <= 60


def test_a_plot_leaves_gaps_and_names_every_curve() -> None:
    lines = [{"epoch": e, "loss": None if e in (2, 3, 4) else 1.0} for e in range(1, 7)]
    [chart] = curves.charts({"a": lines})
    row = next(line for line in as_text(plot(chart, 60, 3)).split("\n") if "training" in line)
    assert "  " in row.partition("training")[0].strip()
    many = {f"run {n}": RISING for n in range(9)}
    text = as_text(plot(curves.charts(many)[0], 70, 4))
    assert all(f"run {n}, training 3" in text for n in range(9))
    single = as_text(plot(curves.charts({"a": [{"epoch": 1, "loss": 1.0}]})[0], 60, 3))
    assert "training 1" in single
    assert single.split("\n")[-1].split() == ["1", "epoch"]
    assert single.count("●") == 1  # a point alone is seen


@given(st.lists(st.floats(width=32), min_size=1, max_size=60))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    array = np.array(values, np.float32)
    found = tensors.histogram(array)
    assert sum(found.counts) == np.isfinite(array).sum()
    assert (found.nan, found.inf) == (np.isnan(array).sum(), np.isinf(array).sum())
    assert len(found.edges) == len(found.counts) + bool(found.counts)


def test_a_histogram_has_its_counts_in_place_and_as_csv() -> None:
    found = tensors.histogram(np.array([0.0, 0.1, 0.9, 1.0, np.nan, np.inf]))
    assert found == tensors.Histogram([0, 0.25, 0.5, 0.75, 1], [2, 0, 0, 2], 1, 1)
    rows = list(csv.reader(io.StringIO(tensors.histograms_csv({"w": found}))))
    assert rows[1:] == [["w", "0.0", "0.25", "2"], ["w", "0.25", "0.5", "0"], ["w", "0.5", "0.75", "0"],
                        ["w", "0.75", "1.0", "2"], ["w", "nan", "nan", "1"], ["w", "inf", "inf", "1"]]  # fmt: skip
    assert tensors.histograms({"text": np.array(["a"]), "none": np.zeros(0)}) == {}


def test_a_heat_map_of_a_large_matrix_is_of_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "MOST_PIXELS", 3)
    matrix = np.arange(35.0).reshape(7, 5)
    found = tensors.heat_map(matrix)
    assert found is not None
    assert (found.pixels.shape, found.down, found.across) == ((3, 3), 3, 2)
    assert found.pixels[0, 0] == matrix[:3, :2].mean()
    assert found.pixels[2, 2] == matrix[6:, 4:].mean()
    assert tensors.heat_map(np.zeros((3, 3), int)) is None
    head, *rows = csv.reader(io.StringIO(found.csv()))
    assert (head, [row[0] for row in rows]) == (["row", "0", "2", "4"], ["0", "3", "6"])
    np.testing.assert_allclose([list(map(float, row[1:])) for row in rows], found.pixels, rtol=1e-8)


def test_filters_in_a_mosaic() -> None:
    picture = tensors.mosaic(np.arange(20.0).reshape(5, 2, 2))
    assert picture.shape == (5, 8)
    assert picture[3:, 3:5].tolist() == [[16, 17], [18, 19]]
    assert np.isnan(picture[2]).all()


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 2, 4, 3)])
def test_filters_as_csv_read_back_exactly(shape: tuple[int, ...]) -> None:
    filters = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows = list(csv.DictReader(io.StringIO(tensors.filters_csv(filters))))
    channels = ["weight"] if len(shape) == 3 else ["red", "green", "blue"]
    places = [tuple(int(row[name]) for name in ("filter", "row", "column")) for row in rows]
    assert places == list(np.ndindex(shape[:3]))
    read = np.array([[row[name] for name in channels] for row in rows], np.float32)
    assert np.array_equal(read.reshape(shape), filters)


IMAGES = {
    (28, 28): ((28, 28, 1), False),
    (1, 28, 28): ((28, 28, 1), True),
    (3, 32, 32): ((32, 32, 3), True),
    (32, 32, 3): ((32, 32, 3), False),
    (16,): None,
    (5, 7, 9): None,
}


@pytest.mark.parametrize("shape", IMAGES)
def test_which_arrays_are_images(shape: tuple[int, ...]) -> None:
    data = Arrays(np.zeros((4, *shape), np.uint8), np.array([0, 1, 0, 1]), target="y")
    assert image_shape(Preprocessing().fit(data, np.arange(4))) == IMAGES[shape]


def test_pixels_of_channels_first_and_last() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    first = pixels_of(image, (4, 4, 3), True, 0, 255)
    last = pixels_of(image.transpose(0, 2, 3, 1), (4, 4, 3), False, 0, 255)
    assert np.array_equal(first, last)
    assert first[0, 1, 2].tolist() == [6, 22, 38]
    assert pixels_of(np.zeros((1, 300, 200)), (300, 200, 1), False, 0, 1).shape == (1, 75, 50, 1)
    assert brightness(np.array([0.0, 16.0])) == (0, 16)
    assert brightness(np.array([-1.0, 0.5])) == (-1, 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_is_what_other_programs_read(channels: int) -> None:
    image = pytest.importorskip("matplotlib.image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    read = np.rint(image.imread(io.BytesIO(png(pixels))) * 255)
    assert np.array_equal(read.reshape(pixels.shape), pixels)


def test_drawing_with_matplotlib() -> None:
    pytest.importorskip("matplotlib")
    drawn = curves.charts({"$a_b$ <x>": FALLING, "词": RISING})
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        files = [curves.draw(drawn, kind, log=True) for _ in range(2)]
        assert files[0].startswith(start)
        assert files[0] == files[1]  # equal figures, equal files
    for shape in ((3, 4, 4), (3, 4, 4, 3)):
        assert tensors.draw_filters("0.weight", np.ones(shape)).startswith(b"\x89PNG")


def test_powers_of_ten_in_a_picture_are_named_as_on_a_terminal() -> None:
    pytest.importorskip("matplotlib")
    [chart] = curves.charts({"a": [{"epoch": epoch, "loss": 10.0 ** (5 - epoch)} for epoch in range(1, 8)]})
    text = curves.draw([chart], "svg", log=True).decode()
    assert all(f">{name}</text>" in text for name in ("0.01", "1", "10k"))
    assert "$" not in text


def test_names_in_a_picture_are_text_under_a_title() -> None:
    pytest.importorskip("matplotlib")
    [chart] = curves.charts({"$a_b$ <x>\x1b": FALLING, "b": FALLING})
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(curves.draw([chart], "svg"))
    texts = [node.text for node in root.iter(f"{svg}text")]
    assert {"loss", "loss (mean of an example)", "epoch", "$a_b$ <x>\\x1b, training"} <= set(texts)
    assert root.findtext(f"{svg}title") == "loss"


def test_every_curve_of_a_picture_looks_different() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.add_subplot()
    curves._axes(axes, curves.charts({f"run {n}": FALLING for n in range(20)})[0], False)
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.get_lines()}
    assert len(looks) == 40
    axes.clear()
    curves._axes(axes, curves.charts({"a": FALLING[:2]})[0], False)
    assert [tick for tick in axes.get_xticks() if tick % 1] == []  # there is no half an epoch


def test_validation_looks_the_same_alone_and_beside_training() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    looks = []
    for lines in (FALLING, [{"epoch": e, "val_loss": 1.0} for e in (1, 2)]):
        axes = figure.add_subplot()
        curves._axes(axes, curves.charts({"a": lines})[0], False)
        looks.append((axes.get_lines()[-1].get_color(), axes.get_lines()[-1].get_linestyle()))
    assert looks[0] == looks[1]


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dlscratch\[plot\]'"):
        curves.draw(curves.charts({"a": FALLING}), "png")
