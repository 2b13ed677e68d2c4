"""Learning rate schedules: PyTorch's definitions, option names and numbers, as functions of how far the run is.

A schedule is asked before each update for the rate: `schedule.lr(epoch, step)`, with how many epochs and updates are
finished. It keeps nothing in between, so a run can go on anywhere; only reduce_on_plateau remembers what it observed.
Whatever a schedule's shape, a warm-up can stand in front of it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le, Lt

from dlscratch.errors import UsageError, did_you_mean
from dlscratch.nn.options import check_options

Unit = Annotated[Literal["epoch", "step"], Doc("what the schedule counts: epochs, or updates (steps)")]
Warmup = Annotated[int, Ge(0), Doc("steps over which the rate first rises linearly to the schedule's; 0 for none")]
StartFactor = Annotated[float, Gt(0), Le(1), Doc("what the rate is multiplied by at the start of the warm-up")]


class Schedule:
    """A rate that is the optimizer's own, times a warm-up. The others override `rate`, and some `fill_in`."""

    def __init__(self, unit: Unit = "epoch", warmup: Warmup = 0, start_factor: StartFactor = 1 / 3) -> None:
        self.unit, self.warmup, self.start_factor = unit, warmup, start_factor
        self.base_lr = 0.0
        check_options(self)

    def prepare(self, base_lr: float, epochs: int, steps_per_epoch: int) -> None:
        """Set the optimizer's own rate, and infer from the length of the run the sizes that were left out."""
        self.base_lr = base_lr
        self.fill_in(epochs if self.unit == "epoch" else max(epochs * steps_per_epoch - self.warmup, 1))

    def lr(self, epoch: int, step: int) -> float:
        """The rate for the update after `step` updates, in the epoch after `epoch` epochs.

        Steps count from the end of the warm-up, as after PyTorch's SequentialLR([LinearLR, …]); epochs from the start.
        """
        count = epoch if self.unit == "epoch" else max(step - self.warmup, 0)
        return self.rate(count) * self._warmup_factor(step)

    def _warmup_factor(self, step: int) -> float:
        if step >= self.warmup:
            return 1.0
        return self.start_factor + (1 - self.start_factor) * step / self.warmup

    def fill_in(self, length: int) -> None:
        """Infer sizes that were left out; `length` is the run's, in this schedule's unit."""

    def rate(self, count: int) -> float:
        """The rate after `count` units, without warm-up."""
        return self.base_lr

    def observe(self, values: dict[str, Any]) -> None:
        """Take note of an epoch's results, for schedules that depend on them."""

    def state_dict(self) -> dict[str, Any]:
        """What the schedule remembers, as plain numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""


class Constant(Schedule):
    """The optimizer's own rate throughout: what remains is the warm-up."""


class StepDecay(Schedule):
    """base_lr · gamma^⌊count / step_size⌋ (PyTorch's StepLR)."""

    def __init__(
        self,
        step_size: Annotated[int, Gt(0), Doc("epochs (or steps) after which the rate falls")],
        gamma: Annotated[float, Gt(0), Doc("what it is multiplied by")] = 0.1,
        unit: Unit = "epoch",
        warmup: Warmup = 0,
        start_factor: StartFactor = 1 / 3,
    ) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(unit, warmup, start_factor)

    def rate(self, count: int) -> float:
        return self.base_lr * self.gamma ** (count // self.step_size)


class Exponential(Schedule):
    """base_lr · gamma^count (PyTorch's ExponentialLR)."""

    def __init__(
        self,
        gamma: Annotated[float, Gt(0), Doc("what the rate is multiplied by after each epoch (or step)")],
        unit: Unit = "epoch",
        warmup: Warmup = 0,
        start_factor: StartFactor = 1 / 3,
    ) -> None:
        self.gamma = gamma
        super().__init__(unit, warmup, start_factor)

    def rate(self, count: int) -> float:
        return self.base_lr * float(self.gamma**count)


class Cosine(Schedule):
    """eta_min + (base_lr − eta_min)·(1 + cos(π·count / T_max)) / 2 (PyTorch's CosineAnnealingLR).

    From Loshchilov & Hutter 2017, eq. 5, without restarts. After T_max the rate rises again, as PyTorch's does.
    """

    def __init__(
        self,
        T_max: Annotated[int | None, Gt(0), Doc("epochs (or steps) to the minimum; the run when left out")] = None,
        eta_min: Annotated[float, Ge(0), Doc("the lowest rate")] = 0.0,
        unit: Unit = "epoch",
        warmup: Warmup = 0,
        start_factor: StartFactor = 1 / 3,
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        self._half_period = T_max or 1
        super().__init__(unit, warmup, start_factor)

    def fill_in(self, length: int) -> None:
        self._half_period = self.T_max or length

    def rate(self, count: int) -> float:
        return _cosine(self.base_lr, self.eta_min, count / self._half_period)


class OneCycle(Schedule):
    """Up from max_lr / div_factor to max_lr, then down to that / final_div_factor (Smith & Topin 2018).

    PyTorch's OneCycleLR with cycle_momentum=False; it counts steps unless told otherwise, and stays at the end.
    """

    def __init__(
        self,
        max_lr: Annotated[float | None, Gt(0), Doc("the highest rate; the optimizer's lr when left out")] = None,
        total_steps: Annotated[int | None, Gt(1), Doc("steps (or epochs) of the cycle; the run when left out")] = None,
        pct_start: Annotated[float, Ge(0), Le(1), Doc("the part of the cycle in which the rate rises")] = 0.3,
        anneal_strategy: Annotated[Literal["cos", "linear"], Doc("the shape of both slopes")] = "cos",
        div_factor: Annotated[float, Gt(0), Doc("max_lr over the first rate")] = 25.0,
        final_div_factor: Annotated[float, Gt(0), Doc("the first rate over the last")] = 1e4,
        three_phase: Annotated[bool, Doc("fall to the first rate as fast as it rose, then to the last")] = False,
        unit: Unit = "step",
        warmup: Warmup = 0,
        start_factor: StartFactor = 1 / 3,
    ) -> None:
        self.max_lr, self.total_steps, self.pct_start, self.three_phase = max_lr, total_steps, pct_start, three_phase
        self.anneal_strategy = anneal_strategy
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self._length = total_steps or 2
        super().__init__(unit, warmup, start_factor)

    def fill_in(self, length: int) -> None:
        self._length = self.total_steps or length

    def rate(self, count: int) -> float:
        corners, anneal = self._corners(), _cosine if self.anneal_strategy == "cos" else _linear
        for (start, lr), (end, next_lr) in pairwise(corners):
            if count <= end and end > start:
                return anneal(lr, next_lr, (count - start) / (end - start))
        return corners[-1][1]

    def _corners(self) -> list[tuple[float, float]]:
        """Where the slopes meet: (count, rate)."""
        top = self.base_lr if self.max_lr is None else self.max_lr
        first, rise = top / self.div_factor, self.pct_start * self._length
        back = [(2 * rise - 2, first)] if self.three_phase else []
        return [(0, first), (rise - 1, top), *back, (self._length - 1, first / self.final_div_factor)]


class ReduceOnPlateau(Schedule):
    """The rate falls by `factor` when an observed value has not improved for more than `patience` epochs.

    PyTorch's ReduceLROnPlateau; the value is observed at the end of each epoch.
    """

    def __init__(
        self,
        monitor: Annotated[str | None, Doc("the value; val_loss when left out (loss without validation data)")] = None,
        mode: Annotated[Literal["min", "max"], Doc("whether lower or higher is better")] = "min",
        factor: Annotated[float, Gt(0), Lt(1), Doc("what the rate is multiplied by")] = 0.1,
        patience: Annotated[int, Ge(0), Doc("epochs without improvement that are tolerated")] = 10,
        threshold: Annotated[float, Ge(0), Doc("an improvement smaller than this is none")] = 1e-4,
        threshold_mode: Annotated[Literal["rel", "abs"], Doc("threshold as a part of the best, or absolute")] = "rel",
        cooldown: Annotated[int, Ge(0), Doc("epochs after a reduction in which none are counted")] = 0,
        min_lr: Annotated[float, Ge(0), Doc("the lowest rate")] = 0.0,
        eps: Annotated[float, Ge(0), Doc("a reduction by less than this is not made")] = 1e-8,
        warmup: Warmup = 0,
        start_factor: StartFactor = 1 / 3,
    ) -> None:
        self.monitor, self.mode, self.factor, self.patience = monitor, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lr, self.eps = min_lr, eps
        self.current: float | None = None  # the rate; base_lr before the first reduction
        self.best: float | None = None
        self.bad_epochs = self.cooldown_left = 0
        super().__init__("epoch", warmup, start_factor)

    def rate(self, count: int) -> float:
        return self.base_lr if self.current is None else self.current

    def observe(self, values: dict[str, Any]) -> None:
        """Compare with the best so far, and reduce the rate when that was too long ago."""
        value = monitored(values, self.monitor)
        if self._improves(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left > 0:
            self.cooldown_left, self.bad_epochs = self.cooldown_left - 1, 0
        if self.bad_epochs > self.patience:
            old, new = self.rate(0), max(self.rate(0) * self.factor, self.min_lr)
            self.current = new if old - new > self.eps else old
            self.cooldown_left, self.bad_epochs = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        if self.best is None:
            return True
        sign = 1 if self.mode == "max" else -1
        relative = self.threshold_mode == "rel"
        needed = self.best * (1 + sign * self.threshold) if relative else self.best + sign * self.threshold
        return sign * value > sign * needed

    def state_dict(self) -> dict[str, Any]:
        names = ("current", "best", "bad_epochs", "cooldown_left")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.state_dict():
            setattr(self, name, state[name])


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}


def monitored(values: dict[str, Any], name: str | None) -> float:
    """The value that decides: the one named, or else val_loss, or else loss."""
    name = name or ("val_loss" if "val_loss" in values else "loss")
    if not isinstance(values.get(name), float):
        numbers = [key for key, value in values.items() if isinstance(value, float)]
        raise UsageError(f"monitor: there is no {name!r}{did_you_mean(name, numbers)}; there are {', '.join(numbers)}")
    return float(values[name])


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _linear(start: float, end: float, part: float) -> float:
    return start + (end - start) * part
