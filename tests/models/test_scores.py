"""Scores against their definitions, and at every scale of the target."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

import chainrule as cr
from chainrule.models.fit import FitOptions
from chainrule.models.scores import MEANINGS, scores
from chainrule.models.table import TableOptions, fit_table, read_schema
from chainrule.outputs import GaussianMixture, Normal

rng = np.random.default_rng(0)


@pytest.mark.parametrize("t", [1, 3])
def test_squared_errors_are_scikit_learn_s(t):
    y, loc, w = rng.normal(size=(50, t)), rng.normal(size=(50, t)), rng.uniform(size=50)
    d = Normal(loc, np.ones((50, t))) if t > 1 else Normal(loc[:, 0], np.ones(50))
    got = scores(d, y, "numeric", w)
    assert set(got) <= set(MEANINGS)
    assert got["RMSE"] ** 2 == pytest.approx(
        root_mean_squared_error(y.ravel(), loc.ravel(), sample_weight=w.repeat(t)) ** 2
    )
    if t == 1:
        assert got["R²"] == pytest.approx(r2_score(y, loc, sample_weight=w))
    assert got["NLL"] == pytest.approx(-np.average(d.log_score(y[:, 0] if t == 1 else y), weights=w))


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("t", [1, 2])
def test_scores_of_a_target_of_any_magnitude(t, unit):
    output = GaussianMixture(3)
    raw, z = rng.normal(size=(40, output.n_raw(t))), rng.normal(size=(40, t))
    scaling = {"location": np.zeros(t), "scale": np.full(t, unit)}
    standard, own = (
        scores(output.distribution(raw), z, "numeric"),
        scores(output.distribution(raw, **scaling), unit * z, "numeric"),
    )
    for name, size in (("R²", 1.0), ("RMSE", unit), ("CRPS", unit), ("cover 90%", 1.0)):
        assert own[name] / size == pytest.approx(standard[name], rel=1e-7), name
    assert own["NLL"] == pytest.approx(standard["NLL"] + t * np.log(unit))


def test_error_beyond_the_target_s_own_scale():
    far = scores(Normal(np.array([1e300, 0.0]), np.ones(2)), np.array([[0.0], [1e-10]]), "numeric")
    assert far["R²"] == -np.inf
    assert far["RMSE"] == pytest.approx(1e300 / np.sqrt(2))
    assert np.isnan(scores(Normal(np.zeros(2), np.ones(2)), np.full((2, 1), 0.1), "numeric")["R²"])


@pytest.mark.parametrize("output", ["gaussian", "mixture:2", "student_t"])
def test_a_table_s_target_whose_squares_end_float64(output):
    x = rng.normal(size=60)
    y = 1e148 * (3.0 * x + rng.normal(size=60))
    options = TableOptions(targets=("y",), output=output, baselines=False)
    frame, schema = read_schema(pl.DataFrame({"x": x, "y": y}), options)
    fitted = fit_table(frame, schema, options, FitOptions(layers=(8,), max_epochs=20))
    assert np.isfinite(list(fitted.scored["network"].values())).all()
    with pytest.raises(cr.TableError, match=r"column 'y', row 1: targets beyond 1e\+150 cannot be squared"):
        fit_table(frame.with_columns(pl.col("y") * 1e10), schema, options, FitOptions(layers=(8,), max_epochs=2))
