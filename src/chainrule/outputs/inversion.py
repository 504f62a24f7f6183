"""Quantiles of any distribution by bracketed root finding, vectorised over many distributions and levels at once."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from scipy.special import ndtri

#: elements solved together: their intermediate arrays stay in the cache
CHUNK = 8192
#: relative error of the probability in the nearer tail at which a root counts as found
TOLERANCE = 1e-13
_ROOT_TWO_PI = float(np.sqrt(2.0 * np.pi))


class Invertible(Protocol):
    """What root finding needs to know of a flat batch of distributions."""

    @property
    def discrete(self) -> bool: ...
    def __getitem__(self, rows: Any) -> Self: ...
    def bracket(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def tail(self, x: np.ndarray, upper: np.ndarray) -> np.ndarray: ...
    def cdf(self, y: Any) -> np.ndarray: ...
    def pdf(self, y: Any) -> np.ndarray: ...
    def mean(self) -> np.ndarray: ...
    def std(self) -> np.ndarray: ...


def quantiles(flat: Invertible, places: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantile ``q[i]`` of the distribution ``flat[places[i]]``.

    Parameters
    ----------
    flat : Invertible
        A batch of shape (m,).
    places : integer array of shape (n,)
    q : array of shape (n,)
        Levels inside (0, 1).

    Returns
    -------
    array of shape (n,)
    """
    solve = _whole if flat.discrete else _continuous
    result = np.empty(len(q))
    for first in range(0, len(q), CHUNK):
        part = slice(first, first + CHUNK)
        result[part] = solve(flat[places[part]], q[part])
    return result


def _continuous(distribution: Invertible, q: np.ndarray) -> np.ndarray:
    """Newton's method on the normal score of the nearer tail's probability, kept inside a shrinking bracket.

    Φ⁻¹(F(x)) is a straight line for a normal distribution and nearly one for most others, far into the tails too, where
    F itself is flat; and the nearer tail's probability keeps all its digits there. Whatever Newton's step does, every
    third iteration at least halves the bracket.
    """
    low, high = distribution.bracket(q)
    x = np.clip(distribution.mean() + distribution.std() * ndtri(q), low, high)
    upper = q > 0.5
    p_goal = np.where(upper, 1.0 - q, q)  # exact: q and 1 are within a factor of two
    sign = np.where(upper, -1.0, 1.0)  # the tail's probability rises with x on the left, falls on the right
    score_goal = ndtri(p_goal)
    result, index = x.copy(), np.arange(len(q))
    width = high - low
    for iteration in range(200):
        p = distribution.tail(x, upper)
        excess = sign * (p - p_goal)
        high, low = np.where(excess > 0, x, high), np.where(excess < 0, x, low)
        open_ = (np.abs(excess) > TOLERANCE * p_goal) & (high - low > np.spacing(np.maximum(np.abs(low), np.abs(high))))
        if not open_.all():
            result[index[~open_]] = x[~open_]
            if not open_.any():
                return result
            distribution, index, x, p = distribution[open_], index[open_], x[open_], p[open_]
            low, high, width, upper, sign = low[open_], high[open_], width[open_], upper[open_], sign[open_]
            p_goal, score_goal = p_goal[open_], score_goal[open_]
        with np.errstate(all="ignore"):  # an empty tail or a density of zero: not a number, and bisection takes over
            score = ndtri(p)
            newton = x - sign * (score - score_goal) * np.exp(-0.5 * np.square(score)) / (
                _ROOT_TWO_PI * distribution.pdf(x)
            )
        inside = (newton > low) & (newton < high)
        if iteration % 3 == 2:
            inside &= high - low <= 0.5 * width
            width = high - low
        x = np.where(inside, newton, low + 0.5 * (high - low))
    result[index] = x
    return result


def _whole(distribution: Invertible, q: np.ndarray) -> np.ndarray:
    """Bisection on whole numbers: the smallest k with F(k) >= q."""
    low, high = distribution.bracket(q)
    low, high = np.floor(low) - 1.0, np.ceil(high)
    for _ in range(200):  # above 2⁵³ numbers are further apart than 1, and the bracket closes no more
        if (high - low <= 1.0).all():
            break
        middle = np.floor(0.5 * (low + high))
        enough = distribution.cdf(middle) >= q
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
