"""Mixtures of normal distributions: exact quantiles and the closed CRPS, at shapes that are hard for both."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chainrule.outputs import Distribution, Normal, NormalMixture

HARD = {
    "far apart": ([0.5, 0.5], [-1e6, 1e6], [1.0, 1.0]),
    "spike on plateau": ([0.5, 0.5], [0.0, 0.0], [1e-8, 1e3]),
    "tiny weight": ([1 - 1e-12, 1e-12], [0.0, 1e4], [1.0, 1e-3]),
    "zero weight": ([1.0, 0.0], [0.0, 50.0], [1.0, 1.0]),
    "three spikes": ([0.2, 0.3, 0.5], [0.0, 1.0, 2.0], [1e-6, 1e-6, 1e-6]),
    "far from zero": ([0.5, 0.5], [1e9, 1e9 + 3], [1.0, 2.0]),
}


def mixture(weights, locs, scales):
    with np.errstate(divide="ignore"):
        return NormalMixture(*(np.array([v], float) for v in (np.log(weights), locs, scales)))


@pytest.mark.parametrize("parameters", HARD.values(), ids=HARD)
def test_quantiles_of_hard_mixtures(parameters):
    d = mixture(*parameters)
    q = np.array([1e-15, 1e-9, 0.01, 0.2, 0.3, 0.499999, 0.5, 0.500001, 0.7, 0.999, 1 - 1e-9])[:, None]
    x = d.ppf(q)
    assert np.isfinite(x).all()
    assert (np.diff(x, axis=0) >= 0).all()
    # where the density is high one step of the last digit already moves the cdf
    resolution = d.pdf(x) * np.spacing(np.abs(x))
    assert (np.abs(d.cdf(x) - q) <= 1e-12 + 2 * resolution).all()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-8, 8), st.floats(-100, 100), st.floats(-6, 4)),
        min_size=1,
        max_size=6,
    ),
    st.floats(1e-12, 1 - 1e-12),
)
def test_quantiles_of_any_mixture(components, q):
    logits, locs, logs = np.array(components).T
    d = mixture(np.exp(logits) / np.exp(logits).sum(), locs, np.exp(logs))
    x = d.ppf(q)[0]
    assert abs(d.cdf(x)[0] - q) <= 1e-12 + 2 * d.pdf(x)[0] * np.spacing(abs(x))
    assert d.cdf(x)[0] + d.sf(x)[0] == pytest.approx(1.0, abs=1e-14)


def test_tails_keep_their_digits():
    d = mixture([0.3, 0.7], [0.0, 2.0], [1.0, 1.5])
    for q in (1e-300, 1e-100, 1e-30):
        x = d.ppf(q)
        assert d.cdf(x)[0] == pytest.approx(q, rel=1e-10)
        with mpmath.workdps(30):
            exact = mpmath.mpf(0.3) * mpmath.ncdf(x[0]) + mpmath.mpf(0.7) * mpmath.ncdf((x[0] - 2) / 1.5)
            assert d.cdf(x)[0] == pytest.approx(float(exact), rel=1e-11)
            assert d.sf(-x + 4)[0] > 0


def test_moments_and_density_of_a_mixture():
    w, m, s = np.array([0.2, 0.5, 0.3]), np.array([-2.0, 0.0, 5.0]), np.array([0.5, 1.0, 2.0])
    d = mixture(w, m, s)
    y = np.linspace(-6, 12, 50)
    np.testing.assert_allclose(d.pdf(y[:, None])[:, 0], w @ stats.norm(m[:, None], s[:, None]).pdf(y), rtol=1e-12)
    np.testing.assert_allclose(d.logpdf(y[:, None]), np.log(d.pdf(y[:, None])), rtol=1e-12)
    assert d.mean()[0] == pytest.approx(w @ m)
    assert d.var()[0] == pytest.approx(w @ (s**2 + m**2) - (w @ m) ** 2)


def test_variance_far_from_zero_does_not_cancel():
    assert mixture([0.5, 0.5], [1e9 - 1, 1e9 + 1], [1.0, 1.0]).var()[0] == pytest.approx(2.0)


def test_crps_is_the_mean_distance_minus_half_the_spread():
    d = mixture([0.2, 0.5, 0.3], [-2.0, 0.0, 5.0], [0.5, 1.0, 2.0])
    a, b = d.rvs(400_000, random_state=0)[:, 0], d.rvs(400_000, random_state=1)[:, 0]
    for y in (-4.0, 1.0, 9.0):
        assert d.crps(y)[0] == pytest.approx(np.abs(a - y).mean() - 0.5 * np.abs(a - b).mean(), abs=0.02)
        assert d.crps(y)[0] == pytest.approx(Distribution.crps(d, y)[0], rel=1e-9)


def test_crps_of_equal_components_is_the_normal_distribution_s():
    d, y = Normal(np.array([1.0, -2.0]), np.array([0.3, 4.0])), np.array([0.0, 5.0])
    same = NormalMixture.pool([d.as_mixture()] * 7)
    np.testing.assert_allclose(same.crps(y), d.crps(y), rtol=1e-12)
    np.testing.assert_allclose(same.ppf(0.1), d.ppf(0.1), rtol=1e-12)
    assert same.locs.shape == (2, 7)


def test_many_rows_in_chunks_are_the_same_rows():
    rng = np.random.default_rng(0)
    n = 20_000
    d = NormalMixture(np.log(np.full((n, 3), 1 / 3)), rng.normal(size=(n, 3)), np.exp(rng.normal(size=(n, 3))))
    y = rng.normal(size=n)
    some = np.array([0, 8191, 8192, 19_999])
    np.testing.assert_array_equal(d.ppf(0.3)[some], d[some].ppf(0.3))
    np.testing.assert_allclose(d.crps(y)[some], d[some].crps(y[some]), rtol=1e-14)
    np.testing.assert_allclose(d.cdf(d.ppf(0.3)), 0.3, atol=1e-12)
