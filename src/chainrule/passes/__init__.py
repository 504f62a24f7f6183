"""Passes: graph in, graph with the same results out, to the last bit. Each has a name and one purpose."""

from chainrule.graph.graph import Graph, check
from chainrule.passes.fold import fold
from chainrule.passes.prune import prune
from chainrule.passes.share import share
from chainrule.passes.simplify import simplify

#: what `optimize` does, in order
PIPELINE = (prune, fold, simplify, share, prune)


def optimize(graph: Graph) -> Graph:
    """Prune, fold, simplify and share: a graph that computes the same bits with fewer nodes.

    Differentiate first, optimise then: what matters to derivatives alone (``stop_gradient``) is gone afterwards.

    Raises
    ------
    GraphError
        If the graph is not well formed.
    """
    check(graph)
    for each in PIPELINE:
        graph = each(graph)
    return check(graph)


__all__ = ["PIPELINE", "fold", "optimize", "prune", "share", "simplify"]
