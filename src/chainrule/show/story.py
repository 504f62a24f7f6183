"""Everything there is to tell about a graph at one point: each node's value and gradient, what passes along each arrow.

All of it is one graph, the *program*: its inputs are those of the graph, its outputs every number the page shows. So
whoever can run graphs forward can tell the story anew at another point: the page, in JavaScript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.errors import DifferentiationError
from chainrule.graph.graph import Graph, Node
from chainrule.graph.primitive import NoDerivative
from chainrule.graph.trace import CONSTANT, Recorder, Traced, apply, fresh_recording, join_scopes
from chainrule.graph.tree import TreeShape

#: how the derivative along an arrow is shown
NUMBER, ELEMENTWISE, PULLED_BACK = "number", "elementwise", "pulled back"


@dataclass(frozen=True)
class Arrow:
    """A value that a node reads, and what comes back along this arrow alone.

    Parameters
    ----------
    source, target : int
        Positions in the graph: ``target`` reads ``source``.
    operand : int
        Which input of ``target`` it is.
    share : int
        Output of the program: the cotangent of ``target`` pushed through this arrow. Those of all arrows out of a node
        sum to its gradient.
    kind : {"number", "elementwise", "pulled back"}
        What the local derivative ∂target/∂source is: one number, an array with a number per element of the target, or
        a linear map that is not written out.
    local : int or None
        Output of the program: the local derivative, where it is written out.
    """

    source: int
    target: int
    operand: int
    share: int
    kind: str
    local: int | None


@dataclass(frozen=True)
class Story:
    """A graph at one point.

    Parameters
    ----------
    graph : Graph
    arguments : tuple of arrays
        Flat, one for each input.
    cost : int or None
        Position of the number that is differentiated; ``None``: only forward.
    values : tuple of int
        For each node the output of the program that is its value.
    gradients : tuple of int or None
        For each node the output of the program that is its gradient, ``None`` where the cost does not depend on it.
    arrows : tuple of Arrow
        In the order in which back-propagation passes them.
    program : Graph
        From the inputs to all numbers of the story.
    numbers : tuple of arrays
        The outputs of the program here, as NumPy computes them.
    """

    graph: Graph
    arguments: tuple[np.ndarray, ...]
    cost: int | None
    values: tuple[int, ...]
    gradients: tuple[int | None, ...]
    arrows: tuple[Arrow, ...]
    program: Graph
    numbers: tuple[np.ndarray, ...]

    def value(self, position: int) -> np.ndarray:
        """The value of a node."""
        return self.numbers[self.values[position]]

    def gradient(self, position: int) -> np.ndarray | None:
        """The derivative of the cost by a node, ``None`` where there is none."""
        output = self.gradients[position]
        return None if output is None else self.numbers[output]


def tell(graph: Graph, arguments: Sequence[Any], cost: int | None = None) -> Story:
    """Run a graph forward and back, and keep every number.

    Parameters
    ----------
    graph : Graph
    arguments : sequence of arrays
        Flat, one for each input.
    cost : int, optional
        Position of the node to go back from, one floating-point number. By default the graph's output, if it has one
        and that is such a number; else nothing goes back.

    Raises
    ------
    GraphError
        If an argument does not fit.
    DifferentiationError
        If an operation on the way has no derivative, or the cost is not one floating-point number.

    Examples
    --------
    >>> import chainrule as cr
    >>> story = tell(cr.trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0), [2.0, 3.0])
    >>> [(a.source, a.target, float(story.numbers[a.local]), float(story.numbers[a.share])) for a in story.arrows]
    [(4, 5, 10.0, 10.0), (2, 4, 1.0, 10.0), (0, 2, 3.0, 30.0), (1, 2, 2.0, 20.0)]
    """
    if cost is None and len(graph.outputs) == 1 and _is_cost(graph.nodes[graph.outputs[0]]):
        cost = graph.outputs[0]
    elif cost is not None and not _is_cost(graph.nodes[cost]):
        raise DifferentiationError(
            f"back-propagation starts from one floating-point number; {graph.node_names[cost]} is "
            f"{graph.nodes[cost].type}"
        )
    given = tuple(graph.as_input(k, x) for k, x in enumerate(arguments))
    with fresh_recording() as recorder, np.errstate(all="ignore"):
        traced = _forward(recorder, graph, given)
        outputs: dict[int, int] = {}

        def output(x: Any) -> int:
            return outputs.setdefault(recorder.lift(x).index, len(outputs))

        values = tuple([output(t) for t in traced])
        found: dict[int, Any] = {}
        arrows: list[Arrow] = []
        if cost is not None:
            for source, target, operand, share, kind, local in _backward(recorder, graph, traced, cost, found):
                place = None if local is None else output(local)
                arrows.append(Arrow(source, target, operand, output(share), kind, place))
        gradients = tuple([output(found[i]) if i in found else None for i in range(len(traced))])
        leaves = TreeShape(tuple, tuple(range(len(outputs))), (TreeShape(None),) * len(outputs))
        inputs = [traced[i] for i in graph.inputs]
        program = recorder.graph(inputs, [Traced(recorder, i) for i in outputs], graph.input_tree, leaves, graph.name)
        numbers = tuple([np.asarray(recorder.values[i]) for i in outputs])
    return Story(graph, given, cost, values, gradients, tuple(arrows), program, numbers)


def _is_cost(node: Node) -> bool:
    return node.type.size == 1 and node.type.is_float


def _forward(recorder: Recorder, graph: Graph, given: Sequence[np.ndarray]) -> list[Traced]:
    arguments = dict(zip(graph.inputs, given, strict=True))
    traced: list[Any] = []
    for position, node in enumerate(graph.nodes):
        recorder.scope = node.scope
        if position in arguments:
            traced.append(recorder.input(node.type, arguments[position], node.name))
        elif node.primitive is CONSTANT:
            traced.append(recorder.constant(node.params["value"]))
        else:
            traced.append(apply(node.primitive, *[traced[i] for i in node.inputs], **node.params))
    return traced


def _backward(recorder: Recorder, graph: Graph, traced: list[Traced], cost: int, found: dict[int, Any]) -> Any:
    """Back-propagation that stops at every arrow: yields source, target, operand, share, kind, local derivative.

    The gradients are left in ``found``, in the order in which they are complete.
    """
    reached = _depending(graph)
    if cost not in reached:
        return
    found[cost] = recorder.constant(np.ones(traced[cost].shape, traced[cost].dtype))
    for target in sorted(graph.ancestors([cost]) & reached, reverse=True):
        node = graph.nodes[target]
        if target not in found or node.primitive.family == "source":
            continue
        recorder.scope = join_scopes("gradient", node.scope)
        rule = node.primitive.reverse
        for operand, source in enumerate(node.inputs):
            if source not in reached:
                continue
            if isinstance(rule, NoDerivative):
                raise DifferentiationError(f"{node.primitive.name} has no derivative: {rule.reason}")
            inputs = [traced[i] for i in node.inputs]
            share = rule(operand, found[target], traced[target], *inputs, **node.params)
            if share is None:
                continue
            kind, local = _local(recorder, node, operand, traced[target], inputs)
            found[source] = share if source not in found else np.add(found[source], share)
            yield source, target, operand, share, kind, local


def _depending(graph: Graph) -> set[int]:
    """Positions of the floating-point values that depend on a floating-point input."""
    reached = {i for i in graph.inputs if graph.nodes[i].type.is_float}
    for position, node in enumerate(graph.nodes):
        if node.type.is_float and not reached.isdisjoint(node.inputs):
            reached.add(position)
    return reached


def _local(recorder: Recorder, node: Node, operand: int, out: Traced, inputs: Sequence[Any]) -> tuple[str, Any]:
    """The local derivative along an arrow, where it is a number, or a number per element of the output.

    The reverse rule answers: with ones as cotangent, and operands broadcast beforehand, it sums over nothing.
    """
    rule: Any = node.primitive.reverse
    ones = recorder.constant(np.ones(out.shape, out.dtype))
    if node.type.size == 1 and inputs[operand].type.size == 1:
        return NUMBER, rule(operand, ones, out, *inputs, **node.params)
    if node.primitive.lowering == "elementwise":
        wide = [np.broadcast_to(x, out.shape) for x in inputs]
        return ELEMENTWISE, rule(operand, ones, out, *wide, **node.params)
    return PULLED_BACK, None
