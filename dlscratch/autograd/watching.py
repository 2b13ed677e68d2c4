"""backward() with someone watching: every call of a rule, in order, with what went in and what came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dlscratch.autograd.engine import Node, Rule, Tensor, _fit
from dlscratch.backend import Array


@dataclass(frozen=True, eq=False)
class Flow:
    """One call of a rule: the gradient of a node's result turned into the gradient of one of its operands."""

    node: Node
    position: int  # of the operand
    incoming: Array
    given: Array  # by the rule, in the shape of the result where the operand was broadcast
    part: Array  # summed over the axes that were stretched: the operand's share

    @property
    def source(self) -> Node | Tensor:
        """Where the part goes: the node or leaf that the operand came from."""
        source = self.node.sources[self.position]
        assert source is not None
        return source


def watched_backward(tensor: Tensor, gradient: object = None) -> list[Flow]:
    """Do what `tensor.backward(gradient)` does, and tell of every step.

    The engine does the work: only the rules are replaced, for as long as it takes, by ones that also write down.
    """
    flows: list[Flow] = []
    kept = [(node, node.rules) for node in nodes_of(tensor)]
    try:
        for node, rules in kept:
            node.rules = [rule and _watched(node, position, rule, flows) for position, rule in enumerate(rules)]
        tensor.backward(gradient)
    finally:
        for node, rules in kept:
            node.rules = rules
    return flows


def _watched(node: Node, position: int, rule: Rule, flows: list[Flow]) -> Rule:
    def watched(g: Array) -> Array:
        given, source = rule(g), node.sources[position]
        assert source is not None
        flows.append(Flow(node, position, g, given, _fit(given, source.shape, source.dtype)))
        return given

    return watched


def origin(tensor: Tensor) -> Node | Tensor:
    """The node that made a tensor, or the tensor itself, if it is a leaf."""
    return tensor if tensor._node is None else tensor._node


def nodes_of(tensor: Tensor) -> Iterator[Node]:
    """The nodes of the graph that made a tensor, each once, its own first."""
    waiting, seen = [tensor._node], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node.number not in seen:
            seen.add(node.number)
            yield node
            waiting.extend(source for source in node.sources if isinstance(source, Node))
