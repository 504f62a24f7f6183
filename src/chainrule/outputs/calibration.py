"""Whether predicted probabilities can be believed, and what puts them right: functions of predictions and outcomes.

Looking: `reliability` of class probabilities, `pit_histogram`, `interval_coverage`. Putting right, on rows that were
not trained on: `fit_spread` with `with_spread` (variance or temperature scaling), `conformal_margin` with `widened`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincc, log_softmax

from chainrule.errors import OptionError
from chainrule.outputs.bernoulli import BernoulliDistribution
from chainrule.outputs.categorical import CategoricalDistribution
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.ensemble import Mixture
from chainrule.outputs.weighted import are_whole, row_weights

#: factors of the spread that `fit_spread` looks at
NARROWEST, WIDEST = 1e-3, 1e3


@dataclass(frozen=True)
class Reliability:
    """How often what was predicted with some probability came true (the numbers of a reliability diagram).

    Parameters
    ----------
    edges : array of shape (n_bins + 1,)
        Ends of the bins of probability.
    share : array of shape (n_bins,)
        Share of the rows in each bin.
    predicted, observed : array of shape (n_bins,)
        Mean predicted probability and share that came true; NaN in an empty bin.
    error : float
        Expected calibration error, Σ share |observed - predicted|.
    brier : float
        Mean squared error of the probabilities; of several classes summed over them.
    """

    edges: np.ndarray
    share: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    error: float
    brier: float


@dataclass(frozen=True)
class PitHistogram:
    """Histogram of the probability integral transform: flat if the distributions are right.

    Parameters
    ----------
    edges : array of shape (n_bins + 1,)
    share : array of shape (n_bins,)
        Share of the values in each bin.
    low, high : float
        Where a bin's share lies with the asked probability, if the distributions are right.
    """

    edges: np.ndarray
    share: np.ndarray
    low: float
    high: float


@dataclass(frozen=True)
class Coverage:
    """Central intervals and how many targets they contain.

    Parameters
    ----------
    nominal, observed : array of shape (n_levels,)
    error : array of shape (n_levels,)
        Standard error of `observed`, were the nominal coverage right.
    width : array of shape (n_levels,)
        Mean width, in the target's units.
    """

    nominal: np.ndarray
    observed: np.ndarray
    error: np.ndarray
    width: np.ndarray


def reliability(
    distribution: Distribution, y: Any, weights: np.ndarray | None = None, *, n_bins: int = 10
) -> Reliability:
    """Reliability of class probabilities in bins of equal width.

    Of a binary outcome it is that of the probability of 1; of several classes that of the most probable one (Guo,
    Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks"). The Brier score is that of Brier (1950)
    for several classes, half of it for two.

    Parameters
    ----------
    distribution : BernoulliDistribution or CategoricalDistribution
    y : array of the batch's shape
        0 and 1, or class codes.
    weights : array of shape (n,), optional
    n_bins : int

    Raises
    ------
    OptionError
        If the distribution is not of classes, or there are no bins.
    """
    if n_bins < 1:
        raise OptionError(f"reliability needs at least 1 bin, got {n_bins}")
    y = np.asarray(y, np.float64)
    if isinstance(distribution, BernoulliDistribution):
        p, hit = distribution.mean(), y
        brier = np.square(p - y)
    elif isinstance(distribution, CategoricalDistribution):
        p, hit = np.max(distribution.probabilities, axis=-1), (distribution.mode() == y).astype(np.float64)
        brier = 2.0 * distribution.crps(y)
    else:
        raise OptionError(f"reliability is of class probabilities, got a {type(distribution).__name__}")
    w = _value_weights(p.shape, weights)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    place = np.clip(np.searchsorted(edges, np.ravel(p), side="right") - 1, 0, n_bins - 1)
    share, predicted, observed = (
        np.bincount(place, weights=w * np.ravel(values), minlength=n_bins) for values in (np.ones(p.shape), p, hit)
    )
    there = np.where(share > 0.0, share, np.nan)
    error = float(np.sum(np.abs(observed - predicted)))
    return Reliability(edges, share, predicted / there, observed / there, error, float(w @ np.ravel(brier)))


def pit_histogram(
    distribution: Distribution,
    y: Any,
    weights: np.ndarray | None = None,
    *,
    n_bins: int = 10,
    probability: float = 0.9,
    random_state: int | np.random.Generator = 0,
) -> PitHistogram:
    """Histogram of `Distribution.pit` (Dawid 1984; Gneiting, Balabdaoui & Raftery 2007).

    A hump says that distributions are too wide, a trough that they are too narrow, a slope that they lie too far to one
    side. The band is that of one bin alone: of ten bins one lies outside a band of 90 % by chance.

    Parameters
    ----------
    distribution : Distribution
    y : array of the batch's shape
    weights : array of shape (n,), optional
        The band is then that of as many rows as whole weights count, else of Kish's effective number, (Σw)² / Σw².
    n_bins : int
    probability : float
        Of a bin to lie in the band.
    random_state : int or generator
        For discrete distributions, whose transform is drawn.

    Raises
    ------
    OptionError
        If there are no bins or the probability is not inside (0, 1).
    """
    if n_bins < 1 or not 0.0 < probability < 1.0:
        raise OptionError(f"pit_histogram needs bins and a probability in (0, 1), got {n_bins} and {probability}")
    u = distribution.pit(y, random_state)
    w = _value_weights(u.shape, weights)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    share, _ = np.histogram(np.ravel(u), edges, weights=w)
    count = max(1, round(_n_values(w, weights)))
    outside = 0.5 * (1.0 - probability)
    low, high = (_binomial_quantile(q, count, 1.0 / n_bins) / count for q in (outside, 1.0 - outside))
    return PitHistogram(edges, share, low, high)


def _binomial_quantile(q: float, n: int, p: float) -> int:
    """The smallest k with P(X ≤ k) ≥ q, of n trials however many."""
    return bisect_left(range(n), q, key=lambda k: float(betaincc(k + 1.0, float(n - k), p)))


def interval_coverage(
    distribution: Distribution,
    y: Any,
    weights: np.ndarray | None = None,
    *,
    coverages: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    intervals: Callable[[float], np.ndarray] | None = None,
) -> Coverage:
    """How many targets the central intervals contain, and how wide these are.

    Parameters
    ----------
    distribution : Distribution
    y : array of the batch's shape
    weights : array of shape (n,), optional
    coverages : sequence of float
    intervals : callable, optional
        From a coverage to intervals, where they are not the distribution's own: those of a conformal calibration.
    """
    y, nominal = np.asarray(y, np.float64), np.asarray(coverages, np.float64)
    w = _value_weights(distribution.shape, weights)
    observed, width = np.zeros(len(nominal)), np.zeros(len(nominal))
    for k, coverage in enumerate(nominal):
        interval = (intervals or distribution.interval)(float(coverage))
        low, high = interval[..., 0], interval[..., 1]
        observed[k] = w @ np.ravel((low <= y) & (y <= high))
        width[k] = w @ np.ravel(high - low)
    error = np.sqrt(nominal * (1.0 - nominal) / _n_values(w, weights))
    return Coverage(nominal, observed, error, width)


def _n_values(shares: np.ndarray, weights: np.ndarray | None) -> float:
    """How many values there are: whole weights count them, others say what they are worth together (Kish 1965)."""
    if weights is not None and are_whole(np.asarray(weights, np.float64)):
        return float(np.sum(weights)) * len(shares) / len(weights)
    return 1.0 / float(np.sum(np.square(shares)))


def with_spread(distribution: Distribution, factor: float) -> Distribution:
    """The distribution made wider or narrower.

    A continuous one is stretched about its mean, so that its standard deviation is ``factor`` times as large; of class
    probabilities the logits are divided by ``factor``, their temperature (Guo et al. 2017). Several binary outcomes of
    an ensemble are independent given the member only, so that each member's logits are divided.

    Raises
    ------
    OptionError
        If the factor is not positive, or the distribution is of counts, whose values cannot be stretched.
    """
    if not 0.0 < factor < np.inf:
        raise OptionError(f"a spread is scaled by a positive number, got {factor!r}")
    if isinstance(distribution, BernoulliDistribution):
        return BernoulliDistribution(distribution.logit / factor)
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution(log_softmax(distribution.log_probabilities / factor, axis=-1))
    if isinstance(distribution, Mixture) and isinstance(distribution.members[0], BernoulliDistribution):
        return Mixture(tuple(with_spread(member, factor) for member in distribution.members))
    return distribution.affine((1.0 - factor) * distribution.mean(), factor)


def fit_spread(distribution: Distribution, y: Any, weights: np.ndarray | None = None) -> float:
    """The factor for `with_spread` at which the targets are likeliest, between 0.001 and 1 000.

    One number fitted to rows that were not trained on: above 1 if the distributions were too narrow. Of a normal
    distribution its square is the mean squared standard score (variance scaling; Laves, Ihler, Fast, Kahrs & Ortmaier
    2020); of class probabilities it is Guo et al.'s temperature.

    Parameters
    ----------
    distribution : Distribution
    y : array of the batch's shape
    weights : array of shape (n,), optional
    """
    from scipy.optimize import minimize_scalar

    w = row_weights(len(distribution), weights)
    seen, y = w > 0.0, np.asarray(y, np.float64)

    def loss(log_factor: float) -> float:
        logs = with_spread(distribution, float(np.exp(log_factor))).log_score(y)
        return -float(w[seen] @ np.maximum(np.reshape(logs, (len(w), -1)).sum(axis=1)[seen], -1e300))

    grid = np.linspace(np.log(NARROWEST), np.log(WIDEST), 25)
    best = int(np.argmin([loss(v) for v in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp(minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10}).x))


def conformal_margin(interval: np.ndarray, y: Any, coverage: float, weights: np.ndarray | None = None) -> np.ndarray:
    """How much wider intervals must be on both sides to contain a new target with at least this probability.

    Split-conformal, for intervals of any model (Romano, Patterson & Candès 2019, "Conformalized quantile regression"):
    the score of a row is ``max(lower - y, y - upper)``, and the margin is the ⌈(n + 1) coverage⌉-th smallest of n.
    If the rows were not trained on and rows and new row are exchangeable, the new target lies in the `widened` interval
    with a probability of at least ``coverage``, and of at most ``coverage + 1 / (n + 1)`` if no scores are equal,
    whatever the model.

    Parameters
    ----------
    interval : array of shape (n, 2) or (n, n_targets, 2)
        See `Distribution.interval`.
    y : array of shape (n,) or (n, n_targets)
    coverage : float
        In (0, 1).
    weights : array of shape (n,), optional
        Whole ones count rows, and the new row is one; among others it counts as the heaviest.

    Returns
    -------
    array of shape () or (n_targets,)
        In the target's units; negative if intervals were too wide, infinite if there are too few rows.

    Raises
    ------
    OptionError
        If coverage is not inside (0, 1).
    """
    if not 0.0 < coverage < 1.0:
        raise OptionError(f"coverage must lie inside (0, 1), got {coverage!r}")
    interval, y = np.asarray(interval, np.float64), np.asarray(y, np.float64)
    score = np.maximum(interval[..., 0] - y, y - interval[..., 1])
    w = np.ones(len(score)) if weights is None else np.asarray(weights, np.float64)
    new = 1.0 if (w == np.rint(w)).all() else np.max(w)
    needed = coverage * (np.sum(w) + new)

    def margin(scores: np.ndarray) -> float:
        order = np.argsort(scores, kind="stable")
        first = np.searchsorted(np.cumsum(w[order]), needed * (1.0 - 1e-12))  # sums are exact but for rounding
        return float(scores[order[first]]) if first < len(scores) else np.inf

    return np.apply_along_axis(margin, 0, score)


def widened(interval: np.ndarray, margin: Any) -> np.ndarray:
    """Intervals made wider by a margin on both sides; one that a negative margin would turn over becomes its middle.

    Parameters
    ----------
    interval : array of shape (n, 2) or (n, n_targets, 2)
    margin : array of shape () or (n_targets,)
    """
    interval = np.asarray(interval, np.float64)
    half = 0.5 * (interval[..., 1] - interval[..., 0])
    margin = np.maximum(np.asarray(margin, np.float64), -half)
    return np.stack([interval[..., 0] - margin, interval[..., 1] + margin], axis=-1)


def _value_weights(shape: tuple[int, ...], weights: np.ndarray | None) -> np.ndarray:
    """Weights of all values of a batch, flat, adding up to 1; targets of a row share its weight."""
    w = row_weights(shape[0], weights)
    return np.ravel(np.broadcast_to(w.reshape(-1, *(1,) * (len(shape) - 1)), shape)) / max(1, int(np.prod(shape[1:])))
