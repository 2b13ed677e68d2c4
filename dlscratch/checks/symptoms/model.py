"""Symptoms of the model before any training: its first loss, its gradients, rows that mix, units that are dead."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dlscratch.autograd import Tensor, no_grad, wrap
from dlscratch.backend import Array, generator
from dlscratch.checks.gradients import check_gradients
from dlscratch.checks.material import fresh_model
from dlscratch.checks.symptoms.finding import Finding, graded, skipped
from dlscratch.checks.symptoms.patient import CHUNK, Patient
from dlscratch.nn import Layer, Sequential

LOSS = 2, 5  # times what guessing gives: a warning, and bad
KNOWING = 0.5
DEAD = 0.5, 0.9  # of the units of a layer
GRADIENT_ROWS = 16
OTHERS = 15  # rows beside the one that is watched
MIXED = 1e-9  # a change of an output in float64 that is more than rounding
BATCH_NORMS = ("batch_norm1d", "batch_norm2d")


def initial_loss(patient: Patient) -> Finding:
    """The loss of the untrained model, against that of knowing nothing."""
    x, y = patient.x[:CHUNK], patient.y[:CHUNK]
    with no_grad():
        output = patient.model()(wrap(x), training=True, rng=generator(patient.seed, "dropout", 0))
    start, guessing = patient.loss(output.data, y), patient.loss(patient.guess(len(x)), y)
    ratio = start / guessing if guessing else math.inf
    chance = f"all {len(patient.classes)} classes alike" if patient.classes else "always the mean"
    what = f"the loss begins at {start:.4g}; guessing ({chance}) gives {guessing:.4g}{_prior(patient)}"
    if not ratio < LOSS[0]:
        advice = "it begins surer than it can be: scale the inputs or targets, or make the first weights smaller"
        return Finding("initial loss", "bad" if not ratio < LOSS[1] else "warning", ratio, what, advice)
    if ratio < KNOWING:
        return Finding("initial loss", "warning", ratio, what, "it knows the answer already: are the weights trained?")
    return Finding("initial loss", "ok", ratio, what)


def _prior(patient: Patient) -> str:
    """The entropy of the class shares: what a model gets that learns nothing but these."""
    if not patient.classes or patient.experiment.objective.loss != "cross_entropy":
        return ""
    counts = np.bincount(patient.targets, minlength=len(patient.classes))
    shares = counts[counts > 0] / counts.sum()
    return f", the class shares alone {-float((shares * np.log(shares)).sum()):.4g}"


def gradients(patient: Patient) -> Finding:
    """Every gradient of a few rows against finite differences, in float64."""
    check = check_gradients(patient.experiment, rows=GRADIENT_ROWS, directions=2)
    worst = max((tensor.error or 0.0 for tensor in check.tensors), default=0.0)
    if check.right:
        return Finding("gradients", "ok", worst, "backward() agrees with finite differences for every parameter")
    names = ", ".join(tensor.name for tensor in check.tensors if tensor.verdict != "right")
    wrong = any(tensor.verdict == "wrong" for tensor in check.tensors)
    what = f"backward() {'disagrees' if wrong else 'could not be compared'} with finite differences: {names}"
    return Finding("gradients", "bad", worst, what, "dlscratch gradcheck shows each parameter, and where to look")


def rows_apart_in_evaluation(patient: Patient) -> Finding:
    """Outside training, what is predicted of a row must not depend on the rows beside it."""
    return _apart(patient, "rows apart in evaluation", training=False)


def rows_apart_in_training(patient: Patient) -> Finding:
    """In training, the loss of a row must not depend on another row, but through batch norm."""
    return _apart(patient, "rows apart in training", training=True)


def _apart(patient: Patient, check: str, training: bool) -> Finding:
    count = min(OTHERS, (len(patient.x) - 1) // 2)
    if count < 1:
        return skipped(check, "there are fewer than three rows")
    model = fresh_model(patient.experiment, np.float64)
    rows = patient.x if patient.integers else patient.x[: 1 + 2 * count].astype(np.float64)
    x, other = rows[: 1 + count], np.concatenate([rows[:1], rows[1 + count : 1 + 2 * count]])
    mixing = _mixing(model, x, other, training, patient.seed)
    slope = 0.0 if patient.integers else _slope(model, x, training, patient.seed)
    number = max([slope, *(changed for _, _, changed in mixing)])
    if not mixing and not slope:
        return Finding(check, "ok", number, "no row's output depends on another row (∂ output of one / ∂ other = 0)")
    names = ", ".join(name for name, _, _ in mixing) or "the backward pass of a layer"
    what = f"{names}: a row's output depends on the rows beside it"
    if training and mixing and all(kind in BATCH_NORMS for _, kind, _ in mixing):
        return Finding(check, "ok", number, f"{what}, as is meant of batch norm in training")
    advice = "predictions would change with the batch: keep running statistics, or normalise each row by itself"
    if training:
        advice = "only batch norm may do so: sum over the axes of a row, never over axis 0"
    return Finding(check, "bad", number, what, advice)


def _mixing(model: Sequential, x: Array, other: Array, training: bool, seed: int) -> list[tuple[str, str, float]]:
    """The layers that mix rows: name, kind, and how much the first row changes where the others are `other`'s."""
    rngs = [generator(seed, "dropout", 0) for _ in range(2)]
    found = []
    with no_grad():
        for index, layer in enumerate(model):
            other[:1] = x[:1]
            both = zip((x, other), rngs, strict=True)
            x, other = (layer(wrap(rows), training=training, rng=rng).numpy() for rows, rng in both)
            changed = float(np.abs(x[0] - other[0]).max() / (np.abs(x[0]).max() or 1))
            if not changed <= MIXED:
                found.append((f"layers[{index}] {layer.kind}", _kind_of_mixer(layer), changed))
    return found


def _kind_of_mixer(layer: Layer) -> str:
    """The kind of batch norm in a layer, or the layer's own kind."""
    kinds = [inner.kind for _, inner in layer.named_layers()]
    return next((kind for kind in kinds if kind in BATCH_NORMS), layer.kind)


def _slope(model: Sequential, x: Array, training: bool, seed: int) -> float:
    """The largest derivative of the first row's outputs by another row: exactly 0 where rows are apart."""
    inputs = Tensor(x, requires_grad=True)
    output = model(inputs, training=training, rng=generator(seed, "dropout", 0))
    if not output.requires_grad:
        return 0.0
    g = np.zeros(output.shape)
    g[0] = generator(seed, "apart").standard_normal(output.shape[1:])
    output.backward(g)
    return 0.0 if inputs.grad is None else float(np.abs(inputs.grad[1:]).max())


def dead_units(patient: Patient) -> Finding:
    """Units after a relu that give 0 for every row of the sample, before the training and after its first steps."""
    start = _dead(patient.model(), patient.x)
    if not start:
        return skipped("dead units", "the model has no relu")
    trial = patient.trial
    parts = {"at the start": start}
    if trial.losses and not trial.error:
        parts[f"after {len(trial.losses)} steps"] = _dead(trial.model, patient.x)
    worst = {when: max(shares, key=shares.__getitem__) for when, shares in parts.items()}
    told = [f"{parts[when][name]:.1%} of layer {name} {when}" for when, name in worst.items()]
    number = max(parts[when][name] for when, name in worst.items())
    verdict = graded(number, *DEAD)
    advice = "dead units learn nothing: raise the bias, lower lr, or use leaky_relu; too large inputs kill them, too"
    what = f"units that are 0 for all {len(patient.x):,} rows: {', '.join(told)}"
    return Finding("dead units", verdict, number, what, "" if verdict == "ok" else advice)


def _dead(model: Sequential, x: Array) -> dict[str, float]:
    """The part of dead units of each relu, by its path: channels of images, else elements of the last axis."""
    alive: dict[str, Array] = {}
    for path, layer in model.named_layers():
        if layer.kind == "relu":
            layer.__dict__["forward"] = _watched(layer.forward, path, alive)
    with no_grad():
        for start in range(0, len(x), CHUNK):
            model(wrap(x[start : start + CHUNK]))
    for _, layer in model.named_layers():
        layer.__dict__.pop("forward", None)
    return {path: float(1 - units.mean()) for path, units in alive.items()}


def _watched(forward: Callable[..., Tensor], path: str, alive: dict[str, Array]) -> Callable[..., Tensor]:
    def watched(x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        y = forward(x, training, rng)
        axis = 1 if y.ndim == 4 else y.ndim - 1
        now = (y.data > 0).any(axis=tuple(other for other in range(y.ndim) if other != axis))
        alive[path] = now | alive.get(path, np.zeros_like(now))
        return y

    return watched
