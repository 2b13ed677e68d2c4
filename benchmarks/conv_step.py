"""One training step of convolutional networks beside PyTorch eager: SGD with momentum, three batch sizes.

    pip install '.[bench]' && python benchmarks/conv_step.py

A LeNet-like network for 28 × 28 grey images, and a small residual network with batch normalization for 28 × 28 grey
and 32 × 32 colour images. Both sides start from the same weights and see the same batches; the losses of 100 steps must
agree. Then they run in turns, each in a process of its own, with the same number of threads.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from peers.torch_step import Torch
from steps import Ours, case, header, summary, work

from dlscratch import backend, nn

PEERS = ("pytorch",)
BATCHES = (16, 64, 256)
IMAGES = {"lenet": (1, 28, 28), "residual 28": (1, 28, 28), "residual 32": (3, 32, 32)}


def ours(network: str) -> nn.Sequential:
    conv = {"kernel_size": 3, "padding": 1}
    lenet: list[Any] = [
        {"conv2d": {"out_channels": 16, **conv}}, "relu", {"max_pool2d": {"kernel_size": 2}},
        {"conv2d": {"out_channels": 32, **conv}}, "relu", {"max_pool2d": {"kernel_size": 2}},
        "flatten", {"linear": {"out_features": 128}}, "relu", {"linear": {"out_features": 10}},
    ]  # fmt: skip
    block = [
        {"conv2d": {"out_channels": 16, **conv}}, "batch_norm2d", "relu",
        {"conv2d": {"out_channels": 16, **conv}}, "batch_norm2d",
    ]  # fmt: skip
    residual: list[Any] = [
        {"conv2d": {"out_channels": 16, **conv}}, "batch_norm2d", "relu", {"residual": block}, "relu",
        {"residual": block}, "relu", {"max_pool2d": {"kernel_size": 2}},
        {"conv2d": {"out_channels": 32, **conv}}, "batch_norm2d", "relu",
        "global_avg_pool2d", {"linear": {"out_features": 10}},
    ]  # fmt: skip
    return nn.Sequential.from_architecture(lenet if network == "lenet" else residual, IMAGES[network])


class Residual(torch.nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x


class GlobalAverage(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def peer(network: str) -> torch.nn.Module:
    t = torch.nn

    def conv(inputs: int, outputs: int) -> torch.nn.Module:
        return t.Conv2d(inputs, outputs, 3, padding=1)

    def block() -> torch.nn.Module:
        return Residual(conv(16, 16), t.BatchNorm2d(16), t.ReLU(), conv(16, 16), t.BatchNorm2d(16))

    if network == "lenet":
        return t.Sequential(
            conv(1, 16), t.ReLU(), t.MaxPool2d(2), conv(16, 32), t.ReLU(), t.MaxPool2d(2),
            t.Flatten(), t.Linear(32 * 7 * 7, 128), t.ReLU(), t.Linear(128, 10),
        )  # fmt: skip
    return t.Sequential(
        conv(IMAGES[network][0], 16), t.BatchNorm2d(16), t.ReLU(), block(), t.ReLU(), block(), t.ReLU(), t.MaxPool2d(2),
        conv(16, 32), t.BatchNorm2d(32), t.ReLU(), GlobalAverage(), t.Linear(32, 10),
    )  # fmt: skip


def steps_of(batch: int) -> int:
    """Steps in a turn: about a quarter of a second's or more."""
    return max(2, 512 // batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="alternating turns of each case")
    parser.add_argument("--threads", type=int, default=backend.cpu_count(), help="threads of both sides")
    parser.add_argument("--networks", nargs="+", choices=IMAGES, default=list(IMAGES))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, network, batch, threads = options.work
        model = ours(network)
        one = Ours(model, "sgd") if side == "ours" else Torch(peer(network), model.state_dict(), "sgd", int(threads))
        work(one, (int(batch), *IMAGES[network]), steps_of(int(batch)), int(threads))
        return
    header(options.threads, PEERS)
    cases = [(network, batch, options.threads) for network in options.networks for batch in options.batches]
    summary([
        case(f"{each[0]}, batch {each[1]}", __file__, each, PEERS, steps_of(each[1]), options.rounds) for each in cases
    ])


if __name__ == "__main__":
    main()
