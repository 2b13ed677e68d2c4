"""A function of examples whose batch is halved: one half is computed here, the other by a second process.

Both keep the graph of their half. In the graph outside there is one node, whose rule sends the gradient's second half
to the other process and adds up what both find for each parameter. See `team` for what makes the bits the same as those
of one process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlscratch.autograd.engine import Node, Rule, Tensor, _backward_pass, _recording, wrap
from dlscratch.backend import Array
from dlscratch.errors import GradientError
from dlscratch.team import Memory, Team, may_help, placed

Given = tuple[tuple[int, ...], str, tuple[int, ...]]  # shape, dtype and strides of an array in shared memory
Function = Callable[[Tensor, np.random.Generator | None], Tensor]


def two_may_share(x: Tensor) -> bool:
    """Whether two processes may compute a function of these examples, whose graph is kept."""
    if type(x._array) is not np.ndarray or len(x._array) % 2 or x.requires_grad:
        return False
    return _recording.get() and may_help()


class Halves:
    """The function, and the process that helps with it, for batches that two may share, up to the size of x.

    `function(x, rng)` must treat each example by itself, or use `team.both`. `parameters` are all tensors besides x
    that it uses, each once; their values lie in memory that both processes see, until `close`. `output` is the shape
    that an example gives. Both have the function as it was when this was made; `fits` tells whether a batch is one for
    it. OSError: there can be no such process or memory.
    """

    def __init__(self, function: Function, x: Tensor, parameters: Sequence[Tensor], output: tuple[int, ...]) -> None:
        self.function, self.parameters = function, list(parameters)
        self.most, self._call, self._graph = len(x._array) // 2, 0, wrap(np.empty(0))
        self._example = x.shape[1:], x.dtype
        widest = np.dtype(np.float64).itemsize
        sizes = [x._array.nbytes // 2, self.most * int(np.prod(output)) * widest]
        sizes += 2 * [p._array.nbytes for p in self.parameters]
        memory = Memory(Team.size() + sum(sizes) + 64 * (len(sizes) + 8))
        self._x, self._y = memory.room(sizes[0]), memory.room(sizes[1])
        self._values = [placed(memory.room(p._array.nbytes), p._array) for p in self.parameters]
        self._gradients = [memory.room(p._array.nbytes) for p in self.parameters]
        self._counters: list[list[int]] = [[0] for _ in self.parameters]  # of changes of the values, for older graphs
        self._team = Team(self._serve, memory)

    def __reduce__(self) -> Any:
        """A copy of what holds this has no second process."""
        return type(None), ()

    def _move(self) -> None:
        """Let the parameters' values lie where both processes see them, also those that have been replaced."""
        for index, (tensor, place) in enumerate(zip(self.parameters, self._values, strict=True)):
            if tensor._array is not place:
                self._counters[index][0] += 1
                place[...] = tensor._array
                tensor._array, self._counters[index] = place, tensor._version

    def fits(self, x: Tensor) -> bool:
        """Whether a batch, which two may share, can be halved here."""
        return self._team.ready and (x.shape[1:], x.dtype) == self._example and 0 < len(x._array) <= 2 * self.most

    def __call__(self, x: Tensor, rng: np.random.Generator | None) -> Tensor:
        """function(x, rng), and in the graph one node. Only the last call's gradient can be asked for."""
        self._move()
        middle, self._call = len(x._array) // 2, self._call + 1
        wanted = [p.requires_grad for p in self.parameters]
        self._team.call((self._put(self._x, x._array[middle:]), wanted, rng))
        with self._team.half():
            mine = self.function(wrap(x._array[:middle]), rng)
        used = _leaves(mine._node)
        theirs = self._get(self._y, self._team.answer())
        value = np.empty_like(theirs, shape=(2 * middle, *theirs.shape[1:]))
        value[:middle], value[middle:] = mine._array, theirs
        if True not in wanted:
            return wrap(value)
        gradients = _Gradients(self, self._call, mine)
        found = (functools.partial(gradients.of, i) if id(p) in used else None for i, p in enumerate(self.parameters))
        rules: list[Rule | None] = list(found)
        return wrap(value, (), Node("Halves", value, tuple(self.parameters), rules))

    def gradients(self, call: int, mine: Tensor, g: Array) -> dict[int, Array]:
        """Of the parameters, by their index, for the gradient g of a call's result, of which `mine` is the half."""
        if call != self._call:
            raise GradientError("backward() for a batch that two processes shared, but after another batch of theirs")
        if not self._team.ready:
            raise GradientError("backward() for a batch that two processes shared, after the second of them has ended")
        middle = len(g) // 2
        self._team.call((self._put(self._y, g[middle:]),))
        with self._team.half():
            found = self._backward(mine, g[:middle])
        theirs = self._team.answer()
        return {i: found[i] + self._get(self._gradients[i], given) for i, given in theirs.items()}

    def _backward(self, result: Tensor, g: Array) -> dict[int, Array]:
        found = {id(leaf): part for leaf, part in _backward_pass(result._node, g)} if result._node is not None else {}
        return {i: found[id(p)] for i, p in enumerate(self.parameters) if id(p) in found}

    def _serve(self, request: tuple[Any, ...]) -> Any:
        """The other process's part of a call: where the result lies, or of the gradients."""
        given, *others = request
        if not others:
            found = self._backward(self._graph, self._get(self._y, given))
            return {i: self._put(self._gradients[i], g) for i, g in found.items()}
        wanted, rng = others
        for tensor, place, want in zip(self.parameters, self._values, wanted, strict=True):
            tensor._array, tensor.requires_grad = place, want
        self._graph = wrap(np.empty(0))  # the last one's memory is free for this one
        self._graph = self.function(wrap(self._get(self._x, given)), rng)
        return self._put(self._y, self._graph._array)

    @staticmethod
    def _put(place: Array, array: Array) -> Given:
        """Copy an array to memory that both see, and tell how it lies there."""
        there = placed(place, array)
        there[...] = array
        return there.shape, there.dtype.str, there.strides

    @staticmethod
    def _get(place: Array, given: Given) -> Array:
        shape, dtype, strides = given
        return np.ndarray(shape, dtype, place.data, strides=strides)

    def close(self) -> None:
        """End the second process, and let no other that is forked later change the parameters."""
        self._team.dismiss()
        for tensor, place in zip(self.parameters, self._values, strict=True):
            if tensor._array is place:
                tensor._array = np.copy(place)


class _Gradients:
    """The gradients of one call, computed for all parameters when the first is asked for."""

    def __init__(self, halves: Halves, call: int, mine: Tensor) -> None:
        self.halves, self.call, self.mine = halves, call, mine
        self.found: dict[int, Array] = {}
        self.last: Array | None = None  # what they were found for

    def of(self, index: int, g: Array) -> Array:
        """The rule of a parameter."""
        if self.last is not g:
            self.found, self.last = self.halves.gradients(self.call, self.mine, g), g
        return self.found.pop(index)


def _leaves(node: Node | None) -> set[int]:
    """The tensors (their ids) that get a gradient from a node."""
    found, seen, ahead = set[int](), set[int](), [node] if node is not None else []
    while ahead:
        here = ahead.pop()
        sources = [source for source, rule in zip(here.sources, here.rules, strict=False) if rule is not None]
        found |= {id(source) for source in sources if isinstance(source, Tensor)}
        ahead += [source for source in sources if isinstance(source, Node) and source.number not in seen]
        seen |= {source.number for source in sources if isinstance(source, Node)}
    return found
