"""Run a graph at complex points, for derivatives without differences.

A real-analytic function evaluated at ``x + ih v`` has ``h f'(x) v`` as its imaginary part (Squire & Trapp 1998, "Using
complex variables to estimate derivatives of real functions"). Nothing is subtracted, so with ``h`` tiny the derivative
is exact to rounding. Graphs allow it where every operation on the way continues to complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.special as sp

from chainrule.graph.graph import Graph, Node
from chainrule.graph.interpret import walk
from chainrule.graph.primitive import zero_reverse
from chainrule.graph.trace import CONSTANT

#: a complex step, and the size of what it leaves of higher orders
STEP, REMAINDER = 1e-30, 1e-50

#: primitives whose NumPy meaning is their continuation
_AS_THEY_ARE = frozenset(
    (
        *("add", "subtract", "multiply", "divide", "negative", "square", "reciprocal", "sqrt", "power", "identity"),
        *("exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
        *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "erfcx", "psi"),
        *("where", "sum", "cumsum", "matmul", "solve", "inv", "det"),
        *("reshape", "transpose", "broadcast_to", "flip", "concatenate", "pad"),
        *("slice", "place", "gather", "scatter_add"),
    )
)
#: continuations that are written differently
_WRITTEN: Mapping[str, Callable[..., Any]] = {
    "expit": lambda z: 0.5 * (1.0 + np.tanh(0.5 * z)),
    "gammaln": sp.loggamma,
    "exp2": lambda z: np.exp(z * np.log(2.0)),
}


def continues(graph: Graph) -> bool:
    """Whether a graph can be run at complex points: what depends on its inputs is analytic, or piecewise constant."""
    depends = set(graph.inputs)
    for position, node in enumerate(graph.nodes):
        if not depends.isdisjoint(node.inputs) and not piecewise_constant(node):
            if not node_continues(node):
                return False
            depends.add(position)
    return True


def node_continues(node: Node) -> bool:
    """Whether an operation continues to complex numbers."""
    return node.primitive.name in _AS_THEY_ARE or node.primitive.name in _WRITTEN


def piecewise_constant(node: Node) -> bool:
    """Whether an operation's derivative is zero wherever it has one."""
    return not node.type.is_float or node.primitive.reverse is zero_reverse


def run_at(graph: Graph, arguments: Sequence[Any]) -> list[np.ndarray]:
    """The outputs at real or complex arguments."""
    values: list[Any] = [None] * len(graph.nodes)
    for i, argument in zip(graph.inputs, arguments, strict=True):
        values[i] = argument
    for position, node in enumerate(graph.nodes):
        if node.primitive.name != "input":
            values[position] = run_node(node, [values[i] for i in node.inputs])
    return [values[i] for i in graph.outputs]


def run_node(node: Node, inputs: Sequence[Any]) -> Any:
    """The value of one node for real or complex inputs."""
    if any(np.iscomplexobj(x) for x in inputs):
        if node.primitive.name in _WRITTEN:
            return _WRITTEN[node.primitive.name](*inputs, **node.params)
        if piecewise_constant(node):
            inputs = [np.real(x) for x in inputs]
    return node.primitive.numpy(*inputs, **node.params)


def hold(graph: Graph, arguments: Sequence[np.ndarray]) -> Graph:
    """The graph with constants in place of what ``stop_gradient`` holds at these arguments."""
    if not any(node.primitive.name == "stop_gradient" for node in graph.nodes):
        return graph
    nodes = list(graph.nodes)
    for position, value in walk(graph, arguments):
        node = nodes[position]
        if node.primitive.name == "stop_gradient":
            constant = np.array(value, order="C")
            nodes[position] = replace(node, primitive=CONSTANT, inputs=(), params={"value": constant})
    return replace(graph, nodes=tuple(nodes))


def complex_slope(
    graph: Graph, point: Sequence[np.ndarray], direction: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    """Directional derivatives of the outputs, by one complex step; ``None`` is a direction of zeros."""
    moved = [x if d is None else x + 1j * STEP * d for x, d in zip(point, direction, strict=True)]
    with np.errstate(all="ignore"):
        return [np.imag(y) / STEP for y in run_at(graph, moved)]
