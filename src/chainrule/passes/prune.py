"""Prune: nodes that no output needs go."""

from __future__ import annotations

from chainrule.graph.graph import Graph
from chainrule.passes.rewrite import Rewriter


def prune(graph: Graph) -> Graph:
    """Leave out the nodes that no output depends on. Inputs stay.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from dataclasses import replace
    >>> graph = cr.trace(lambda x: (np.exp(x), np.sin(x)), 0.0, name="f")
    >>> print(before := replace(graph, outputs=graph.outputs[:1], output_tree=graph.output_tree.children[0]))
    f(x: float64[]):
      v1 = exp(x)  # float64[]
      v2 = sin(x)  # float64[]
      return v1
    >>> print(prune(before))
    f(x: float64[]):
      v1 = exp(x)  # float64[]
      return v1
    """
    needed = graph.ancestors(graph.outputs) | set(graph.inputs)
    if len(needed) == len(graph.nodes):
        return graph
    rewriter = Rewriter(graph)
    for position, node in enumerate(graph.nodes):
        rewriter.place.append(rewriter.add(rewriter.moved(node)) if position in needed else -1)
    return rewriter.graph()
