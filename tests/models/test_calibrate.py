"""Calibration on validation rows: coverage on simulated data, the likeliest spread, files and the command line."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

import chainrule as cr
from chainrule.cli import run
from chainrule.errors import ModelFileError, OptionError
from chainrule.exchange.modelfile import read_model_file, write_model_file
from chainrule.models.baselines import scored_each
from chainrule.models.calibrate import _held_out
from chainrule.models.calibration import Calibration
from chainrule.outputs.calibration import with_spread
from chainrule.show.report.calibration import coverage_words
from chainrule.show.report.data import percent
from chainrule.show.report.gather import report_of_estimator


def simulated(n, seed):
    """Student-t noise whose width depends on the input: no Gaussian of constant width is right."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, 0]) + (0.1 + 0.5 * np.abs(x[:, 1])) * rng.standard_t(4, n)


def fitted(calibrate, n=300, seed=0, **options):
    given = {"n_members": 1, "random_state": 0, "max_iter": 40, "embedding": "none", "validation_fraction": 0.4}
    est = cr.FeedForwardRegressor((16,), calibrate=calibrate, **(given | options))
    return est.fit(*simulated(n, seed))


def coverage(interval, y):
    return float(np.mean((interval[..., 0] <= y) & (y <= interval[..., 1])))


def test_conformal_intervals_cover_as_asked_whatever_the_model():
    """The mean over data sets lies between the level and level + 1/(n + 1), but for chance."""
    X, y = simulated(4000, 99)
    wrong = cr.Gaussian(variance="constant", fitted=(1.0,))
    for level in (0.5, 0.9):
        found = [coverage(fitted("conformal", seed=s, output=wrong).predict_interval(X, level), y) for s in range(8)]
        spread = np.sqrt(level * (1 - level) / 150 / 8 + level * (1 - level) / 4000)
        assert level - 4 * spread < np.mean(found) < level + 1 / 151 + 4 * spread


def test_everything_is_covered_where_there_are_too_few_rows():
    model = fitted("conformal", n=30)
    assert np.isinf(model.predict_interval(np.zeros((1, 2)), 0.99)).all()
    assert np.isfinite(model.predict_interval(np.zeros((1, 2)), 0.5)).all()


def test_the_spread_is_the_likeliest_on_the_validation_rows():
    plain, scaled = fitted("none"), fitted("scale")
    factor = scaled.model_.calibration.spread
    X = simulated(50, 1)[0]
    np.testing.assert_allclose(scaled.predict_dist(X).std(), factor * plain.predict_dist(X).std(), rtol=1e-9)
    np.testing.assert_allclose(scaled.predict(X), plain.predict(X), rtol=1e-9)
    predicted, y, w = _held_out(scaled.model_.output, scaled.trainings_)
    losses = [-np.average(with_spread(predicted, f * factor).logpdf(y), weights=w) for f in (0.9, 1.0, 1.1)]
    assert losses[0] > losses[1] < losses[2]
    assert len(y) == 150


def test_temperature_of_an_overconfident_classifier():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 10))
    y = (X[:, 0] + 1.5 * rng.logistic(size=300) > 0).astype(int)
    new = rng.standard_normal((5000, 10))
    truth = (new[:, 0] + 1.5 * rng.logistic(size=5000) > 0).astype(int)
    options = {"n_members": 1, "random_state": 0, "max_iter": 60, "embedding": "none", "n_iter_no_change": 60}
    est = [
        cr.FeedForwardClassifier((64,), calibrate=c, learning_rate_init=0.05, l2=0.0, **options).fit(X, y)
        for c in ("none", "scale")
    ]
    loss = [-np.mean(e.predict_dist(new).log_score(truth)) for e in est]
    assert est[1].model_.calibration.spread > 1.0
    assert loss[1] < loss[0]
    np.testing.assert_array_equal(est[0].predict(new), est[1].predict(new))


@pytest.mark.parametrize("method", ["scale", "conformal"])
def test_files_keep_it(tmp_path, method):
    model = fitted(method, n_members=2)
    model.save(tmp_path / "m.chainrule")
    again = cr.load(tmp_path / "m.chainrule")
    X = simulated(20, 1)[0]
    np.testing.assert_array_equal(again.predict_interval(X, 0.8), model.predict_interval(X, 0.8))
    np.testing.assert_array_equal(again.predict_dist(X).std(), model.predict_dist(X).std())


@pytest.mark.parametrize(
    "change",
    [{"spread": -1.0}, {"spread": 0.0}, {"levels": [[0.5], [0.5]]}, {"levels": [[2.0]], "weights": [1.0]},
     {"weights": [-1.0]}, {"more": 1}],
)  # fmt: skip
def test_files_are_not_believed(tmp_path, change):
    fitted("conformal").save(tmp_path / "m.chainrule")
    data, tensors = read_model_file(tmp_path / "m.chainrule")
    data["calibration"] |= change
    write_model_file(tmp_path / "bad.chainrule", data, tensors)
    with pytest.raises(ModelFileError):
        cr.load(tmp_path / "bad.chainrule")


def test_several_targets():
    X, y = simulated(300, 0)
    est = cr.FeedForwardRegressor((16,), calibrate="conformal", n_members=1, random_state=0, max_iter=40)
    interval = est.fit(X, np.stack([y, -5 * y], axis=1)).predict_interval(X, 0.8)
    assert interval.shape == (300, 2, 2)
    assert len(est.model_.calibration.levels) == 2


@pytest.mark.parametrize("several", [False, True])
def test_scores_and_reports_judge_the_intervals_that_are_predicted(several):
    """Not those of the distribution; here half as likely as asked."""
    X, y = simulated(600, 0)
    target = np.stack([y, -5 * y], axis=1) if several else y[:, None]
    est = cr.FeedForwardRegressor((16,), output="gaussian", n_members=2, random_state=0, max_iter=40)
    est.fit(X[:300], np.squeeze(target[:300]))
    half = Calibration(1.0, np.full((target.shape[1], 100), 0.5), np.ones(100))
    est.model_ = replace(est.model_, calibration=half)
    model, new = est.model_, target[300:]
    predicted = model.predict(X[300:])
    found = scored_each("m", predicted, model.target, new, np.ones(300), model)
    plain = scored_each("m", predicted, model.target, new, np.ones(300))
    data = report_of_estimator(est, X[300:], np.squeeze(new))
    for k, name in enumerate(found):
        inside = coverage(est.predict_interval(X[300:]).reshape(300, -1, 2)[:, k], new[:, k])
        assert inside < 0.8 < plain[name]["cover 90%"]
        assert found[name]["cover 90%"] == pytest.approx(inside)
        assert found[name]["NLL"] == plain[name]["NLL"]
        view = data.views[k]
        assert view.measures["network"]["cover 90%"].value == pytest.approx(inside)
        assert percent(inside) in coverage_words(view)


def test_command_line(tmp_path, capsys):
    X, y = simulated(1500, 0)
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y}).write_csv(tmp_path / "t.csv")
    quick = ["--epochs", "30", "--hidden", "16", "--members", "1", "--embedding", "none", "--test-fraction", "0.5"]
    model = tmp_path / "m.chainrule"
    command = ["fit", str(tmp_path / "t.csv"), "--target", "y", "--calibrate", "conformal", "--model", str(model)]
    assert run([*command, *quick]) == 0
    assert (
        run(["predict", str(model), str(tmp_path / "t.csv"), "-o", str(tmp_path / "p.csv"), "--interval", "0.9"]) == 0
    )
    p = pl.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(p["lower"], cr.load(model).model_.interval(cr.load(model).model_.predict(X), 0.9)[:, 0])
    inside = coverage(p.select("lower", "upper").to_numpy(), y)
    assert 0.84 < inside < 0.96
    capsys.readouterr()
    assert run(["score", str(model), str(tmp_path / "t.csv")]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "cover 90%" in each]
    assert float(line.split()[2]) == pytest.approx(inside, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibrate": "platt"}, "calibrate must be one of none, scale, conformal"),
        ({"calibrate": "scale", "early_stopping": False}, "needs rows that are not trained on"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        fitted(**options)


def test_what_classifiers_and_partial_fits_cannot_do():
    X, y = simulated(100, 0)
    with pytest.raises(OptionError, match="about intervals of numbers"):
        cr.FeedForwardClassifier((3,), calibrate="conformal", n_members=1, max_iter=2).fit(X, y > 0)
    with pytest.raises(AttributeError, match="partial_fit"):
        cr.FeedForwardRegressor((3,), calibrate="scale").partial_fit(X, y)


def test_temperature_of_several_binary_outcomes():
    """Of an ensemble too, whose members' logits are each divided by it."""
    X, y = simulated(200, 0)
    outcomes = np.stack([y > 0, X[:, 0] > 0], axis=1).astype(int)
    options = {"n_members": 2, "random_state": 0, "max_iter": 10}
    plain, scaled = (cr.FeedForwardClassifier((8,), calibrate=c, **options).fit(X, outcomes) for c in ("none", "scale"))
    factor = scaled.model_.calibration.spread
    expected = np.mean([expit(m.logit / factor) for m in plain.predict_dist(X).members], axis=0)
    assert factor != 1.0
    np.testing.assert_allclose(scaled.predict_proba(X), expected, rtol=1e-12)


def test_levels_are_of_all_validation_rows_where_there_are_many():
    """Sorted rows: the first 10 000 are those with little noise."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, (24_000, 1)), axis=0)
    y = (0.1 + 3.0 * (x[:, 0] > 0.5)) * rng.normal(size=len(x))
    wrong = cr.Gaussian(variance="constant", fitted=(1.0,))
    est = cr.FeedForwardRegressor((2,), output=wrong, calibrate="conformal", n_members=1, max_iter=2, random_state=0)
    est.fit(x[::50], y[::50], X_val=x, y_val=y)
    assert len(est.model_.calibration.weights) == 10_000
    assert coverage(est.predict_interval(x), y) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("method", ["scale", "conformal"])
def test_whole_weights_of_validation_files_are_repeated_rows(tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    X, y = simulated(160, 0)
    w = np.random.default_rng(1).integers(0, 4, 80)
    table = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})
    table[80:].with_columns(w=pl.Series(w)).write_csv("weighted.csv")
    table[80 + np.repeat(np.arange(80), w)].with_columns(w=pl.lit(1)).write_csv("repeated.csv")
    table[:80].with_columns(w=pl.lit(1)).write_csv("train.csv")
    for kind in ("weighted", "repeated"):
        command = ["fit", "train.csv", "--target", "y", "--weight", "w", "--validation", f"{kind}.csv"]
        quick = ["--epochs", "10", "--hidden", "8", "--members", "1", "--calibrate", method, "--test-fraction", "0"]
        assert run([*command, *quick, "--model", f"{kind}.chainrule"]) == 0
    models = [cr.load(f"{kind}.chainrule").model_ for kind in ("weighted", "repeated")]
    one, other = (model.interval(model.predict(table), 0.8) for model in models)
    np.testing.assert_array_equal(one, other)
