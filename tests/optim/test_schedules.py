"""Schedules and their warm-up against PyTorch's numbers, and what a run infers for them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, get_origin, get_type_hints

import numpy as np
import pytest

from dlscratch.errors import UsageError
from dlscratch.optim import OPTIMIZERS, SCHEDULES, Constant, Cosine, OneCycle, ReduceOnPlateau, StepDecay

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "torch_optim.npz"))
CASES = json.loads(str(GOLDEN["cases"]))


@pytest.mark.parametrize("index", range(len(CASES["schedules"])))
def test_fifty_rates_equal_pytorch(index):
    kind, options, warmup = CASES["schedules"][index]
    schedule = SCHEDULES[kind](**options, unit="step", warmup=warmup)
    schedule.prepare(0.1, epochs=5, steps_per_epoch=10)
    rates = [schedule.lr(epoch=step // 10, step=step) for step in range(50)]
    np.testing.assert_allclose(rates, GOLDEN[f"schedule/{index}"], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("index", range(len(CASES["plateaus"])))
@pytest.mark.parametrize("saved", [False, True])
def test_plateau_equals_pytorch_also_when_saved_and_loaded_between(index, saved):
    options = CASES["plateaus"][index]
    schedule = ReduceOnPlateau(**options)
    schedule.prepare(0.1, epochs=50, steps_per_epoch=3)
    rates = []
    for epoch, loss in enumerate(GOLDEN["losses"].tolist()):
        rates.append(schedule.lr(epoch, 3 * epoch))
        schedule.observe({"loss": 0.0, "val_loss": loss})
        if saved:
            state = json.loads(json.dumps(schedule.state_dict()))
            schedule = ReduceOnPlateau(**options)
            schedule.prepare(0.1, epochs=50, steps_per_epoch=3)
            schedule.load_state_dict(state)
    np.testing.assert_allclose(rates, GOLDEN[f"plateau/{index}"], rtol=1e-12)
    assert len(set(rates)) > 2


def test_an_epoch_schedule_counts_epochs_and_its_warm_up_counts_steps():
    schedule = StepDecay(step_size=1, gamma=0.5, warmup=4, start_factor=0.2)
    schedule.prepare(1.0, epochs=3, steps_per_epoch=3)
    rates = [schedule.lr(step // 3, step) for step in range(9)]
    np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.4, 0.5, 0.5, 0.25, 0.25, 0.25], rtol=1e-15)


def test_sizes_that_are_left_out_span_the_run():
    for unit, lengths in (("epoch", (8, 0)), ("step", (0, 80))):
        schedule = Cosine(unit=unit, eta_min=0.1)
        schedule.prepare(0.5, epochs=8, steps_per_epoch=10)
        assert schedule.lr(*lengths) == pytest.approx(0.1)
    schedule = Cosine(unit="step", warmup=20)
    schedule.prepare(0.5, epochs=8, steps_per_epoch=10)
    assert schedule.lr(5, 50) == pytest.approx(0.25)
    cycle = OneCycle()
    cycle.prepare(0.5, epochs=8, steps_per_epoch=10)
    assert max(cycle.lr(0, step) for step in range(80)) == pytest.approx(0.5, rel=1e-3)
    assert cycle.lr(7, 79) == cycle.lr(20, 500) == pytest.approx(0.5 / 25 / 1e4)


def test_constant_is_the_optimizers_own_rate():
    schedule = Constant()
    schedule.prepare(0.3, epochs=1, steps_per_epoch=1)
    assert schedule.lr(0, 0) == schedule.lr(9, 99) == 0.3


def test_a_value_that_is_not_there_is_named():
    schedule = ReduceOnPlateau(monitor="val_los")
    with pytest.raises(UsageError, match=r"no 'val_los'; did you mean \"val_loss\"\?; there are loss, val_loss"):
        schedule.observe({"loss": 1.0, "val_loss": 2.0, "matrix": [[1]]})


@pytest.mark.parametrize("target", [*OPTIMIZERS.values(), *SCHEDULES.values()])
def test_every_option_is_annotated_and_documented(target):
    hints = get_type_hints(target.__init__, include_extras=True)
    names = [name for name in inspect.signature(target.__init__).parameters if name not in ("self", "parameters")]
    for name in names:
        assert get_origin(hints[name]) is Annotated, name
        assert any(hasattr(note, "documentation") for note in hints[name].__metadata__), name
    assert inspect.getdoc(target)
