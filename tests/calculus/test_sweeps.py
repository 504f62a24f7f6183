"""The two traversals: what they visit, what they cost, what they refuse."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.calculus.sweeps import backward, backward_all, forward
from chainrule.errors import DifferentiationError
from chainrule.graph.trace import Recorder, Traced, apply, recording
from chainrule.graph.types import ArrayType
from chainrule.primitives import special


def start(recorder: Recorder, value: float) -> Traced:
    return recorder.input(ArrayType((), np.dtype(float)), np.asarray(value))


def test_gradient_of_every_node() -> None:
    """Goodfellow et al. 2016, §6.5: u = wx, v = u + b, z = v²: z̄ = 1, v̄ = 2v, ū = 2v, w̄ = 2vx, b̄ = 2v."""
    with recording() as recorder:
        w, x, b = (start(recorder, v) for v in (2.0, 3.0, -1.0))
        u = w * x
        v = u + b
        z = np.square(v)
        found = backward_all(recorder, [z], [recorder.constant(1.0)], [w, b])
        gradients = {t.index: found[t.index].value.item() for t in (z, v, u, w, b)}
    assert gradients == {z.index: 1.0, v.index: 10.0, u.index: 10.0, w.index: 30.0, b.index: 10.0}
    assert x.index not in found


def test_variables_cut_the_graph() -> None:
    with recording() as recorder:
        x = start(recorder, 2.0)
        h = x * 3.0
        y = h * x
        seed = [recorder.constant(1.0)]
        by_x, by_h = backward(recorder, [y], seed, [x, h])
        assert (by_x.value, by_h.value) == (6.0, 2.0)  # partial derivatives, h being a variable of its own
        (total,) = backward(recorder, [y], seed, [x])
        assert total.value == 12.0
        (tangent,) = forward(recorder, [x, h], [recorder.constant(1.0), None], [y])
        assert tangent.value == 6.0
        assert backward(recorder, [x], seed, [x])[0].value == 1.0
        assert backward(recorder, [x], [None], [x]) == [None]
        assert backward(recorder, [x], seed, [h]) == [None]
        assert forward(recorder, [h], seed, [x]) == [None]


def test_only_the_path_is_visited() -> None:
    """A node without a derivative is in nobody's way unless it lies on the path."""
    with recording() as recorder:
        a, x = start(recorder, 2.0), start(recorder, 1.5)
        side = apply(special.GAMMAINC, a, x)
        y = np.exp(a)
        one = recorder.constant(1.0)
        before = len(recorder.nodes)
        assert backward(recorder, [y], [one], [a])[0].value == pytest.approx(np.exp(2.0))
        assert len(recorder.nodes) == before + 1
        assert backward(recorder, [side], [one], [x])[0] is not None
        with pytest.raises(DifferentiationError, match="gammainc has no derivative by operand 1"):
            backward(recorder, [side], [one], [a])
        with pytest.raises(DifferentiationError, match="gammainc has no derivative by operand 1"):
            forward(recorder, [a], [one], [side])


def test_through_integers_goes_nothing() -> None:
    with recording() as recorder:
        x = start(recorder, 2.5)
        y = x.astype(int) * 2.0 + np.floor(x)
        assert backward(recorder, [y], [recorder.constant(1.0)], [x]) == [None]
        assert forward(recorder, [x], [recorder.constant(1.0)], [y])[0] is None


def calls(f: Any, *args: Any) -> int:
    """How many Python functions run: a cost that does not depend on what else the machine does."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    f(*args)
    sys.setprofile(profile)
    try:
        f(*args)
    finally:
        sys.setprofile(None)
    return count


def chain(n: int) -> Any:
    def f(x: Any) -> Any:
        for _ in range(n):
            x = np.sin(x)
        return x

    return f


def descent(n: int) -> Any:
    def f(x: Any) -> Any:
        for _ in range(n):
            x = x - 0.1 * cr.grad(np.square)(x)
        return x

    return f


@pytest.mark.parametrize("f", [chain, descent], ids=["one long gradient", "many gradients in one recording"])
def test_cost_is_linear(f: Any) -> None:
    """Eight times the nodes must not cost much more than eight times the work; quadratic would be 64."""
    small, large = calls(cr.grad(f(150)), 0.3), calls(cr.grad(f(1200)), 0.3)
    assert large < 9 * small


def test_ten_thousand_nodes_twice() -> None:
    f = chain(10_000)
    assert cr.grad(cr.grad(f))(0.3) == pytest.approx((cr.grad(f)(0.3 + 1e-5) - cr.grad(f)(0.3 - 1e-5)) / 2e-5, rel=1e-4)
