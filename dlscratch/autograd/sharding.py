"""Shards: a batch cut into parts that are computed side by side on all cores.

A function of examples that treats each by itself gives the same for a part of a batch as for the whole. So each part
passes through several layers, with a graph of its own, before the next begins. In the graph outside all this is one
node. The parts depend on sizes only, and what they add to a parameter's gradient is summed in a fixed order, each half
of the batch by itself: the bits do not depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Sequence

import numpy as np

from dlscratch.autograd.engine import Node, Rule, Tensor, _backward_pass, _recording, wrap
from dlscratch.backend import Array
from dlscratch.crew import even_parts, side_by_side
from dlscratch.team import halves, members, part_of_half, sum_halves

CACHED = 2**20  # such numbers in a shard: with smaller ones there are too many calls
LANES = 4  # stretches of a half's shards that each sum up gradients of their own


def shards_of(examples: int, numbers: int) -> list[slice]:
    """Even parts of a batch; `numbers` is how many of an example go into its widest layer and come out."""
    few = members() * examples * numbers <= CACHED // 2
    return [slice(0, examples)] if few else even_parts(examples, numbers, CACHED)


def in_shards(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], parameters: Sequence[Tensor], shards: Sequence[slice]
) -> Tensor:
    """function(*inputs), computed for each shard of the inputs' first axis; it must treat each example by itself.

    `parameters` are all tensors besides the inputs that it uses and that may want a gradient.
    """
    work = _Work(function, inputs, shards)
    operands = (*inputs, *parameters)
    recorded = _recording.get() and any(x.requires_grad for x in operands)
    rules: list[Rule | None] = [functools.partial(work.gradient, x) for x in operands]
    return wrap(work.value, (), Node("Shards", work.value, operands, rules) if recorded else None)


class _Work:
    """The shards' graphs, and the gradients that they gave at last."""

    def __init__(self, function: Callable[..., Tensor], inputs: Sequence[Tensor], shards: Sequence[slice]) -> None:
        self.function, self.inputs, self.shards = function, inputs, shards
        self.graphs: dict[int, tuple[list[Tensor], Tensor]] = {}  # of each shard: its inputs and its result
        self.value = np.empty(0)
        self.waiting: dict[int, Array] = {}  # gradients that nobody has asked for yet
        self._first = threading.Lock()
        side_by_side([functools.partial(self._forward, lane) for lane in self._lanes()])

    def _lanes(self) -> list[range]:
        lanes = []
        for half in halves(len(self.shards)):
            ends = [half.start + (half.stop - half.start) * i // LANES for i in range(LANES + 1)]
            lanes += [range(*pair) for pair in itertools.pairwise(ends) if pair[0] < pair[1]]
        return lanes

    def _forward(self, lane: range) -> None:
        for index in lane:
            shard = self.shards[index]
            leaves = [wrap(x._array[shard]) for x in self.inputs]
            for leaf, x in zip(leaves, self.inputs, strict=True):
                leaf.requires_grad = x.requires_grad
            with part_of_half():
                self.graphs[index] = leaves, self.function(*leaves)
            self._place(shard, self.graphs[index][1]._array)

    def _place(self, shard: slice, result: Array) -> None:
        """Write one shard's result into that of the batch, which the first to come makes room for."""
        with self._first:
            if not self.value.size:
                self.value = np.empty_like(result, shape=(self.shards[-1].stop, *result.shape[1:]))
        self.value[shard] = result

    def gradient(self, operand: Tensor, g: Array) -> Array:
        """The rule of an operand: the first that is asked computes the gradients of all."""
        if id(operand) not in self.waiting:
            self._backward(g)
        return self.waiting.pop(id(operand))

    def _backward(self, g: Array) -> None:
        found = {id(x): np.empty_like(x._array) for x in self.inputs if x.requires_grad}
        lanes = self._lanes()
        totals: list[dict[int, Array]] = [{} for _ in lanes]
        jobs = zip(lanes, totals, strict=True)
        side_by_side([functools.partial(self._backward_lane, lane, g, found, total) for lane, total in jobs])
        self.waiting = found | {key: sum_halves([total[key] for total in totals]) for key in totals[0]}

    def _backward_lane(self, lane: range, g: Array, found: dict[int, Array], totals: dict[int, Array]) -> None:
        """The inputs' gradients go to their places in `found`, those of parameters are added up in `totals`."""
        for index in lane:
            shard, (leaves, result) = self.shards[index], self.graphs[index]
            pairs = zip(leaves, self.inputs, strict=True)
            places = {id(leaf): found[id(x)][shard] for leaf, x in pairs if x.requires_grad}
            assert result._node is not None
            with part_of_half():
                parts = _backward_pass(result._node, g[shard])
            for leaf, part in parts:
                if id(leaf) in places:
                    places[id(leaf)][...] = part
                elif id(leaf) in totals:
                    totals[id(leaf)] += part
                else:
                    totals[id(leaf)] = part
