"""Check the rules of every operation of a graph, each by itself, on the values it is recorded with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.calculus.continuation import REMAINDER, STEP, node_continues, piecewise_constant, run_node
from chainrule.calculus.differences import Slopes, exact, slopes
from chainrule.calculus.report import Comparison, Comparisons, Operation
from chainrule.errors import DifferentiationError
from chainrule.graph.graph import Graph, Node
from chainrule.graph.interpret import walk
from chainrule.graph.primitive import NoDerivative
from chainrule.graph.trace import apply, fresh_recording
from chainrule.graph.types import ArrayType


def check_operations(
    graph: Graph, arguments: Sequence[np.ndarray], rtol: float, rng: np.random.Generator
) -> list[Operation]:
    """Compare each operation's reverse and forward rule with differences of its values.

    One random direction of every operand and one random weighting of the result are used: a wrong rule is right there
    with probability zero. All their numbers are positive, so that where many elements are at kinks of a convex
    operation, such as ``maximum``, the sum of their sub-gradients lies between the one-sided derivatives too.

    Parameters
    ----------
    graph : Graph
    arguments : sequence of arrays
        Flat, float64.
    rtol : float
    rng : numpy.random.Generator
    """
    with np.errstate(all="ignore"):
        values = dict(walk(graph, arguments))
    depends = set(graph.inputs)
    found = []
    for position, node in enumerate(graph.nodes):
        operands = [k for k, i in enumerate(node.inputs) if i in depends]
        if not operands or not node.type.is_float:
            continue
        depends.add(position)
        if node.primitive.name == "stop_gradient":  # zero by definition, whatever differences say
            continue
        check = _Check(node, [np.asarray(values[i]) for i in node.inputs], rtol, rng)
        for k in operands:
            for rule, comparison in check.operand(k):
                name = graph.node_names[position]
                found.append(Operation(node.primitive.name, name, position, k + 1, rule, comparison))
    return found


def switches(graph: Graph) -> bool:
    """Whether something piecewise constant depends on the inputs, such as a comparison or the order of elements."""
    depends = set(graph.inputs)
    for position, node in enumerate(graph.nodes):
        if not depends.isdisjoint(node.inputs):
            if piecewise_constant(node) and node.primitive.name != "stop_gradient":
                return True
            depends.add(position)
    return False


class _Check:
    """One operation on its inputs' values, its result weighted by random numbers and summed."""

    def __init__(self, node: Node, inputs: list[np.ndarray], rtol: float, rng: np.random.Generator) -> None:
        self.node = node
        self.inputs = inputs
        self.rtol = rtol
        self.rng = rng
        self.weights = _positive(rng, node.shape).astype(node.dtype)
        self.precision = float(np.finfo(node.dtype).eps)

    def operand(self, k: int) -> list[tuple[str, Comparison]]:
        """Both rules by one operand, along a random direction in units of its elements' own size."""
        x = self.inputs[k]
        size = np.where(np.isfinite(x), np.where(x == 0.0, 1.0, np.abs(x)), 0.0)
        direction = (size * _positive(self.rng, x.shape)).astype(x.dtype)
        try:
            with np.errstate(all="ignore"):
                slopes_by_rule = self.slopes(k, direction)
                natural = np.linalg.norm(np.ravel(self.weights * self.value(self.inputs)))
        except DifferentiationError:  # of something no gradient flows through, else the gradient would have failed
            return []
        expected = np.array([[slope] for slope in slopes_by_rule.values()])
        with np.errstate(all="ignore"):
            floor = 1e-3 * np.nan_to_num(natural, posinf=0.0)
            tolerance = self.rtol * (np.nan_to_num(np.abs(expected), posinf=0.0) + floor) + REMAINDER
        found = self.numeric(k, direction, expected, tolerance)
        judged = Comparisons(expected, found, tolerance)
        return [(rule, judged.at(n)) for n, rule in enumerate(slopes_by_rule)]

    def slopes(self, k: int, direction: np.ndarray) -> dict[str, float]:
        """What the two rules say."""
        primitive, params = self.node.primitive, self.node.params
        if isinstance(primitive.reverse, NoDerivative) or isinstance(primitive.forward, NoDerivative):
            raise DifferentiationError(f"{primitive.name} has no derivative")
        with fresh_recording() as recorder:
            traced = [recorder.input(ArrayType.of(x), x) for x in self.inputs]
            out = apply(primitive, *traced, **params)
            cotangent = primitive.reverse(k, recorder.constant(self.weights), out, *traced, **params)
            tangents = tuple([recorder.constant(direction) if j == k else None for j in range(len(traced))])
            tangent = primitive.forward(tangents, out, *traced, **params)
            return {"reverse": _inner(cotangent, direction), "forward": _inner(tangent, self.weights)}

    def numeric(self, k: int, direction: np.ndarray, expected: np.ndarray, tolerance: np.ndarray) -> Slopes:
        """The same by a complex step, or by differences."""
        moved = list(self.inputs)
        if node_continues(self.node) and np.isfinite(expected).all():
            moved[k] = moved[k] + 1j * STEP * direction
            with np.errstate(all="ignore"):
                value = np.sum(np.imag(run_node(self.node, moved)) / STEP * self.weights)
            return exact(np.full(expected.shape, value))

        def line(_: int, t: float) -> np.ndarray:
            moved[k] = self.inputs[k] + t * direction
            try:
                with np.errstate(all="ignore"):
                    return np.full(1, np.sum(self.weights * self.value(moved), dtype=np.float64))
            except np.linalg.LinAlgError:
                return np.full(1, np.nan)

        return slopes(line, np.ones(len(expected)), expected, tolerance, self.precision)

    def value(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(self.node.primitive.numpy(*inputs, **self.node.params))


def _positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.uniform(0.5, 1.0, shape))


def _inner(traced: Any, array: np.ndarray) -> float:
    return 0.0 if traced is None else float(np.sum(traced.value * array, dtype=np.float64))
