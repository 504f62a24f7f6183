"""Back-propagation through every node, against the gradient by a change of that node's value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.calculus.backprop import backpropagate
from chainrule.errors import DifferentiationError, GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import walk
from programs import Program, programs


def cost_with(graph: Graph, inputs: Any, position: int, value: Any) -> float:
    """The output when a node has another value than its inputs give it."""
    values: list[Any] = []
    given = dict(zip(graph.inputs, inputs, strict=True))
    for k, node in enumerate(graph.nodes):
        if k == position:
            values.append(value)
        elif k in given:
            values.append(given[k])
        else:
            values.append(node.primitive.numpy(*[values[i] for i in node.inputs], **node.params))
    return float(values[graph.outputs[0]])


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(programs())
def test_gradient_of_every_node(program: Program) -> None:
    inputs = program.inputs()
    graph = cr.trace(lambda *xs: sum(np.sum(np.sin(y)) for y in program(*xs)), *inputs)
    passed = backpropagate(graph, inputs)
    rng = np.random.default_rng(0)
    for position, value in walk(graph, inputs):
        np.testing.assert_array_equal(passed.values[position], value)
        gradient = passed.gradients[position]
        if gradient is None:
            continue
        direction = rng.normal(size=gradient.shape)
        ahead, behind = (cost_with(graph, inputs, position, value + h * direction) for h in (1e-5, -1e-5))
        size = 1.0 + float(np.sum(np.abs(gradient * direction)))
        assert abs((ahead - behind) / 2e-5 - np.sum(gradient * direction)) <= 1e-6 * size, f"{graph}\n{position}"
    by_inputs = cr.grad(lambda *xs: sum(np.sum(np.sin(y)) for y in program(*xs)), tuple(range(len(inputs))))(*inputs)
    for i, expected in zip(graph.inputs, by_inputs, strict=True):
        found = passed.gradients[i]
        np.testing.assert_allclose(
            np.zeros_like(expected) if found is None else found, expected, rtol=1e-12, atol=1e-14
        )


def test_what_has_no_gradient_has_none() -> None:
    graph = cr.trace(lambda x, n: np.sum(np.where(x > 0.0, x, n * 1.0)) + 0.0 * np.sum(np.floor(x)), np.ones(2), 3)
    passed = backpropagate(graph, [np.ones(2), 3])
    by_kind = {node.primitive.name: g for node, g in zip(graph.nodes, passed.gradients, strict=True)}
    assert by_kind["greater"] is None
    assert passed.gradients[1] is None
    np.testing.assert_array_equal(passed.gradients[0], [1.0, 1.0])


def test_refusals() -> None:
    with pytest.raises(DifferentiationError, match=r"one floating-point number, f gives float64\[2\]"):
        backpropagate(cr.trace(np.exp, np.ones(2), name="f"), [np.ones(2)])
    with pytest.raises(GraphError, match="shape"):
        backpropagate(cr.trace(np.sum, np.ones(2)), [np.ones(3)])
