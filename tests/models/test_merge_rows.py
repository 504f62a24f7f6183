"""Rows put together: repetition, weights and order make no difference."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.models.rows import merge_equal_rows


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
