import mpmath
import numpy as np
import pytest

from chainrule.outputs.positive import PRECISION_FLOOR, inverse_softplus, precision, raw_of_variance, softplus


@pytest.mark.parametrize("x", [-1e4, -700.0, -40.0, -1.0, 0.0, 1e-8, 1.0, 40.0, 1e4])
def test_softplus_agrees_with_arbitrary_precision(x):
    with mpmath.workdps(50):
        exact = mpmath.log1p(mpmath.exp(x))
    assert softplus(x) == pytest.approx(float(exact), rel=1e-15)


@pytest.mark.parametrize("y", [1e-12, 1e-3, 1.0, 30.0, 1e4])
def test_inverse_softplus(y):
    assert softplus(inverse_softplus(y)) == pytest.approx(y, rel=1e-12)


def test_precision_never_falls_below_its_floor():
    raw = np.array([-1e4, -100.0, 0.0, 1e4], np.float32)
    assert precision(raw).dtype == np.float32
    np.testing.assert_allclose(precision(raw), [PRECISION_FLOOR, PRECISION_FLOOR, np.log(2), 1e4], rtol=1e-5)


@pytest.mark.parametrize("variance", [1e-3, 0.5, 1.0, 100.0, 1e4])
def test_raw_of_variance(variance):
    assert 1 / precision(raw_of_variance(variance)) == pytest.approx(variance, rel=1e-10)


def test_raw_of_no_variance_is_moderate():
    assert 1 / precision(raw_of_variance(0.0)) == pytest.approx(1e-4)
    assert np.isfinite(raw_of_variance(1e300))
