"""Student-t output: location, scale and degrees of freedom as functions of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaln, psi, stdtr, stdtrit

from chainrule.outputs.base import Output, register
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.moments import square, standardised
from chainrule.outputs.normal import LOG_ROOT_TWO_PI
from chainrule.outputs.positive import inverse_softplus, precision, raw_of_variance, softplus
from chainrule.outputs.weighted import row_weights

#: fewest degrees of freedom: above 2 the variance is finite, and here at most 21 times the squared scale
DF_FLOOR = 2.1
#: where the asymptotic series of `log_gamma_step` starts
_SHIFT = 8
#: logarithm of ν/(ν + t²) below which the tail is its asymptote in float64
_TAIL = -40.0
#: below it SciPy finds no quantile
_TINY = np.finfo(np.float64).tiny
#: beyond it 1 + u² is u² in float64, and u² not yet too large
_FAR = 1e100


def degrees(raw: Any) -> Any:
    """Degrees of freedom of a raw output. Traceable."""
    return softplus(raw) + DF_FLOOR


def lower_quantile(df: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantiles of the standard distribution for q ≤ ½, however small.

    P(T < t) is ½ I_x(ν/2, ½) at x = ν/(ν + t²), for small x the first term of its series (DLMF 8.17.22),
    x^(ν/2) / (ν B(ν/2, ½)). SciPy's inverse loses digits there, and below 1e-270 gives infinity.
    """
    with np.errstate(divide="ignore"):
        log_x = (np.log(df) + np.log(q) + betaln(0.5 * df, 0.5)) / (0.5 * df)
    far = log_x < _TAIL
    return np.where(far, -np.sqrt(df) * np.exp(-0.5 * log_x), stdtrit(df, np.where(far, 0.5, np.maximum(q, _TINY))))


def log_gamma_step(x: Any) -> Any:
    """log Γ(x + ½) - log Γ(x) - ½ log x, for x >= 1. Traceable.

    The difference of two log-gammas cancels: in float32 it has no digit left at x = 10⁴. Instead the ratio
    Γ(x + ½) / Γ(x) is carried up by the recurrence Γ(x + 1) = x Γ(x) to x + 8, where five terms of its asymptotic
    series (Tricomi & Erdélyi 1951) are exact to 1e-13.
    """
    product = 1.0
    for j in range(_SHIFT):
        product = product * ((x + j) / (x + (j + 0.5)))
    above = x + _SHIFT
    u = 1.0 / above
    v = np.square(u)
    series = u * (-1 / 8 + v * (1 / 192 + v * (-1 / 640 + v * (17 / 14336 + v * (-31 / 18432)))))
    return np.log(product) + 0.5 * np.log(above / x) + series


@register
@dataclass(frozen=True)
class StudentT(Output):
    """Student's t distribution of a number, with tails as heavy as the data say.

    Raw outputs are, one per target: locations m; numbers s for the scale σ, by ``1/σ² = softplus(s) + 1e-6`` in
    units of the standardised target; numbers d for the degrees of freedom ``ν = 2.1 + softplus(d)``, so that mean and
    variance exist.

    ``nll = (ν+1)/2 log(1 + (y-m)² / (νσ²)) + log σ + ½ log νπ + log Γ(ν/2) - log Γ((ν+1)/2)``.
    """

    name: ClassVar[str] = "student_t"
    scales_target: ClassVar[bool] = True

    def n_raw(self, n_targets: int) -> int:
        return 3 * n_targets

    def nll(self, raw: Any, y: Any) -> Any:
        t = y.shape[1]
        p, df = precision(raw[:, t : 2 * t]), degrees(raw[:, 2 * t :])
        distance = p * np.square(y - raw[:, :t])
        tail = 0.5 * (df + 1.0) * np.log1p(distance / df)
        return np.sum(tail - 0.5 * np.log(p) - log_gamma_step(0.5 * df), axis=1) + t * LOG_ROOT_TWO_PI

    def standard_distribution(self, raw: np.ndarray) -> StudentTDistribution:
        t = raw.shape[1] // 3
        loc, scale, df = raw[:, :t], 1.0 / np.sqrt(precision(raw[:, t : 2 * t])), degrees(raw[:, 2 * t :])
        return StudentTDistribution(*(a[:, 0] if t == 1 else a for a in (loc, scale, df)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """By moments: excess kurtosis is 6 / (ν - 4), here with ν between 4.5 and 30; variance is σ² ν / (ν - 2)."""
        y, w = np.asarray(y, np.float64), row_weights(len(y), weights)
        mean = w @ y
        variance = np.maximum(w @ np.square(y - mean), 1e-12)
        excess = w @ np.square(np.square(y - mean)) / np.square(variance) - 3.0
        df = 4.0 + np.clip(6.0 / np.maximum(excess, 0.1), 0.5, 26.0)
        return np.concatenate([mean, raw_of_variance(variance * (df - 2.0) / df), inverse_softplus(df - DF_FLOOR)])


@dataclass(frozen=True, eq=False, repr=False)
class StudentTDistribution(Distribution):
    """Student's t distribution, shifted and scaled.

    Parameters
    ----------
    loc, scale, df : array of the batch's shape
        Location, scale, and degrees of freedom above 2.
    """

    smooth: ClassVar[bool] = True

    loc: np.ndarray
    scale: np.ndarray
    df: np.ndarray

    def logpdf(self, y: Any) -> np.ndarray:
        return self._log_peak() - np.log(self.scale) - 0.5 * (self.df + 1.0) * self._log_distance(self._score(y))

    def cdf(self, y: Any) -> np.ndarray:
        return stdtr(self.df, self._score(y))

    def sf(self, y: Any) -> np.ndarray:
        return stdtr(self.df, -self._score(y))

    def tail(self, x: np.ndarray, upper: np.ndarray) -> np.ndarray:
        return stdtr(self.df, np.where(upper, -1.0, 1.0) * self._score(x))

    def mean(self) -> np.ndarray:
        return self.loc

    def var(self) -> np.ndarray:
        return square(self.std())

    def std(self) -> np.ndarray:
        return self.scale * np.sqrt(self.df / (self.df - 2.0))

    def entropy(self) -> np.ndarray:
        """Differential entropy in nats."""
        half = 0.5 * (self.df + 1.0)
        spread = half * (psi(half) - psi(0.5 * self.df))
        return spread + LOG_ROOT_TWO_PI - log_gamma_step(0.5 * self.df) + np.log(self.scale)

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form (Jordan, Krüger & Lerch 2019).

        ``σ [z (2F(z) - 1) + 2 f(z) (ν + z²)/(ν - 1) - 2√ν/(ν - 1) · B(½, ν - ½) / B(½, ν/2)²]``, where f(z) (ν + z²) is
        f(0) ν (1 + z²/ν)^(-(ν-1)/2): no factor overflows.
        """
        y, z, df = np.asarray(y, np.float64), self._score(y), self.df
        spread = df * np.exp(self._log_peak() - 0.5 * (df - 1.0) * self._log_distance(z))
        own = 2.0 * np.sqrt(df) / (df - 1.0) * np.exp(betaln(0.5, df - 0.5) - 2.0 * betaln(0.5, 0.5 * df))
        return (y - self.loc) * (1.0 - 2.0 * stdtr(df, -z)) + self.scale * (2.0 * spread / (df - 1.0) - own)

    def affine(self, location: Any, scale: Any) -> StudentTDistribution:
        return StudentTDistribution(location + scale * self.loc, scale * self.scale, self.df)

    def _log_peak(self) -> np.ndarray:
        """Logarithm of the standard density at 0."""
        return log_gamma_step(0.5 * self.df) - LOG_ROOT_TWO_PI

    def _log_distance(self, z: np.ndarray) -> np.ndarray:
        """log(1 + z²/ν), also where z² is too large for float64."""
        u = np.abs(z) / np.sqrt(self.df)
        return np.log1p(np.square(np.minimum(u, _FAR))) + 2.0 * np.log(np.maximum(u, _FAR) / _FAR)

    def _score(self, y: Any) -> np.ndarray:
        return standardised(y, self.loc, self.scale)

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        return self.loc + self.scale * np.where(q <= 0.5, 1.0, -1.0) * lower_quantile(self.df, np.minimum(q, 1.0 - q))

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.loc + self.scale * rng.standard_t(self.df, shape)
