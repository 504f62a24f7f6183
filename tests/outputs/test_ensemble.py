"""The mixture of members' distributions, for every output."""

import numpy as np
import pytest

from chainrule.errors import OptionError
from chainrule.outputs import (
    Bernoulli,
    CategoricalDistribution,
    Distribution,
    Gaussian,
    Laplace,
    Mixture,
    NormalMixture,
    Poisson,
    mixture_of,
)
from outputs.output_cases import ALL, ORDERED, SCALED, like_batch, raw_of, target_of

M = 4


def members_of(output, n, t, spread=1.0):
    return [output.distribution(raw_of(output, n, t, seed=m, spread=spread)) for m in range(M)]


@pytest.mark.parametrize(("output", "t"), ALL)
def test_probabilities_and_moments_are_means(output, t):
    members = members_of(output, 15, t)
    d = mixture_of(members)
    y = like_batch(target_of(output, 15, t))
    assert d.shape == members[0].shape
    assert repr(d).startswith("<")
    np.testing.assert_allclose(d.pdf(y), np.mean([m.pdf(y) for m in members], axis=0), rtol=1e-9)
    np.testing.assert_allclose(d.log_score(y), np.log(np.mean([np.exp(m.log_score(y)) for m in members], axis=0)))
    np.testing.assert_allclose(d.mean(), np.mean([m.mean() for m in members], axis=0), rtol=1e-12, atol=1e-14)
    second = np.mean([m.var() + m.mean() ** 2 for m in members], axis=0)
    np.testing.assert_allclose(d.var(), second - d.mean() ** 2, rtol=1e-9)
    np.testing.assert_allclose(d[3:7].logpdf(y[3:7]), d.logpdf(y)[3:7], rtol=1e-14)
    np.testing.assert_allclose(mixture_of([d, d]).logpdf(y), d.logpdf(y), rtol=1e-12)
    if t > 1:
        np.testing.assert_allclose(d.target(1).logpdf(y[:, 1]), d.logpdf(y)[:, 1], rtol=1e-12)


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_quantiles_are_exact(output, t):
    members = members_of(output, 15, t)
    d = mixture_of(members)
    y = like_batch(target_of(output, 15, t))
    np.testing.assert_allclose(d.cdf(y), np.mean([m.cdf(y) for m in members], axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(d.cdf(y) + d.sf(y), 1.0, rtol=1e-12)
    q = np.array([1e-6, 0.05, 0.5, 0.99]).reshape(-1, *(1,) * len(d.shape))
    x = d.ppf(q)
    if d.discrete:
        assert (d.cdf(x) >= q).all()
        assert (d.cdf(x - 1) < q).all()
    else:
        np.testing.assert_allclose(d.cdf(x), np.broadcast_to(q, x.shape), atol=1e-12)


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_crps_agrees_with_direct_quadrature(output, t):
    d = mixture_of(members_of(output, 10, t, spread=1.5))
    y = like_batch(target_of(output, 10, t))
    np.testing.assert_allclose(d.crps(y), Distribution.crps(d, y), rtol=1e-6)
    assert (d.crps(y) <= np.mean([m.crps(y) for m in members_of(output, 10, t, spread=1.5)], axis=0) + 1e-12).all()


@pytest.mark.parametrize(("output", "t"), ORDERED)
def test_samples(output, t):
    d = mixture_of(members_of(output, 2, t))
    draws = d.rvs(20_000, random_state=2)
    assert draws.shape == (20_000, *d.shape)
    for at in (d.ppf(0.2), d.ppf(0.8)):
        np.testing.assert_allclose((draws <= at).mean(axis=0), d.cdf(at), atol=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize(("output", "t"), SCALED)
def test_own_units(output, t):
    location, scale = np.array([3.0, 0.0, -1.0])[:t], np.array([10.0, 1.0, 0.1])[:t]
    raws = [raw_of(output, 5, t, seed=m) for m in range(M)]
    own = mixture_of([output.distribution(raw, location=location, scale=scale) for raw in raws])
    other = mixture_of([output.distribution(raw) for raw in raws]).affine(location, scale)
    y = like_batch(location + scale * target_of(output, 5, t))
    np.testing.assert_allclose(own.logpdf(y), other.logpdf(y), rtol=1e-12)
    np.testing.assert_allclose(own.crps(y), other.crps(y), rtol=1e-9)
    np.testing.assert_allclose(own.ppf(0.1), other.ppf(0.1), rtol=1e-9)


def test_closed_forms():
    assert isinstance(mixture_of(members_of(Gaussian(), 3, 1)), NormalMixture)
    assert mixture_of(members_of(Gaussian(), 3, 1)).locs.shape == (3, M)
    assert isinstance(mixture_of(members_of(Laplace(), 3, 1)), Mixture)
    one = mixture_of([CategoricalDistribution(np.log([[0.5, 0.5]])), CategoricalDistribution(np.log([[0.1, 0.9]]))])
    np.testing.assert_allclose(one.probabilities, [[0.3, 0.7]])
    confident = mixture_of([Bernoulli().distribution([[-800.0]]), Bernoulli().distribution([[-900.0]])])
    assert confident.logpmf(1)[0] == pytest.approx(-800.0 - np.log(2))


def test_members_make_targets_depend_on_each_other():
    near, far = (Laplace().distribution(np.array([[m, m, 9.0, 9.0]])) for m in (-5.0, 5.0))
    d = mixture_of([near, far])
    assert np.corrcoef(d.rvs(1000, random_state=0)[:, 0].T)[0, 1] > 0.95
    assert d.log_score([[5.0, 5.0]])[0] > d.log_score([[5.0, -5.0]])[0] + 10


def test_wide_counts_are_sampled_evenly():
    d = mixture_of([Poisson().distribution([[np.log(rate)]]) for rate in (10.0, 3e5, 1e6)])
    y = np.array([2e5])
    a, b = d.rvs(200_000, random_state=0)[:, 0], d.rvs(200_000, random_state=1)[:, 0]
    assert d.crps(y)[0] == pytest.approx(np.abs(a - y).mean() - 0.5 * np.abs(a - b).mean(), rel=0.02)


def test_one_member_is_itself_and_bad_ensembles_are_refused():
    members = members_of(Gaussian(), 3, 1)
    assert mixture_of(members[:1]) is members[0]
    assert len(mixture_of([m[:0] for m in members])) == 0
    for wrong in ([], [members[0], members[1][:2]], [members[0], *members_of(Laplace(), 3, 1)]):
        with pytest.raises(OptionError, match="mixture_of"):
            mixture_of(wrong)
