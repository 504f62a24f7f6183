"""The data of `benchmarks.norms`: how much the most probable class errs."""

import numpy as np
import pytest
from benchmarks.norms import bayes, ringnorm, twonorm
from scipy.special import ndtr


@pytest.mark.parametrize(("name", "make", "least"), [("twonorm", twonorm, ndtr(-2.0)), ("ringnorm", ringnorm, 0.0124)])
def test_least_possible_error(name, make, least):
    x, y = make(100_000, np.random.default_rng(0))
    assert np.mean(bayes(name, x) != y) == pytest.approx(least, abs=0.001)
    assert y.mean() == pytest.approx(0.5, abs=0.01)
