"""The continuous ranked probability score of any distribution by quadrature of its cdf."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np

_LEFT = np.array([1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.06, 0.1, 0.17, 0.25, 0.33, 0.41])
#: levels whose quantiles cut the integral into pieces on which the cdf is nearly polynomial
LEVELS = np.concatenate([_LEFT, [0.5], 1.0 - _LEFT[::-1]])
#: cdf evaluations in memory at a time
BUDGET = 1 << 20
#: whole numbers summed one by one for a discrete distribution; a wider range is sampled evenly at so many
WHOLE = 2048
_ABSCISSAE, _WEIGHTS = np.polynomial.legendre.leggauss(6)


class Scored(Protocol):
    """What quadrature needs to know of a batch of distributions."""

    @property
    def discrete(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, rows: Any) -> Self: ...
    def elements(self, shape: tuple[int, ...]) -> tuple[Self, np.ndarray]: ...
    def nodes(self) -> np.ndarray: ...
    def cdf(self, y: Any) -> np.ndarray: ...


def crps(distribution: Scored, y: Any) -> np.ndarray:
    """∫ F² left of ``y`` plus ∫ (1 - F)² right of it.

    Parameters
    ----------
    distribution : Scored
    y : array that broadcasts against the batch

    Returns
    -------
    array of the broadcast shape
        Continuous: six-point Gauss-Legendre quadrature on each piece between `nodes`. Discrete: a sum over all whole
        numbers between the outermost nodes, or over 2 048 of them evenly where there are more.
    """
    y = np.asarray(y, np.float64)
    shape = np.broadcast_shapes(y.shape, distribution.shape)
    flat, places = distribution.elements(shape)
    nodes, y = flat.nodes(), np.broadcast_to(y, shape).ravel()
    score = _sum if distribution.discrete else _integral
    result = np.empty(len(y))
    chunk = max(1, BUDGET // (WHOLE if distribution.discrete else len(_WEIGHTS) * (nodes.shape[-1] + 1)))
    for first in range(0, len(y), chunk):
        rows = places[first : first + chunk]
        result[first : first + chunk] = score(flat[rows], nodes[rows], y[first : first + chunk])
    return result.reshape(shape)


def _integral(part: Scored, nodes: np.ndarray, y: np.ndarray) -> np.ndarray:
    cuts = np.sort(np.concatenate([nodes, y[:, None]], axis=1), axis=1).T  # (cuts, n)
    half = 0.5 * np.diff(cuts, axis=0)
    x = cuts[:-1] + half * (1.0 + _ABSCISSAE[:, None, None])  # (points, pieces, n)
    miss = np.where(cuts[1:] <= y, part.cdf(x), 1.0 - part.cdf(x))
    return np.einsum("p,pkn,kn->n", _WEIGHTS, np.square(miss), half)


def _sum(part: Scored, nodes: np.ndarray, y: np.ndarray) -> np.ndarray:
    low, high = nodes[:, 0], nodes[:, -1] + 1.0  # F is 0 left of low and 1 from high - 1 on, but for 1e-10
    step = np.maximum(1.0, np.ceil((high - low) / WHOLE))
    left = low + step * np.arange(int(np.max(np.ceil((high - low) / step))))[:, None]  # cells [left, left + step)
    cdf = part.cdf(left + np.floor(0.5 * (step - 1.0)))
    below = np.clip(y - left, 0.0, step)
    outside = np.maximum(low - y, 0.0) + np.maximum(y - (left[-1] + step), 0.0)
    return np.sum(below * np.square(cdf) + (step - below) * np.square(1.0 - cdf), axis=0) + outside
