"""Make torch_optim.npz: where PyTorch's optimizers, schedules and clipping arrive. Run: python make_torch_optim.py"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch.optim import lr_scheduler

STEPS = 50
SHAPES = {"weight": (4, 3), "bias": (3,), "scale": ()}
OPTIMIZERS = [
    ("sgd", {"lr": 0.1}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01}),
    ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("adam", {}),
    ("adam", {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3}),
    ("adam", {"lr": 0.02, "weight_decay": 0.1}),
    ("adamw", {}),
    ("adamw", {"lr": 0.02, "weight_decay": 0.3, "betas": (0.8, 0.99)}),
    ("rmsprop", {}),
    ("rmsprop", {"alpha": 0.9, "centered": True, "eps": 1e-4}),
    ("rmsprop", {"momentum": 0.9, "weight_decay": 0.05}),
    ("rmsprop", {"lr": 0.005, "momentum": 0.5, "centered": True, "weight_decay": 0.05, "alpha": 0.8}),
    ("adagrad", {}),
    ("adagrad", {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-5}),
]
TORCH = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
SCHEDULES = [
    ("constant", {}),
    ("step", {"step_size": 7}),
    ("step", {"step_size": 3, "gamma": 0.8}),
    ("exponential", {"gamma": 0.9}),
    ("cosine", {"T_max": 50}),
    ("cosine", {"T_max": 20, "eta_min": 0.01}),
    ("one_cycle", {"max_lr": 0.5, "total_steps": 50}),
    ("one_cycle", {"max_lr": 0.5, "total_steps": 60, "anneal_strategy": "linear", "div_factor": 10.0}),
    ("one_cycle", {"max_lr": 0.3, "total_steps": 50, "three_phase": True, "pct_start": 0.4, "final_div_factor": 50.0}),
]
WARMUPS = [("step", {"step_size": 7}), ("cosine", {"T_max": 40}), ("exponential", {"gamma": 0.9})]
PLATEAUS = [
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "cooldown": 3, "factor": 0.7, "min_lr": 0.02},
    {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "factor": 0.7},
    {"patience": 3, "mode": "max", "factor": 0.5},
]


def main() -> None:
    rng = np.random.default_rng(0)
    arrays = {f"start/{name}": rng.standard_normal(shape) for name, shape in SHAPES.items()}
    arrays |= {f"gradient/{name}": rng.standard_normal((STEPS, *shape)) for name, shape in SHAPES.items()}
    arrays["losses"] = np.exp(-np.arange(STEPS) / 4) + 0.3 * rng.random(STEPS)
    cases: dict[str, list[object]] = {"optimizers": [], "schedules": [], "plateaus": []}
    for index, (kind, options) in enumerate(OPTIMIZERS):
        cases["optimizers"].append([kind, options])
        for dtype in ("float64", "float32"):
            for skip in (False, True):
                for name, value in optimize(kind, options, arrays, dtype, skip).items():
                    arrays[f"optimizer/{index}/{dtype}/{'skip' if skip else 'all'}/{name}"] = value
    for kind, options, warmup in [(*case, 0) for case in SCHEDULES] + [(*case, 6) for case in WARMUPS]:
        arrays[f"schedule/{len(cases['schedules'])}"] = rates(kind, options, warmup)
        cases["schedules"].append([kind, options, warmup])
    for index, options in enumerate(PLATEAUS):
        cases["plateaus"].append(options)
        arrays[f"plateau/{index}"] = plateau(options, arrays["losses"])
    arrays |= clipped(arrays)
    arrays["cases"] = np.array(json.dumps(cases))
    np.savez_compressed(Path(__file__).with_name("torch_optim.npz"), **arrays)


def optimize(kind, options, arrays, dtype, skip):
    """The parameters after STEPS updates; with `skip`, the bias has no gradient in some of them."""
    parameters = {name: torch.tensor(arrays[f"start/{name}"].astype(dtype), requires_grad=True) for name in SHAPES}
    optimizer = getattr(torch.optim, TORCH[kind])(parameters.values(), **{"foreach": False, **options})
    for step in range(STEPS):
        for name, p in parameters.items():
            p.grad = torch.tensor(arrays[f"gradient/{name}"][step].astype(dtype))
        if skip and step in (0, 7, 8):
            parameters["bias"].grad = None
        optimizer.step()
    return {name: p.detach().numpy() for name, p in parameters.items()}


def rates(kind, options, warmup):
    """The rate at each of STEPS steps, from a base of 0.1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    name, extra = {
        "constant": ("ConstantLR", {"factor": 1.0}),
        "step": ("StepLR", {}),
        "exponential": ("ExponentialLR", {}),
        "cosine": ("CosineAnnealingLR", {}),
        "one_cycle": ("OneCycleLR", {"cycle_momentum": False}),
    }[kind]
    schedule = getattr(lr_scheduler, name)(optimizer, **options, **extra)
    if warmup:
        linear = lr_scheduler.LinearLR(optimizer, total_iters=warmup)
        schedule = lr_scheduler.SequentialLR(optimizer, [linear, schedule], milestones=[warmup])
    result = []
    for _ in range(STEPS):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(result)


def plateau(options, losses):
    """The rate in each epoch, where `losses` are observed at their ends."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    result = []
    for loss in losses:
        result.append(optimizer.param_groups[0]["lr"])
        schedule.step(loss)
    return np.array(result)


def clipped(arrays):
    """Gradients of the first step clipped by norm and by value."""
    result = {}
    for max_norm in (0.5, 100.0):
        parameters = with_gradients(arrays)
        result[f"clip_norm/{max_norm}/norm"] = torch.nn.utils.clip_grad_norm_(parameters.values(), max_norm).numpy()
        result |= {f"clip_norm/{max_norm}/{name}": p.grad.numpy() for name, p in parameters.items()}
    parameters = with_gradients(arrays)
    torch.nn.utils.clip_grad_value_(parameters.values(), 0.4)
    return result | {f"clip_value/{name}": p.grad.numpy() for name, p in parameters.items()}


def with_gradients(arrays):
    parameters = {name: torch.tensor(arrays[f"start/{name}"], requires_grad=True) for name in SHAPES}
    for name, p in parameters.items():
        p.grad = torch.tensor(arrays[f"gradient/{name}"][0])
    return parameters


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
