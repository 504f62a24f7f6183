"""Parameters by name describe the distribution: SciPy's distributions made of them have the same densities."""

import numpy as np
import pytest
from scipy import stats

import chainrule as cr
from chainrule.models.prediction import parameters
from chainrule.outputs import mixture_of

RAW = np.random.default_rng(0).normal(size=(7, 60))


def distribution(output, t=1, n_members=1):
    scaling = {"location": np.full(t, 30.0), "scale": np.full(t, 4.0)} if output.scales_target else {}
    n = output.n_raw(t)
    return mixture_of([output.distribution(RAW[:, k * n : (k + 1) * n], **scaling) for k in range(n_members)])


SCIPY = {
    "gaussian": (cr.Gaussian(), lambda p: stats.norm(p["loc"], p["scale"])),
    "laplace": (cr.Laplace(), lambda p: stats.laplace(p["loc"], p["scale"])),
    "student_t": (cr.StudentT(), lambda p: stats.t(p["df"], p["loc"], p["scale"])),
    "poisson": (cr.Poisson(), lambda p: stats.poisson(p["rate"])),
}


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("t", [1, 2])
def test_numbers(name, t):
    output, theirs = SCIPY[name]
    ours = distribution(output, t)
    named = parameters(ours)
    y = np.full(ours.shape, 3.0 if output.kind == "count" else 31.0)
    density = theirs(named).pmf if output.kind == "count" else theirs(named).pdf
    np.testing.assert_allclose(density(y), ours.pdf(y), rtol=1e-10)
    np.testing.assert_allclose(named["mean"], theirs(named).mean(), rtol=1e-10)
    np.testing.assert_allclose(named["std"], theirs(named).std(), rtol=1e-10)


@pytest.mark.parametrize(("output", "n_members"), [(cr.GaussianMixture(3), 1), (cr.Gaussian(), 3)])
@pytest.mark.parametrize("t", [1, 2])
def test_mixtures(output, n_members, t):
    ours = distribution(output, t, n_members)
    named = parameters(ours)
    y = np.full(ours.shape, 31.0)
    each = named["weights"] * stats.norm(named["means"], named["sigmas"]).pdf(y[..., None])
    np.testing.assert_allclose(each.sum(axis=-1), ours.pdf(y), rtol=1e-10)
    np.testing.assert_allclose(named["weights"].sum(axis=-1), 1.0)


@pytest.mark.parametrize("t", [1, 2])
def test_ensembles_have_one_member_after_the_other(t):
    ours = distribution(cr.StudentT(), t, 3)
    named = parameters(ours)
    each = stats.t(named["df"], named["loc"], named["scale"]).pdf(31.0)
    assert each.shape == (*ours.shape, 3)
    np.testing.assert_allclose(each.mean(axis=-1), ours.pdf(np.full(ours.shape, 31.0)), rtol=1e-10)


def test_quantiles():
    ours = distribution(cr.Quantile([0.1, 0.5, 0.9]))
    named = parameters(ours)
    for k, level in enumerate((0.1, 0.5, 0.9)):
        np.testing.assert_allclose(named["quantiles"][:, k], ours.ppf(level), rtol=1e-10)
    beyond = named["quantiles"][:, -1] + named["right"]
    np.testing.assert_allclose(ours.sf(beyond), 0.1 * np.exp(-1.0), rtol=1e-10)


@pytest.mark.parametrize("n_members", [1, 3])
def test_classes(n_members):
    of_three = parameters(distribution(cr.Categorical(3), n_members=n_members))
    assert set(of_three) == {"probabilities"}
    for k in range(3):
        wanted = distribution(cr.Categorical(3), n_members=n_members).pmf(np.full(7, k))
        np.testing.assert_allclose(of_three["probabilities"][:, k], wanted)
    for t in (1, 2):
        ours = distribution(cr.Bernoulli(), t, n_members)
        named = parameters(ours)["probabilities"]
        for k in (0.0, 1.0):
            np.testing.assert_allclose(named[..., int(k)], ours.pmf(np.full(ours.shape, k)))
