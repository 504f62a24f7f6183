"""Every parameter is checked by its own name."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

import chainrule as cr
from chainrule.estimators.parameters import seed_of_state, threads_of

X, y = load_diabetes(return_X_y=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random_state": -1}, "random_state must be None, a whole number >= 0, or a generator .* got -1"),
        ({"random_state": "x"}, "random_state must be"),
        ({"random_state": True}, "random_state must be"),
        ({"early_stopping": "yes"}, "early_stopping must be True, False or 'auto', got 'yes'"),
        ({"validation_fraction": "x"}, r"validation_fraction must lie in \[0, 1\), got 'x'"),
        ({"validation_fraction": -0.1}, "validation_fraction must lie in"),
        ({"validation_fraction": 0.0, "early_stopping": True}, "of n_samples=442, which is none"),
        ({"learning_rate_init": "x"}, "learning_rate_init must be a number >= 0, got 'x'"),
        ({"learning_rate_init": 0}, "learning_rate_init must be larger than 0"),
        ({"learning_rate_init": 1e300}, r"the learning rate is 1e\+300, which float32 cannot hold"),
        ({"l2": 1e300}, r"l2 is 1e\+300, which float32 cannot hold"),
        ({"shuffle": "no"}, "shuffle must be True or False, got 'no'"),
        ({"warm_start": "yes"}, "warm_start must be True or False, got 'yes'"),
        ({"verbose": "yes"}, "verbose must be True or False, got 'yes'"),
        ({"network": 5}, "network must be a cr.Network or None, got 5"),
        ({"hidden_layer_sizes": 0}, "hidden layer 1 must be a whole number of units >= 1.* got 0"),
        ({"hidden_layer_sizes": "64"}, "hidden layer 1 .* got '64'"),
        ({"n_jobs": 0}, "n_jobs must be None, a number of threads >= 1, or -1 for all cores, got 0"),
        ({"n_jobs": 1.5}, "n_jobs must be"),
        ({"n_members": 0}, "n_members must be a whole number >= 1, got 0"),
        ({"n_members": 1001}, "n_members must be at most 1000, got 1001"),
        ({"max_iter": 0}, "max_iter must be a whole number >= 1, got 0"),
    ],
)
def test_refusals(options, message):
    for call in ("fit", "partial_fit"):
        if "early_stopping" in options and call == "partial_fit":
            continue
        with pytest.raises(cr.OptionError, match=message):
            getattr(cr.FeedForwardRegressor(**options), call)(X, y)


def test_rows_too_few_to_hold_out():
    with pytest.raises(cr.OptionError, match=r"early_stopping=True holds out validation_fraction=0.1 of n_samples=3"):
        cr.FeedForwardRegressor(early_stopping=True).fit(X[:3], y[:3])
    assert cr.FeedForwardRegressor(max_iter=2).fit(X[:3], y[:3]).validation_loss_curve_ is None


def test_weights_that_vanish_beside_the_largest():
    weights = np.where(np.arange(len(y)) == 0, 1e300, 1.0)
    with pytest.raises(cr.OptionError, match="too small beside the largest in float32"):
        cr.FeedForwardRegressor(random_state=0).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("other", [None, 3, 1.5, np.float64("nan"), b"c"])
def test_labels_of_several_kinds(other):
    for model in (cr.LogisticRegression(), cr.FeedForwardClassifier()):
        with pytest.raises(cr.OptionError, match=r"y is .* in row 5 and str before it; give labels of one type"):
            model.fit(X[:6], ["a", np.str_("b"), "a", "b", "a", other])


def test_more_parameters_than_memory():
    sizes = (10_000_000, 10_000_000)
    with pytest.raises(
        MemoryError, match=r"memory for the network's 100,000,1.* parameters; use smaller hidden layers"
    ):
        cr.FeedForwardRegressor(sizes, embedding="none").fit(X, y)


def test_targets():
    with pytest.raises(cr.OptionError, match="y_val has 2 target columns, y has 1"):
        cr.FeedForwardRegressor().fit(X, y, X_val=X, y_val=np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"y contains one class only \(0\); a classifier"):
        cr.FeedForwardClassifier().fit(X, np.zeros(len(y), int))
    for model in (cr.LinearRegression(), cr.FeedForwardRegressor()):
        with pytest.raises(cr.OptionError, match=r"y is -3e\+300 in row 7; numbers beyond 1e\+150 .* divide y by"):
            model.fit(X, np.where(np.arange(len(y)) == 7, -3e300, y))


def test_class_weights():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(cr.OptionError, match=r"class_weight must be None, 'balanced' or a dict .* got 'even'"):
        cr.FeedForwardClassifier(class_weight="even").fit(X, y)
    with pytest.raises(cr.OptionError, match="class_weight of 1 must be a number >= 0, got -2"):
        cr.LogisticRegression(class_weight={1: -2}).fit(X, y)


def test_class_weights_count_on_own_validation_rows_too():
    X, y = load_iris(return_X_y=True)
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "class_weight": {0: 1.0, 1: 0.0, 2: 0.0}}
    model = cr.FeedForwardClassifier(**options).fit(X, y, X_val=X[::2], y_val=y[::2])
    first = cr.FeedForwardClassifier(**options).fit(X, y, X_val=X[:50:2], y_val=y[:50:2])
    np.testing.assert_allclose(model.validation_loss_curve_, first.validation_loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e300, 1e-300])
@pytest.mark.parametrize("make", [cr.LinearRegression, lambda: cr.FeedForwardRegressor(max_iter=3, random_state=0)])
def test_only_proportions_of_sample_weights_count(make, factor):
    w = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    np.testing.assert_allclose(
        make().fit(X, y, sample_weight=factor * w).predict(X), make().fit(X, y, sample_weight=w).predict(X), rtol=1e-4
    )


def test_seeds():
    assert seed_of_state(7) == 7
    assert seed_of_state(np.random.default_rng(0)) == seed_of_state(np.random.default_rng(0))
    assert seed_of_state(np.random.RandomState(0)) == seed_of_state(np.random.RandomState(0))
    assert seed_of_state(None) >= 0


def test_threads():
    assert threads_of(None) is None
    assert threads_of(3) == 3
    assert threads_of(-1) >= 1
    assert threads_of(-1000) == 1


@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_bits_do_not_depend_on_n_jobs(n_jobs):
    options = {"hidden_layer_sizes": (64, 64), "max_iter": 3, "n_members": 3, "n_starts": 2, "random_state": 0}
    one = cr.FeedForwardRegressor(**options).fit(X, y)
    other = cr.FeedForwardRegressor(**options, n_jobs=n_jobs).fit(X, y)
    for a, b in zip(one.model_.members, other.model_.members, strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
    assert one.loss_curve_ == other.loss_curve_


def test_what_goes_wrong_side_by_side_is_told():
    with pytest.raises(cr.DivergenceError, match="training diverged in epoch"):
        cr.FeedForwardRegressor(optimizer=cr.SGD(1e6), n_members=3, n_jobs=2, random_state=0).fit(X, y)


def absolute(raw, y):
    return np.abs(raw[:, 0] - y[:, 0])


@pytest.mark.parametrize("output", [cr.Gaussian(), "student_t", cr.GaussianMixture(2)])
def test_a_loss_must_train_all_that_the_output_predicts(output):
    with pytest.raises(cr.OptionError, match=r"the loss does not depend on raw\[:, 1\], one of the . raw outputs of"):
        cr.FeedForwardRegressor(loss=absolute, output=output).fit(X, y)


@pytest.mark.parametrize("output", ["gaussian", "auto", cr.Gaussian(variance="constant")])
def test_the_width_is_then_that_of_the_residuals(output):
    options = {"max_iter": 100, "n_members": 1, "early_stopping": False, "random_state": 0}
    model = cr.FeedForwardRegressor(loss=absolute, output=output, **options)
    residual = y - model.fit(X, y).predict(X)
    np.testing.assert_allclose(model.predict_dist(X).std(), np.sqrt(np.mean(residual**2)), rtol=1e-4)


def test_a_loss_that_reads_all_is_taken():
    gaussian = cr.Gaussian()
    one = cr.FeedForwardRegressor((8,), loss=gaussian.nll, output=gaussian, max_iter=3, random_state=0).fit(X, y / 100)
    assert np.ptp(one.predict_dist(X).std()) > 0
    X2, classes = load_iris(return_X_y=True)
    brier = cr.FeedForwardClassifier((8,), loss=lambda r, y: (r[:, 0] - y[:, 0]) ** 2, max_iter=2)
    with pytest.raises(cr.OptionError, match=r"does not depend on raw\[:, 1\]"):
        brier.fit(X2, classes)
    assert brier.fit(X2, classes > 0).n_iter_ == 2


def test_frames_with_equal_names():
    frame = pd.DataFrame(X[:, :2], columns=["a", "a"])
    with pytest.raises(cr.TableError, match="two columns named 'a'"):
        cr.FeedForwardRegressor().fit(frame, y)


def test_a_validation_fraction_of_zero_holds_nothing_out():
    options = {"n_members": 1, "max_iter": 2, "random_state": 0, "embedding": "none"}
    assert cr.FeedForwardRegressor(validation_fraction=0.0, **options).fit(X, y).validation_loss_curve_ is None
    assert cr.FeedForwardRegressor(**options).fit(X, y).validation_loss_curve_ is not None


def test_a_loss_that_is_never_finite():
    with pytest.raises(cr.OptionError, match="the loss is not finite for raw outputs of the target's size"):
        cr.FeedForwardRegressor(loss=lambda raw, y: np.log(raw[:, 0] - 1e9)).fit(X, y)
