"""Center and scale of a column: against NumPy, under weights, outliers and overflow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.tables.statistics import NORMAL_WIDTH, robust_scaling, robust_scalings, standard_scaling

FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@settings(deadline=None, max_examples=200)
@given(st.lists(FINITE, min_size=1, max_size=50))
def test_standard_scaling_is_mean_and_deviation(values):
    x = np.array(values)
    center, scale = standard_scaling(x)
    np.testing.assert_allclose(center, x.mean(), rtol=1e-12, atol=1e-12 * np.abs(x).max())
    deviation = x.std()
    if deviation > 1e-9 * np.abs(x).max():
        np.testing.assert_allclose(scale, deviation, rtol=1e-6)


@settings(deadline=None, max_examples=200)
@given(st.lists(FINITE, min_size=1, max_size=50))
def test_robust_scaling_is_median_and_central_width(values):
    x = np.array(values)
    low, middle, high = np.quantile(x, [0.05, 0.5, 0.95], method="inverted_cdf")
    center, scale = robust_scaling(x)
    assert center == middle
    if high - low > 1e-9 * abs(center):
        assert scale == (high - low) / NORMAL_WIDTH


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(FINITE, st.integers(0, 4)), min_size=1, max_size=30))
def test_whole_weights_are_repetitions(scaling, pairs):
    values, counts = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    if counts.sum():
        weighted = scaling(values, counts.astype(float))
        repeated = scaling(np.repeat(values, counts))
        size = np.abs(values).max()
        if repeated[1] != 1.0 and weighted[1] != 1.0:  # else constant up to rounding, by a hair
            np.testing.assert_allclose(weighted, repeated, rtol=1e-9, atol=1e-9 * size)


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
def test_a_weight_of_zero_is_no_row_and_missing_is_not_there(scaling):
    x = np.array([1.0, np.nan, 2.0, 4.0, 1e308])
    assert scaling(x, np.array([1.0, 1.0, 1.0, 1.0, 0.0])) == scaling(np.array([1.0, 2.0, 4.0]))
    assert scaling(x, np.array([1e-200, 5.0, 1e-200, 1e-200, 0.0])) == scaling(np.array([1.0, 2.0, 4.0]), np.ones(3))


def test_normal_values_get_unit_variance():
    x = np.random.default_rng(0).normal(5.0, 3.0, 200_000)
    for scaling in (standard_scaling, robust_scaling):
        assert scaling(x) == pytest.approx((5.0, 3.0), rel=0.01)


def test_one_value_in_twenty_may_be_wild():
    x = np.random.default_rng(0).normal(size=10_000)
    wild = x.copy()
    wild[:400] = 1e12
    center, scale = robust_scaling(wild)
    assert abs(center) < 0.2
    assert 0.9 < scale < 1.6
    assert standard_scaling(wild)[1] > 1e11


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
@pytest.mark.parametrize(
    "values",
    [
        [1e300, -1e300, 5e299],
        [1.7e308, -1.7e308],
        [1.7e308, 1.6e308, 0.0],
        [5e-324, 0.0, 1e-323],
        [1e-200, 2e-200],
        [0.0, 0.0, 0.0, 1e300],
    ],
)
def test_no_overflow(scaling, values):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        center, scale = scaling(np.array(values))
    assert np.isfinite(center)
    assert 0.0 < scale < np.inf


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
def test_constants_get_scale_one(scaling):
    assert scaling(np.full(7, 0.1)) == (pytest.approx(0.1), 1.0)
    assert scaling(np.array([])) == (0.0, 1.0)
    assert scaling(np.array([np.nan])) == (0.0, 1.0)
    rounding = 0.1 * (1 + np.finfo(float).eps * np.arange(3))
    assert scaling(rounding)[1] == 1.0


def test_mostly_one_value_falls_back_on_the_deviation():
    x = np.r_[np.zeros(96), np.arange(1.0, 5.0)]
    assert robust_scaling(x) == (0.0, pytest.approx(x.std()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 19, 20, 1000])
def test_columns_at_once_are_scaled_as_one_by_one(n, missing, weighted):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 5)) * [1, 1e-200, 1e305, 1e3, 1]
    x[:, 3] = np.where(rng.random(n) < 0.95, 7.0, x[:, 3])  # mostly constant
    x[:, 4] = 2.5
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    weights = rng.integers(0, 3, n).astype(float) if weighted else None
    with np.errstate(all="ignore"):
        assert robust_scalings(x, weights) == [robust_scaling(column, weights) for column in x.T]
