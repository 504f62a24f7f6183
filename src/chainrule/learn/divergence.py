"""Where numbers left the finite range: the first node of a graph that is infinite or NaN, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph.graph import Graph
from chainrule.graph.interpret import first_non_finite


def first_fault(graph: Graph, inputs: Sequence[Any]) -> str | None:
    """Describe the first node that is not finite when the graph runs on a flat list of inputs; ``None`` if all are."""
    position = first_non_finite(graph, inputs)
    return None if position is None else describe(graph, position)


def describe(graph: Graph, position: int) -> str:
    """A node in words: its name, or its operation and the next named value it leads to."""
    node = graph.nodes[position]
    if node.primitive.name == "input":
        return f"the input {graph.node_names[position]}"
    if node.name:
        return f"'{node.name}' ({node.primitive.name})"
    reached = {position}
    for later in range(position + 1, len(graph.nodes)):
        following = graph.nodes[later]
        if reached.intersection(following.inputs):
            if following.name:
                return f"the operation {node.primitive.name} on the way to '{following.name}'"
            reached.add(later)
    return f"the operation {node.primitive.name}"
