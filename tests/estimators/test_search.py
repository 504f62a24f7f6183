"""SearchCV: the same as fits one by one, and as scikit-learn's searches."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.estimators import search

GRID = {
    "hidden_layer_sizes": [(8,), (8, 8)],
    "learning_rate_init": [3e-3, 3e-2],
    "l1": [0.0, 1e-3],
    "batch_size": ["auto", 64],
    "random_state": [0, 1],
}


def estimator(**options):
    return cr.FeedForwardClassifier((8,), n_members=1, embedding="none", random_state=0, max_iter=15, **options)


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def ours(wine):
    return cr.SearchCV(estimator(), GRID, cv=3, factor=None, scoring="neg_log_loss").fit(*wine)


def test_without_halving_it_is_scikit_learns_grid_search_to_the_bit(wine, ours):
    theirs = GridSearchCV(estimator(), GRID, cv=3, scoring="neg_log_loss").fit(*wine)
    order = [theirs.cv_results_["params"].index(p) for p in ours.cv_results_["params"]]
    for k in range(3):
        np.testing.assert_array_equal(
            ours.cv_results_[f"split{k}_test_score"], theirs.cv_results_[f"split{k}_test_score"][order]
        )
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_
    np.testing.assert_array_equal(ours.predict_proba(wine[0]), theirs.predict_proba(wine[0]))


def test_the_best_is_refitted(wine, ours):
    alone = clone(estimator()).set_params(**ours.best_params_).fit(*wine)
    np.testing.assert_array_equal(alone.predict_proba(wine[0]), ours.predict_proba(wine[0]))
    assert ours.cv_results_["rank_test_score"][ours.best_index_] == 1
    assert set(pd.DataFrame(ours.cv_results_).columns) >= {"param_l1", "mean_test_score", "n_resources", "iter"}


def test_halving_saves_epochs_and_its_survivors_are_solo_fits(wine, ours):
    cv = StratifiedKFold(3)
    search = cr.SearchCV(estimator(), GRID, cv=cv, scoring="neg_log_loss", n_jobs=2).fit(*wine)
    results = search.cv_results_
    assert results["n_resources"].sum() < 0.6 * ours.cv_results_["n_resources"].sum()
    assert sorted(set(results["iter"])) == [1, 2, 3, 4]
    assert search.best_score_ >= ours.best_score_ - 0.05
    for k, (train, _) in enumerate(cv.split(*wine)):
        place = ours.cv_results_["params"].index(search.best_params_)
        assert results[f"split{k}_test_score"][search.best_index_] == ours.cv_results_[f"split{k}_test_score"][place]
        assert len(train) < 178


def test_linear_models_and_weights():
    X, y = load_diabetes(return_X_y=True)
    w = np.random.default_rng(0).integers(1, 3, len(y))
    cv = KFold(4)
    search = cr.SearchCV(cr.LinearRegression(), {"l2": [1e-6, 1e-4, 1e-2]}, cv=cv).fit(X, y, sample_weight=w)
    for k, l2 in enumerate([1e-6, 1e-4, 1e-2]):
        for fold, (a, b) in enumerate(cv.split(X)):
            ridge = Ridge(alpha=l2 * w[a].sum(), solver="svd").fit(X[a], y[a], w[a])
            score = search.cv_results_[f"split{fold}_test_score"][k]
            assert score == pytest.approx(ridge.score(X[b], y[b], w[b]), abs=1e-6)


@pytest.mark.parametrize("choose", [lambda: cr.SearchCV(cr.LinearRegression(), {"l2": [1e-4, 1e-2, 1.0]}, cv=4),
                                    lambda: cr.PathCV(cr.LinearRegression(), n_strengths=10, cv=4)])  # fmt: skip
def test_a_row_of_weight_zero_is_no_row_of_a_fold(choose):
    X, y = load_diabetes(return_X_y=True)
    w = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    wild = np.where(w == 0, 1e6, y)
    one, other = choose().fit(X, wild, sample_weight=w), choose().fit(X[w > 0], y[w > 0], sample_weight=w[w > 0])
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    if isinstance(one, cr.PathCV):
        np.testing.assert_array_equal(one.loss_path_, other.loss_path_)
    else:
        np.testing.assert_array_equal(one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"])


def test_weights_of_rows_that_a_list_of_folds_numbers():
    X, y = load_diabetes(return_X_y=True)
    w = np.arange(len(y)) % 2
    wild = np.where(w == 0, 1e6, y)
    folds = list(KFold(3).split(X))
    model = cr.SearchCV(cr.LinearRegression(), {"l2": [1e-4, 1e-2]}, cv=folds).fit(X, wild, sample_weight=w)
    a, b = folds[0]
    alone = cr.LinearRegression(l2=1e-4).fit(X[a], wild[a], sample_weight=w[a])
    expected = alone.score(X[b], wild[b], sample_weight=w[b])
    assert model.cv_results_["split0_test_score"][0] == pytest.approx(expected, rel=1e-12)


def test_a_score_without_weights_is_refused():
    X, y = load_diabetes(return_X_y=True)
    search = cr.SearchCV(cr.LinearRegression(), {"l2": [1e-4]}, cv=3, scoring="neg_max_error")
    with pytest.raises(cr.OptionError, match=r"max_error.* takes no sample_weight"):
        search.fit(X, y, sample_weight=np.ones(len(y)))
    search.fit(X, y)


def test_trials_are_calibrated_as_fits_are(wine):
    est = estimator().set_params(calibrate="scale")
    space = {"learning_rate_init": [1e-3, 1e-2]}
    options = {"cv": StratifiedKFold(3), "scoring": "neg_log_loss"}
    search = cr.SearchCV(est, space, factor=None, **options).fit(*wine)
    theirs = GridSearchCV(est, space, **options).fit(*wine)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


def test_ensembles_are_searched_as_single_networks_and_refitted_whole():
    X, y = load_breast_cancer(return_X_y=True)
    est = cr.FeedForwardClassifier((8,), n_members=2, embedding="piecewise", random_state=0, max_iter=10)
    search = cr.SearchCV(est, {"learning_rate_init": [1e-5, 1e-2]}, cv=3, n_trials=2).fit(X, y)
    assert search.best_params_ == {"learning_rate_init": 1e-2}
    assert len(search.best_estimator_.trainings_) == 2
    alone = clone(est).set_params(n_members=1, learning_rate_init=1e-2)
    train, test = next(StratifiedKFold(3).split(X, y))
    assert alone.fit(X[train], y[train]).score(X[test], y[test]) == search.cv_results_["split0_test_score"][1]


def test_trials_are_drawn(wine):
    draw = [cr.SearchCV(estimator(), GRID, n_trials=5, random_state=s)._settings(estimator()) for s in (0, 0, 1)]
    assert len(draw[0]) == 5
    assert draw[0] == draw[1] != draw[2]


@pytest.mark.parametrize(
    ("est", "space", "message"),
    [
        (estimator(), {"n_members": [1, 5]}, "cannot search 'n_members'; it can output, loss"),
        (
            cr.LinearRegression(),
            {"batch_size": [1]},
            "'batch_size'; it can fit_intercept, standardize, l1",
        ),
        (estimator(), {"l1": []}, "must be a list of values"),
        (estimator(), {"activation": "relu"}, "must be a list of values"),
        (estimator(), {"l1": [-1.0]}, "l1 must be a number >= 0"),
        (Ridge(), {"alpha": [1.0]}, "got a Ridge"),
    ],
)
def test_what_cannot_be_searched_is_refused(wine, est, space, message):
    with pytest.raises(OptionError, match=message):
        cr.SearchCV(est, space).fit(*wine)


def test_settings_that_change_the_encoding(monkeypatch):
    """Every trial is what GridSearchCV fits, and trials that differ in nothing else share their folds."""
    X, y = load_wine(return_X_y=True)
    y = np.where(y == 2, "c", np.where(y == 1, "b", "a"))
    est = cr.FeedForwardClassifier((8,), n_members=1, embedding="none", max_iter=15, random_state=0, batch_size=16)
    grid = {
        "class_weight": [None, "balanced", {"a": 5.0, "b": 1.0, "c": 0.1}],
        "dtype": ["float32", "float64"],
        "learning_rate_init": [1e-3, 1e-2],
    }
    made = []
    fold = search._fold
    monkeypatch.setattr(search, "_fold", lambda *args: made.append(args) or fold(*args))
    ours = cr.SearchCV(est, grid, cv=3, factor=None, scoring="neg_log_loss").fit(X, y)
    assert len(made) == 3 * 6
    theirs = GridSearchCV(est, grid, cv=3, scoring="neg_log_loss").fit(X, y)
    for result in (ours.cv_results_, theirs.cv_results_):
        result["order"] = sorted(range(12), key=lambda k, r=result: str(sorted(r["params"][k].items())))
    mine, yours = (r["mean_test_score"][r["order"]] for r in (ours.cv_results_, theirs.cv_results_))
    np.testing.assert_allclose(mine, yours, rtol=1e-12)
    assert ours.best_params_ == theirs.best_params_


def test_outputs_are_searched():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = X[:, 0] + 0.3 * rng.standard_t(2, size=400)
    est = cr.FeedForwardRegressor((8,), n_members=1, max_iter=60, random_state=0)
    found = cr.SearchCV(est, {"output": ["gaussian", "student_t"]}, cv=3, scoring=likelihood).fit(X, y)
    assert found.best_params_ == {"output": "student_t"}
    assert type(found.best_estimator_.model_.output).__name__ == "StudentT"


def likelihood(estimator, X, y):
    return estimator.predict_dist(X).logpdf(y).mean()
