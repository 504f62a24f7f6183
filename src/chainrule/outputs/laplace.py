"""Laplace output: location and scale as functions of the input, robust against outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.outputs.base import Output, register
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.moments import square, standardised
from chainrule.outputs.positive import precision, raw_of_variance
from chainrule.outputs.weighted import row_weights, weighted_quantile

_LOG_TWO = float(np.log(2.0))
_ROOT_TWO = float(np.sqrt(2.0))


@register
@dataclass(frozen=True)
class Laplace(Output):
    """Laplace (double exponential) distribution of a number; its location is the median.

    Raw outputs are the locations, then one number s per target for the scale b, by ``1/b² = softplus(s) + 1e-6``
    in units of the standardised target. ``nll = |y - m| / b + log 2b``.
    """

    name: ClassVar[str] = "laplace"
    scales_target: ClassVar[bool] = True

    def n_raw(self, n_targets: int) -> int:
        return 2 * n_targets

    def nll(self, raw: Any, y: Any) -> Any:
        t = y.shape[1]
        p = precision(raw[:, t:])
        return np.sum(np.abs(y - raw[:, :t]) * np.sqrt(p) - 0.5 * np.log(p), axis=1) + t * _LOG_TWO

    def standard_distribution(self, raw: np.ndarray) -> LaplaceDistribution:
        t = raw.shape[1] // 2
        loc, scale = raw[:, :t], 1.0 / np.sqrt(precision(raw[:, t:]))
        return LaplaceDistribution(loc[:, 0], scale[:, 0]) if t == 1 else LaplaceDistribution(loc, scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        y, w = np.asarray(y, np.float64), row_weights(len(y), weights)
        median = weighted_quantile(y, w, 0.5)
        return np.concatenate([median, raw_of_variance(np.square(w @ np.abs(y - median)))])


@dataclass(frozen=True, eq=False, repr=False)
class LaplaceDistribution(Distribution):
    """Laplace distribution.

    Parameters
    ----------
    loc, scale : array of the batch's shape
        Median, and mean distance from it.
    """

    loc: np.ndarray
    scale: np.ndarray

    def logpdf(self, y: Any) -> np.ndarray:
        return -np.abs(self._score(y)) - np.log(2.0 * self.scale)

    def cdf(self, y: Any) -> np.ndarray:
        return self._below(self._score(y))

    def sf(self, y: Any) -> np.ndarray:
        return self._below(-self._score(y))

    def mean(self) -> np.ndarray:
        return self.loc

    def var(self) -> np.ndarray:
        return square(self.std())

    def std(self) -> np.ndarray:
        return _ROOT_TWO * self.scale

    def entropy(self) -> np.ndarray:
        """Differential entropy in nats."""
        return 1.0 + np.log(2.0 * self.scale)

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form: b (|z| + exp(-|z|) - ¾) (Jordan, Krüger & Lerch 2019)."""
        y = np.asarray(y, np.float64)
        return np.abs(y - self.loc) + self.scale * (np.exp(-np.abs(self._score(y))) - 0.75)

    def affine(self, location: Any, scale: Any) -> LaplaceDistribution:
        return LaplaceDistribution(location + scale * self.loc, scale * self.scale)

    def _score(self, y: Any) -> np.ndarray:
        return standardised(y, self.loc, self.scale)

    def _below(self, z: np.ndarray) -> np.ndarray:
        half = 0.5 * np.exp(-np.abs(z))
        return np.where(z < 0.0, half, 1.0 - half)

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        tail = np.minimum(q, 1.0 - q)
        return self.loc + self.scale * np.sign(q - 0.5) * -np.log(2.0 * tail)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.loc + self.scale * rng.laplace(size=shape)
