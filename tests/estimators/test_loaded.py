"""Estimators from model files take the tables that they were fitted on."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

import chainrule as cr
from chainrule.cli import run

N = 80
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "a": RNG.normal(size=N),
        "word": RNG.choice(["u", "v"], N),
        "constant": ["k"] * N,
        "day": [datetime.date(2026, 1, 1) + datetime.timedelta(k) for k in range(N)],
        "name": [f"person {k}" for k in range(N)],
        "empty": pl.Series([None] * N, dtype=pl.String),
    }
)
Y = FRAME["a"].to_numpy() + RNG.normal(size=N)
OPTIONS = {"hidden_layer_sizes": (4,), "n_members": 1, "max_iter": 2, "random_state": 0}


@pytest.mark.parametrize(
    "convert", [pl.DataFrame, lambda frame: pd.DataFrame(frame.to_dict(as_series=False))], ids=["polars", "pandas"]
)
@pytest.mark.parametrize(
    "estimator",
    [
        cr.FeedForwardRegressor(**OPTIONS),
        cr.FeedForwardClassifier(**OPTIONS),
        cr.LinearRegression(),
        cr.LogisticRegression(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_columns_that_cannot_be_used_are_still_expected(tmp_path, estimator, convert):
    frame = convert(FRAME)
    y = Y if "Regressor" in type(estimator).__name__ or isinstance(estimator, cr.LinearRegression) else Y > 0
    with pytest.warns(UserWarning, match="columns left out"):
        estimator.fit(frame, y)
    estimator.save(tmp_path / "m.chainrule")
    loaded = cr.load(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(loaded.predict(frame), estimator.predict(frame))
    assert list(loaded.feature_names_in_) == list(estimator.feature_names_in_) == FRAME.columns
    assert loaded.n_features_in_ == estimator.n_features_in_ == 6
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[["a", "word"]])


def test_models_of_the_command_line_ignore_other_columns_as_it_does(tmp_path):
    FRAME.with_columns(y=Y).write_csv(tmp_path / "d.csv")
    place = tmp_path / "m.chainrule"
    more = ["--model", str(place), "-q", "--members", "1", "--hidden", "4", "--epochs", "2"]
    assert run(["fit", str(tmp_path / "d.csv"), "--target", "y", *more]) == 0
    assert run(["predict", str(place), str(tmp_path / "d.csv"), "-o", str(tmp_path / "p.csv")]) == 0
    wanted = pl.read_csv(tmp_path / "p.csv")["prediction"].to_numpy()
    loaded = cr.load(place)
    read = pd.read_csv(tmp_path / "d.csv")
    for frame in (FRAME, FRAME.with_columns(y=Y), FRAME.select("word", "a"), read, read[["a", "word"]]):
        np.testing.assert_allclose(loaded.predict(frame), wanted, rtol=1e-12)
    with pytest.raises(ValueError, match="word"):
        loaded.predict(FRAME.select("a"))
