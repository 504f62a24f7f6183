"""Kinks, tails, edges of domains, empty arrays: where rules go wrong that are right in the middle."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp

import chainrule as cr


def slope(f: Any, *point: Any, argnum: int = 0) -> float:
    return float(cr.grad(f, argnum)(*map(np.float64, point)))


@pytest.mark.parametrize(
    ("f", "point", "expected"),
    [
        (np.abs, (0.0,), 0.0),
        (np.fabs, (-0.0,), 0.0),
        (lambda x: np.maximum(x, 0), (0.0,), 0.0),
        (lambda x: np.maximum(0, x), (0.0,), 0.0),
        (lambda x: np.minimum(1, x), (1.0,), 0.0),
        (lambda x: np.clip(x, -1, 1), (1.0,), 0.0),
        (lambda x: np.clip(x, -1, 1), (-1.0,), 0.0),
        (lambda x: np.maximum(x, x), (2.0,), 1.0),
        (lambda x: np.linalg.norm(np.stack([x, 0 * x])), (0.0,), 0.0),
        (lambda x: np.linalg.norm(np.stack([x, 0 * x]), 3), (0.0,), 0.0),
        (lambda x: np.std(np.stack([x, 2.0 * x])), (0.0,), 0.0),
        (lambda x: np.hypot(x, 0.0), (0.0,), 0.0),
        (lambda x: np.max(np.stack([x, 0.0 * x, x])), (0.0,), 2 / 3),
        (lambda x: np.sort(np.stack([x, 2 * x]))[0], (0.0,), 1.0),
        (np.sign, (0.0,), 0.0),
        (np.floor, (2.0,), 0.0),
        (lambda x: x**2, (0.0,), 0.0),
        (lambda x: x**3, (0.0,), 0.0),
        (lambda x: x**1.5, (0.0,), 0.0),
        (lambda x: x**0.0, (0.0,), 0.0),
        (lambda x: x**1, (0.0,), 1.0),
        (lambda x: np.power(x, np.asarray([0.0, 1.0, 2.0])).sum(), (0.0,), 1.0),
        (lambda x: (-2.0) ** x, (3.0,), 0.0),
        (lambda x: x**-2, (-2.0,), 0.25),
        (lambda x: np.prod(np.stack([x, 3.0, 0.0 * x + 2.0])), (0.0,), 6.0),
        (lambda x: np.cumprod(np.stack([x, 3.0, 2.0]))[2], (0.0,), 6.0),
        (lambda x: sp.xlogy(x, 2.0), (0.0,), np.log(2.0)),
        (lambda x: sp.xlogy(x, 0.0), (0.0,), 0.0),
        (lambda x: sp.xlogy(0.0, x), (0.0,), 0.0),
        (lambda x: sp.xlog1py(0.0, x), (-1.0,), 0.0),
        (lambda x: np.logaddexp(x, 0.5), (0.5,), 0.5),
        (np.sinc, (0.0,), 0.0),
        (sp.i1, (0.0,), 0.5),
        (lambda x: np.nan_to_num(x + np.nan), (1.0,), 0.0),
    ],
)
def test_documented_values_at_kinks_and_edges(f: Any, point: Any, expected: float) -> None:
    assert slope(f, *point) == pytest.approx(expected, abs=1e-15)
    tangent = cr.jvp(f, tuple(map(np.float64, point)), (np.float64(1.0),))[1]
    assert float(tangent) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("f", "point", "expected"),
    [
        (lambda x: np.logaddexp(x, 0.5), 0.5, 0.25),
        (np.sinc, 0.0, -(np.pi**2) / 3),
        (lambda x: x**3, 0.0, 0.0),
        (lambda x: x**2.0, 0.0, 2.0),
        (lambda x: sp.logsumexp(np.stack([x, 0 * x])), 0.0, 0.25),
        (sp.i0, 0.0, 0.5),
        (lambda x: np.maximum(x, 0) ** 2, 1.0, 2.0),
    ],
)
def test_second_derivatives_there(f: Any, point: float, expected: float) -> None:
    assert slope(cr.grad(f), point) == pytest.approx(expected, rel=1e-14)


INF = np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("values", "total", "shares"),
    [
        ([1e4, 0.0], 1e4, [1, 0]),
        ([-1e4, -1e4], -1e4 + np.log(2), [0.5, 0.5]),
        ([-INF, 0.0], 0.0, [0, 1]),
        ([-INF, -INF], -INF, [0, 0]),
        ([3.0], 3.0, [1]),
    ],
)
def test_logsumexp_range(values: Any, total: float, shares: Any, dtype: str) -> None:
    value, gradient = cr.value_and_grad(lambda x: sp.logsumexp(x))(np.array(values, dtype))
    assert value.dtype == gradient.dtype == np.dtype(dtype)
    assert value == pytest.approx(total, rel=1e-6)
    np.testing.assert_allclose(gradient, shares, atol=1e-6)
    np.testing.assert_allclose(cr.grad(lambda x: np.logaddexp.reduce(x))(np.array(values, dtype)), shares, atol=1e-6)


def test_logsumexp_of_nothing() -> None:
    graph = cr.trace(lambda x: (sp.logsumexp(x, axis=1), sp.logsumexp(x, keepdims=True)), np.zeros((3, 0), np.float32))
    by_row, total = graph(np.zeros((3, 0)))
    assert by_row.tolist() == [-np.inf] * 3
    assert by_row.dtype == np.float32
    assert total.tolist() == [[-np.inf]]


def test_logsumexp_weights() -> None:
    both = cr.value_and_grad(lambda a, b: sp.logsumexp(a, b=b), (0, 1))
    value, (da, db) = both(np.array([1000.0, 1.0]), np.array([0.0, 2.0]))
    assert value == pytest.approx(1.0 + np.log(2.0))
    np.testing.assert_allclose(da, [0.0, 1.0])
    assert db[1] == pytest.approx(0.5)


@pytest.mark.parametrize("x", [-1e4, -100.0, -1.0, 0.0, 3.0, 40.0, 1e4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_normal_cdf_tail(x: float, dtype: str) -> None:
    exact = mp.npdf(x) / mp.ncdf(x) if x > -1e3 else -x + 1 / mp.mpf(-x)
    found = cr.grad(lambda x: sp.log_ndtr(x))(np.asarray(x, dtype))
    assert float(found) == pytest.approx(float(exact), rel=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("x", [-1e4, -30.0, -1.0, 0.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "f", [sp.expit, sp.log_expit, np.tanh, lambda x: np.logaddexp(0.0, x), lambda x: np.log1p(np.exp(-np.abs(x)))]
)
def test_ranges_stay_finite(f: Any, x: float) -> None:
    for dtype in ("float32", "float64"):
        value, gradient = cr.value_and_grad(f)(np.asarray(x, dtype))
        assert np.isfinite(value)
        assert np.isfinite(gradient)


PRECISE = [
    (sp.expit, lambda x: 1 / (1 + mp.exp(-x)), [-30.0, -1.0, 20.0, 30.0]),
    (sp.log_expit, lambda x: -mp.log(1 + mp.exp(-x)), [-30.0, 1.0, 30.0]),
    (sp.erfc, mp.erfc, [-2.0, 0.5, 8.0]),
    (sp.erfinv, mp.erfinv, [-0.99, 0.1, 0.999]),
    (sp.ndtri, lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), [1e-5, 0.3, 0.999]),
    (sp.gammaln, mp.loggamma, [1e-3, 1.0, 2.0, 1e4]),
    (sp.digamma, mp.digamma, [1e-2, 1.4616, 50.0]),
    (sp.gamma, mp.gamma, [0.3, 3.0, -1.5]),
    (sp.i0e, lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), [0.1, 5.0]),
    (sp.logit, lambda p: mp.log(p / (1 - p)), [1e-6, 0.5, 0.999]),
    (np.expm1, mp.expm1, [-40.0, 1e-9, 3.0]),
    (np.log1p, mp.log1p, [-0.999, 1e-9, 1e5]),
    (np.arcsin, mp.asin, [-0.9999, 0.1, 0.9999]),
    (np.arctanh, mp.atanh, [-0.9999, 0.1, 0.9999]),
]


@pytest.mark.parametrize(("f", "exact", "points"), PRECISE, ids=lambda v: getattr(v, "__name__", ""))
def test_against_high_precision(f: Any, exact: Any, points: list[float]) -> None:
    with mp.workdps(40):
        for x in points:
            assert slope(f, x) == pytest.approx(float(mp.diff(exact, mp.mpf(x))), rel=1e-10)
            assert slope(cr.grad(f), x) == pytest.approx(float(mp.diff(exact, mp.mpf(x), 2)), rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("n", range(1, 7))
def test_determinant_of_singular_matrices(n: int) -> None:
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, n))
    a[-1] = a[0] if n > 1 else 0.0
    expected = np.array(
        [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    )
    np.testing.assert_allclose(cr.grad(np.linalg.det)(a), expected, rtol=1e-12, atol=1e-12)
    if n == 3:  # the determinant is linear in each element: no pure second derivatives, and none of rank one
        hessian = cr.hessian(np.linalg.det)(a).reshape(9, 9)
        np.testing.assert_allclose(hessian, hessian.T)
        np.testing.assert_allclose(np.diag(hessian), 0.0)
        assert hessian[0, 4] == pytest.approx(a[2, 2])


def test_determinant_of_zeros_and_of_large_matrices() -> None:
    np.testing.assert_array_equal(cr.grad(np.linalg.det)(np.zeros((3, 3))), 0.0)
    a = np.random.default_rng(0).normal(size=(9, 9))
    np.testing.assert_allclose(cr.grad(np.linalg.det)(a), np.linalg.det(a) * np.linalg.inv(a).T)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        cr.grad(np.linalg.det)(np.zeros((9, 9)))


def test_cholesky_gradient_is_symmetric() -> None:
    b = np.random.default_rng(0).normal(size=(4, 4))
    gradient = cr.grad(lambda a: np.sum(np.linalg.cholesky(a) ** 3))(b @ b.T + np.eye(4))
    np.testing.assert_allclose(gradient, gradient.T)


EMPTY = np.zeros((0, 3))


@pytest.mark.parametrize(
    "f",
    [
        np.sum,
        lambda x: np.sum(np.exp(x) @ np.ones((3, 2))),
        lambda x: np.sum(np.linalg.norm(x, axis=1)),
        lambda x: np.prod(x),
        lambda x: np.sum(np.concatenate([x, 2.0 * x])),
        lambda x: np.sum(np.max(x, axis=1)),
        lambda x: np.sum(np.sort(x, axis=0)),
        lambda x: np.sum(x[:, [0, 2]] * x[:, :1]),
    ],
)
def test_empty_arrays(f: Any) -> None:
    value, gradient = cr.value_and_grad(f)(EMPTY)
    assert float(value) == float(f(EMPTY))
    assert gradient.shape == (0, 3)
    assert cr.hvp(f, EMPTY, EMPTY).shape == (0, 3)
