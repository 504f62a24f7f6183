"""Fold: what depends on constants alone is computed once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule.graph.graph import Graph, Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.passes.rewrite import Rewriter

#: a folded value may have this many bytes, or as many as what it is computed from
LIMIT = 2**14


def fold(graph: Graph) -> Graph:
    """Replace nodes whose inputs are all constants by their values.

    What would be much larger than its inputs stays (such as a number broadcast to a matrix), and so does what NumPy
    computes in another order of memory than constants have (such as a transposed matrix): it costs next to nothing.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(before := cr.trace(cr.grad(lambda x: 3.0 * np.exp(x)), 0.0, name="f"))
    f(x: float64[]):
      v1 = identity(x)         # float64[]
      v2 = exp(v1)             # float64[]
      v5 = multiply(1.0, 3.0)  # float64[]
      v6 = multiply(v5, v2)    # float64[]
      return v6
    >>> print(fold(before))
    f(x: float64[]):
      v1 = identity(x)        # float64[]
      v2 = exp(v1)            # float64[]
      v6 = multiply(3.0, v2)  # float64[]
      return v6
    """
    rewriter = Rewriter(graph)
    known: dict[int, np.ndarray] = {}
    for position, node in enumerate(graph.nodes):
        value = _value(node, known)
        new = rewriter.moved(node)
        if value is not None:
            known[position] = value
            new = _constant(node, value) if value.flags.c_contiguous else new
        rewriter.place.append(rewriter.add(new))
    return rewriter.graph()


def _value(node: Node, known: Mapping[int, np.ndarray]) -> np.ndarray | None:
    """The value of a node, if it is known and small, or no larger than what it is computed from."""
    if node.primitive.name == "constant":
        return node.params["value"]
    if not node.inputs or not all(i in known for i in node.inputs):
        return None
    inputs = [known[i] for i in node.inputs]
    if node.type.size * node.dtype.itemsize > max(LIMIT, sum(x.nbytes for x in inputs)):
        return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(node.primitive.numpy(*inputs, **node.params))
    except (ValueError, IndexError):  # it fails when it is run, as it did before
        return None


def _constant(node: Node, value: np.ndarray) -> Node:
    if node.primitive.name == "constant":
        return node
    value = value.copy()
    value.setflags(write=False)
    return Node(PRIMITIVES["constant"], (), {"value": value}, node.type, node.name, node.scope)
