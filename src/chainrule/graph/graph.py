"""The computational graph: immutable, typed, every value assigned once, nodes in an order in which they can be run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.interpret import program
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.tree import LEAF, TreeShape, flatten
from chainrule.graph.types import ArrayType

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
    """

    primitive: Primitive
    inputs: tuple[int, ...]
    params: Mapping[str, Any]
    type: ArrayType
    name: str | None = None

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
        from chainrule.graph.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        ins = ", ".join(str(self.nodes[i].type) for i in self.inputs)
        outs = ", ".join(str(self.nodes[i].type) for i in self.outputs)
        return f"<Graph {self.name}: ({ins}) -> ({outs}), {len(self.nodes)} nodes>"

    def __call__(self, *args: Any) -> Any:
        """Run the graph with NumPy on arguments nested like those it was traced with.

        Raises
        ------
        GraphError
            If the arguments are nested differently or have other shapes.
        """
        leaves, tree = flatten(args)
        if tree != self.input_tree:
            raise GraphError(f"{self.name} takes arguments nested as {self.input_tree}, got {tree}")
        results = self.run(*(self.as_input(k, leaf) for k, leaf in enumerate(leaves)))
        return self.output_tree.unflatten(results)

    def as_input(self, k: int, value: Any) -> np.ndarray:
        """Input ``k`` as an array of the dtype the graph expects; its shape must be the graph's."""
        expected = self.nodes[self.inputs[k]].type
        array = np.asarray(value, dtype=expected.dtype)
        if array.shape != expected.shape:
            name = self.node_names[self.inputs[k]]
            raise GraphError(f"{self.name}: input {name} must have shape {expected.shape}, got {array.shape}")
        return array

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Run the graph with NumPy on a flat list of inputs of the right types; the flat list of outputs."""
        return self._program(inputs)

    @cached_property
    def _program(self) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        return program(self)

    @cached_property
    def node_names(self) -> tuple[str, ...]:
        """A unique readable name per node: the user's where there is one, else ``v<position>``."""
        taken: dict[str, int] = {}
        names = []
        for position, node in enumerate(self.nodes):
            name = node.name or f"v{position}"
            count = taken.get(name, 0)
            taken[name] = count + 1
            names.append(name if count == 0 else f"{name}#{count + 1}")
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

    Every primitive is the registered one, inputs come before their users, every node's type is what its shape rule
    says, and the trees fit the inputs and outputs.

    Raises
    ------
    GraphError
        Naming the node.
    """
    for position, node in enumerate(graph.nodes):
        where = f"node {position} ({node.primitive.name})"
        if PRIMITIVES.get(node.primitive.name) is not node.primitive:
            raise GraphError(f"{where}: not a registered primitive")
        if any(not 0 <= i < position for i in node.inputs):
            raise GraphError(f"{where}: reads {node.inputs}, but inputs must come before it")
        inferred = node.primitive.infer(*(graph.nodes[i].type for i in node.inputs), **node.params)
        if inferred != node.type:
            raise GraphError(f"{where}: is declared {node.type}, but its shape rule says {inferred}")
    for kind, positions, tree in (
        ("input", graph.inputs, graph.input_tree),
        ("output", graph.outputs, graph.output_tree),
    ):
        if any(not 0 <= i < len(graph.nodes) for i in positions):
            raise GraphError(f"{kind} positions {positions} do not all exist among {len(graph.nodes)} nodes")
        if tree.n_leaves != len(positions):
            raise GraphError(f"the {kind} tree has {tree.n_leaves} leaves for {len(positions)} {kind}s")
    for i in graph.inputs:
        if graph.nodes[i].primitive.name != "input":
            raise GraphError(f"node {i} is listed as an input but is {graph.nodes[i].primitive.name}")
    return graph
