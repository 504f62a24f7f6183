"""Rows of data: weights."""

import numpy as np
import pytest

from chainrule.learn.rows import Rows, moderate


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e-310, 2.0])
def test_only_proportions_of_weights_count(factor):
    x, w = np.zeros((3, 1)), np.array([1.0, 0.5, 1.5])
    np.testing.assert_allclose(Rows.of(x, x[:, 0], factor * w, "float64").w, w, rtol=1e-12)


def test_ordinary_weights_are_left_alone():
    w = np.array([3.0, 1e-5])
    assert moderate(w) is w
    np.testing.assert_array_equal(moderate(np.array([2.0**1000, 2.0**999])), [0.5, 0.25])
    np.testing.assert_array_equal(moderate(np.zeros(2)), [0, 0])
