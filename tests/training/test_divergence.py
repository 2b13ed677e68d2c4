"""`examine`: a step done once more names the first op that gave NaN or Inf, with its inputs, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.autograd import Node, engine
from dlscratch.datasets import Batches
from dlscratch.errors import ShapeError
from dlscratch.nn import (
    BatchNorm1d,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Linear,
    Loss,
    MaxPool2d,
    MSELoss,
    ReLU,
    Residual,
    Sequential,
)
from dlscratch.optim import SGD
from dlscratch.training import TrainingState, fit
from dlscratch.training.divergence import Range, Story, examine

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
CLASSES = np.arange(6) % 3


def network(seed: int = 0) -> Sequential:
    return Sequential(
        Linear(out_features=5), BatchNorm1d(), ReLU(), Residual(Dropout(0.5), Linear(out_features=5)),
        Linear(out_features=3), input_shape=4, seed=seed,
    )  # fmt: skip


def story_of(model: Sequential, x=X, y=CLASSES, loss=None, seed: int = 0, step: int = 7) -> Story:
    state = TrainingState(step=step)
    return examine(model, loss or CrossEntropyLoss(), x, y, lr=0.1, seed=seed, state=state, batches=1)


class Unsteady(Loss):
    """A loss that is finite with an infinite slope: √x at 0."""

    def __call__(self, output, target):
        return ((output * 0) ** 2).sum().sqrt() + output.mean()


class Twice(Loss):
    """A loss whose two gradients are finite while their sum is not."""

    def __call__(self, output, target):
        total = (output * 0).sum()
        return total * 2e38 + total * 2e38


def one_layer(scale: float) -> Sequential:
    model = Sequential(Linear(out_features=1), input_shape=4)
    model[0].weights["weight"]._mutate()[...] = scale
    return model


def with_wild(name: str, value: float = 3e38) -> Sequential:
    model = network()
    model.named_parameters()[name]._mutate()[...] = value
    return model


ZEROS = np.zeros((6, 1), np.float32)
PLANTED = {
    "the first layer": (with_wild("0.weight"), X, CLASSES, None, ("forward", "0", "Linear", "output")),
    "inside": (with_wild("3.1.weight"), X, CLASSES, None, ("forward", "3.1", "Linear", "output")),
    "the loss": (one_layer(1.0), X, ZEROS + 1e20, MSELoss(), ("forward", "loss", "Mse", "output")),
    "slope": (one_layer(1.0), X, ZEROS, Unsteady(), ("backward", "loss", "Sqrt", "gradient of x")),
    "weights": (one_layer(1e-10), X * 0 + 1e25, ZEROS, MSELoss(),
                ("backward", "0", "Linear", "gradient of weight (0.weight)")),
    "sum": (one_layer(1.0), X, ZEROS, Twice(), ("backward", "loss", "Sum", "sum of the gradients of its output")),
    "parameter": (with_wild("4.bias", np.inf), X, CLASSES, None, ("parameters", "", "", "4.bias")),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_the_first_bad_op_is_named_with_its_inputs(name: str) -> None:
    model, x, y, loss, expected = PLANTED[name]
    story = story_of(model, x, y, loss)
    first = story.first
    assert story.error is not None
    assert (first.during, first.layer, first.op, first.array) == expected
    assert not first.range.finite
    assert all(found.finite for found in first.inputs.values())
    before = [layer.path for layer in story.layers].index(first.layer) if first.during == "forward" else 0
    assert all(layer.output.finite for layer in story.layers[:before])


def test_the_ranges_are_those_of_the_arrays() -> None:
    model, x, y, loss, _ = PLANTED["weights"]
    w, b = (p.numpy() for p in model.parameters())
    first = story_of(model, x, y, loss).first
    g = 2 / 6 * (x @ w.T + b)
    assert first.inputs["x"] == Range.of(x)
    assert first.inputs["weight (0.weight)"] == Range((1, 4), float(w.min()), float(w.max()), 0, 0)
    assert first.inputs["gradient"].shape == (6, 1)
    assert first.inputs["gradient"].max == pytest.approx(g.max(), rel=1e-6)
    assert Range.of(np.array([np.nan, 2.0, -np.inf, -1.0, np.inf])) == Range((5,), -1.0, 2.0, 1, 2)


def test_a_step_that_goes_well_is_the_step_of_fit() -> None:
    def step(seed: int, number: int) -> float:
        model, batches, state = network(), Batches(X, CLASSES, 6), TrainingState(step=number)
        optimizer = SGD(model.named_parameters())
        return next(fit(model, CrossEntropyLoss(), optimizer, batches, epochs=1, seed=seed, state=state)).loss

    for seed, number in ((0, 7), (0, 8), (1, 7)):
        story = story_of(network(), seed=seed, step=number)
        assert (story.error, story.first) == (None, None)
        assert story.layers[-1].output.min == step(seed, number)
    stories = [story_of(network(), step=number) for number in (7, 7, 8)]  # dropout repeats
    assert stories[0] == stories[1] != stories[2]


def test_a_batch_that_is_computed_in_parts_is_told_of_as_one() -> None:
    def pictures() -> Sequential:
        convolution, linear = Conv2d(out_channels=8, kernel_size=3, padding=1), Linear(out_features=3)
        return Sequential(convolution, ReLU(), MaxPool2d(2), Flatten(), linear, input_shape=(3, 16, 16))

    x, y = np.random.default_rng(0).standard_normal((128, 3, 16, 16)).astype(np.float32), np.arange(128) % 3
    story, model = story_of(pictures(), x, y), pictures()
    outputs = [x]
    for layer in model:
        outputs.append(layer(outputs[-1]).data)
    for passage, output in zip(story.layers, outputs[1:], strict=False):
        assert passage.output == Range.of(output)
        assert passage.gradient.shape == output.shape
    model[0].weights["weight"]._mutate()[...] = 3e38
    first = story_of(model, x, y).first
    assert (first.during, first.layer, first.array) == ("forward", "0", "output")
    assert {"weight (0.weight)", "bias (0.bias)"} <= set(first.inputs)


def test_the_watcher_leaves_no_trace() -> None:
    model = with_wild("0.weight")
    story_of(model)
    with pytest.raises(ShapeError):
        story_of(model, x=X[:, :3])
    assert engine.Node is Node
    assert not any("forward" in vars(layer) for _, layer in model.named_layers())
