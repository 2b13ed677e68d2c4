"""A training step in PyTorch, eager."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from steps import MOMENTUM, RATES


class Torch:
    """A module with our weights, its loss and optimizer."""

    def __init__(
        self, module: torch.nn.Module, weights: Mapping[str, np.ndarray], optimizer: str, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        module.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
        self.model, self.loss = module, torch.nn.CrossEntropyLoss()
        parameters, lr = module.parameters(), RATES[optimizer]
        adam = optimizer == "adam"
        self.optimizer = torch.optim.Adam(parameters, lr) if adam else torch.optim.SGD(parameters, lr, MOMENTUM)

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(x), torch.from_numpy(y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()
