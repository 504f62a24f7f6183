"""A graph as plain data over the closed list of primitives, for files: nothing in it is code.

The data are dicts, lists, strings, numbers and None, which JSON can hold; arrays are kept apart::

    {"name": "f",
     "nodes": [{"primitive": "input", "inputs": [], "params": {}, "dtype": "float64", "shape": [3], "name": "x"},
               {"primitive": "sum", "inputs": [0], "params": {"axis": [0], "keepdims": false}, "dtype": ..., ...}],
     "inputs": [0], "outputs": [1],
     "input_tree": {"tuple": ["*"]}, "output_tree": "*"}

The k-th constant node holds the k-th array. A tree is ``"*"`` for a leaf, ``null`` for None, and ``{"tuple": [...]}``,
``{"list": [...]}`` or ``{"dict": [[key, tree], ...]}``; named tuples become tuples. Reading believes nothing: sizes are
bounded, every param has its type, and every node's type is what its shape rule says. What a graph costs to run is
counted before it is run, and may be bounded by a `Cost`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import NO_PARAMS, Graph, Node, check
from chainrule.graph.primitive import PRIMITIVES, hint_name
from chainrule.graph.tree import LEAF, TreeShape
from chainrule.graph.types import DTYPES, ArrayType

#: bounds on what is read: nodes of a graph, axes of a value, elements of a value, depth of a tree
MAX_NODES, MAX_NDIM, MAX_SIZE, MAX_DEPTH = 1_000_000, 32, 2**28, 64

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Cost:
    """What a graph takes to run, or may take at most.

    Parameters
    ----------
    nodes : int
    elements : int
        Of all nodes' values together.
    bytes : int
        Of the values that are alive at the same time, at most: run in the order of the nodes, each is kept until the
        last that reads it.
    operations : int
        Each node reads its inputs and writes its value once; views only count what they show, products their
        multiplications, and linear systems and sorts go over everything once per element of their longest axis.
    """

    nodes: int
    elements: int
    bytes: int
    operations: int

    def refuse_more(self, most: Cost) -> None:
        """Raise a `GraphError` where this is more than the most that is allowed."""
        for what, own, allowed in (
            ("nodes", self.nodes, most.nodes),
            ("elements", self.elements, most.elements),
            ("operations", self.operations, most.operations),
            ("bytes of values at a time", self.bytes, most.bytes),
        ):
            if own > allowed:
                raise GraphError(f"the graph has {own} {what}; {allowed} are allowed")


def cost(graph: Graph) -> Cost:
    """What a graph takes to run at most."""
    operations = sum(_operations(node, [graph.nodes[i].type for i in node.inputs]) for node in graph.nodes)
    elements = sum(math.prod(node.shape) for node in graph.nodes)
    return Cost(len(graph.nodes), elements, _alive(graph), operations)


def _alive(graph: Graph) -> int:
    """Bytes of the values that are alive at the same time, besides inputs and constants, which are there anyway."""
    last = {i: position for position, node in enumerate(graph.nodes) for i in node.inputs}
    for i in graph.outputs:
        last.pop(i, None)
    sizes = [
        0 if node.primitive.name in ("input", "constant") else math.prod(node.shape) * node.dtype.itemsize
        for node in graph.nodes
    ]
    freed = [0] * len(graph.nodes)
    for i, position in last.items():
        freed[position] += sizes[i]
    alive = most = 0
    for size, gone in zip(sizes, freed, strict=True):
        alive += size
        most = max(most, alive)
        alive -= gone
    return most


def _operations(node: Node, reads: Sequence[ArrayType]) -> int:
    kind, written = node.primitive.lowering, math.prod(node.shape)
    if kind == "view":
        return written
    moved = written + sum(math.prod(t.shape) for t in reads)
    if kind == "product":
        return moved + written * max(reads[0].shape[-1:], default=1)
    return moved * max(reads[0].shape, default=1) if kind == "library" else moved


def graph_to_dict(graph: Graph) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Write a graph as plain data and a list of arrays.

    Returns
    -------
    record : dict
        What JSON can hold, without NaN and infinities.
    constants : list of arrays
        Row-major, in the order of the constant nodes.

    Raises
    ------
    GraphError
        If the graph is not well formed, or a dict in its arguments or results has keys that are not text or integers.
    """
    check(graph)
    constants, nodes = [], []
    for node in graph.nodes:
        params = {}
        if node.primitive.name == "constant":
            constants.append(np.asarray(node.params["value"], order="C"))
        elif node.primitive.name != "input":
            params = {key: _param_to_data(value) for key, value in node.params.items()}
        nodes.append(
            {
                "primitive": node.primitive.name,
                "inputs": list(node.inputs),
                "params": params,
                "dtype": node.dtype.name,
                "shape": list(node.shape),
                "name": node.name,
            }
        )
    record = {
        "name": graph.name,
        "nodes": nodes,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "input_tree": _tree_to_data(graph.input_tree),
        "output_tree": _tree_to_data(graph.output_tree),
    }
    return record, constants


def graph_from_dict(record: Any, constants: Sequence[np.ndarray], most: Cost | None = None) -> Graph:
    """Read a graph from plain data, believing nothing.

    Parameters
    ----------
    record : dict
        As `graph_to_dict` writes it.
    constants : sequence of arrays
        One for each constant node, in order.
    most : Cost, optional
        What the graph may take to run.

    Raises
    ------
    GraphError
        In one line: which node, and what is wrong with it, or what there is too much of.
    """
    fields = _fields(record, "the graph", _GRAPH_FIELDS)
    allowed = MAX_NODES if most is None else min(MAX_NODES, most.nodes)
    if len(fields["nodes"]) > allowed:
        raise GraphError(f"the graph has {len(fields['nodes'])} nodes; {allowed} are allowed")
    arrays = list(constants)
    nodes = []
    for position, each in enumerate(fields["nodes"]):
        where = f"node {position}"
        node = _fields(each, where, _NODE_FIELDS)
        nodes.append(_node(f"{where} ({node['primitive'][:40]})", node, arrays))
    if arrays:
        raise GraphError(f"{len(arrays)} of {len(constants)} constants belong to no node")
    graph = check(
        Graph(
            tuple(nodes),
            _positions(fields["inputs"], "the inputs"),
            _positions(fields["outputs"], "the outputs"),
            _tree_from_data(fields["input_tree"], "the input tree"),
            _tree_from_data(fields["output_tree"], "the output tree"),
            fields["name"],
        )
    )
    if most is not None:
        cost(graph).refuse_more(most)
    return graph


_GRAPH_FIELDS = {
    "name": str,
    "nodes": list,
    "inputs": list,
    "outputs": list,
    "input_tree": object,
    "output_tree": object,
}
_NODE_FIELDS = {"primitive": str, "inputs": list, "params": dict, "dtype": str, "shape": list, "name": object}


def _fields(data: Any, what: str, kinds: Mapping[str, type]) -> dict[str, Any]:
    """A dict with exactly these fields of these types."""
    if not isinstance(data, dict) or data.keys() != kinds.keys():
        found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise GraphError(f"{what} must have the fields {sorted(kinds)}, got {str(found)[:200]}")
    for field, kind in kinds.items():
        if not isinstance(data[field], kind):
            raise GraphError(f"{what}: {field} must be {kind.__name__}, got {type(data[field]).__name__}")
    return data


def _node(where: str, data: Mapping[str, Any], arrays: list[np.ndarray]) -> Node:
    """A node; constants take the first of the arrays that are left."""
    primitive = PRIMITIVES.get(data["primitive"])
    if primitive is None:
        raise GraphError(f"{where}: there is no such primitive")
    type_ = _type(where, data["dtype"], data["shape"])
    if data["name"] is not None and not isinstance(data["name"], str):
        raise GraphError(f"{where}: name must be text or null, got {type(data['name']).__name__}")
    params: Mapping[str, Any]
    if primitive.name == "input":
        params = _without_params(where, data) | {"type": type_}
    elif primitive.name == "constant":
        if not arrays:
            raise GraphError(f"{where}: there are fewer constants than constant nodes")
        params = _without_params(where, data) | {"value": _constant(where, arrays.pop(0), type_)}
    else:
        if data["params"].keys() != primitive.params.keys():
            raise GraphError(f"{where}: takes params {sorted(primitive.params)}, got {_short(sorted(data['params']))}")
        params = {
            key: _param_from_data(data["params"][key], hint, f"{where}: {key}")
            for key, hint in primitive.params.items()
        }
    return Node(primitive, _positions(data["inputs"], f"{where}: inputs"), params or NO_PARAMS, type_, data["name"])


def _without_params(where: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if data["params"]:
        raise GraphError(f"{where}: takes no params, got {_short(sorted(data['params']))}")
    return {}


def _constant(where: str, value: Any, expected: ArrayType) -> np.ndarray:
    """A read-only view of a constant's array."""
    if not isinstance(value, np.ndarray) or ArrayType.of(value) != expected:
        found = ArrayType.of(value) if isinstance(value, np.ndarray) else type(value).__name__
        raise GraphError(f"{where}: is declared {expected}, but its array is {found}")
    view = np.asarray(value, order="C").view(np.ndarray)
    view.setflags(write=False)
    return view


def _type(where: str, dtype: str, shape: list[Any]) -> ArrayType:
    if dtype not in DTYPES:
        raise GraphError(f"{where}: dtype must be one of {', '.join(DTYPES)}, got {_short(dtype)}")
    sizes = _positions(shape, f"{where}: shape")
    if len(sizes) > MAX_NDIM or math.prod(sizes) > MAX_SIZE:
        raise GraphError(
            f"{where}: shape {_short(sizes)} is too large; {MAX_NDIM} axes, {MAX_SIZE} elements are allowed"
        )
    return ArrayType(sizes, DTYPES[dtype])


def _positions(data: list[Any], what: str) -> tuple[int, ...]:
    """Integers that are not negative, and not larger than any size may be."""
    if any(type(i) is not int or not 0 <= i <= MAX_SIZE for i in data):
        raise GraphError(f"{what} must be integers from 0 to {MAX_SIZE}, got {_short(data)}")
    return tuple(data)


def _short(data: Any) -> str:
    text = repr(data[:50] if isinstance(data, (list, tuple, str)) else data)
    return text if len(text) <= 100 else text[:97] + "..."


# -- params: tuples become lists, numbers that JSON has not become text


def _param_to_data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_param_to_data(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _param_from_data(data: Any, hint: Any, what: str) -> Any:
    """A param of the type its primitive declares."""
    if get_origin(hint) is tuple and isinstance(data, list):
        kinds: tuple[Any, ...] = get_args(hint)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(data)
        if len(kinds) == len(data):
            return tuple([_param_from_data(item, kind, what) for item, kind in zip(data, kinds, strict=True)])
    elif hint is float and isinstance(data, str) and data in _NON_FINITE:
        return _NON_FINITE[data]
    elif type(data) is hint and (hint is not int or abs(data) <= MAX_SIZE):
        return data
    raise GraphError(f"{what} must be {hint_name(hint)}, got {_short(data)}")


# -- trees

_CONTAINERS: dict[str, type] = {"tuple": tuple, "list": list}


def _tree_to_data(tree: TreeShape) -> Any:
    if tree.kind is None:
        return "*"
    if tree.kind is type(None):
        return None
    children = [_tree_to_data(child) for child in tree.children]
    if tree.kind is dict:
        if any(type(key) not in (str, int) for key in tree.keys):
            raise GraphError(f"a stored dict has keys that are text or integers, got {_short(tree.keys)}")
        return {"dict": [list(pair) for pair in zip(tree.keys, children, strict=True)]}
    return {"list" if issubclass(tree.kind, list) else "tuple": children}


def _tree_from_data(data: Any, what: str, depth: int = 0) -> TreeShape:
    if depth > MAX_DEPTH:
        raise GraphError(f"{what} is nested more than {MAX_DEPTH} deep")
    if data == "*":
        return LEAF
    if data is None:
        return TreeShape(type(None))
    if not isinstance(data, dict) or len(data) != 1 or not isinstance(items := next(iter(data.values())), list):
        raise GraphError(f'{what} must be "*", null or one of {{"tuple" | "list" | "dict": [...]}}, got {_short(data)}')
    (kind,) = data
    if kind in _CONTAINERS:
        children = tuple(_tree_from_data(item, what, depth + 1) for item in items)
        return TreeShape(_CONTAINERS[kind], tuple(range(len(items))), children)
    pairs = [item for item in items if isinstance(item, list) and len(item) == 2 and type(item[0]) in (str, int)]
    if kind != "dict" or len(pairs) != len(items):
        raise GraphError(f"{what} has a container it cannot have: {_short(data)}")
    keys = tuple(key for key, _ in pairs)
    if len(set(keys)) != len(keys):
        raise GraphError(f"{what} has a dict with a key twice: {_short(keys)}")
    return TreeShape(dict, keys, tuple(_tree_from_data(child, what, depth + 1) for _, child in pairs))


__all__ = ["MAX_DEPTH", "MAX_NDIM", "MAX_NODES", "MAX_SIZE", "Cost", "cost", "graph_from_dict", "graph_to_dict"]
