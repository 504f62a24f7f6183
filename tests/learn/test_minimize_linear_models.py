"""Linear and logistic models by minimize, with L1 and L2, against scikit-learn's solutions.

Conversions, for an objective that is a mean over n rows: Ridge's alpha = n·λ₂; Lasso's alpha = λ₁; ElasticNet's
alpha = λ₁ + λ₂ and l1_ratio = λ₁/alpha; LogisticRegression's C = 1/(n·λ).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge

import chainrule as cr


def standardised(load: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = load(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y.astype(float)


def squared_error(p: Any, x: Any, y: Any) -> Any:
    return 0.5 * np.mean((x @ p["w"] + p["b"] - y) ** 2)


def logistic(p: Any, x: Any, y: Any) -> Any:
    z = x @ p["w"] + p["b"]
    return np.mean(np.logaddexp(0.0, z) - y * z)


def solve(f: Any, x: np.ndarray, y: np.ndarray, penalty: Any, method: str | None = None) -> Any:
    start = {"w": np.zeros(x.shape[1]), "b": 0.0}
    result = cr.minimize(f, start, method, data=(x, y), penalty={"w": penalty}, tol=1e-11)
    assert result.success, result.reason
    assert result.curvature.kind == "minimum"
    return result


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_ridge(strength: float) -> None:
    x, y = standardised(load_diabetes)
    result = solve(squared_error, x, y, cr.L2(strength))
    peer = Ridge(alpha=len(y) * strength, tol=1e-14).fit(x, y)
    np.testing.assert_allclose(result.x["w"], peer.coef_, atol=1e-6)
    np.testing.assert_allclose(result.x["b"], peer.intercept_, atol=1e-6)


@pytest.mark.parametrize("method", ["lbfgs", "nesterov"])
@pytest.mark.parametrize("strength", [10.0, 1.0, 0.1])
def test_lasso(strength: float, method: str) -> None:
    x, y = standardised(load_diabetes)
    result = solve(squared_error, x, y, cr.L1(strength), method)
    peer = Lasso(alpha=strength, tol=1e-14, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(result.x["w"], peer.coef_, atol=1e-6)
    assert np.flatnonzero(result.x["w"]).tolist() == np.flatnonzero(peer.coef_).tolist()


def test_elastic_net() -> None:
    x, y = standardised(load_diabetes)
    result = solve(squared_error, x, y, cr.L1(0.5) + cr.L2(0.3))
    peer = ElasticNet(alpha=0.8, l1_ratio=0.5 / 0.8, tol=1e-14, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(result.x["w"], peer.coef_, atol=1e-6)
    assert np.flatnonzero(result.x["w"]).tolist() == np.flatnonzero(peer.coef_).tolist()


@pytest.mark.parametrize("strength", [1e-1, 1e-2, 1e-4])
def test_logistic_regression_with_l2(strength: float) -> None:
    x, y = standardised(load_breast_cancer)
    result = solve(logistic, x, y, cr.L2(strength))
    peer = LogisticRegression(C=1 / (len(y) * strength), solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(result.x["w"], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(result.x["b"], peer.intercept_[0], atol=1e-6)
    theirs = logistic({"w": peer.coef_[0], "b": peer.intercept_[0]}, x, y) + 0.5 * strength * np.sum(peer.coef_**2)
    assert abs(result.value - theirs) <= 1e-8


def test_logistic_regression_with_l1() -> None:
    x, y = standardised(load_breast_cancer)
    strength = 1e-2
    result = solve(logistic, x, y, cr.L1(strength))
    peer = LogisticRegression(
        C=1 / (len(y) * strength), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=100_000, random_state=0
    ).fit(x, y)
    np.testing.assert_allclose(result.x["w"], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(result.x["b"], peer.intercept_[0], atol=1e-6)
    assert np.flatnonzero(result.x["w"]).tolist() == np.flatnonzero(peer.coef_[0]).tolist()


def test_a_warm_started_path_over_the_strength_only_loses_zeros_slowly() -> None:
    x, y = standardised(load_diabetes)
    largest = float(np.max(np.abs(x.T @ (y - y.mean())))) / len(y)
    start: Any = {"w": np.zeros(x.shape[1]), "b": y.mean()}
    zeros = []
    for strength in largest * np.geomspace(1.0001, 0.01, 8):
        start = cr.minimize(squared_error, start, data=(x, y), penalty={"w": cr.L1(strength)}).x
        zeros.append(int(np.sum(start["w"] == 0)))
    assert zeros[0] == 10
    assert zeros[-1] <= 3
    assert zeros == sorted(zeros, reverse=True)
