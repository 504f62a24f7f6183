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


def test_what_cannot_spike():
    y = rng.integers(0, 3, N).astype(float)
    assert spikes(Normal(y, np.full(N, 1e-6)), y) == ""  # precise, not torn between values
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
