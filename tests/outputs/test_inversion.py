from typing import ClassVar

import numpy as np
import pytest

from chainrule.outputs import Mixture, Normal, NormalMixture, PoissonDistribution, inversion


class CountedNormal(Normal):
    """Counts how many tail probabilities are asked for."""

    asked: ClassVar[int] = 0

    def tail(self, x, upper):
        type(self).asked += len(x)
        return super().tail(x, upper)


class CountedMixture(NormalMixture):
    """Counts how many tail probabilities are asked for."""

    asked: ClassVar[int] = 0

    def tail(self, x, upper):
        type(self).asked += len(x)
        return super().tail(x, upper)


def test_newton_on_the_normal_score_is_done_at_once_for_a_normal_distribution():
    CountedNormal.asked = 0
    d = CountedNormal(np.linspace(-5, 5, 1000), np.linspace(0.1, 30, 1000))
    q = np.linspace(1e-10, 1 - 1e-10, 1000)
    x = inversion.quantiles(d, np.arange(1000), q)
    np.testing.assert_allclose(x, d.ppf(q), rtol=1e-9, atol=1e-9)
    assert CountedNormal.asked <= 2 * 1000


@pytest.mark.parametrize("q", [1e-9, 0.1, 0.5, 0.999])
def test_mixtures_take_few_steps(q):
    rng = np.random.default_rng(0)
    n = 5000
    parameters = np.full((n, 5), np.log(0.2)), rng.normal(size=(n, 5)), np.exp(0.5 * rng.normal(size=(n, 5)))
    d = CountedMixture(*parameters)
    CountedMixture.asked = 0
    d.ppf(q)
    assert CountedMixture.asked < 8 * n


def test_places_name_the_distribution_of_each_level():
    d = Normal(np.array([0.0, 100.0]), np.ones(2))
    x = inversion.quantiles(d, np.array([1, 0, 1]), np.array([0.5, 0.5, 0.5]))
    np.testing.assert_allclose(x, [100.0, 0.0, 100.0])


@pytest.mark.parametrize("rate", [1e-3, 7.0, 1e5, 1e16, 1e20])
def test_whole_numbers_end_at_every_magnitude(rate):
    d = Mixture((PoissonDistribution(np.log([rate])), PoissonDistribution(np.log([2 * rate]))))
    k = d.ppf(0.3)
    assert k[0] == np.floor(k[0])
    assert d.cdf(k)[0] >= 0.3 or rate > 2.0**53
    assert rate * 0.9 - 5 < k[0] < 2 * rate + 5 or rate < 1
