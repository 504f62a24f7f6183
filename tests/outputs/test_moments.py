"""Numbers at both ends of float64: what is finite in the target's units is finite, what is too large is infinite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.outputs import StudentTDistribution, mixture_of
from chainrule.outputs.moments import bell, root_mean_square, square, standardised
from outputs.output_cases import SCALED, like_batch, raw_of, target_of


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1.0, 1e200, 1e300])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(("output", "t"), SCALED)
def test_targets_of_any_magnitude(output, t, members, unit):
    raws = [raw_of(output, 15, t, seed=m) for m in range(members)]
    standard = mixture_of([output.distribution(raw) for raw in raws])
    scaling = {"location": np.full(t, 0.5 * unit), "scale": np.full(t, unit)}
    own = mixture_of([output.distribution(raw, **scaling) for raw in raws])
    z = like_batch(target_of(output, 15, t))
    y = unit * (0.5 + z)
    np.testing.assert_allclose(own.mean() / unit, 0.5 + standard.mean(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(own.std() / unit, standard.std(), rtol=1e-9)
    levels = [1e-6, 0.05, 0.5, 0.95]
    np.testing.assert_allclose(own.quantiles(levels) / unit, 0.5 + standard.quantiles(levels), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(own.crps(y) / unit, standard.crps(z), rtol=1e-7)
    np.testing.assert_allclose(own.cdf(y), standard.cdf(z), rtol=1e-9)
    np.testing.assert_allclose(own.log_score(y), standard.log_score(z) - t * np.log(unit), rtol=1e-9)
    assert np.isfinite(own.rvs(3, random_state=0)).all()
    too_large, too_small = unit > 1e150, unit < 1e-160
    assert (own.var() == (np.inf if too_large else 0.0)).all() or not (too_large or too_small)


@pytest.mark.parametrize(("output", "t"), SCALED)
def test_values_far_outside_are_scored_without_nan(output, t):
    for d in (output.distribution(raw_of(output, 5, t)), mixture_of([output.distribution(raw_of(output, 5, t))] * 2)):
        for y in (1e300, -1e300, 1e160):
            np.testing.assert_allclose(d.crps(np.full(d.shape, y)), abs(y), rtol=1e-6)
            assert not np.isnan(d.logpdf(y)).any()
            assert (d.pdf(y) < 1e-200).all()
            np.testing.assert_allclose(d.cdf(y), np.full(d.shape, float(y > 0)), atol=1e-15)
            assert (d.cdf(y) <= 1.0).all()


def test_density_of_a_heavy_tail_where_the_square_overflows():
    d = StudentTDistribution(np.zeros(1), np.ones(1), np.array([3.0]))
    assert d.logpdf(1e200)[0] == pytest.approx(d.logpdf(1e100)[0] - 4 * 100 * np.log(10), rel=1e-12)
    assert d.logpdf(1e100)[0] == pytest.approx(d.logpdf(1e90)[0] - 4 * 10 * np.log(10), rel=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.integers(-900, 900))
def test_root_mean_square_knows_no_units(values, power):
    x = np.array(values)
    weights = np.arange(1.0, len(x) + 1)
    plain = np.sqrt(np.sum(weights * np.where(np.abs(x) < 1e-100, 0.0, x) ** 2))
    got = root_mean_square(np.ldexp(x, power), weights)
    smallest = np.finfo(float).smallest_subnormal  # below the normal numbers every rounding is of this size
    assert got == pytest.approx(np.ldexp(plain, power), rel=1e-12, abs=np.ldexp(1e-99, power) + 4 * smallest)


def test_squares_and_scores_too_large_are_infinite():
    assert square(np.array(1e200)) == np.inf
    assert standardised(1e300, np.zeros(1), np.array([1e-100]))[0] == np.inf
    np.testing.assert_array_equal(bell(np.array([np.inf, -1e300, 39.0])), [0.0, 0.0, np.exp(-0.5 * 39.0**2)])
    assert np.isnan(bell(np.array(np.nan)))
    assert root_mean_square(np.array([0.0, 0.0]), 1.0) == 0.0
    assert root_mean_square(np.array([np.inf, 0.0]), 0.5) == np.inf
