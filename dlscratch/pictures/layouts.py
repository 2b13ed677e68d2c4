"""Where words lie on a map: PCA by our own code, t-SNE and UMAP by the libraries of the extra `map`."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from dlscratch.backend import Array
from dlscratch.errors import MissingExtraError, UsageError
from dlscratch.pictures.projection import pca

Method = Literal["pca", "tsne", "umap"]
Tell = Callable[[str, float | None], None]

PERPLEXITY = NEIGHBOURS = 30
TSNE_ROUNDS = 1000
DIMENSIONS_BEFORE_TSNE = 50
FEWEST_WORDS = 5


class Layout(NamedTuple):
    """Positions (V, 2), what each axis shows, and whether its numbers mean something."""

    positions: Array
    axes: tuple[str, str]
    measured: bool


def silent(phase: str, share: float | None) -> None:
    """For whoever does not want to hear."""


def lay_out(x: Array, method: Method = "pca", seed: int = 0, tell: Tell = silent) -> Layout:
    """A place in the plane for each row of x (V, D); `tell` hears the phase and, where it is known, the share done."""
    if method not in LAYOUTS:
        raise UsageError(f'no projection "{method}"; there are {", ".join(LAYOUTS)}')
    if method != "pca" and len(x) < FEWEST_WORDS:
        raise UsageError(f"{method} needs {FEWEST_WORDS} words or more, got {len(x)}; take pca")
    return LAYOUTS[method](x, seed, tell)


def _pca(x: Array, seed: int, tell: Tell) -> Layout:
    tell("PCA", None)
    found = pca(x)
    first, second = (
        f"{name} principal component, {share:.1%} of the variance"
        for name, share in zip(("first", "second"), found.explained, strict=True)
    )
    return Layout(found.coordinates, (first, second), True)


def _tsne(x: Array, seed: int, tell: Tell) -> Layout:
    """t-SNE of van der Maaten (2014), after PCA to 50 dimensions, as its author advises."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise MissingExtraError("scikit-learn", "map", "t-SNE") from None

    reduced = pca(x, min(DIMENSIONS_BEFORE_TSNE, *x.shape)).coordinates.astype(np.float32)
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=TSNE_ROUNDS, verbose=2)
    with _heard(r"Iteration (\d+):", TSNE_ROUNDS, "t-SNE", tell):
        positions = model.fit_transform(reduced)
    return Layout(_centred(positions), ("t-SNE, first axis (no unit)", "t-SNE, second axis (no unit)"), False)


def _umap(x: Array, seed: int, tell: Tell) -> Layout:
    """UMAP of McInnes, Healy and Melville (2018) by cosine."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import umap
    except ImportError:
        raise MissingExtraError("umap-learn", "map", "UMAP") from None

    model = umap.UMAP(
        n_neighbors=min(NEIGHBOURS, len(x) - 1),
        metric="cosine",
        random_state=seed,
        n_jobs=1,
        init="spectral" if len(x) > 4 * NEIGHBOURS else "random",
        verbose=True,
        tqdm_kwds={"bar_format": "{percentage:.0f}%", "mininterval": 0.5},
    )
    with warnings.catch_warnings(), _heard(r"(\d+)%", 100, "UMAP", tell):
        warnings.simplefilter("ignore")
        positions = model.fit_transform(x.astype(np.float32))
    return Layout(_centred(positions), ("UMAP, first axis (no unit)", "UMAP, second axis (no unit)"), False)


LAYOUTS: dict[Method, Callable[[Array, int, Tell], Layout]] = {"pca": _pca, "tsne": _tsne, "umap": _umap}


def _centred(positions: Array) -> Array:
    """In float64 around the origin."""
    x = positions.astype(np.float64)
    x -= x.mean(axis=0)
    return x


class _Listener(io.StringIO):
    """A stream that hears how far a library says it is, and forgets the text."""

    def __init__(self, pattern: str, total: int, phase: str, tell: Tell) -> None:
        super().__init__()
        self.pattern, self.total, self.phase, self.report = re.compile(pattern), total, phase, tell

    def write(self, text: str) -> int:
        for found in self.pattern.findall(text):
            self.report(self.phase, min(1.0, int(found) / self.total))
        return len(text)


@contextlib.contextmanager
def _heard(pattern: str, total: int, phase: str, tell: Tell) -> Iterator[None]:
    """Inside, what a library prints is progress; nothing of it reaches the terminal."""
    tell(phase, None)
    listener = _Listener(pattern, total, phase, tell)
    with contextlib.redirect_stdout(listener), contextlib.redirect_stderr(listener):
        yield
