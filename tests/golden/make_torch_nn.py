"""Writes torch_nn.npz: what PyTorch computes for ops, layers and losses. Run it where PyTorch is installed.

    python tests/golden/make_torch_nn.py

For each case: "case/x" and the other operands, "case/y" the output, "case/g" the gradient that goes into backward(),
and "case/d_…" the gradients of the operands, all in float64. "cases" tells options.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as TF

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "conv_plain": ((2, 3, 6, 5), (4, 3, 3, 3), {}),
    "conv_one": ((2, 3, 4, 4), (4, 3, 1, 1), {}),
    "conv_stride": ((2, 2, 7, 8), (3, 2, 3, 2), {"stride": (2, 3)}),
    "conv_padding": ((2, 2, 5, 4), (3, 2, 3, 3), {"padding": (1, 2)}),
    "conv_dilation": ((2, 2, 8, 7), (3, 2, 3, 2), {"dilation": (2, 3)}),
    "conv_groups": ((2, 4, 5, 5), (6, 2, 3, 3), {"groups": 2}),
    "conv_depthwise": ((2, 3, 5, 5), (6, 1, 3, 3), {"groups": 3, "padding": 1, "stride": 2}),
    "conv_all": ((2, 4, 9, 8), (6, 2, 3, 2), {"stride": 2, "padding": (2, 1), "dilation": (1, 2), "groups": 2}),
    "conv_same": ((2, 2, 5, 6), (3, 2, 3, 3), {"padding": "same"}),
    "conv_same_even": ((2, 2, 5, 6), (3, 2, 2, 4), {"padding": "same"}),
    "conv_same_dilated": ((2, 2, 6, 6), (3, 2, 3, 3), {"padding": "same", "dilation": 2}),
}
POOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "max_pool_plain": ("max_pool2d", {"kernel_size": 2}),
    "max_pool_padding": ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    "max_pool_pairs": ("max_pool2d", {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}),
    "avg_pool_plain": ("avg_pool2d", {"kernel_size": 2}),
    "avg_pool_padding": ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    "avg_pool_inside": ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    "avg_pool_pairs": ("avg_pool2d", {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
}
WEIGHT = [0.5, 1.0, 2.0, 1.5]
LOSS_CASES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "ce_plain": ("cross_entropy", (6, 4), {}),
    "ce_weight": ("cross_entropy", (6, 4), {"weight": WEIGHT}),
    "ce_smoothing": ("cross_entropy", (6, 4), {"label_smoothing": 0.2}),
    "ce_ignore": ("cross_entropy", (6, 4), {"ignore_index": 1}),
    "ce_all": ("cross_entropy", (9, 4), {"weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": 2}),
    "ce_sum": ("cross_entropy", (6, 4), {"weight": WEIGHT, "reduction": "sum"}),
    "ce_none": ("cross_entropy", (6, 4), {"label_smoothing": 0.1, "ignore_index": 0, "reduction": "none"}),
    "ce_axes": ("cross_entropy", (2, 4, 3, 2), {"weight": WEIGHT, "ignore_index": 3}),
    "ce_many": ("cross_entropy", (3, 80), {}),
    "nll_plain": ("nll_loss", (6, 4), {}),
    "nll_all": ("nll_loss", (6, 4), {"weight": WEIGHT, "ignore_index": 1}),
    "nll_none": ("nll_loss", (2, 4, 3), {"weight": WEIGHT, "reduction": "none"}),
    "bce_plain": ("binary_cross_entropy_with_logits", (5, 3), {}),
    "bce_weight": ("binary_cross_entropy_with_logits", (5, 3), {"pos_weight": [0.5, 2.0, 3.0]}),
    "bce_sum": ("binary_cross_entropy_with_logits", (5,), {"reduction": "sum"}),
    "mse_plain": ("mse_loss", (5, 3), {}),
    "mse_sum": ("mse_loss", (5, 1), {"reduction": "sum"}),
    "mse_none": ("mse_loss", (5,), {"reduction": "none"}),
    "l1_plain": ("l1_loss", (5, 3), {}),
    "huber_plain": ("huber_loss", (5, 3), {}),
    "huber_delta": ("huber_loss", (5, 3), {"delta": 0.5}),
}
TIES: dict[str, list[Any]] = {
    "amax": [[1, 3, 3], [2, 2, 2]],
    "maximum": [-1, 0, 2],
    "minimum": [-1, 0, 2],
    "clip": [-2, -1, 0, 1, 2],
    "abs": [-1, 0, 2],
    "square": [-1, 0, 2],
    "power_zero": [-1, 0, 2],
    "base_zero": [0, 1, 2],
    "relu_zero": [-1, 0, 2],
}
NETWORK_INPUT = (4, 1, 10, 10)

OUT = Path(__file__).parent / "torch_nn.npz"
arrays: dict[str, np.ndarray] = {}
rng = np.random.default_rng(2)


def normal(*shape: int) -> torch.Tensor:
    return torch.tensor(rng.standard_normal(shape), requires_grad=True)


def record(case: str, y: torch.Tensor, **operands: torch.Tensor) -> None:
    """Run backward from random weights and keep all."""
    g = torch.tensor(rng.standard_normal(tuple(y.shape)))
    y.backward(g)
    arrays[f"{case}/y"], arrays[f"{case}/g"] = y.detach().numpy(), g.numpy()
    for name, x in operands.items():
        arrays[f"{case}/{name}"] = x.detach().numpy()
        if x.grad is not None:
            arrays[f"{case}/d_{name}"] = x.grad.numpy()


def activations() -> None:
    functions = {
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "leaky_relu": lambda x: TF.leaky_relu(x, 0.2),
        "gelu": TF.gelu,
        "gelu_tanh": lambda x: TF.gelu(x, approximate="tanh"),
        "silu": TF.silu,
        "softplus": lambda x: TF.softplus(x, beta=2.0, threshold=1e9),
        "softmax": lambda x: torch.softmax(x, 1),
        "log_softmax": lambda x: torch.log_softmax(x, 1),
        "tanh": torch.tanh,
    }
    for name, function in functions.items():
        x = torch.tensor(np.append(rng.standard_normal(39) * 4, [0.0]).reshape(2, 5, 4), requires_grad=True)
        record(name, function(x), x=x)


def images() -> None:
    for case, (shape, weight, options) in CONVOLUTIONS.items():
        x, w, b = normal(*shape), normal(*weight), normal(weight[0])
        record(case, TF.conv2d(x, w, b, **options), x=x, weight=w, bias=b)
    for case, (kind, options) in POOLS.items():
        x = torch.tensor(rng.integers(-3, 4, (2, 3, 7, 6)).astype(float), requires_grad=True)  # with many ties
        record(case, getattr(TF, kind)(x, **options), x=x)
    x = normal(2, 3, 4, 5)
    record("global_avg_pool2d", TF.adaptive_avg_pool2d(x, 1).flatten(1), x=x)


def normalization() -> None:
    for case, shape in {"batch_norm1d": (6, 4), "batch_norm1d_long": (3, 4, 5), "batch_norm2d": (3, 4, 2, 5)}.items():
        kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
        layer = kind(4).double()
        with torch.no_grad():
            layer.weight[:], layer.bias[:] = normal(4), normal(4)
        for _ in range(2):  # two batches, so that the running statistics move twice
            x = normal(*shape)
            layer.zero_grad()
            record(case, layer(x), x=x, weight=layer.weight, bias=layer.bias)
            arrays.setdefault(f"{case}/first_x", x.detach().numpy())
        arrays.update({f"{case}/{name}": b.numpy().copy() for name, b in layer.named_buffers()})
        x = normal(*shape)
        layer.zero_grad()
        record(f"{case}_eval", layer.eval()(x), x=x, weight=layer.weight, bias=layer.bias)
    x, w, b = normal(2, 3, 4), normal(3, 4), normal(3, 4)
    record("layer_norm", TF.layer_norm(x, (3, 4), w, b), x=x, weight=w, bias=b)


def dense() -> None:
    x, w, b = normal(2, 3, 5), normal(4, 5), normal(4)
    record("linear", TF.linear(x, w, b), x=x, weight=w, bias=b)
    w, index = normal(6, 3), torch.tensor([[0, 2, 2], [5, 2, 0]])
    record("embedding", TF.embedding(index, w), weight=w, x=index)


def losses() -> None:
    for case, (kind, shape, options) in LOSS_CASES.items():
        x = normal(*shape)
        options = {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in options.items()}
        if kind in ("cross_entropy", "nll_loss"):
            target = torch.tensor(rng.integers(0, shape[1], (shape[0], *shape[2:])))
        elif kind == "binary_cross_entropy_with_logits":
            target = torch.tensor(rng.uniform(0, 1, shape).round(1))
        else:
            target = torch.tensor(rng.standard_normal(shape))
        record(case, getattr(TF, kind)(x, target, **options), x=x, target=target)


def edges() -> None:
    """Points where a definition decides: equal elements, zeros."""
    for case, values in TIES.items():
        x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        y = {
            "amax": lambda x: torch.amax(x, 1),
            "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
            "minimum": lambda x: torch.minimum(x, torch.zeros_like(x)),
            "clip": lambda x: torch.clip(x, -1, 1),
            "abs": torch.abs,
            "square": lambda x: x**2,
            "power_zero": lambda x: x**0,
            "base_zero": lambda x: torch.zeros_like(x) ** x,
            "relu_zero": torch.relu,
        }[case](x)
        record(f"edge_{case}", y, x=x)


def network() -> None:
    """A whole Sequential with every family of layers, in float32 as well."""
    torch.manual_seed(0)
    n = torch.nn
    model = n.Sequential(
        n.Conv2d(1, 4, 3, padding=1), n.BatchNorm2d(4), n.ReLU(), n.MaxPool2d(2), n.Conv2d(4, 6, 3, stride=2),
        n.GELU(), n.Flatten(), n.LayerNorm(24), n.Linear(24, 8), n.Sequential(n.Linear(8, 8), n.SiLU()), n.Linear(8, 3),
    )  # fmt: skip
    x, target = torch.tensor(rng.standard_normal(NETWORK_INPUT), dtype=torch.float32), torch.tensor([0, 2, 1, 1])
    arrays["network/x"], arrays["network/target"] = x.numpy(), target.numpy()
    arrays.update({f"network/state/{k}": v.numpy().copy() for k, v in model.state_dict().items()})
    loss = TF.cross_entropy(model(x), target)
    loss.backward()
    arrays["network/loss"] = loss.detach().numpy()
    arrays.update({f"network/grad/{k}": p.grad.numpy() for k, p in model.named_parameters()})
    arrays.update({f"network/after/{k}": b.numpy().copy() for k, b in model.named_buffers()})
    arrays["network/eval"] = model.eval()(x).detach().numpy()


for part in (activations, images, normalization, dense, losses, edges, network):
    part()
arrays["cases"] = np.array(json.dumps({"convolutions": CONVOLUTIONS, "pools": POOLS, "losses": LOSS_CASES}))
np.savez_compressed(OUT, **arrays)
print(OUT.name, torch.__version__, f"{OUT.stat().st_size / 1000:.0f} kB, {len(arrays)} arrays")
