"""Make sklearn_metrics.npz: scikit-learn's numbers for our metrics. Run: python make_sklearn_metrics.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn import metrics as m


def main() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 5, 97)  # of 7 classes: one is predicted though it never occurs, one is in neither
    output = rng.standard_normal((97, 7)) + 1.5 * np.eye(7)[target]
    output[:, 6] = -9
    predicted = output.argmax(axis=1)
    precision, recall, f1, _ = m.precision_recall_fscore_support(target, predicted, labels=range(7), zero_division=0)
    numbers = rng.standard_normal((97, 3)) * [1, 5, 100] + [0, 300, -1000]
    estimates = numbers + rng.standard_normal((97, 3)) * [0.5, 6, 20]
    np.savez_compressed(
        Path(__file__).with_name("sklearn_metrics.npz"),
        output=output,
        target=target,
        accuracy=m.accuracy_score(target, predicted),
        top_3_accuracy=m.top_k_accuracy_score(target, output, k=3, labels=range(7)),
        confusion_matrix=m.confusion_matrix(target, predicted, labels=range(7)),
        macro_f1=m.f1_score(target, predicted, average="macro", zero_division=0),
        precision=precision,
        recall=recall,
        f1=f1,
        numbers=numbers,
        estimates=estimates,
        mae=m.mean_absolute_error(numbers, estimates),
        rmse=m.mean_squared_error(numbers, estimates) ** 0.5,
        r2=m.r2_score(numbers, estimates),
        r2_constant=m.r2_score(np.full(97, 3.0), estimates[:, 0]),
    )


if __name__ == "__main__":
    main()
