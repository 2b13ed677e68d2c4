"""Two processes that share a batch give the same bits as one, whatever happens between two batches."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
from processes import children

from dlscratch import backend, datasets, nn, optim
from dlscratch.autograd import Tensor, no_grad, sharding
from dlscratch.autograd.halves import Halves
from dlscratch.errors import GradientError
from dlscratch.nn import functional as F
from dlscratch.nn import parallel
from dlscratch.nn.functional import convolution, normalization
from dlscratch.nn.options import REQUIRED
from dlscratch.nn.sequential import layers_of
from dlscratch.training import Epoch, fit

CONV = {"kernel_size": 3, "padding": 1}
BLOCK = {"residual": [{"conv2d": {"out_channels": 6, **CONV}}, "batch_norm2d", "relu"]}
SHAPE = (2, 9, 8)
SIZES = [8, 5, 8, 14, 6, 2, 1, 12]  # odd ones, larger ones and smaller ones than the first

Named = dict[str, np.ndarray]


class Scale(nn.Layer):
    """A layer of one's own: y = weight · x, whose gradient the engine sums over the batch."""

    def create(self, shape: Any, site: Any) -> None:
        self.weights["weight"] = site.parameter("weight", (1,), None, default=nn.initializers.Ones())

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        return x * self.weights["weight"]


class Shift(nn.Layer):
    """y = x + shift, where asked for; it may be halved, for it says so."""

    halves = True

    shift: float = REQUIRED
    wanted: bool = True

    def create(self, shape: Any, site: Any) -> None:
        self.weights["weight"] = site.parameter("weight", (1,), None, default=nn.initializers.Ones())

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        return x + self.shift


class Apart(Scale):
    """One that treats each example by itself, as it says, but does not say that it may be halved."""

    apart = True


POOLS = {"max_pool2d": {"kernel_size": 2}}, {"avg_pool2d": {"kernel_size": 2, "padding": 1}}
STRIDES = {"conv2d": {"out_channels": 8, "kernel_size": 3, "stride": 2}}
GROUPS = {"conv2d": {"out_channels": 4, "kernel_size": 3, "groups": 2, "stride": 2, "padding": 2}}
PIXELS = {"conv2d": {"out_channels": 3, "kernel_size": 1}}
NETWORKS: dict[str, tuple[list[Any], int]] = {  # and how many of the layers a second process helps with
    "padding and pooling": (["conv", "relu", POOLS[0], "conv", "gelu", POOLS[1], "flatten"], 7),
    "strides and groups": ([STRIDES, "tanh", GROUPS, "flatten", "linear"], 4),
    "kernels of one pixel": (["conv", PIXELS, "silu", "global_avg_pool2d"], 4),
    "batch norm": (["conv", "batch_norm2d", "relu", "conv", "batch_norm2d", "relu", "flatten", "linear"], 7),
    "batch norm of rows": (["conv", "relu", "global_avg_pool2d", "batch_norm1d", "sigmoid", "linear", "relu"], 5),
    "residual": (["conv", BLOCK, BLOCK, {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}}, "flatten"], 5),
    "dropout": (["conv", {"dropout": {"p": 0.3}}, "relu", "flatten", "dropout", "linear", "dropout"], 5),
    "softmax": (["conv", {"softmax": {"dim": 1}}, "flatten", "log_softmax"], 4),
    "layer norm of rows": (["conv", "batch_norm2d", "relu", "flatten", "linear", "layer_norm", "relu", "linear"], 4),
    "layer norm of images": (["conv", "batch_norm2d", "conv", "relu", "layer_norm", "flatten", "linear"], 2),
    "layer norm in one shard with all": (["conv", "relu", "layer_norm", "flatten", "linear"], 0),
    "a layer of one's own": (["conv", "batch_norm2d", "relu", Scale, "conv", "batch_norm2d", "flatten", "linear"], 3),
    "one of one's own apart": (["conv", "batch_norm2d", Apart, "relu", "flatten", "linear"], 2),
    "one of one's own first": ([Scale, "conv", "relu", "flatten", "linear"], 0),
    "no convolution": (["flatten", {"linear": {"out_features": 30}}, "batch_norm1d", "relu", "linear"], 0),
}
SHORT = {"conv": {"conv2d": {"out_channels": 6, **CONV}}, "linear": {"linear": {"out_features": 5}}}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The smallest work is worth a second process, and none is left behind."""
    monkeypatch.setattr(parallel, "LEAST", 1)
    yield
    assert children() == []


@pytest.fixture(params=["whole", "cut"])
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches as they are, and cut in as many parts as large ones are."""
    if request.param == "cut":
        monkeypatch.setattr(sharding, "CACHED", 3000)
        monkeypatch.setattr(convolution, "SHARED", 0)
        monkeypatch.setattr(convolution, "TOGETHER", 8000)
        monkeypatch.setattr(normalization, "SHARED", 0)
        monkeypatch.setattr(normalization, "BLOCK", 500)


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that two processes have shared."""
    sizes: list[int] = []
    call = Halves.__call__

    def counted(halves: Halves, x: Tensor, rng: Any) -> Tensor:
        sizes.append(len(x.data))
        return call(halves, x, rng)

    monkeypatch.setattr(Halves, "__call__", counted)
    return sizes


def network(layers: list[Any], dtype: str = "float32", shape: tuple[int, ...] = SHAPE) -> nn.Sequential:
    made = [each() if isinstance(each, type) else layers_of([SHORT.get(str(each), each)])[0] for each in layers]
    return nn.Sequential(*made, input_shape=shape, seed=1, dtype=dtype)


@contextmanager
def shared(model: nn.Sequential, threads: int = 2) -> Iterator[None]:
    """A block of data_parallel; one thread: in one process."""
    with backend.limit_threads(threads, blas=1), nn.data_parallel(model):
        yield


def batches(sizes: list[int], dtype: str = "float32", shape: tuple[int, ...] = SHAPE) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.standard_normal((size, *shape)).astype(dtype) for size in sizes]


def step(model: nn.Sequential, x: np.ndarray, optimizer: Any, rng: np.random.Generator | None = None) -> Named:
    """Output and gradients of a step."""
    optimizer.zero_grad()
    y = model(x, training=True, rng=rng)
    y.backward(np.cos(np.arange(y.size).reshape(y.shape)).astype(x.dtype))
    gradients = {name: p.grad for name, p in model.named_parameters().items()}
    optimizer.step()
    return {"y": y.numpy(), **gradients}


def trained(
    model: nn.Sequential, threads: int, sizes: list[int] = SIZES, dtype: str = "float32", adam: bool = False
) -> list[Named]:
    """All that some steps give, and the state after them."""
    parameters = model.named_parameters()
    optimizer = optim.Adam(parameters, lr=0.01) if adam else optim.SGD(parameters, lr=0.01, momentum=0.9)
    rng = np.random.default_rng(3)
    with shared(model, threads):
        steps = [step(model, x, optimizer, rng) for x in batches(sizes, dtype)]
    return [*steps, model.state_dict(), {"drawn": rng.random(3)}]


def assert_same(found: list[Named], expected: list[Named]) -> None:
    assert [list(each) for each in found] == [list(each) for each in expected]
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=f"{number}: {name}")


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


def gave(change: Callable[[int, nn.Sequential], Any], threads: int, layers: list[Any] | None = None) -> list[Named]:
    """What steps give before each of which the model is changed, and which batch it is for is told."""
    model = network(layers or NETWORKS["batch norm"][0])
    optimizer = optim.SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    found, rng = [], np.random.default_rng(4)
    with shared(model, threads):
        for number, x in enumerate(batches([8] * 6)):
            with change(number, model) or nullcontext():
                found.append(step(model, x, optimizer, rng))
    return [*found, model.state_dict()]


def freeze(number: int, model: nn.Sequential) -> None:
    """Other parameters are frozen each time: every third, the first ones, in the end all that are shared."""
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad = (number % 3 == 0 or index % 3 != number % 3) and not (number == 4 and index < 8)
        if number == 5:
            parameter.requires_grad = index == 9


def replace_data(number: int, model: nn.Sequential) -> None:
    for parameter in model.parameters()[number % 2 :: 2]:
        parameter.data = parameter.data * 0.9 + 0.01 * number


def load(number: int, model: nn.Sequential) -> None:
    model.load_state_dict({name: array * 0.9 for name, array in model.state_dict().items()})


def replace_parameter(number: int, model: nn.Sequential) -> None:
    if number % 2:
        weight = model[3].weights["weight"]
        model[3].weights["weight"] = Tensor(weight.data * 0.5, requires_grad=True)


def replace_layer(number: int, model: nn.Sequential) -> None:
    if number == 2:
        model.layers[5] = nn.Tanh()
        model.layers[5].build(model[4].output_shape)


def drop_more(number: int, model: nn.Sequential) -> None:
    model[1].p = 0.1 * number


def forward_only(number: int, model: nn.Sequential) -> None:
    for x in batches([8, 7, 10][: number % 4]):
        model(x, training=True, rng=np.random.default_rng(number))


def infer(number: int, model: nn.Sequential) -> None:
    for x in batches([8, 7, 10][: number % 4]):
        model(x)


def fewer_threads(number: int, model: nn.Sequential) -> Any:
    return backend.limit_threads(1, blas=1) if number % 2 else None


def save(number: int, model: nn.Sequential) -> None:
    """Copies are models of their own, without a second process, which train on elsewhere."""
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        if other.layers is not model.layers:
            assert other.partner is None
            for parameter in other.parameters():
                parameter._mutate()[...] = 0


def tie(number: int, model: nn.Sequential) -> None:
    model[3].weights["weight"] = model[1][0].weights["weight"]


CHANGES: dict[str, tuple[Callable[[int, nn.Sequential], Any], list[Any], int]] = {  # and how many batches are shared
    "frozen parameters": (freeze, NETWORKS["batch norm"][0], 6),
    "other values": (replace_data, NETWORKS["batch norm"][0], 6),
    "another state": (load, NETWORKS["batch norm"][0], 6),
    "other parameters": (replace_parameter, NETWORKS["batch norm"][0], 6),
    "another layer": (replace_layer, NETWORKS["batch norm"][0], 6),
    "another option": (drop_more, ["conv", {"dropout": {"p": 0.3}}, "conv", "flatten", "linear"], 6),
    "no way back": (forward_only, NETWORKS["batch norm"][0], 6 + 1 + 1 + 2 + 1),
    "inference": (infer, NETWORKS["batch norm"][0], 6),
    "fewer threads": (fewer_threads, NETWORKS["batch norm"][0], 3),
    "copies": (save, NETWORKS["batch norm"][0], 6),
    "tied weights": (tie, ["conv", BLOCK, "relu", "conv", "flatten"], 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_between_two_steps(helped: list[int], name: str) -> None:
    change, layers, count = CHANGES[name]
    one, two = (gave(change, threads, layers) for threads in (1, 2))
    assert_same(two, one)
    assert len(helped) == count


def test_images_of_other_sizes_and_types() -> None:
    """What is not like the first batch may not fit into the memory that both see."""

    def all_of(threads: int) -> list[Named]:
        model, found = network(["conv", "batch_norm2d", "relu", "conv"]), []
        with shared(model, threads):
            for dtype, shape in ("float32", SHAPE), ("float32", (2, 21, 30)), ("float64", SHAPE), ("float32", SHAPE):
                y = model(Tensor(batches([8], dtype, shape)[0]), training=True)
                model.zero_grad()
                y.sum().backward()
                found.append({"y": y.numpy(), **{name: p.grad for name, p in model.named_parameters().items()}})
        return found

    assert_same(all_of(2), all_of(1))


def test_images_that_want_a_gradient_and_a_graph_that_nobody_wants(helped: list[int]) -> None:
    model = network(NETWORKS["batch norm"][0])
    [images] = batches([8])
    with shared(model):
        x = Tensor(images, requires_grad=True)
        model(x, training=True).sum().backward()
        with no_grad():  # also when it is the first that there is
            assert not model(images, training=True).requires_grad
        assert helped == []
        y = model(images, training=True)
        with no_grad():
            assert not model(images, training=True).requires_grad
        assert helped == [8]
        y.sum().backward()
    assert x.grad.any()


def test_a_parameter_without_a_use_has_no_gradient() -> None:
    model = network(["conv", "relu"])
    model = nn.Sequential(*model.layers, Shift(shift=0.5), nn.Conv2d(out_channels=3, kernel_size=3), input_shape=SHAPE)
    with shared(model):
        y = model(batches([8])[0], training=True)
        assert len(model.partner.layers) == 4
        y.sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters().items()}
    assert grads.pop("2.weight") is None
    assert all(np.any(grad) for grad in grads.values())


def test_a_gradient_can_be_asked_for_again(helped: list[int]) -> None:
    model, twice = (network(NETWORKS["residual"][0], "float64") for _ in range(2))
    [images] = batches([8], "float64")
    with shared(model):
        y = model(images, training=True)
        y.sum().backward()
        (2 * y).sum().backward()
    y = twice(images, training=True)
    (3 * y).sum().backward()
    for ours, expected in zip(model.parameters(), twice.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, expected.grad, rtol=1e-9, atol=1e-9)
    assert helped == [8]


def test_a_gradient_that_comes_too_late() -> None:
    model = network(NETWORKS["batch norm"][0])
    with shared(model):
        first = model(batches([8])[0], training=True).sum()
        second = model(batches([8])[0], training=True).sum()
        with pytest.raises(GradientError, match="after another batch of theirs"):
            first.backward()
        second.backward()  # nothing is wrong with this one
        third = model(batches([8])[0], training=True).sum()
    with pytest.raises(GradientError, match="after the second of them has ended"):
        third.backward()


def test_blocks_one_after_the_other_and_in_each_other(helped: list[int]) -> None:
    model, plain = network(NETWORKS["batch norm"][0]), network(NETWORKS["batch norm"][0])
    for threads, each in (2, model), (1, plain):
        optimizer = optim.SGD(each.named_parameters(), lr=0.05)
        for x in batches([4, 8, 6]):
            with shared(each, threads):
                with shared(each, threads), nn.data_parallel(nn.ReLU()):
                    step(each, x, optimizer)
                step(each, x, optimizer)
            step(each, x, optimizer)
    assert_same([model.state_dict()], [plain.state_dict()])
    assert helped == [4, 4, 8, 8, 6, 6]


def test_a_model_inside_another(helped: list[int]) -> None:
    """Each has a block of its own, and the inner one a process from before."""

    def all_of(threads: int) -> list[Named]:
        inner = network(["conv", "batch_norm2d", "relu"])
        outer = nn.Sequential(inner, *network(["flatten", "linear"], shape=(6, 9, 8)).layers, input_shape=SHAPE)
        found = []
        with shared(inner, threads), shared(outer, threads):
            for model, x in zip([inner, outer, inner, outer], batches([8, 6, 4, 8]), strict=True):
                found.append(step(model, x, optim.SGD(model.named_parameters(), lr=0.01)))
        return found

    assert_same(all_of(4), all_of(1))  # so many threads that a half has several
    assert helped == [8, 6, 4, 8]


def test_after_a_block_the_parameters_are_nobody_elses() -> None:
    """What is forked afterwards, to try something, has copies of its own as ever."""
    import os

    model = network(["conv", "flatten", "linear"])
    with shared(model):
        model(batches([8])[0], training=True)
    before = model.state_dict()
    pid = os.fork()
    if pid == 0:
        for parameter in model.parameters():
            parameter._mutate()[...] = 0
        os._exit(0)
    os.waitpid(pid, 0)
    assert_same([model.state_dict()], [before])


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
