"""Penalty paths and their cross-validation against scikit-learn's and glmnet's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LassoCV, enet_path, lasso_path
from sklearn.linear_model import LogisticRegression as Logistic
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.errors import OptionError

#: glmnet's coefficients (n rows, columns, alpha, lambda, coefficients), as stored by statsmodels 0.15 in
#: regression/tests/results/glmnet_r_results.py for data that its generate_lasso.py draws
GLMNET = [
    [100, 5, 0.5, 0.2143504, 0.0, -0.4132961, 0.3222149, 0.0, 0.3262246],
    [100, 5, 0.5, 0.02094225, -0.00787628, -0.5466386, 0.4728884, 0.0106367, 0.4627422],
    [100, 5, 1.0, 0.1176247, 0.0, -0.4469856, 0.3513112, 0.0, 0.3519996],
    [100, 5, 1.0, 0.01261251, -0.00600524, -0.5501652, 0.4761259, 0.009292623, 0.4655236],
    [200, 5, 0.5, 0.06810473, 0.0, -0.4912754, 0.4492343, 0.0, 0.4280285],
    [200, 5, 1.0, 0.01343095, 0.0, -0.5276608, 0.4907892, -0.005343287, 0.4641237],
    [300, 5, 0.5, 0.02045795, 0.01744528, -0.5021737, 0.4881574, -0.007930221, 0.4878982],
    [300, 5, 1.0, 0.03762605, 0.0, -0.4782089, 0.4633918, 0.0, 0.4639368],
    [300, 5, 1.0, 0.01232084, 0.01578941, -0.5051176, 0.4915133, -0.005703398, 0.4910846],
]


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return (X - X.mean()) / X.std(), y


@pytest.mark.parametrize("l1_ratio", [None, 0.5, 0.05])
def test_lasso_and_elastic_net_paths(diabetes, l1_ratio):
    X, y = diabetes
    path = cr.penalty_path(cr.LinearRegression(), X, y, l1_ratio=l1_ratio)
    options = {"tol": 1e-14, "max_iter": 10**6}
    if l1_ratio is None:
        alphas, theirs, _ = lasso_path(X - X.mean(), y - y.mean(), **options)
    else:
        alphas, theirs, _ = enet_path(X - X.mean(), y - y.mean(), l1_ratio=l1_ratio, **options)
    np.testing.assert_allclose(path.strengths, alphas, rtol=1e-12)
    scale = X.std().to_numpy()  # coefficients of standardised columns; theirs are no more exact than that
    np.testing.assert_allclose(path.coef * scale, theirs.T * scale, atol=1e-6)
    np.testing.assert_array_equal(path.coef == 0.0, theirs.T == 0.0)
    np.testing.assert_allclose(path.intercept, y.mean() - path.coef @ X.mean().to_numpy(), rtol=1e-9)
    assert path.residuals.max() <= 1e-10


@pytest.mark.parametrize("reference", GLMNET)
def test_glmnet(reference):
    n, p, share, strength = int(reference[0]), int(reference[1]), *reference[2:4]
    rng = np.random.RandomState(83423)
    x = rng.normal(size=(300, 5))
    y = x @ np.array([0.0, -1.0, 1.0, 0.0, 1.0]) + rng.normal(size=300)
    data = np.around(100 * np.column_stack([y, x]))[:n, : p + 1]
    data = (data - data.mean(axis=0)) / data.std(axis=0, ddof=1)
    y, X = data[:, 0], data[:, 1:]
    # glmnet divides y by its standard deviation (of n, not n - 1), and the ridge part of its strength with it
    path = cr.penalty_path(cr.LinearRegression(l2=strength * (1 - share) / y.std()), X, y, strengths=[share * strength])
    np.testing.assert_allclose(path.coef[0], reference[4:], atol=3e-6)  # glmnet's own precision


def test_lasso_cv(diabetes):
    X, y = diabetes
    ours = cr.PathCV(cr.LinearRegression()).fit(X, y)
    theirs = LassoCV(alphas=100, tol=1e-12, max_iter=10**6).fit(X, y)
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_)
    np.testing.assert_allclose(ours.loss_path_, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.best_estimator_.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y))
    wide = cr.PathCV(cr.LinearRegression(), rule="one_se").fit(X, y)
    limit = ours.mean_loss_.min() + ours.std_error_[ours.mean_loss_.argmin()]
    assert wide.alpha_ == max(wide.alphas_[wide.mean_loss_ <= limit]) > ours.alpha_
    assert wide.dropped_ == [c for c, v in zip(X.columns, wide.best_estimator_.coef_, strict=True) if v == 0.0]
    assert len(wide.dropped_) > len(ours.dropped_)


def test_logistic_path_is_liblinears_and_sagas(cancer):
    X, y = cancer
    path = cr.penalty_path(cr.LogisticRegression(l2=0.0), X, y, strengths=[0.1, 0.03, 0.01])
    for k, strength in enumerate(path.strengths):
        saga = Logistic(C=1 / (strength * len(y)), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=10**5).fit(X, y)
        np.testing.assert_allclose(path.coef[k], saga.coef_[0], atol=2e-6)
        np.testing.assert_array_equal(path.coef[k] == 0.0, saga.coef_[0] == 0.0)
    # liblinear penalises the intercept too; without one it is the same problem
    bare = cr.penalty_path(cr.LogisticRegression(l2=0.0, fit_intercept=False), X, y, strengths=[0.03])
    theirs = Logistic(
        C=1 / (0.03 * len(y)), l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=10**5
    ).fit(X, y)
    np.testing.assert_allclose(bare.coef[0], theirs.coef_[0], atol=1e-6)
    assert bare.intercept[0] == 0.0


def test_the_largest_strength_is_exact_in_the_datas_own_units(cancer):
    X, y = cancer
    X = X * np.geomspace(0.01, 100, X.shape[1])
    path = cr.penalty_path(cr.LogisticRegression(l2=0.0), X, y, n_strengths=3)
    slope = np.abs(X.to_numpy().T @ (y - y.mean()) / len(y)).max()
    assert path.largest == pytest.approx(slope, rel=1e-12)
    below = cr.penalty_path(cr.LogisticRegression(l2=0.0), X, y, strengths=[path.largest * (1 - 1e-6)])
    assert not path.coef[0].any()
    assert np.count_nonzero(below.coef) == 1


def test_cross_validated_logistic_regression(cancer):
    X, y = cancer
    cv = KFold(3, shuffle=True, random_state=0)
    model = cr.PathCV(cr.LogisticRegression(l2=0.0), rule="one_se", n_strengths=30, cv=cv).fit(X, y)
    at = 20
    for k, (train, test) in enumerate(cv.split(X)):  # the same as fits one by one
        alone = cr.LogisticRegression(l1=model.alphas_[at], l2=0.0).fit(X.iloc[train], y.iloc[train])
        p = alone.predict_proba(X.iloc[test])[np.arange(len(test)), y.iloc[test]]
        assert model.loss_path_[at, k] == pytest.approx(-np.log(p).mean(), rel=1e-6)
    np.testing.assert_allclose(
        model.best_estimator_.coef_[0], model.coef_path_[model.path_.nearest(model.alpha_)], atol=1e-6
    )
    assert model.predict_proba(X).shape == (569, 2)
    assert model.score(X, y) > 0.95
    assert 15 < len(model.dropped_) < 30


@pytest.mark.parametrize("standardize", [True, False])
def test_groups_of_text_and_classes_leave_together(standardize):
    """All weights of a raw column, over its categories and classes, are zero at once; a fit is a point of the path."""
    X, y = load_wine(return_X_y=True, as_frame=True)
    rng = np.random.default_rng(0)
    X = X.iloc[:, :5].assign(town=rng.choice(["U", "B", "K"], len(y)), size=np.array(["S", "M", "L"])[y])
    est = cr.LogisticRegression(l2=0.0, standardize=standardize)
    path = cr.penalty_path(est, X, y, "group_l1", n_strengths=20)
    for k, strength in enumerate(path.strengths):
        zero = path.sizes[k] == 0.0
        for c in range(len(path.columns)):
            assert (
                zero[path.column_of == c].all() or not (path.coef[k][:, path.column_of == c] == 0.0).all(axis=1).any()
            )
        if k % 6 == 3:
            alone = clone(est).set_params(group_l1=strength).fit(X, y)
            np.testing.assert_allclose(alone.coef_, path.coef[k], atol=1e-5)
            assert alone.optimality_residual_ <= 1e-9
    assert path.dropped(path.strengths[0]) == list(X.columns)
    assert "town" in path.dropped(path.strengths[8])
    if standardize:
        assert path.entered[0][0].startswith("size=")


def test_ridge_paths(diabetes):
    X, y = diabetes
    path = cr.penalty_path(cr.LinearRegression(), X, y, "l2", strengths=[1e-3, 1.0, 1e-5])
    assert path.strengths.tolist() == [1.0, 1e-3, 1e-5]
    for strength, coef in zip(path.strengths, path.coef, strict=True):
        np.testing.assert_allclose(coef, cr.LinearRegression(l2=strength).fit(X, y).coef_, rtol=1e-6)
    model = cr.PathCV(cr.LinearRegression(), "l2", cv=3).fit(X, y)
    assert model.mean_loss_[0] > model.mean_loss_.min() < model.mean_loss_[-1]


def test_weights_are_repetitions(diabetes):
    X, y = diabetes
    w = np.random.default_rng(0).integers(0, 4, len(y))
    one = cr.penalty_path(cr.LinearRegression(), X, y, n_strengths=10, sample_weight=w)
    other = cr.penalty_path(cr.LinearRegression(), X.loc[np.repeat(y.index, w)], np.repeat(y, w), n_strengths=10)
    np.testing.assert_allclose(one.coef, other.coef, atol=1e-6)


@pytest.mark.parametrize("penalty", ["group_l1", "l1"])
def test_deep_paths_drop_what_is_noise(penalty):
    """y depends on two of six inputs, not linearly; they are the last to leave, and zeros are exact."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((300, 6)), columns=list("abcdef"))
    y = np.abs(X["b"]) + X["e"] ** 2 / 2 + 0.1 * rng.standard_normal(300)
    est = cr.FeedForwardRegressor((12,), n_members=1, random_state=0, max_iter=60, learning_rate_init=0.01)
    path = cr.penalty_path(est, X, y, penalty, n_strengths=14)
    assert path.deep
    assert not path.sizes[0].any()
    assert path.dropped(path.strengths[0]) == list("abcdef")
    assert {name for name, _ in path.entered[:2]} == {"b", "e"}
    some = next(k for k in range(14) if np.count_nonzero(path.sizes[k]) >= 2)
    assert set("acdf") & set(path.dropped(path.strengths[some]))
    assert np.isfinite(path.residuals).all()
    assert path.losses[0] > path.losses[-1]


def test_deep_cross_validation_ends_where_the_path_was():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    y = (np.abs(X[:, 1]) > 0.7).astype(int)
    est = cr.FeedForwardClassifier((8,), n_members=1, random_state=3, max_iter=30, learning_rate_init=0.01)
    model = cr.PathCV(est, "group_l1", strengths=[0.001, 0.01, 0.1], cv=3, n_jobs=2).fit(X, y)
    assert model.loss_path_.shape == (3, 3)
    place = model.path_.nearest(model.alpha_)
    norms = np.linalg.norm(model.best_estimator_.coefs_[0], axis=1)
    np.testing.assert_array_equal(norms, model.coef_path_[place])  # the same way, the same bits
    assert model.mean_loss_[place] < model.mean_loss_[0] or place == 0
    assert model.predict(X).shape == (200,)


def test_table_and_order_of_entry(diabetes):
    X, y = diabetes
    path = cr.penalty_path(cr.LinearRegression(), X, y)
    lines = path.table().splitlines()
    assert [line.split()[1] for line in lines[1:]] == [name for name, _ in path.entered]
    assert lines[1].split()[1] == "bmi"
    short = cr.penalty_path(cr.LinearRegression(), X, y, ratio=0.5)
    assert short.table().splitlines()[-1].startswith("never: age, ")


def test_a_meta_estimator_like_any(diabetes):
    X, y = diabetes
    model = cr.PathCV(cr.LinearRegression(), n_strengths=5, cv=3)
    assert clone(model).get_params()["estimator__l1"] == 0.0
    pipe = make_pipeline(StandardScaler(), model).fit(X, y)
    assert pipe.score(X, y) > 0.4
    assert not hasattr(model, "predict_proba")
    assert hasattr(cr.PathCV(cr.LogisticRegression()), "predict_proba")
    assert pipe[-1].predict_interval(StandardScaler().fit_transform(X), 0.5).shape == (442, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "l3"}, "penalty must be one of"),
        ({"n_strengths": 1}, "n_strengths must be a whole number >= 2"),
        ({"ratio": 0.0}, "ratio must lie in"),
        ({"l1_ratio": 2.0}, "l1_ratio must lie in"),
        ({"penalty": "l2", "l1_ratio": 0.5}, "goes with penalty='l1'"),
        ({"strengths": [1.0, -1.0]}, "numbers larger than 0"),
        ({"rule": "two_se"}, "rule must be"),
    ],
)
def test_what_makes_no_sense_is_refused(diabetes, options, message):
    with pytest.raises(OptionError, match=message):
        cr.PathCV(cr.LinearRegression(), **options).fit(*diabetes)


def test_two_kinks_at_once_are_refused(diabetes):
    X, y = diabetes
    with pytest.raises(OptionError, match="not both"):
        cr.penalty_path(cr.LinearRegression(l1=0.1), X, y, "group_l1")
    with pytest.raises(OptionError, match="not both"):
        cr.penalty_path(cr.FeedForwardRegressor((3,), l1=0.1), X, y, "group_l1")
    with pytest.raises(OptionError, match="not both"):
        cr.LinearRegression(l1=0.1, group_l1=0.1).fit(X, y)


@pytest.mark.parametrize("what", ["training", "test"])
def test_a_fold_without_weight_is_named(what):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    places = np.arange(60)
    weights = np.where((places < 20) | (places >= 40), 1.0, 0.0)
    fold = (places[20:40], places[:20]) if what == "training" else (places[:20], places[20:40])
    folds = [(places[:40], places[40:]), fold]
    for model in (
        cr.PathCV(cr.LinearRegression(), n_strengths=4, cv=folds),
        cr.SearchCV(cr.LinearRegression(), {"l1": [0.1, 0.2]}, cv=folds),
    ):
        with pytest.raises(OptionError, match=f"zero for every {what} row of fold 1; leave that fold out"):
            model.fit(x, y, sample_weight=weights)
