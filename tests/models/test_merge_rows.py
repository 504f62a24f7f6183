"""Rows put together: repetition, weights and order make no difference."""

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.cli import run
from chainrule.models.model import load_model
from chainrule.models.rows import equal_rows, merge_equal_rows
from chainrule.tables import read_table


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_weights_repetitions_and_permutations_are_the_same(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.choice([0.0, -0.0, 1.5, np.nan], size=(n, 2))
    y = rng.choice([0.0, 1.0], size=(n, 1))
    w = rng.integers(0, 4, size=n)
    w[0] = 1
    weighted = merge_equal_rows(x, y, w.astype(float))
    rows = rng.permutation(np.repeat(np.arange(n), w))
    repeated = merge_equal_rows(x[rows], y[rows], np.ones(len(rows)))
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_array_equal(a, b)
    assert weighted[2].sum() == w.sum()
    both = np.concatenate(weighted[:2], axis=1) + 0.0
    assert len({row.tobytes() for row in np.where(np.isnan(both), 99.0, both)}) == len(both)


def test_distinct_rows_stay():
    x = np.arange(6.0).reshape(3, 2)
    a, b, w = merge_equal_rows(x, x[:, :1], np.array([1.0, 2, 3]))
    order = np.argsort(a[:, 0])
    np.testing.assert_array_equal(a[order], x)
    np.testing.assert_array_equal(b[order], x[:, :1])
    np.testing.assert_array_equal(w[order], [1, 2, 3])


PENGUINS = Path(cr.__file__).parent / "data" / "penguins.csv"
WEIGHTS = np.random.default_rng(0).integers(0, 4, 344)
SHUFFLED = np.random.default_rng(1).permutation(np.repeat(np.arange(344), WEIGHTS))


def test_frames_with_words_weights_are_repetition_to_the_last_bit():
    frame = read_table(PENGUINS)
    X, y = frame.drop("species"), frame["species"].to_numpy()
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "n_members": 2, "random_state": 0}
    weighted = cr.FeedForwardClassifier(**options).fit(X, y, sample_weight=WEIGHTS)
    repeated = cr.FeedForwardClassifier(**options).fit(X[SHUFFLED], y[SHUFFLED])
    for a, b in zip(weighted.model_.members, repeated.model_.members, strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


def test_the_command_line_too_and_equal_rows_stay_on_one_side_of_the_split(tmp_path, capsys):
    frame = read_table(PENGUINS)
    frame.with_columns(pl.Series("w", WEIGHTS)).write_csv(tmp_path / "weighted.csv")
    frame[SHUFFLED].write_csv(tmp_path / "repeated.csv")
    models, scores = [], []
    for name, more in (("weighted", ["--weight", "w"]), ("repeated", [])):
        place = tmp_path / f"{name}.chainrule"
        options = ["--target", "species", "--hidden", "4", "--epochs", "3", "--members", "1", "--model", str(place)]
        assert run(["fit", str(tmp_path / f"{name}.csv"), *options, *more]) == 0
        scores.append([line for line in capsys.readouterr().out.splitlines() if "network  " in line])
        models.append(load_model(place))
    np.testing.assert_array_equal(models[0].members[0].theta, models[1].members[0].theta)
    assert scores[0] == scores[1]


@given(st.integers(0, 2**32 - 1))
def test_chosen_rows_stand_for_all(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.choice([0.0, 1.0, np.nan], size=(12, 2)), rng.choice([0.0, 1.0], size=(12, 1))
    w = rng.integers(0, 3, 12).astype(float)
    chosen, sums = equal_rows(x, y, w)
    for k, total in zip(chosen, sums, strict=True):
        same = ((x == x[k]) | (np.isnan(x) & np.isnan(x[k]))).all(axis=1) & (y == y[k]).all(axis=1)
        assert total == w[same].sum()
    assert sums.sum() == w.sum()
