"""Calibration: what is found on simulated predictions that are right, too narrow, or of unknown quality."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chainrule.errors import OptionError
from chainrule.outputs import (
    BernoulliDistribution,
    CategoricalDistribution,
    GaussianMixture,
    Laplace,
    Normal,
    PoissonDistribution,
    StudentT,
)
from chainrule.outputs.calibration import (
    conformal_margin,
    fit_spread,
    interval_coverage,
    pit_histogram,
    reliability,
    widened,
    with_spread,
)
from outputs.output_cases import ALL, raw_of

rng = np.random.default_rng(0)
N = 20_000


@pytest.mark.parametrize(("output", "t"), ALL)
def test_the_transform_of_samples_is_uniform(output, t):
    d = output.distribution(raw_of(output, 2000, t))
    u = d.pit(d.rvs(random_state=1), random_state=2)
    assert u.shape == d.shape
    assert (u >= 0).all()
    assert (u <= 1).all()
    n = u.size
    # Kolmogorov's distance beyond 2.2/√n has probability 0.01 %
    assert np.abs(np.sort(u.ravel()) - (np.arange(n) + 0.5) / n).max() < 2.2 / np.sqrt(2000)
    y = d.rvs(random_state=1)
    np.testing.assert_array_equal(u, d.pit(y, 2))
    if d.discrete:
        assert not np.array_equal(u, d.pit(y, 3))
    else:
        np.testing.assert_array_equal(u, d.cdf(y))


def test_reliability_of_right_and_of_confident_probabilities():
    logit = rng.normal(scale=2.0, size=N)
    right, confident = BernoulliDistribution(logit), BernoulliDistribution(3.0 * logit)
    y = right.rvs(random_state=3)
    good, bad = reliability(right, y), reliability(confident, y)
    assert good.error < 0.015 < 0.1 < bad.error
    assert good.brier == pytest.approx(np.mean((right.mean() - y) ** 2))
    assert good.brier < bad.brier
    assert good.share.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(good.observed, good.predicted, atol=0.05)
    assert (bad.predicted >= bad.edges[:-1]).all()
    assert (bad.predicted <= bad.edges[1:]).all()


def test_reliability_by_hand_and_with_weights():
    d = CategoricalDistribution(np.log([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8], [1.0, 1e-300, 1e-300]]))
    y, w = np.array([0.0, 0.0, 2.0, 0.0]), np.array([2.0, 1.0, 1.0, 0.0])
    got = reliability(d, y, w, n_bins=2)
    np.testing.assert_allclose(got.share, [0.0, 1.0])
    assert np.isnan(got.predicted[0])
    assert got.predicted[1] == pytest.approx((2 * 0.7 + 0.6 + 0.8) / 4)
    assert got.observed[1] == pytest.approx(0.75)
    assert got.error == pytest.approx(0.05)
    assert got.brier == pytest.approx((2 * 0.14 + 0.49 + 0.36 + 0.01 + 0.06) / 4)
    repeated = reliability(d[[0, 0, 1, 2]], y[[0, 0, 1, 2]], n_bins=2)
    np.testing.assert_allclose(repeated.observed, got.observed)
    assert repeated.brier == pytest.approx(got.brier)
    assert reliability(d, y).share[-1] == 0.25  # a probability of 1 lies in the last bin


@pytest.mark.parametrize("t", [1, 2])
def test_histograms_of_right_distributions_stay_in_their_band(t):
    d = GaussianMixture(3).distribution(raw_of(GaussianMixture(3), 3000, t))
    inside = []
    for seed in range(40):
        h = pit_histogram(d, d.rvs(random_state=seed))
        assert h.share.sum() == pytest.approx(1.0)
        inside += list((h.low <= h.share) & (h.share <= h.high))
    assert np.mean(inside) == pytest.approx(0.91, abs=0.05)
    narrow = pit_histogram(d, with_spread(d, 2.0).rvs(random_state=0))
    assert min(narrow.share[0], narrow.share[-1]) > narrow.high
    assert narrow.share[4:6].max() < narrow.low


def test_the_band_counts_rows_by_their_weights():
    d, y = Normal(np.zeros(400), np.ones(400)), rng.normal(size=400)
    weights = np.repeat([1.0, 0.0], 200)
    some, half = pit_histogram(d, y, weights), pit_histogram(d[:200], y[:200])
    np.testing.assert_allclose(some.share, half.share)
    assert (some.low, some.high) == (half.low, half.high)
    assert (half.low * 200, half.high * 200) == pytest.approx(stats.binom(200, 0.1).ppf([0.05, 0.95]))
    counts = pit_histogram(PoissonDistribution(np.zeros(400)), np.ones(400), random_state=1)
    assert counts.share[3:7].sum() > 0.8


def test_coverage_of_intervals():
    d = StudentT().distribution(raw_of(StudentT(), N, 1))
    table = interval_coverage(d, d.rvs(random_state=1))
    assert (np.abs(table.observed - table.nominal) < 4 * table.error).all()
    assert (np.diff(table.width) > 0).all()
    np.testing.assert_allclose(table.width[2], np.mean(np.diff(d.interval(0.9), axis=1)))
    too_narrow = interval_coverage(d, with_spread(d, 2.0).rvs(random_state=1), coverages=[0.9])
    assert too_narrow.observed[0] < 0.8
    w = np.repeat([1.0, 0.0], N // 2)
    first = interval_coverage(d, d.rvs(random_state=1), w)
    np.testing.assert_allclose(first.observed, interval_coverage(d[: N // 2], d.rvs(random_state=1)[: N // 2]).observed)


@pytest.mark.parametrize("output", [Laplace(), StudentT(), GaussianMixture(3)], ids=repr)
@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_the_spread_is_found_again(output, factor):
    d = output.distribution(raw_of(output, 4000, 1), location=50.0, scale=3.0)
    y = with_spread(d, factor).rvs(random_state=0)
    found = fit_spread(d, y)
    assert found == pytest.approx(factor, rel=0.06)
    logs = [with_spread(d, found * c).log_score(y).sum() for c in (0.99, 1.0, 1.01)]
    assert np.argmax(logs) == 1
    np.testing.assert_allclose(with_spread(d, factor).std(), factor * d.std(), rtol=1e-9)
    np.testing.assert_allclose(with_spread(d, factor).mean(), d.mean(), rtol=1e-9)


def test_of_a_normal_distribution_it_is_the_root_mean_square_score():
    d, y, w = Normal(np.full(300, 1e4), rng.uniform(1, 2, 300)), 1e4 + rng.normal(size=300), rng.uniform(size=300)
    exact = np.average(((y - d.loc) / d.scale) ** 2, weights=w) ** 0.5
    assert fit_spread(d, y, w) == pytest.approx(exact, rel=1e-6)
    zeros = np.repeat([1.0, 0.0], 150)
    assert fit_spread(d, y, zeros) == pytest.approx(fit_spread(d[:150], y[:150]), rel=1e-6)


def test_temperature():
    logits = rng.normal(scale=2.0, size=(N, 4))
    right = CategoricalDistribution(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    y = right.rvs(random_state=0)
    confident = with_spread(right, 1 / 3)
    np.testing.assert_allclose(confident.probabilities.sum(axis=1), 1.0)
    assert fit_spread(confident, y) == pytest.approx(3.0, rel=0.05)
    assert reliability(with_spread(confident, fit_spread(confident, y)), y).error < 0.02
    binary = BernoulliDistribution(logits[:, 0])
    assert fit_spread(with_spread(binary, 0.5), binary.rvs(random_state=0)) == pytest.approx(2.0, rel=0.1)


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=40, unique=True),
    st.floats(0.02, 0.98),
)
def test_of_exchangeable_rows_exactly_the_promised_share_is_covered(targets, coverage):
    # leaving out each row in turn is drawing the new row from exchangeable ones: the share covered is no estimate
    y = np.array(targets, float)
    interval = np.tile([-1e4, -2e3], (len(y), 1))  # all targets lie above, so that all scores differ
    n = len(y) - 1
    covered = 0
    for new in range(len(y)):
        rest = np.arange(len(y)) != new
        low, high = widened(interval[new], conformal_margin(interval[rest], y[rest], coverage))
        covered += low <= y[new] <= high
    k = np.ceil((n + 1) * coverage * (1 - 1e-12))
    assert covered == min(k, n + 1)
    assert covered / len(y) >= coverage - 1e-9


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_coverage_in_the_mean_over_data_sets(factor):
    n, coverage, hits = 19, 0.9, []
    for _ in range(3000):
        noise = rng.standard_t(3, size=n + 1)
        interval = np.tile([-factor, factor], (n + 1, 1))
        low, high = widened(interval[n], conformal_margin(interval[:n], noise[:n], coverage))
        hits.append(low <= noise[n] <= high)
    assert np.mean(hits) == pytest.approx(18 / 20, abs=4 * np.sqrt(0.09 / 3000))


def test_margins():
    y = np.arange(9.0)
    interval = np.zeros((9, 2))
    assert conformal_margin(interval, y, 0.9) == 8.0
    assert conformal_margin(interval, y, 0.91) == np.inf
    assert conformal_margin(interval, y, 0.5) == 4.0
    assert conformal_margin(np.tile([-10.0, 20.0], (9, 1)), y, 0.5) < 0
    both = conformal_margin(np.zeros((9, 2, 2)), np.stack([y, -2 * y], axis=1), 0.5)
    np.testing.assert_array_equal(both, [4.0, 8.0])
    np.testing.assert_array_equal(widened(np.zeros((9, 2, 2)), both)[0], [[-4.0, 4.0], [-8.0, 8.0]])
    np.testing.assert_array_equal(widened(np.array([[0.0, 2.0]]), -5.0), [[1.0, 1.0]])
    with_absent = conformal_margin(np.zeros((12, 2)), np.append(y, [50.0] * 3), 0.9, np.repeat([2.0, 0.0], [9, 3]))
    assert with_absent == 8.0


def test_whole_weights_are_repeated_rows_of_a_margin():
    y, w = rng.normal(size=40), rng.integers(0, 4, 40)
    for coverage in (0.5, 0.9, 0.95, 0.985):
        weighted = conformal_margin(np.zeros((40, 2)), y, coverage, w)
        assert weighted == conformal_margin(np.zeros((w.sum(), 2)), np.repeat(y, w), coverage)
    halves = conformal_margin(np.zeros((4, 2)), np.arange(4.0), 0.7, np.array([0.5, 0.5, 0.5, 2.5]))
    assert halves == np.inf  # 0.7 (4 + 2.5) > 4


def test_what_is_refused():
    normal, counts = Normal(np.zeros(2), np.ones(2)), PoissonDistribution(np.zeros(2))
    for wrong, words in [
        (lambda: reliability(normal, np.zeros(2)), "class probabilities"),
        (lambda: reliability(BernoulliDistribution(np.zeros(2)), np.zeros(2), n_bins=0), "bin"),
        (lambda: pit_histogram(normal, np.zeros(2), probability=1.0), "probability"),
        (lambda: with_spread(normal, 0.0), "positive"),
        (lambda: with_spread(counts, 2.0), "whole numbers"),
        (lambda: conformal_margin(np.zeros((2, 2)), np.zeros(2), 1.0), "coverage"),
    ]:
        with pytest.raises(OptionError, match=words):
            wrong()


def test_whole_weights_are_repeated_rows_in_the_bands_too():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, size=60)
    loc, y = rng.normal(size=(2, 60))
    once, often = Normal(loc, np.ones(60)), Normal(np.repeat(loc, counts), np.ones(counts.sum()))
    for weights, same in ((counts.astype(float), True), (counts * 0.7, False)):
        weighted, repeated = interval_coverage(once, y, weights), interval_coverage(often, np.repeat(y, counts))
        np.testing.assert_allclose(weighted.observed, repeated.observed, rtol=1e-12)
        assert np.allclose(weighted.error, repeated.error, rtol=1e-12) is same
        bands = [pit_histogram(once, y, weights), pit_histogram(often, np.repeat(y, counts))]
        assert ((bands[0].low, bands[0].high) == (bands[1].low, bands[1].high)) is same


def test_the_band_of_very_many_rows_takes_no_memory_of_their_number():
    y = np.random.default_rng(0).normal(size=1000)
    found = pit_histogram(Normal(np.zeros(1000), np.ones(1000)), y, np.full(1000, 1e9))
    deviation = np.sqrt(0.1 * 0.9 / 1e12)
    np.testing.assert_allclose([found.low, found.high], 0.1 + stats.norm.ppf([0.05, 0.95]) * deviation, rtol=1e-8)
