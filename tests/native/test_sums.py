"""Long native float32 sums are as good as sums in float64, whatever their loops look like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.calculus import grad
from chainrule.graph.trace import trace
from chainrule.native.compile import compile_graph
from chainrule.native.target import Target


@pytest.mark.parametrize("level", [None, "x86-64", "x86-64-v3"])
@pytest.mark.parametrize("value", [0.1, 3.3e4, -7e-9])
def test_means_of_many_equal_numbers(level, value):
    target = None if level is None else Target.restricted(level)
    if target is not None and not target.runs_here:
        pytest.skip("this machine has no such processor")
    x = np.full((3, 400_000), value, "f")
    for f in (np.mean, lambda x: np.mean(x, 1), lambda x: np.mean(x.T, 0), lambda x: np.sum(x, 1) / x.shape[1]):
        (found,) = compile_graph(trace(f, x), target).run(x)
        np.testing.assert_allclose(found, np.float32(value), rtol=2.5e-7)  # of the sum, and of the division


def test_variances_far_from_zero_and_gradients_of_means():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=300_000) + 1e4).astype("f")
    np.testing.assert_allclose(cr.compile(np.var)(x), np.var(x.astype("d")), rtol=1e-5)
    w, x, y = np.ones(2, "f"), np.full((300_000, 2), 0.1, "f"), np.full(300_000, 0.3, "f")
    found = cr.compile(grad(lambda w, x, y: np.mean((x @ w - y) ** 2)))(w, x, y)
    np.testing.assert_allclose(found, [-0.02, -0.02], rtol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 7, 8, 33, 130, 1023, 1025]), min_size=1, max_size=3).filter(
        lambda shape: 900 < np.prod(shape) < 300_000
    ),
    data=st.data(),
)
def test_sums_over_any_axes(shape, data):
    axes = tuple(data.draw(st.sets(st.sampled_from(range(len(shape))), min_size=1)))
    order = data.draw(st.permutations(range(len(shape))))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a = rng.normal(size=shape).astype("f")
    x = np.moveaxis(a, range(len(shape)), order)
    b = rng.normal(size=x.shape).astype("f")
    axis = tuple(order[k] for k in axes)

    def f(x, b):
        total = np.sum(x * b, axis=axis, keepdims=True)
        return total, np.sum(x - total, axis=axis)

    for found, exact in zip(compile_graph(trace(f, x, b)).run(x, b), f(x.astype("d"), b.astype("d")), strict=True):
        n = np.prod([x.shape[k] for k in axis])
        wide = [np.abs(v).sum(axis=axis, keepdims=found.ndim == x.ndim) for v in (x * b, x)]
        scale = wide[0] if found.ndim == x.ndim else wide[1] + n * np.abs(wide[0]).max()
        assert np.all(np.abs(found - exact) <= 3e-7 * np.maximum(1.0, min(n, 1024) ** 0.5 / 8) * scale)
