"""Linear and logistic regression against scikit-learn's solvers, to solver precision."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import ElasticNet, Lasso, Ridge
from sklearn.linear_model import LinearRegression as Ordinary
from sklearn.linear_model import LogisticRegression as Logistic

import chainrule as cr


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X * np.geomspace(0.01, 100, 10) + 3, y  # columns of very different units


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, lambda n: Ordinary()),
        ({"l2": 1e-3}, lambda n: Ridge(alpha=1e-3 * n, solver="svd")),
        ({"l2": 10.0}, lambda n: Ridge(alpha=10 * n, solver="svd")),
        ({"l1": 0.5}, lambda n: Lasso(alpha=0.5, tol=1e-14, max_iter=10**6)),
        ({"l1": 20.0}, lambda n: Lasso(alpha=20.0, tol=1e-14, max_iter=10**6)),
        ({"l1": 0.4, "l2": 0.6}, lambda n: ElasticNet(alpha=1.0, l1_ratio=0.4, tol=1e-14, max_iter=10**6)),
        ({"l2": 0.1, "fit_intercept": False}, lambda n: Ridge(alpha=0.1 * n, solver="svd", fit_intercept=False)),
    ],
    ids=["ordinary", "ridge", "strong ridge", "lasso", "strong lasso", "elastic net", "no intercept"],
)
def test_linear_regression(diabetes, ours, theirs):
    X, y = diabetes
    a, b = cr.LinearRegression(**ours).fit(X, y), theirs(len(y)).fit(X, y)
    scale = X.std(axis=0)
    np.testing.assert_allclose(a.coef_ * scale, b.coef_ * scale, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-6)
    np.testing.assert_array_equal(a.coef_ == 0, b.coef_ == 0)

    def objective(m):
        penalty = ours.get("l1", 0) * np.abs(m.coef_).sum() + ours.get("l2", 0) / 2 * (m.coef_**2).sum()
        return 0.5 * np.mean((y - m.predict(X)) ** 2) + penalty

    assert objective(a) <= objective(b) * (1 + 1e-8)


@pytest.mark.parametrize("strength", [1e-3, 1e-1])
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
def test_logistic_regression_l2(load, strength):
    X, y = load(return_X_y=True)
    X = X / X.std(axis=0)
    a = cr.LogisticRegression(l2=strength).fit(X, y)
    b = Logistic(C=1 / (strength * len(y)), tol=1e-12, max_iter=10**5, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-6)


def test_logistic_regression_l1_is_optimal():
    """The subgradient conditions of the L1 problem, and the same objective as scikit-learn's SAGA."""
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    n, strength = len(y), 0.02
    a = cr.LogisticRegression(l1=strength, l2=0.0).fit(X, y)
    residual = X.T @ (a.predict_proba(X)[:, 1] - y) / n
    w = a.coef_[0]
    assert 3 < (w == 0).sum() < 30
    assert (np.abs(residual[w == 0]) <= strength + 1e-8).all()
    np.testing.assert_allclose(residual[w != 0], -strength * np.sign(w[w != 0]), atol=1e-8)
    assert abs(np.mean(a.predict_proba(X)[:, 1] - y)) < 1e-8
    b = Logistic(C=1 / (strength * n), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=10**5).fit(X, y)
    np.testing.assert_allclose(w, b.coef_[0], atol=1e-5)


def test_gradient_of_the_logistic_loss_is_the_textbook_one():
    """∇NLL = -Σ (y - σ(θᵀx)) x."""
    X, y = load_breast_cancer(return_X_y=True)
    X = X / X.std(axis=0)
    theta = np.linspace(-0.1, 0.1, X.shape[1])
    gradient = cr.grad(lambda t: np.sum(np.logaddexp(0, X @ t) - y * (X @ t)))(theta)
    np.testing.assert_allclose(gradient, -X.T @ (y - 1 / (1 + np.exp(-X @ theta))), rtol=1e-10)


def test_weights_are_repetitions(diabetes):
    X, y = diabetes
    w = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted = cr.LinearRegression(l1=0.1, l2=0.1).fit(X, y, sample_weight=w)
    repeated = cr.LinearRegression(l1=0.1, l2=0.1).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("options", [{"random_state": 5}, {"random_state": np.random.default_rng(0)}, {"n_jobs": -1}])
def test_seed_and_threads_change_no_bit(diabetes, options):
    X, y = diabetes
    for model in (cr.LinearRegression(l1=0.1), cr.LogisticRegression(l1=0.01)):
        first = model.fit(X, y > 140).coef_
        np.testing.assert_array_equal(model.set_params(**options).fit(X, y > 140).coef_, first)
    with pytest.raises(cr.OptionError, match="random_state must be"):
        model.set_params(random_state=-1).fit(X, y > 140)


def test_several_targets(diabetes):
    X, y = diabetes
    Y = np.stack([y, 1000 * y + X[:, 0]], axis=1)
    a, b = cr.LinearRegression(l2=0.01).fit(X, Y), Ridge(alpha=0.01 * len(y), solver="svd").fit(X, Y)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=1e-6)


def test_constant_variance_is_that_of_the_residuals(diabetes):
    X, y = diabetes
    model = cr.LinearRegression().fit(X, y)
    residual = y - model.predict(X)
    np.testing.assert_allclose(model.predict_dist(X).std(), np.sqrt(np.mean(residual**2)), rtol=1e-6)


def test_standardize_penalises_standardised_weights(diabetes):
    """As in glmnet: the solution does not depend on the columns' units."""
    X, y = diabetes
    one = cr.LinearRegression(l1=0.05, standardize=True).fit(X, y)
    other = cr.LinearRegression(l1=0.05, standardize=True).fit(X * 7.0, y)
    np.testing.assert_allclose(one.coef_, 7 * other.coef_, rtol=1e-7)


def test_missing_values_have_coefficients_of_their_own(diabetes):
    """ŷ = intercept + Σ coef · x, the column's mean and missing_coef standing in for what is missing."""
    X, y = diabetes
    X = X.copy()
    X[::5, 2], X[1::7, 9] = np.nan, np.nan
    model = cr.LinearRegression().fit(X, y)
    assert model.coef_.shape == model.missing_coef_.shape == (10,)
    np.testing.assert_array_equal(np.flatnonzero(model.missing_coef_), [2, 9])
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    by_hand = model.intercept_ + filled @ model.coef_ + np.isnan(X) @ model.missing_coef_
    np.testing.assert_allclose(model.predict(X), by_hand, rtol=1e-9)
    theirs = Ordinary().fit(np.hstack([filled, np.isnan(X)[:, [2, 9]]]), y)
    np.testing.assert_allclose(model.coef_ * X[2].std(), theirs.coef_[:10] * X[2].std(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.missing_coef_[[2, 9]], theirs.coef_[10:], rtol=1e-6)
    several = cr.LinearRegression().fit(X, np.stack([y, -y], axis=1))
    assert several.coef_.shape == several.missing_coef_.shape == (2, 10)
    whole = cr.LinearRegression().fit(diabetes[0], y)
    assert whole.coef_.shape == whole.missing_coef_.shape == (10,)
    assert not whole.missing_coef_.any()


def test_coefficients_of_text_are_named():
    X = pd.DataFrame({"a": [1.0, 2, 3, 4, None, 6], "town": ["U", "B", "U", "B", "B", None], "old": [True, False] * 3})
    model = cr.LogisticRegression().fit(X, [0, 1, 0, 1, 1, 0])
    assert list(model.coef_names_) == ["a", "town=B", "town=U", "old"]
    assert model.coef_.shape == (1, 4)
    assert model.missing_coef_.shape == (1, 3)
    assert model.missing_coef_[0, 0] != 0 != model.missing_coef_[0, 1]
    assert model.missing_coef_[0, 2] == 0


@pytest.mark.parametrize("make", [cr.LinearRegression, cr.LogisticRegression])
def test_loaded_models_show_the_same(tmp_path, make):
    X, y = load_breast_cancer(return_X_y=True)
    model = make(l1=1e-2, l2=1e-2).fit(X, y)
    model.save(tmp_path / "m.chainrule")
    again = cr.load(tmp_path / "m.chainrule")
    assert type(again) is make
    for name in ("coef_", "intercept_", "missing_coef_", "coef_names_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    for name in ("optimality_residual_", "converged_", "n_iter_", "loss_curve_", "best_loss_"):
        assert getattr(again, name) == getattr(model, name)


def test_the_optimality_residual_is_the_smallest_subgradient():
    """Of the standardised problem: |∂J + l1 sign w|, and what exceeds l1 where w is 0."""
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = cr.LogisticRegression(l1=0.02, l2=0.01, max_iter=2).fit(X, y)
    assert not model.converged_
    p, w = model.predict_proba(X)[:, 1], model.coef_[0]
    gradient = X.T @ (p - y) / len(y) + 0.01 * w
    residual = np.where(w == 0, np.maximum(np.abs(gradient) - 0.02, 0), np.abs(gradient + 0.02 * np.sign(w)))
    expected = max(residual.max(), abs(np.mean(p - y)))
    np.testing.assert_allclose(model.optimality_residual_, expected, rtol=1e-6)
    assert cr.LogisticRegression(l1=0.02, l2=0.01).fit(X, y).optimality_residual_ <= 1e-9 < expected


@pytest.mark.parametrize("l1", [1e-5, 1e-3, 0.01, 0.1])
@pytest.mark.parametrize(
    "more",
    [lambda x: x[:, :1], lambda x: x, lambda x: -3 * x[:, :2], lambda x: x[:, :1] + 1e-9, lambda x: x[:, :1] ** 0],
)
def test_equal_columns_do_not_keep_the_solver_from_the_optimum(l1, more):
    """There are many optima then, and L-BFGS wanders among them: 10 000 steps, at times, to a residual of 1e-9."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    y = 2 * X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=200)
    X = np.hstack([X, more(X)])
    for model in (cr.LinearRegression(l1=l1).fit(X, y), cr.LogisticRegression(l1=l1).fit(X, y > 0)):
        assert model.converged_
        assert model.optimality_residual_ <= model.tol
        assert model.n_iter_ < 60


def test_own_validation_rows_do_not_change_the_solution(diabetes):
    X, y = diabetes
    one = cr.LinearRegression(l2=0.1).fit(X[:300], y[:300])
    other = cr.LinearRegression(l2=0.1).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert len(other.validation_loss_curve_) == other.n_iter_
    assert "solved to its end" in other.diagnosis_


@pytest.mark.parametrize("factor", [1e145, 1e-300])
def test_targets_of_any_size(diabetes, factor):
    X, y = diabetes
    coefficients = cr.LinearRegression().fit(X, factor * y).coef_
    np.testing.assert_allclose(coefficients / factor, cr.LinearRegression().fit(X, y).coef_, rtol=1e-6)


def test_separable_classes_without_penalty_do_not_crash():
    X = np.array([[-2.0], [-1], [1], [2]])
    model = cr.LogisticRegression(l2=0.0).fit(X, [0, 0, 1, 1])
    assert model.score(X, [0, 0, 1, 1]) == 1.0
    assert np.isfinite(model.coef_).all()


def test_networks_have_the_objective_of_mlp_classifier():
    """``alpha = l2 · n``: scikit-learn's network under our objective has the loss that scikit-learn reports."""
    from sklearn.neural_network import MLPClassifier

    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = MLPClassifier((5,), activation="tanh", solver="lbfgs", alpha=0.3, max_iter=20, random_state=0)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not meant to converge
        theirs.fit(X, y)
    network = cr.Network([cr.Dense(5, "tanh")], cr.Categorical(3))
    pieces = dict(zip(("layer1.weight", "output.weight"), theirs.coefs_, strict=True))
    pieces |= dict(zip(("layer1.bias", "output.bias"), theirs.intercepts_, strict=True))
    nll = np.mean(network.output.nll(network.raw(pieces, X), y[:, None].astype(float)))
    penalty = 0.5 * (0.3 / len(y)) * sum(np.sum(w**2) for w in theirs.coefs_)
    np.testing.assert_allclose(nll + penalty, theirs.loss_, rtol=1e-6)
