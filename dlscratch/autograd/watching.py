"""The engine with someone watching: every op and every call of a rule, with what went in and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dlscratch.autograd import engine
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
        for node, _ in kept:
            node.rules = _watched_rules(node, flows.append)
        tensor.backward(gradient)
    finally:
        for node, rules in kept:
            node.rules = rules
    return flows


@contextmanager
def watched_ops(
    made: Callable[[Node, Array, tuple[Any, ...]], None], flowed: Callable[[Flow], None]
) -> Iterator[None]:
    """Inside, `made` hears of every op that is recorded, its value and operands, and `flowed` of every call of a rule.

    The engine does the work, whoever calls it: only its nodes are replaced meanwhile, by ones that also tell.
    """

    class Telling(Node):
        __slots__ = ()

        def __init__(self, name: str, value: Array, operands: tuple[Any, ...], rules: list[Rule | None]) -> None:
            super().__init__(name, value, operands, rules)
            self.rules = _watched_rules(self, flowed)
            made(self, value, operands)

    names = vars(engine)
    names["Node"] = Telling
    try:
        yield
    finally:
        names["Node"] = Node


def _watched_rules(node: Node, tell: Callable[[Flow], None]) -> list[Rule | None]:
    return [rule and _watched(node, position, rule, tell) for position, rule in enumerate(node.rules)]


def _watched(node: Node, position: int, rule: Rule, tell: Callable[[Flow], None]) -> Rule:
    def watched(g: Array) -> Array:
        given, source = rule(g), node.sources[position]
        assert source is not None
        tell(Flow(node, position, g, given, _fit(given, source.shape, source.dtype)))
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
