"""Rows put together: repetition, weights and order make no difference."""

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
from chainrule.models.rows import equal_rows, merge_equal_rows
from chainrule.models.table import equal_table_rows
from chainrule.tables import fit_encoder, infer_schema, read_table


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


def test_rows_of_weight_zero_have_no_say_not_even_by_their_categories():
    frame = pl.DataFrame({"c": list("bcbcbcbd"), "x": [*range(1, 8), 7]}).with_columns(pl.col("x") * 1.5)
    y, w = np.arange(8.0)[:, None], np.ones(8)
    alone, _ = equal_table_rows(frame, y, w)
    more = pl.concat([pl.DataFrame({"c": ["a"], "x": [0.0]}), frame])
    chosen, weights = equal_table_rows(more, np.vstack([[[9.0]], y]), np.r_[0.0, w])
    np.testing.assert_array_equal(chosen, alone + 1)
    np.testing.assert_array_equal(weights, w)


def test_rows_are_found_and_encoded_without_a_second_table():
    rng = np.random.default_rng(0)
    n = 100_000
    frame = pl.DataFrame({f"x{k}": rng.normal(size=n) for k in range(40)} | {"c": rng.choice(list("abc"), n)})
    schema = infer_schema(frame)
    inputs = Inputs(fit_encoder(schema, frame), named=True)
    rows = rng.permutation(n)[: n // 2]
    tracemalloc.start()
    chosen, _ = equal_table_rows(frame, np.zeros((n, 1)), np.ones(n), schema)
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
