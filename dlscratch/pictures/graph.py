"""The graph of a model: layers in layers, with shapes, parameters and ops; as JSON, text and Graphviz' dot."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.autograd.watching import nodes_of
from dlscratch.nn import Layer, Residual, Sequential
from dlscratch.pictures.text import counted, times
from dlscratch.pictures.tree import Branch

Shape = tuple[int, ...]
Direction = Literal["down", "right"]
Family = Literal["weights", "normalization", "activation", "other"]
INFERRED = ("in_features", "in_channels", "num_features", "normalized_shape")  # what the input's shape says already


@dataclass(frozen=True)
class Block:
    """A layer, and the layers inside it. Shapes are those of one example; `ops` are (name, shape) in order."""

    path: str
    kind: str
    family: Family
    options: dict[str, Any]
    input_shape: Shape
    output_shape: Shape
    arrays: dict[str, Shape]  # its own parameters
    ops: tuple[tuple[str, Shape], ...] = ()
    inside: tuple[Block, ...] = field(default=())
    adds_input: bool = False
    hidden: int = 0  # layers inside that are folded away
    parameters: int = 0  # its own and those inside

    @property
    def title(self) -> str:
        """`conv2d`, or `residual (3 layers)` where they are folded away."""
        return f"{self.kind} ({counted(self.hidden, 'layer')})" if self.hidden else self.kind

    @property
    def details(self) -> str:
        """The options that the shapes do not tell: `out_channels 16, kernel_size 3`."""
        shown = {name: value for name, value in self.options.items() if name not in INFERRED}
        return ", ".join(f"{name} {_plain(value)}" for name, value in shown.items())

    @property
    def count(self) -> str:
        """`1,280 parameters`; empty for none."""
        return counted(self.parameters, "parameter") if self.parameters else ""

    def all(self) -> Iterator[Block]:
        """This block and all inside it, in order."""
        yield self
        for block in self.inside:
            yield from block.all()


@dataclass(frozen=True)
class Graph:
    """A model's graph under a title."""

    title: str
    root: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The layers of the model itself."""
        return self.root.inside

    @property
    def layers(self) -> int:
        """How many layers there are, those in containers counted and the containers not."""
        return sum(block.hidden or (not block.inside) for block in self.root.all() if block is not self.root)

    @property
    def summary(self) -> str:
        """How many layers and parameters, and from what shape to what."""
        sizes = f"{times(self.root.input_shape)} → {times(self.root.output_shape)}"
        return f"{counted(self.layers, 'layer')}, {counted(self.root.parameters, 'parameter')}, {sizes}"

    def folded(self, depth: int | None) -> Graph:
        """The graph with the containers closed that stand in `depth` others (None: all open)."""
        return self if depth is None else Graph(self.title, _folded(self.root, depth + 1))

    def document(self) -> dict[str, Any]:
        """The graph as JSON."""
        return {"title": self.title, **_document(self.root)}

    def branch(self) -> Branch:
        """The graph as a tree of lines."""
        return Branch(f"{self.title}: {self.summary}", [_branch(block) for block in self.blocks])

    def dot(self, direction: Direction = "down") -> str:
        """The graph for Graphviz and all that reads its files."""
        lines = ["digraph model {", f"  rankdir={'TB' if direction == 'down' else 'LR'};"]
        lines += [f"  label={_quoted(self.title)};", '  node [shape=box, fontname="monospace"];']
        last, inner = _dot_chain(self.blocks, "input", "  ")
        lines += [f"  input [label={_quoted(f'input {times(self.root.input_shape)}')}];", *inner]
        lines += [f"  output [label={_quoted(f'output {times(self.root.output_shape)}')}];", f"  {last} -> output;"]
        return "\n".join([*lines, "}", ""])


def model_graph(model: Sequential, title: str, *, ops: bool = False) -> Graph:
    """The graph of a model that is built. `ops=True` runs it once on zeros and tells the ops of each layer, too."""
    assert model.input_shape is not None
    found: dict[str, tuple[tuple[str, Shape], ...]] = {}
    if ops:
        zeros = np.zeros((1, *model.input_shape), np.int64 if model.takes_integers else model.start.dtype)
        _run(model, "", Tensor(zeros), found)
    return Graph(title, _block("", model, found))


def _block(path: str, layer: Layer, ops: dict[str, tuple[tuple[str, Shape], ...]]) -> Block:
    inside = tuple(_block(f"{path}.{i}" if path else str(i), child, ops) for i, child in enumerate(layer.children()))
    own = {name: tuple(tensor.shape) for name, tensor in layer.weights.items()}
    return Block(
        path,
        layer.kind,
        _family(layer),
        {name: value for name, value in layer.config().items() if name != "layers"},
        layer.input_shape or (),
        layer.output_shape or (),
        own,
        ops.get(path, ()),
        inside,
        isinstance(layer, Residual),
        parameters=sum(map(math.prod, own.values())) + sum(block.parameters for block in inside),
    )


def _family(layer: Layer) -> Family:
    """What a layer is for: its colour in a picture."""
    room = type(layer).__module__.rpartition(".")[2]
    if room == "normalization":
        return "normalization"
    return "activation" if room == "activations" else "weights" if layer.weights else "other"


def _run(layer: Layer, path: str, x: Tensor, found: dict[str, tuple[tuple[str, Shape], ...]]) -> Tensor:
    """The layer's output without its history; the ops of each layer are written down under its path."""
    x = Tensor(x, requires_grad=x.dtype.kind == "f")
    y = x
    if isinstance(layer, Sequential):
        for index, child in enumerate(layer):
            y = _run(child, f"{path}.{index}" if path else str(index), y, found)
        if not isinstance(layer, Residual):
            return y
        x, y = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
        y = y + x
    else:
        y = layer(x)
    nodes = sorted(nodes_of(y), key=lambda node: node.number)
    found[path] = tuple((node.name, tuple(node.shape[1:])) for node in nodes)
    return y


def _folded(block: Block, depth: int) -> Block:
    if depth == 0 and block.inside:
        leaves = sum(not each.inside for each in block.all())
        return replace(block, inside=(), hidden=leaves)
    return replace(block, inside=tuple(_folded(each, depth - 1) for each in block.inside))


def _document(block: Block) -> dict[str, Any]:
    own = {
        "path": block.path,
        "kind": block.kind,
        "options": block.options,
        "input_shape": list(block.input_shape),
        "output_shape": list(block.output_shape),
        "parameters": block.parameters,
        "arrays": {name: list(shape) for name, shape in block.arrays.items()},
    }
    if block.ops:
        own["ops"] = [{"op": name, "shape": list(shape)} for name, shape in block.ops]
    if block.adds_input:
        own["adds_input"] = True
    inside = [_document(each) for each in block.inside]
    return own | ({"layers": inside} if inside else {})


def _branch(block: Block) -> Branch:
    facts = [f"{block.path} {block.title}", block.details, f"→ {times(block.output_shape)}", block.count]
    lines = [Branch(f"<{name}> {times(shape)}") for name, shape in block.ops if not block.adds_input]
    lines += [_branch(each) for each in block.inside]
    if block.adds_input:
        lines.append(Branch(f"<Add> its input {times(block.output_shape)}"))
    return Branch("  ".join(filter(None, facts)), lines)


def _dot_chain(blocks: tuple[Block, ...], before: str, indent: str) -> tuple[str, list[str]]:
    """The lines for blocks one after the other, and the name of the last node."""
    lines = []
    for block in blocks:
        name = f"layer_{block.path.replace('.', '_')}"
        if block.inside:
            last, inner = _dot_chain(block.inside, before, indent + "  ")
            if block.adds_input:
                inner += [f'{indent}  {name} [label="+", shape=circle];', f"{indent}  {last} -> {name};"]
                inner.append(f"{indent}  {before} -> {name} [style=dashed];")
            lines.append(f"{indent}subgraph cluster_{name} {{ label={_quoted(f'{block.path} {block.kind}')};")
            lines += [*inner, f"{indent}}}"]
            before = name if block.adds_input else last
        else:
            texts = [block.title, block.details, *(op for op, _ in block.ops), times(block.output_shape), block.count]
            lines.append(f"{indent}{name} [label={_quoted(chr(10).join(filter(None, texts)))}];")
            lines.append(f"{indent}{before} -> {name};")
            before = name
    return before, lines


def _quoted(text: str) -> str:
    r"""Text as dot has it: `"` and `\` with a backslash, line ends as \n."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)
