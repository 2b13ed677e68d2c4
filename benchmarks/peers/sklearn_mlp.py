"""A training step of a fully connected network with scikit-learn's MLPClassifier: one batch for each partial_fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.neural_network import MLPClassifier
from steps import MOMENTUM, RATES


class Sklearn:
    """A network with ReLU between linear layers, whose weights have PyTorch's names; cross-entropy; SGD or Adam."""

    def __init__(self, weights: Mapping[str, np.ndarray], optimizer: str, batch: int) -> None:
        matrices = [array.T for name, array in weights.items() if name.endswith("weight")]
        biases = [array for name, array in weights.items() if name.endswith("bias")]
        self.model = MLPClassifier(
            tuple(len(bias) for bias in biases[:-1]), solver=optimizer, learning_rate_init=RATES[optimizer], alpha=0,
            momentum=MOMENTUM, nesterovs_momentum=False, batch_size=batch, shuffle=False, max_iter=10**9,
        )  # fmt: skip
        classes = np.arange(len(biases[-1]))
        self.model.partial_fit(np.zeros((batch, len(matrices[0])), np.float32), np.zeros(batch, int), classes=classes)
        for own, given in zip(self.model.coefs_ + self.model.intercepts_, matrices + biases, strict=True):
            own[...] = given
        del self.model._optimizer  # it begins anew

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x, y

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(self.model.partial_fit(x, y).loss_)
