"""Every format of word vectors: round trips to the bit, odd words, files of other programs, and damaged files."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from dlscratch.errors import CheckpointError, DataError, OutputError, UsageError
from dlscratch.word2vec.formats import FORMATS, Table, read, write
from dlscratch.word2vec.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden" / "gensim_vectors"
NAMES = {
    "npz": "v.npz",
    "word2vec": "v.txt",
    "word2vec-binary": "v.bin",
    "glove": "v.glove",
    "projector": "v/",
    "npy": "v.npy",
}
ODD = ["", " ", "\t", "two words", " led", "trail ", '"quoted"', '"', "\\n", "\u2003", "\ufeff", "слово", "言葉", "😀"]
ODD += ["a\tb", "a\nb", "\n", "\r", "a\r", "\x00", "\x85", "\u2028", "word\tcount", "#", "1", "2 3", "nan", "e\u0301"]
GENSIM = pytest.mark.skipif(importlib.util.find_spec("gensim") is None, reason="gensim is not installed")


def place(folder: Path, name: str) -> str:
    """A path of which the ending says the format; the slash of a folder is kept."""
    return f"{folder}/{NAMES[name]}"


def table(words: list[str], dim: int = 3, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    return Table(words, rng.normal(size=(len(words), dim)).astype(np.float32))


def same(ours: Table, theirs: Table) -> None:
    assert ours.words == theirs.words
    assert ours.vectors.dtype == np.float32
    assert ours.vectors.tobytes() == np.ascontiguousarray(theirs.vectors).tobytes()


def test_the_names_here_are_those_of_the_formats() -> None:
    assert NAMES.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=6)), min_size=1, max_size=6, unique=True),
    bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4),
    counted=st.booleans(),
)
def test_any_words_and_any_bits_return_as_they_were_or_are_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, words: list[str], bits: list[int], counted: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any" / name
    vectors = np.array([bits] * len(words), np.uint32)
    vectors ^= np.arange(len(words), dtype=np.uint32)[:, None]
    assume(np.isfinite(vectors.view(np.float32)).all())
    given = Table(words, vectors.view(np.float32), counts=np.arange(len(words)) if counted else None)
    try:
        write(place(folder, name), given)
    except DataError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        event("refused")
        assert name not in ("npz", "projector")
        ended = [word for word in words if "\n" in word or " " in word]
        assert any(repr(word) in refused for word in ended) or "taken for a header" in refused
        return
    found = read(place(folder, name))
    same(found, given)
    if counted and "counts" in FORMATS[name].keeps:
        np.testing.assert_array_equal(found.counts, given.counts)
    if name == "projector":
        rows = (folder / "v" / "metadata.tsv").read_bytes().decode().split("\n")[:-1]
        assert len([row for row in rows if row.strip("\ufeff").strip()]) == len(words) + counted


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("word", ODD)
def test_every_odd_word_beside_plain_ones(tmp_path: Path, name: str, word: str) -> None:
    given = table(["plain", word, "other"])
    holds = {
        "npz": True,
        "projector": True,
        "npy": "\n" not in word,
        "word2vec": "\n" not in word,
        "glove": " " not in word and "\n" not in word,
        "word2vec-binary": " " not in word and "\n" not in word,
    }[name]
    if holds:
        write(place(tmp_path, name), given)
        same(read(place(tmp_path, name)), given)
    else:
        with pytest.raises(DataError, match=r"the word .* \(number 2\) cannot be written: .*; write .npz") as caught:
            write(place(tmp_path, name), given)
        assert repr(word) in str(caught.value)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_half_a_surrogate_pair_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not valid Unicode"):
        write(place(tmp_path, name), table(["a", "\ud800"]))


@pytest.mark.parametrize("name", ["word2vec", "glove", "word2vec-binary"])
@pytest.mark.parametrize("count", [1, 2, 1500, 3000])
def test_many_rows_and_compressed_files(tmp_path: Path, name: str, count: int) -> None:
    given = table([f"w{number}" for number in range(count)], dim=100)
    write(place(tmp_path, name), given)
    same(read(place(tmp_path, name)), given)
    packed = Path(place(tmp_path, name) + ".gz")
    packed.write_bytes(gzip.compress(Path(place(tmp_path, name)).read_bytes()))
    same(read(packed), given)
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a whole gzip file"):
        read(packed)


@pytest.mark.parametrize("name", FORMATS)
def test_writing_what_was_read_leaves_equal_files(tmp_path: Path, name: str) -> None:
    for folder in ("one", "two"):
        path = place(tmp_path / folder, name)
        WordVectors.load(GOLDEN / "vectors.bin" if folder == "one" else place(tmp_path / "one", name)).save(path)
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*.*"))
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_npz_keeps_everything_and_opens_with_numpy_alone(tmp_path: Path) -> None:
    given = table(["a", "b c"])
    given = Table(given.words, given.vectors, given.vectors * 2, np.array([9, 4]), {"options": {"dim": 3}})
    WordVectors(given.words, given.vectors, given.output, given.counts, given.metadata).save(tmp_path / "v.npz")
    found = WordVectors.load(tmp_path / "v.npz")
    assert found.counts is not None
    assert found.output is not None
    assert found.counts.tolist() == [9, 4]
    np.testing.assert_array_equal(found.output, given.vectors * 2)
    assert found.metadata == {"kind": "word2vec", "options": {"dim": 3}}
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        text, offsets = arrays["words"].tobytes(), arrays["word_offsets"]
        assert [text[start:end].decode() for start, end in itertools.pairwise(offsets)] == ["a", "b c"]
    assert FORMATS["word2vec"].loses(found.table()) == ["output", "counts"]
    assert FORMATS["npz"].loses(found.table()) == []


# Files of other programs


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin", "vectors.glove", "vectors.npy"])
def test_files_that_gensim_wrote(name: str) -> None:
    found = WordVectors.load(GOLDEN / name)
    np.testing.assert_array_equal(found.vectors, np.load(GOLDEN / "vectors.npy"))
    assert found.words[-4:] == ("été", "слово", "言葉", "😀")


def test_files_as_word2vec_c_writes_them(tmp_path: Path) -> None:
    """A space before each newline; in the binary file a newline after each row, or not after the last."""
    (tmp_path / "c.txt").write_bytes(b"2 2\n</s> 0.5 -1.25 \nthe 1.000000 2.000000 \n")
    rows = np.array([[0.5, -1.25], [1, 2]], "<f4")
    binary = b"2 2\n</s> " + rows[0].tobytes() + b"\nthe " + rows[1].tobytes()
    (tmp_path / "c.bin").write_bytes(binary + b"\n")
    (tmp_path / "d.bin").write_bytes(binary)
    for name in ("c.txt", "c.bin", "d.bin"):
        same(read(tmp_path / name), Table(["</s>", "the"], rows))


def test_spaces_and_newlines_that_are_float_bytes_are_no_ends(tmp_path: Path) -> None:
    rows = np.frombuffer(b"    \n\n\n\n  \n ", "<f4").reshape(1, 3)
    for end in (b"", b"\n"):
        (tmp_path / "c.bin").write_bytes(b"1 3\nw " + rows.tobytes() + end)
        same(read(tmp_path / "c.bin"), Table(["w"], rows))


def test_glove_words_with_spaces_as_in_its_840b_file(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_bytes(b"the 1 2 3\nof 4 5 6\n. . . 7 8 9\nat x.com -1 -2 -3\r\n")
    found = read(tmp_path / "g.txt")
    assert found.words == ["the", "of", ". . .", "at x.com"]
    assert found.vectors[:, 0].tolist() == [1, 4, 7, -1]


def test_a_projector_folder_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "tensors.tsv").write_text("1\t2\n3\t4\n")
    (tmp_path / "labels.tsv").write_text('kind\tcount\n"a"\t7\n\nb\\t\t5\n')
    config = 'embeddings {\n tensor_name: "x"\n tensor_path: "tensors.tsv"\n metadata_path: "labels.tsv" }\n'
    (tmp_path / "projector_config.pbtxt").write_text(config)
    found = read(tmp_path)
    assert found.words == ['"a"', "b\\t"]
    assert found.counts is not None
    assert found.counts.tolist() == [7, 5]
    (tmp_path / "projector_config.pbtxt").write_text(config * 2)
    with pytest.raises(DataError, match="holds 2 embeddings"):
        read(tmp_path)
    (tmp_path / "projector_config.pbtxt").write_text(config)
    (tmp_path / "labels.tsv").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match=r"labels.tsv: 3 words for the 2 vectors of tensors.tsv"):
        read(tmp_path)


@GENSIM
def test_gensim_reads_our_text_and_binary_files(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    words = ["a", "\t", "été", "言葉", "😀", '"q"', "\u2003", "a\tb"]
    given = table(words, dim=7)
    for name, binary in (("word2vec", False), ("word2vec-binary", True)):
        write(place(tmp_path, name), given)
        found = KeyedVectors.load_word2vec_format(place(tmp_path, name), binary=binary)
        assert found.index_to_key == words
        np.testing.assert_array_equal(found.vectors, given.vectors)


@GENSIM
def test_the_fixtures_in_gensims_wheel() -> None:
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    headed = ["crime-and-punishment.vec", "toy-model.vec", "high_precision.kv.txt", "lee_fasttext.vec"]
    for name in [*headed, "high_precision.kv.bin", "euclidean_vectors.bin", "poincare_vectors.bin"]:
        found = WordVectors.load(datapath(name))
        theirs = KeyedVectors.load_word2vec_format(datapath(name), binary=name.endswith("bin"))
        assert list(found.words) == theirs.index_to_key
        np.testing.assert_array_equal(found.vectors, theirs.vectors)
    glove = WordVectors.load(datapath("test_glove.txt"))
    lines = [line.split() for line in Path(datapath("test_glove.txt")).read_text(encoding="utf-8").splitlines()]
    assert list(glove.words) == [word for word, *_ in lines]
    np.testing.assert_array_equal(glove.vectors, np.array([row for _, *row in lines], np.float32))
    with pytest.raises(DataError, match=r"the header promises 3 vectors|promises 3 words"):
        WordVectors.load(datapath("pretrained.vec"))
    with pytest.raises(DataError, match=r"modeldata:2: .* is not UTF-8"):
        WordVectors.load(datapath("w2v_keyedvectors_load_test.modeldata"), format="word2vec")
    assert len(WordVectors.load(datapath("w2v_keyedvectors_load_test.modeldata"), "word2vec", errors="replace")) == 2


def test_the_format_is_told_by_the_ending_or_named(tmp_path: Path) -> None:
    given = table(["a", "b"])
    write(tmp_path / "v.data", given, "glove")
    same(read(tmp_path / "v.data", "glove"), given)
    with pytest.raises(UsageError, match=r"the ending does not say the format; name the format, or use one of: .npz"):
        read(tmp_path / "v.data")
    with pytest.raises(UsageError, match=r'no format "glov"; there are .*; did you mean "glove"\?'):
        read(tmp_path / "v.data", "glov")
    with pytest.raises(UsageError, match="compressed files are read, not written"):
        write(tmp_path / "v.txt.gz", given)
    with pytest.raises(DataError, match="taken for a header"):
        write(tmp_path / "v.glove", Table(["12"], np.array([[34.0]], np.float32)))
    with pytest.raises(DataError, match="expected the folder of a projector"):
        read(tmp_path / "v.data", "projector")
    with pytest.raises(DataError, match=r"w\.data: no such file$"):
        read(tmp_path / "w.data", "word2vec")
    with pytest.raises(CheckpointError, match="no such file"):
        read(tmp_path / "w.npz")


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_told_and_leaves_what_was_there(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place(tmp_path, name), table(["a", "b"]))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write(place(tmp_path, name), table(["c", "d"]))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before
