"""Two processes that share a batch give the same bits as one, and what is right."""

from __future__ import annotations

import numpy as np
import pytest
from halved import NETWORKS, SHAPE, SIZES, assert_same, batches, network, shared, trained

from dlscratch import backend, datasets, nn, optim
from dlscratch.autograd import Tensor, sharding
from dlscratch.nn import functional as F
from dlscratch.nn.functional import convolution, normalization
from dlscratch.training import Epoch, fit

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(params=["whole", "cut"])
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches as they are, and cut in as many parts as large ones are."""
    if request.param == "cut":
        monkeypatch.setattr(sharding, "CACHED", 3000)
        monkeypatch.setattr(convolution, "SHARED", 0)
        monkeypatch.setattr(convolution, "TOGETHER", 8000)
        monkeypatch.setattr(normalization, "SHARED", 0)
        monkeypatch.setattr(normalization, "BLOCK", 500)


@pytest.mark.usefixtures("_parts")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits(helped: list[int], name: str) -> None:
    layers, count = NETWORKS[name]
    sizes = [size for size in SIZES if size > 1] if "norm1d" in str(layers) else SIZES
    adam = len(name) % 2 == 0
    one = trained(network(layers), 1, sizes, adam=adam)
    for threads in (2, 3, 4):
        assert helped == []
        assert_same(trained(network(layers), threads, sizes, adam=adam), one)
        assert helped == [size for size in sizes if size % 2 == 0 and count]
        helped.clear()


@pytest.mark.parametrize("name", NETWORKS)
def test_how_many_layers_are_shared(name: str) -> None:
    layers, count = NETWORKS[name]
    model = network(layers)
    with shared(model):
        model(batches([4])[0], training=True, rng=np.random.default_rng(0))
        assert (len(model.partner.layers) if model.partner.halves else 0) == count


@pytest.mark.parametrize("name", ["batch norm", "strides and groups", "dropout"])
def test_the_same_bits_in_float64(helped: list[int], name: str) -> None:
    layers, _ = NETWORKS[name]
    one, two = (trained(network(layers, "float64"), threads, dtype="float64") for threads in (1, 2))
    assert_same(two, one)
    assert one[0]["y"].dtype == "float64"
    assert len(helped) == 6


@pytest.mark.parametrize("size", [2, 4, 6, 30, 66])
@pytest.mark.parametrize("kernel", [2, 3])
def test_images_of_any_number(helped: list[int], size: int, kernel: int) -> None:
    """BLAS computes a row of a product in ways that depend on how many there are."""
    for stride, outputs in (1, 4), (2, 6), (2, 32), (3, 3):
        layers = ["conv", "relu"]
        layers += [{"conv2d": {"out_channels": outputs, "kernel_size": kernel, "stride": stride}}, "tanh", "flatten"]
        one, two = (trained(network(layers, "float64"), threads, [size], "float64") for threads in (1, 2))
        assert_same(two, one)
    assert helped == [size] * 4


def test_statistics_are_those_of_the_whole_batch(helped: list[int]) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((10, *SHAPE)) + np.repeat([0.0, 7.0], 5)[:, None, None, None]  # halves that differ
    x[:, 1] *= 3
    model = network([{"batch_norm2d": {"momentum": None}}, "conv"], "float64")
    with shared(model):
        seen = model(x, training=True).numpy()
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(model[0].buffers["running_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(model[0].buffers["running_var"], var, rtol=1e-12)
    z = (x - mean[:, None, None]) / np.sqrt(x.var((0, 2, 3)) + 1e-5)[:, None, None]
    expected = F.conv2d(Tensor(z), *model[1].weights.values(), padding=1).numpy()
    np.testing.assert_allclose(seen, expected, rtol=1e-9, atol=1e-12)
    assert helped == [10]


@pytest.mark.parametrize("name", ["batch norm", "batch norm of rows", "residual", "strides and groups"])
def test_gradients_are_slopes(helped: list[int], name: str) -> None:
    """Central differences of a loss that two processes compute, along random directions of all parameters."""
    model = network(NETWORKS[name][0], "float64")
    rng = np.random.default_rng(6)
    [x] = batches([6], "float64")
    with shared(model):

        def loss() -> Tensor:
            y = model(x, training=True)
            return (y * Tensor(np.cos(np.arange(y.size)).reshape(y.shape))).sum()

        loss().backward()
        for _ in range(5):
            moves = [rng.standard_normal(p.shape) for p in model.parameters()]
            slope = sum(float(np.sum(p.grad * move)) for p, move in zip(model.parameters(), moves, strict=True))
            sides = []
            for sign in (1, -2):
                for parameter, move in zip(model.parameters(), moves, strict=True):
                    parameter._mutate()[...] += sign * 1e-6 * move
                sides.append(loss().item())
            for parameter, move in zip(model.parameters(), moves, strict=True):
                parameter._mutate()[...] += 1e-6 * move
            assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)
    assert len(helped) == 11


def test_fit_gives_the_same_bits(helped: list[int]) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((45, *SHAPE), np.float32), np.arange(45) % 5
    found = []
    for threads in (1, 2):
        model = network(NETWORKS["dropout"][0])
        optimizer = optim.AdamW(model.named_parameters(), lr=0.01)
        train, others = datasets.Batches(x, y, 10, shuffle=True), datasets.Batches(x[:20], y[:20], 8)
        with backend.limit_threads(threads, blas=1):
            options = {"epochs": 2, "validation": others, "clip_norm": 0.5, "restore_best": True}
            records = [*fit(model, nn.CrossEntropyLoss(), optimizer, train, **options)]
        steps = [(r.loss, r.gradient_norm) for r in records if not isinstance(r, Epoch)]
        values = [r.values for r in records if isinstance(r, Epoch)]
        found.append((steps, values, {name: array.tobytes() for name, array in model.state_dict().items()}))
    assert found[0] == found[1]
    assert helped == [10, 10, 10, 10] * 2  # and 5, in one process
