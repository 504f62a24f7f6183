"""Poisson output: counts, with the logarithm of the rate as raw output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaln, i0e, i1e, pdtr, pdtrc

from chainrule.outputs.base import Output, refuse, register
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.weighted import half_a_row, row_weights

#: Largest raw output that is the log rate itself. Beyond it the rate goes on as a straight line instead of an
#: exponential, so that no raw output overflows; e³⁰ = 10¹³ is more than anybody counts.
LINEAR_FROM = 30.0


def log_rate(raw: Any) -> Any:
    """Logarithm of the rate of a raw output: itself, up to `LINEAR_FROM`. Traceable."""
    return np.minimum(raw, LINEAR_FROM) + np.log1p(np.maximum(raw - LINEAR_FROM, 0.0))


@register
@dataclass(frozen=True)
class Poisson(Output):
    """Counts 0, 1, 2, … with the logarithm of the rate as raw output, one per target.

    ``nll = exp(z) - y z + log y!``, whose derivative is ``exp(z) - y``.
    """

    name: ClassVar[str] = "poisson"
    kind: ClassVar[str] = "count"

    def n_raw(self, n_targets: int) -> int:
        return n_targets

    def nll(self, raw: Any, y: Any) -> Any:
        logs = log_rate(raw)
        return np.sum(np.exp(logs) - y * logs + gammaln(y + 1.0), axis=1)

    def standard_distribution(self, raw: np.ndarray) -> PoissonDistribution:
        logs = log_rate(raw)
        return PoissonDistribution(logs[:, 0] if raw.shape[1] == 1 else logs)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        w = row_weights(len(y), weights)
        # half a count in all rows, where there is none
        return np.log(np.maximum(w @ np.asarray(y, np.float64), half_a_row(w)))

    def check_target(self, y: Any) -> None:
        y = np.asarray(y, np.float64)
        refuse(self, "whole numbers >= 0", y, ~((y >= 0) & (y == np.floor(y)) & np.isfinite(y)))


@dataclass(frozen=True, eq=False, repr=False)
class PoissonDistribution(Distribution):
    """Poisson distribution.

    Parameters
    ----------
    log_rate : array of the batch's shape
    """

    log_rate: np.ndarray

    @property
    def discrete(self) -> bool:
        return True

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, np.inf)

    @property
    def rate(self) -> np.ndarray:
        """Expected count."""
        return np.exp(self.log_rate)

    def logpdf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        count = (y >= 0.0) & (y == np.floor(y)) & np.isfinite(y)
        k = np.where(count, y, 0.0)
        return np.where(count, k * self.log_rate - self.rate - gammaln(k + 1.0), -np.inf)

    def cdf(self, y: Any) -> np.ndarray:
        k = np.floor(np.asarray(y, np.float64))
        return np.where(k >= 0.0, pdtr(np.maximum(k, 0.0), self.rate), 0.0)

    def sf(self, y: Any) -> np.ndarray:
        k = np.floor(np.asarray(y, np.float64))
        return np.where(k >= 0.0, pdtrc(np.maximum(k, 0.0), self.rate), 1.0)

    def mean(self) -> np.ndarray:
        return self.rate

    def var(self) -> np.ndarray:
        return self.rate

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form (Wei & Held 2014; Jordan, Krüger & Lerch 2019).

        ``(y - λ) (2 F(y) - 1) + 2λ f(⌊y⌋) - λ exp(-2λ) (I₀(2λ) + I₁(2λ))``.
        """
        y, rate = np.asarray(y, np.float64), self.rate
        near = (y - rate) * (2.0 * self.cdf(y) - 1.0) + 2.0 * rate * self.pdf(np.floor(y))
        return near - rate * (i0e(2.0 * rate) + i1e(2.0 * rate))

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.poisson(self.rate, shape).astype(np.float64)
