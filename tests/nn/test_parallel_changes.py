"""Whatever happens between two batches that two processes share, the bits are those of one."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from halved import BLOCK, NETWORKS, SHAPE, Named, assert_same, batches, network, shared, step

from dlscratch import backend, nn, optim
from dlscratch.autograd import Tensor, no_grad
from dlscratch.errors import GradientError
from dlscratch.nn.options import REQUIRED

pytestmark = pytest.mark.usefixtures("at_once")


class Shift(nn.Layer):
    """y = x + shift, where asked for; it may be halved, for it says so."""

    halves = True

    shift: float = REQUIRED
    wanted: bool = True

    def create(self, shape: Any, site: Any) -> None:
        self.weights["weight"] = site.parameter("weight", (1,), None, default=nn.initializers.Ones())

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        return x + self.shift


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


def test_an_older_graph_hears_that_its_values_are_gone():
    model = network(NETWORKS["batch norm"][0])
    even, odd = batches([8, 7])
    with shared(model):
        model(even, training=True)
        old = model(odd, training=True)
        model.parameters()[0].data = model.parameters()[0].numpy() + 1
        model(even, training=True)  # writes the new values where the old ones were
        with pytest.raises(GradientError, match="changed in place"):
            old.backward(np.ones(old.shape, old.dtype))
