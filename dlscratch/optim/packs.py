"""Which parameters an optimizer updates together: the small ones as one flat array, so that a bias costs no calls.

A call of NumPy on ten numbers takes as long as on a thousand, an update makes about ten calls for each parameter, and
a network has many small ones. So those are copied side by side, updated at once, and copied back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.backend import Array
from dlscratch.errors import UsageError

BLOCK = 131072  # elements: parameter, gradient, two states and scratch in float32 are 2.6 MB, the size of a cache
SMALL = 16384  # elements up to which it is cheaper to copy a parameter and its gradient than to update it alone
CLEARED = 32  # updates from one clearing of faded numbers to the next
VELOCITIES = {"momentum_buffer", "gradient_sum", "grad_avg"}  # states that fade away where the gradient is 0
SQUARES = {"square_avg", "square_sum"}  # so do these, but more slowly
NOTICED = 1e-10  # of eps: beside as much, the root of a square that is cleared is nothing

Parameters = Mapping[str, Tensor] | Iterable[Tensor]


class Pack:
    """Parameters that are updated together; `state[buffer]` is one flat array for all of them."""

    def __init__(self, named: dict[str, Tensor], state: dict[str, Array]) -> None:
        self.named = named
        self.state = state
        ends = np.cumsum([x.size for x in named.values()]).tolist()
        self.slices = {name: slice(end - x.size, end) for (name, x), end in zip(named.items(), ends, strict=True)}
        self._copies: tuple[Array, Array] | None = None

    def view(self, buffer: str, name: str) -> Array:
        """One parameter's part of a state, in its shape."""
        return shaped(self.state[buffer][self.slices[name]], self.named[name]._array)

    def ready(self, steps: dict[str, int]) -> Iterator[Pack]:
        """What can be updated together now: all, if all have a gradient and as many updates; else one by one."""
        with_gradient = [name for name, x in self.named.items() if x.grad is not None]
        if len(with_gradient) == len(self.named) and len({steps[name] for name in with_gradient}) == 1:
            yield self
            return
        for name in with_gradient:
            part = self.slices[name]
            yield Pack({name: self.named[name]}, {buffer: x[part] for buffer, x in self.state.items()})

    def gather(self) -> tuple[Array, Array, bool]:
        """All parameters and all gradients, each as one flat array, and whether these are copies."""
        parameters = [x._mutate() for x in self.named.values()]
        gradients = [flat(x.grad, x._array) for x in self.named.values() if x.grad is not None]
        if len(parameters) == 1 and parameters[0].flags.forc:
            return flat(parameters[0], parameters[0]), gradients[0], False
        if self._copies is None:
            self._copies = _zeros(self.named), _zeros(self.named)
        p, g = self._copies
        np.concatenate([flat(x, x) for x in parameters], out=p)
        np.concatenate(gradients, out=g)
        return p, g, True

    def scatter(self, p: Array) -> None:
        """Copy p back into the parameters."""
        for name, tensor in self.named.items():
            tensor._array[...] = shaped(p[self.slices[name]], tensor._array)


def flat(x: Array, like: Array) -> Array:
    """The elements of x in the order in which `like` has them in memory: without a copy, if x has the same."""
    return x.T.reshape(-1) if like.flags.fnc else x.reshape(-1)


def shaped(elements: Array, like: Array) -> Array:
    """What `flat` undoes: a view in `like`'s shape."""
    return elements.reshape(like.T.shape).T if like.flags.fnc else elements.reshape(like.shape)


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
    return [Pack(named, {buffer: _zeros(named) for buffer in buffers}) for named in members]


def _size(named: dict[str, Tensor]) -> int:
    return sum(x.size for x in named.values())


def _zeros(named: dict[str, Tensor]) -> Array:
    return np.zeros_like(next(iter(named.values())).data, shape=_size(named))
