"""Simplify: algebra that changes no bit of any result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from chainrule.graph.graph import NO_PARAMS, Graph, Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.types import ArrayType
from chainrule.passes.rewrite import Rewriter

#: a rule takes a node to one that stands for it: its position, or a new one; ``None`` where it does not apply
Rule = Callable[[Rewriter, Node], "int | Node | None"]


def simplify(graph: Graph) -> Graph:
    """Replace nodes by simpler ones with the same value, to the last bit.

    Before and after::

        identity(x), stop_gradient(x)            x
        x + (-0), x - 0, x * 1, x / 1, x ** 1    x                  (not x + 0, which turns -0 into 0)
        x / 2ⁿ                                   x * 2⁻ⁿ
        -(-x)                                    x
        x + (-y), x - (-y), (-x) * (-y)          x - y, x + y, x * y
        (-x)², |x|², |-x|, ||x||                 x², x², |x|, |x|
        cast(cast(x)), nothing being lost        cast(x) or x
        reshape(reshape(x)), and likewise        reshape(x) or x
        transpose, slice, flip, broadcast_to
        f(broadcast_to(x), y), element-wise      f(x, y)
        reshape(broadcast_to(x)), x one number   broadcast_to(x)
        where(constant, x, y)                    x or y
        where(not c, x, y)                       where(c, y, x)

    The graph is meant to be run: ``identity`` and ``stop_gradient``, which matter to derivatives, are gone.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(before := cr.trace(lambda x: -(-x.T.T) * 1.0 / 4.0, np.ones((2, 3)), name="f"))
    f(x: float64[2,3]):
      v1 = transpose(x, axes=(1, 0))   # float64[3,2]
      v2 = transpose(v1, axes=(1, 0))  # float64[2,3]
      v3 = negative(v2)                # float64[2,3]
      v4 = negative(v3)                # float64[2,3]
      v6 = multiply(v4, 1.0)           # float64[2,3]
      v8 = divide(v6, 4.0)             # float64[2,3]
      return v8
    >>> from chainrule.passes import prune
    >>> print(prune(simplify(before)))
    f(x: float64[2,3]):
      v2 = multiply(x, 0.25)  # float64[2,3]
      return v2
    """
    rewriter = Rewriter(graph)
    for old in graph.nodes:
        rewriter.place.append(_simplest(rewriter, rewriter.moved(old)))
    return rewriter.graph()


def _simplest(rewriter: Rewriter, node: Node) -> int:
    """The position of the simplest node with the value of this one."""
    found: int | Node | None = node
    while isinstance(found, Node):
        node = found
        rules = RULES.get(node.primitive.name, ())
        if node.primitive.lowering == "elementwise" and len(node.inputs) > 1:
            rules = (*rules, _broadcasts_by_itself)
        found = next((f for rule in rules if (f := rule(rewriter, node)) is not None), None)
    if found is None:
        return rewriter.add(node)
    rewriter.hand_over(node.name, found)
    return found


def _inner(rewriter: Rewriter, node: Node, name: str, k: int = 0) -> Node | None:
    """The k-th input, if it is made by this primitive."""
    inner = rewriter.nodes[node.inputs[k]]
    return inner if inner.primitive.name == name else None


def _same_type(rewriter: Rewriter, node: Node, k: int = 0) -> int | None:
    """The k-th input, if it has the node's type."""
    return node.inputs[k] if rewriter.nodes[node.inputs[k]].type == node.type else None


def _other(node: Node, name: str, inputs: tuple[int, ...], **params: Any) -> Node:
    """The node with another primitive or other inputs, of the same type."""
    return replace(node, primitive=PRIMITIVES[name], inputs=inputs, params=params or NO_PARAMS)


# -- arithmetic


def _passes_on(r: Rewriter, node: Node) -> int:
    return node.inputs[0]


def _neutral(k: int, number: float) -> Rule:
    """The k-th operand is a constant that changes nothing; zero with the sign that changes nothing either."""

    def rule(r: Rewriter, node: Node) -> int | None:
        value = r.constant(node.inputs[k])
        if value is None or not np.all(value == number) or node.dtype == np.bool_:
            return None
        if not number and node.type.is_float and np.any(np.signbit(value) != np.signbit(number)):
            return None
        return _same_type(r, node, 1 - k)

    return rule


def _divide_by_power_of_two(r: Rewriter, node: Node) -> Node | None:
    """The reciprocal of a power of two is exact, and so a quotient and a product round alike."""
    value = r.constant(node.inputs[1])
    if value is None or value.ndim or not node.type.is_float:
        return None
    fraction, exponent = math.frexp(value)
    if abs(fraction) != 0.5 or abs(exponent) > 100:
        return None
    inverse = np.asarray(1.0 / value, value.dtype)
    inverse.setflags(write=False)
    constant = r.add(Node(PRIMITIVES["constant"], (), {"value": inverse}, ArrayType((), value.dtype), scope=node.scope))
    return _other(node, "multiply", (node.inputs[0], constant))


def _negative_of_negative(r: Rewriter, node: Node) -> int | None:
    inner = _inner(r, node, "negative")
    return inner.inputs[0] if inner else None


def _signed_operand(k: int, name: str) -> Rule:
    """A sum or difference with a negated operand is a difference or a sum."""

    def rule(r: Rewriter, node: Node) -> Node | None:
        inner = _inner(r, node, "negative", k)
        return _other(node, name, (node.inputs[1 - k], inner.inputs[0])) if inner else None

    return rule


def _signs_cancel(r: Rewriter, node: Node) -> Node | None:
    first, second = _inner(r, node, "negative", 0), _inner(r, node, "negative", 1)
    return replace(node, inputs=(first.inputs[0], second.inputs[0])) if first and second else None


def _even(r: Rewriter, node: Node) -> Node | None:
    """The sign of the operand does not matter."""
    inner = _inner(r, node, "negative") or _inner(r, node, "absolute")
    return replace(node, inputs=inner.inputs) if inner else None


# -- conversion


def _cast(r: Rewriter, node: Node) -> int | Node | None:
    same = _same_type(r, node)
    if same is not None:
        return same
    inner = _inner(r, node, "cast")
    if inner is None:
        return None
    origin = r.nodes[inner.inputs[0]].dtype
    keeps = _holds(inner.dtype, origin) and (node.type.is_float or node.dtype in (origin, np.bool_))
    return replace(node, inputs=inner.inputs) if keeps else None


@cache
def _holds(wide: np.dtype, narrow: np.dtype) -> bool:
    """Whether one dtype holds every number of another one. NumPy calls int64 to float64 safe; it is not exact."""
    if narrow.itemsize == 8 and narrow.kind in "iu" and wide.kind == "f":
        return False
    return np.can_cast(narrow, wide, "safe")


# -- shape


def _reshape(r: Rewriter, node: Node) -> int | Node | None:
    inner = _inner(r, node, "reshape")
    if inner is not None and r.row_major[inner.inputs[0]]:
        return replace(node, inputs=inner.inputs)
    return _same_type(r, node)


def _of_one_number(r: Rewriter, node: Node) -> Node | None:
    """A number broadcast to one shape and brought into another one: NumPy makes the same view of it."""
    inner = _inner(r, node, "broadcast_to")
    if inner is None:
        return None
    number = r.nodes[inner.inputs[0]].type
    fits = number.size == 1 and number.ndim <= len(node.shape)
    return _other(node, "broadcast_to", inner.inputs, shape=node.shape) if fits else None


def _transpose(r: Rewriter, node: Node) -> int | Node | None:
    axes = node.params["axes"]
    if axes == tuple(range(len(axes))):
        return node.inputs[0]
    inner = _inner(r, node, "transpose")
    if inner is None:
        return None
    return _other(node, "transpose", inner.inputs, axes=tuple([inner.params["axes"][k] for k in axes]))


def _broadcast_to(r: Rewriter, node: Node) -> int | Node | None:
    inner = _inner(r, node, "broadcast_to")
    return replace(node, inputs=inner.inputs) if inner else _same_type(r, node)


def _flip(r: Rewriter, node: Node) -> int | Node | None:
    axes = set(node.params["axis"])
    inner = _inner(r, node, "flip")
    if inner is None:
        return None if axes else node.inputs[0]
    left = tuple(sorted(axes ^ set(inner.params["axis"])))
    return _other(node, "flip", inner.inputs, axis=left) if left else inner.inputs[0]


def _slice(r: Rewriter, node: Node) -> int | Node | None:
    window = node.params["window"]
    if window == tuple([(0, size, 1) for size in r.nodes[node.inputs[0]].shape]):
        return node.inputs[0]
    inner = _inner(r, node, "slice")
    if inner is None:
        return None
    joined = [
        (start + first * step, count, step * stride) if count else (0, 0, 1)
        for (start, _, step), (first, count, stride) in zip(inner.params["window"], window, strict=True)
    ]
    return _other(node, "slice", inner.inputs, window=tuple(joined))


def _broadcasts_by_itself(r: Rewriter, node: Node) -> Node | None:
    """An operand need not be broadcast where the others' shapes do it."""
    for k, i in enumerate(node.inputs):
        inner = r.nodes[i]
        if inner.primitive.name == "broadcast_to":
            inputs = (*node.inputs[:k], inner.inputs[0], *node.inputs[k + 1 :])
            if np.broadcast_shapes(*[r.nodes[j].shape for j in inputs]) == node.shape:
                return replace(node, inputs=inputs)
    return None


def _chosen(r: Rewriter, node: Node) -> int | None:
    condition = r.constant(node.inputs[0])
    if condition is None or not condition.size or condition.any() != condition.all():
        return None
    return _same_type(r, node, 1 if condition.all() else 2)


def _otherwise(r: Rewriter, node: Node) -> Node | None:
    inner = _inner(r, node, "invert") or _inner(r, node, "logical_not")
    if inner is None or r.nodes[inner.inputs[0]].dtype != np.bool_:
        return None
    return replace(node, inputs=(inner.inputs[0], node.inputs[2], node.inputs[1]))


#: rules by the primitive of the node they replace
RULES: dict[str, tuple[Rule, ...]] = {
    "identity": (_passes_on,),
    "stop_gradient": (_passes_on,),
    "add": (_neutral(0, -0.0), _neutral(1, -0.0), _signed_operand(1, "subtract"), _signed_operand(0, "subtract")),
    "subtract": (_neutral(1, 0.0), _signed_operand(1, "add")),
    "multiply": (_neutral(0, 1.0), _neutral(1, 1.0), _signs_cancel),
    "divide": (_neutral(1, 1.0), _divide_by_power_of_two, _signs_cancel),
    "power": (_neutral(1, 1.0),),
    "negative": (_negative_of_negative,),
    "square": (_even,),
    "absolute": (_even,),
    "cast": (_cast,),
    "reshape": (_reshape, _of_one_number),
    "transpose": (_transpose, _of_one_number),
    "broadcast_to": (_broadcast_to,),
    "flip": (_flip,),
    "slice": (_slice,),
    "where": (_chosen, _otherwise),
}
