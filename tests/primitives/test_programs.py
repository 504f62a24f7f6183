"""Random programs of NumPy calls: eager, run as a graph and traced from shapes they agree, and so do derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp
from analytic import push
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.graph.graph import check
from chainrule.graph.types import ArrayType

Step = Callable[[Any, Any], Any]

#: each takes the value so far and the argument it started from
STEPS: tuple[Step, ...] = (
    lambda x, a: np.tanh(x),
    lambda x, a: x * x[..., ::-1] if x.ndim else x * 2.0,
    lambda x, a: np.exp(-np.square(x)),
    lambda x, a: np.maximum(x, 0.1),
    lambda x, a: np.where(x > 0, x, 0.5 * x),
    lambda x, a: x - np.mean(x, axis=-1, keepdims=True) if x.ndim and x.shape[-1] else x,
    lambda x, a: x.T,
    lambda x, a: np.reshape(x, (-1, 1)) if x.size else x,
    lambda x, a: np.ravel(x),
    lambda x, a: np.sum(x, axis=0) if x.ndim else x,
    lambda x, a: x[None] + np.reshape(x, (1, *x.shape)),
    lambda x, a: np.concatenate([x, -x], axis=-1) if x.ndim else np.stack([x, -x]),
    lambda x, a: x @ np.swapaxes(x, -1, -2) if x.ndim > 1 else x,
    lambda x, a: sp.expit(x) * a if x.shape == a.shape else sp.expit(x),
    lambda x, a: sp.log_softmax(x, axis=-1) if x.ndim and x.shape[-1] else x,
    lambda x, a: np.cumsum(x, axis=-1) if x.ndim else x,
    lambda x, a: np.sort(x, axis=-1) if x.ndim else x,
    lambda x, a: np.einsum("...i,...i->...", x, x) if x.ndim else x * x,
    lambda x, a: np.pad(x, 1),
    lambda x, a: np.take(x, [0, 0, -1], axis=0) if x.ndim and x.shape[0] else x,
    lambda x, a: 1.0 / (1.5 + np.sin(x)),
    lambda x, a: np.broadcast_to(x, (2, *x.shape)),
    lambda x, a: np.clip(x, -0.7, 0.9) ** 3,
    lambda x, a: x / (1.0 + np.abs(a).sum()),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
)
def test_random_program(shape: tuple[int, ...], steps: list[Step], seed: int) -> None:
    def f(a: Any) -> Any:
        x = a
        for step in steps:
            if x.size < 2000:
                x = step(x, a)
        return x

    rng = np.random.default_rng(seed)
    a = np.asarray(rng.normal(size=shape))
    expected = np.asarray(f(a))
    eager, blind = cr.trace(f, a), check(cr.trace(f, ArrayType.of(a)))
    assert str(eager) == str(blind)
    for graph in (eager, blind):
        found = np.asarray(graph(a))
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    direction = rng.normal(size=shape)
    (slope,) = push(eager, [a], [direction])
    np.testing.assert_allclose(cr.jvp(f, (a,), (direction,))[1], slope, rtol=1e-8, atol=1e-10)
    value, pullback = cr.vjp(f, a)
    weights = rng.normal(size=value.shape)
    pulled, pushed = np.sum(pullback(weights)[0] * direction), np.sum(weights * slope)
    assert abs(pulled - pushed) <= 1e-9 * (1.0 + np.sum(np.abs(weights * slope)))


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    name=st.sampled_from(["sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "ptp"]),
    data=st.data(),
)
def test_reductions_over_any_axes(shape: tuple[int, ...], name: str, data: st.DataObject) -> None:
    axes = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | st.sets(st.integers(0, len(shape) - 1)))
    axes = tuple(k - len(shape) if data.draw(st.booleans()) else k for k in axes) if isinstance(axes, set) else axes
    options: dict[str, Any] = {"axis": axes, "keepdims": data.draw(st.booleans())}
    x = np.random.default_rng(len(shape)).normal(size=shape)
    reduced = x.size // np.asarray(np.sum(x, axis=axes)).size
    if name in ("var", "std"):
        options["ddof"] = data.draw(st.integers(0, max(reduced - 1, 0)))
    graph = cr.trace(lambda x: getattr(np, name)(x, **options), ArrayType.of(x))
    found, expected = np.asarray(graph(x)), np.asarray(getattr(np, name)(x, **options))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
