"""How tensors and their graphs look as text."""

from __future__ import annotations

import numpy as np

from dlscratch.autograd.engine import Node, Tensor
from dlscratch.backend import DEFAULT_DTYPE

GRAPH_LINES = 200


def tensor_text(tensor: Tensor) -> str:
    """Tensor(values, and what is not the default): the op in angle brackets where one made it."""
    text = np.array2string(np.asarray(tensor.data), separator=", ", prefix="Tensor(", threshold=200)
    notes = [f"name={tensor.name!r}"] if tensor.name else []
    notes += [f"dtype={tensor.dtype}"] if tensor.dtype != DEFAULT_DTYPE else []
    if tensor._node is not None:
        notes.append(f"<{tensor._node.name}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"Tensor({', '.join([text, *notes])})"


def graph_text(tensor: Tensor) -> str:
    """The computation that made a tensor, newest op first: `<Op> shape`, and under it what went in.

    What is used twice is written out once and then named by its number, `<Op> #7`.
    """
    lines: list[str] = []
    written: set[int] = set()
    waiting: list[tuple[Node | Tensor | None, str, str]] = [(tensor._node or tensor, "", "")]
    while waiting and len(lines) < GRAPH_LINES:
        source, lead, indent = waiting.pop()
        lines.append(lead + _label(source, source is not None and id(source) in written))
        if isinstance(source, Node) and id(source) not in written:
            branches = list(enumerate(source.sources, start=1))
            for position, child in reversed(branches):
                last = position == len(branches)
                waiting.append((child, indent + ("└── " if last else "├── "), indent + ("    " if last else "│   ")))
        written.add(id(source))
    return "\n".join(lines + ([f"… {len(waiting)} more branches"] if waiting else []))


def _label(source: Node | Tensor | None, again: bool) -> str:
    if source is None:
        return "a number or array"
    if isinstance(source, Node):
        return f"<{source.name}> #{source.number} {source.shape}" + (" (see above)" if again else "")
    notes = [source.name or "", str(source.shape), "" if source.requires_grad else "without gradient"]
    return " ".join(["<Tensor>", *filter(None, notes)]) + (" (again)" if again else "")
