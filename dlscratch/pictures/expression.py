"""An expression of ops, computed with tensors: every part of it with its value, its operands and its op."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlscratch.autograd import OPS, Tensor, composed
from dlscratch.backend import Array
from dlscratch.errors import DlscratchError, UsageError, did_you_mean
from dlscratch.pictures.parts import STRENGTH, STRONGEST, Part
from dlscratch.pictures.syntax import DEEPEST, LARGEST, Source, array, number, option
from dlscratch.pictures.unfolding import heard, unfold

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.USub: "neg",
}
# Functions that are made of ops. Those that take or give several tensors are left out.
COMPOSED: dict[str, Callable[..., Tensor]] = {
    f.__name__: f
    for f in (
        *(composed.mean, composed.var, composed.min, composed.minimum),
        *(composed.logsumexp, composed.squeeze, composed.unsqueeze),
    )
}
ARRAYS = ("Array", "Array | None", "Tensor", "Any")  # how the ops annotate what is a tensor


@dataclass
class Expression:
    """The parts of an expression in the order in which they were computed: operands first, the whole last."""

    source: Source
    variables: dict[str, Part]
    parts: list[Part] = field(default_factory=list)

    @property
    def result(self) -> Part:
        """The whole expression."""
        return self.parts[-1]


def evaluate(text: str, values: Mapping[str, Array], constants: Collection[str] = ()) -> Expression:
    """The expression with these values for its names, in float64; `constants` get no gradient.

    UsageError, with a mark under the place: not an expression of ops, a name without a value, shapes that do not fit.
    """
    source = Source(text)
    tree = source.tree()
    used = _names(source, tree, values)
    expression = Expression(source, {})
    for name, value in values.items():
        wanted = name not in constants and value.dtype.kind == "f"
        tensor = Tensor(value, requires_grad=wanted, name=name)
        expression.variables[name] = Part(len(expression.variables), name, "", tensor)
    expression.parts.extend(expression.variables.values())
    with np.errstate(all="ignore"):
        last = _Evaluation(expression).part(tree)
    if last is not expression.result:  # a variable alone
        expression.parts.remove(last)
        expression.parts.append(last)
    for name in (*values, *constants):
        if name not in used:
            raise UsageError(f"{name} does not occur in {source.text!r}{did_you_mean(name, used)}")
    return expression


def _names(source: Source, tree: ast.expr, values: Mapping[str, Array]) -> set[str]:
    """The names in an expression that are no op's; each must have a value."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used = {node.id: node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    for name, node in used.items():
        if name not in values:
            source.fail(node, f"{name} has no value; add {name}=2 or {name}=[1,2,3]")
    return set(used)


class _Evaluation:
    """Walks the syntax tree, calls the ops, and writes the parts down."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.source = expression.source

    def part(self, node: ast.expr) -> Part:
        """What a piece of syntax comes to."""
        if isinstance(node, ast.Name):
            return self.expression.variables[node.id]
        if number(node) is not None or isinstance(node, ast.List | ast.Tuple):
            return self._add(node, "", Tensor(array(self.source, node)))
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Subscript):
            index = option(self.source, node.slice)
            return self._apply(node, "getitem", [self.part(node.value)], {"index": index})
        if not isinstance(node, ast.BinOp | ast.UnaryOp):
            self.source.fail(node, "expected a number, a name or a call of an op here")
        if isinstance(node, ast.UnaryOp):
            return self._operator(node, [self.part(node.operand)])
        chain = [node]  # of many terms: from left to right, without a call inside a call
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        part = self.part(chain[-1].left)
        for each in reversed(chain):
            part = self._operator(each, [part, self.part(each.right)])
        return part

    def _operator(self, node: ast.BinOp | ast.UnaryOp, sides: list[Part]) -> Part:
        name = OPERATORS.get(type(node.op))
        if name is None:
            hint = "; did you mean **?" if isinstance(node.op, ast.BitXor) else ""
            self.source.fail(node, f"an operator that is no op; there are + - * / ** @ and - in front{hint}")
        return self._apply(node, name, sides, {})

    def _add(self, node: ast.expr, op: str, tensor: Tensor, operands: Sequence[Part] = ()) -> Part:
        parts, operator = self.expression.parts, isinstance(node, ast.BinOp | ast.UnaryOp)
        strength = STRENGTH[op or "neg"] if operator else STRONGEST  # a number with a minus in front is no op
        parts.append(Part(len(parts), self.source.part(node), op, tensor, tuple(operands), strength))
        if parts[-1].depth > 2 * DEEPEST:
            self.source.fail(node, f"more than {2 * DEEPEST} ops one in the other; functions are made of several")
        return parts[-1]

    def _call(self, node: ast.Call) -> Part:
        if not isinstance(node.func, ast.Name):
            self.source.fail(node.func, "expected the name of an op")
        name = node.func.id
        if name not in OPS and name not in COMPOSED:
            hint = did_you_mean(name, [*OPS, *COMPOSED]) or f"; there are {', '.join(sorted([*OPS, *COMPOSED]))}"
            self.source.fail(node.func, f"there is no op {name}{hint}")
        parameters = inspect.signature(_function(name)).parameters
        options = {}
        for keyword in node.keywords:
            option = str(keyword.arg)
            if option not in parameters:
                self.source.fail(keyword, f"{name} has no option {option}{did_you_mean(option, parameters)}")
            options[option] = self._option(keyword.value, str(parameters[option].annotation))
        return self._apply(node, name, [self.part(each) for each in self._operands(node, name, parameters)], options)

    def _operands(self, node: ast.Call, name: str, parameters: Mapping[str, inspect.Parameter]) -> list[ast.expr]:
        """The arguments that are tensors: one for each array that the op takes, the rest goes by name."""
        if any(each.kind is each.VAR_POSITIONAL for each in parameters.values()):
            listed = len(node.args) == 1 and isinstance(node.args[0], ast.List | ast.Tuple)
            return node.args[0].elts if listed else node.args  # type: ignore[attr-defined]
        positional = [each for each in parameters.values() if each.kind is not each.KEYWORD_ONLY]
        arrays = [each for each in positional if each.annotation in ARRAYS]
        if len(node.args) > len(arrays):
            rest = next((f", such as {each}=…" for each in parameters if parameters[each] not in arrays), "")
            self.source.fail(node.args[len(arrays)], f"{name} takes {len(arrays)} of these; options go by name{rest}")
        return node.args

    def _option(self, node: ast.expr, annotation: str) -> Any:
        if "Array" in annotation and isinstance(node, ast.List | ast.Tuple):
            return array(self.source, node)
        value = option(self.source, node)
        return tuple(value) if isinstance(value, list) else value

    def _apply(self, node: ast.expr, name: str, operands: list[Part], options: dict[str, Any]) -> Part:
        self._check_size(node, [part.value.shape for part in operands])
        function = _function(name)
        try:
            inspect.signature(function).bind(*operands, **options)
            with heard() as made:
                result = function(*_arguments(name, operands), **options)
        except (DlscratchError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
            self.source.fail(node, f"{name}: {error}")
        if result.size > LARGEST:
            self.source.fail(node, f"the result has {result.size:,} elements; at most {LARGEST:,} are shown")
        if name in OPS or not result.requires_grad:
            return self._add(node, name, result, operands)
        last = unfold(self.expression.parts, made, result)
        part = self._add(node, last.op, result, last.operands)
        part.called, part.made_of = name, last.text
        return part

    def _check_size(self, node: ast.expr, shapes: list[tuple[int, ...]]) -> None:
        """What broadcasting would make of small arrays must be small, too."""
        try:
            size = np.prod(np.broadcast_shapes(*shapes), dtype=float)
        except ValueError:
            return  # they are not broadcast: a product of matrices, or the op says what is wrong
        if size > LARGEST**2:
            self.source.fail(node, f"broadcast to {size:,.0f} elements; at most {LARGEST:,} are shown")


def _function(name: str) -> Callable[..., Tensor]:
    return OPS[name][0] if name in OPS else COMPOSED[name]


def _arguments(name: str, operands: list[Part]) -> list[Tensor]:
    """The operands' tensors: as integers where the op's own samples have integers, and there without a gradient."""
    samples = OPS[name][1][0].operands if name in OPS and OPS[name][1] else ()
    integers = [getattr(getattr(sample, "dtype", None), "kind", "") == "i" for sample in samples]
    integers += [False] * len(operands)
    return [_whole(part.tensor) if whole else part.tensor for whole, part in zip(integers, operands, strict=False)]


def _whole(tensor: Tensor) -> Tensor:
    """The values as integers, or the tensor itself where they are none."""
    values = tensor.data
    return Tensor(values.astype(np.int64)) if np.array_equal(values, np.trunc(values)) else tensor
