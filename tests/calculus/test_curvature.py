"""Curvature: the ends of the Hessian's spectrum, and what they say about a point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.calculus.curvature import DENSE_LIMIT, curvature, curvature_of_product, dense_matrix, extreme_eigenvalues

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("f", "kind", "smallest", "largest"),
    [
        (lambda x: x[0] ** 2 + 3.0 * x[1] ** 2, "minimum", 2.0, 6.0),
        (lambda x: np.cos(x[0]) - x[1] ** 2, "maximum", -2.0, -1.0),
        (lambda x: x[0] ** 2 - x[1] ** 2, "saddle", -2.0, 2.0),
        (lambda x: x[0] * x[1], "saddle", -1.0, 1.0),
        (lambda x: x[0] ** 2 + x[1] ** 4, "degenerate", 0.0, 2.0),
        (lambda x: x[0] ** 4 - x[1] ** 4, "degenerate", 0.0, 0.0),
        (lambda x: x[0] + x[0] ** 2 + x[1] ** 2, "not stationary", 2.0, 2.0),
    ],
)
def test_kinds(f: Any, kind: str, smallest: float, largest: float) -> None:
    found = curvature(f, np.zeros(2))
    assert found.kind == kind
    assert (found.smallest, found.largest) == pytest.approx((smallest, largest), abs=1e-12)
    assert kind in str(found)


def test_nested_points() -> None:
    x = {"a": np.ones((2, 2)), "b": [1.0]}
    found = curvature(lambda x: np.sum((x["a"] - 1.0) ** 2) + 5.0 * (x["b"][0] - 1.0) ** 2, x)
    assert (found.kind, found.smallest, found.largest) == ("minimum", 2.0, 10.0)


def test_one_variable_and_none() -> None:
    assert str(curvature(lambda x: x**2, 0.0)) == "minimum: second derivative 2"
    assert curvature(lambda x: np.sum(x), np.zeros(0)).kind == "degenerate"


def test_not_finite_is_unknown() -> None:
    with np.errstate(all="ignore"):
        found = curvature(lambda x: np.sum(np.sqrt(x)), np.zeros(2))
    assert found.kind == "unknown"
    assert "not found" in str(found)


@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_large_hessians_by_lanczos(shift: float) -> None:
    n = DENSE_LIMIT + 60
    q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    values = np.sort(RNG.normal(size=n)) + shift
    matrix = (q * values) @ q.T
    smallest, largest, error = extreme_eigenvalues(lambda v: matrix @ v, n)
    assert abs(smallest - values[0]) <= error + 1e-12
    assert abs(largest - values[-1]) <= error + 1e-12
    assert error < 1e-2 * np.max(np.abs(values))
    kind = {0.0: "saddle", 5.0: "minimum", -5.0: "maximum"}[shift]
    assert curvature_of_product(lambda v: matrix @ v, n, stationary=True).kind == kind


def test_large_operators_without_curvature() -> None:
    n = DENSE_LIMIT + 1
    assert curvature_of_product(lambda v: np.zeros(n), n, stationary=True).kind == "degenerate"
    assert curvature_of_product(lambda v: np.full(n, np.nan), n, stationary=True).kind == "unknown"
    assert curvature_of_product(lambda v: 3.0 * v, n, stationary=True).kind == "minimum"


def test_dense_matrix_is_symmetric() -> None:
    a = RNG.normal(size=(4, 4))
    np.testing.assert_allclose(dense_matrix(lambda v: a @ v, 4), 0.5 * (a + a.T))
