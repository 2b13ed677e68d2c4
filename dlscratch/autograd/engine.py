"""The engine: tensors that remember how they were computed, and backward(), which walks that memory.

An op computes with plain arrays and returns its value together with one rule for each array that went in. A rule is
a vector-Jacobian product: it turns the gradient of the result into the gradient of that input. If any input wants a
gradient, the result carries a Node that keeps the rules and the inputs' nodes. Rules hold arrays, nodes hold nodes and
leaves, and nothing points forward: a graph is freed the moment its last tensor is.
"""

from __future__ import annotations

import functools
import heapq
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlscratch.backend import Array, as_array, read_only
from dlscratch.errors import GradientError, ShapeError

Rule = Callable[[Array], Array]
_numbers = itertools.count()
_recording: ContextVar[bool] = ContextVar("recording", default=True)
OPS: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...]]] = {}  # name -> the op, the samples it is checked on


class Node:
    """One recorded op: the nodes or tensors its operands came from, and a rule for each that wants a gradient."""

    __slots__ = ("dtype", "name", "number", "rules", "shape", "sources", "versions")

    def __init__(self, name: str, value: Array, operands: tuple[Any, ...], rules: list[Rule | None]) -> None:
        self.name, self.shape, self.dtype, self.number = name, value.shape, value.dtype, next(_numbers)
        self.sources: list[Node | Tensor | None] = [None] * len(operands)
        self.rules: list[Rule | None] = [None] * len(operands)
        self.versions: list[tuple[list[int], int]] = []
        for i, x in enumerate(operands):
            if isinstance(x, Tensor):
                self.sources[i] = x._node or x
                self.versions.append((x._version, x._version[0]))
                if x.requires_grad:
                    if i >= len(rules):
                        raise GradientError(f"<{name}> gave {len(rules)} rules, but operand {i + 1} wants a gradient")
                    self.rules[i] = rules[i]


class Tensor:
    """An array of any shape that can ask for its gradient.

    `data` (a number, nested list, array or tensor) is copied. Numbers and lists become float32 unless `dtype` says
    otherwise; arrays keep their dtype. Only floating-point tensors can have `requires_grad=True`. After `backward()`,
    `grad` is a NumPy array of the tensor's shape and dtype, or None where no gradient flowed.
    """

    __slots__ = ("__weakref__", "_array", "_node", "_version", "grad", "name", "requires_grad")
    __array_ufunc__ = None  # array + tensor becomes tensor.__radd__, not an array of tensors
    __hash__ = object.__hash__

    def __init__(self, data: object, requires_grad: bool = False, name: str | None = None, dtype: Any = None) -> None:
        self._array: Array = as_array(data._array if isinstance(data, Tensor) else data, dtype)
        if self.dtype.kind not in ("f" if requires_grad else "fiub"):
            expected = "floating-point numbers (dtype='float32')" if requires_grad else "numbers or booleans"
            raise GradientError(f"Tensor(requires_grad={requires_grad}): expected {expected}, got dtype {self.dtype}")
        self.requires_grad: bool = requires_grad
        self.name = name
        self.grad: Array | None = None
        self._node: Node | None = None
        self._version: list[int] = [0]  # counts changes in place; shared by all tensors that look at the same memory

    shape = property(lambda self: self._array.shape, doc="The size of each axis.")
    dtype = property(lambda self: self._array.dtype, doc="NumPy's data type.")
    ndim = property(lambda self: self._array.ndim, doc="The number of axes.")
    size = property(lambda self: self._array.size, doc="The number of elements.")

    @property
    def data(self) -> Array:
        """The values as a read-only view. Assign an array to replace them."""
        return read_only(self._array)

    @data.setter
    def data(self, value: object) -> None:
        array = as_array(value, self.dtype)
        if array.shape != self.shape or self._node is not None:
            raise ShapeError(f"data: expected a leaf tensor and shape {self.shape}, got {array.shape} for {self!r}")
        self._array, self._version = array, [0]

    def _mutate(self) -> Array:
        """The array itself, to be written at once; a graph that needs the old values then refuses backward()."""
        if self._node is not None:
            raise GradientError(f"{self!r} is the result of an op; only leaf tensors can be changed in place")
        self._version[0] += 1
        return self._array

    def numpy(self) -> Array:
        """A copy of the values as an array."""
        return np.array(self._array)

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item() needs a tensor with one element, got shape {self.shape}")
        return self._array.item()

    def detach(self) -> Tensor:
        """The same values, cut off from the graph."""
        return wrap(self._array, (self,))

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(self, gradient: object = None) -> None:
        """Add d(self)/d(leaf), weighted by `gradient` (self's shape; 1 if self is one number), to each leaf's grad."""
        if not self.requires_grad:
            raise GradientError(f"{self!r} has no gradient: no input had requires_grad=True, or no_grad was on")
        start = as_array(1.0 if gradient is None else gradient, self.dtype)
        if start.shape != self.shape and (gradient is not None or self.size != 1):
            raise ShapeError(f"backward(gradient): expected shape {self.shape}, got {start.shape}; or sum() first")
        start = start.reshape(self.shape)
        for leaf, total in _backward_pass(self._node, start) if self._node else [(self, start)]:
            leaf.grad = total if leaf.grad is None else leaf.grad + total

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self._array, dtype=dtype)

    if TYPE_CHECKING:  # bound in ops.py and composed.py
        def _method(self, *args: Any, **options: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def graph(self) -> str: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _method
        __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __lt__ = __le__ = __gt__ = __ge__ = _method
        __getitem__ = __neg__ = __abs__ = abs = exp = log = sqrt = tanh = clip = cumsum = argmax = _method
        sum = mean = var = max = min = logsumexp = reshape = transpose = permute = squeeze = unsqueeze = _method
        T: Tensor


def _backward_pass(root: Node, gradient: Array) -> list[tuple[Tensor, Array]]:
    """Reverse mode: each leaf under `root` with its gradient, in an array of its own.

    A node is younger than all it was made from. So the youngest node in the heap has received everything that it ever
    will: creation numbers replace a topological sort, and no depth is too deep.
    """
    leaves: dict[int, tuple[Tensor, Array]] = {}
    nodes, waiting, heap = {root.number: root}, {root.number: gradient}, [-root.number]
    while heap:
        number = -heapq.heappop(heap)
        node, g = nodes.pop(number), waiting.pop(number)
        for counter, seen in node.versions:
            if counter[0] != seen:
                raise GradientError(f"<{node.name}>: an input was changed in place after the graph had recorded it")
        for source, rule in zip(node.sources, node.rules, strict=False):
            if rule is None or source is None:
                continue
            part = _fit(rule(g), source.shape, source.dtype)
            if isinstance(source, Tensor):
                if id(source) in leaves:
                    part = leaves[id(source)][1] + part
                elif part is g or part.base is not None:
                    part = part.copy()  # it is someone else's too
                leaves[id(source)] = source, part
            elif source.number in waiting:
                waiting[source.number] = waiting[source.number] + part
            else:
                nodes[source.number], waiting[source.number] = source, part
                heapq.heappush(heap, -source.number)
    return list(leaves.values())


def _fit(g: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The gradient of an operand that may have been broadcast: summed over the axes that were stretched."""
    if g.shape != shape:
        extra = g.ndim - len(shape)
        stretched = [extra + axis for axis, size in enumerate(shape) if size == 1]
        g = np.sum(g, axis=(*range(extra), *stretched), keepdims=True).reshape(shape)
    return g if g.dtype == dtype else g.astype(dtype)


def wrap(array: Array, operands: tuple[Any, ...] = (), node: Node | None = None) -> Tensor:
    """A tensor that takes an array over without a copy; a view of an operand counts changes together with it."""
    tensor = Tensor.__new__(Tensor)
    tensor._array, tensor._node, tensor.requires_grad = array, node, node is not None
    tensor.grad, tensor.name, tensor._version = None, None, [0]
    for x in reversed(operands):
        if isinstance(x, Tensor) and (array is x._array or array.base is not None):
            tensor._version = x._version if np.may_share_memory(array, x._array) else tensor._version
    if node is not None:
        node.versions.append((tensor._version, tensor._version[0]))  # rules may need the result, too
    return tensor


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside `with no_grad():` or a function under `@no_grad()`, in this thread; never over a yield."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def op(*samples: Any) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Make a differentiable op of a function on arrays that returns `value, rule, rule …`, and enter it in OPS.

    Arrays are positional; options are keyword-only, though callers may give them by position, too. There is one rule
    for each array in order: None, or nothing at the end, for integers. Without rules the result has no gradient.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Tensor]:
        known = inspect.signature(function).parameters.values()
        names = [p.name for p in known if p.kind is p.POSITIONAL_OR_KEYWORD]  # of the arrays
        free = [p.replace(kind=p.POSITIONAL_OR_KEYWORD, default=None) for p in known if p.kind is p.KEYWORD_ONLY]
        loose = inspect.Signature([p for p in known if p.name in names] + free)  # options by position, arrays by name
        title = function.__name__.title().replace("_", "")

        @functools.wraps(function)
        def apply(*operands: Any, **options: Any) -> Tensor:
            if not names:  # any number of arrays
                operands = tuple(operands[0]) if isinstance(operands[0], list | tuple) else operands
            elif len(operands) > len(names) or (options and not options.keys().isdisjoint(names)):
                options = dict(loose.bind(*operands, **options).arguments)
                operands = tuple([options.pop(name, None) for name in names])
            recording = _recording.get() and True in [isinstance(x, Tensor) and x.requires_grad for x in operands]
            arrays = [x._array if isinstance(x, Tensor) else _plain(x, recording, operands) for x in operands]
            try:
                value, *rules = function(*arrays, **options)
            except (ValueError, IndexError) as error:
                shapes = ", ".join(str(np.shape(x)) for x in arrays)
                raise ShapeError(f"<{title}> of shapes {shapes}: {error}") from error
            value = np.asarray(value) if isinstance(value, np.generic) else value
            return wrap(value, operands, Node(title, value, operands, rules) if recording and rules else None)

        OPS[function.__name__] = apply, samples
        return apply

    return decorate


def _plain(operand: Any, recording: bool, operands: tuple[Any, ...]) -> Any:
    """An operand that is no tensor: a number beside one takes on its dtype, an array that a graph holds is copied."""
    number = isinstance(operand, int | float | np.generic)
    if operand is None or (number and any(isinstance(x, Tensor) for x in operands)):
        return operand.item() if isinstance(operand, np.generic) else operand
    return as_array(operand) if recording or not hasattr(operand, "dtype") else operand
