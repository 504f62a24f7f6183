"""`benchmarks.ablation`: what is held out, what differences are, and that every variant fits."""

import numpy as np
import pytest
from benchmarks.ablation import MEASURES, VARIANTS, difference, folds, line, scores, twins

X = np.random.default_rng(0).normal(size=(60, 2))
Y = X[:, 0] + 0.1 * X[:, 1]


def test_held_out_rows_are_other_rows():
    parts = folds(X, Y, 3, 40)
    assert [len(y) for _, y, _, _ in parts] == [32, 32, 32]
    held = [set(map(bytes, x_test)) for _, _, x_test, _ in parts]
    assert not held[0] & held[1]
    for x, y, x_test, y_test in parts:
        assert not twins(x, x_test).any()
        np.testing.assert_array_equal(y_test, x_test[:, 0] + 0.1 * x_test[:, 1])
        np.testing.assert_array_equal(y, x[:, 0] + 0.1 * x[:, 1])


def test_twins_have_the_same_inputs():
    again = np.concatenate([X[:3], X[:3] + np.array([0.0, 1e-9])])
    assert twins(X, again).tolist() == [True] * 3 + [False] * 3


def test_differences_are_paired():
    base = np.array([[-1.0, 0.5, 0.2, 0.9, 2.0], [-3.0, 1.0, 0.4, 0.8, 1.0]])
    found = np.array([[-0.8, 0.4, 0.2, 0.95, 1.0], [-3.4, 1.0, 0.5, 0.8, 3.0]])
    gained = difference(found, base)
    np.testing.assert_allclose(gained, [[0.2, -0.2, 0.0, 0.05, -0.5], [-0.4, 0.0, 0.25, 0.0, 2.0]], atol=1e-12)
    words = "x -0.100 ± 0.300 -10.0 ± 10.0 % +12.5 ± 12.5 % +2.5 ± 2.5 % × 1.75"
    assert " ".join(line("x", gained).split()) == words
    assert " ".join(line("x", gained[:1]).split()) == "x +0.200 -20.0 % +0.0 % +5.0 % × 0.50"


@pytest.mark.parametrize("name", ["dropout 0.1", "always the embedding", "one variance for all rows", 'output="auto"'])
def test_variants_fit(name):
    (fold,) = folds(X, Y, 1, 60)
    assert len(scores(fold, 0, {"n_members": 1, "max_iter": 2, **VARIANTS[name]})) == len(MEASURES)
