"""Forward and back-propagation through a graph, with the value and the gradient of every node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.calculus.sweeps import backward_all
from chainrule.errors import DifferentiationError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import CONSTANT, apply, fresh_recording


@dataclass(frozen=True)
class Propagation:
    """What passes through each node of a graph, forward and backward.

    Parameters
    ----------
    values : tuple of arrays
        The value of each node, in the order in which they are computed.
    gradients : tuple of arrays or None
        The derivative of the cost by each node, of its shape; ``None`` where the cost does not depend on it, or where
        it is not a floating-point value that depends on an input.
    """

    values: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray | None, ...]


def backpropagate(graph: Graph, arguments: Sequence[Any]) -> Propagation:
    """Run a graph and go back through it: the value and the gradient of every node.

    Parameters
    ----------
    graph : Graph
        With one output of one element: the cost.
    arguments : sequence of arrays
        Flat, one for each input of the graph.

    Raises
    ------
    DifferentiationError
        If the graph has another output than one floating-point number.

    Examples
    --------
    >>> import chainrule as cr
    >>> graph = cr.trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0)
    >>> passed = backpropagate(graph, [2.0, 3.0])
    >>> for name, value, gradient in zip(graph.node_names, passed.values, passed.gradients):
    ...     print(name, value, gradient)
    w 2.0 30.0
    x 3.0 20.0
    v2 6.0 10.0
    v3 1.0 None
    v4 5.0 10.0
    v5 25.0 1.0
    """
    outputs = [graph.nodes[i].type for i in graph.outputs]
    if len(outputs) != 1 or outputs[0].size != 1 or not outputs[0].is_float:
        found = ", ".join(map(str, outputs)) or "nothing"
        raise DifferentiationError(
            f"back-propagation starts from one floating-point number, {graph.name} gives {found}"
        )
    with fresh_recording() as recorder:
        given = {i: graph.as_input(k, x) for k, (i, x) in enumerate(zip(graph.inputs, arguments, strict=True))}
        traced: list[Any] = []
        for position, node in enumerate(graph.nodes):
            if position in given:
                traced.append(recorder.input(node.type, given[position], node.name))
            elif node.primitive is CONSTANT:
                traced.append(recorder.constant(node.params["value"]))
            else:
                traced.append(apply(node.primitive, *[traced[i] for i in node.inputs], **node.params))
        cost = traced[graph.outputs[0]]
        wrt = [traced[i] for i in graph.inputs if graph.nodes[i].type.is_float]
        cotangents = backward_all(recorder, [cost], [recorder.constant(np.ones(cost.shape, cost.dtype))], wrt)
        values = tuple([t.value for t in traced])
        gradients = tuple([cotangents[t.index].value if t.index in cotangents else None for t in traced])
    return Propagation(values, gradients)
