"""Archives and checkpoints made to do harm: they run nothing, write nowhere else, take no memory for their claims."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile import command, little_memory, refused, written
from tiny_runs import FLOWERS, project, train

from dlscratch import checkpoint
from dlscratch.nn import sizes
from dlscratch.runs import TrainedModel

ARRAYS = "data: {npz: {path: a.npz}}\nmodel: [flatten]\noptimizer: {sgd: {lr: 0.1}}\n"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# npy headers


def npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """An npy file with this header."""
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header.encode() + data


def head(descr: str = "'<f4'", order: str = "False", shape: str = "(3,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HEADERS = {
    "huge": (npy(head(shape="(1000000000000,)"), bytes(12)), "its header and its size in the file disagree"),
    "huge in all axes": (npy(head(shape=f"({'9' * 18}, {'9' * 18})")), "its header and its size in the file disagree"),
    "beyond numbers": (npy(head(shape=f"({'9' * 5000},)")), "claims what no array has"),
    "negative": (npy(head(shape="(-3,)"), bytes(12)), "is not one of numbers or text"),
    "nothing times much": (npy(head(shape=f"(0, {'9' * 19})")), "array 'x' is damaged"),
    "too many axes": (npy(head(shape=f"({'1, ' * 70})"), bytes(4)), "array 'x' is damaged"),
    "objects": (npy(head("'|O'"), b"\x80\x04N."), "holds Python objects (a pickle), which could run code"),
    "records": (npy(head("[('a', '<f4'), ('b', '|O')]"), bytes(12)), "is not one of numbers or text"),
    "records as text": (npy(head("'f4,f4'"), bytes(24)), "expected numbers, text or times"),
    "void": (npy(head("'|V4'"), bytes(12)), "expected numbers, text or times"),
    "no size at all": (npy(head("'<U0'", shape="(1000000000000,)")), "expected numbers, text or times"),
    "unknown type": (npy(head("'<f7'"), bytes(21)), "expected numbers, text or times"),
    "code": (npy(head(shape="__import__('os').system('touch hacked')")), "is not one of numbers or text"),
    "code as type": (npy(head("exec('x')")), "is not one of numbers or text"),
    "order": (npy(head(order="'yes'"), bytes(12)), "claims what no array has"),
    "brackets": (npy(head(shape="(" * 4000 + ")" * 4000)), "is not one of numbers or text"),
    "minus signs": (npy(head(shape="-" * 9000 + "1")), "is not one of numbers or text"),
    "long": (npy(head() + " " * 60_000, bytes(12)), "its header and its size in the file disagree"),
    "longer than the file": (npy("", version=b"\2\0")[:-4] + b"\xff\xff\xff\xff", "is not one of numbers or text"),
    "empty": (npy(""), "is not one of numbers or text"),
    "no zeros in Unicode": (npy(head(shape="(٣,)"), bytes(12)), "is not one of numbers or text"),
    "version 9": (npy(head(), bytes(12), b"\x09\0"), "does not begin as an npy file does"),
    "nothing": (b"", "does not begin as an npy file does"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_npy_headers(tmp_path: Path, case: str) -> None:
    data, message = HEADERS[case]
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("x.npy", data)
        archive.writestr("y.npy", npy(head("'<i8'"), bytes(24)))
    written("c.yaml", ARRAYS)
    written("v.npy", data)
    written("v.words.txt", "a\nb\nc\n")
    assert message in refused(5, "inspect", "a.npz")
    assert message in refused(3, "check", "c.yaml")
    refused(3, "vectors", "nearest", "v.npy", "a")
    assert not (tmp_path / "hacked").exists()


GOOD = (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.array(["a", "é"]), np.array(5), np.zeros(0))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_good_headers_are_read(save: Callable[..., None]) -> None:
    for array in GOOD:
        save("a.npz", x=array)
        found = checkpoint.load_any("a.npz")[0]["x"]
        assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


# Archives


def zeros(count: int) -> bytes:
    return npy(head("'|u1'", shape=f"({count},)"), bytes(count))


def test_bombs_in_archives() -> None:
    packed = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1}
    with zipfile.ZipFile("a.npz", "w", **packed) as archive, archive.open("x.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    written("c.yaml", ARRAYS)
    for code, args in ((5, ("inspect", "a.npz")), (3, ("check", "c.yaml")), (5, ("vectors", "nearest", "a.npz", "x"))):
        message = refused(code, *args)
        assert "claim to unpack to 314572800, most of them in array 'x'; refused as a decompression bomb" in message


def test_many_names_for_the_same_bytes() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0000.npy", zeros(1_000_000))
    data = buffer.getvalue()
    start = data.index(b"PK\1\2")
    entry = data[start : data.index(b"PK\5\6")]
    entries = b"".join(entry.replace(b"0000", b"%04d" % number) for number in range(2000))
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2000, 2000, len(entries), start, 0)
    written("a.npz", data[:start] + entries + end)
    assert "claim to unpack to 2000" in refused(5, "inspect", "a.npz")


def test_a_member_that_unpacks_to_more_than_it_claims() -> None:
    packed = zlib.compressobj(wbits=-15)
    data = packed.compress(zeros(100) + bytes(30_000_000)) + packed.flush()
    sizes = 20, 0, 8, 0, 33, zlib.crc32(zeros(100)), len(data), len(zeros(100)), 5
    local = struct.pack("<4s5H3I2H", b"PK\3\4", *sizes, 0) + b"x.npy"
    central = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *sizes, 0, 0, 0, 0, 0, 0) + b"x.npy"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    written("a.npz", local + data + central + end)
    with little_memory():
        assert checkpoint.load_any("a.npz")[0]["x"].size == 100  # and no byte of the others


NAMES = ["../outside", "/tmp/outside", "..\\outside", "a/../../outside", "CON", "\x1b[2J", "", " ", "..", "é" * 200]


def test_names_in_archives_are_never_paths(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    inside = tmp_path / "inside" / "deep"
    inside.mkdir(parents=True)
    checkpoint.save(inside / "a.npz", {name: np.arange(4.0) for name in NAMES}, {"kind": "odd"})
    ending = command("inspect", inside / "a.npz", "--plots", inside / "plots")
    assert ending.code == 0, ending
    assert all(name in checkpoint.load(inside / "a.npz")[0] for name in NAMES)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != inside / "plots"]
    assert outside == [inside / "a.npz"]
    assert len(list((inside / "plots").iterdir())) == len(NAMES) + 2
    assert not Path("/tmp/outside.npy").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["x.npy", "x.npy"], "array 'x' is in the file twice"),
        (["x.npy", "data.pkl"], "member 'data.pkl' is not an array; it looks like a PyTorch file"),
        (["x.npy", "../x.py"], "member '../x.py' is not an array"),
        ([], "an archive without arrays"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_members(members: list[str], message: str) -> None:
    with zipfile.ZipFile("a.npz", "w") as archive:
        for name in members:
            archive.writestr(name, npy(head(), bytes(12)))
    if members:
        assert message in refused(5, "inspect", "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings(method: int) -> None:
    with zipfile.ZipFile("a.npz", "w", method) as archive:
        archive.writestr("x.npy", npy(head(), bytes(12)))
    assert "array 'x' is packed in a way that no .npz is" in refused(5, "inspect", "a.npz")


# Checkpoints


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(project(folder, FLOWERS), folder / "run", "training.epochs=1")
    return folder


def resealed(path: Path, change: Callable[[bytes], bytes], seal: bool = True) -> Path:
    """The checkpoint with its metadata's text changed, its checksums right, and its digest right, too, or as it was."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile("made.npz", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "metadata.npy":
                text = change(np.lib.format.read_array(io.BytesIO(data)).tobytes())
                data = npy(head("'|u1'", shape=f"({len(text)},)"), text)
                new.comment = checkpoint._seal(text) if seal else old.comment
            new.writestr(name, data)
    return Path("made.npz")


def test_metadata_that_were_altered_are_noticed_by_their_digest(run: Path) -> None:
    made = resealed(run / "run" / "best.npz", lambda text: text.replace(b'"seed": 1', b'"seed": 2'), seal=False)
    assert "its metadata does not have the SHA-256 it was saved with; it was altered" in refused(5, "inspect", made)
    made = resealed(run / "run" / "best.npz", lambda text: text.replace(b'"seed": 1', b'"seed": 2'))
    assert command("inspect", made).code == 0


def test_a_file_without_a_digest_is_read_as_before(run: Path) -> None:
    arrays, metadata = checkpoint.load(run / "run" / "best.npz")
    with zipfile.ZipFile(run / "run" / "best.npz") as old, zipfile.ZipFile("made.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert checkpoint.load("made.npz")[1] == metadata
    assert len(TrainedModel.load("made.npz").network.parameters()) < len(arrays)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "its metadata is damaged"),
        (b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}", "nested deeper than 100 levels"),
        (b'{"x": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", "nested deeper than 100 levels"),
        (b'{"x": ' + b"9" * 100_000 + b"}", "its metadata is damaged"),
        (b"\xff\xfe{}", "its metadata is damaged"),
        (b"[]", "its metadata is not of dlscratch"),
        (b'{"format": "dlscratch", "format_version": true}', "its metadata has no list of arrays"),
        (b'{"format": "dlscratch", "format_version": 1e999}', "its metadata is not of dlscratch"),
        (b'{"format": "dlscratch", "format_version": 1, "arrays": {"a": []}}', "its metadata has no list of arrays"),
    ],
)
def test_metadata_that_no_program_wrote(run: Path, text: bytes, message: str) -> None:
    assert message in refused(5, "inspect", resealed(run / "run" / "best.npz", lambda _: text))


def test_metadata_are_not_read_when_they_are_huge(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MOST_METADATA", 1000)
    assert "its metadata has" in refused(5, "inspect", run / "run" / "best.npz")


def test_half_characters_come_back(run: Path) -> None:
    checkpoint.save("a.npz", {}, {"path": "\udcff\ud800"})
    assert checkpoint.load_metadata("a.npz")["path"] == "\udcff\ud800"


HUGE_MODELS = {
    "weights": [{"linear": {"out_features": 10**12}}],
    "weights in the middle": [{"linear": {"out_features": 50_000}}, {"linear": {"out_features": 50_000}}],
    "embedding": [{"embedding": {"num_embeddings": 10**12, "embedding_dim": 4}}],
    "padding": [{"reshape": {"shape": [1, 2, 2]}}, {"conv2d": {"out_channels": 1, "kernel_size": 1, "padding": 10**9}}],
    "padding that a stride hides": [
        {"reshape": {"shape": [1, 2, 2]}},
        {"conv2d": {"out_channels": 1, "kernel_size": 1, "padding": 10**6, "stride": 10**6}},
    ],
    "same": [
        {"reshape": {"shape": [1, 2, 2]}},
        {"conv2d": {"out_channels": 1, "kernel_size": 2, "padding": "same", "dilation": 10**9}},
    ],
    "windows": [
        {"reshape": {"shape": [1, 2, 2]}},
        {"max_pool2d": {"kernel_size": 10**6, "padding": 5 * 10**5}},
    ],
    "axes": [{"reshape": {"shape": [1] * 70}}],
    "numbers without a text": [{"linear": {"out_features": 10**4000}}, {"linear": {"out_features": 10**4000}}],
}


@pytest.mark.parametrize("case", HUGE_MODELS)
def test_models_that_claim_more_than_was_stored_with_them(run: Path, case: str) -> None:
    def change(text: bytes) -> bytes:
        return json.dumps({**json.loads(text), "architecture": HUGE_MODELS[case]}).encode()

    made = resealed(run / "run" / "best.npz", change)
    for args in (("predict", made, run / "flowers.csv"), ("inspect", made), ("graph", made)):
        assert "layers[" in refused(5, *args)


@pytest.mark.parametrize("case", HUGE_MODELS)
def test_models_that_no_machine_can_train(case: str) -> None:
    np.savez("a.npz", x=np.ones((40, 4)), y=np.arange(40) % 2)
    written("c.yaml", ARRAYS.replace("[flatten]", json.dumps(HUGE_MODELS[case])).replace("a.npz}", "a.npz}, test: 0"))
    assert "layers[" in refused(2, "check", "c.yaml")


def test_the_memory_that_a_process_may_have_counts() -> None:
    assert 1 << 20 < sizes.memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
