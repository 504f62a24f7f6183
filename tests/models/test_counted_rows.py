"""Rows as they count: repetition, weights and order make no difference."""

import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.cli import run
from chainrule.models.inputs import Inputs
from chainrule.models.model import load_model
from chainrule.models.rows import columns_of, counted_rows, equal_rows
from chainrule.models.table import table_columns
from chainrule.tables import fit_encoder, infer_schema, read_table


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_weights_repetitions_and_permutations_are_the_same(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.choice([0.0, -0.0, 1.5, np.nan], size=(n, 2))
    y = rng.choice([0.0, 1.0], size=(n, 1))
    w = rng.integers(0, 4, size=n)
    w[0] = 1
    weighted = counted_rows(columns_of(x, y), w.astype(float))
    rows = rng.permutation(np.repeat(np.arange(n), w))
    repeated = counted_rows(columns_of(x[rows], y[rows]), np.ones(len(rows)))
    np.testing.assert_array_equal(x[weighted.places], x[rows[repeated.places]])
    np.testing.assert_array_equal(y[weighted.places], y[rows[repeated.places]])
    np.testing.assert_array_equal(weighted.weights, np.ones(w.sum()))
    np.testing.assert_array_equal(repeated.weights, weighted.weights)
    assert sorted(repeated.places) == list(range(len(rows)))  # rows are rows
    both = np.c_[x, y][w > 0] + 0.0
    different = len({row.tobytes() for row in np.where(np.isnan(both), 99.0, both)})
    assert weighted.n_different == repeated.n_different == different


@given(st.integers(0, 2**32 - 1))
def test_weights_that_are_not_whole_count_no_rows(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 3, size=(20, 1)) * 1.0, rng.uniform(0.1, 9.0, 20)
    counted = counted_rows(columns_of(x), w)
    assert sorted(counted.places) == list(range(20))
    for value in np.unique(x):
        np.testing.assert_allclose(counted.weights[x[counted.places, 0] == value].sum(), w[x[:, 0] == value].sum())


def test_of_very_many_equal_rows_each_stands_for_several(monkeypatch):
    monkeypatch.setattr("chainrule.models.rows.MOST_COUNTED", 100)
    x = np.repeat([0.0, 1.0, 2.0], [700, 299, 1])[:, None]
    counted = counted_rows(columns_of(x), np.ones(1000))
    assert counted.thinned
    assert np.bincount(x[counted.places, 0].astype(int)).tolist() == [70, 29, 1]
    for value, total in enumerate((700, 299, 1)):
        assert np.isclose(counted.weights[x[counted.places, 0] == value].sum(), total)
    weighted = counted_rows(columns_of(x[[0, 700, 999]]), np.array([700.0, 299, 1]))
    np.testing.assert_array_equal(weighted.weights, counted.weights)
    distinct = counted_rows(columns_of(np.arange(1000.0)[:, None]), np.ones(1000))
    assert not distinct.thinned
    assert len(distinct.places) == 1000


def probabilities(n: int, **options) -> tuple[np.ndarray, np.ndarray]:
    """Learned from two columns of few values, for each pair of them; and the shares in the table."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, n), rng.integers(0, 3, n)
    y = rng.random(n) < np.array([[0.95, 0.9, 0.5], [0.4, 0.15, 0.1]])[a, b]
    words = pl.DataFrame({"a": np.array(["f", "m"])[a], "b": np.array(["x", "y", "z"])[b]})
    fit = cr.FeedForwardClassifier(random_state=0, **options).fit(words, y)
    pairs = pl.DataFrame({"a": list("fffmmm"), "b": list("xyzxyz")})
    return fit.predict_proba(pairs)[:, 1], np.array([y[(a == i) & (b == j)].mean() for i in range(2) for j in range(3)])


def test_tables_of_few_different_rows_are_learned():
    learned, shares = probabilities(1500, n_members=2)
    np.testing.assert_allclose(learned, shares, atol=0.06)


def test_a_column_of_few_words_is_no_identifier():
    words = np.random.default_rng(0).choice(list("xyz"), 200)
    fit = cr.FeedForwardClassifier((4,), n_members=1, max_iter=100, random_state=0)
    assert fit.fit(pl.DataFrame({"c": words}), words == "x").score(pl.DataFrame({"c": words}), words == "x") == 1.0


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


def test_the_command_line_too(tmp_path, capsys):
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
    w[0] = 1.0
    chosen, sums = equal_rows(columns_of(x, y), w)
    for k, total in zip(chosen, sums, strict=True):
        same = ((x == x[k]) | (np.isnan(x) & np.isnan(x[k]))).all(axis=1) & (y == y[k]).all(axis=1)
        assert total == w[same].sum()
    assert sums.sum() == w.sum()


def test_rows_of_weight_zero_have_no_say_not_even_by_their_categories():
    frame = pl.DataFrame({"c": list("bcbcbcbdbcbc"), "x": [*range(1, 8), 7, *range(8, 12)]})
    y, options = np.arange(12.0), {"hidden_layer_sizes": (3,), "max_iter": 2, "n_members": 1, "random_state": 0}
    alone = cr.FeedForwardRegressor(**options).fit(frame, y)
    more = pl.concat([pl.DataFrame({"c": ["a"], "x": [0]}), frame])
    fit = cr.FeedForwardRegressor(**options).fit(more, np.r_[9.0, y], sample_weight=np.r_[0.0, np.ones(12)])
    np.testing.assert_array_equal(fit.model_.members[0].theta, alone.model_.members[0].theta)


def test_rows_are_found_and_encoded_without_a_second_table():
    rng = np.random.default_rng(0)
    n = 100_000
    frame = pl.DataFrame({f"x{k}": rng.normal(size=n) for k in range(40)} | {"c": rng.choice(list("abc"), n)})
    schema = infer_schema(frame)
    inputs = Inputs(fit_encoder(schema, frame), named=True)
    rows = rng.permutation(n)[: n // 2]
    tracemalloc.start()
    chosen = counted_rows(table_columns(frame, np.zeros((n, 1)), schema), np.ones(n)).places
    finding, held = tracemalloc.get_traced_memory()[1], 41 * n * 8
    tracemalloc.reset_peak()
    x = inputs.encode_rows(frame, rows, np.float32)
    encoding = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == n
    assert finding < held / 3
    assert encoding < 2.5 * x.nbytes
    every = inputs.encode([inputs.encoder.to_matrix(frame)])
    np.testing.assert_array_equal(x, every[rows].astype(np.float32))
