"""Quantile output: several quantiles of a number, learned by the pinball loss, that never cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.special import logit

from chainrule.errors import OptionError
from chainrule.outputs.base import Output, check_option, is_real, register
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.moments import root_mean_square, square
from chainrule.outputs.positive import inverse_softplus, softplus
from chainrule.outputs.weighted import row_weights, weighted_quantile
from chainrule.outputs.width import fit_width

#: smallest distance between neighbouring quantiles, in standard deviations of the target: a density stays finite
GAP_FLOOR = 1e-6


@register
@dataclass(frozen=True)
class Quantile(Output):
    """Quantiles of a number at given levels, trained by the mean pinball loss (Koenker & Bassett 1978).

    ``loss = mean over levels of max(τ e, (τ - 1) e)``, ``e = y - q(τ)``; with one level it is scikit-learn's
    ``mean_pinball_loss``. It stands in the place of a negative log-likelihood but is none.

    The raw output at the level nearest ½ is that quantile itself, every other one is the distance to its neighbour
    towards the middle, ``softplus(s) + 1e-6``: so quantiles cannot cross. Several targets: each raw number for every
    target, then the next.

    Parameters
    ----------
    levels : sequence of float
        Ascending, inside (0, 1).
    fitted : tuple of float
        With a single level only: mean pinball loss of each target after training, in standardised units, which gives
        the distribution its width; set by `calibrated`, 1 before.
    """

    name: ClassVar[str] = "quantile"
    scales_target: ClassVar[bool] = True
    likelihood: ClassVar[bool] = False
    levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)
    fitted: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        given = self.levels.tolist() if isinstance(self.levels, np.ndarray) else self.levels
        levels = tuple(given) if isinstance(given, (list, tuple)) else ()
        inside = bool(levels) and all(is_real(q) and 0 < q < 1 for q in levels)
        ascending = inside and all(a < b for a, b in pairwise(levels))
        check_option(ascending, "quantile levels are ascending numbers inside (0, 1)", self.levels)
        object.__setattr__(self, "levels", tuple(float(q) for q in levels))
        fit = isinstance(self.fitted, tuple) and all(is_real(v) and v > 0 for v in self.fitted)
        check_option(fit, "fitted widths are positive numbers", self.fitted)
        check_option(len(levels) == 1 or not self.fitted, "fitted widths go with a single level", self.fitted)

    @property
    def _anchor(self) -> int:
        """Position of the level nearest ½."""
        return int(np.argmin(np.abs(np.array(self.levels) - 0.5)))

    @property
    def constants(self) -> tuple[float, ...]:
        return self.fitted

    def n_raw(self, n_targets: int) -> int:
        return len(self.levels) * n_targets

    def values(self, raw: Any, n_targets: int) -> Any:
        """The quantiles, shape (n, n_targets, n_levels), ascending. Traceable."""
        raw = np.swapaxes(np.reshape(raw, (-1, len(self.levels), n_targets)), 1, 2)
        if len(self.levels) == 1:
            return raw
        m = self._anchor
        gaps = softplus(raw) + GAP_FLOOR
        middle = raw[:, :, m : m + 1]
        below = middle - np.flip(np.cumsum(np.flip(gaps[:, :, :m], axis=2), axis=2), axis=2)
        above = middle + np.cumsum(gaps[:, :, m + 1 :], axis=2)
        return np.concatenate([below, middle, above], axis=2)

    def nll(self, raw: Any, y: Any) -> Any:
        """Mean pinball loss over the levels, summed over targets. Traceable."""
        t = y.shape[1]
        levels = np.array(self.levels, dtype=raw.dtype)
        error = np.reshape(y, (-1, t, 1)) - self.values(raw, t)
        return np.sum(np.maximum(levels * error, (levels - 1.0) * error), axis=(1, 2)) / len(levels)

    def standard_distribution(self, raw: np.ndarray) -> QuantileDistribution:
        t = raw.shape[1] // len(self.levels)
        values, levels = self.values(raw, t), np.array(self.levels)
        if len(levels) == 1:
            # the asymmetric Laplace distribution, whose negative log-likelihood the pinball loss is
            width = np.broadcast_to(self._widths(t), values.shape[:2])
            left, right = width / (1.0 - levels), width / levels
        else:
            slopes = np.diff(values, axis=2) / np.diff(logit(levels))
            left, right = slopes[:, :, 0], slopes[:, :, -1]
        if t == 1:
            values, left, right = values[:, 0], left[:, 0], right[:, 0]
        return QuantileDistribution(values, left, right, levels)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        y, w = np.asarray(y, np.float64), row_weights(len(y), weights)
        values = np.stack([weighted_quantile(y, w, q) for q in self.levels])  # (n_levels, t)
        m = self._anchor
        raw = np.empty_like(values)
        raw[m] = values[m]
        gaps = inverse_softplus(np.maximum(np.diff(values, axis=0), 1e-3))
        raw[:m], raw[m + 1 :] = gaps[:m], gaps[m:]
        return raw.ravel()

    def calibrated(self, raw: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Quantile:
        if len(self.levels) > 1:
            return self
        error = np.asarray(y, np.float64) - np.asarray(raw, np.float64).reshape(-1, *np.shape(y))
        level = self.levels[0]
        width = fit_width(np.maximum(level * error, (level - 1.0) * error), weights, least=GAP_FLOOR)
        return replace(self, fitted=tuple(float(v) for v in width))

    def _widths(self, n_targets: int) -> np.ndarray:
        if self.fitted and len(self.fitted) != n_targets:
            raise OptionError(f"output quantile was fitted to {len(self.fitted)} targets, here are {n_targets}")
        return np.array(self.fitted or (1.0,) * n_targets)


@dataclass(frozen=True, eq=False, repr=False)
class QuantileDistribution(Distribution):
    """A distribution made of quantiles.

    Between neighbouring quantiles the density is constant, beyond the outermost it falls off exponentially. The tails'
    scale is that of a logistic distribution through the two outermost quantiles, which is right for exponential tails
    and, from levels such as 0.05 and 0.25, a quarter longer than a normal distribution's. Made of a single quantile it
    is an asymmetric Laplace distribution.

    Parameters
    ----------
    values : array of the batch's shape and the number of levels
        Ascending.
    left, right : array of the batch's shape
        Scales of the tails.
    levels : array of shape (n_levels,)
    """

    shared: ClassVar[tuple[str, ...]] = ("levels",)
    values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    levels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[:-1]

    def logpdf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        under, over = self._beyond(y)
        low, high = self.levels[0], 1.0 - self.levels[-1]
        outside = [np.log(low / self.left) - under / self.left, np.log(high / self.right) - over / self.right]
        inside = outside[0]
        if len(self.levels) > 1:
            j, _ = self._piece(y)
            inside = np.log(np.diff(self.levels) / np.diff(self.values, axis=-1))
            inside = self._pick(inside, j)
        return np.select([under > 0.0, over > 0.0], outside, inside)

    def cdf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        under, over = self._beyond(y)
        left = self.levels[0] * np.exp(-under / self.left)
        right = 1.0 - (1.0 - self.levels[-1]) * np.exp(-over / self.right)
        return np.select([under > 0.0, over > 0.0], [left, right], self._inside(y))

    def sf(self, y: Any) -> np.ndarray:
        _, over = self._beyond(np.asarray(y, np.float64))
        return np.where(over > 0.0, (1.0 - self.levels[-1]) * np.exp(-over / self.right), 1.0 - self.cdf(y))

    def mean(self) -> np.ndarray:
        middles = 0.5 * (self.values[..., 1:] + self.values[..., :-1])
        tails = self.levels[0] * (self.values[..., 0] - self.left)
        tails = tails + (1.0 - self.levels[-1]) * (self.values[..., -1] + self.right)
        return tails + np.sum(np.diff(self.levels) * middles, axis=-1)

    def var(self) -> np.ndarray:
        return square(self.std())

    def std(self) -> np.ndarray:
        centred = self.values - self.mean()[..., None]
        # of a piece: its middle, and the standard deviation of a uniform distribution; of a tail: its mean, its scale
        pieces = [0.5 * (centred[..., :-1] + centred[..., 1:]), np.diff(centred, axis=-1) / np.sqrt(12.0)]
        tails = [centred[..., 0] - self.left, self.left, centred[..., -1] + self.right, self.right]
        low, high, inner = self.levels[0], 1.0 - self.levels[-1], np.diff(self.levels)
        parts = np.concatenate([*pieces, np.stack(tails, axis=-1)], axis=-1)
        return root_mean_square(parts, np.concatenate([inner, inner, [low, low, high, high]]))

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form: the cdf is made of straight lines and exponentials, their squares are integrated."""
        y = np.asarray(y, np.float64)
        under, over = self._beyond(y)
        total = _tail_score(self.levels[0], self.left, under) + _tail_score(1.0 - self.levels[-1], self.right, over)
        low, high = self.values[..., :-1], self.values[..., 1:]
        below, above = self.levels[:-1], self.levels[1:]
        at = np.clip(y[..., None], low, high)
        f = below + (above - below) * (at - low) / (high - low)
        left = (at - low) * (np.square(below) + below * f + np.square(f))
        right = (high - at) * (np.square(1 - f) + (1 - f) * (1 - above) + np.square(1 - above))
        return total + np.sum(left + right, axis=-1) / 3.0

    def nodes(self) -> np.ndarray:
        far = np.array([20.0, 12.0, 8.0, 5.0, 3.0, 2.0, 1.0, 0.5])
        left = self.values[..., :1] - far * self.left[..., None]
        right = self.values[..., -1:] + far[::-1] * self.right[..., None]
        return np.concatenate([left, self.values, right], axis=-1)

    def affine(self, location: Any, scale: Any) -> QuantileDistribution:
        values = np.expand_dims(location, -1) + np.expand_dims(scale, -1) * self.values
        return QuantileDistribution(values, scale * self.left, scale * self.right, self.levels)

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        first, last = self.levels[0], self.levels[-1]
        left = self.values[..., 0] + self.left * np.log(np.minimum(q / first, 1.0))
        right = self.values[..., -1] - self.right * np.log(np.minimum((1.0 - q) / (1.0 - last), 1.0))
        if len(self.levels) == 1:
            return np.where(q <= first, left, right)
        j = np.clip(np.searchsorted(self.levels, q, side="right") - 1, 0, len(self.levels) - 2)
        j = np.broadcast_to(j, np.broadcast_shapes(q.shape, self.shape))
        low, high = self._pick(self.values, j), self._pick(self.values, j + 1)
        share = (q - self.levels[j]) / (self.levels[j + 1] - self.levels[j])
        return np.select([q <= first, q >= last], [left, right], low + share * (high - low))

    def _inside(self, y: np.ndarray) -> np.ndarray:
        """The cdf between the outermost quantiles."""
        if len(self.levels) == 1:
            return np.broadcast_to(self.levels[0], np.broadcast_shapes(y.shape, self.shape))
        j, clipped = self._piece(y)
        low, high = self._pick(self.values, j), self._pick(self.values, j + 1)
        return self.levels[j] + (self.levels[j + 1] - self.levels[j]) * (clipped - low) / (high - low)

    def _piece(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which piece between quantiles a value lies in, and the value, moved into the nearest piece if outside."""
        clipped = np.clip(y, self.values[..., 0], self.values[..., -1])
        j = np.sum(clipped[..., None] >= self.values[..., 1:-1], axis=-1)
        return j, clipped

    def _beyond(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far a value lies left of the first quantile, and right of the last."""
        return np.maximum(self.values[..., 0] - y, 0.0), np.maximum(y - self.values[..., -1], 0.0)

    def _pick(self, array: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Element ``j`` along the last axis."""
        whole = np.broadcast_to(array, (*j.shape, array.shape[-1]))
        return np.take_along_axis(whole, j[..., None], axis=-1)[..., 0]


def _tail_score(mass: float, scale: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Part of the CRPS in an exponential tail of this mass, for a value so far beyond the tail's start."""
    return beyond + 2.0 * mass * scale * np.expm1(-beyond / scale) + 0.5 * mass**2 * scale
