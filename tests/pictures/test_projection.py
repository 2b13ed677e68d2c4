"""PCA, Procrustes and k-means against their definitions and against other people's code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.errors import MissingExtraError, UsageError
from dlscratch.pictures.layouts import lay_out
from dlscratch.pictures.projection import kmeans, pca, procrustes, units

RNG = np.random.default_rng(0)


def sample(rows: int = 60, columns: int = 7, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)) * np.arange(1, columns + 1) + rng.normal(size=columns)


def rotation(size: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def test_pca_is_the_singular_value_decomposition() -> None:
    x = sample()
    u, s, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    found = pca(x, 3)
    signs = np.sign((found.axes * vt[:3]).sum(axis=1))
    np.testing.assert_allclose(found.axes, signs[:, None] * vt[:3], atol=1e-10)
    np.testing.assert_allclose(found.coordinates, (u * s)[:, :3] * signs, atol=1e-10)
    np.testing.assert_allclose(found.explained, (s**2 / (s**2).sum())[:3])


def test_pca_is_that_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = sample()
    found, theirs = pca(x), decomposition.PCA(2).fit(x)
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(theirs.transform(x)), atol=1e-10)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_)


@given(st.integers(0, 1000))
def test_the_signs_of_pca_do_not_depend_on_those_of_the_solver(seed: int) -> None:
    x = sample(seed=seed)
    axes = pca(x).axes
    assert (axes[[0, 1], np.abs(axes).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(pca(x[::-1]).axes, axes, atol=1e-8)


def test_other_rows_are_projected_to_the_same_places() -> None:
    found = pca(sample())
    np.testing.assert_allclose(found.project(sample()), found.coordinates)


@pytest.mark.parametrize("x", [np.ones((5, 3)), np.zeros((2, 2)), np.arange(4.0)[:, None], np.ones((1, 4))])
def test_pca_of_little(x: np.ndarray) -> None:
    found = pca(x)
    assert found.coordinates.shape == (len(x), 2)
    assert np.isfinite(found.coordinates).all()
    assert np.isfinite(found.explained).all()


@given(st.integers(2, 9), st.integers(0, 1000))
def test_procrustes_finds_a_rotation_again(size: int, seed: int) -> None:
    x, turned = sample(30, size, seed), rotation(size, seed)
    np.testing.assert_allclose(procrustes(x, x @ turned), turned, atol=1e-8)


def test_no_other_rotation_is_closer_than_that_of_procrustes() -> None:
    x, y = sample(seed=1), sample(seed=2)
    found = procrustes(x, y)
    np.testing.assert_allclose(found @ found.T, np.eye(7), atol=1e-12)
    least = ((x @ found - y) ** 2).sum()
    assert all(((x @ rotation(7, seed) - y) ** 2).sum() > least for seed in range(100))


def test_kmeans_finds_groups_and_orders_them_by_size() -> None:
    sizes = (50, 30, 20)
    truth = np.repeat([2, 0, 1], sizes)
    x = units(rotation(8, 0)[truth] + RNG.normal(size=(100, 8)) * 0.05)
    found = kmeans(x, 3)
    np.testing.assert_array_equal(found.labels, np.repeat([0, 1, 2], sizes))
    np.testing.assert_allclose(found.centres, rotation(8, 0)[[2, 0, 1]], atol=0.05)


def test_kmeans_is_deterministic_and_ends_where_each_row_has_its_closest_centre() -> None:
    x = units(sample(200, 5))
    found, again = kmeans(x, 4, seed=3), kmeans(x, 4, seed=3)
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal((x.astype(np.float32) @ found.centres.T).argmax(axis=1), found.labels)


def test_kmeans_of_equal_rows_is_one_cluster() -> None:
    assert set(kmeans(np.tile([1.0, 0.0], (9, 1)), 4).labels) == {0}


def test_a_row_of_zeros_stays_one() -> None:
    np.testing.assert_allclose(units(np.array([[0.0, 0.0], [3.0, 4.0]])), [[0, 0], [0.6, 0.8]])


def test_tsne_keeps_groups_together_and_tells_how_far_it_is() -> None:
    pytest.importorskip("sklearn")
    groups = np.repeat(np.eye(3), 20, axis=0)
    shares: list[float | None] = []
    x = units(groups + RNG.normal(size=(60, 3)) * 0.01)
    found = lay_out(x, "tsne", 0, lambda phase, share: shares.append(share))
    assert shares[0] is None
    assert shares[-1] == 1
    middles = found.positions.reshape(3, 20, 2).mean(axis=1)
    closest = ((found.positions[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(closest, np.repeat([0, 1, 2], 20))


def test_an_extra_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, method in (("sklearn.manifold", "tsne"), ("umap", "umap")):
        monkeypatch.setitem(__import__("sys").modules, module, None)
        with pytest.raises(MissingExtraError, match=r"pip install 'dlscratch\[map\]'$"):
            lay_out(sample(), method)  # type: ignore[arg-type]


def test_too_few_words_for_tsne() -> None:
    with pytest.raises(UsageError, match="tsne needs 5 words or more, got 4; take pca"):
        lay_out(sample(4), "tsne")
