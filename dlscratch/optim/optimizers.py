"""Optimizers: how parameters move along their gradients. PyTorch's definitions, option names and defaults.

Each `_update` is the method's whole arithmetic for one flat piece of a parameter. The pieces are so small that they,
their gradient and their state stay in the processor's cache from the first line of the update to the last; everything
is computed in place or into scratch arrays that live as long as the optimizer, so a step allocates nothing.

p is a parameter, g its gradient, t in formulas the number of its updates, this one included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt, Lt

from dlscratch.backend import Array
from dlscratch.blas import axpby
from dlscratch.errors import CheckpointError, UsageError
from dlscratch.nn.options import check_options
from dlscratch.optim.packs import BLOCK, CLEARED, Parameters, clear_faded, named, packed

LearningRate = Annotated[float, Ge(0), Doc("learning rate: how far one update moves")]
WeightDecay = Annotated[float, Ge(0), Doc("L2 penalty: this times the parameter is added to its gradient")]
Epsilon = Annotated[float, Ge(0), Doc("added to the denominator, against division by zero")]
Fraction = Annotated[float, Ge(0), Lt(1)]
Betas = Annotated[tuple[Fraction, Fraction], Doc("how much of the averages of g and of g² is kept at each step")]


class Optimizer:
    """What all optimizers share: the parameters, the pieces they are cut into, and saving the state.

    `parameters` is a dict of names to tensors (a model's `named_parameters()`) or an iterable of tensors, which are
    then named by position. `buffers` names the arrays that a method keeps for each parameter. The values of small
    parameters move into common memory when the optimizer is made: a view of their `data`, or a `detach()`, from before
    stays behind.
    """

    buffers: tuple[str, ...] = ()

    def __init__(self, parameters: Parameters, lr: float) -> None:
        self.lr = lr
        check_options(self)
        self.parameters = named(parameters)
        self.steps = dict.fromkeys(self.parameters, 0)  # updates of each parameter: one without gradient is left out
        self._packs = packed(self.parameters, self.buffers)
        self._scratch: dict[np.dtype[np.generic], list[Array]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in self.parameters.values():
            tensor.grad = None

    def step(self) -> None:
        """Update in place each parameter that has a gradient."""
        for pack in self._packs:
            for ready in pack.ready(self.steps):
                for name in ready.named:
                    self.steps[name] += 1
                p, g = ready.gather()
                self._update_blocks(self.steps[name], p, g, list(ready.state.values()))
                ready.scatter()

    def _update_blocks(self, step: int, p: Array, g: Array, state: list[Array]) -> None:
        if p.dtype not in self._scratch:
            self._scratch[p.dtype] = [np.empty_like(p, shape=BLOCK), np.empty_like(p, shape=BLOCK)]
        for start in range(0, p.size, BLOCK):
            block = slice(start, start + BLOCK)
            scratch = [tmp[: p.size - start] for tmp in self._scratch[p.dtype]]
            self._update(step, p[block], g[block], [x[block] for x in state], scratch)
            if step % CLEARED == 0:
                for buffer, x in zip(self.buffers, state, strict=True):
                    clear_faded(buffer, x[block], getattr(self, "eps", 0), scratch[0])

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        """Update the `step`-th time one piece p of a parameter, in place, with its gradient g and state."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that the next step depends on: "step" (updates of each parameter, in their order), "lr", and
        "buffer/parameter" for each array.
        """
        step, lr = np.array(list(self.steps.values()), np.int64), np.array(self.lr, np.float64)
        return {"step": step, "lr": lr, **{key: x.copy() for key, x in self._state_arrays().items()}}

    def _state_arrays(self) -> dict[str, Array]:
        """The arrays themselves by "buffer/parameter"."""
        return {
            f"{buffer}/{name}": pack.view(buffer, name)
            for pack in self._packs
            for buffer in self.buffers
            for name in pack.named
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from `state_dict()`. CheckpointError names every entry that does not fit; then nothing changes."""
        own = self.state_dict()
        problems = [f"{key}: missing" for key in own if key not in state]
        problems += [f"{key}: unexpected" for key in state if key not in own]
        problems += [
            f"{key}: expected shape {own[key].shape} of {own[key].dtype}, got {x.shape} of {x.dtype}"
            for key, x in state.items()
            if key in own and (x.shape, x.dtype) != (own[key].shape, own[key].dtype)
        ]
        problems += ["step: below 0"] if not problems and state["step"].min(initial=0) < 0 else []
        if problems:
            lines = "\n".join(f"  {problem}" for problem in problems)
            raise CheckpointError(f"the optimizer's state does not fit {type(self).__name__} of this model:\n{lines}")
        self.steps = dict(zip(self.parameters, state["step"].tolist(), strict=True))
        self.lr = float(state["lr"])
        for key, x in self._state_arrays().items():
            x[...] = state[key]


class SGD(Optimizer):
    """Stochastic gradient descent: v ← momentum·v + (1 − dampening)·g, p ← p − lr·v; v starts as the first g.

    Nesterov's form moves by g + momentum·v instead (Sutskever et al. 2013, "On the importance of initialization and
    momentum in deep learning"; as PyTorch writes it). Without momentum v is g.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        momentum: Annotated[float, Ge(0), Doc("how much of the last step's velocity is kept; often 0.9")] = 0.0,
        dampening: Annotated[float, Doc("how much of the gradient is held back from the velocity")] = 0.0,
        weight_decay: WeightDecay = 0.0,
        nesterov: Annotated[bool, Doc("look ahead along the velocity (needs momentum, and no dampening)")] = False,
    ) -> None:
        if nesterov and (momentum == 0 or dampening != 0):
            raise UsageError(
                f"sgd: nesterov needs momentum above 0 and dampening 0, but momentum is {momentum} and dampening is "
                f"{dampening}; set momentum: 0.9, or leave nesterov out"
            )
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov
        self.weight_decay, self.buffers = weight_decay, ("momentum_buffer",) if momentum else ()
        super().__init__(parameters, lr)

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        g = _add_decay(g, p, self.weight_decay, scratch[0])
        if self.momentum:
            v = state[0]
            axpby(1.0 if step == 1 else 1 - self.dampening, g, self.momentum, v)
            if self.nesterov:
                axpby(-self.lr, g, 1.0, p)
            axpby(-self.lr * (self.momentum if self.nesterov else 1), v, 1.0, p)
        else:
            axpby(-self.lr, g, 1.0, p)


class Adam(Optimizer):
    """Adaptive moments: p ← p − lr·m̂ / (√v̂ + eps), with averages m̂ of g and v̂ of g² (Kingma & Ba 2015, algorithm 1).

    The paper keeps m ← β₁m + (1 − β₁)g and divides by 1 − β₁ᵗ. Here the sums M ← β₁M + g and V ← β₂V + g² are kept,
    and m̂ = M / (1 + β₁ + … + β₁ᵗ⁻¹): the same averages in two passes over memory less.
    """

    buffers = ("gradient_sum", "square_sum")

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        self.betas, self.eps, self.weight_decay = (betas[0], betas[1]), eps, weight_decay
        super().__init__(parameters, lr)

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        tmp, decayed = scratch
        self._move(step, p, _add_decay(g, p, self.weight_decay, decayed), state, tmp)

    def _move(self, step: int, p: Array, g: Array, state: list[Array], tmp: Array) -> None:
        (M, V), (beta1, beta2) = state, self.betas
        axpby(1.0, g, beta1, M)
        axpby(1.0, np.multiply(g, g, out=tmp), beta2, V)
        # lr·m̂ / (√v̂ + eps) with m̂ = first·M and v̂ = second·V, the scalars moved to where they cost nothing
        first = (1 - beta1) / (1 - beta1**step)
        second = (1 - beta2) / (1 - beta2**step)
        np.add(np.sqrt(V, out=tmp), self.eps / second**0.5, out=tmp)
        axpby(-self.lr * first / second**0.5, np.divide(M, tmp, out=tmp), 1.0, p)


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← (1 − lr·weight_decay)·p, then Adam's step (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Epsilon = 1e-8,
        weight_decay: Annotated[float, Ge(0), Doc("shrinks the parameter by lr times this at each step")] = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        if self.weight_decay:
            np.multiply(p, 1 - self.lr * self.weight_decay, out=p)
        self._move(step, p, g, state, scratch[0])


class RMSprop(Optimizer):
    """v ← α·v + (1 − α)·g², p ← p − lr·g / (√v + eps) (Hinton 2012, "Neural networks for machine learning", 6e).

    Centered: the square of the gradient's own average is taken out of v (Graves 2013, arXiv:1308.0850, eq. 38–45).
    With momentum: b ← momentum·b + g / (√v + eps), p ← p − lr·b.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-2,
        alpha: Annotated[float, Ge(0), Lt(1), Doc("how much of the average of g² is kept at each step")] = 0.99,
        eps: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.0,
        momentum: Annotated[float, Ge(0), Doc("how much of the last step's velocity is kept")] = 0.0,
        centered: Annotated[bool, Doc("divide by the gradient's standard deviation, not its root mean square")] = False,
    ) -> None:
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.momentum, self.centered = momentum, centered
        self.buffers = ("square_avg", *["grad_avg"] * centered, *["momentum_buffer"] * (momentum > 0))
        super().__init__(parameters, lr)

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        tmp, decayed = scratch
        v, *others = state
        g = _add_decay(g, p, self.weight_decay, decayed)
        axpby(1 - self.alpha, np.multiply(g, g, out=tmp), self.alpha, v)
        if self.centered:
            mean = others[0]
            axpby(1 - self.alpha, g, self.alpha, mean)
            np.subtract(v, np.multiply(mean, mean, out=tmp), out=tmp)
        np.add(np.sqrt(tmp if self.centered else v, out=tmp), self.eps, out=tmp)
        direction = np.divide(g, tmp, out=tmp)
        if self.momentum:
            axpby(1.0, direction, self.momentum, others[-1])
            direction = others[-1]
        axpby(-self.lr, direction, 1.0, p)


class Adagrad(Optimizer):
    """s ← s + g², p ← p − lr / (1 + (t − 1)·lr_decay) · g / (√s + eps) (Duchi, Hazan & Singer 2011)."""

    buffers = ("sum",)

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-2,
        lr_decay: Annotated[float, Ge(0), Doc("divides lr by 1 + this times the updates before")] = 0.0,
        weight_decay: WeightDecay = 0.0,
        initial_accumulator_value: Annotated[float, Ge(0), Doc("what the sum of squares starts from")] = 0.0,
        eps: Annotated[float, Gt(0), Doc("added to the denominator, against division by zero")] = 1e-10,
    ) -> None:
        self.lr_decay, self.weight_decay, self.eps = lr_decay, weight_decay, eps
        self.initial_accumulator_value = initial_accumulator_value
        super().__init__(parameters, lr)
        for s in self._state_arrays().values():
            s[...] = initial_accumulator_value

    def _update(self, step: int, p: Array, g: Array, state: list[Array], scratch: list[Array]) -> None:
        tmp, decayed = scratch
        s = state[0]
        g = _add_decay(g, p, self.weight_decay, decayed)
        np.add(s, np.multiply(g, g, out=tmp), out=s)
        np.add(np.sqrt(s, out=tmp), self.eps, out=tmp)
        axpby(-self.lr / (1 + (step - 1) * self.lr_decay), np.divide(g, tmp, out=tmp), 1.0, p)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}


def _add_decay(g: Array, p: Array, weight_decay: float, out: Array) -> Array:
    """g + weight_decay·p, in `out`; g itself where there is no decay."""
    if not weight_decay:
        return g
    np.copyto(out, g)
    axpby(weight_decay, p, 1.0, out)
    return out
