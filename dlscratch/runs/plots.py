"""The tensors of a file as pictures in a folder, and their numbers beside them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.checkpoint import atomic_write
from dlscratch.pictures import tensors
from dlscratch.pictures.images import image_shape
from dlscratch.runs.trained import TrainedModel

LONGEST = 80  # characters of a tensor's name in a file's name


def plot_tensors(path: str | os.PathLike[str], folder: Path) -> list[Path]:
    """Draw every tensor of an .npz file: histograms, heat maps of matrices, filters of a model's first layer.

    Each heat map and grid of filters has its numbers in a .csv of its name beside it; histograms.json and
    histograms.csv hold those of the histograms. CheckpointError: damaged. MissingExtraError: no matplotlib.
    """
    arrays, metadata = checkpoint.load_any(path)
    found = tensors.histograms(arrays)
    written = _Files(folder)
    for name, histogram in found.items():
        written.draw("histogram", name, tensors.draw_histogram(name, histogram))
        heat_map = tensors.heat_map(arrays[name])
        if heat_map is not None:
            written.draw("heatmap", name, tensors.draw_heat_map(name, heat_map), heat_map.csv())
    if metadata is not None and metadata.get("kind") == "model":
        filters = first_filters(TrainedModel.load(path))
        if filters is not None:
            written.draw("filters", filters[0], tensors.draw_filters(*filters), tensors.filters_csv(filters[1]))
    document = json.dumps(tensors.histograms_json(found), ensure_ascii=False, indent=1) + "\n"
    written.write("histograms.json", document.encode(errors="backslashreplace"))
    written.write("histograms.csv", tensors.histograms_csv(found).encode(errors="backslashreplace"))
    return written.paths


class _Files:
    """Files of a folder, each under a name of its own that is safe on any disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: list[Path] = []
        self._taken: set[str] = set()

    def draw(self, kind: str, tensor: str, picture: bytes, numbers: str = "") -> None:
        """One picture, `kind-tensor.png`, and its numbers."""
        stem = self._free(f"{kind}-{safe_name(tensor)}")
        self.write(f"{stem}.png", picture)
        if numbers:
            self.write(f"{stem}.csv", numbers.encode())

    def write(self, name: str, content: bytes) -> None:
        """One file."""
        self.paths.append(self.folder / name)
        with atomic_write(self.paths[-1]) as file:
            file.write(content)

    def _free(self, stem: str) -> str:
        """The stem, with a number where another has it (but for the case of its letters, which some disks ignore)."""
        name, number = stem, 2
        while name.lower() in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name.lower())
        return name


def safe_name(tensor: str) -> str:
    """A tensor's name as part of a file's name: letters, digits, `.`, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", tensor)[:LONGEST]


def first_filters(model: TrainedModel) -> tuple[str, Array] | None:
    """The name and the filters (N, H, W) or (N, H, W, 3) of the first layer with weights, if its inputs are images."""
    first = next(((path, layer) for path, layer in model.network.named_layers() if layer.weights), None)
    if first is None or first[1].kind not in ("conv2d", "linear"):
        return None
    path, layer = first
    weight = layer.weights["weight"].numpy()
    if layer.kind == "conv2d":
        filters = weight.transpose(0, 2, 3, 1) if weight.shape[1] == 3 else weight.reshape(-1, *weight.shape[2:])
        return f"{path}.weight", filters
    image = image_shape(model.preprocessor)
    if image is None or weight[0].size != image[0][0] * image[0][1] * image[0][2]:
        return None
    (height, width, channels), channels_first = image
    if channels_first or getattr(model.preprocessor, "channels_last", False):  # which moves them to the front
        filters = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    else:
        filters = weight.reshape(-1, height, width, channels)
    return f"{path}.weight", filters[..., 0] if channels == 1 else filters[..., :3]
