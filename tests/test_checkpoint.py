"""Checkpoints: exact, atomic, readable by NumPy alone, and refused in one sentence when they are not whole."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlscratch import checkpoint
from dlscratch.errors import CheckpointError, OutputError

ARRAYS = {
    "0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "optimizer/exp_avg/0.weight": np.linspace(0, 1, 5),
    "empty": np.zeros((0, 3), np.int64),
    "scalar": np.array(2.5),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
}
METADATA = {"kind": "model", "classes": ["é", "<b>"], "epoch": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model.npz", ARRAYS, METADATA)
    return tmp_path / "model.npz"


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(
        a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k], equal_nan=True) for k in a
    )


def test_what_is_saved_is_loaded(path: Path) -> None:
    arrays, metadata = checkpoint.load(path)
    assert same(arrays, ARRAYS)
    assert METADATA.items() <= metadata.items()
    assert METADATA.items() <= checkpoint.load_metadata(path).items()


def test_numpy_alone_opens_it(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        assert same({name: file[name] for name in ARRAYS}, ARRAYS)
        assert b'"format": "dlscratch"' in file["metadata"].tobytes()


def test_each_array_has_its_sha256(path: Path) -> None:
    facts = checkpoint.load_metadata(path)["arrays"]
    expected = hashlib.sha256(np.ascontiguousarray(ARRAYS["fortran"]).tobytes()).hexdigest()
    assert facts["fortran"] == {"dtype": "<i8", "shape": [2, 3], "sha256": expected}


def test_equal_contents_make_equal_files(path: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "again.npz", ARRAYS, METADATA)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.int8, np.uint64, np.bool_]), hnp.array_shapes(min_dims=0, min_side=0)
    )
)
def test_any_array_survives(array: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.getbasetemp() / "any.npz"
    checkpoint.save(target, {"x": array}, {})
    assert same(checkpoint.load(target)[0], {"x": array})


def loaded_or_refused(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | CheckpointError:
    try:
        return checkpoint.load(path)
    except CheckpointError as error:
        return error


@pytest.mark.parametrize("size", [3, 300])  # small members are checked as a whole when their header is read, large not
def test_flipped_bytes_and_cuts_are_refused_or_harmless(tmp_path: Path, size: int) -> None:
    path, damaged_path, rng, refused = tmp_path / "whole.npz", tmp_path / "damaged.npz", random.Random(0), 0
    checkpoint.save(path, {**ARRAYS, "large": np.zeros((size, size))}, METADATA)
    whole, expected = path.read_bytes(), checkpoint.load(path)
    for trial in range(200):
        damaged = bytearray(whole)
        damaged[rng.choice([rng.randrange(len(whole)), rng.randrange(2000)])] ^= rng.randrange(1, 256)
        damaged_path.write_bytes(damaged[: rng.randrange(len(whole))] if trial % 3 == 0 else damaged)
        outcome = loaded_or_refused(damaged_path)
        if isinstance(outcome, CheckpointError):
            assert str(outcome).startswith(str(damaged_path))
            refused += 1
        else:
            assert same(outcome[0], expected[0])
            assert outcome[1] == expected[1]
    assert refused > 100


def rewritten(path: Path, change: dict[str, bytes | None]) -> Path:
    """The archive with members replaced, added, or (None) left out; its checksums are right."""
    target = path.with_name("altered.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        members = {name: old.read(name) for name in old.namelist()} | change
        for name, content in members.items():
            if content is not None:
                new.writestr(name, content)
    return target


def npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight.npy": npy(np.zeros((3, 4), np.float32))}, "array '0.weight' does not have the SHA-256"),
        ({"0.weight.npy": None}, "array '0.weight' is missing from the file"),
        ({"extra.npy": npy(np.zeros(3))}, "array 'extra' is in the file but not in its metadata"),
        (
            {"0.weight.npy": npy(np.array([{}], dtype=object), allow_pickle=True)},
            "array '0.weight' holds Python objects",
        ),
        ({"0.weight.npy": npy(np.zeros(5))[:-8]}, "array '0.weight': its header and its size in the file disagree"),
        ({"0.weight.npy": b"not an array"}, "array '0.weight' is damaged or cut short"),
        ({"metadata.npy": npy(np.frombuffer(b"{", np.uint8))}, "its metadata is damaged"),
        ({"metadata.npy": npy(np.frombuffer(b'{"format": "x"}', np.uint8))}, "its metadata is not of dlscratch"),
        (
            {
                "metadata.npy": npy(
                    np.frombuffer(b'{"format": "dlscratch", "format_version": 99, "written_by": "9.9"}', np.uint8)
                )
            },
            "format version 99, written by dlscratch 9.9",
        ),
        ({"metadata.npy": None}, "it has no metadata"),
        ({"data.pkl": b"\x80\x02."}, "looks like a PyTorch file"),
    ],
)
def test_an_altered_file_is_refused_by_name(path: Path, change: dict[str, bytes | None], message: str) -> None:
    with pytest.raises(CheckpointError, match=r"altered\.npz: ") as caught:
        checkpoint.load(rewritten(path, change))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (pickle.dumps({"a": 1}), "got a Python pickle, which could run code and is never opened"),
        (npy(np.zeros(3)), "got a single .npy array"),
        (b"hello", "got something else"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "x.npz")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load(tmp_path / "none.npz")


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(CheckpointError, match="refused as a decompression bomb"):
        checkpoint.load_any(tmp_path / "bomb.npz")


def test_load_any_reads_a_plain_npz(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "plain.npz", a=np.arange(3))
    arrays, metadata = checkpoint.load_any(tmp_path / "plain.npz")
    assert metadata is None
    assert arrays["a"].tolist() == [0, 1, 2]


def write_half(path: Path) -> None:
    with checkpoint.atomic_write(path) as file:
        file.write(b"half of it")
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model.npz"]


def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left on device"):
        checkpoint.save("/dev/full", {"x": np.zeros(100_000)}, {})


def test_permissions_follow_the_umask(path: Path) -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
