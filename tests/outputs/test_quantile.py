import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.metrics import mean_pinball_loss

from chainrule.outputs import Quantile
from chainrule.outputs.quantile import GAP_FLOOR

rng = np.random.default_rng(0)


@given(st.lists(st.sampled_from([-1e4, -50.0, -1.0, 0.0, 1.0, 50.0, 1e4]), min_size=5, max_size=5))
def test_quantiles_never_cross(raw):
    values = Quantile().values(np.array([raw]), 1)[0, 0]
    assert values[2] == raw[2]
    assert (np.diff(values) > 0).all() or np.abs(raw).max() * 1e-15 > GAP_FLOOR
    single = Quantile().values(np.array([raw], np.float32), 1)[0, 0]
    assert (np.diff(single) >= 0).all()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_one_level_is_the_mean_pinball_loss(level):
    raw, y = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    ours = Quantile([level]).nll(raw, y).mean()
    assert ours == pytest.approx(mean_pinball_loss(y, raw, alpha=level))


def test_loss_is_least_at_the_quantiles_of_the_target():
    output = Quantile([0.1, 0.5, 0.8])
    y = rng.exponential(size=(5000, 1))
    start = output.initial_raw(y)
    np.testing.assert_allclose(output.values(start[None], 1)[0, 0], np.quantile(y, output.levels), atol=1e-3)
    loss = output.nll(np.tile(start, (5000, 1)), y).mean()
    for k in range(3):
        for step in (-0.1, 0.1):
            moved = start + step * np.eye(3)[k]
            assert output.nll(np.tile(moved, (5000, 1)), y).mean() > loss


def test_the_distribution_has_these_quantiles():
    output = Quantile([0.1, 0.25, 0.6, 0.9])
    raw = rng.normal(size=(20, 4))
    d = output.distribution(raw, location=10.0, scale=3.0)
    values = 10.0 + 3.0 * output.values(raw, 1)[:, 0]
    np.testing.assert_allclose(d.quantiles(output.levels), values, rtol=1e-12)
    np.testing.assert_allclose(d.cdf(values.T).T, np.tile(output.levels, (20, 1)), rtol=1e-12)
    # in the middle the cdf is a straight line
    np.testing.assert_allclose(d.ppf(0.425), values[:, 1:3].mean(axis=1), rtol=1e-12)


def test_tails_have_about_the_right_length():
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    logistic = logit(np.array(levels))
    output = Quantile(levels)
    raw = output.initial_raw(np.zeros((1, 1)))
    gaps = np.diff(logistic)
    raw[:2], raw[3:] = (np.log(np.expm1(g - GAP_FLOOR)) for g in (gaps[:2], gaps[2:]))
    d = output.distribution(raw[None])
    np.testing.assert_allclose(d.left, 1.0, rtol=1e-9)
    assert d.ppf(0.001)[0] == pytest.approx(logit(0.001), rel=0.02)
    assert d.std()[0] == pytest.approx(np.pi / np.sqrt(3), rel=0.05)


def test_each_tail_follows_its_own_side():
    output = Quantile([0.1, 0.4, 0.6, 0.9])
    narrow, wide = 0.5, 4.0
    raw = np.array([[np.log(np.expm1(narrow)), 0.0, 0.0, np.log(np.expm1(wide))]])
    d = output.distribution(raw)
    steps = logit(0.4) - logit(0.1)
    np.testing.assert_allclose([d.left[0], d.right[0]], [narrow / steps, wide / steps], rtol=1e-5)
    normal = Quantile([0.05, 0.25, 0.75, 0.95])
    start = normal.initial_raw(rng.normal(size=(100_000, 1)))
    excess = 2.0627 - 1.6449  # of a standard normal distribution above its 95 % quantile, in the mean
    assert normal.distribution(start[None]).right[0] == pytest.approx(1.25 * excess, rel=0.05)


def test_one_level_gives_an_asymmetric_laplace_distribution():
    output = Quantile([0.8])
    raw = np.zeros((4000, 1))
    y = rng.laplace(size=(4000, 1)) * 3.0
    y = y - np.quantile(y, 0.8)
    fitted = output.calibrated(raw, y)
    assert fitted.fitted[0] == pytest.approx(output.nll(raw, y).mean())
    d = fitted.distribution(raw[:1])
    assert d.cdf(0.0)[0] == pytest.approx(0.8)
    width = fitted.fitted[0]
    assert d.pdf(0.1)[0] == pytest.approx(0.8 * 0.2 / width * np.exp(-0.8 * 0.1 / width))
    assert d.pdf(-0.1)[0] == pytest.approx(0.8 * 0.2 / width * np.exp(-0.2 * 0.1 / width))
    # this width is the maximum of that likelihood
    scores = [Quantile([0.8], (c * width,)).distribution(raw).logpdf(y[:, 0]).mean() for c in (0.95, 1.0, 1.05)]
    assert np.argmax(scores) == 1


def test_several_levels_have_nothing_to_calibrate():
    output = Quantile()
    assert output.calibrated(np.zeros((3, 5)), np.zeros((3, 1))) is output
