"""`init`: what is found in data, and that the config that comes of it trains, whatever the columns are called."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlscratch.config.build import build
from dlscratch.config.findings import look_at
from dlscratch.config.schema import Config, load
from dlscratch.config.starter import starter
from dlscratch.datasets.csv_reader import MISSING
from dlscratch.datasets.readers import READERS
from dlscratch.errors import DataError, UsageError
from dlscratch.training import fit
from dlscratch.training.loop import Epoch

DATA = Path(__file__).parents[2] / "data"


def table(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def made(path: Path, target: str | None = None, **options: Any) -> tuple[str, Config]:
    """The text of the starter config, written and checked to the end: data, model and loss fit each other."""
    output = path.parent / "made.yaml"
    output.write_text(starter(path, output, target, **options).text, encoding="utf-8")
    experiment = build(output)
    assert experiment.warnings == ()
    return output.read_text(encoding="utf-8"), experiment.config


def columns(rows: int = 60, **more: list[Any]) -> str:
    """A CSV of a number, a class that depends on it, and more columns."""
    header = ["x", "kind", *more]
    lines = [[str(row % 7), "ab"[row % 7 > 3], *(str(cells[row]) for cells in more.values())] for row in range(rows)]
    return "\n".join(",".join(line) for line in [header, *lines]) + "\n"


def test_the_penguins_in_full(tmp_path: Path) -> None:
    data = tmp_path / "penguins.csv"
    data.write_bytes((DATA / "penguins.csv").read_bytes())
    text, _ = made(data, "species")
    assert text.startswith("# Learns species (3 classes) from penguins.csv.\n")
    for line in (
        "#   344 rows, 8 columns",
        "#   column             kind     missing  values",
        "#   species            text              target: Adelie, Gentoo, Chinstrap",
        "#   bill_length_mm     numbers  2        32.1 to 59.6, mean 43.92",
        "#   Chinstrap  68",
        "    path: penguins.csv",
        "    target: species",
        "  task: classification",
        "    impute: median               # what a missing number becomes",
        "  - linear: {out_features: 3}    # one number a class; cross_entropy makes them probabilities",
        "  early_stopping: {patience: 33} # the best epoch is kept in any case",
    ):
        assert line in text.splitlines()


def test_the_penguins_train_well_at_once(tmp_path: Path) -> None:
    output = tmp_path / "c.yaml"
    output.write_text(starter(DATA / "penguins.csv", output, "species").text, encoding="utf-8")
    run = build(output)
    assert run.prepared.validation is not None
    batches = run.prepared.train.batches(run.config.training.batch_size, shuffle=True)
    others = run.prepared.validation.batches(256)
    records = fit(run.model, run.loss, run.optimizer, batches, epochs=15, validation=others, metrics=["accuracy"])
    values = [record.values["val_accuracy"] for record in records if isinstance(record, Epoch)]
    assert max(value for value in values if isinstance(value, float)) >= 0.95


def test_rows_without_a_target_are_dropped_and_told(tmp_path: Path) -> None:
    text, config = made(table(tmp_path, columns().replace("\n3,a", "\n3,NA", 1)), "kind")
    assert config.data.reader.options["missing_target"] == "drop"
    assert "    # 1 row without a target\n    missing_target: drop\n" in text


def test_a_number_is_regression_and_told_so(tmp_path: Path) -> None:
    path = table(tmp_path, columns(price=[row * 1.5 for row in range(60)]))
    _, config = made(path, "price")
    assert config.data.task == "regression"
    assert (config.loss and config.loss.kind) == "mse"
    assert config.model[-1].options["out_features"] == 1
    _, config = made(path, "x", task="regression")
    assert config.data.task == "regression"
    _, config = made(path, "x", task="classification")
    assert config.model[-1].options["out_features"] == 7


def test_columns_that_teach_nothing_are_left_out_with_the_reason(tmp_path: Path) -> None:
    more: dict[str, list[Any]] = {
        "id": list(range(60, 0, -1)),
        "name": [f"n{row}" for row in range(60)],
        "same": [4] * 60,
        "word": ["w"] * 60,
        "empty": ["NA"] * 60,
        "hardly": [1.5, 2, *["NA"] * 58],
        "fine": [row * row for row in range(60)],
    }
    text, config = made(table(tmp_path, columns(**more)), "kind")
    assert config.data.reader.options["drop"] == ["id", "name", "same", "word", "empty", "hardly"]
    notes = [line.strip() for line in text.splitlines() if line.startswith("    # ")]
    assert notes == [
        '# "id": counts the rows, 1 to 60: it tells rows apart and teaches nothing',
        '# "name": a text of its own in every row, which tells rows apart and teaches nothing',
        '# "same": the same in every row',
        '# "word": the same in every row',
        '# "empty": no row has a value',
        '# "hardly": only 2 of 60 rows have a value',
    ]
    assert "#   id      numbers           left out: 1 to 60, mean 30.5" in text.splitlines()


def test_too_many_texts_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, columns(600, street=[f"s{row % 300}" for row in range(600)]))
    text, config = made(path, "kind")
    assert config.data.reader.options["drop"] == ["street"]
    assert '"street": 300 different texts, too many to make an input of each' in text


def test_a_column_that_counts_stays_where_there_is_no_other(tmp_path: Path) -> None:
    _, config = made(table(tmp_path, "t,y\n" + "".join(f"{row},{row * 0.5 + 0.1}\n" for row in range(40))), "y")
    assert config.data.reader.options["drop"] is None


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    path = table(tmp_path, "name,y\n" + "".join(f"n{row},{row % 2}\n" for row in range(40)))
    with pytest.raises(DataError, match='nothing to learn from: "name": a text of its own'):
        starter(path, tmp_path / "c.yaml", "y")
    with pytest.raises(DataError, match="nothing to learn from: there is no other column"):
        starter(table(tmp_path, "y\n1\n2\n1\n"), tmp_path / "c.yaml", "y")


def test_rare_texts_are_allowed_for(tmp_path: Path) -> None:
    _, config = made(table(tmp_path, columns(place=["common"] * 58 + ["rare"] * 2)), "kind")
    assert config.data.preprocessing["unseen"] == "ignore"
    _, config = made(table(tmp_path, columns(place=["one", "two"] * 30)), "kind")
    assert config.data.preprocessing["unseen"] == "error"


@pytest.mark.parametrize(
    ("rarest", "parts"), [(1, (0, 0)), (2, (0, 0.2)), (3, (0.15, 0.2))], ids=["one row", "two rows", "three rows"]
)
def test_parts_leave_each_class_a_row(tmp_path: Path, rarest: int, parts: tuple[float, float]) -> None:
    rows = [f"{row % 5},{'rare' if row < rarest else 'common'}" for row in range(40)]
    text, config = made(table(tmp_path, "\n".join(["x,y", *rows]) + "\n"), "y")
    assert (config.data.validation, config.data.test) == parts
    assert (config.training.early_stopping is not None) == bool(parts[0])
    assert (f"too few rows to hold some out: {rarest} of the rarest class" in text) == (rarest < 3)


def rare(common: int, **counts: int) -> str:
    """A CSV of two common classes, and of others with so many rows."""
    kinds = ["ab"[row % 2] for row in range(common)] + [name for name, count in counts.items() for _ in range(count)]
    return "x,kind\n" + "".join(f"{row % 7},{kind}\n" for row, kind in enumerate(kinds))


def test_rare_classes_are_left_out_so_that_the_others_are_tested(tmp_path: Path) -> None:
    path = table(tmp_path, rare(100, lone=1, pair=2))
    text, config = made(path, "kind")
    assert (config.data.validation, config.data.test) == (0.15, 0.2)
    assert config.data.reader.options["missing"] == [*MISSING, "lone", "pair"]
    assert config.data.reader.options["missing_target"] == "drop"
    assert config.model[-1].options["out_features"] == 2
    assert '    # class "lone" has 1 row, too few for training, validation and test: it is left out' in text
    assert starter(path, tmp_path / "c.yaml", "kind").warnings == []


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n" + "red,a\nlone,b\n" * 40 + "red,lone\n",
        rare(40, c=2, d=2),
        "x,y\n" + "1,0\n2,1\n" * 40 + "2,2\n2,2\n",
    ],
    ids=["a cell elsewhere", "too much", "a number elsewhere"],
)
def test_rare_classes_stay_where_leaving_them_out_costs_more(tmp_path: Path, text: str) -> None:
    path = table(tmp_path, text)
    found = starter(path, tmp_path / "c.yaml", text.partition("\n")[0][2:], task="classification")
    assert "missing_target" not in found.found.options
    assert found.warnings[-1].startswith("validation: 0")


@pytest.mark.parametrize(
    ("rows", "classes", "told"), [(600, 600, True), (150, 22, True), (150, 10, False), (20, 2, False)]
)
def test_many_classes_are_told(tmp_path: Path, rows: int, classes: int, told: bool) -> None:
    path = table(tmp_path, "x,y\n" + "".join(f"{row * row},k{row % classes}\n" for row in range(rows)))
    warnings = starter(path, tmp_path / "c.yaml", "y").warnings
    many = f'"y" has {classes} classes in {rows} rows, few rows for each: is it what is to be learned?'
    assert (many in warnings) == told
    path = table(tmp_path, "x,y\n" + "".join(f"{row * row},{row}\n" for row in range(60)))
    warnings = starter(path, tmp_path / "c.yaml", "y", task="classification").warnings
    assert warnings[0].endswith("what is to be learned?; amounts are learned with --task regression")


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    rows = [f"{row % 9},{row % 4};1.{row + 100};{'ab'[row % 2]}" for row in range(60)]
    text, config = made(table(tmp_path, "\n".join(["size;price;kind", *rows])), "kind")
    assert "#   size    numbers           0 to 8.3" in text
    assert "    # numbers are written as 1,5\n    decimal: ','\n" in text
    assert config.data.reader.options["drop"] == ["price"]
    quoted = [f'"{row % 9},{row % 4}",{"ab"[row % 2]}' for row in range(60)]
    assert made(table(tmp_path, "\n".join(["size,kind", *quoted])), "kind")[1].data.reader.options["decimal"] == ","


@pytest.mark.parametrize("every", [1, 10, 20], ids=["all", "a tenth", "some"])
def test_thousands_separators_are_told(tmp_path: Path, every: int) -> None:
    prices = [f'"{row + 1},{row + 100}"' if row % every == 0 else row + 0.5 for row in range(60)]
    path = table(tmp_path, columns(price=prices))
    text, config = made(path, "kind")
    assert config.data.reader.options["drop"] == ["price"]
    assert config.data.reader.options["categorical"] is None
    assert '"price": looks like numbers with thousands separators, which are read as' in text
    assert 'texts; write "1,100" as 1100' in text
    if every == 1:
        with pytest.raises(DataError, match=r'data\.csv: the target "price" looks like numbers with thousands sep'):
            starter(path, tmp_path / "c.yaml", "price")


@pytest.mark.parametrize(
    "form",
    ["2020-01-{:02}", "2020-1-{}", "{:02}.01.2020", "{}.1.20", "01/{:02}/2020", "2020/01/{:02}",
     "2020-01-{:02}T10:30:00Z", "{:02}.01.2020 10:30", "1/{}/2020 9:30 PM", "2020-01-{:02} 10:30:00.125+02:00"],
)  # fmt: skip
def test_dates_are_left_out(tmp_path: Path, form: str) -> None:
    days = [form.format(row % 28 + 1) for row in range(60)]
    days[7] = "unknown"
    text, config = made(table(tmp_path, columns(when=days)), "kind")
    assert config.data.reader.options["drop"] == ["when"]
    assert '"when": dates, such as "' in text


@pytest.mark.parametrize("form", ["1.{}", "192.168.1.{}", "v{}.1.2020", "{}-{}", "2020-{}"])
def test_what_is_no_date_stays(tmp_path: Path, form: str) -> None:
    _, config = made(table(tmp_path, columns(code=[form.format(row % 5, row % 3) for row in range(60)])), "kind")
    assert config.data.reader.options["drop"] is None


def test_leading_zeros_are_names(tmp_path: Path) -> None:
    zips = [f"{row % 5 * 250:05}" if row else "NA" for row in range(60)]
    numbers = [row * row for row in range(60)]
    text, config = made(table(tmp_path, columns(zip=zips, plain=numbers, own=[f"{row:05}" for row in numbers])), "kind")
    assert config.data.reader.options["categorical"] == ["zip"]
    assert config.data.reader.options["drop"] == ["own"]
    assert '    # "zip" has leading zeros, as in 00250: names have them, amounts do not\n' in text


def test_reviews_are_no_features(tmp_path: Path) -> None:
    reviews = [f"the film no {row} was good and long" for row in range(60)]
    text, config = made(table(tmp_path, columns(review=reviews)), "kind")
    assert config.data.reader.options["drop"] == ["review"]
    told = '"review": texts are no features here; `dlscratch word2vec` makes vectors of their words'
    assert told in text
    path = table(tmp_path, "review,y\n" + "".join(f"{review},{row % 2}\n" for row, review in enumerate(reviews)))
    with pytest.raises(DataError, match=f"there is nothing to learn from: {told}"):
        starter(path, tmp_path / "c.yaml", "y")


def test_a_folder_of_different_tables(tmp_path: Path) -> None:
    table(tmp_path, columns(), "1.csv")
    table(tmp_path, columns(more=list(range(60))), "2.csv")
    with pytest.raises(DataError, match=f"all CSV files in the folder {tmp_path} were read as one table"):
        starter(tmp_path, tmp_path / "c.yaml", "kind")


def test_texts_among_numbers_are_taken_as_missing(tmp_path: Path) -> None:
    cells: list[Any] = [row % 10 + 0.5 for row in range(60)]
    cells[5], cells[9], cells[11] = "-", "unknown", "inf"
    text, config = made(table(tmp_path, columns(weight=cells)), "kind")
    missing = config.data.reader.options["missing"]
    assert set(missing[-3:]) == {"-", "inf", "unknown"}
    assert '# "weight" has numbers, and "' in text
    assert config.data.preprocessing["impute"] == "median"


def test_many_texts_among_numbers_make_a_column_of_texts(tmp_path: Path) -> None:
    cells: list[Any] = [row % 9 for row in range(60)]
    cells[10:16] = [f"A{number}" for number in range(6)]
    text, config = made(table(tmp_path, columns(code=cells)), "kind")
    assert config.data.reader.options["categorical"] == ["code"]
    assert '# "code" has numbers, and texts such as "A0", "A1", "A2"' in text


def test_what_else_is_wrong_with_a_file_stays_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.csv:3: 1 cell, but the header has 2 columns"):
        starter(table(tmp_path, "x,y\n1,2\n3\n"), tmp_path / "c.yaml", "y")
    with pytest.raises(DataError, match="is empty"):
        starter(table(tmp_path, ""), tmp_path / "c.yaml", "y")


def test_another_encoding_is_found(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(columns(café=list(range(0, 120, 2))).encode("latin-1"))
    text, config = made(path, "kind")
    assert config.data.reader.options["encoding"] == "latin-1"
    assert "#   café" in text


def test_pixels_in_columns_are_divided_by_their_maximum(tmp_path: Path) -> None:
    text = starter(DATA / "digits.csv.gz", tmp_path / "c.yaml", "digit").text
    assert "    scale: 16                    # 0 to 16 in all columns, as pixels are" in text
    assert "#   … and 25 more\n" in text


@pytest.mark.parametrize(
    ("header", "proposed"),
    [("a,Class,b", "Class"), ("species,size", "species"), ("a,b,c", "c"), ("y,a,label", "label"), ("a b,c d", "'c d'")],
)
def test_without_a_target_the_columns_are_listed(tmp_path: Path, header: str, proposed: str) -> None:
    path = table(tmp_path, f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(UsageError) as caught:
        starter(path, tmp_path / "c.yaml")
    listed = ", ".join(f'"{name}"' for name in header.split(","))
    assert str(caught.value) == (
        f"{path}: which column is to be learned? For example --target {proposed}; the columns are {listed}"
    )


def test_a_missing_header_line_is_suspected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the names are all numbers: is the header line missing"):
        starter(table(tmp_path, "1,2\n3,4\n"), tmp_path / "c.yaml")


def test_a_wrong_target_names_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='there is no column "knd"; did you mean "kind"'):
        starter(table(tmp_path, columns()), tmp_path / "c.yaml", "knd")


@pytest.mark.parametrize("output", ["c.yaml", "configs/c.yaml", "../elsewhere/c.yaml"])
def test_paths_start_at_the_config(tmp_path: Path, output: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    data, config = table(home, columns(), "~odd name.csv"), home / output
    config.parent.mkdir(exist_ok=True)
    config.write_text(starter(data, config, "kind").text, encoding="utf-8")
    path = load(config)[1].data.reader.options["path"]
    assert not Path(path).is_absolute()
    assert READERS["csv"](path, "kind").files(config.parent)[0].samefile(data)


# Arrays


def images(count: int = 40, shape: tuple[int, ...] = (12, 10)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, part: str, count: int, suffix: str = ".gz") -> Path:
    path = folder / f"{part}-images-idx3-ubyte{suffix}"
    write_idx(path, images(count))
    write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8) % 4)
    return path


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_idx_finds_labels_and_the_test_set(tmp_path: Path, suffix: str) -> None:
    path = write_mnist(tmp_path, "train", 40, suffix)
    _, alone = made(path)
    assert alone.data.test == 0.2
    write_mnist(tmp_path, "t10k", 12, suffix)
    text, config = made(path)
    assert config.data.test.options["labels"] == f"t10k-labels-idx1-ubyte{suffix}"
    assert config.data.reader.options["labels"] == f"train-labels-idx1-ubyte{suffix}"
    assert config.data.preprocessing["shape"] == [1, 12, 10]
    assert config.data.preprocessing["scale"] == 255
    assert config.model[0].kind == "conv2d"
    assert "#   40 examples of 12 x 10, uint8, 0 to 255" in text
    assert look_at(tmp_path).options == look_at(path).options
    assert look_at(tmp_path).test == look_at(path).test


def test_idx_without_labels_and_labels_alone(tmp_path: Path) -> None:
    path = write_mnist(tmp_path, "train", 40)
    labels = (tmp_path / "train-labels-idx1-ubyte.gz").rename(tmp_path / "answers.gz")
    with pytest.raises(UsageError, match="no file of labels beside it; name it with --target"):
        starter(path, tmp_path / "c.yaml")
    with pytest.raises(UsageError, match="as labels do; name the file of images"):
        starter(labels, tmp_path / "c.yaml")
    assert made(path, str(labels))[1].data.reader.options["labels"] == "answers.gz"


@pytest.mark.parametrize(
    ("inputs", "first", "preprocessing"),
    [
        (images(40, (3, 16, 16)), "conv2d", {"scale": 255, "shape": [3, 16, 16]}),
        (images(40, (70, 64)), "conv2d", {"scale": 255, "shape": [1, 70, 64]}),
        (images(40, (16, 16, 3)), "conv2d", {"scale": 255, "shape": None, "channels_last": True}),
        (images(40, (9, 12, 1)), "conv2d", {"scale": 255, "shape": None, "channels_last": True}),
        (images(40, (3, 16, 3)), "flatten", {"scale": 255, "shape": None, "channels_last": False}),
        (images(40, (6, 6)), "flatten", {"scale": 255}),
        (images(40, (20,)) / 7.0, "linear", {"scale": "standard", "per_feature": True}),
        (images(40, ()), "linear", {"scale": 255}),
        (images(40, (9, 9)).astype(np.float32), "conv2d", {"scale": "standard", "shape": [1, 9, 9]}),
    ],
    ids=["colour", "large", "channels last", "grey last", "no image", "small", "flat", "scalar", "floats"],
)
def test_arrays_get_the_model_that_suits(
    tmp_path: Path, inputs: np.ndarray, first: str, preprocessing: dict[str, Any]
) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=inputs, y=np.arange(40) % 4, other=np.arange(3), one=np.array(5))
    _, config = made(path)
    assert config.model[0].kind == first
    assert {key: config.data.preprocessing[key] for key in preprocessing} == preprocessing


def test_npz_arrays_by_other_names(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    y = np.arange(40) % 4
    np.savez(path, x_train=images(), y_train=y, x_test=images(8), y_test=y[:8])
    _, config = made(path)
    assert config.data.reader.options == {"path": "mnist.npz", "inputs": "x_train", "target": "y_train"}
    assert config.data.test.options == {"path": "mnist.npz", "inputs": "x_test", "target": "y_test"}
    np.savez(path, measured=images(40, (4,)), age=np.arange(40) * 0.5, when=np.arange(40))
    with pytest.raises(UsageError, match=r'Name it with --target; the arrays are "measured" \(40, 4\), "age" \(40,\)'):
        starter(path, tmp_path / "c.yaml")
    with pytest.raises(UsageError, match='there is no array "agee"; did you mean "age"'):
        starter(path, tmp_path / "c.yaml", "agee")
    _, config = made(path, "age")
    assert config.data.reader.options["inputs"] == "measured"
    assert config.data.task == "regression"


def test_arrays_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([[1.0], [np.nan], [2.0]]), y=np.array([0, 1, 0]))
    with pytest.raises(DataError, match="row 2 of the inputs holds NaN"):
        look_at(path)
    np.savez(path, x=np.arange(4), y=np.arange(3))
    with pytest.raises(UsageError, match='no array has one entry for each of "y"'):
        look_at(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 but not a zip", "the archive is damaged or cut short at its beginning"),
        (b"PAR1\x00\x01\x02", "is binary, and neither NPZ nor IDX"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        look_at(path)
    with pytest.raises(DataError, match="no such file"):
        look_at(tmp_path / "data.csv")


# Odd names

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NAMES = st.one_of(
    CELLS,
    st.sampled_from(["yes", "null", "~", "1e3", "- a", "a: b", "#", "a #b", "'", '"', "{a}", "[", "&x", "*x", "!!int",
                     "%", "@", "`", "a\nb: 1", "\r", "\x85", "\u2028", "=", "<<", "?", "|", ">", "-", "---", "..."]),
)  # fmt: skip


@given(names=st.lists(NAMES.filter(str.strip), min_size=2, max_size=5, unique=True), cells=st.lists(CELLS, max_size=3))
def test_any_names_come_back_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    path, output = folder / "data.csv", folder / "c.yaml"
    assume(not {"first", "second"} & {*names})
    target, *others = names
    odd = ["even", *cells]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["first", "second", *others, target])
        for row in range(24):
            writer.writerow([row * row, odd[row % len(odd)], *([row % 3] * len(others)), ["no", "yes"][row % 2]])
    text = starter(path, output, target).text
    output.write_text(text, encoding="utf-8", newline="")
    document, config = load(output)
    assert config.data.reader.options["target"] == target
    assert config.data.reader.options["drop"] is None or set(config.data.reader.options["drop"]) <= {"second"}
    assert set(document.values) == {"seed", "data", "model", "loss", "optimizer", "schedule", "training"}
    assert len(build(output).prepared.train.inputs) == 24
