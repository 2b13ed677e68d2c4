"""CSV reading: what Python's csv module wrote comes back exactly, and each bad file has its exact message."""

from __future__ import annotations

import csv
import gzip
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import Categories, CsvReader, Table
from dlscratch.datasets.csv_reader import MISSING
from dlscratch.errors import DataError, UsageError

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def write(tmp_path):
    """Write a text as tmp_path/data.csv; the path."""

    def write(text: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(path: Path, **options) -> Table:
    return CsvReader(str(path), **options).read()


def message(path: Path, kinds=None, **options) -> str:
    """The complaint about a file, with the folder taken off."""
    with pytest.raises(DataError) as caught:
        CsvReader(str(path), **options).read(kinds=kinds)
    return str(caught.value).replace(f"{path.parent}/", "")


def cells(table: Table, name: str) -> list:
    column = table.columns[name]
    return [column.cell(row) for row in range(len(table))] if isinstance(column, Categories) else column.tolist()


names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=4, unique=True)
present = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip() not in MISSING)


@given(data=st.data(), header=names.filter(lambda names: all(name.strip() for name in names)))
def test_odd_text_comes_back_exactly(data, header):
    rows = data.draw(st.lists(st.lists(present, min_size=len(header), max_size=len(header)), min_size=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        table = CsvReader(str(path), delimiter=",", categorical=header).read()
    assert list(table.columns) == header
    assert [cells(table, name) for name in header] == [list(column) for column in zip(*rows, strict=True)]


floats = st.floats(allow_nan=False, allow_infinity=False)


@given(rows=st.lists(st.tuples(floats, floats), min_size=1), gap=st.integers(0, 50), quoted=st.booleans())
def test_numbers_come_back_exactly(rows, gap, quoted):
    written = [list(row) for row in rows]
    if gap < len(rows):
        written[gap][1] = math.nan
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        with path.open("w", newline="") as file:
            style = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
            csv.writer(file, quoting=style).writerows([["a", "b"], *(map(_text, row) for row in written)])
        table = CsvReader(str(path)).read()
    np.testing.assert_array_equal(np.stack(list(table.columns.values())), np.array(written).T)


def _text(number: float) -> str:
    return "" if math.isnan(number) else repr(number)


def test_kinds_missing_and_categories(write):
    table = read(write("a,b,c\n1,x,NA\n,y,2.5\n 3 ,NA,?\n4,x,nan\n"))
    np.testing.assert_array_equal(table.columns["a"], [1, np.nan, 3, 4])
    assert cells(table, "b") == ["x", "y", None, "x"]
    assert table.columns["b"].names == ("x", "y")
    assert table.columns["b"].codes.dtype == np.int32
    np.testing.assert_array_equal(table.columns["c"], [np.nan, 2.5, np.nan, np.nan])


def test_the_shipped_files():
    digits = read(DATA / "digits.csv.gz", target="digit")
    assert (len(digits), len(digits.features)) == (1797, 64)
    assert (digits.columns["digit"][:4].tolist(), digits.columns["pixel_0_2"][:3].tolist()) == ([0, 1, 2, 3], [5, 0, 0])
    penguins = read(DATA / "penguins.csv", target="species")
    assert len(penguins) == 344
    assert penguins.columns["species"].names == ("Adelie", "Chinstrap", "Gentoo")
    assert np.isnan(penguins.columns["bill_length_mm"]).sum() == 2
    assert (penguins.columns["sex"].codes < 0).sum() == 11


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(write, delimiter):
    table = read(write(f'name{delimiter}size\n"x,;|\t"{delimiter}1.5\n'))
    assert list(table.columns) == ["name", "size"]
    assert table.columns["size"].tolist() == [1.5]


def test_decimal_commas_do_not_win_over_the_delimiter(write):
    assert list(read(write("a;b\n1,5;2,5\n")).columns) == ["a", "b"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_found(write, delimiter):
    rows = ["weight;note;count", " 162,0;a, b;1", "NA;c;2", "-1,25;d;3", "1,5e3;e;", "7;f;5"]
    table = read(write("\n".join(rows).replace(";", delimiter) + "\n"))
    np.testing.assert_array_equal(table.columns["weight"], [162, np.nan, -1.25, 1500, 7])
    np.testing.assert_array_equal(table.columns["count"], [1, 2, 3, np.nan, 5])
    assert cells(table, "note")[0] == "a, b"


@given(
    rows=st.lists(st.tuples(st.floats(-1e15, 1e15).map(lambda x: round(x, 4)), st.integers(-99, 99)), min_size=1)
)
def test_decimal_commas_are_exact(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        path.write_text("a;b\n" + "".join(f"{a!r};{b}\n".replace(".", ",") for a, b in rows))
        table = read(path, decimal=",", delimiter=";")
    np.testing.assert_array_equal(np.stack(list(table.columns.values())), np.array(rows).T)


def test_decimal_marks_that_are_told(write):
    path = write('a,b\n"1,5",x\n"2,250",y\n')
    assert read(path, decimal=",").columns["a"].tolist() == [1.5, 2.25]
    assert cells(read(path), "a") == ["1,5", "2,250"]
    assert cells(read(write("a;b\n1,5;x\n2,25;y\n"), decimal="."), "a") == ["1,5", "2,25"]


def test_commas_that_are_no_decimal_marks(write):
    thousands = read(write("a;b\n1,100;1.5\n2,350;2.5\n"))
    assert (cells(thousands, "a"), cells(thousands, "b")) == (["1,100", "2,350"], [1.5, 2.5])
    assert cells(read(write("a;b\n1,2;x\n1,2,3;y\n4,5,6;z\n")), "a") == ["1,2", "1,2,3", "4,5,6"]


def test_points_beside_decimal_commas_are_told(write):
    path = write("a;b\n1,5;1.500\n2,5;2.250\n")
    assert message(path) == (
        'data.csv:2: column "b" holds "1.500", but the numbers of the file have decimal commas; '
        'correct it, write decimal: ".", or list the column under categorical'
    )
    assert cells(read(path, categorical=["b"]), "b") == ["1.500", "2.250"]
    path = write('a,b\n1,0\n2,0\n3,0\n"4,5",0\n5,0\n')
    assert message(path) == (
        'data.csv:5: column "a" holds "4,5", but 4 of 5 of its cells are numbers; write decimal: ",", '
        "or list the column under categorical"
    )


def test_byte_order_mark_line_ends_and_blank_lines(write):
    table = read(write(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n  \r\n3,4"))
    assert {name: column.tolist() for name, column in table.columns.items()} == {"a": [1, 3], "b": [2, 4]}
    assert table.where(1).endswith("data.csv:5")


def test_other_encodings(write):
    assert cells(read(write("a,b\nné,1\n".encode("latin-1")), encoding="latin-1"), "a") == ["né"]


def test_forced_categories_keep_their_text(write):
    assert cells(read(write("zip,n\n007,1\n7,2\n"), categorical=["zip"]), "zip") == ["007", "7"]


def test_text_after_many_numbers_keeps_the_first_cells_as_they_were(write):
    rows = [f"{n:07d},{n}" for n in range(300_000)]
    table = read(write("\n".join(["code,n", *rows, *(f"x{n},0" for n in range(100_000))])))
    assert table.columns["code"].cell(5) == "0000005"
    assert len(table) == 400_000


def test_lines_are_counted_through_many_blocks(write):
    path = write("a,b\n" + "\n".join(f"{n},{n}" for n in range(300_000)) + "\n1,2,3\n")
    assert message(path) == "data.csv:300002: 3 cells, but the header has 2 columns"


def test_numbers_that_stand_for_missing(write):
    path = write("a,b\n-999,1\n2,3\n")
    np.testing.assert_array_equal(read(path, missing=["-999"]).columns["a"], [np.nan, 2])
    np.testing.assert_array_equal(read(path).columns["a"], [-999, 2])


def test_only_python_takes_an_underscore_for_a_number(write):
    assert cells(read(write("a,b\n1_000,1\n2_000,2\n")), "a") == ["1_000", "2_000"]


def test_several_files_and_a_folder(write, tmp_path):
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write("a,b\n5,z\n")
    write("a,b\n1,x\n2,y\n", "a.csv")
    write("not a table", "notes.txt")
    table = CsvReader(".").read(base=tmp_path)
    assert cells(table, "a") == [1, 2, 5]
    assert cells(table, "b") == ["x", "y", "z"]
    places = [table.where(row).removeprefix(f"{tmp_path}/") for row in range(3)]
    assert places == ["a.csv:2", "a.csv:3", "b.csv.gz:2"]
    assert cells(CsvReader(["b.csv.gz", "a.csv"]).read(base=tmp_path), "a") == [5, 1, 2]


def test_dropped_columns_and_rows(write):
    path = write("a,b,y\n1,x,1\n2,x,NA\n3,x,0\n")
    table = read(path, target="y", drop=["b"], missing_target="drop")
    assert list(table.columns) == ["a", "y"]
    assert (cells(table, "a"), table.dropped) == ([1, 3], 1)
    assert table.where(1) == f"{path}:4"


def test_what_a_model_expects(write):
    path = write("id,a,b\nq,1,2\n")
    table = CsvReader(str(path)).read(kinds={"b": "categorical", "a": "numeric"})
    assert list(table.columns) == ["a", "b"]
    assert cells(table, "b") == ["2"]


def test_lines_of_a_single_column(write):
    table = read(write('a\nx\n\n \n""\ny\n'))
    assert cells(table, "a") == ["x", None, None, "y"]
    assert table.where(3).endswith("data.csv:6")


def test_a_file_that_cannot_be_read(write, monkeypatch):
    path = write("a\n1\n")
    monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert message(path) == "data.csv: cannot be read (Permission denied)"


def test_a_header_without_names_and_a_quoted_line_break(write):
    path = write('"a\nb",,c\n1,2,3\n"4",x,6\n')
    table = read(path)
    assert list(table.columns) == ["a\nb", "column 2", "c"]
    assert table.where(1) == f"{path}:4"


BAD = {
    "empty": ("", {}, "data.csv: is empty; expected a header line and rows"),
    "blank": ("\n\n", {}, "data.csv: is empty; expected a header line and rows"),
    "header only": ("a,b\n", {}, "data.csv: has a header but no rows"),
    "short row": ("a,b,c\n1,2,3\n\n4,5\n", {}, "data.csv:4: 2 cells, but the header has 3 columns"),
    "long row": ('a,b\n"x\ny",2\n1,2,3\n', {}, "data.csv:4: 3 cells, but the header has 2 columns"),
    "one cell": ("a,b\n1,2\n3\n", {}, "data.csv:3: 1 cell, but the header has 2 columns"),
    "twice": (
        "a,b,a\n1,2,3\n",
        {},
        'data.csv:1: column "a" stands 2 times (columns 1 and 3); give each its own name',
    ),
    "no header": (
        "1,2,1\n1,2,3\n",
        {},
        'data.csv:1: column "1" stands 2 times (columns 1 and 3); is the header line missing?',
    ),
    "no target": (
        "species,b\nx,2\n",
        {"target": "specie"},
        (
            'data.csv: there is no column "specie", which is named under target; '
            'the columns are "species", "b"; did you mean "species"?'
        ),
    ),
    "no such drop": (
        "a,b\n1,2\n",
        {"drop": ["zz"]},
        'data.csv: there is no column "zz", which is named under drop; the columns are "a", "b"',
    ),
    "missing target": (
        "a,y\n1,2\n3,\n4,NA\n",
        {"target": "y"},
        (
            'data.csv:3: the target "y" is missing, first here and in 2 of 3 rows; '
            "fill it in, or write missing_target: drop to leave such rows out"
        ),
    ),
    "text among numbers": (
        "a,b\n1,0\n2,0\n3,0\nx,0\n5,0\n",
        {},
        (
            'data.csv:5: column "a" holds "x", but 4 of 5 of its cells are numbers; correct the cell, '
            "list it under missing, or list the column under categorical"
        ),
    ),
    "infinite": ("a,b\n1,0\n2,-inf\n", {}, 'data.csv:3: column "b" is -inf; expected a finite number'),
    "overflow": ("a,b\n1,0\n2,1e999\n", {}, 'data.csv:3: column "b" is inf; expected a finite number'),
    "open quote": (
        'a,b\n1,2\n3,"4\n5,6\n',
        {},
        "data.csv:3: unexpected end of data; is a quote left open in this row?",
    ),
    "not UTF-8": (
        "a,b\n1,2\né,3\n".encode("latin-1"),
        {},
        "data.csv:3: is not UTF-8 (byte 0xe9); save it as UTF-8 or write its encoding, such as encoding: latin-1",
    ),
}


@pytest.mark.parametrize(("text", "options", "expected"), BAD.values(), ids=BAD)
def test_bad_files(write, text, options, expected):
    assert message(write(text), **options) == expected


def test_text_where_the_model_was_trained_on_numbers(write):
    path = write("age,b\n31,x\nold,y\n")
    expected = 'data.csv:3: column "age" holds "old", but the model was trained on numbers there'
    assert message(path, kinds={"age": "numeric"}) == expected


def test_missing_files(tmp_path, write):
    write("a\n1\n", "train.csv")
    assert message(tmp_path / "trian.csv") == 'trian.csv: no such file; did you mean "train.csv"?'
    assert message(tmp_path / "none" / "a.csv") == f"a.csv: no such file, and no folder {tmp_path}/none"
    for wanted, there in (("flowers.csv", "flowers.yaml"), ("b.csv", "a.csv"), ("prices.csv", "people.csv")):
        write("a\n1\n", there)
        assert message(tmp_path / wanted) == f"{wanted}: no such file"
    (tmp_path / "empty").mkdir()
    assert message(tmp_path / "empty") == "empty: the folder holds no file that ends in .csv, .csv.gz, .tsv, .tsv.gz"


def test_headers_that_differ(write):
    first, second, third = write("a,b\n1,2\n", "1.csv"), write("a,c\n1,2\n", "2.csv"), write("a\n1\n", "3.csv")
    with pytest.raises(DataError, match=r'2\.csv:1: the header is not that of .*1\.csv: column 2 is "c" and not "b"'):
        CsvReader([str(first), str(second)]).read()
    with pytest.raises(DataError, match=r"3\.csv:1: .*1\.csv: its number of columns is 1 and not 2"):
        CsvReader([str(first), str(third)]).read()


def test_a_folder_is_one_table(write, tmp_path):
    write("a,b\n1,2\n", "1.csv")
    write("a,c\n1,2\n", "2.csv")
    with pytest.raises(DataError) as caught:
        CsvReader(str(tmp_path)).read()
    assert str(caught.value) == (
        f'{tmp_path}/2.csv:1: the header is not that of {tmp_path}/1.csv: column 2 is "c" and not "b"; '
        f"all CSV files in the folder {tmp_path} were read as one table: name the file that is meant under path"
    )
    with pytest.raises(DataError, match=r'column 2 is "c" and not "b"$'):
        CsvReader([str(tmp_path / "1.csv"), str(tmp_path / "2.csv")]).read()


def test_columns_that_a_model_needs(write):
    path = write("sepal width (cm),petal width\n1,2\n")
    kinds = {"sepal width (cm)": "numeric", "petal width (cm)": "numeric"}
    assert message(path, kinds=kinds) == (
        'data.csv: the model needs the column "petal width (cm)", which is not there; did you mean "petal width"?'
    )


def test_a_broken_gzip_file(write):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    end = "; copy or download it again"
    for damaged in (whole[:-20], b"plain text", whole[:-8] + b"\0" * 8):
        text = message(write(damaged, "data.csv.gz"))
        assert text.startswith("data.csv.gz: is not a whole gzip file (")
        assert text.endswith(end)


def test_wrong_options():
    with pytest.raises(UsageError, match=r"delimiter is ',,'; expected one character"):
        CsvReader("a.csv", delimiter=",,")
    with pytest.raises(UsageError, match='encoding "utf-9" is not known; try utf-8 or latin-1'):
        CsvReader("a.csv", encoding="utf-9")
    with pytest.raises(UsageError, match='"y" is both the target and in drop'):
        CsvReader("a.csv", target="y", drop=["y"])
    with pytest.raises(UsageError, match="path is an empty list"):
        CsvReader([])
