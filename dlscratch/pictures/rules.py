"""The rules of the ops as text, read from the source of each op: what stands there is what is run."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from dlscratch.autograd import OPS

GRADIENT = "g"
PLAIN = ast.BinOp | ast.UnaryOp | ast.Constant | ast.operator | ast.unaryop | ast.Load

# In words, where the code of a rule takes care of more than its idea shows.
IDEAS = {
    "pow": ("g * y * x ** (y - 1)", "g * x ** y * log(x)"),
    "matmul": ("g @ y transposed", "x transposed @ g"),
    "transpose": ("g with its axes put back",),
    "reshape": ("g in the shape of x",),
    "sum": ("g for every element that was summed",),
    "relu": ("g where x > 0, 0 elsewhere",),
    "clip": ("g where x is within the limits, 0 elsewhere",),
    "gelu": ("g * (Φ(x) + x φ(x))",),
    "mse": ("g * 2 * (x - target) / n", "-g * 2 * (x - target) / n"),
    "l1": ("g * sign(x - target) / n", "-g * sign(x - target) / n"),
    "cross_entropy": ("g * (softmax(x) - one-hot target) / n",),
    "binary_cross_entropy_with_logits": ("g * (sigmoid(x) - target) / n",),
    "max": ("g for the largest, shared by equals",),
    "maximum": ("g where x is larger", "g where y is larger"),
    "getitem": ("g at the index, 0 elsewhere",),
    "cumsum": ("the running sum of g from the end",),
    "pad": ("g without the margin",),
}


@dataclass(frozen=True)
class Rules:
    """The names an op gives its operands and its result, and for each operand the rule in those names."""

    operands: tuple[str, ...]
    result: str | None
    texts: tuple[str, ...]

    def text(self, position: int, names: Mapping[str, str]) -> str:
        """The rule for an operand, with other texts in the place of the op's own names; empty where there is none."""
        text = self.texts[position] if position < len(self.texts) else ""
        return re.sub(r"\b[a-z]\w*\b(?!\()", lambda found: names.get(found.group(), found.group()), text)

    def filled(self, position: int, numbers: Mapping[str, str]) -> str:
        """The rule in numbers, `1 * (-4)`; empty where it is more than arithmetic, or a name has no number."""
        if self.text(position, {}) == GRADIENT:
            return ""
        try:
            tree = ast.walk(ast.parse(self.text(position, {}), mode="eval").body)
        except SyntaxError:
            return ""
        if any(node.id not in numbers if isinstance(node, ast.Name) else not isinstance(node, PLAIN) for node in tree):
            return ""
        return self.text(position, {name: f"({x})" if x.startswith("-") else x for name, x in numbers.items()})


@functools.cache
def rules_of(name: str) -> Rules:
    """The rules of the op that OPS knows by this name."""
    function = inspect.unwrap(OPS[name][0])
    kinds = inspect.signature(function).parameters.values()
    operands = tuple(p.name for p in kinds if p.kind is not p.KEYWORD_ONLY)
    try:
        [body] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, SyntaxError, TypeError, ValueError):  # a program without its source still has gradients
        return Rules(operands, None, ())
    assert isinstance(body, ast.FunctionDef)
    value, *rules = _returned(body)
    name_of_value = value.target if isinstance(value, ast.NamedExpr) else value
    result = name_of_value.id if isinstance(name_of_value, ast.Name) else None
    return Rules(operands, result, IDEAS.get(name) or tuple(map(_text, rules)))


def _returned(body: ast.FunctionDef) -> list[ast.expr]:
    """What an op returns: its value, then its rules."""
    last = body.body[-1]
    values = last.value if isinstance(last, ast.Return) else None
    return values.elts if isinstance(values, ast.Tuple) else [ast.Constant(None)]


def _text(rule: ast.expr) -> str:
    if isinstance(rule, ast.Lambda):
        return ast.unparse(rule.body).replace("np.", "")
    return f"{rule.id}({GRADIENT})" if isinstance(rule, ast.Name) else ""
