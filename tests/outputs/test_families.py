"""Each family against SciPy's distributions, arbitrary precision, or a published number."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from chainrule.outputs import (
    BernoulliDistribution,
    Laplace,
    LaplaceDistribution,
    Normal,
    Poisson,
    PoissonDistribution,
    StudentT,
    StudentTDistribution,
)
from chainrule.outputs.poisson import LINEAR_FROM, log_rate
from chainrule.outputs.student_t import DF_FLOOR, log_gamma_step

rng = np.random.default_rng(0)
LOC, SCALE = rng.normal(scale=3, size=20), np.exp(rng.normal(size=20))
DF, RATE = np.exp(rng.uniform(np.log(2.1), np.log(500), 20)), np.exp(rng.uniform(-5, 8, 20))
LOGIT = rng.normal(scale=4, size=20)

PAIRS = {
    "normal": (Normal(LOC, SCALE), stats.norm(LOC, SCALE)),
    "laplace": (LaplaceDistribution(LOC, SCALE), stats.laplace(LOC, SCALE)),
    "student_t": (StudentTDistribution(LOC, SCALE, DF), stats.t(DF, LOC, SCALE)),
    "poisson": (PoissonDistribution(np.log(RATE)), stats.poisson(RATE)),
    "bernoulli": (BernoulliDistribution(LOGIT), stats.bernoulli(1 / (1 + np.exp(-LOGIT)))),
}


@pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS)
def test_agrees_with_scipy(ours, theirs):
    q = np.linspace(0.003, 0.997, 31)[:, None]
    y = theirs.ppf(q)
    np.testing.assert_allclose(ours.ppf(q), y, rtol=1e-10, atol=1e-12)
    log = theirs.logpmf if ours.discrete else theirs.logpdf
    np.testing.assert_allclose(ours.logpdf(y), log(y), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.cdf(y), theirs.cdf(y), rtol=1e-9)
    np.testing.assert_allclose(ours.sf(y), theirs.sf(y), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=1e-12)
    np.testing.assert_allclose(ours.var(), theirs.var(), rtol=1e-9)
    np.testing.assert_allclose(ours.std(), theirs.std(), rtol=1e-9)
    np.testing.assert_allclose(ours.median(), theirs.median(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.interval(0.8).T, theirs.interval(0.8), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["normal", "laplace", "student_t", "bernoulli"])
def test_entropy_agrees_with_scipy(name):
    ours, theirs = PAIRS[name]
    np.testing.assert_allclose(ours.entropy(), theirs.entropy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("y", [-40.0, -12.0, 0.0, 9.0])
def test_normal_tails_keep_their_digits(y):
    d = Normal(np.zeros(1), np.ones(1))
    assert d.logcdf(y)[0] == pytest.approx(float(mpmath.log(mpmath.ncdf(y))), rel=1e-12)
    assert d.sf(-y)[0] == pytest.approx(float(mpmath.ncdf(y)), rel=1e-12, abs=1e-300)


def test_crps_of_published_values():
    # Gneiting & Raftery 2007: the CRPS of a standard normal distribution at its centre is (√2 - 1)/√π
    assert Normal(np.zeros(1), np.ones(1)).crps(0.0)[0] == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))
    assert LaplaceDistribution(np.zeros(1), np.ones(1)).crps(0.0)[0] == pytest.approx(0.25)
    # the Brier score
    assert BernoulliDistribution(np.log([3.0])).crps(0.0)[0] == pytest.approx(0.75**2)
    assert BernoulliDistribution(np.log([3.0])).crps(1.0)[0] == pytest.approx(0.25**2)


@pytest.mark.parametrize("df", [DF_FLOOR, 3.0, 30.0, 300.0])
@pytest.mark.parametrize("y", [0.0, 0.7, -5.0])
def test_student_crps_agrees_with_arbitrary_precision(df, y):
    def cdf(x):
        half = mpmath.betainc(df / 2, 0.5, 0, df / (df + x * x), regularized=True) / 2
        return half if x < 0 else 1 - half

    with mpmath.workdps(20):
        pieces = [-mpmath.inf, -1000, -30, -5, y, y + 1, 5, 30, 1000, mpmath.inf]
        pieces = sorted(set(pieces))
        exact = mpmath.quad(lambda x: (cdf(x) - (x >= y)) ** 2, pieces)
    got = StudentTDistribution(np.zeros(1), np.ones(1), np.array([df])).crps(y)[0]
    assert got == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("x", [1.05, 1.5, 3.0, 10.0, 1e3, 1e6])
def test_step_of_log_gamma_agrees_with_arbitrary_precision(x):
    with mpmath.workdps(40):
        x_ = mpmath.mpf(x)
        exact = mpmath.loggamma(x_ + 0.5) - mpmath.loggamma(x_) - mpmath.log(x_) / 2
    assert log_gamma_step(x) == pytest.approx(float(exact), abs=2e-13)
    single = log_gamma_step(np.float32(x))
    assert single.dtype == np.float32
    assert single == pytest.approx(float(exact), abs=5e-7)


def test_student_starts_with_the_tails_of_the_target():
    heavy, light = (stats.t(df).rvs(5000, random_state=0)[:, None] for df in (5, 1000))
    output = StudentT()
    heavy_raw, light_raw = output.initial_raw(heavy / heavy.std()), output.initial_raw(light)
    df = [output.distribution(r[None]).df[0] for r in (heavy_raw, light_raw)]
    assert df[0] < 8 < 20 < df[1]
    assert output.distribution(light_raw[None]).std()[0] == pytest.approx(light.std(), rel=1e-6)


def test_laplace_starts_at_median_and_mean_distance():
    y = np.array([[0.0], [1.0], [5.0]])
    d = Laplace().distribution(Laplace().initial_raw(y)[None])
    assert (d.loc[0], d.scale[0]) == pytest.approx((1.0, 5 / 3))


def test_poisson_log_rate_is_the_raw_output_and_then_a_straight_line():
    assert log_rate(-3.0) == -3.0
    assert log_rate(LINEAR_FROM) == LINEAR_FROM
    above = np.exp(log_rate(LINEAR_FROM + np.array([0.0, 1.0, 2.0])))
    np.testing.assert_allclose(above / np.exp(LINEAR_FROM), [1.0, 2.0, 3.0])
    assert np.isfinite(np.exp(log_rate(np.float32(1e4))))


def test_poisson_starts_at_the_mean_count():
    assert np.exp(Poisson().initial_raw(np.array([[1.0], [4.0]]), np.array([1.0, 3.0]))[0]) == pytest.approx(3.25)
    assert np.exp(Poisson().initial_raw(np.zeros((10, 1)))[0]) == pytest.approx(0.05)


@pytest.mark.parametrize("rate", [1e-8, 0.3, 20.0, 1e6, 1e12])
def test_poisson_quantiles_at_all_rates(rate):
    d = PoissonDistribution(np.log([rate]))
    q = np.array([1e-9, 0.2, 0.5, 0.999])
    k = d.ppf(q)
    assert (d.cdf(k) >= q).all()
    assert (d.cdf(k - 1) < q).all()


def test_poisson_gives_nothing_to_what_is_no_count():
    d = PoissonDistribution(np.zeros(1))
    for y in (-1.0, 0.5, np.inf, np.nan):
        assert d.logpmf(y)[0] == -np.inf
    assert d.cdf(-0.5)[0] == 0.0
    assert d.sf(-0.5)[0] == 1.0


@pytest.mark.parametrize("df", [2.1, 3.0, 5.0, 30.0, 1e3, 1e5])
def test_student_quantiles_far_in_the_tail(df):
    """Got through: SciPy's inverse is wrong by a tenth at 1e-140 and infinite, of the other sign, at 1e-300."""
    distribution = StudentTDistribution(np.zeros(1), np.ones(1), np.array([df]))
    for q in (0.3, 1e-5, 1e-17, 1e-20, 1e-60, 1e-140, 1e-200, 1e-272, 1e-300):
        t = distribution.ppf(q)[0]
        with mpmath.workdps(40):
            x = df / (df + mpmath.mpf(t) ** 2)
            tail = mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, x, regularized=True) / 2
            assert t < 0
            assert abs(tail / q - 1) < 1e-11


def test_no_quantile_is_infinite():
    df = np.array([2.1, 10.0, 100.0, 1e6])
    distribution = StudentTDistribution(np.zeros(4), np.ones(4), df)
    assert np.isfinite(distribution.ppf(5e-324)).all()
    assert (distribution.ppf(5e-324) <= distribution.ppf(1e-300)).all()
