import numpy as np
import pytest

from chainrule.outputs import Gaussian
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
