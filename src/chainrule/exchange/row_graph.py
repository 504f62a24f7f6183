"""The graph of one row from the graph of a block of rows, and where the rows lie in every value.

A model's graph is recorded for blocks of a fixed number of rows, each computed from its own row alone. Other programs
want one row (C), or any number of rows (ONNX, NumPy). So every value is followed from the inputs: it either has the
rows along one axis, or does not depend on them at all, and is then a number known now. With the rows' axis known in
every value, one row is a graph like any other, and any number of rows is that graph with this axis left open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.graph import Graph, Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.types import ArrayType


@dataclass(frozen=True)
class RowGraph:
    """A graph of one row.

    Parameters
    ----------
    graph : Graph
        Every value has one row. Constants are the same for all rows.
    axes : tuple of int or None
        For each node the axis along which rows lie, of length 1 here; ``None`` for what all rows share.
    """

    graph: Graph
    axes: tuple[int | None, ...]


def row_graph(graph: Graph) -> RowGraph:
    """The graph of one row.

    Parameters
    ----------
    graph : Graph
        Its inputs and outputs have the same number of rows, more than one, along their first axes.

    Raises
    ------
    GraphError
        Naming the node that mixes rows, or that nobody can follow the rows through.
    """
    n_rows = graph.nodes[graph.inputs[0]].shape[0]
    follow = _Follow(n_rows)
    last_reader = {i: position for position, node in enumerate(graph.nodes) for i in node.inputs}
    for position, node in enumerate(graph.nodes):
        try:
            follow.node(node)
        except GraphError as error:
            raise GraphError(f"{where(graph, position)}: {error}") from None
        for i in {*node.inputs, position} - {*graph.outputs}:
            if last_reader.get(i, position) == position:
                follow.known.pop(i, None)
    outputs = tuple([follow.result(i, f"output {k}") for k, i in enumerate(graph.outputs)])
    inputs = tuple([follow.place[i] for i in graph.inputs])
    return _pruned(
        RowGraph(replace(graph, nodes=tuple(follow.nodes), inputs=inputs, outputs=outputs), tuple(follow.axes))
    )


def where(graph: Graph, position: int) -> str:
    """A node's position, primitive and name, for messages."""
    node = graph.nodes[position]
    named = f" {node.name!r}" if node.name else ""
    return f"node {position} ({node.primitive.name}{named})"


def _pruned(rows: RowGraph) -> RowGraph:
    graph = rows.graph
    needed = sorted(graph.ancestors(graph.outputs) | set(graph.inputs))
    place = {old: new for new, old in enumerate(needed)}
    nodes = [replace(graph.nodes[i], inputs=tuple([place[j] for j in graph.nodes[i].inputs])) for i in needed]
    inputs, outputs = (tuple([place[i] for i in which]) for which in (graph.inputs, graph.outputs))
    return RowGraph(
        replace(graph, nodes=tuple(nodes), inputs=inputs, outputs=outputs), tuple([rows.axes[i] for i in needed])
    )


class _Follow:
    """Old nodes followed one by one, and the new graph in the making.

    Attributes
    ----------
    nodes, axes : list
        Of the new graph.
    place : list of int
        For each old node its new one; -1 where it is known.
    known : dict of int to array
        Values of old nodes that do not depend on the rows, until their last reader has been followed.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.nodes: list[Node] = []
        self.axes: list[int | None] = []
        self.place: list[int] = []
        self.known: dict[int, np.ndarray] = {}
        self.types: list[ArrayType] = []

    def node(self, node: Node) -> None:
        """Follow the next old node."""
        position = len(self.types)
        self.types.append(node.type)
        name = node.primitive.name
        if name == "input":
            if node.shape[:1] != (self.n_rows,):
                raise GraphError(f"has shape {node.shape}; its first axis must have {self.n_rows} rows")
            one = ArrayType((1, *node.shape[1:]), node.dtype)
            self.place.append(self._add(replace(node, params={"type": one}, type=one), 0))
        elif name == "constant":
            self.known[position] = node.params["value"]
            self.place.append(-1)
        elif all(i in self.known for i in node.inputs):
            self.known[position] = self._value(node)
            self.place.append(-1)
        else:
            self.place.append(self._moved(node))

    def result(self, i: int, what: str) -> int:
        """The new node of an output, whose rows lie along the first axis."""
        if i in self.known:
            return self._shared(i, 0)
        if self.axes[self.place[i]] != 0:
            raise GraphError(f"{what}: its rows do not lie along the first axis")
        return self.place[i]

    # -- what all rows share

    def _value(self, node: Node) -> np.ndarray:
        if node.primitive.family == "random":
            raise GraphError("draws random numbers, which a prediction cannot")
        try:
            with np.errstate(all="ignore"):
                values = [self.known[i] for i in node.inputs]
                return np.asarray(node.primitive.numpy(*values, **node.params))
        except (ValueError, IndexError, ArithmeticError) as error:
            raise GraphError(f"cannot be computed: {' '.join(str(error).split())[:200]}") from None

    def _shared(self, i: int, axis: int | None) -> int:
        """A constant of a known value, of length 1 along an axis where it meets the rows."""
        value = self.known[i]
        if axis is not None and axis < value.ndim and value.shape[axis] == self.n_rows:
            first = np.take(value, [0], axis)
            if not np.array_equal(np.broadcast_to(first, value.shape), value, equal_nan=value.dtype.kind == "f"):
                raise GraphError("a constant differs from row to row, so that rows are not computed alike")
            value = first
        value = np.array(value, order="C")
        value.setflags(write=False)
        return self._add(Node(PRIMITIVES["constant"], (), {"value": value}, ArrayType.of(value)), None)

    def _add(self, node: Node, axis: int | None) -> int:
        self.nodes.append(node)
        self.axes.append(axis)
        return len(self.nodes) - 1

    # -- what has rows

    def _moved(self, node: Node) -> int:
        rule = _RULES.get(node.primitive.name) or _BY_LOWERING.get(node.primitive.lowering)
        if rule is None or node.primitive.family in ("random", "linalg"):
            raise GraphError("cannot be followed row by row; a model with this operation cannot be exported")
        at = [None if i in self.known else self.axes[self.place[i]] for i in node.inputs]
        axis, meets, params = rule(node, [self.types[i] for i in node.inputs], at, self.n_rows)
        inputs = [
            self._shared(i, meet) if i in self.known else self.place[i]
            for i, meet in zip(node.inputs, meets, strict=True)
        ]
        try:
            type_ = node.primitive.infer_type([self.nodes[i].type for i in inputs], params)
        except ChainruleError as error:
            raise GraphError(f"of one row: {error}") from None
        if type_.shape[axis : axis + 1] != (1,):
            raise GraphError("does not give one row for one row")
        return self._add(replace(node, inputs=tuple(inputs), params=params, type=type_), axis)


# -- rules: (node, types and row axes of the inputs, number of rows) ->
#    row axis of the result, axis of each input where it meets the rows, params for one row

Types = Sequence[ArrayType]
Axes = Sequence[int | None]
Rule = Callable[[Node, Types, Axes, int], tuple[int, Sequence[int | None], Any]]


def _aligned(ndims: Sequence[int], at: Axes) -> tuple[int, list[int | None]]:
    """Distance of the rows' axis from the end, and the axis of each operand at that distance, for broadcasting."""
    ends = {ndim - axis for ndim, axis in zip(ndims, at, strict=True) if axis is not None}
    if len(ends) != 1:
        raise GraphError("sets the rows of one value against another axis of another")
    (end,) = ends
    return end, [ndim - end if ndim >= end else None for ndim in ndims]


def _one(at: Axes) -> int:
    """The row axis of an only input."""
    (axis,) = at
    assert axis is not None, "an only input that is known was computed"
    return axis


def _elementwise(node: Node, types: Types, at: Axes, n: int) -> Any:
    end, meets = _aligned([t.ndim for t in types], at)
    return len(node.shape) - end, meets, node.params


def _reduction(node: Node, types: Types, at: Axes, n: int) -> Any:
    axis, over = _one(at), node.params["axis"]
    over = {k % types[0].ndim for k in (over if isinstance(over, tuple) else (over,))}
    if axis in over:
        raise GraphError("goes over the rows, so that a row's result depends on the other rows")
    keeps = len(node.shape) == types[0].ndim
    return axis if keeps else axis - sum(k < axis for k in over), [axis], node.params


def _reshape(node: Node, types: Types, at: Axes, n: int) -> Any:
    axis, shape = _one(at), node.params["shape"]
    ahead = prod(types[0].shape[:axis])
    for k, size in enumerate(shape):
        if size == n and prod(shape[:k]) == ahead:
            return k, [axis], {"shape": (*shape[:k], 1, *shape[k + 1 :])}
    raise GraphError(f"puts rows into other axes: {types[0].shape} becomes {shape}")


def _transpose(node: Node, types: Types, at: Axes, n: int) -> Any:
    return node.params["axes"].index(_one(at)), [_one(at)], node.params


def _broadcast_to(node: Node, types: Types, at: Axes, n: int) -> Any:
    axis, shape = _one(at), node.params["shape"]
    k = axis + len(shape) - types[0].ndim
    return k, [axis], {"shape": (*shape[:k], 1, *shape[k + 1 :])}


def _flip(node: Node, types: Types, at: Axes, n: int) -> Any:
    if _one(at) in {k % types[0].ndim for k in node.params["axis"]}:
        raise GraphError("turns the order of the rows round")
    return _one(at), [_one(at)], node.params


def _window(node: Node, types: Types, at: Axes, n: int) -> Any:
    axis, window = _one(at), node.params["window"]
    if window[axis] != (0, n, 1):
        raise GraphError("picks some of the rows")
    params = {**node.params, "window": (*window[:axis], (0, 1, 1), *window[axis + 1 :])}
    if "shape" in params:
        shape = params["shape"]
        params["shape"] = (*shape[:axis], 1, *shape[axis + 1 :])
    return axis, [axis], params


def _pad(node: Node, types: Types, at: Axes, n: int) -> Any:
    if node.params["width"][_one(at)] != (0, 0):
        raise GraphError("adds rows")
    return _one(at), [_one(at)], node.params


def _concatenate(node: Node, types: Types, at: Axes, n: int) -> Any:
    end, meets = _aligned([t.ndim for t in types], at)
    axis = len(node.shape) - end
    if node.params["axis"] % len(node.shape) == axis:
        raise GraphError("puts rows below one another")
    return axis, meets, node.params


def _matmul(node: Node, types: Types, at: Axes, n: int) -> Any:
    a, b = types
    # as matrices: a vector on the left is a row, on the right a column
    left = None if at[0] is None else (2 if a.ndim == 1 else a.ndim) - (at[0] + (a.ndim == 1))
    right = None if at[1] is None else (2 if b.ndim == 1 else b.ndim) - at[1]
    if left == 1 or right == 2:
        raise GraphError("adds up over the rows")
    ends = {end for end in (left, right) if end is not None}
    if len(ends) != 1 or (left is None and a.ndim == 1 and right == 2):
        raise GraphError("sets the rows of one value against another axis of another")
    (end,) = ends
    axis = len(node.shape) - end + (b.ndim == 1) if end > 1 else len(node.shape) - 1
    axis += 1 if a.ndim == 1 and end > 2 else 0
    meets = [t.ndim - end if end > 2 and t.ndim >= end else None for t in types]
    return axis, meets, node.params


def _gather(node: Node, types: Types, at: Axes, n: int) -> Any:
    axes = [k % types[0].ndim for k in node.params["axes"]]
    lead = len(node.shape) - (types[0].ndim - len(axes))
    if at[0] is None:
        end, meets = _aligned([t.ndim for t in types[1:]], at[1:])
        return lead - end, [None, *meets], node.params
    if any(axis is not None for axis in at[1:]) or at[0] in axes:
        raise GraphError("picks rows by number")
    return lead + at[0] - sum(k < at[0] for k in axes), [at[0]] + [None] * (len(types) - 1), node.params


_BY_LOWERING: dict[str, Rule] = {"elementwise": _elementwise, "reduction": _reduction, "scan": _reduction}
_RULES: dict[str, Rule] = {
    "argsort": _reduction,
    "polygamma": _elementwise,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "flip": _flip,
    "slice": _window,
    "place": _window,
    "pad": _pad,
    "concatenate": _concatenate,
    "matmul": _matmul,
    "gather": _gather,
}
