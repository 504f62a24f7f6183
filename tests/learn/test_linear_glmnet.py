"""Logistic and Poisson regression with L1 and L2 against glmnet's coefficients, as statsmodels' wheel stores them.

The files are read where statsmodels is installed (BSD licence; it is not imported). How they came about is not written
there, but follows from the numbers: R took the first row of the table as its header; each column was divided by its
standard deviation (of n - 1) about its mean; no intercept; glmnet's lambda and alpha mean
``l1 = alpha lambda, l2 = (1 - alpha) lambda`` for the mean loss. So read, everything agrees with what the optimality
conditions of glmnet's own coefficients leave open: it stops where a step lowers the deviance by less than 1e-7 of that
of the null model.
"""

from importlib.metadata import PackageNotFoundError, files
from runpy import run_path

import numpy as np
import pytest

import chainrule as cr
from chainrule.learn.linear_solver import LinearSolver
from chainrule.learn.penalties import L1
from chainrule.learn.rows import Rows
from chainrule.networks import Network
from chainrule.outputs import Bernoulli, Poisson

FOLDER = "statsmodels/genmod/tests/results/"
OUTPUTS = {"binomial": Bernoulli(), "poisson": Poisson()}


@pytest.fixture(scope="module")
def stored():
    try:
        held = {str(f): str(f.locate()) for f in files("statsmodels") or () if str(f).startswith(FOLDER)}
    except PackageNotFoundError:
        pytest.skip("glmnet's coefficients come inside statsmodels, which is not installed")
    results = run_path(held[f"{FOLDER}glmnet_r_results.py"])

    def problem(family, k):
        table = np.loadtxt(held[f"{FOLDER}enet_{family}.csv"], delimiter=",")[1:]
        y, X = table[:, 0], table[:, 1:]
        alpha, strength, *coef = results[f"rslt_{family}_{k}"]
        X = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
        return X, y, alpha * strength, (1.0 - alpha) * strength, np.array(coef)

    return problem


@pytest.mark.parametrize("k", range(9))
@pytest.mark.parametrize("family", OUTPUTS)
def test_glmnet(stored, family, k):
    X, y, l1, l2, theirs = stored(family, k)
    rows = Rows.of(X, y, dtype="float64")
    solver = LinearSolver(Network((), OUTPUTS[family]), rows, L1, intercept=False, tol=1e-12)
    found = solver.solve(np.zeros(6), l1, l2)
    ours, theta = found.theta[:-1], np.append(theirs, 0.0)
    assert found.residual <= 1e-12
    value, gradient, _ = solver.derivatives(theta, l2)
    gap = value + l1 * np.abs(theirs).sum() - found.value
    assert 0.0 <= gap <= 1e-10  # ours is the minimum
    # how far off theirs may be: their own optimality residual over the least curvature
    _, _, bends = solver.derivatives(found.theta, l2)
    least = np.linalg.eigvalsh((X * bends[:, 0]).T @ X / len(y) + l2 * np.eye(5))[0]
    left = np.abs(solver.residual(theta, gradient, l1)).max()
    np.testing.assert_allclose(ours, theirs, atol=min(3e-5, 1e-7 + 3.0 * left / least))
    if l1 == 0.0 and k < 2:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    else:
        np.testing.assert_array_equal(ours == 0.0, theirs == 0.0)


@pytest.mark.parametrize("k", range(9))
def test_the_estimators_solution_is_the_same(stored, k):
    X, y, l1, l2, theirs = stored("binomial", k)
    model = cr.LogisticRegression(l1=l1, l2=l2, fit_intercept=False).fit(X, y.astype(int))
    assert model.optimality_residual_ <= 1e-9  # also without an intercept, whose place in θ is held
    np.testing.assert_allclose(model.coef_[0], theirs, atol=3e-5)
