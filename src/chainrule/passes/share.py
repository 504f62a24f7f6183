"""Share: equal expressions are computed once."""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b

from chainrule.graph.graph import Graph, Node
from chainrule.passes.rewrite import Rewriter

#: primitives whose two inputs may change places without changing a bit
COMMUTATIVE = frozenset(("add", "multiply"))


def share(graph: Graph) -> Graph:
    """Replace a node by an earlier one that does the same with the same inputs; equal constants are one too.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(before := cr.trace(lambda x: np.exp(x) + 1.0 / np.exp(x), 0.0, name="f"))
    f(x: float64[]):
      v1 = exp(x)           # float64[]
      v2 = exp(x)           # float64[]
      v4 = divide(1.0, v2)  # float64[]
      v5 = add(v1, v4)      # float64[]
      return v5
    >>> print(share(before))
    f(x: float64[]):
      v1 = exp(x)           # float64[]
      v3 = divide(1.0, v1)  # float64[]
      v4 = add(v1, v3)      # float64[]
      return v4
    """
    rewriter = Rewriter(graph)
    first: dict[Hashable, int] = {}
    for position, old in enumerate(graph.nodes):
        node = rewriter.moved(old)
        key = position if node.primitive.name == "input" else _key(node)
        place = first.get(key)
        if place is None:
            place = first[key] = rewriter.add(node)
        else:
            rewriter.hand_over(node.name, place)
        rewriter.place.append(place)
    return rewriter.graph()


def _key(node: Node) -> Hashable:
    if node.primitive.name == "constant":
        value = node.params["value"]
        return node.type, value.flags.c_contiguous, blake2b(value.tobytes()).digest()
    inputs = tuple(sorted(node.inputs)) if node.primitive.name in COMMUTATIVE else node.inputs
    # by their text: it tells -0.0 from 0.0 and 1 from True, which are equal as keys
    params = tuple(sorted([(name, repr(value)) for name, value in node.params.items()]))
    return node.primitive.name, inputs, params
