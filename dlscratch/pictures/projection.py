"""Projections of word vectors by our own arithmetic: PCA, the alignment of two spaces, and k-means.

Rows are words. Everything is deterministic: signs and seeds are fixed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlscratch.backend import Array, generator


class Pca(NamedTuple):
    """Coordinates (V, K), the axes (K, D) they are measured along, the mean (D,), and each axis's share of variance."""

    coordinates: Array
    axes: Array
    mean: Array
    explained: Array

    def project(self, x: Array) -> Array:
        """Where other rows (N, D) lie in the same picture."""
        coordinates: Array = (x - self.mean) @ self.axes.T
        return coordinates


def units(vectors: Array) -> Array:
    """The rows as unit vectors in float64; a row of zeros stays one."""
    x = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x))
    x /= np.where(lengths == 0, 1.0, lengths)[:, None]
    return x


def pca(x: Array, components: int = 2) -> Pca:
    """The directions of greatest variance of the rows x (V, D), from the eigenvectors of their covariance.

    An axis points to where its largest number is positive. Where x has fewer dimensions than `components`, the last
    axes and coordinates are zero.
    """
    x = x.astype(np.float64)
    mean = x.mean(axis=0)
    centred = x - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors.T[::-1][:components]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = np.pad(axes * np.where(largest < 0, -1.0, 1.0), ((0, components - len(axes)), (0, 0)))
    strongest = np.clip(variances[::-1][:components], 0, None)
    explained = np.pad(strongest, (0, components - len(strongest))) / (np.clip(variances, 0, None).sum() or 1.0)
    return Pca(centred @ axes.T, axes, mean, explained)


def procrustes(x: Array, y: Array) -> Array:
    """The rotation or reflection R (D, D) for which x R is closest to y: R = U Vᵀ with xᵀ y = U S Vᵀ.

    P. Schönemann (1966). Both are (V, D); distances and angles between the rows of x stay what they are.
    """
    u, _, vt = np.linalg.svd(x.astype(np.float64).T @ y.astype(np.float64))
    rotation: Array = u @ vt
    return rotation


class Clusters(NamedTuple):
    """Of each row its cluster (V,), the largest being 0; and the unit vector (K, D) in the middle of each cluster."""

    labels: Array
    centres: Array


def kmeans(x: Array, clusters: int, seed: int = 0, rounds: int = 25) -> Clusters:
    """Groups of unit vectors x (V, D) by direction: spherical k-means of Dhillon and Modha (2001).

    It starts from k-means++ and ends when no row changes its cluster, or after `rounds`.
    """
    x = x.astype(np.float32)
    centres = _starting_centres(x, min(clusters, len(x)), generator(seed, "kmeans"))
    labels = np.full(len(x), -1)
    for _ in range(rounds):
        before, labels = labels, (x @ centres.T).argmax(axis=1)
        if np.array_equal(before, labels):
            break
        members = np.zeros((len(centres), len(x)), np.float32)
        members[labels, np.arange(len(x))] = 1
        sums = members @ x
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres)
    order = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    return Clusters(np.argsort(order)[labels], centres[order])


def _starting_centres(x: Array, clusters: int, rng: np.random.Generator) -> Array:
    """k-means++ of Arthur and Vassilvitskii (2007): each next centre is a row, likelier the further from the others."""
    chosen = [int(rng.integers(len(x)))]
    distances = np.full(len(x), np.inf)
    while len(chosen) < clusters:
        distances = np.minimum(distances, np.clip(1 - x @ x[chosen[-1]], 0, None))
        total = float(distances.sum(dtype=np.float64))
        if total == 0:
            break
        reached = np.cumsum(distances, dtype=np.float64)
        chosen.append(int(np.searchsorted(reached, rng.random() * total, side="right").clip(0, len(x) - 1)))
    return x[chosen]
