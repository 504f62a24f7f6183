"""Every public transformation against analytic results and the laws of calculus."""

from __future__ import annotations

import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DifferentiationError, GraphError, TraceError
from chainrule.graph.trace import _ACTIVE, label, trace
from chainrule.graph.types import ArrayType
from chainrule.primitives import stop_gradient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
V = RNG.normal(size=4)


def assert_tree_close(found: Any, expected: Any, **tolerance: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_tree_close(found[key], expected[key], **tolerance)
    elif isinstance(expected, (tuple, list)):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_tree_close(one, other, **tolerance)
    else:
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(found, expected, **({"rtol": 1e-12, "atol": 1e-14} | tolerance))


# -- analytic results


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (np.sin, np.cos),
        (lambda x: x**3, lambda x: 3 * x**2),
        (lambda x: 1.0 / (1.0 + np.exp(-x)), lambda x: np.exp(-x) / (1.0 + np.exp(-x)) ** 2),
        (lambda x: np.log(x) * x, lambda x: np.log(x) + 1.0),
        (lambda x: x**x, lambda x: x**x * (np.log(x) + 1.0)),
        (lambda x: np.sqrt(x + np.sqrt(x)), lambda x: (1 + 0.5 / np.sqrt(x)) / (2 * np.sqrt(x + np.sqrt(x)))),
    ],
)
def test_scalar_derivatives(f: Any, derivative: Any) -> None:
    for x in (0.3, 1.0, 2.5):
        assert cr.grad(f)(x) == pytest.approx(derivative(x), rel=1e-13)
        assert cr.jvp(f, (x,), (1.0,))[1] == pytest.approx(derivative(x), rel=1e-13)
        assert cr.jacobian(f)(x) == pytest.approx(derivative(x), rel=1e-13)
        value, pullback = cr.vjp(f, x)
        assert value == pytest.approx(f(x), rel=1e-15)
        assert pullback(2.0)[0] == pytest.approx(2.0 * derivative(x), rel=1e-13)


def test_linear_regression_and_logistic_regression() -> None:
    """SPEC row 6: ∇NLL = −Σ (y − σ(θᵀx)) x; and ∇½‖Xθ − y‖² = Xᵀ(Xθ − y) (Goodfellow et al. 2016, §5.1.4)."""
    theta, y = RNG.normal(size=4), np.array([0.0, 1.0, 1.0])
    residual = X @ theta - y
    np.testing.assert_allclose(cr.grad(lambda t: 0.5 * np.sum((X @ t - y) ** 2))(theta), X.T @ residual, rtol=1e-12)

    def nll(t: Any) -> Any:
        z = X @ t
        return np.sum(np.logaddexp(0.0, z) - y * z)

    sigma = 1.0 / (1.0 + np.exp(-X @ theta))
    np.testing.assert_allclose(cr.grad(nll)(theta), -(y - sigma) @ X, rtol=1e-12)
    np.testing.assert_allclose(cr.hessian(nll)(theta), X.T @ np.diag(sigma * (1 - sigma)) @ X, rtol=1e-12)


def test_quadratic_form() -> None:
    a = RNG.normal(size=(4, 4))
    f = lambda x: 0.5 * x @ a @ x  # noqa: E731
    np.testing.assert_allclose(cr.grad(f)(V), 0.5 * (a + a.T) @ V, rtol=1e-12)
    np.testing.assert_allclose(cr.hessian(f)(V), 0.5 * (a + a.T), rtol=1e-12)
    np.testing.assert_allclose(cr.hvp(f, V, X[0]), 0.5 * (a + a.T) @ X[0], rtol=1e-12)


def test_log_determinant_and_trace() -> None:
    """∂ log det A / ∂A = A⁻ᵀ; ∂ tr(AB) / ∂A = Bᵀ (Petersen & Pedersen 2012, eqs. 57 and 100)."""
    a = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
    b = RNG.normal(size=(4, 4))
    np.testing.assert_allclose(cr.grad(lambda a: np.linalg.slogdet(a)[1])(a), np.linalg.inv(a).T, rtol=1e-11)
    np.testing.assert_allclose(cr.grad(lambda a: np.trace(a @ b))(a), b.T, rtol=1e-12)


# -- higher orders


def test_fifth_derivatives() -> None:
    f: Any = lambda x: np.exp(2.0 * x)  # noqa: E731
    for order in range(1, 6):
        f = cr.grad(f)
        assert f(0.3) == pytest.approx(2.0**order * np.exp(0.6), rel=1e-13)


@pytest.mark.parametrize("outer", ["reverse", "forward"])
@pytest.mark.parametrize("middle", ["reverse", "forward"])
@pytest.mark.parametrize("inner", ["reverse", "forward"])
def test_every_mode_over_every_mode(outer: str, middle: str, inner: str) -> None:
    def derive(f: Any, mode: str) -> Any:
        return cr.grad(f) if mode == "reverse" else lambda x: cr.jvp(f, (x,), (1.0,))[1]

    f = derive(derive(derive(np.sin, inner), middle), outer)
    assert f(0.7) == pytest.approx(-np.cos(0.7), rel=1e-13)


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_hessian_four_ways() -> None:
    by_hand = np.zeros((4, 4))
    for i in range(3):
        by_hand[i, i] += 1200 * V[i] ** 2 - 400 * V[i + 1] + 2
        by_hand[i, i + 1] = by_hand[i + 1, i] = -400 * V[i]
        by_hand[i + 1, i + 1] += 200
    units = np.eye(4)
    for found in (
        cr.hessian(rosenbrock)(V),
        cr.jacobian(cr.jacobian(rosenbrock))(V),
        np.stack([cr.hvp(rosenbrock, V, e) for e in units]),
        np.stack([cr.vjp(cr.grad(rosenbrock), V)[1](e)[0] for e in units]),
        np.stack([cr.grad(lambda x, e=e: np.sum(cr.grad(rosenbrock)(x) * e))(V) for e in units]),
    ):
        np.testing.assert_allclose(found, by_hand, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found, found.T, rtol=1e-10, atol=1e-10)


def test_third_order_tensor_is_symmetric() -> None:
    third = cr.jacobian(cr.hessian(lambda x: np.sum(np.sin(x)) * np.prod(x)))(V[:3])
    assert third.shape == (3, 3, 3)
    for axes in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        np.testing.assert_allclose(third, third.transpose(axes), rtol=1e-11, atol=1e-12)


# -- laws


def curved(x: Any) -> Any:
    return np.stack([np.sum(np.sin(x) * V), np.prod(x[0]), np.max(x) * x[1, 2]])


def test_pullback_and_pushforward_are_adjoint() -> None:
    t, u = RNG.normal(size=X.shape), RNG.normal(size=3)
    value, tangent = cr.jvp(curved, (X,), (t,))
    again, pullback = cr.vjp(curved, X)
    np.testing.assert_array_equal(value, again)
    np.testing.assert_allclose(np.sum(pullback(u)[0] * t), u @ tangent, rtol=1e-12)


def test_linear_in_tangents_and_cotangents() -> None:
    t, s = RNG.normal(size=(2, *X.shape))
    push = lambda d: cr.jvp(curved, (X,), (d,))[1]  # noqa: E731
    np.testing.assert_allclose(push(2 * t - 3 * s), 2 * push(t) - 3 * push(s), rtol=1e-11, atol=1e-12)
    pull = cr.vjp(curved, X)[1]
    u, w = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(pull(2 * u - 3 * w)[0], 2 * pull(u)[0] - 3 * pull(w)[0], rtol=1e-11, atol=1e-12)


def test_jacobian_both_ways_and_chain_rule() -> None:
    wide, narrow = (lambda x: np.outer(x, x) @ V), (lambda y: np.stack([np.sum(y**2), y[0] * y[1]]))
    inner, outer = cr.jacobian(wide)(V), cr.jacobian(narrow)(wide(V))  # forward mode, reverse mode
    np.testing.assert_allclose(inner, np.outer(V, V) + V @ V * np.eye(4), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(cr.jacobian(lambda x: narrow(wide(x)))(V), outer @ inner, rtol=1e-11)


def test_linear_in_the_function() -> None:
    f, g = np.sin, np.exp
    combined = cr.grad(lambda x: np.sum(2 * f(x) - 3 * g(x)))(V)
    np.testing.assert_allclose(combined, 2 * np.cos(V) - 3 * np.exp(V), rtol=1e-13)


# -- arguments and results


def test_what_comes_out() -> None:
    """Numbers are NumPy scalars, arrays are the caller's own; dtypes are the arguments'."""
    assert type(cr.grad(np.sin)(0.0)) is np.float64
    assert type(cr.grad(np.sin)(np.float32(0.0))) is np.float32
    assert type(cr.hessian(np.sin)(0.0)) is np.float64
    assert all(type(part) is np.float64 for part in cr.value_and_grad(np.sin)(0.0))
    g = cr.grad(np.sum)(X)
    g[0, 0] = 7.0
    np.testing.assert_array_equal(cr.grad(np.sum)(X), np.ones(X.shape))
    identity = cr.vjp(lambda x: x, X)[0]
    identity[0, 0] = 100.0
    assert X[0, 0] != 100.0


def test_nested_arguments_and_results() -> None:
    pair = namedtuple("pair", ["left", "right"])
    p = {"w": [X, 2.0], "b": pair(V, None)}

    def f(p: Any, scale: float = 1.0) -> Any:
        return scale * p["w"][1] * np.sum(p["w"][0] @ p["b"].left)

    found = cr.grad(f)(p, scale=3.0)
    assert_tree_close(found["w"], [np.broadcast_to(6.0 * V, (3, 4)), 3.0 * np.sum(X @ V)])
    assert isinstance(found["b"], pair)
    assert found["b"].right is None
    np.testing.assert_allclose(found["b"].left, 6.0 * np.sum(X, axis=0))


def test_jacobian_of_containers() -> None:
    f = lambda a, b: {"sum": a + b["k"], "product": (a * b["k"], np.sum(a))}  # noqa: E731
    a, b = np.array([1.0, 2.0]), {"k": 3.0}
    j = cr.jacobian(f, argnums=(0, 1))(a, b)
    assert_tree_close(j["sum"], (np.eye(2), {"k": np.ones(2)}))
    assert_tree_close(j["product"], ((3 * np.eye(2), {"k": a}), (np.ones(2), {"k": 0.0})))


def test_argnums() -> None:
    f = lambda x, y, z: x * y**2 * z**3  # noqa: E731
    args = 2.0, 3.0, 5.0
    assert cr.grad(f)(*args) == pytest.approx(9 * 125)
    assert cr.grad(f, 2)(*args) == cr.grad(f, -1)(*args) == pytest.approx(18 * 75)
    assert cr.grad(f, np.int64(1))(*args) == pytest.approx(2 * 6 * 125)
    assert_tree_close(cr.grad(f, [2, 0])(*args), (18.0 * 75, 9.0 * 125))
    assert_tree_close(cr.grad(f, (1,))(*args), (2.0 * 6 * 125,))
    assert_tree_close(cr.hessian(f, (0, 1))(*args), ((0.0, 6.0 * 125), (6.0 * 125, 4.0 * 125)))
    for wrong in (3, -4, "x", (0, 3), 1.0):
        with pytest.raises(DifferentiationError, match="3 positional arguments"):
            cr.grad(f, wrong)(*args)
    with pytest.raises(DifferentiationError, match="twice"):
        cr.grad(f, (0, -3))(*args)


def test_integers_and_keywords() -> None:
    assert cr.grad(lambda x: x**3)(2) == 12.0
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(x * x))(np.array([1, 2])), [2.0, 4.0])
    assert cr.grad(lambda x: x[0] * x[1])([2, 3]) == [3.0, 2.0]  # a list is a container
    np.testing.assert_array_equal(cr.grad(np.sum)(np.array([True, False])), [1.0, 1.0])
    labels = np.array([2, 0])
    found = cr.grad(lambda x, labels, *, scale: scale * np.sum(x[labels]))(V, labels, scale=2.0)
    np.testing.assert_array_equal(found, [2.0, 0.0, 2.0, 0.0])


def test_no_dependence_is_zero() -> None:
    f = lambda x, y: {"a": y * 2.0, "b": 1.5, "c": x > 0}  # noqa: E731
    assert_tree_close(cr.jvp(f, (V, 2.0), (np.ones(4), 0.0))[1], {"a": 0.0, "b": 0.0, "c": np.zeros(4)})
    _, pullback = cr.vjp(f, V, 2.0)
    assert_tree_close(pullback({"a": 1.0, "b": 1.0, "c": np.zeros(4)}), (np.zeros(4), 2.0))
    np.testing.assert_array_equal(cr.grad(lambda x: 1.0)(V), np.zeros(4))
    np.testing.assert_array_equal(cr.jacobian(lambda x: np.array([1.0, 2.0]))(V), np.zeros((2, 4)))
    np.testing.assert_array_equal(cr.hessian(lambda x: np.sum(3.0 * x))(V), np.zeros((4, 4)))


def test_stop_gradient() -> None:
    assert cr.grad(lambda x: x * stop_gradient(x))(3.0) == 3.0


def test_repeated_use_and_several_outputs() -> None:
    assert cr.grad(lambda x: x * x * x + x)(2.0) == 13.0
    value, pullback = cr.vjp(lambda x: (x, x, x * 2.0), 1.0)
    assert value == (1.0, 1.0, 2.0)
    assert pullback((1.0, 10.0, 100.0)) == (211.0,)


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 0), (1, 1), (0, 3)])
def test_axes_of_length_0_and_1(shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape)
    assert cr.grad(lambda x: np.sum(np.exp(x)))(x).shape == shape
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(np.exp(x)))(x), np.exp(x))
    assert cr.jacobian(np.exp)(x).shape == shape + shape
    assert cr.jacobian(lambda x: np.sum(x, axis=0))(x).shape == shape[1:] + shape
    assert cr.hessian(lambda x: np.sum(np.exp(x)))(x).shape == shape + shape
    assert cr.hvp(lambda x: np.sum(np.exp(x)), x, x).shape == shape


def test_result_of_one_element_is_a_number_for_grad() -> None:
    np.testing.assert_array_equal(cr.grad(lambda x: (x @ x)[None])(V), 2 * V)


def test_jacobian_has_the_arguments_dtype() -> None:
    x = np.float32([1.0, 2.0, 3.0])
    for f in (lambda x: np.sum(x.astype(float)), lambda x: np.concatenate([x, x]).astype(float)):
        assert cr.jacobian(f)(x).dtype == np.float32


# -- nesting: perturbations are not confused


def by_jvp(f: Any) -> Any:
    return lambda x: cr.jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("inner", [cr.grad, by_jvp])
@pytest.mark.parametrize("outer", [cr.grad, by_jvp])
def test_perturbation_confusion(inner: Any, outer: Any) -> None:
    """Siskind & Pearlmutter 2005: d/dx [x · d/dy (x + y)] = 1, and relatives."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x**2 * y**3)(x))(2.0) == pytest.approx(12 * 2**3)
    assert outer(lambda x: inner(lambda x: x**3)(2.0) * x)(5.0) == 12.0


def test_derivative_inside_a_function() -> None:
    """A few steps of gradient descent, differentiated by the learning rate."""

    def after_descent(rate: Any) -> Any:
        x = np.array([1.0, -2.0])
        for _ in range(5):
            x = x - rate * cr.grad(lambda x: np.sum(x**4))(x)
        return np.sum(x**2)

    assert cr.check_gradient(after_descent, 0.01, strict=True).ok


def test_jacobian_and_hessian_inside_grad() -> None:
    f = lambda x: np.sum(np.sin(x) * np.exp(-x[0]))  # noqa: E731
    assert cr.check_gradient(lambda x: np.linalg.slogdet(cr.hessian(f)(x))[1], V[:3], strict=True).ok
    assert cr.check_gradient(lambda x: np.sum(cr.jacobian(lambda y: y * np.sum(y))(x) ** 2), V, strict=True).ok


def test_derivatives_can_be_traced() -> None:
    graph = trace(cr.value_and_grad(rosenbrock), ArrayType((4,), np.dtype(float)))
    assert_tree_close(graph(V), cr.value_and_grad(rosenbrock)(V))
    graph = trace(lambda x: cr.hessian(rosenbrock)(x), V)
    np.testing.assert_allclose(graph(V[::-1]), cr.hessian(rosenbrock)(V[::-1]))


def test_traced_integers_have_no_derivative() -> None:
    with pytest.raises(DifferentiationError, match=r"int64.*astype"):
        trace(lambda n: cr.grad(lambda m: m * 1.0)(n), 3)


# -- pullbacks later and elsewhere


def test_pullback_many_times() -> None:
    _, pullback = cr.vjp(curved, X)
    first = pullback(np.ones(3))[0]
    recorder = pullback.__closure__
    for _ in range(20):
        np.testing.assert_array_equal(pullback(np.ones(3))[0], first)
    point = next(c.cell_contents for c in recorder if type(c.cell_contents).__name__ == "Point")
    assert len(point.recorder.nodes) < 40  # it forgets what it recorded


def test_pullback_in_another_trace() -> None:
    _, pullback = cr.vjp(lambda x: np.sin(x) * V, X)
    u = RNG.normal(size=X.shape)
    expected = np.cos(X) * V * u
    np.testing.assert_allclose(trace(lambda c: pullback(c)[0], u)(u), expected)
    # linear in the cotangent: its derivative is the Jacobian transposed
    np.testing.assert_allclose(cr.grad(lambda c: np.sum(pullback(c)[0] * u))(u), expected)
    np.testing.assert_allclose(cr.grad(lambda s: np.sum(pullback(u)[0]) * s)(2.0), np.sum(expected))


def test_pullback_inside_the_trace_it_was_made_in() -> None:
    def f(x: Any) -> Any:
        value, pullback = cr.vjp(np.exp, x)
        return np.sum(value + pullback(x)[0])

    np.testing.assert_allclose(cr.grad(f)(V), np.exp(V) * (2.0 + V))


def test_pullback_after_its_trace_says_so() -> None:
    kept = []

    def f(x: Any) -> Any:
        value, pullback = cr.vjp(np.exp, x)
        kept.append(pullback)
        return np.sum(value)

    cr.grad(f)(V)
    with pytest.raises(TraceError, match="after its trace ended"):
        kept[0](np.ones(4))


def test_wrong_cotangents_and_tangents() -> None:
    _, pullback = cr.vjp(lambda x: (x, x), V)
    with pytest.raises(TraceError, match="nested"):
        pullback(np.ones(4))
    with pytest.raises(GraphError, match=r"cotangent has shape \(3,\)"):
        pullback((np.ones(3), np.ones(4)))
    with pytest.raises(GraphError, match=r"tangent has shape \(\)"):
        cr.jvp(np.sin, (V,), (1.0,))
    with pytest.raises(TraceError, match="nested"):
        cr.jvp(np.sin, (V,), ((1.0,),))
    with pytest.raises(TraceError, match="tuple"):
        cr.jvp(np.sin, V, V)
    # after a failure the pullback still works
    np.testing.assert_array_equal(pullback((np.ones(4), np.ones(4)))[0], 2 * np.ones(4))


# -- refusals


def test_what_has_no_gradient() -> None:
    with pytest.raises(DifferentiationError, match=r"one number, this one returns shape \(4,\).*cr.jacobian"):
        cr.grad(np.sin)(V)
    with pytest.raises(DifferentiationError, match="returns nothing"):
        cr.grad(lambda x: None)(V)
    with pytest.raises(DifferentiationError, match="returns shape"):
        cr.grad(lambda x: (x, x))(1.0)
    with pytest.raises(DifferentiationError, match="floating-point result, this function returns bool"):
        cr.grad(lambda x: x > 0)(1.0)
    with pytest.raises(TraceError, match="complex"):
        cr.grad(lambda x: x)(1j)


@pytest.mark.parametrize(
    "transform",
    [cr.grad, cr.jacobian, cr.hessian, lambda f: partial(cr.vjp, f), lambda f: lambda x: cr.jvp(f, (x,), (x,))],
)
def test_exceptions_leave_nothing_behind(transform: Any) -> None:
    def f(x: Any) -> Any:
        np.exp(x)
        raise ZeroDivisionError

    assert _ACTIVE.get() is None
    with pytest.raises(ZeroDivisionError):
        transform(f)(1.0)
    assert _ACTIVE.get() is None
    with pytest.raises(ZeroDivisionError):
        trace(lambda x: transform(f)(x), 1.0)
    assert _ACTIVE.get() is None
    assert type(cr.grad(np.sin)(0.0)) is np.float64


def test_threads() -> None:
    """Recordings of 32 threads do not meet; one pullback serves them all."""
    barrier = threading.Barrier(32)
    _, pullback = cr.vjp(lambda x: np.sin(x) * V, V)

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=4)
        barrier.wait()
        for _ in range(5):
            np.testing.assert_allclose(cr.hvp(rosenbrock, x, V), cr.hessian(rosenbrock)(x) @ V, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(pullback(x)[0], np.cos(V) * V * x, rtol=1e-12)
            assert cr.grad(lambda a, x=x: a * cr.grad(lambda b: a * b * x[0])(1.0))(2.0) == pytest.approx(4 * x[0])

    with ThreadPoolExecutor(32) as pool:
        for done in [pool.submit(work, seed) for seed in range(32)]:
            done.result()


def test_names_of_the_function_stay() -> None:
    def loss(w: Any) -> Any:
        """What is minimised."""
        return np.sum(w)

    assert cr.grad(loss).__name__ == "loss"
    assert cr.grad(loss).__doc__ == "What is minimised."
    assert cr.trace(cr.grad(loss), V).nodes[0].name == "w"
    assert label(3.0, "x") == 3.0


# -- control flow follows the values


def test_control_flow() -> None:
    def newton(a: Any) -> Any:
        x = a
        while abs(x * x - a) > 1e-14:
            x = 0.5 * (x + a / x)
        return x

    assert cr.grad(newton)(2.0) == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-9)
    branch = lambda x: x**2 if x > 1.0 else 3.0 * x  # noqa: E731
    assert cr.grad(branch)(2.0) == 4.0
    assert cr.grad(branch)(0.5) == 3.0
    recursive = lambda x, n: x if n == 0 else np.sin(recursive(x, n - 1))  # noqa: E731
    assert cr.grad(recursive)(0.5, 3) == pytest.approx(np.cos(0.5) * np.cos(np.sin(0.5)) * np.cos(np.sin(np.sin(0.5))))


def test_hvp_takes_one_argument_which_may_be_a_tuple():
    x, v = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    a, b = cr.hvp(lambda t: np.sum(t[0] ** 2 * t[1]), (x, v), (v, x))
    np.testing.assert_allclose(a, 2 * v * v + 2 * x * x)
    np.testing.assert_allclose(b, 2 * x * v)
    with pytest.raises(cr.TraceError, match=r"here a tuple of 1, and f failed .* give the array itself"):
        cr.hvp(lambda x: np.sum(x**3), (x,), (v,))
    with pytest.raises(cr.TraceError, match=r"hvp\(lambda t: f\(\*t\), x, v\)"):
        cr.hvp(lambda x, y: np.sum(x * y), (x, x), (v, v))

    def broken(x):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        cr.hvp(broken, x, v)
