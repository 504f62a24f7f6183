"""Complex steps: every primitive that is said to continue does, and gives its own derivative."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.calculus.continuation import complex_slope, continues, hold, node_continues, run_at
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.trace import apply
from chainrule.primitives import stop_gradient

WITHOUT_DERIVATIVE = {"gammainc", "gammaincc", "stdtr"}  # by their first operand


def graphs(primitive: Primitive) -> list:
    """Each sample as a graph, its floating-point inputs, a direction, and the derivative by the forward rule."""
    found = []
    for sample in primitive.samples(np.random.default_rng(0)):
        floats = [k for k, x in enumerate(sample.inputs) if x.dtype.kind == "f"]

        def f(*xs, sample=sample, floats=floats):
            inputs = list(sample.inputs)
            for k, x in zip(floats, xs, strict=True):
                inputs[k] = x
            return apply(primitive, *inputs, **sample.params)

        points = [sample.inputs[k] for k in floats]
        if not floats:
            continue
        directions = [np.cos(np.arange(x.size)).reshape(x.shape) for x in points]
        found.append((cr.trace(f, *points), points, directions, cr.jvp(f, points, directions)[1]))
    return found


def continuing() -> list[Primitive]:
    chosen = []
    cr.trace(np.exp, 1.0)
    for primitive in PRIMITIVES.values():
        if primitive.name in WITHOUT_DERIVATIVE or primitive.family == "source":
            continue
        graph = next((g for g, *_ in graphs(primitive)), None)
        if graph is not None and node_continues(graph.nodes[-1]):
            chosen.append(primitive)
    return chosen


@pytest.mark.parametrize("primitive", continuing(), ids=lambda p: p.name)
def test_complex_step(primitive: Primitive) -> None:
    for graph, points, directions, expected in graphs(primitive):
        assert continues(graph)
        (found,) = complex_slope(graph, points, directions)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_powers_of_negative_bases() -> None:
    graph = cr.trace(lambda x: x**3, np.array([-2.0, 0.0, 1.5]))
    (found,) = complex_slope(graph, [np.array([-2.0, 0.0, 1.5])], [np.ones(3)])
    np.testing.assert_allclose(found, [12.0, 0.0, 6.75], atol=1e-40)


def test_what_does_not_continue_says_so() -> None:
    x = np.array([0.5, -1.0])
    assert not continues(cr.trace(np.abs, x))
    assert not continues(cr.trace(lambda x: x.astype(np.float32), x))
    assert continues(cr.trace(lambda x: np.where(x > 0, np.exp(x), x) * np.floor(x), x))
    assert continues(cr.trace(lambda x: x + np.abs(cr.grad(lambda y: 3.0 * y)(2.0)), x))  # does not depend on x


def test_comparisons_look_at_real_parts() -> None:
    graph = cr.trace(lambda x: np.where(x > 0.0, x**2, 3.0 * x) + np.sign(x) * x, np.array([0.5, -1.0]))
    (found,) = complex_slope(graph, [np.array([0.5, -1.0])], [np.ones(2)])
    np.testing.assert_allclose(found, [2.0, 2.0])


def test_hold() -> None:
    graph = cr.trace(lambda x: x * stop_gradient(np.exp(x)), 2.0)
    held = hold(graph, [np.asarray(2.0)])
    assert run_at(held, [3.0])[0] == pytest.approx(3.0 * np.exp(2.0))
    assert run_at(graph, [3.0])[0] == pytest.approx(3.0 * np.exp(3.0))
    plain = cr.trace(np.exp, 2.0)
    assert hold(plain, [np.asarray(2.0)]) is plain
