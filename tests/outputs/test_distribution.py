"""What holds for the predictive distribution of every output, against quadrature and against each other."""

from dataclasses import dataclass

import numpy as np
import pytest

from chainrule.errors import OptionError
from chainrule.outputs import Distribution, Normal, Output
from chainrule.outputs.distribution import Affine
from outputs.output_cases import ALL, ORDERED, SCALED, like_batch, raw_of, target_of


def distribution_of(output: Output, n: int, t: int, seed: int = 0) -> Distribution:
    return output.distribution(raw_of(output, n, t, seed))


def grid(distribution: Distribution) -> tuple[np.ndarray, np.ndarray]:
    """Points x (m, n) and widths of cells around them, far into heavy tails; the median lies between two cells."""
    u = np.linspace(-22.0, 22.0, 44_000)[:, None]
    centre = distribution.ravel().median()
    return centre + np.sinh(u), np.cosh(u) * (u[1] - u[0])


@pytest.mark.parametrize(("output", "t"), ALL)
def test_batch(output, t):
    d = distribution_of(output, 7, t)
    y = like_batch(target_of(output, 7, t))
    assert isinstance(d, Distribution)
    assert d.shape == ((7,) if t == 1 else (7, 3))
    assert len(d) == 7
    assert repr(d).startswith("<")
    assert "\n" not in repr(d)
    for rows in (slice(1, 5), np.array([3, 3, 0]), np.arange(7) % 2 == 0, 2):
        np.testing.assert_array_equal(d[rows].logpdf(y[rows]), d.logpdf(y)[rows])
        np.testing.assert_allclose(d[rows].crps(y[rows]), d.crps(y)[rows], rtol=1e-13)
    np.testing.assert_array_equal(d.ravel().logpdf(np.ravel(y)), np.ravel(d.logpdf(y)))
    assert len(d[:0]) == 0
    assert d[:0].logpdf(y[:0]).size == 0
    assert "0" in repr(d[:0])


@pytest.mark.parametrize(("output", "t"), ALL)
def test_targets(output, t):
    d = distribution_of(output, 7, t)
    y = like_batch(target_of(output, 7, t))
    if t == 1:
        with pytest.raises(OptionError, match="one of several targets"):
            d.target(0)
        np.testing.assert_array_equal(d.log_score(y), d.logpdf(y))
        return
    for j in range(t):
        np.testing.assert_array_equal(d.target(j).logpdf(y[:, j]), d.logpdf(y)[:, j])
        np.testing.assert_array_equal(d.target(j).mean(), d.mean()[:, j])
    assert d.log_score(y).shape == (7,)
    with pytest.raises(OptionError, match="target"):
        d[:, 0]


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_cdf_is_one_of_a_distribution_with_that_density(output, t):
    d = distribution_of(output, 1 if t > 1 else 3, t).ravel()
    if d.discrete:
        k = np.arange(-2.0, 400.0)[:, None]
        k = k[: 4 if d.support[1] == 1.0 else None]
        np.testing.assert_allclose(np.cumsum(d.pmf(k), axis=0), d.cdf(k), atol=1e-13)
        np.testing.assert_array_equal(d.cdf(k + 0.5), d.cdf(k))
        assert (d.pmf(k[2:] + 0.5) == 0).all()
    else:
        x, dx = grid(d)
        density = d.pdf(x) * dx
        mass = np.cumsum(0.5 * (density[1:] + density[:-1]), axis=0)
        inside = slice(None, None, 100)
        np.testing.assert_allclose(mass[inside], d.cdf(x[1:])[inside], atol=1e-3)
        np.testing.assert_allclose(mass[-1], 1.0, atol=1e-3)
        with pytest.raises(OptionError, match="continuous"):
            d.pmf(0.0)
    y = np.linspace(-30, 30, 101)[:, None]
    assert (np.diff(d.cdf(y), axis=0) >= 0).all()
    np.testing.assert_allclose(d.cdf(y) + d.sf(y), 1.0, atol=1e-15)
    assert (d.cdf(-1e9) < 1e-6).all()
    assert (d.cdf(1e9) > 1 - 1e-6).all()


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_moments_agree_with_the_cdf(output, t):
    d = distribution_of(output, 1 if t > 1 else 3, t).ravel()
    centre = d.median()
    if d.discrete:
        k = np.arange(0.0, 1000.0)[:, None]
        mean = np.sum(d.sf(k), axis=0)
        second = np.sum((2 * k + 1) * d.sf(k), axis=0)
        var = second - mean**2
    else:
        x, dx = grid(d)
        right = x > centre
        tail = np.where(right, d.sf(x), d.cdf(x))
        mean = centre + np.sum(np.where(right, tail, -tail) * dx, axis=0)
        var = np.sum(2 * np.abs(x - centre) * tail * dx, axis=0) - (mean - centre) ** 2
    np.testing.assert_allclose(d.mean(), mean, atol=2e-4)
    np.testing.assert_allclose(d.var(), var, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(d.std(), np.sqrt(d.var()))


LEVELS = np.array([1e-12, 1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12])


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_quantiles_invert_the_cdf(output, t):
    d = distribution_of(output, 40, t)
    q = LEVELS.reshape(-1, *(1,) * len(d.shape))
    x = d.ppf(q)
    assert x.shape == (len(LEVELS), *d.shape)
    if d.discrete:
        assert (d.cdf(x) >= q).all()
        assert (d.cdf(x - 1) < q).all()
        k = np.arange(0.0, 2.0 if d.support[1] == 1 else 20.0).reshape(q.shape[:0] + (-1,) + (1,) * len(d.shape))
        k = k[: max(1, int(np.sum(d.sf(k).min(axis=tuple(range(1, k.ndim))) > 1e-9)))]
        np.testing.assert_array_equal(d.ppf(d.cdf(k)), np.broadcast_to(k, (len(k), *d.shape)))
    else:
        np.testing.assert_allclose(d.cdf(x), np.broadcast_to(q, x.shape), atol=1e-12)
        tail = np.where(q > 0.5, d.sf(x), d.cdf(x))
        np.testing.assert_allclose(tail, np.broadcast_to(np.minimum(q, 1 - q), x.shape), rtol=1e-9)
        middle = d.mean()
        np.testing.assert_allclose(d.ppf(d.cdf(middle)), middle, rtol=1e-9, atol=1e-9)
    assert (np.diff(x, axis=0) >= 0).all()
    np.testing.assert_array_equal(d.quantiles(LEVELS), np.moveaxis(x, 0, -1))
    np.testing.assert_array_equal(d.median(), d.ppf(0.5))
    np.testing.assert_allclose(d.interval(0.8), d.quantiles([0.1, 0.9]), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(d.ppf(0.0), np.full(d.shape, d.support[0]))
    np.testing.assert_array_equal(d.ppf(1.0), np.full(d.shape, d.support[1]))
    for outside in (-0.1, 1.1, np.nan):
        assert np.isnan(d.ppf(outside)).all()
    for coverage in (-0.1, 1.1, np.nan):
        with pytest.raises(OptionError, match="coverage"):
            d.interval(coverage)


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_crps_agrees_with_its_definition(output, t):
    d = distribution_of(output, 1 if t > 1 else 3, t).ravel()
    y = np.ravel(target_of(output, 1 if t > 1 else 3, t))
    for at in (y, y + 3.7, y - 5.2):
        if d.discrete:
            # the cdf is constant between whole numbers, the indicator's step cuts one of these pieces
            cuts = np.sort(np.concatenate([np.tile(np.arange(-10.0, 1000.0)[:, None], len(at)), at[None]]), axis=0)
            left = cuts[:-1]
            exact = np.sum(np.diff(cuts, axis=0) * np.square(d.cdf(left) - (left >= at)), axis=0)
            np.testing.assert_allclose(d.crps(at), exact, rtol=1e-10, atol=1e-12)
        else:
            x, dx = grid(d)
            exact = np.sum(np.square(np.where(x < at, d.cdf(x), d.sf(x))) * dx, axis=0)
            np.testing.assert_allclose(d.crps(at), exact, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_general_methods_agree_with_closed_forms(output, t):
    d = distribution_of(output, 50, t)
    q = LEVELS[1:-1].reshape(-1, *(1,) * len(d.shape))
    np.testing.assert_allclose(Distribution.ppf(d, q), d.ppf(q), rtol=1e-8, atol=1e-10)
    y = like_batch(target_of(output, 50, t))
    np.testing.assert_allclose(Distribution.crps(d, y), d.crps(y), rtol=1e-7)
    np.testing.assert_allclose(Distribution.sf(d, y), d.sf(y), atol=1e-14)
    np.testing.assert_allclose(Distribution.pdf(d, y), d.pdf(y), rtol=1e-10)
    assert Distribution.rvs(d, 3, random_state=0).shape == (3, *d.shape)
    low, high = Distribution.bracket(d, np.full(d.shape, 0.2))
    assert (low <= d.ppf(0.2) + 1e-12).all()
    assert (d.ppf(0.2) <= high + 1e-12).all()


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_samples_follow_the_distribution(output, t):
    d = distribution_of(output, 2, t)
    draws = d.rvs(20_000, random_state=5)
    assert draws.shape == (20_000, *d.shape)
    if d.discrete:
        values = np.arange(0.0, 12.0).reshape(-1, 1, *(1,) * len(d.shape))
        seen = np.mean(draws == values, axis=1)
        np.testing.assert_allclose(seen, d.pmf(values[:, 0]), atol=4 * 0.5 / np.sqrt(20_000))
    else:
        pit = np.sort(d.cdf(draws), axis=0)  # uniform; Kolmogorov's distance beyond 1.95/√n has probability 0.1 %
        uniform = ((np.arange(20_000) + 0.5) / 20_000).reshape(-1, *(1,) * len(d.shape))
        assert np.abs(pit - uniform).max() < 1.95 / np.sqrt(20_000)


@pytest.mark.parametrize(("output", "t"), ALL)
def test_samples_are_reproducible(output, t):
    d = distribution_of(output, 4, t)
    assert d.rvs(random_state=1).shape == d.shape
    assert d.rvs((2, 3), random_state=1).shape == (2, 3, *d.shape)
    np.testing.assert_array_equal(d.rvs(5, random_state=1), d.rvs(5, random_state=np.random.default_rng(1)))
    assert not np.array_equal(d.rvs(50, random_state=1), d.rvs(50, random_state=2))


@pytest.mark.parametrize(("output", "t"), SCALED)
def test_own_units(output, t):
    raw = raw_of(output, 30, t)
    location, scale = np.array([30.0, -2.0, 0.0])[:t], np.array([7.0, 0.01, 1.0])[:t]
    standard, own = output.distribution(raw), output.distribution(raw, location=location, scale=scale)
    general = Affine(standard, *(np.broadcast_to(v, standard.shape) for v in (location, scale)))
    y = like_batch(location + scale * target_of(output, 30, t))
    z = (y - location) / scale
    for d in (own, general):
        np.testing.assert_allclose(d.mean(), location + scale * standard.mean(), rtol=1e-12)
        np.testing.assert_allclose(d.std(), scale * standard.std(), rtol=1e-12)
        np.testing.assert_allclose(d.pdf(y), standard.pdf(z) / scale, rtol=1e-9)
        np.testing.assert_allclose(d.logpdf(y), standard.logpdf(z) - np.log(scale), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(d.cdf(y), standard.cdf(z), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(d.sf(y), standard.sf(z), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(d.crps(y), scale * standard.crps(z), rtol=1e-9)
        np.testing.assert_allclose(d.interval(0.7)[..., 0], location + scale * standard.ppf(0.15), rtol=1e-9)
        np.testing.assert_allclose(d.rvs(3, 0), location + scale * standard.rvs(3, 0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(d.log_score(y), standard.log_score(z) - np.log(scale).sum(), rtol=1e-9, atol=1e-9)
        twice = d.affine(1.0, 2.0)
        np.testing.assert_allclose(twice.mean(), 1.0 + 2.0 * d.mean(), rtol=1e-12)
        np.testing.assert_array_equal(d[3:5].mean(), d.mean()[3:5])


@dataclass(frozen=True)
class Waiting(Distribution):
    """A user's own: the exponential distribution, by no more than the four methods it must have."""

    rate: np.ndarray

    def logpdf(self, y):
        return np.where(np.asarray(y) >= 0, np.log(self.rate) - self.rate * y, -np.inf)

    def cdf(self, y):
        return -np.expm1(-self.rate * np.maximum(y, 0.0))

    def mean(self):
        return 1 / self.rate

    def var(self):
        return 1 / self.rate**2


def test_four_methods_make_a_distribution():
    d = Waiting(np.array([0.5, 2.0, 10.0]))
    q = np.array([0.01, 0.5, 0.999])[:, None]
    np.testing.assert_allclose(d.ppf(q), -np.log1p(-q) / d.rate, rtol=1e-9)
    y = np.array([1.0, 0.3, 5.0])
    closed = y - 2 / d.rate * d.cdf(y) + 0.5 / d.rate
    np.testing.assert_allclose(d.crps(y), closed, rtol=1e-8)
    np.testing.assert_allclose(d.affine(5.0, 2.0).ppf(0.5), 5 + 2 * np.log(2) / d.rate, rtol=1e-9)
    np.testing.assert_allclose(d.rvs(100_000, 0).mean(axis=0), d.mean(), rtol=0.02)
    assert d.interval(0.5).shape == (3, 2)


def test_discrete_distributions_have_no_other_units():
    from chainrule.outputs import Poisson

    with pytest.raises(OptionError, match="whole numbers"):
        Poisson().distribution(np.zeros((2, 1))).affine(0.0, 2.0)


def test_quantiles_takes_a_list():
    with pytest.raises(OptionError, match="list of levels"):
        Normal(np.zeros(2), np.ones(2)).quantiles(0.5)
