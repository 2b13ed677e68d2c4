"""Is my model right: every symptom that a config, its data and its model can show, each with what to do about it.

    for finding in doctor(build("config.yaml")):
        print(finding.verdict, finding.check, finding.meaning)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dlscratch import backend
from dlscratch.checks.symptoms import columns, model, rows, training
from dlscratch.checks.symptoms.finding import Finding
from dlscratch.checks.symptoms.patient import Patient
from dlscratch.config.build import Experiment
from dlscratch.errors import DlscratchError

Check = Callable[[Patient], Finding]

CHECKS: tuple[Check, ...] = (
    *(rows.target_balance, rows.shared_rows),
    *(columns.constant_columns, columns.duplicated_columns, columns.target_in_the_inputs, columns.input_scale),
    *(model.initial_loss, model.gradients, model.rows_apart_in_evaluation, model.rows_apart_in_training),
    *(model.dead_units, training.one_batch_overfit, training.inputs_beat_none, training.labels_related_to_inputs),
    *(training.first_steps, training.update_to_weight),
)


def doctor(experiment: Experiment) -> Iterator[Finding]:
    """Make every check, and yield its finding. The experiment's own model stays untrained."""
    patient = Patient(experiment)
    for check in CHECKS:
        with backend.limit_threads(1), np.errstate(all="ignore"):
            finding = _made(check, patient)
        yield finding


def _made(check: Check, patient: Patient) -> Finding:
    """The finding of a check; where a layer or a loss fails in it, that is what was found."""
    try:
        return check(patient)
    except DlscratchError as error:
        return Finding(check.__name__.replace("_", " "), "bad", None, str(error), "correct what the message names")
