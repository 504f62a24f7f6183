"""scikit-learn's callback protocol: the tree of tasks, early stopping by a callback, estimators to predict with."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

QUICK = {"n_members": 2, "random_state": 0, "max_iter": 5, "embedding": "none", "output": "gaussian"}


class Record:
    """Notes every hook; asks for an end after so many epochs of a training."""

    def __init__(self, most=10**9):
        self.seen, self.scores, self.most = [], [], most

    def setup(self, estimator, context):
        self.seen.append(("setup", context.task_name, context.task_id))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", context.task_name, context.task_id))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.seen.append(("begin", context.task_name, context.task_id))
        self.metadata = metadata

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(("end", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id + 1 >= self.most

    def epochs(self):
        return [task for what, name, task in self.seen if (what, name) == ("end", "epoch")]


def data(n=200):
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return x, x[:, 0] + 0.1 * np.random.default_rng(1).normal(size=n)


def test_a_fit_is_trainings_of_epochs():
    x, y = data()
    record = Record()
    assert isinstance(record, callback.FitCallback)
    model = cr.FeedForwardRegressor((8,), **QUICK).set_callbacks(record).fit(x, y, sample_weight=np.ones(200))
    assert record.seen[:3] == [("setup", "fit", 0), ("begin", "fit", 0), ("begin", "training", 0)]
    assert record.seen[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]
    assert record.epochs() == [0, 1, 2, 3, 4] * 2
    assert record.metadata["sample_weight"].shape == (200,)
    plain = cr.FeedForwardRegressor((8,), **QUICK).fit(x, y, sample_weight=np.ones(200))
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))  # looking changes nothing
    assert record.scores[4] > record.scores[0]
    assert not [name for name in vars(model) if "callback_" in name]


def test_the_last_epochs_estimator_is_what_a_single_network_becomes():
    x, y = data()
    record = Record()
    model = cr.FeedForwardRegressor((8,), **(QUICK | {"n_members": 1})).set_callbacks(record).fit(x, y)
    assert record.scores[-1] == model.score(x, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_callback_may_end_a_training(n_jobs):
    x, y = data()
    record = Record(most=2)
    model = cr.FeedForwardRegressor((8,), n_jobs=n_jobs, **QUICK).set_callbacks(record).fit(x, y)
    assert sorted(record.epochs()) == [0, 0, 1, 1]
    assert model.n_iter_ == 2
    assert "request" in model.stopped_because_


@pytest.mark.parametrize("make", [cr.FeedForwardClassifier, cr.LinearRegression, cr.LogisticRegression])
def test_every_estimator_has_them(make):
    x, y = data()
    y = y if make is cr.LinearRegression else (y > 0).astype(int)
    record = Record()
    options = {"max_iter": 3, "random_state": 0} if make is cr.FeedForwardClassifier else {}
    model = make(**options).set_callbacks(record).fit(x, y)
    assert record.epochs()
    assert record.seen[-1] == ("teardown", "fit", 0)
    assert clone(model).fit(x, y).score(x, y) == model.score(x, y)


def test_errors_and_pickles():
    x, y = data()
    record = Record()
    est = cr.FeedForwardRegressor((8,), **QUICK).set_callbacks(record)
    with pytest.raises(ValueError, match="NaN"):
        est.fit(x, np.full(200, np.nan))
    est.fit(x, y)
    again = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(again.predict(x), est.predict(x))
    with pytest.raises(TypeError, match="FitCallback"):
        est.set_callbacks(print)


def test_scikit_learns_scoring_monitor():
    x, y = data()
    monitor = callback.ScoringMonitor(scoring="r2")
    est = cr.FeedForwardRegressor((8,), **(QUICK | {"n_members": 1})).set_callbacks(monitor)
    make_pipeline(StandardScaler(), est).fit(x, y)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 5
    assert scores[-1] == est.score(StandardScaler().fit_transform(x), y)


def test_scikit_learns_progress_bar_reaches_into_a_pipeline(capsys):
    x, y = data()
    pipe = make_pipeline(StandardScaler(), cr.FeedForwardRegressor((8,), **QUICK))
    pipe.set_callbacks(callback.ProgressBar()).fit(x, y)
    said = capsys.readouterr().out
    assert "FeedForwardRegressor" in said
    assert "training" in said
