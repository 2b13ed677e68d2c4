"""Metrics against scikit-learn's numbers, whole and added up over batches; and evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.errors import ShapeError, UsageError
from dlscratch.nn import CrossEntropyLoss, Dropout, Linear, Sequential
from dlscratch.training import METRICS, evaluate
from dlscratch.training.metrics import TopK, Totals, metrics_of

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "sklearn_metrics.npz"))
CLASSES = [METRICS[name]() for name in ("accuracy", "macro_f1", "per_class", "confusion_matrix")] + [TopK(k=3)]
NUMBERS = [METRICS[name]() for name in ("mae", "rmse", "r2")]


def totals_of(metrics, output, target, batch):
    totals = Totals(metrics)
    for start in range(0, len(target), batch):
        totals.add(1.0, output[start : start + batch], target[start : start + batch])
        saved = json.loads(json.dumps(totals.state_dict()))
        totals = Totals(metrics)
        totals.load_state_dict(saved)
    return totals.results()


@pytest.mark.parametrize("batch", [97, 10, 1])
def test_class_metrics_equal_scikit_learn(batch):
    results = totals_of(CLASSES, GOLDEN["output"], GOLDEN["target"], batch)
    names = ("accuracy", "top_3_accuracy", "macro_f1", "precision", "recall", "f1", "confusion_matrix")
    assert set(results) == {"loss", *names}
    for name in names:
        np.testing.assert_allclose(results[name], GOLDEN[name], rtol=1e-13)


@pytest.mark.parametrize("batch", [97, 10, 1])
def test_regression_metrics_equal_scikit_learn(batch):
    results = totals_of(NUMBERS, GOLDEN["estimates"], GOLDEN["numbers"], batch)
    for name in ("mae", "rmse", "r2"):
        np.testing.assert_allclose(results[name], GOLDEN[name], rtol=1e-10)


def test_r2_of_a_constant_target_is_scikit_learns():
    target = np.full((97, 1), 3.0)
    assert totals_of(NUMBERS, GOLDEN["estimates"][:, :1], target, 10)["r2"] == float(GOLDEN["r2_constant"])
    assert totals_of(NUMBERS, target, target, 10)["r2"] == 1.0


def test_targets_of_zeros_and_ones_are_classes_too():
    output, target = GOLDEN["output"], GOLDEN["target"]
    by_number = totals_of(CLASSES, output, target, 20)
    assert totals_of(CLASSES, output, np.eye(7, dtype=np.float32)[target], 20) == by_number
    logits = output[:, :1] - output[:, 1:2]
    two = np.hstack([-logits, logits])
    own = (target > 2).astype(np.int64)
    binary = [METRICS["accuracy"](), METRICS["confusion_matrix"](), METRICS["binary_accuracy"]()]
    assert totals_of(binary[:2], two, own, 20).items() <= totals_of(binary, logits, own[:, None] * 1.0, 20).items()
    results = totals_of(binary, logits, own[:, None] * 1.0, 20)
    assert results["accuracy"] == results["binary_accuracy"] == np.mean((logits[:, 0] > 0) == own)


def test_classes_below_zero_are_not_counted():
    target = np.where(np.arange(97) % 2, GOLDEN["target"], -100)
    results = totals_of(CLASSES, GOLDEN["output"], target, 10)
    assert results == totals_of(CLASSES, GOLDEN["output"][1::2], GOLDEN["target"][1::2], 10)


def test_outputs_with_more_axes_have_their_classes_on_the_second():
    output, target = GOLDEN["output"][:96], GOLDEN["target"][:96]
    images = output.reshape(8, 12, 7).transpose(0, 2, 1)
    flat, folded = totals_of(CLASSES, output, target, 96), totals_of(CLASSES, images, target.reshape(8, 12), 3)
    assert flat == folded


@pytest.mark.parametrize(
    ("kind", "output", "target"),
    [
        ("accuracy", np.zeros((3, 2)), np.zeros(3)),
        ("accuracy", np.zeros((3, 2)), np.zeros(2, int)),
        ("accuracy", np.zeros((3, 1)), np.full((3, 1), 0.3)),
        ("r2", np.zeros((3, 1)), np.zeros(3)),
        ("mae", np.zeros((3, 1)), np.zeros((1, 3))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(kind, output, target):
    with pytest.raises(ShapeError, match="expected"):
        METRICS[kind]().sums(output, target)


def test_top_k_beyond_the_classes_and_unknown_names_are_refused():
    with pytest.raises(UsageError, match="k is 8, but the model has 7 outputs"):
        TopK(k=8).sums(GOLDEN["output"], GOLDEN["target"])
    with pytest.raises(UsageError, match=r'unknown metric "acuracy"; did you mean "accuracy"\?'):
        metrics_of(["acuracy"])


def test_evaluate_weighs_batches_by_their_size_and_records_nothing():
    model = Sequential(Linear(out_features=3), Dropout(0.5), input_shape=4)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((11, 4)).astype(np.float32), rng.integers(0, 3, 11)
    loss = CrossEntropyLoss()

    def unrecorded(output, target):
        assert not output.requires_grad
        return loss(output, target)

    results = evaluate(model, unrecorded, [(x[:8], y[:8]), (x[8:], y[8:])], ["accuracy"])
    output = model(Tensor(x))
    assert results["loss"] == pytest.approx(loss(output, y).item(), rel=1e-6)
    assert results["accuracy"] == np.mean(output.data.argmax(axis=1) == y)
    with pytest.raises(UsageError, match="no examples"):
        evaluate(model, loss, [])
