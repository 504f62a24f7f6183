"""Derivatives of a function along lines by differences of its values, with an estimate of their error.

Differences at the steps ``h, h/2, h/4, …`` are extrapolated to step 0 by Neville's scheme, and the entry of the
scheme with the smallest estimated error is taken (Ridders 1982, "Accurate computation of F'(x) and F'(x)F''(x)";
Press et al. 2007, *Numerical Recipes*, §5.7). Central differences are extrapolated in h², differences to one side
in h. At a kink the two sides have different limits; at a jump one of them has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: the first step, in units of the line's own scale; how often it is halved; how far the scheme reaches back
FIRST_STEP, ROWS, COLUMNS = 2.0**-3, 24, 6
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slopes:
    """Derivatives along n lines of a function with m values, all arrays of shape (n, m).

    Parameters
    ----------
    central, left, right : array
        Limits of the central and one-sided differences; infinite at a jump, NaN where there are none.
    error, error_left, error_right : array
        Estimates of their errors.
    """

    central: np.ndarray
    error: np.ndarray
    left: np.ndarray
    error_left: np.ndarray
    right: np.ndarray
    error_right: np.ndarray


def exact(values: np.ndarray) -> Slopes:
    """Derivatives that are known up to rounding."""
    error = 1e-13 * np.abs(values)
    return Slopes(values, error, values, error, values, error)


def slopes(
    sample: Callable[[int, float], np.ndarray],
    scales: np.ndarray,
    expected: np.ndarray,
    tolerance: np.ndarray,
    precision: float,
) -> Slopes:
    """Derivatives along n lines.

    Parameters
    ----------
    sample : callable
        ``sample(k, t)``: values, shape (m,), at the point ``t`` of line ``k``; the derivatives are those at 0.
    scales : array of shape (n,)
        Over what distance ``t`` the function may change: the size of the point, roughly.
    expected, tolerance : arrays of shape (n, m)
        A line is done as soon as its differences agree with what is expected, so that smooth functions need few steps.
    precision : float
        Relative rounding error of the function's values.
    """
    n, m = expected.shape
    middle, right, left = _Limit((n, m), 2), _Limit((n, m), 1), _Limit((n, m), 1)
    at_zero = np.stack([sample(k, 0.0) for k in range(n)]) if n else np.zeros((0, m))
    ahead, behind = at_zero.copy(), at_zero.copy()
    active: Any = np.arange(n)
    for row in range(ROWS):
        h = FIRST_STEP * 2.0**-row * scales
        for k in active:
            ahead[k], behind[k] = sample(k, h[k]), sample(k, -h[k])
        step = h[:, None]
        with np.errstate(all="ignore"):
            size = np.maximum(np.maximum(np.abs(ahead), np.abs(behind)), np.abs(at_zero))
            central = (ahead - behind) / (2.0 * step)
            # values are rounded, and so are the points they are taken at, which lie within a scale of zero
            noise = 2.0 * (precision * size + EPSILON * scales[:, None] * np.abs(central)) / step
            middle.add(central, noise, active)
            right.add((ahead - at_zero) / step, 2.0 * noise, active)
            left.add((at_zero - behind) / step, 2.0 * noise, active)
            close = (np.abs(middle.value - expected) <= tolerance) & (middle.error <= tolerance)
        found = Slopes(middle.value, middle.error, left.value, left.error, right.value, right.error)
        if row == ROWS // 2:
            earlier = np.abs(ahead - at_zero), np.abs(at_zero - behind)
        if row >= 2:
            active = active[~(close & ~sides_differ(found, tolerance)).all(axis=1)[active]]
        if not active.size:
            return found
    # where the function's rise did not shrink with the step, it jumps: the one-sided derivative is infinite
    for limit, rise, before in ((right, ahead - at_zero, earlier[0]), (left, at_zero - behind, earlier[1])):
        jump = np.zeros((n, m), bool)
        jump[active] = ((np.abs(rise) > 0.5 * before) & (np.abs(rise) > 1e3 * precision * np.abs(at_zero)))[active]
        limit.value[jump] = np.copysign(np.inf, rise)[jump]
        limit.error[jump] = 0.0
    return found


def sides_differ(found: Slopes, tolerance: np.ndarray) -> np.ndarray:
    """Where the derivatives from left and right are surely different: a kink, or a jump."""
    with np.errstate(all="ignore"):
        errors = 30.0 * (found.error_right + found.error_left)
        jump = np.isinf(found.right) | np.isinf(found.left)
        return jump | (np.abs(found.right - found.left) > errors + tolerance)


class _Limit:
    """The limit of a sequence at steps that are halved, element by element.

    Parameters
    ----------
    shape : tuple of int
    power : int
        The error of the sequence is a power series in this power of the step.
    """

    def __init__(self, shape: tuple[int, ...], power: int) -> None:
        self.power = power
        self.value = np.full(shape, np.nan)
        self.error = np.full(shape, np.inf)
        self._row: list[np.ndarray] = []

    def add(self, value: np.ndarray, noise: np.ndarray, active: np.ndarray) -> None:
        """One more row of the scheme; only the active lines learn from it."""
        learns = np.zeros((len(value), 1), bool)
        learns[active] = True
        row = [value]
        for column in range(1, min(len(self._row), COLUMNS) + 1):
            before, above = row[-1], self._row[column - 1]
            new = before + (before - above) / (2.0 ** (self.power * column) - 1.0)
            error = np.maximum(np.maximum(np.abs(new - before), np.abs(new - above)), noise)
            better = learns & (error < self.error)
            self.value[better], self.error[better] = new[better], error[better]
            row.append(new)
        self._row = row
