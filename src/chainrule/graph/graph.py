"""The computational graph: immutable, typed, every value assigned once, nodes in an order in which they can be run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.interpret import as_result, program
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.text import to_text
from chainrule.graph.tree import LEAF, TreeShape, flatten
from chainrule.graph.types import DTYPES, ArrayType

NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Node:
    """A value of the graph: the output of one function.

    Parameters
    ----------
    primitive : Primitive
        ``input`` and ``constant`` have no inputs of their own.
    inputs : tuple of int
        Positions of the inputs in ``Graph.nodes``, all smaller than this node's own.
    params : mapping
        What the primitive needs besides its inputs, such as ``axis``.
    type : ArrayType
    name : str or None
        What the user called it.
    scope : str
        Which part of a larger whole it belongs to, such as ``"layer1"`` or ``"gradient/layer1"``: for people to find
        their way, without a meaning to what runs.
    """

    primitive: Primitive
    inputs: tuple[int, ...]
    params: Mapping[str, Any]
    type: ArrayType
    name: str | None = None
    scope: str = ""

    def __reduce__(self) -> Any:
        return Node, (self.primitive, self.inputs, dict(self.params), self.type, self.name, self.scope)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype


@dataclass(frozen=True, eq=False)
class Graph:
    """A computational graph.

    Calling it runs it with NumPy, node by node. `print` shows it in a form a person can read.

    Parameters
    ----------
    nodes : tuple of Node
        In an order in which they can be run.
    inputs, outputs : tuple of int
        Positions of the inputs and outputs in `nodes`.
    input_tree, output_tree : TreeShape
        How the call's arguments (a tuple) and its result are nested.
    name : str
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_tree: TreeShape = field(default=LEAF)
    output_tree: TreeShape = field(default=LEAF)
    name: str = "graph"

    def __getstate__(self) -> dict[str, Any]:  # what is cached is made again where it is needed
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        ins = ", ".join(str(self.nodes[i].type) for i in self.inputs)
        outs = ", ".join(str(self.nodes[i].type) for i in self.outputs)
        return f"<Graph {self.name}: ({ins}) -> ({outs}), {len(self.nodes)} nodes>"

    def __call__(self, *args: Any) -> Any:
        """Run the graph with NumPy on arguments nested like those it was traced with.

        Returns
        -------
        Arrays of their own, nested like the traced function's result; NumPy scalars where there are no axes.

        Raises
        ------
        GraphError
            If the arguments are nested differently or have other shapes.
        """
        leaves, tree = flatten(args)
        if tree != self.input_tree:
            raise GraphError(f"{self.name} takes arguments nested as {self.input_tree}, got {tree}")
        results = self.run(*(self.as_input(k, leaf) for k, leaf in enumerate(leaves)))
        return self.output_tree.unflatten(map(as_result, results))

    def as_input(self, k: int, value: Any) -> np.ndarray:
        """Input ``k`` as a row-major array of the type the graph expects.

        Raises
        ------
        GraphError
            If the shape is another one, or the dtype is of another kind and cannot hold the numbers.
        """
        expected = self.nodes[self.inputs[k]].type
        name = self.node_names[self.inputs[k]]
        given = np.asarray(value)
        if given.shape != expected.shape:
            raise GraphError(f"{self.name}: input {name} must have shape {expected.shape}, got {given.shape}")
        if np.can_cast(given.dtype, expected.dtype, "same_kind"):
            return np.asarray(given, dtype=expected.dtype, order="C")
        if given.dtype.kind in "biuf":  # of another kind, but perhaps the numbers are of this one
            with np.errstate(invalid="ignore"):
                array = given.astype(expected.dtype, order="C")
            if np.array_equal(array, given):
                return array
        raise GraphError(f"{self.name}: input {name} is {expected.dtype}, which {given.dtype} does not fit into")

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Run the graph with NumPy on a flat list of inputs of the right types; the flat list of outputs.

        Nothing is checked, converted or copied: outputs may share memory with inputs and constants.
        """
        return self._program(inputs)

    @cached_property
    def _program(self) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        return program(self)

    @cached_property
    def node_names(self) -> tuple[str, ...]:
        """A unique readable name per node: the user's where there is one, else ``v<position>``."""
        names: dict[str, None] = {}
        for position, node in enumerate(self.nodes):
            name = first = node.name or f"v{position}"
            count = 1
            while name in names:
                count += 1
                name = f"{first}#{count}"
            names[name] = None
        return tuple(names)

    @cached_property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """For each node the positions of the nodes that read it."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for position, node in enumerate(self.nodes):
            for i in dict.fromkeys(node.inputs):
                users[i].append(position)
        return tuple(tuple(u) for u in users)

    def ancestors(self, positions: Iterable[int]) -> set[int]:
        """Positions of all nodes that the given ones depend on, themselves included."""
        return ancestors(self.nodes, positions)


def ancestors(nodes: Sequence[Node], positions: Iterable[int]) -> set[int]:
    """Positions of all nodes that the given ones depend on, themselves included."""
    seen: set[int] = set()
    stack = list(positions)
    while stack:
        position = stack.pop()
        if position not in seen:
            seen.add(position)
            stack.extend(nodes[position].inputs)
    return seen


def check(graph: Graph) -> Graph:
    """Verify that a graph is well formed and return it.

    Every primitive is the registered one, inputs come before their users, params have the names and types that the
    shape rule declares, every node's type is what the shape rule says, every input node is an input of the graph, and
    the trees fit the inputs and outputs.

    Raises
    ------
    GraphError
        Naming the node.
    """
    types: list[ArrayType] = []
    for position, node in enumerate(graph.nodes):
        try:
            _check_node(node, types)
        except GraphError as error:
            named = f" {node.name!r}" if node.name else ""
            raise GraphError(f"node {position} ({node.primitive.name}{named}): {error}") from None
        types.append(node.type)
    for kind, positions, tree in (
        ("input", graph.inputs, graph.input_tree),
        ("output", graph.outputs, graph.output_tree),
    ):
        if any(type(i) is not int or not 0 <= i < len(graph.nodes) for i in positions):
            raise GraphError(f"{kind} positions {positions} do not all exist among {len(graph.nodes)} nodes")
        if tree.n_leaves != len(positions):
            raise GraphError(f"the {kind} tree has {tree.n_leaves} leaves for {len(positions)} {kind}s")
    sources = [i for i, node in enumerate(graph.nodes) if node.primitive.name == "input"]
    if sorted(graph.inputs) != sources:
        raise GraphError(f"the input nodes are {sources}, but {graph.inputs} are listed as inputs")
    return graph


def _check_node(node: Node, types: Sequence[ArrayType]) -> None:
    """Check a node against the types of the nodes before it."""
    primitive = node.primitive
    if PRIMITIVES.get(primitive.name) is not primitive:
        raise GraphError("is not a registered primitive")
    if node.name is not None and not isinstance(node.name, str):
        raise GraphError(f"has the name {node.name!r}; a name is text")
    if any(type(i) is not int or not 0 <= i < len(types) for i in node.inputs):
        raise GraphError(f"reads {node.inputs}, but inputs must come before it")
    if node.dtype not in _DTYPES or any(type(size) is not int or size < 0 for size in node.shape):
        raise GraphError(f"has the type {node.type}, which a graph cannot hold")
    if primitive.family == "source":
        _check_source(node)
        return
    inferred = primitive.infer_type([types[i] for i in node.inputs], node.params)
    if inferred != node.type:
        raise GraphError(f"is declared {node.type}, but its shape rule says {inferred}")


def _check_source(node: Node) -> None:
    """Inputs carry their type, constants their value."""
    what = "type" if node.primitive.name == "input" else "value"
    if node.inputs or node.params.keys() != {what}:
        raise GraphError(f"has no inputs and one param, {what}; got inputs {node.inputs}, params {sorted(node.params)}")
    value = node.params[what]
    if what == "value" and not isinstance(value, np.ndarray):
        raise GraphError(f"holds a {type(value).__name__}, not an array")
    held = value if what == "type" else ArrayType.of(value)
    if held != node.type:
        raise GraphError(f"is declared {node.type}, but holds {held}")


_DTYPES = frozenset(DTYPES.values())
