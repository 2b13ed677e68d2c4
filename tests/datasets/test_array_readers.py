"""IDX and NPZ reading: files written byte by byte come back, and a false header costs no memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlscratch.datasets import IdxReader, NpzReader, fingerprint, read_idx
from dlscratch.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    """An IDX file, by the format's description."""
    head = struct.pack(">BBBB", 0, 0, CODES[array.dtype.str[1:]], array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


arrays = st.sampled_from(sorted(CODES)).flatmap(lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(max_dims=4)))


@given(array=arrays, packed=st.booleans())
def test_idx_comes_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape


@pytest.fixture
def mnist(tmp_path):
    """Six images and labels."""
    images = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3)
    (tmp_path / "images").write_bytes(idx(images))
    (tmp_path / "labels").write_bytes(idx(np.arange(6, dtype=np.uint8)))
    return tmp_path


def test_images_and_labels(mnist):
    data = IdxReader("images", "labels").read(base=mnist)
    assert data.inputs.shape == (6, 2, 3)
    assert data.inputs.dtype == np.uint8
    assert data.targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert IdxReader("images").read(mnist).targets is None


def complaint(read, folder) -> str:
    with pytest.raises(DataError) as caught:
        read(folder)
    return str(caught.value).replace(f"{folder}/", "")


def claim(*shape: int) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 0x08, len(shape), *shape)


BAD_IDX = {
    "empty": (b"", "images: is not an IDX file (it begins with nothing)"),
    "a picture": (b"\x89PNG....", "images: is not an IDX file (it begins with 89 50 4e 47)"),
    "short header": (b"\0\0\x08\x03\0\0", "images: ends inside its header of 3 dimensions"),
    "huge": (
        claim(10**6, 10**3, 10**3),
        "images: the header promises 1000000 x 1000 x 1000 values of 1 bytes, more than the file's 16 bytes can hold",
    ),
    "truncated": (
        claim(2, 3) + b"12345",
        "images: the header promises 2 x 3 values of 1 bytes, more than the file's 17 bytes can hold",
    ),
    "too long": (claim(2, 3) + b"1234567", "images: the header promises 2 x 3 values (6 bytes), but more bytes follow"),
    "none": (claim(0, 3), "images: holds no examples"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx_files(tmp_path, content, expected):
    (tmp_path / "images").write_bytes(content)
    assert complaint(IdxReader("images").read, tmp_path) == expected


def test_a_packed_file_that_ends_early(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(claim(2, 3) + b"12345"))
    expected = "a.gz: the header promises 2 x 3 values (6 bytes), but only 5 bytes follow"
    assert complaint(IdxReader("a.gz").read, tmp_path) == expected


def test_false_headers_and_bombs_cost_no_memory(tmp_path):
    bomb = gzip.compress(claim(1000) + bytes(100_000_000))
    (tmp_path / "bomb.gz").write_bytes(bomb)
    (tmp_path / "liar.gz").write_bytes(gzip.compress(claim(10**6, 10**3, 10**3)))
    tracemalloc.start()
    try:
        assert "more bytes follow" in complaint(IdxReader("bomb.gz").read, tmp_path)
        assert "can hold" in complaint(IdxReader("liar.gz").read, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_labels_that_do_not_fit(mnist):
    (mnist / "labels").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    assert complaint(IdxReader("images", "labels").read, mnist) == "labels: 5 labels, but images holds 6 images"


numbers = hnp.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf")


@given(array=hnp.arrays(numbers, hnp.array_shapes()), packed=st.booleans())
def test_npz_comes_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    (np.savez_compressed if packed else np.savez)(path, x=np.asfortranarray(array), label=np.arange(len(array)))
    data = NpzReader(str(path), target="label").read()
    assert data.inputs.dtype == array.dtype
    assert data.inputs.tobytes() == array.tobytes()
    assert data.targets.tolist() == list(range(len(array)))


def test_bad_npz_files(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 2)), y=np.zeros(3), short=np.zeros(2))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, []], dtype=object))
    (tmp_path / "text.npz").write_text("hello")
    assert complaint(NpzReader("a.npz", inputs="image").read, tmp_path) == (
        'a.npz: there is no array "image"; the arrays are "images", "y", "short"; did you mean "images"?'
    )
    assert complaint(NpzReader("a.npz", inputs="images", target="short").read, tmp_path) == (
        'a.npz: "short" has shape (2,), but "images" has shape (3, 2); the first sizes must agree'
    )
    assert complaint(NpzReader("objects.npz").read, tmp_path) == (
        "objects.npz: array 'x' holds Python objects (a pickle), which could run code and is never loaded; "
        "save it as numbers or text, such as x.astype(float)"
    )
    assert complaint(NpzReader("text.npz").read, tmp_path) == (
        "text.npz: expected an .npz file, got something else"
    )
    assert complaint(NpzReader("b.npz").read, tmp_path) == "b.npz: no such file"


def test_an_altered_npz_file(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((50, 2)), y=np.zeros(50))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[300] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    assert "a.npz: array 'x' is damaged or cut short: Bad CRC-32" in complaint(NpzReader("a.npz").read, tmp_path)


def test_an_npz_header_that_claims_too_much(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"shape": (10**12,), "fortran_order": False, "descr": "<f8"})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", head.getvalue())
    expected = "a.npz: array 'x': its header and its size in the file disagree"
    assert complaint(NpzReader("a.npz").read, tmp_path) == expected


def test_fingerprint(mnist):
    files = IdxReader("images", "labels").files(mnist)
    assert fingerprint(files) == {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
