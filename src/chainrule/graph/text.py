"""The text form of a graph: one line per node, stable, for people and for golden files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chainrule.graph.graph import Graph, Node


def to_text(graph: Graph) -> str:
    """Write a graph as text.

    Each node is a line: its name, what makes it, its type. Nodes without a name of their own are called by their
    position, constant numbers are written where they are used.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(to_text(cr.trace(lambda x: {"total": np.sum(np.exp(x)) / 2.0, "x": x}, np.zeros(3), name="f")))
    f(x: float64[3]):
      v1 = exp(x)                              # float64[3]
      v2 = sum(v1, axis=(0,), keepdims=False)  # float64[]
      v4 = divide(v2, 2.0)                     # float64[]
      return total=v4, x=x
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
    tree = graph.output_tree
    flat = tree.kind in (None, tuple, list) and all(child.kind is None for child in tree.children)
    results = [names[i] if flat else f"{path}={names[i]}" for path, i in zip(tree.paths(), graph.outputs, strict=True)]
    lines.append(f"  return {', '.join(results) or tree}")
    return "\n".join(lines)


def _literal(node: Node) -> str | None:
    """Constant numbers are written where they are used."""
    if node.primitive.name == "constant" and not node.shape and not node.name:
        return str(node.params["value"][()])
    return None


def _param(key: str, value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.item() if value.ndim == 0 else np.array2string(value, threshold=6, separator=", ")
        return " ".join(str(value).split())
    return f"{key}={value}"
