"""scikit-learn's own checks of estimators."""

import warnings

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

import chainrule as cr

ESTIMATORS = [
    cr.FeedForwardClassifier(max_iter=50),
    cr.FeedForwardRegressor(max_iter=50),
    cr.FeedForwardClassifier(max_iter=20, dtype="float64"),
    cr.FeedForwardRegressor(max_iter=20, dtype="float64", n_members=2, n_jobs=2),
    cr.LogisticRegression(),
    cr.LinearRegression(),
    cr.PathCV(cr.LogisticRegression(), n_strengths=8, cv=3),
    cr.SearchCV(cr.LinearRegression(), {"l1": [1e-4, 1e-2]}, cv=3),
]


def checks():
    for estimator in ESTIMATORS:
        for made, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            yield pytest.param(made, check, id=f"{estimator}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks' own data warn, as scikit-learn's runner lets them
        check(estimator)
