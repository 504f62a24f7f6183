import numpy as np
import pytest
from scipy import stats

from chainrule.outputs import Gaussian, GaussianMixture

rng = np.random.default_rng(0)


def fitted(y, k, weights=None):
    output = GaussianMixture(k)
    return output.distribution(output.initial_raw(y, weights)[None])


def test_raw_outputs_are_logits_means_precisions():
    d = GaussianMixture(2).distribution(np.array([[0.0, np.log(3.0), -1.0, 4.0, 0.0, 1.0]]))
    np.testing.assert_allclose(d.weights, [[0.25, 0.75]])
    np.testing.assert_array_equal(d.locs, [[-1.0, 4.0]])
    np.testing.assert_allclose(1 / d.scales**2, [np.log1p(np.exp([0.0, 1.0])) + 1e-6])
    assert d.mean()[0] == pytest.approx(2.75)


def test_one_component_is_a_gaussian():
    raw, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    with_logit = np.concatenate([rng.normal(size=(20, 1)), raw], axis=1)
    np.testing.assert_allclose(GaussianMixture(1).nll(with_logit, y), Gaussian().nll(raw, y), rtol=1e-12)


def test_weights_that_underflow_lose_nothing():
    # the nearest component has weight e⁻²⁰⁰⁰ and still decides
    raw = np.array([[0.0, -2000.0, 0.0, 100.0, 20.0, 20.0]])
    y = np.array([[100.0]])
    exact = 2000.0 + 0.5 * np.log(2 * np.pi) - 0.5 * np.log(np.log1p(np.exp(20.0)) + 1e-6)
    assert GaussianMixture(2).nll(raw, y)[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
@pytest.mark.parametrize(
    "sample",
    [
        stats.norm(0, 1).rvs(3000, random_state=0),
        np.concatenate([stats.norm(-1, 0.1).rvs(1000, random_state=0), stats.norm(1, 0.1).rvs(1000, random_state=1)]),
        stats.t(3).rvs(3000, random_state=0),
        stats.expon().rvs(3000, random_state=0),
        np.round(stats.norm(0, 1).rvs(3000, random_state=0)),
    ],
    ids=["normal", "bimodal", "heavy", "skewed", "ties"],
)
def test_starts_about_as_well_as_the_best_single_gaussian(k, sample):
    y = ((sample - sample.mean()) / sample.std())[:, None]
    single = 0.5 + 0.5 * np.log(2 * np.pi)
    start = -fitted(y, k).logpdf(y[:, 0]).mean()
    assert start < single + 0.11
    assert fitted(y, k).mean()[0] == pytest.approx(0.0, abs=1e-9)


def test_starting_components_differ():
    d = fitted(rng.normal(size=(500, 1)), 5)
    assert np.diff(d.locs[0]).min() > 0.3
    np.testing.assert_allclose(d.weights, 0.2)


def test_several_targets_start_along_their_first_principal_component():
    y = rng.normal(size=(2000, 1)) * [1.0, -1.0] + 0.1 * rng.normal(size=(2000, 2))
    d = fitted(y, 4)
    order = np.argsort(d.locs[0, 0])
    assert (np.diff(d.locs[0, 0][order]) > 0).all()
    assert (np.diff(d.locs[0, 1][order]) < 0).all()


def test_several_targets_make_one_joint_mixture():
    output = GaussianMixture(2)
    # weights ½, component means (-3, 3) and (3, -3): each target's margin is symmetric, together they are opposed
    raw = np.array([[0.0, 0.0, -3.0, 3.0, 3.0, -3.0, 5.0, 5.0, 5.0, 5.0]])
    d = output.distribution(raw)
    assert d.shape == (1, 2)
    np.testing.assert_allclose(d.logpdf([[3.0, 3.0]]), d.logpdf([[3.0, -3.0]]))
    assert d.log_score([[3.0, -3.0]])[0] > d.log_score([[3.0, 3.0]])[0] + 50
    np.testing.assert_allclose(output.nll(raw, np.array([[3.0, 3.0]])), -d.log_score([[3.0, 3.0]]))
    draws = d.rvs(2000, random_state=0)[:, 0]
    assert np.corrcoef(draws.T)[0, 1] < -0.95
    margin = d.target(1)
    assert margin.shape == (1,)
    assert margin.ppf(0.5)[0] == pytest.approx(0.0, abs=1e-6)
