"""Symptoms of short trainings: does the model learn one batch, do the inputs help, does the config's optimizer work."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dlscratch.autograd import no_grad, wrap
from dlscratch.backend import Array, generator
from dlscratch.checks.symptoms.finding import MOST_NAMED, Finding, Verdict, graded, skipped
from dlscratch.checks.symptoms.patient import BATCH, LOOK, SANE_LR, Patient
from dlscratch.errors import DivergedError
from dlscratch.nn import Dropout, Sequential

OVERFIT_STEPS = 300
LEARNED = 0.99, 0.95  # of a batch: the right classes, and the variance of numbers
FEW_ROWS = 20
CLEAR = 0.95  # times the loss without inputs
CERTAIN, LIKELY = 3, 2  # standard deviations
PERMUTATIONS = 100
FIRST_UPDATE = 0.3, 1  # of a weight's size: a warning, and bad; adam's first steps are its largest
LATER_UPDATE = 0.1, 0.5  # half of the steps
STILL = 1e-6
RISEN = 1.5  # times what guessing gives, or the first loss


def one_batch_overfit(patient: Patient) -> Finding:
    """Whether the model can learn a single batch by heart, without dropout: if not, it can learn nothing."""
    x, y, targets = (part[:BATCH] for part in (patient.x, patient.y, patient.targets))
    best, steps = -math.inf, 0
    enough = LEARNED[0] if patient.classes else LEARNED[1]
    for lr in (SANE_LR, 10 * SANE_LR):
        if best < enough:
            result, taken = _by_heart(patient, x, y, targets, lr, enough)
            best, steps = max((best, steps), (result, taken))
    told = f"{best:.0%} of {len(x)} classes" if patient.classes else f"{best:.0%} of the variance of {len(x)} rows"
    what = f"one batch: the model has learned {told} after {steps} steps of adam"
    if best >= enough:
        return Finding("one batch overfit", "ok", best, what)
    halfway = (1 + _guessing(patient, targets)) / 2
    advice = "give it more units, check activations and the loss's targets; or equal rows have different targets"
    return Finding("one batch overfit", "warning" if best >= halfway else "bad", best, what, advice)


def _by_heart(
    patient: Patient, x: Array, y: Array, targets: Array, lr: float, enough: float
) -> tuple[float, int]:
    """What is learned of a batch, and after how many steps."""
    model = patient.model()
    for _, layer in model.named_layers():
        if isinstance(layer, Dropout):
            layer.p = 0.0
    learned, steps = -math.inf, 0
    try:
        for step in patient.train(model, x, y, patient.steps(len(x), OVERFIT_STEPS), lr):
            steps = step.step
            if steps % LOOK == 0:
                learned = _learned(patient, model, x, targets)
                if learned >= enough:
                    break
    except DivergedError:
        return -math.inf, steps
    return learned, steps


def _learned(patient: Patient, model: Sequential, x: Array, targets: Array) -> float:
    with no_grad():
        output = model(wrap(x), training=True, rng=generator(patient.seed, "dropout", 0)).data
    if patient.classes:
        return float(np.mean(_predicted(output) == targets))
    return 1 - float(np.square(output - targets).mean() / (targets.var() or 1))


def _predicted(output: Array) -> Array:
    """The class that each row of outputs names."""
    return np.asarray(output.argmax(axis=1) if output.shape[1] > 1 else (output[:, 0] > 0).astype(np.int64))


def _guessing(patient: Patient, targets: Array) -> float:
    return float(np.bincount(targets).max() / len(targets)) if patient.classes else 0.0


def inputs_beat_none(patient: Patient) -> Finding:
    """The model trained on the inputs must do better on held-out rows than the same model trained on zeros."""
    if len(patient.x) < FEW_ROWS:
        return skipped("inputs beat none", f"there are fewer than {FEW_ROWS} rows")
    real, none = patient.brief, patient.briefly(np.zeros_like(patient.x))
    number = real.loss / none.loss if none.loss else math.inf
    what = f"held-out loss {real.loss:.4g} with the inputs, {none.loss:.4g} with zeros in their place"
    if number < CLEAR:
        return Finding("inputs beat none", "ok", number, what)
    verdict: Verdict = "bad" if not number < 1 else "warning"
    advice = "the inputs do not help: check the loading, the preprocessing, and that inputs and targets belong together"
    return Finding("inputs beat none", verdict, number, what, advice)


def labels_related_to_inputs(patient: Patient) -> Finding:
    """Whether targets depend on inputs at all: a short training, and the nearest other row, against chance."""
    check = "labels related to inputs"
    if len(patient.x) < FEW_ROWS:
        return skipped(check, f"there are fewer than {FEW_ROWS} rows")
    network = _trained(patient)
    nearest = -math.inf if patient.integers else _nearest(patient)
    best = max(network, nearest)
    told = f"a short training is {network:.1f}"
    told += "" if patient.integers else f" and the nearest other row {nearest:.1f}"
    what = f"{told} standard deviations better than chance"
    if best >= CERTAIN:
        return Finding(check, "ok", best, what)
    advice = "targets look shuffled: are inputs and targets in one order? Or are there too few rows to tell?"
    return Finding(check, "bad" if best < LIKELY else "warning", best, what, advice)


def _trained(patient: Patient) -> float:
    """How certain it is that a short training tells held-out targets."""
    outputs, targets = patient.brief.outputs, patient.targets[patient.known :]
    told = _predicted(outputs) if patient.classes else outputs
    return _certainty(patient, lambda order: _agreement(told, targets[order]), len(targets))


def _nearest(patient: Patient) -> float:
    """How certain it is that a row's nearest other row knows its target."""
    x = patient.x.reshape(len(patient.x), -1).astype(np.float32)
    std = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(std > 0, std, 1)
    squares = np.square(x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (x @ x.T)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)

    def score(order: Array) -> float:
        targets = patient.targets[order]
        return _agreement(targets[nearest], targets)

    return _certainty(patient, score, len(x))


def _certainty(patient: Patient, score: Callable[[Array], float], rows: int) -> float:
    """A permutation test: by how many standard deviations a score exceeds those of targets in random orders."""
    rng = generator(patient.seed, "permutations")
    by_chance = [score(rng.permutation(rows)) for _ in range(PERMUTATIONS)]
    return float((score(np.arange(rows)) - np.mean(by_chance)) / (np.std(by_chance) or 1))


def _agreement(told: Array, actual: Array) -> float:
    """How well answers fit: the share of right classes, or the largest correlation of numbers."""
    if actual.ndim == 1:
        return float(np.mean(told == actual))
    r = [np.corrcoef(told[:, i], actual[:, i])[0, 1] for i in range(actual.shape[1])]
    return float(np.nan_to_num(r).max())


def first_steps(patient: Patient) -> Finding:
    """Whether the loss falls in the first steps of the training as the config describes it."""
    trial = patient.trial
    rate = "lower lr, start it with a warmup, or set clip_norm"
    if trial.error:
        return Finding("first steps", "bad", None, f"the training diverges: {trial.error}", rate)
    start, last = trial.losses[0], float(np.mean(trial.losses[-max(1, len(trial.losses) // 5) :]))
    guessing = patient.loss(patient.guess(len(patient.x)), patient.y)
    number = last / start if start else 1.0
    what = f"the loss goes from {start:.4g} to {last:.4g} in {len(trial.losses)} steps; guessing gives {guessing:.4g}"
    if last > RISEN * max(guessing, start):
        return Finding("first steps", "bad", number, f"{what}: it diverges", rate)
    if last > 0.98 * start and last > 0.9 * guessing:
        advice = "it hardly learns: look at lr, and at the other findings"
        return Finding("first steps", "warning", number, what, advice)
    return Finding("first steps", "ok", number, what)


def update_to_weight(patient: Patient) -> Finding:
    """How far a step moves each weight, relative to its size, in the first steps of the config's training."""
    updates = patient.trial.updates
    if not updates:
        return skipped("update to weight", "no step was made" if patient.trial.error else "there are no weights")
    largest, median = ({name: float(f(each)) for name, each in updates.items()} for f in (np.max, np.median))
    name = max(largest, key=largest.__getitem__)
    told = ", ".join(f"{weight} {median[weight]:.1e}" for weight in list(updates)[:MOST_NAMED])
    what = f"a step moves a weight by {told} of its size (usual: 1e-3 to 1e-2), at most {name} by {largest[name]:.1e}"
    if largest[name] < STILL:
        return Finding("update to weight", "warning", largest[name], what, "nothing moves: raise lr")
    verdicts = graded(largest[name], *FIRST_UPDATE), graded(max(median.values()), *LATER_UPDATE)
    verdict = max(verdicts, key=("ok", "warning", "bad").index)
    advice = "" if verdict == "ok" else "weights are overwritten rather than improved: lower lr"
    return Finding("update to weight", verdict, largest[name], what, advice)
