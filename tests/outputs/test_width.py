"""One width for all members of an ensemble: the likeliest of their mixture, whose intervals then cover."""

import numpy as np
import pytest

from chainrule.outputs import Gaussian, Quantile, mixture_of
from chainrule.outputs.width import fit_width

rng = np.random.default_rng(0)


def simulated(n, members, t, noise, apart):
    """Targets, and members that err independently of each other."""
    truth = rng.normal(size=(n, t))
    return truth + apart * rng.normal(size=(members, n, t)), truth + noise * rng.normal(size=(n, t))


# the residuals of the mean covered 0.925 and 0.958 at the last two; no width suits members as far apart as noise
@pytest.mark.parametrize(("apart", "within"), [(0.05, 0.012), (0.3, 0.012), (0.5, 0.012), (1.0, 0.04)])
@pytest.mark.parametrize("t", [1, 2])
def test_intervals_of_an_ensemble_cover(t, apart, within):
    raw, y = simulated(20_000, 5, t, 1.0, apart)
    held, fresh = slice(0, 10_000), slice(10_000, None)
    output = Gaussian("constant").calibrated(raw[:, held], y[held])
    d = mixture_of([output.distribution(r[fresh]) for r in raw])
    interval = d.interval(0.9)
    target = y[fresh].reshape(d.shape)
    covered = np.mean((interval[..., 0] <= target) & (target <= interval[..., 1]))
    assert covered == pytest.approx(0.9, abs=within)


@pytest.mark.parametrize("output", [Gaussian("constant"), Quantile([0.5]), Quantile([0.2])], ids=repr)
def test_it_is_the_likeliest(output):
    raw, y = simulated(500, 4, 2, 0.7, 0.5)
    w = rng.uniform(size=500)
    fitted = output.calibrated(raw, y, w)

    def score(factors):
        scaled = type(output)(
            *(getattr(output, n) for n in ("variance", "levels") if hasattr(output, n)), tuple(factors * fitted.fitted)
        )
        return w @ mixture_of([scaled.distribution(r) for r in raw]).log_score(y)

    best = score(np.ones(2))
    for factors in ([0.97, 1.0], [1.03, 1.0], [1.0, 0.97], [1.0, 1.03]):
        assert score(np.array(factors)) < best


def test_of_one_member_it_is_the_mean_loss():
    losses, w = rng.uniform(size=(1, 50, 3)), rng.uniform(size=50)
    np.testing.assert_allclose(fit_width(losses, w), np.average(losses[0], axis=0, weights=w))
    np.testing.assert_allclose(fit_width(np.repeat(losses, 4, axis=0), w), fit_width(losses, w))


def test_weights_count_rows_and_perfect_members_have_the_least_width():
    losses, counts = rng.uniform(size=(3, 40, 1)), rng.integers(0, 3, 40)
    np.testing.assert_allclose(fit_width(losses, counts), fit_width(np.repeat(losses, counts, axis=1)), rtol=1e-6)
    np.testing.assert_array_equal(fit_width(np.zeros((3, 5, 2)), least=1e-12), [1e-12, 1e-12])
