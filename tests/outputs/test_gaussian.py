import numpy as np
import pytest

from chainrule.outputs import Gaussian, mixture_of
from chainrule.outputs.positive import precision

rng = np.random.default_rng(0)


def test_raw_outputs_are_means_then_precisions():
    raw = np.array([[1.0, 2.0, -3.0, 4.0]])
    d = Gaussian().distribution(raw)
    np.testing.assert_array_equal(d.mean(), [[1.0, 2.0]])
    np.testing.assert_allclose(d.var(), 1 / precision(np.array([[-3.0, 4.0]])))


def test_starts_at_weighted_mean_and_variance():
    y, w = rng.normal(3.0, 2.0, size=(50, 2)), rng.uniform(size=50)
    d = Gaussian().distribution(Gaussian().initial_raw(y, w)[None])
    np.testing.assert_allclose(d.mean()[0], np.average(y, axis=0, weights=w))
    np.testing.assert_allclose(d.var()[0], np.average(np.square(y - d.mean()), axis=0, weights=w), rtol=1e-6)


def test_constant_variance_trains_on_half_the_squared_error():
    output = Gaussian(variance="constant")
    raw, y = rng.normal(size=(10, 1)), rng.normal(size=(10, 1))
    assert output.n_raw(1) == 1
    np.testing.assert_allclose(output.nll(raw, y), 0.5 * (y - raw)[:, 0] ** 2 + 0.5 * np.log(2 * np.pi))


def test_constant_variance_is_that_of_the_residuals():
    output = Gaussian(variance="constant")
    raw, w = rng.normal(size=(4000, 2)), rng.uniform(size=4000)
    y = raw + rng.normal(size=(4000, 2)) * [0.1, 2.0]
    fitted = output.calibrated(raw, y, w)
    exact = np.average(np.square(y - raw), axis=0, weights=w)
    np.testing.assert_allclose(fitted.fitted, exact)
    d = fitted.distribution(raw, location=[5.0, 0.0], scale=[10.0, 1.0])
    np.testing.assert_allclose(d.std(), np.broadcast_to([10.0, 1.0] * np.sqrt(exact), (4000, 2)))
    # the fitted constant is the maximum of the likelihood
    losses = [Gaussian("constant", tuple(c * exact)).nll(raw, y) @ w for c in (0.98, 1.0, 1.02)]
    assert np.argmin(losses) == 1
    assert fitted.nll(raw, y) @ w == pytest.approx(losses[1])
    assert fitted.calibrated(raw, y, w) == fitted


def test_perfect_fit_keeps_a_finite_likelihood():
    fitted = Gaussian(variance="constant").calibrated(np.ones((5, 1)), np.ones((5, 1)))
    assert fitted.fitted[0] > 0
    assert np.isfinite(fitted.nll(np.ones((5, 1), np.float32), np.ones((5, 1), np.float32))).all()


def _ensemble(n, shared, own, believed, seed=0, n_members=5):
    """Targets around what members predict: an error they share, one of their own, and the width they believe in."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=(n, 1))
    means = truth + draw.normal(scale=own, size=(n_members, n, 1))
    y = truth + draw.normal(scale=shared, size=(n, 1))
    raw = np.concatenate([means, np.full((n_members, n, 1), np.log(np.expm1(believed**-2.0)))], axis=2)
    return raw, y


@pytest.mark.parametrize(("shared", "own", "believed"), [(0.5, 0.0, 0.5), (0.5, 0.2, 0.9), (0.5, 0.2, 0.3)])
def test_members_widths_are_such_that_the_mixture_covers_what_it_says(shared, own, believed):
    raw, y = _ensemble(20_000, shared, own, believed)
    output = Gaussian().for_ensemble(raw[0], y, None, raw)
    fresh, z = _ensemble(20_000, shared, own, believed, seed=1)
    low, high = mixture_of([output.distribution(r) for r in fresh]).interval(0.9).T
    assert np.mean((low <= z[:, 0]) & (z[:, 0] <= high)) == pytest.approx(0.9, abs=0.02)
    plain_low, plain_high = mixture_of([Gaussian().distribution(r) for r in fresh]).interval(0.9).T
    covers = np.mean((plain_low <= z[:, 0]) & (z[:, 0] <= plain_high))
    assert own == 0.0 or abs(covers - 0.9) > 0.05  # as they are, they do not


def test_few_rows_change_the_members_widths_little():
    raw, y = _ensemble(10, 0.5, 0.0, 2.0)
    factor = Gaussian().for_ensemble(raw[0], y, None, raw).fitted[0]
    assert 0.7 < factor < 1.0
    many = _ensemble(10_000, 0.5, 0.0, 2.0)
    assert Gaussian().for_ensemble(many[0][0], many[1], None, many[0]).fitted[0] == pytest.approx(1 / 16, rel=0.05)


def test_a_perfect_fit_leaves_the_members_some_width():
    raw, _ = _ensemble(1000, 0.5, 0.0, 0.5)
    output = Gaussian().for_ensemble(raw[0], raw[0][:, :1], None, raw)
    assert output.fitted == (1 / 16,)


def test_the_factor_of_the_variance_is_in_likelihood_and_distribution_alike():
    output, raw, y = Gaussian(fitted=(0.25, 4.0)), rng.normal(size=(7, 4)), rng.normal(size=(7, 2))
    np.testing.assert_allclose(output.distribution(raw).var(), Gaussian().distribution(raw).var() * [0.25, 4.0])
    np.testing.assert_allclose(output.nll(raw, y), -output.distribution(raw).logpdf(y).sum(axis=1))
    assert Gaussian("constant").for_ensemble(raw[:, :2], y, None, raw[None, :, :2]) == Gaussian("constant")
