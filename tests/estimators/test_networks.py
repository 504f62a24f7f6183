"""The feed-forward estimators: every output against simulated truth, options, weights, files, frames."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.learn.training import Training


def bishop(n, seed):
    """Bishop (1994), "Mixture density networks", §5: x = t + 0.3 sin 2πt + U(-0.1, 0.1), and t is wanted."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(size=n)
    return (t + 0.3 * np.sin(2 * np.pi * t) + rng.uniform(-0.1, 0.1, size=n))[:, None], t


def test_inverse_problem_needs_a_mixture():
    X, t = bishop(10000, 0)
    X_test, t_test = bishop(20000, 1)

    def nll(output):
        options = {"batch_size": 256, "learning_rate_init": 1e-2, "l2": 0.0, "random_state": 0, "max_iter": 1000}
        options |= {"n_members": 1, "embedding": "none", "activation": "tanh"}
        model = cr.FeedForwardRegressor((64, 64), output=output, n_iter_no_change=30, **options).fit(X, t)
        return -np.mean(model.predict_dist(X_test).logpdf(t_test))

    assert -1.282 - 0.02 < nll(cr.GaussianMixture(10)) <= -1.15  # the optimum is -1.282
    assert nll(cr.Gaussian()) > -0.66  # the best single Gaussian has -0.655


def simulated(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(n, 2))


def test_gaussian_learns_mean_and_variance():
    rng, X = simulated(3000)
    sigma = np.exp(0.5 * X[:, 1])
    y = 50 + 10 * np.sin(X[:, 0]) + sigma * rng.normal(size=len(X))
    d = cr.FeedForwardRegressor(random_state=0).fit(X, y).predict_dist(X)
    assert np.sqrt(np.mean((d.mean() - 50 - 10 * np.sin(X[:, 0])) ** 2)) < 0.6
    assert np.corrcoef(np.log(d.std()), np.log(sigma))[0, 1] > 0.95
    inside = (d.interval(0.9)[:, 0] < y) & (y < d.interval(0.9)[:, 1])
    assert 0.87 < inside.mean() < 0.93


def test_poisson_learns_the_rate():
    rng, X = simulated()
    rate = np.exp(1 + 0.8 * X[:, 0])
    model = cr.FeedForwardRegressor(output="poisson", random_state=0).fit(X, rng.poisson(rate))
    assert np.corrcoef(np.log(model.predict(X)), np.log(rate))[0, 1] > 0.98


@pytest.mark.parametrize("output", ["laplace", "student_t", "mixture"])
def test_other_numeric_outputs(output):
    rng, X = simulated(800)
    y = 3 * X[:, 0] + rng.standard_t(3, size=len(X))
    model = cr.FeedForwardRegressor(output=output, max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.6
    d = model.predict_dist(X)
    assert np.isfinite(d.logpdf(y)).all()
    assert 0.84 < np.mean((d.cdf(y) > 0.05) & (d.cdf(y) < 0.95)) < 0.96


def test_quantile_output():
    rng, X = simulated(3000)
    y = X[:, 0] + (1 + X[:, 1] ** 2) * rng.normal(size=len(X))
    model = cr.FeedForwardRegressor(output=cr.Quantile([0.1, 0.5, 0.9]), random_state=0).fit(X, y)
    q = model.predict_quantiles(X, [0.1, 0.5, 0.9])
    np.testing.assert_allclose((y[:, None] <= q).mean(axis=0), [0.1, 0.5, 0.9], atol=0.03)
    np.testing.assert_array_equal(model.predict(X), q[:, 1])


def test_two_numeric_targets():
    _, X = simulated(800)
    Y = np.stack([10 * X[:, 0], 1e4 + 1e3 * X[:, 1] ** 2], axis=1)
    model = cr.FeedForwardRegressor(random_state=0).fit(X, Y)
    assert model.predict(X).shape == (800, 2)
    assert model.score(X, Y) > 0.95
    assert model.predict_interval(X).shape == (800, 2, 2)


def test_vector_of_binary_targets():
    _, X = simulated(800)
    Y = np.stack([X[:, 0] > 0, X.sum(axis=1) > 0, X[:, 1] > 1], axis=1).astype(int)
    model = cr.FeedForwardClassifier(random_state=0).fit(X, Y)
    assert model.predict_proba(X).shape == (800, 3)
    assert (model.predict(X) == Y).mean() > 0.95


def test_classes_are_probabilities():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = cr.FeedForwardClassifier(random_state=0).fit(X, names)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(X, names) > 0.95
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])


def test_better_than_linear_where_the_world_is_not():
    X, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(cr.FeedForwardClassifier(random_state=0), X, y, cv=2).mean() > 0.95
    _, X = simulated()
    y = np.sin(2 * X[:, 0]) * X[:, 1]
    network = cr.FeedForwardRegressor(random_state=0).fit(X, y)
    assert network.score(X, y) > 0.9 > 0.2 > cr.LinearRegression().fit(X, y).score(X, y)


def test_own_validation_rows_and_both_curves():
    X, y = load_diabetes(return_X_y=True)
    own = {"X_val": X[300:], "y_val": y[300:]}
    model = cr.FeedForwardRegressor(n_members=1, random_state=0).fit(X[:300], y[:300], **own)
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    held = -np.mean(model.predict_dist(X[300:]).logpdf(y[300:]))
    np.testing.assert_allclose(held, min(model.validation_loss_curve_), rtol=1e-4)  # in the target's own units
    np.testing.assert_allclose(held, model.best_loss_, rtol=1e-4)
    with pytest.raises(cr.OptionError, match="X_val and y_val go together"):
        model.fit(X, y, X_val=X)


def test_ensembles_mix_their_members():
    X, y = load_diabetes(return_X_y=True)
    one = cr.FeedForwardRegressor(max_iter=20, n_members=1, embedding="none", random_state=0).fit(X, y)
    five = cr.FeedForwardRegressor(max_iter=20, n_members=5, embedding="none", random_state=0).fit(X, y)
    assert len(five.model_.members) == 5
    np.testing.assert_array_equal(one.model_.members[0].theta, five.model_.members[0].theta)
    means = [replace_members(five, [m]).mean() for m in five.model_.members]
    np.testing.assert_allclose(five.predict(X[:10]), np.mean(means, axis=0)[:10], rtol=1e-6)


def replace_members(estimator, members):
    from dataclasses import replace

    X, _ = load_diabetes(return_X_y=True)
    return replace(estimator.model_, members=tuple(members)).predict(X)


def test_same_random_state_same_bits():
    X, y = load_iris(return_X_y=True)
    fits = [cr.FeedForwardClassifier(max_iter=5, random_state=7).fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*fits)


def test_warm_start_and_partial_fit_keep_the_state():
    X, y = load_diabetes(return_X_y=True)
    options = {"early_stopping": False, "random_state": 0, "n_iter_no_change": 1000, "batch_size": 32}
    halves = cr.FeedForwardRegressor(max_iter=5, warm_start=True, **options).fit(X, y).fit(X, y)
    whole = cr.FeedForwardRegressor(max_iter=10, **options).fit(X, y)
    np.testing.assert_array_equal(halves.predict(X), whole.predict(X))
    steps = cr.FeedForwardRegressor(**options)
    for _ in range(10):
        steps.partial_fit(X, y)
    np.testing.assert_array_equal(steps.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    ("options", "ended"),
    [({}, 0), ({"learning_rate_init": 0.05, "n_iter_no_change": 4}, 2), ({"early_stopping": False, "tol": 1e-3}, 0)],
)
def test_a_fit_that_came_to_its_limit_goes_on_as_if_it_had_not(options, ended):
    """The best epoch was an earlier one, some members stop by themselves, patience is half used up."""
    X, y = load_diabetes(return_X_y=True)
    options = {"random_state": 1, "embedding": "none", **options}
    halves = cr.FeedForwardRegressor(max_iter=10, warm_start=True, **options).fit(X, y)
    assert "early_stopping" in options or any(t.best_epoch < t.epoch for t in halves.trainings_)
    halves = pickle.loads(pickle.dumps(halves)).fit(X, y)
    whole = cr.FeedForwardRegressor(max_iter=20, **options).fit(X, y)
    assert sum(t.epoch < 20 for t in whole.trainings_) >= ended
    np.testing.assert_array_equal(halves.predict(X), whole.predict(X))
    for a, b in zip(halves.trainings_, whole.trainings_, strict=True):
        assert (a.curves, a.best_epoch, a.best_loss) == (b.curves, b.best_epoch, b.best_loss)


def test_other_rows_or_options_go_on_from_the_best_epoch():
    X, y = load_diabetes(return_X_y=True)
    first = {"max_iter": 10, "warm_start": True, "random_state": 1, "embedding": "none", "n_members": 1}
    for change, rows in (({"l2": 1e-2}, slice(None)), ({}, slice(200))):
        model = cr.FeedForwardRegressor(**first).fit(X, y)
        (training,) = model.trainings_
        assert training.best_epoch < training.epoch == 10
        before = training.theta.copy()
        began = []
        model.set_params(**change)
        run = Training.run

        def watched(self, *args, run=run, began=began, **kwargs):
            began.append(self.theta.copy())
            return run(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Training, "run", watched)
            model.fit(X[rows], y[rows])
        np.testing.assert_array_equal(began[0], before)
        assert training.epoch > 10


def test_class_weights_are_row_weights():
    X, y = load_breast_cancer(return_X_y=True)
    options = {"max_iter": 10, "random_state": 0}
    by_class = cr.FeedForwardClassifier(class_weight={0: 5.0, 1: 1.0}, **options).fit(X, y)
    by_row = cr.FeedForwardClassifier(**options).fit(X, y, sample_weight=np.where(y == 0, 5.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))


def test_data_frames_with_text_and_missing_values(tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "size": rng.normal(100, 20, size=n),
            "town": rng.choice(["Ulm", "Bonn", "Trier"], size=n),
            "old": rng.random(n) < 0.5,
        }
    )
    price = frame["size"] * 2 + frame["town"].map({"Ulm": 0, "Bonn": 50, "Trier": -30}) + 20 * frame["old"]
    frame.loc[::17, "size"] = np.nan
    model = cr.FeedForwardRegressor(random_state=0).fit(frame, price)
    assert list(model.feature_names_in_) == ["size", "town", "old"]
    assert model.score(frame[1:17], price[1:17]) > 0.9
    path = tmp_path / "price.chainrule"
    model.save(path)
    np.testing.assert_array_equal(cr.load(path).predict(frame), model.predict(frame))
    shuffled = frame[["old", "size", "town"]]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(shuffled)


def test_missing_values_in_a_matrix():
    _, X = simulated(600)
    y = X[:, 0] + 2 * np.isnan(np.where(X[:, 1] > 1, np.nan, X[:, 1]))
    X[X[:, 1] > 1, 1] = np.nan
    model = cr.FeedForwardRegressor(random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95  # that a value is missing is information


@pytest.mark.parametrize("members", [1, 2])
def test_save_and_load(tmp_path, members):
    X, y = load_iris(return_X_y=True)
    model = cr.FeedForwardClassifier(
        [cr.Dense(8), cr.BatchNorm(), cr.Maxout(6), cr.Dropout(0.1)], max_iter=10, n_members=members, random_state=0
    ).fit(X, y)
    path = tmp_path / "iris.chainrule"
    model.save(path)
    again = cr.load(path)
    assert type(again) is cr.FeedForwardClassifier
    for rows in (1, 7, 150):
        np.testing.assert_array_equal(again.predict_proba(X[:rows]), model.predict_proba(X[:rows]))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.model_.network == model.model_.network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_estimator_knows_how_it_was_trained(tmp_path, dtype):
    X, y = load_diabetes(return_X_y=True)
    model = cr.FeedForwardRegressor((8,), max_iter=5, random_state=0, dtype=dtype).fit(X, y)
    model.save(tmp_path / "m.chainrule")
    again = cr.load(tmp_path / "m.chainrule")
    for name in ("loss_curve_", "validation_loss_curve_", "n_iter_", "best_loss_", "best_epoch_"):
        assert getattr(again, name) == getattr(model, name), name
    for name in ("stopped_because_", "diagnosis_", "n_outputs_", "n_layers_", "n_features_in_"):
        assert getattr(again, name) == getattr(model, name), name
    assert (again.dtype, again.n_members, again.network) == (dtype, 5, model.model_.network)
    assert model.best_loss_ == min(model.validation_loss_curve_) == model.validation_loss_curve_[model.best_epoch_ - 1]
    again.save(tmp_path / "n.chainrule")
    assert (tmp_path / "n.chainrule").read_bytes() == (tmp_path / "m.chainrule").read_bytes()


def test_many_layers_predict_with_their_own_statistics(tmp_path):
    """Six batch normalisations among twelve layers: "layer10" comes before "layer2" in the order of names."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=200)
    net = cr.Network([layer for _ in range(6) for layer in (cr.Dense(4, "tanh"), cr.BatchNorm())], output=cr.Gaussian())
    est = cr.FeedForwardRegressor(network=net, n_members=1, random_state=0, max_iter=3).fit(X, y, X_val=X, y_val=y)
    assert -est.predict_dist(X).logpdf(y).mean() == pytest.approx(est.best_loss_, rel=1e-5)
    est.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(cr.load(tmp_path / "m.chainrule").predict(X), est.predict(X))


def test_a_unit_of_ones_own_is_saved_as_its_graph(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = cr.FeedForwardClassifier([cr.Dense(8, lambda z: np.sin(z))], max_iter=10, random_state=0).fit(X, y)
    path = tmp_path / "sine.chainrule"
    model.save(path)
    again = cr.load(path)
    assert again.model_.network is None
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_pickle_clone_pipeline_and_search():
    X, y = load_iris(return_X_y=True)
    model = cr.FeedForwardClassifier((8,), max_iter=5, n_members=1, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()
    pipe = make_pipeline(StandardScaler(), clone(model))
    search = GridSearchCV(pipe, {"feedforwardclassifier__batch_size": [8, 150]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.5


def test_learned_features_are_readable():
    X, y = load_iris(return_X_y=True)
    model = cr.FeedForwardClassifier((8, 4), embedding="none", max_iter=5, random_state=0).fit(X, y)
    network, training = model.model_.network, model.trainings_[0]
    pieces = training.layout.unflatten(training.theta)
    hidden = network.hidden(pieces, training.rows.x)
    assert [h.shape[1] for h in hidden] == [4, 8, 4]
    np.testing.assert_array_equal(network.features(pieces, training.rows.x), hidden[-1])
    assert [c.shape for c in model.coefs_] == [(4, 8), (8, 4), (4, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adan"}, "there is no optimizer 'adan'"),
        ({"activation": "relo"}, "there is no unit 'relo'"),
        ({"output": "gausian"}, "there is no output 'gausian'; choose one of bernoulli"),
        ({"output": "bernoulli"}, "is for classes; use FeedForwardClassifier"),
        ({"batch_size": 0}, "batch_size must be a whole number >= 1, got 0"),
        ({"max_iter": 2.5}, "max_iter must be a whole number >= 1, got 2.5"),
        ({"l2": -1.0}, "l2 must be a number >= 0, got -1.0"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64'"),
        ({"hidden_layer_sizes": (8, -1)}, "hidden layer 2 must be a whole number of units >= 1.*got -1"),
        ({"activation": ["relu"], "hidden_layer_sizes": (8, 8)}, "activation has 1 entries for 2 hidden layers"),
        ({"validation_fraction": 1.5, "early_stopping": True}, r"validation_fraction must lie in \[0, 1\), got 1.5"),
    ],
)
def test_bad_parameters(options, message):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(cr.OptionError, match=message):
        cr.FeedForwardRegressor(**options).fit(X, y)


def test_bad_data():
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="infinity"):
        cr.FeedForwardRegressor().fit(np.where(X > 0.1, np.inf, X), y)
    with pytest.raises(ValueError, match="NaN"):
        cr.FeedForwardRegressor().fit(X, np.where(y > 300, np.nan, y))
    with pytest.raises(ValueError, match="one class only"):
        cr.FeedForwardClassifier().fit(X, np.ones(len(y)))
    with pytest.raises(ValueError, match="at least one non-zero"):
        cr.FeedForwardRegressor().fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(cr.TableError, match="poisson"):
        cr.FeedForwardRegressor(output="poisson").fit(X, y - 200)


def test_divergence_is_an_error_and_never_a_nan_model():
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(cr.DivergenceError, match="training diverged in epoch"):
        cr.FeedForwardRegressor(optimizer=cr.SGD(1e6), random_state=0).fit(X, y)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda raw, y: (raw[:, 0] - y) ** 2, r"one number per row, shape \(16,\), got shape \(16, 16\)"),
        (lambda raw, y: np.mean((raw - y) ** 2), r"one number per row, shape \(16,\), got shape \(\)"),
        (lambda raw, y: None, "got nothing"),
        ("mse", "loss must be a function"),
    ],
)
def test_a_loss_is_one_number_per_row(loss, message):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(cr.OptionError, match=message):
        cr.FeedForwardRegressor(loss=loss, batch_size=16).fit(X, y)


def test_quantiles_out_of_range():
    X, y = load_diabetes(return_X_y=True)
    model = cr.FeedForwardRegressor(max_iter=2).fit(X, y)
    with pytest.raises(cr.OptionError, match="quantiles must be numbers between 0 and 1, such as"):
        model.predict_quantiles(X, [5])
