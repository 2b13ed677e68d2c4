"""An MLP on MNIST as a PyTorch user would write it: the peer of whole_process.py. Arguments: the folder, the model."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH = 5, 128


def read(folder: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as float32 (N, 784) from 0 to 1, and labels."""
    images = gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{name}-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255
    return torch.from_numpy(x), torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def main() -> None:
    folder, target = Path(sys.argv[1]), sys.argv[2]
    torch.manual_seed(0)
    images, labels = read(folder, "train")
    validation, train = torch.randperm(len(images)).split([3000, len(images) - 3000])
    x, y = images[train], labels[train]
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best = 0.0
    for epoch in range(1, EPOCHS + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = loss_function(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        reached = accuracy(model, images[validation], labels[validation])
        print(f"epoch {epoch}/{EPOCHS} loss {total / len(x):.4f} val_accuracy {reached:.4f}")
        if reached >= best:
            best = reached
            torch.save(model.state_dict(), target)
    model.load_state_dict(torch.load(target))
    print(f"test accuracy {accuracy(model, *read(folder, 't10k')):.4f}")


if __name__ == "__main__":
    main()
