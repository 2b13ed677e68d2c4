"""Explain an expression: its values forward, then its gradients backward, step by step with the numbers.

    print(explain("(x + y) * z", x=-2, y=5, z=-4))

The numbers are those of the engine: backward() runs as always, and every call of a rule is written down.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlscratch.autograd import Node, Tensor
from dlscratch.autograd.watching import Flow, origin, watched_backward
from dlscratch.backend import Array
from dlscratch.pictures.expression import Expression, evaluate
from dlscratch.pictures.parts import Part, bracketed, short, title
from dlscratch.pictures.rules import GRADIENT, rules_of
from dlscratch.pictures.tree import Branch

LONGEST_RULE = 80  # letters; in longer ones
LONGEST_NAME = 20  # the operands are cut


def explain(expression: str, constants: Collection[str] = (), **values: Any) -> Explanation:
    """The explanation of an expression of ops for these values: numbers, lists or arrays.

    UsageError where the expression is none, with a mark under the place.
    """
    return explained(evaluate(expression, {name: _float64(value) for name, value in values.items()}, constants))


def _float64(value: Any) -> Array:
    array = np.asarray(value)
    return array if array.dtype.kind == "b" else array.astype(np.float64)


def explained(expression: Expression) -> Explanation:
    """The explanation of an expression that has been computed."""
    result = expression.result.tensor
    flows = []
    if result.requires_grad:
        with np.errstate(all="ignore"):
            flows = watched_backward(result, np.ones_like(result.data))
    return Explanation(expression, flows)


@dataclass(frozen=True)
class Move:
    """A part of the gradient on its way from an op to one of its operands."""

    flow: Flow
    target: Part
    rule: str  # `g * z`
    filled: str  # `1 * (-4)`, where all are single numbers
    summed: tuple[int, ...]  # the axes that broadcasting had stretched
    before: Array | None  # what the target had received before
    total: Array  # and has now


@dataclass(frozen=True)
class Step:
    """The rules of one op: its gradient has arrived, and goes on to its operands."""

    number: int
    part: Part
    gradient: Array
    received: tuple[tuple[int, Array], ...]  # what it is the sum of: step and part
    moves: tuple[Move, ...]


class Explanation:
    """An expression with its values and its backward pass. As text, all of it; `document()` is the same as JSON."""

    def __init__(self, expression: Expression, flows: list[Flow]) -> None:
        self.expression = expression
        self.parts = expression.parts
        self._parts = {id(origin(part.tensor)): part for part in self.parts}
        self.steps = self._steps(flows)

    def _steps(self, flows: list[Flow]) -> list[Step]:
        steps: list[Step] = []
        received: dict[int, list[tuple[int, Array]]] = {}
        for flow in flows:
            part = self.part_of(flow.node)
            if not steps or steps[-1].part is not part:
                steps.append(Step(len(steps) + 1, part, flow.incoming, tuple(received.get(id(flow.node), ())), ()))
            parts = received.setdefault(id(flow.source), [])
            move = self._move(flow, sum_of(parts))
            parts.append((steps[-1].number, flow.part))
            steps[-1] = replace(steps[-1], moves=(*steps[-1].moves, move))
        return steps

    def _move(self, flow: Flow, before: Array | None) -> Move:
        rule, filled = self._rule(flow)
        total = flow.part if before is None else before + flow.part
        summed = stretched(flow.given.shape, flow.source.shape)
        return Move(flow, self.part_of(flow.source), rule, filled, summed, before, total)

    def _rule(self, flow: Flow) -> tuple[str, str]:
        """The rule of a flow in the expression's own names, and in numbers."""
        part = self.part_of(flow.node)
        rules = rules_of(part.op)
        known = dict(zip(rules.operands, part.operands, strict=False)) | ({rules.result: part} if rules.result else {})
        rule = rules.text(flow.position, {own: bracketed(other) for own, other in known.items()})
        if len(rule) > LONGEST_RULE:
            texts = {own: bracketed(other, letters=LONGEST_NAME) for own, other in known.items()}
            rule = rules.text(flow.position, texts)
        numbers = {own: short(other.value) for own, other in known.items() if other.value.ndim == 0}
        numbers |= {GRADIENT: short(flow.incoming)} if flow.incoming.ndim == 0 else {}
        return rule, rules.filled(flow.position, numbers)

    def part_of(self, source: Node | Tensor) -> Part:
        """The part of the expression that a node or leaf is."""
        return self._parts[id(source)]

    def gradient(self, part: Part) -> Array | None:
        """The gradient of the result with respect to a part; None where there is none."""
        source = origin(part.tensor)
        if isinstance(source, Tensor):
            return source.grad
        return next((step.gradient for step in self.steps if step.part is part), None)

    @property
    def gradients(self) -> dict[str, Array | None]:
        """The gradient of each variable; None for constants and where nothing depends on it."""
        return {name: self.gradient(part) for name, part in self.expression.variables.items()}

    def forward(self) -> Branch:
        """The expression as a tree of ops with their values."""
        return _forward(self.expression.result, set())

    def backward(self) -> list[Branch]:
        """A tree for each step: the op and its gradient, and under it what flows to which operand."""
        return [Branch(_head(step), [Branch(_line(move)) for move in step.moves]) for step in self.steps]

    def summary(self) -> list[str]:
        """A line for each variable with its gradient."""
        found = self.gradients.items()
        return [f"{name}: {'no gradient' if gradient is None else short(gradient)}" for name, gradient in found]

    def __str__(self) -> str:
        steps = [branch.text() for branch in self.backward()] or ["nothing here has a gradient"]
        return "\n".join(["forward", self.forward().text(), "", "backward", *steps, "", "gradients", *self.summary()])

    def document(self) -> dict[str, Any]:
        """Values, steps and gradients as JSON; nodes are named by their `id`."""
        return {
            "expression": self.expression.source.text,
            "value": self.expression.result.value.tolist(),
            "gradients": {name: _list(gradient) for name, gradient in self.gradients.items()},
            "nodes": [self._node_document(part) for part in self.parts],
            "steps": [self._step_document(step) for step in self.steps],
        }

    def _node_document(self, part: Part) -> dict[str, Any]:
        return {
            "id": part.number,
            "op": part.title,
            "text": part.text,
            **({"made_of": part.made_of} if part.made_of else {}),
            "shape": list(part.value.shape),
            "operands": [each.number for each in part.operands],
            "value": part.value.tolist(),
            "gradient": _list(self.gradient(part)),
        }

    def _step_document(self, step: Step) -> dict[str, Any]:
        return {
            "step": step.number,
            "op": title(step.part.op),
            "node": step.part.number,
            "gradient": step.gradient.tolist(),
            "sum_of": [{"step": number, "part": part.tolist()} for number, part in step.received],
            "flows": [self._move_document(move) for move in step.moves],
        }

    def _move_document(self, move: Move) -> dict[str, Any]:
        return {
            "operand": move.flow.position,
            "to": move.target.number,
            "rule": move.rule,
            "given": move.flow.given.tolist(),
            "summed_over": list(move.summed),
            "part": move.flow.part.tolist(),
            "before": _list(move.before),
            "total": move.total.tolist(),
        }


def _forward(part: Part, above: set[int]) -> Branch:
    """A part and under it what went in; what a function made of ops uses once more is not unfolded again."""
    text = " = ".join(dict.fromkeys(filter(None, [part.text, part.made_of, short(part.value)])))
    constant = "" if part.name is None or part.tensor.requires_grad else " (constant)"
    again = bool(part.operands) and part.number in above
    above.add(part.number)
    label = f"<{part.title}> {text}{constant}{' (see above)' if again else ''}"
    return Branch(label, [] if again else [_forward(each, above) for each in part.operands])


def sum_of(parts: Collection[tuple[int, Array]]) -> Array | None:
    """The parts of a gradient added up, in the order in which the engine adds them."""
    total = None
    for _, part in parts:
        total = part if total is None else total + part
    return total


def stretched(given: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes over which a gradient is summed for an operand of this shape, which was broadcast."""
    if given == shape:
        return ()
    extra = len(given) - len(shape)
    return (*range(extra), *(extra + axis for axis, size in enumerate(shape) if size == 1 != given[extra + axis]))


def _head(step: Step) -> str:
    parts = [f"{short(part)} (step {number})" for number, part in step.received]
    total = f" = {' + '.join(parts)}" if len(parts) > 1 else ""
    text = f"{step.part.text} = {step.part.made_of}" if step.part.made_of else step.part.text
    return f"step {step.number}: <{title(step.part.op)}> {text}   {GRADIENT} = {short(step.gradient)}{total}"


def _line(move: Move) -> str:
    """`to x: g * y = 1 * (-4) = -4`, with the sums that broadcasting and a second use bring."""
    steps = [text for text in (move.rule, move.filled if move.filled != short(move.flow.given) else "") if text]
    line = f"to {move.target.text}: {' = '.join([*steps, short(move.flow.given)])}"
    if move.summed:
        axes = ", ".join(map(str, move.summed))
        line += f", summed over ax{'is' if len(move.summed) == 1 else 'es'} {axes} = {short(move.flow.part)}"
    if move.before is not None:
        line += f"; with {short(move.before)} from before: {short(move.total)}"
    return line


def _list(value: Array | None) -> Any:
    return None if value is None else value.tolist()
