"""The training of configs/digits.yaml as a PyTorch user would write it: the peer of whole_process.py."""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH = 40, 64


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def main() -> None:
    source, target = sys.argv[1:]
    torch.manual_seed(0)
    data = np.loadtxt(source, delimiter=",", skiprows=1, dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(data))
    test, validation, train = np.split(order, [int(0.2 * len(data)), int(0.3 * len(data))])
    parts = {}
    for name, rows in {"train": train, "validation": validation, "test": test}.items():
        parts[name] = torch.from_numpy(data[rows, :-1] / 16), torch.from_numpy(data[rows, -1].astype(np.int64))
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.4), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    x, y = parts["train"]
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
        schedule.step()
        reached = accuracy(model, *parts["validation"])
        print(f"epoch {epoch}/{EPOCHS} loss {total / len(x):.4f} val_accuracy {reached:.4f}")
        if reached >= best:
            best = reached
            torch.save(model.state_dict(), target)
    model.load_state_dict(torch.load(target))
    print(f"test accuracy {accuracy(model, *parts['test']):.4f}")


if __name__ == "__main__":
    main()
