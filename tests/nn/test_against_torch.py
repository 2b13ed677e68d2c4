"""Ops, layers and losses against PyTorch's numbers (tests/golden/make_torch_nn.py), in float64 and float32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dlscratch.autograd import Tensor, ops
from dlscratch.nn import (
    GELU,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    SiLU,
)
from dlscratch.nn import functional as F

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "torch_nn.npz"))
CASES = json.loads(str(GOLDEN["cases"]))
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def compare(case, function, *names, dtype="float64"):
    """function(*operands) and its gradients, against the case's y and d_…."""
    operands = []
    for name in names:
        array = GOLDEN[f"{case}/{name}"]
        wanted = f"{case}/d_{name}" in GOLDEN
        operands.append(Tensor(array, requires_grad=wanted, dtype=dtype if wanted else None))
    y = function(*operands)
    assert y.dtype == dtype
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 2e-5, "atol": 2e-5}
    np.testing.assert_allclose(y.data, GOLDEN[f"{case}/y"], **tolerance)
    y.backward(GOLDEN[f"{case}/g"].astype(dtype))
    for name, x in zip(names, operands, strict=True):
        if x.requires_grad:
            np.testing.assert_allclose(x.grad, GOLDEN[f"{case}/d_{name}"], **tolerance, err_msg=name)


ACTIVATIONS = {
    "sigmoid": F.sigmoid,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, negative_slope=0.2),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, beta=2.0),
    "softmax": lambda x: F.softmax(x, axis=1),
    "log_softmax": lambda x: F.log_softmax(x, axis=1),
    "tanh": ops.tanh,
}


@DTYPES
@pytest.mark.parametrize("case", ACTIVATIONS)
def test_activation(case, dtype):
    compare(case, ACTIVATIONS[case], "x", dtype=dtype)


def deep_tuple(value):
    return tuple(value) if isinstance(value, list) else value


def options_of(table, case):
    return {name: deep_tuple(value) for name, value in CASES[table][case][-1].items()}


@DTYPES
@pytest.mark.parametrize("case", CASES["convolutions"])
def test_conv2d(case, dtype):
    options = options_of("convolutions", case)
    compare(case, lambda x, w, b: F.conv2d(x, w, b, **options), "x", "weight", "bias", dtype=dtype)


def test_conv2d_in_many_shards_is_the_same(monkeypatch):
    monkeypatch.setattr("dlscratch.nn.functional.convolution.TOGETHER", 1)
    options = options_of("convolutions", "conv_all")
    compare("conv_all", lambda x, w, b: F.conv2d(x, w, b, **options), "x", "weight", "bias")


@DTYPES
@pytest.mark.parametrize("case", CASES["pools"])
def test_pooling(case, dtype):
    pool = getattr(F, CASES["pools"][case][0])
    compare(case, lambda x: pool(x, **options_of("pools", case)), "x", dtype=dtype)


@DTYPES
def test_global_average_pooling(dtype):
    compare("global_avg_pool2d", F.global_avg_pool2d, "x", dtype=dtype)


@DTYPES
def test_linear_embedding_and_layer_norm(dtype):
    compare("linear", F.linear, "x", "weight", "bias", dtype=dtype)
    compare("embedding", F.embedding, "weight", "x", dtype=dtype)
    compare("layer_norm", lambda x, w, b: F.layer_norm(x, w, b, axes=2), "x", "weight", "bias", dtype=dtype)


@pytest.mark.parametrize("case", ["batch_norm1d", "batch_norm1d_long", "batch_norm2d"])
@DTYPES
def test_batch_norm_in_training_and_evaluation(case, dtype):
    layer = (BatchNorm2d if case.endswith("2d") else BatchNorm1d)(4)
    model = Sequential(layer, input_shape=GOLDEN[f"{case}/x"].shape[1:], dtype=dtype)
    for name in "weight", "bias":
        layer.weights[name].data = GOLDEN[f"{case}/{name}"]
    model(GOLDEN[f"{case}/first_x"], training=True)
    compare(case, lambda x, w, b: F.batch_norm(x, w, b), "x", "weight", "bias", dtype=dtype)
    y = model(GOLDEN[f"{case}/x"], training=True)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(y.data, GOLDEN[f"{case}/y"], rtol=tolerance, atol=tolerance)
    for name, buffer in model.named_buffers().items():
        expected = GOLDEN[f"{case}/{name.removeprefix('0.')}"]
        np.testing.assert_allclose(buffer, expected, rtol=tolerance)
        assert buffer.dtype == (expected.dtype if "num" in name else dtype)
    evaluated = Tensor(GOLDEN[f"{case}_eval/x"], requires_grad=True, dtype=dtype)
    y = model(evaluated)
    y.backward(GOLDEN[f"{case}_eval/g"])
    np.testing.assert_allclose(y.data, GOLDEN[f"{case}_eval/y"], rtol=tolerance, atol=tolerance)
    for got, name in [(evaluated, "x"), (layer.weights["weight"], "weight"), (layer.weights["bias"], "bias")]:
        np.testing.assert_allclose(got.grad, GOLDEN[f"{case}_eval/d_{name}"], rtol=tolerance, atol=tolerance)


OURS = {
    "cross_entropy": F.cross_entropy,
    "nll_loss": F.nll,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "mse_loss": F.mse,
    "l1_loss": F.l1,
    "huber_loss": F.huber,
}


@DTYPES
@pytest.mark.parametrize("case", CASES["losses"])
def test_loss(case, dtype):
    kind, _, options = CASES["losses"][case]
    options = {name: np.array(value) if isinstance(value, list) else value for name, value in options.items()}
    compare(case, lambda x, target: OURS[kind](x, target, **options), "x", "target", dtype=dtype)


EDGES = {
    "amax": lambda x: x.max(1),
    "maximum": lambda x: ops.maximum(x, 0.0),
    "minimum": lambda x: -ops.maximum(-x, 0.0),
    "clip": lambda x: x.clip(-1, 1),
    "abs": abs,
    "square": lambda x: x**2,
    "power_zero": lambda x: x**0,
    "base_zero": lambda x: 0.0**x,
    "relu_zero": F.relu,
}


@pytest.mark.parametrize("case", EDGES)
def test_where_a_definition_decides(case):
    compare(f"edge_{case}", EDGES[case], "x")


def test_a_whole_network_with_weights_from_torch():
    model = Sequential(
        *(Conv2d(1, 4, 3, padding=1), BatchNorm2d(4), ReLU(), MaxPool2d(2), Conv2d(4, 6, 3, stride=2), GELU()),
        *(Flatten(), LayerNorm(24), Linear(24, 8), Sequential(Linear(8, 8), SiLU()), Linear(8, 3)),
        input_shape=(1, 10, 10),
    )
    state = {k.removeprefix("network/state/"): v for k, v in GOLDEN.items() if k.startswith("network/state/")}
    assert list(model.state_dict()) == list(state)
    model.load_state_dict(state)
    loss = CrossEntropyLoss()(model(GOLDEN["network/x"], training=True), GOLDEN["network/target"])
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDEN["network/loss"], rtol=1e-6)
    for name, parameter in model.named_parameters().items():
        np.testing.assert_allclose(parameter.grad, GOLDEN[f"network/grad/{name}"], rtol=2e-4, atol=2e-6, err_msg=name)
    for name, buffer in model.named_buffers().items():
        np.testing.assert_allclose(buffer, GOLDEN[f"network/after/{name}"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model(GOLDEN["network/x"]).data, GOLDEN["network/eval"], rtol=1e-5, atol=1e-6)
