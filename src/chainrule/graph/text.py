"""The text form of a graph: one line per node, stable, for people and for golden files."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.graph import Graph, Node


def to_text(graph: Graph) -> str:
    """Write a graph as text.

    Examples
    --------
    ``f(x) = sum(exp(x))`` of three numbers reads::

        f(x: float64[3]):
          v1 = exp(x)              # float64[3]
          v2 = sum(v1, axis=(0,))  # float64[]
          return v2
    """
    names = [_literal(node) or name for node, name in zip(graph.nodes, graph.node_names, strict=True)]
    head = ", ".join(f"{names[i]}: {graph.nodes[i].type}" for i in graph.inputs)
    rows = []
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "input" or _literal(node):
            continue
        arguments = [names[i] for i in node.inputs]
        arguments += [_param(key, value) for key, value in node.params.items()]
        rows.append((f"  {names[position]} = {node.primitive.name}({', '.join(arguments)})", str(node.type)))
    width = min(max((len(left) for left, _ in rows), default=0), 88)
    lines = [f"{graph.name}({head}):", *(f"{left:<{width}}  # {right}" for left, right in rows)]
    lines.append("  return " + ", ".join(names[i] for i in graph.outputs))
    return "\n".join(lines)


def _literal(node: Node) -> str | None:
    """Constant numbers are written where they are used."""
    if node.primitive.name == "constant" and not node.shape and not node.name:
        return repr(node.params["value"].item())
    return None


def _param(key: str, value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.item() if value.ndim == 0 else np.array2string(value, threshold=6, separator=", ")
        return " ".join(str(value).split())
    return f"{key}={value}"
