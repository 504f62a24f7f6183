"""The native epoch against the NumPy epoch."""

import platform
import threading

import numpy as np
import pytest

from chainrule.calculus import value_and_grad
from chainrule.errors import GraphError
from chainrule.graph.trace import trace
from chainrule.learn.loop import NumpyEpoch
from chainrule.native.loop import compile_loop
from chainrule.native.steps import LibraryStep


def network_step(batch, dtype, n_inputs=5, hidden=9):
    """One step of Adam on a small network with dropout, written by hand: (graph, carry, hyper)."""
    from chainrule.primitives.random import uniform

    sizes = ((n_inputs, hidden), (hidden,), (hidden, 1))
    cuts = np.cumsum([0, *(int(np.prod(s)) for s in sizes)])

    def step(theta, m, v, t, rate, keep, x, y, w):
        def loss(theta):
            w1, b1, w2 = (theta[a:b].reshape(s) for a, b, s in zip(cuts[:-1], cuts[1:], sizes, strict=True))
            h = np.tanh(x @ w1 + b1)
            h = np.where(uniform(t.astype(np.uint64), h.shape, dtype) < keep, h / keep, 0.0)
            return np.sum(w * np.square((h @ w2)[:, 0] - y)) / np.maximum(np.sum(w), 1.0)

        value, g = value_and_grad(loss)(theta)
        m, v, t = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * np.square(g), t + 1
        return theta - rate * m / (np.sqrt(v) + 1e-6), m, v, t, value * np.sum(w), np.sum(w)

    rng = np.random.default_rng(3)
    n = int(cuts[-1])
    theta = rng.normal(size=n).astype(dtype) * 0.5
    carry = [theta, np.zeros(n, dtype), np.zeros(n, dtype), np.asarray(0, np.int64)]
    hyper = [np.asarray(0.01, dtype), np.asarray(0.8, dtype)]
    rows = [np.zeros((batch, n_inputs), dtype), np.zeros(batch, dtype), np.zeros(batch, dtype)]
    return trace(step, *carry, *hyper, *rows), carry, hyper


def data(n, dtype, n_inputs=5):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, n_inputs)).astype(dtype)
    return [x, np.sin(x[:, 0]).astype(dtype), rng.uniform(0.5, 1.5, size=n).astype(dtype)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "batch"), [(64, 16), (50, 16), (7, 16), (5, 1), (0, 4)])
def test_agrees_with_the_numpy_epoch(n, batch, dtype):
    graph, carry, hyper = network_step(batch, dtype)
    rows = data(n, dtype)
    order = np.random.default_rng(5).permutation(n)
    before = [a.copy() for a in carry]
    native = compile_loop(graph, 4, 2, batch)
    got, sums = native(carry, hyper, rows, order)
    want, expected = NumpyEpoch(graph, 4, 2, batch)(carry, hyper, rows, order)
    tolerance = 2e-3 if dtype == "float32" else 1e-10
    for a, b, c, d in zip(got, want, carry, before, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * 0.1)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(c, d)  # not modified
    np.testing.assert_allclose(sums, expected, rtol=tolerance)
    assert sums.dtype == np.float64


def test_orders_of_any_kind():
    graph, carry, hyper = network_step(4, "float64")
    native, reference = compile_loop(graph, 4, 2, 4), NumpyEpoch(graph, 4, 2, 4)
    for order in ([3, 3, 0], np.array([5, 1, 2, 0, 4], np.int32), range(2, 6)):
        got, _ = native(carry, hyper, data(6, "float64"), np.asarray(order))
        want, _ = reference(carry, hyper, data(6, "float64"), np.asarray(order))
        np.testing.assert_allclose(got[0], want[0], rtol=1e-12)


def test_new_hyper_parameters_compile_nothing():
    graph, carry, hyper = network_step(4, "float64")
    native, reference = compile_loop(graph, 4, 2, 4), NumpyEpoch(graph, 4, 2, 4)
    rows, order = data(8, "float64"), np.arange(8)
    for rate in (0.0, 0.1, 1.0):
        got, _ = native(carry, [rate, hyper[1]], rows, order)
        np.testing.assert_allclose(got[0], reference(carry, [rate, hyper[1]], rows, order)[0][0], rtol=1e-9)


def test_same_bits_every_time_and_epochs_continue():
    graph, carry, hyper = network_step(8, "float32")
    native = compile_loop(graph, 4, 2, 8)
    rows, order = data(40, "float32"), np.random.default_rng(0).permutation(40)
    once, _ = native(carry, hyper, rows, order)
    half, _ = native(carry, hyper, rows, order[:16])
    whole, _ = native(half, hyper, rows, order[16:])
    for a, b in zip(once, whole, strict=True):
        assert a.tobytes() == b.tobytes()


def test_several_threads_share_one_loop():
    graph, carry, hyper = network_step(8, "float32")
    native = compile_loop(graph, 4, 2, 8)
    rows = data(200, "float32")
    orders = [np.random.default_rng(k).permutation(200) for k in range(6)]
    expected = [native(carry, hyper, rows, o)[0][0].tobytes() for o in orders]
    found = {}

    def work(k):
        found[k] = [native(carry, hyper, rows, orders[k])[0][0].tobytes() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(set(found[k]) == {expected[k]} for k in range(6))


def test_wrong_arguments_are_named():
    graph, carry, hyper = network_step(4, "float64")
    native = compile_loop(graph, 4, 2, 4)
    rows = data(8, "float64")
    with pytest.raises(GraphError, match="rows outside 0 … 7"):
        native(carry, hyper, rows, np.array([0, 8]))
    with pytest.raises(GraphError, match="rows outside"):
        native(carry, hyper, rows, np.array([-1]))
    with pytest.raises(GraphError, match=r"x must have shape \(8, 5\), got \(8, 4\)"):
        native(carry, hyper, [rows[0][:, :4], *rows[1:]], np.arange(8))
    with pytest.raises(GraphError, match=r"theta must have shape \(63,\), got \(62,\)"):
        native([carry[0][1:], *carry[1:]], hyper, rows, np.arange(8))
    with pytest.raises(GraphError, match=r"x is float64\[4,5\]; expected 5 rows"):
        compile_loop(graph, 4, 2, 5)
    with pytest.raises(GraphError, match="must be scalars"):
        compile_loop(graph, 2, 4, 4)


def test_library_calls_inside_the_loop():
    def step(a, x):
        return a + np.linalg.inv(a + 9.0 * np.eye(3)) @ np.ones((3, 3)) * x.sum(), x.sum()

    graph = trace(step, np.eye(3), np.ones((2, 1)))
    rows = [np.arange(6.0).reshape(6, 1)]
    got, sums = compile_loop(graph, 1, 0, 2)([np.eye(3)], [], rows, np.arange(6))
    want, expected = NumpyEpoch(graph, 1, 0, 2)([np.eye(3)], [], rows, np.arange(6))
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
    np.testing.assert_allclose(sums, expected)
    singular = trace(lambda a, x: (np.linalg.inv(a), x.sum()), np.eye(3), np.ones((2, 1)))
    with pytest.raises(np.linalg.LinAlgError):
        compile_loop(singular, 1, 0, 2)([np.zeros((3, 3))], [], rows, np.arange(6))


def test_the_table_may_change_between_epochs_and_is_not_kept_alive():
    import gc
    import weakref

    graph, carry, hyper = network_step(4, "float64")
    native, reference = compile_loop(graph, 4, 2, 4), NumpyEpoch(graph, 4, 2, 4)
    rows = data(8, "float64")
    for _ in range(3):
        rows[0][...] += 0.5  # in place
        got, _ = native(carry, hyper, rows, np.arange(8))
        np.testing.assert_allclose(got[0], reference(carry, hyper, rows, np.arange(8))[0][0], rtol=1e-9)
    for n in (6, 9):
        others = data(n, "float64")
        got, _ = native(carry, hyper, others, np.arange(n))
        np.testing.assert_allclose(got[0], reference(carry, hyper, others, np.arange(n))[0][0], rtol=1e-9)
    got, _ = native(carry, hyper, [a.astype(np.float32) for a in others], np.arange(9))  # converted
    np.testing.assert_allclose(got[0], reference(carry, hyper, others, np.arange(9))[0][0], rtol=1e-5)
    watched = weakref.ref(others[0])
    del others
    gc.collect()
    assert watched() is None


@pytest.mark.parametrize(("n", "batch"), [(64, 16), (50, 16), (5, 1)])
def test_several_epochs_in_one_call_have_the_bits_of_one_after_the_other(n, batch, monkeypatch):
    graph, carry, hyper = network_step(batch, "float32")
    rows, native = data(n, "float32"), compile_loop(graph, 4, 2, batch)
    orders = [np.random.default_rng(k).permutation(n) for k in range(7)]
    want, current = [], carry
    for order in orders:
        current, sums = native(current, hyper, rows, order)
        want.append((current, sums))
    calls = []
    monkeypatch.setattr(native, "_function", lambda *given: calls.append(given))
    got = list(native.several(carry, hyper, rows, iter(orders)))
    assert not calls  # all of them in the one call
    for (a, first), (b, second) in zip(got, want, strict=True):
        assert [v.tobytes() for v in a] == [v.tobytes() for v in b]
        assert [v.shape for v in a] == [v.shape for v in b]
        assert first.tobytes() == second.tobytes()
    with pytest.raises(GraphError, match="outside"):
        list(native.several(carry, hyper, rows, [orders[0], orders[1] + 1]))
    assert list(native.several(carry, hyper, rows, [])) == []


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the mode is x86's")
def test_numbers_below_the_normal_ones_are_zero_within_an_epoch_and_nowhere_else():
    tiny = np.full(3, np.finfo(np.float32).tiny)

    def step(theta, decay, x):
        return theta * decay, np.sum(np.sort(x, axis=1))  # the sort is NumPy's, in between

    graph = trace(step, tiny, np.float32(0.5), np.zeros((1, 2), np.float32))
    native = compile_loop(graph, 1, 1, 1)
    assert any(isinstance(s, LibraryStep) for s in native.program.steps)
    rows = [np.ones((2, 2), np.float32)]
    (theta,), _ = native([tiny], [np.float32(0.5)], rows, np.arange(2))
    np.testing.assert_array_equal(theta, 0.0)
    assert (tiny * np.float32(0.5) > 0).all()
    (theta,), _ = native([tiny], [np.float32(0.5)], rows, np.arange(0))
    np.testing.assert_array_equal(theta, tiny)
