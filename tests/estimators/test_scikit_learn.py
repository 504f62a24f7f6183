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


#: what hides a method or takes fewer kinds of targets, and the checks that ask about those
PARTLY = [
    (
        cr.FeedForwardRegressor(max_iter=20, optimizer="lbfgs"),
        "fit_score_takes_y",
        "n_features_in",
        "no_attributes_set",
    ),
    (cr.FeedForwardRegressor(max_iter=20, calibrate="scale"), "fit_score_takes_y", "n_features_in", "1sample"),
    (cr.FeedForwardClassifier(max_iter=20, calibrate="scale"), "one_label", "1sample", "dict_unchanged"),
    (cr.FeedForwardRegressor(max_iter=20, early_stopping=True), "1sample", "dict_unchanged"),
    (cr.LogisticRegression(class_weight="balanced"), "multilabel", "classes"),
]


def partly():
    for estimator, *asked in PARTLY:
        for made, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            if any(word in name for word in (*asked, "partial")):
                yield pytest.param(made, check, id=f"{estimator}-{name}")


@pytest.mark.parametrize(("estimator", "check"), [*checks(), *partly()])
def test_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks' own data warn, as scikit-learn's runner lets them
        check(estimator)
