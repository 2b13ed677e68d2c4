"""Arrays as PNG images, in a dozen lines: https://www.w3.org/TR/png-3/."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from dlscratch.backend import Array

COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # grey, RGB, RGBA


def png(pixels: Array) -> bytes:
    """A PNG of bytes (H, W, 1, 3 or 4)."""
    height, width, channels = pixels.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each line begins with its filter: 0, none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(pixels: Array) -> str:
    """The same PNG, as the address of an image in a page."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
