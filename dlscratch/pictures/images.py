"""Which inputs are images, and what they look like."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets import Preprocessor

LEAST_SIDE = 4
LEAST_COLUMNS = 64  # fewer numbered columns of a table are measurements rather than pixels
LARGEST_SIDE = 96  # of a thumbnail
CHANNELS = (1, 3, 4)

Shape = tuple[int, int, int]  # height, width, channels


def image_shape(preprocessor: Preprocessor) -> tuple[Shape, bool] | None:
    """Height, width and channels of one input, and whether the channels come first; None where it is no image.

    Arrays (H, W), (H, W, C) and (C, H, W) are images, as they are in the file or as the model sees them; so is a table
    whose columns are a square number of pixels: one name with the numbers of a place, such as `pixel_0_7`.
    """
    if getattr(preprocessor, "ids", False):
        return None
    if preprocessor.feature_names:
        return _square_of(preprocessor.feature_names)
    shapes = [tuple(getattr(preprocessor, "raw_shape", ())), preprocessor.input_shape]
    return next(filter(None, map(_of_shape, shapes)), None)


def _of_shape(shape: Sequence[int]) -> tuple[Shape, bool] | None:
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3:
        return None
    first = shape[0] in CHANNELS and shape[2] not in CHANNELS
    height, width, channels = (*shape[1:], shape[0]) if first else shape
    return ((height, width, channels), first) if channels in CHANNELS and min(height, width) >= LEAST_SIDE else None


def _square_of(names: Sequence[str]) -> tuple[Shape, bool] | None:
    side = math.isqrt(len(names))
    stems = {re.sub(r"[\d\W_x]+$", "", name) for name in names}
    numbered = all(name[-1:].isdigit() for name in names)
    if side * side != len(names) or len(names) < LEAST_COLUMNS or len(stems) > 1 or not numbered:
        return None
    return (side, side, 1), False


def pixels_of(inputs: Array, shape: Shape, channels_first: bool, low: float, high: float) -> Array:
    """Inputs (N, …) as bytes (N, H, W, C), `low` black and `high` white; large ones lose every second line or more."""
    height, width, channels = shape
    if channels_first:
        images = inputs.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    else:
        images = inputs.reshape(-1, height, width, channels)
    step = -(-max(height, width) // LARGEST_SIDE)
    images = images[:, ::step, ::step].astype(np.float64)
    scaled = (images - low) * (255 / (high - low if high > low else 1.0))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def brightness(inputs: Array) -> tuple[float, float]:
    """The values that are black and white: 0 and 255 for bytes, 0 and 1 for fractions, else the extremes."""
    if inputs.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(inputs.min(initial=0)), float(inputs.max(initial=0))
    return low, max(high, 1.0)
