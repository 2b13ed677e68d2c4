"""Which parameters an optimizer updates together: the small ones as one flat array, so that a bias costs no calls.

A call of NumPy on ten numbers takes as long as on a thousand, an update makes about ten calls for each parameter, and
a network has many small ones. So the values of those move into one array, in which they lie side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.backend import Array
from dlscratch.errors import UsageError

BLOCK = 131072  # elements: parameter, gradient, two states and scratch in float32 are 2.6 MB, the size of a cache
SMALL = 16384  # elements up to which it is cheaper to copy a gradient than to update its parameter alone
CLEARED = 32  # updates from one clearing of faded numbers to the next
VELOCITIES = {"momentum_buffer", "gradient_sum", "grad_avg"}  # states that fade away where the gradient is 0
SQUARES = {"square_avg", "square_sum"}  # so do these, but more slowly
NOTICED = 1e-10  # of eps: beside as much, the root of a square that is cleared is nothing

Parameters = Mapping[str, Tensor] | Iterable[Tensor]


class Pack:
    """Parameters that are updated together; `state[buffer]` is one flat array for all of them."""

    def __init__(
        self, named: dict[str, Tensor], state: dict[str, Array], turned: dict[str, bool] | None = None
    ) -> None:
        self.named = named
        self.state = state
        self.turned = turned or {name: x._array.flags.fnc for name, x in named.items()}  # kept here in Fortran's order
        ends = np.cumsum([x.size for x in named.values()]).tolist()
        self.slices = {name: slice(end - x.size, end) for (name, x), end in zip(named.items(), ends, strict=True)}
        self._flat: tuple[Array, Array] | None = None  # memory for all parameters and for all gradients
        self._values: dict[str, Array] = {}  # each parameter's part of it, in its shape

    def __getstate__(self) -> dict[str, Any]:
        """A copy finds its own memory."""
        return {**self.__dict__, "_flat": None, "_values": {}}

    def settle(self) -> None:
        """Move the parameters' values side by side. Whoever changes where they are later is only slower."""
        self._flat = _zeros(self.named), _zeros(self.named)
        for name, tensor in self.named.items():
            values = self._part(self._flat[0], name)
            values[...] = tensor._array
            tensor._array = self._values[name] = values

    def view(self, buffer: str, name: str) -> Array:
        """One parameter's part of a state, in its shape."""
        return self._part(self.state[buffer], name)

    def _part(self, numbers: Array, name: str) -> Array:
        part, shape = numbers[self.slices[name]], self.named[name].shape
        return part.reshape(shape[::-1]).T if self.turned[name] else part.reshape(shape)

    def ready(self, steps: dict[str, int]) -> Iterator[Pack]:
        """What can be updated together now: all, if all have a gradient and as many updates; else one by one."""
        with_gradient = [name for name, x in self.named.items() if x.grad is not None]
        if len(with_gradient) == len(self.named) and len({steps[name] for name in with_gradient}) == 1:
            yield self
            return
        for name in with_gradient:
            part = self.slices[name]
            state = {buffer: x[part] for buffer, x in self.state.items()}
            yield Pack({name: self.named[name]}, state, {name: self.turned[name]})

    def gather(self) -> tuple[Array, Array]:
        """All parameters and all gradients, each as one flat array. Call `scatter` when they are updated."""
        if self._flat is None and len(self.named) == 1:
            [(name, tensor)] = self.named.items()
            flags = tensor._array.flags
            if flags.forc and flags.fnc == self.turned[name] and tensor.grad is not None:
                return flat(tensor._mutate(), tensor._array), flat(tensor.grad, tensor._array)
        if self._flat is None:
            self.settle()
        assert self._flat is not None
        for name, tensor in self.named.items():
            if tensor._mutate() is not self._values[name]:
                self._values[name][...] = tensor._array
        gradients = [flat(x.grad, self._values[name]) for name, x in self.named.items() if x.grad is not None]
        np.concatenate(gradients, out=self._flat[1])
        return self._flat

    def scatter(self) -> None:
        """Copy values back to parameters that are not where `settle` moved them."""
        for name, values in self._values.items():
            array = self.named[name]._array
            if array is not values:
                array[...] = values


def flat(x: Array, like: Array) -> Array:
    """The elements of x in the order in which `like` has them in memory: without a copy, if x has the same."""
    return x.T.reshape(-1) if like.flags.fnc else x.reshape(-1)


def clear_faded(buffer: str, state: Array, eps: float, scratch: Array) -> None:
    """Make 0 of a state's numbers that would soon be denormal, with which processors compute many times slower.

    A weight whose gradient is 0 for hundreds of updates, as those of a rarely lit pixel are, has such a velocity.
    """
    if state.dtype.char in "fd" and buffer in (VELOCITIES | SQUARES if eps >= NOTICED else VELOCITIES):
        state[np.abs(state, out=scratch) < 1e8 * np.finfo(state.dtype).tiny] = 0


def named(parameters: Parameters) -> dict[str, Tensor]:
    """Names to tensors; a tensor that comes twice (tied weights) keeps its first name and is updated once."""
    pairs = parameters.items() if isinstance(parameters, Mapping) else ((str(i), x) for i, x in enumerate(parameters))
    first: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in pairs:
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            raise UsageError(f"parameter {name!r}: expected a Tensor with requires_grad=True, got {tensor!r:.80}")
        first.setdefault(id(tensor), (name, tensor))
    if not first:
        raise UsageError("the optimizer got no parameters; a model without an input shape has none until it is called")
    return dict(first.values())


def packed(parameters: dict[str, Tensor], buffers: tuple[str, ...]) -> list[Pack]:
    """All parameters in packs, states zero: SMALL ones of one dtype together, up to BLOCK elements, others alone."""
    members: list[dict[str, Tensor]] = []
    filling: dict[np.dtype[np.generic], dict[str, Tensor]] = {}
    for name, tensor in parameters.items():
        pack = filling.get(tensor.dtype)
        if tensor.size > SMALL:
            members.append({name: tensor})
        elif pack is None or _size(pack) + tensor.size > BLOCK:
            filling[tensor.dtype] = {name: tensor}
            members.append(filling[tensor.dtype])
        else:
            pack[name] = tensor
    packs = [Pack(named, {buffer: _zeros(named) for buffer in buffers}) for named in members]
    for each in packs:
        if len(each.named) > 1:
            each.settle()
    return packs


def _size(named: dict[str, Tensor]) -> int:
    return sum(x.size for x in named.values())


def _zeros(named: dict[str, Tensor]) -> Array:
    return np.zeros_like(next(iter(named.values())).data, shape=_size(named))
