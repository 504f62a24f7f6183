"""The normal distribution and mixtures of normal distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any, Self

import numpy as np
from scipy.special import erfc, log_ndtr, logsumexp, ndtr, ndtri

from chainrule.outputs.distribution import Distribution
from chainrule.outputs.moments import bell, root_mean_square, square, standardised
from chainrule.outputs.quadrature import spread

LOG_ROOT_TWO_PI = float(0.5 * np.log(2.0 * pi))
_ONE_OVER_ROOT_TWO_PI = float(1.0 / np.sqrt(2.0 * pi))
_ROOT_HALF = float(np.sqrt(0.5))
#: floats in one intermediate array of the mixture's CRPS
_BUDGET = 1 << 18
_MOST_PAIRED = 1000  # components, beyond which quadrature is faster than all pairs of them


def density(z: np.ndarray) -> np.ndarray:
    """φ(z), the standard normal density."""
    return _ONE_OVER_ROOT_TWO_PI * bell(z)


@dataclass(frozen=True, eq=False, repr=False)
class Normal(Distribution):
    """Normal distribution.

    Parameters
    ----------
    loc, scale : array of the batch's shape
        Mean and standard deviation.
    """

    loc: np.ndarray
    scale: np.ndarray

    def logpdf(self, y: Any) -> np.ndarray:
        return -0.5 * square(self._score(y)) - LOG_ROOT_TWO_PI - np.log(self.scale)

    def cdf(self, y: Any) -> np.ndarray:
        return ndtr(self._score(y))

    def sf(self, y: Any) -> np.ndarray:
        return ndtr(-self._score(y))

    def logcdf(self, y: Any) -> np.ndarray:
        """Logarithm of the cdf, exact far out in the left tail too."""
        return log_ndtr(self._score(y))

    def mean(self) -> np.ndarray:
        return self.loc

    def var(self) -> np.ndarray:
        return square(self.scale)

    def std(self) -> np.ndarray:
        return self.scale

    def entropy(self) -> np.ndarray:
        """Differential entropy in nats."""
        return 0.5 + LOG_ROOT_TWO_PI + np.log(self.scale)

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form: σ [z (2Φ(z) - 1) + 2φ(z) - 1/√π] (Gneiting et al. 2005)."""
        z = self._score(y)
        return (y - self.loc) * (2.0 * ndtr(z) - 1.0) + self.scale * (2.0 * density(z) - 1.0 / np.sqrt(pi))

    def affine(self, location: Any, scale: Any) -> Normal:
        return Normal(location + scale * self.loc, scale * self.scale)

    @classmethod
    def pool(cls, members: Sequence[Self]) -> NormalMixture:
        return NormalMixture.pool([member.as_mixture() for member in members])

    def as_mixture(self) -> NormalMixture:
        """The same as a mixture of one component."""
        return NormalMixture(np.zeros((*self.shape, 1)), self.loc[..., None], self.scale[..., None])

    def _score(self, y: Any) -> np.ndarray:
        return standardised(y, self.loc, self.scale)

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        return self.loc + self.scale * ndtri(q)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.loc + self.scale * rng.standard_normal(shape)


@dataclass(frozen=True, eq=False, repr=False)
class NormalMixture(Distribution):
    """Mixture of k normal distributions.

    Several targets of a row share the component weights: given the component they are independent, so that together
    they need not be. `log_score` and `rvs` are joint; all else is of one target at a time.

    Parameters
    ----------
    log_weights : array of the batch's shape and k
        Logarithms of weights that add up to 1; the same for all targets of a row.
    locs, scales : array of the batch's shape and k
    """

    log_weights: np.ndarray
    locs: np.ndarray
    scales: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.locs.shape[:-1]

    @property
    def weights(self) -> np.ndarray:
        """Weights of the components."""
        return np.exp(self.log_weights)

    def logpdf(self, y: Any) -> np.ndarray:
        return logsumexp(self.log_weights + self._component_logpdf(y), axis=-1)

    def pdf(self, y: Any) -> np.ndarray:
        return np.einsum("...k,...k->...", self.weights / self.scales, density(self._score(y)))

    def log_score(self, y: Any) -> np.ndarray:
        if len(self.shape) < 2:
            return self.logpdf(y)
        return logsumexp(self.log_weights[..., 0, :] + np.sum(self._component_logpdf(y), axis=-2), axis=-1)

    def cdf(self, y: Any) -> np.ndarray:
        return self._below(self._score(y))

    def sf(self, y: Any) -> np.ndarray:
        return self._below(-self._score(y))

    def tail(self, x: np.ndarray, upper: np.ndarray) -> np.ndarray:
        return self._below(np.where(upper, -1.0, 1.0)[..., None] * self._score(x))

    def mean(self) -> np.ndarray:
        return np.einsum("...k,...k->...", self.weights, self.locs)

    def var(self) -> np.ndarray:
        return square(self.std())

    def std(self) -> np.ndarray:
        within = np.hypot(self.scales, self.locs - self.mean()[..., None])
        return root_mean_square(within, self.weights)

    def bracket(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # where every component is below (above) its own quantile, so is the mixture
        own = self.locs + self.scales * ndtri(q)[..., None]
        return np.min(own, axis=-1), np.max(own, axis=-1)

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form (Grimit, Gneiting, Berrocal & Johnson 2006).

        ``Σ wᵢ A(y - μᵢ, σᵢ²) - ½ Σᵢⱼ wᵢ wⱼ A(μᵢ - μⱼ, σᵢ² + σⱼ²)`` with ``A(μ, σ²) = E|N(μ, σ²)|``, which is
        ``2σ φ(μ/σ) + μ (2Φ(μ/σ) - 1)``. The second sum by quadrature where there are more than a thousand components.
        """
        y = np.asarray(y, np.float64)
        near = np.sum(self.weights * _mean_magnitude(y[..., None] - self.locs, self.scales), axis=-1)
        flat = self.ravel()
        if self.locs.shape[-1] > _MOST_PAIRED:
            half = spread(flat, flat.locs, flat.scales, flat.weights)
        else:
            half = 0.5 * flat._mean_difference()
        return near - half.reshape(self.shape)

    def _mean_difference(self) -> np.ndarray:
        """Mean distance of two independent draws, from all pairs of components; of a batch of one dimension."""
        i, j = np.triu_indices(self.locs.shape[-1])
        twice = np.where(i == j, 1.0, 2.0)
        found = np.empty(self.shape)
        chunk = max(1, _BUDGET // len(i))
        for first in range(0, len(found), chunk):
            part = self[first : first + chunk]
            apart = _mean_magnitude(part.locs[:, i] - part.locs[:, j], np.hypot(part.scales[:, i], part.scales[:, j]))
            found[first : first + chunk] = np.sum(part.weights[:, i] * part.weights[:, j] * twice * apart, axis=-1)
        return found

    def affine(self, location: Any, scale: Any) -> NormalMixture:
        location, scale = np.expand_dims(location, -1), np.expand_dims(scale, -1)
        return NormalMixture(self.log_weights, location + scale * self.locs, scale * self.scales)

    @classmethod
    def pool(cls, members: Sequence[Self]) -> NormalMixture:
        return NormalMixture(
            np.concatenate([m.log_weights for m in members], axis=-1) - np.log(len(members)),
            np.concatenate([m.locs for m in members], axis=-1),
            np.concatenate([m.scales for m in members], axis=-1),
        )

    def _score(self, y: Any) -> np.ndarray:
        return standardised(np.asarray(y)[..., None], self.locs, self.scales)

    def _component_logpdf(self, y: Any) -> np.ndarray:
        return -0.5 * square(self._score(y)) - LOG_ROOT_TWO_PI - np.log(self.scales)

    def _below(self, z: np.ndarray) -> np.ndarray:
        # erfc takes a third of ndtr's time and is as exact in the tail; weights add up to 1 but for rounding
        return np.minimum(np.einsum("...k,...k->...", 0.5 * self.weights, erfc(-_ROOT_HALF * z)), 1.0)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        joint = len(self.shape) == 2  # one component for all targets of a row
        u = rng.random((*shape[:-1], 1) if joint else shape)
        weights = self.weights[:, :1] if joint else self.weights
        bounds = np.cumsum(weights, axis=-1)[..., :-1]
        chosen = np.broadcast_to(np.sum(u[..., None] >= bounds, axis=-1), shape)[..., None]
        locs = np.broadcast_to(self.locs, (*shape, self.locs.shape[-1]))
        scales = np.broadcast_to(self.scales, locs.shape)
        loc, scale = (np.take_along_axis(a, chosen, axis=-1)[..., 0] for a in (locs, scales))
        return loc + scale * rng.standard_normal(shape)


def _mean_magnitude(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """E|X| of a normal X."""
    z = standardised(mean, np.zeros(()), std)
    return 2.0 * std * density(z) + mean * (2.0 * ndtr(z) - 1.0)
