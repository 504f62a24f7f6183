import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.outputs.weighted import half_a_row, row_weights, weighted_quantile


def test_row_weights():
    np.testing.assert_allclose(row_weights(4, None), 0.25)
    np.testing.assert_allclose(row_weights(2, np.array([1, 3])), [0.25, 0.75])


def test_half_a_row_is_less_than_any_row_present():
    assert half_a_row(np.array([0.75, 0.0, 0.25])) == 0.125


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=20), st.integers(1, 99))
def test_weighted_quantile_is_that_of_repeated_rows(rows, percent):
    y, counts = np.array(rows, float).T
    if counts.sum() == 0:
        counts = counts + 1
    q = percent / 100
    repeated = np.repeat(y, counts.astype(int))
    exact = np.quantile(repeated, q, method="inverted_cdf")
    got = weighted_quantile(np.stack([y, -y], axis=1), counts / counts.sum(), q)
    assert got[0] == exact
    assert got[1] == np.quantile(-repeated, q, method="inverted_cdf")


def test_weighted_quantile_of_one_row():
    assert weighted_quantile(np.array([[3.0]]), np.array([1.0]), 0.999) == pytest.approx(3.0)
