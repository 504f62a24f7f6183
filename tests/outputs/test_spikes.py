"""Likelihood spikes are seen where they are, and only there."""

import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.outputs import Normal, NormalMixture, PoissonDistribution
from chainrule.outputs.spikes import spikes

rng = np.random.default_rng(0)
N = 2000


def mixture(weights, locs, scales):
    rows = [np.tile(np.asarray(v, float), (N, 1)) for v in (np.log(weights), locs, scales)]
    return NormalMixture(*rows)


def test_whole_numbers():
    y = rng.integers(0, 3, N).astype(float)
    said = spikes(mixture([1 / 3] * 3, [0, 1, 2], [0.01] * 3), y)
    assert said.startswith("likelihood spikes: in 100%")
    assert "3 different ones in 2000 rows" in said
    assert "\n" not in said
    assert spikes(mixture([1 / 3] * 3, [0, 1, 2], [0.3] * 3), y) == ""
    assert spikes(mixture([1.0], [1.0], [0.8]), y) == ""


def test_a_default_of_zero_among_continuous_values():
    y = np.where(rng.random(N) < 0.3, 0.0, rng.normal(size=N))
    d = mixture([0.3, 0.7], [0.0, 0.0], [0.005, 1.0])
    assert "in 30%" in spikes(d, y) or "in 31%" in spikes(d, y) or "in 29%" in spikes(d, y)
    w = np.where(y == 0.0, 0.01, 1.0)
    assert spikes(d, y, w) == ""


@pytest.mark.parametrize("digits", [2, 3, 15])
def test_narrow_branches_are_no_spikes_if_rounding_is_finer(digits):
    branch = np.where(rng.random(N) < 0.5, -1.0, 1.0)
    y = np.round(branch + 0.02 * rng.normal(size=N), digits)
    assert spikes(mixture([0.5, 0.5], [-1.0, 1.0], [0.02, 0.02]), y) == ""


def test_all_of_a_distribution_on_repeated_values():
    for n, different in ((250, 2), (N, 3), (N, 40)):
        y = rng.integers(0, different, n).astype(float)
        y[:different] = np.arange(different)
        said = spikes(Normal(y + 0.002, np.full(n, 0.002)), y)
        assert said.startswith("likelihood spikes: in 100% of the training rows")
        assert f"{different} different ones in {n} rows" in said
        assert "gaussian" not in said  # which is no help
        assert spikes(Normal(y, np.full(n, 0.3)), y) == ""
    y = 0.3 + rng.integers(0, 2, N) + np.where(rng.random(N) < 0.5, 0.0, 1e-16)
    assert len(np.unique(y)) > 2
    assert "(2 different ones" in spikes(Normal(y, np.full(N, 0.002)), y)  # 0.3 and 0.1 + 0.2
    y = np.round(rng.normal(size=N), 1)
    assert spikes(Normal(y, np.full(N, 0.002)), y)
    y = rng.integers(0, 9, N) ** 2.0
    assert "in 100%" in spikes(Normal(y, 0.02 * (y + 1.0)), y)  # each of its own width


def test_a_floor_that_is_known_exactly():
    y = np.maximum(rng.normal(size=N), 0.0)
    said = spikes(Normal(y, np.where(y == 0.0, 0.001, 0.02)), y)
    assert abs(int(said.split("in ")[1].split("%")[0]) - 50) < 5
    assert spikes(Normal(y, np.full(N, 0.02)), y) == ""
    assert spikes(Normal(y, np.full(N, 0.001)), y) == ""  # as precise everywhere: the rows off the floor as well


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("std", [1e-3, 0.03, 1.0])
def test_precise_is_not_contracted_if_the_values_are_resolved(dtype, std):
    several = np.repeat(rng.normal(size=60), 3).astype(dtype)  # rows that are there three times
    assert spikes(Normal(several, np.full(len(several), std)), several) == ""
    for y in (rng.normal(size=N), np.round(rng.normal(size=N), 3), np.round(np.exp(rng.normal(size=N)), 3)):
        y = y.astype(dtype)
        assert spikes(Normal(y, np.full(N, std)), y) == ""
    heaped = np.round(rng.lognormal(5.0, 1.0, N))
    heaped = np.where(rng.random(N) < 0.4, np.maximum(10.0, 10.0 * np.round(heaped / 10.0)), heaped).astype(dtype)
    assert spikes(Normal(heaped, (0.3 + std) * heaped), heaped) == ""
    capped = np.clip(rng.normal(size=N), -1.0, 1.0).astype(dtype)
    assert spikes(Normal(capped, np.full(N, std)), capped) == ""


def test_what_cannot_spike():
    y = rng.integers(0, 3, N).astype(float)
    assert spikes(PoissonDistribution(np.zeros(N)), y) == ""
    assert spikes(Normal(np.zeros(N), np.ones(N)), np.zeros(N)) == ""
    assert spikes(Normal(np.zeros(0), np.ones(0)), np.zeros(0)) == ""


def test_an_estimator_says_so():
    x = rng.normal(size=(300, 1))
    y = rng.integers(0, 3, 300).astype(float)
    quick = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.05, "n_members": 1, "random_state": 0}
    model = cr.FeedForwardRegressor(output=cr.GaussianMixture(3), max_iter=150, **quick)
    with pytest.warns(UserWarning, match="likelihood spikes: in .* different ones in") as caught:
        model.fit(x, y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.FeedForwardRegressor(output="gaussian", max_iter=5, **quick).fit(x, y)
        model.fit(x, y + 0.5 * rng.normal(size=300))


def test_an_estimator_says_so_of_a_sign():
    x = rng.normal(size=(250, 1))
    quick = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.05, "n_members": 1, "random_state": 0}
    with pytest.warns(UserWarning, match="likelihood spikes: in .*.2 different ones in"):
        cr.FeedForwardRegressor(output="gaussian", max_iter=300, **quick).fit(x, np.sign(x[:, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.FeedForwardRegressor(output="gaussian", max_iter=100, **quick).fit(x, np.sin(x[:, 0]))
