"""Where a column of numbers lies and how wide it is: weighted, and safe from overflow.

Weights count rows: a weight of 2 is a row twice, a weight of 0 no row.
"""

from __future__ import annotations

import numpy as np

#: width of the central 90 % of a standard normal distribution
NORMAL_WIDTH = 3.289707253902945
_LEVELS = (0.05, 0.5, 0.95)
#: numbers beyond this count as this, so that differences stay finite
FARTHEST = 1e300
_BELOW = 1 - 1e-12  # a rounding error must not push a level past the value that reaches it
#: a column is constant if its spread is below this, or below this share of its center: rounding errors
NARROWEST, ROUNDING = 1e-300, 1e-13


def robust_scaling(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Median, and width of the central 90 % in units of a standard normal distribution's.

    Where more than 90 % of the values are equal the width is zero, and the standard deviation takes its place.

    Parameters
    ----------
    values : array of shape (n,)
        NaN is missing.
    weights : array of shape (n,), optional

    Returns
    -------
    center, scale : float
        The scale is 1 for constant columns, the center 0 where there are no values.
    """
    values, weights = _present(values, weights)
    if not len(values):
        return 0.0, 1.0
    low, center, high = _quantiles(values, weights, np.array(_LEVELS))
    scale = (high - low) / NORMAL_WIDTH
    return center, standard_scaling(values, weights)[1] if _is_constant(scale, center) else scale


def robust_scalings(x: np.ndarray, weights: np.ndarray | None = None) -> list[tuple[float, float]]:
    """`robust_scaling` of every column of a matrix, at once where all numbers are there and count alike."""
    if weights is not None or not x.size or np.isnan(x).any():
        return [robust_scaling(column, weights) for column in x.T]
    x = np.clip(x, -FARTHEST, FARTHEST)
    places = _places(np.array(_LEVELS), len(x))
    low, center, high = np.partition(x, places, axis=0)[places]
    scales = (high - low) / NORMAL_WIDTH
    found = zip(x.T, center.tolist(), scales.tolist(), strict=True)
    return [(c, standard_scaling(column)[1] if _is_constant(s, c) else s) for column, c, s in found]


def standard_scaling(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and standard deviation (of the weighted sample itself); the scale is 1 for constant columns.

    Computed in units of the largest magnitude, so that squares do not overflow.

    Parameters
    ----------
    values : array of shape (n,)
        NaN is missing.
    weights : array of shape (n,), optional

    Returns
    -------
    center, scale : float
    """
    values, weights = _present(values, weights)
    if not len(values):
        return 0.0, 1.0
    unit = float(np.max(np.abs(values))) or 1.0
    inner = values / unit
    share = np.ones(1) / len(values) if weights is None else weights / weights.sum()
    mean = float((share * inner).sum())
    spread = float(np.sqrt((share * np.square(inner - mean)).sum()))
    center, scale = mean * unit, spread * unit
    return center, 1.0 if _is_constant(scale, center) else scale


def _present(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Values that are there, no farther than `FARTHEST`, and their weights in units of the largest."""
    there = ~np.isnan(values)
    if weights is not None:
        there &= weights > 0
        weights = weights[there] / np.max(weights, initial=0.0, where=there)
    return np.clip(values[there], -FARTHEST, FARTHEST), weights


def _quantiles(values: np.ndarray, weights: np.ndarray | None, levels: np.ndarray) -> list[float]:
    """For each level the smallest value that at least this share of the weight does not exceed (no interpolation)."""
    if weights is None:
        places = _places(levels, len(values))
        return [float(value) for value in np.partition(values, places)[places]]
    levels = levels * _BELOW
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return [float(value) for value in values[order[np.searchsorted(reached, levels * reached[-1])]]]


def _places(levels: np.ndarray, n: int) -> np.ndarray:
    """Where the values that reach these levels stand among n in ascending order."""
    return np.ceil(levels * _BELOW * n).astype(int) - 1


def _is_constant(spread: float, center: float) -> bool:
    return not spread > max(NARROWEST, ROUNDING * abs(center))
