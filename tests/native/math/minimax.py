"""Derives the polynomial coefficients in ``chainrule.native.math.coefficients`` (run as a script, it prints that file).

Each :class:`Fit` states the function that a polynomial stands for, the interval and the weight of the error; the
coefficients are those of least maximal weighted error (Remez' second algorithm, e.g. Muller, *Elementary Functions*,
3rd ed., §3.5), computed with 60 digits and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def horner(coefficients, t):
    """The polynomial with these coefficients (ascending) at t."""
    result = mp.mpf(0)
    for c in reversed(coefficients):
        result = result * t + c
    return result


@dataclass(frozen=True)
class Fit:
    """``function`` on ``interval`` by a polynomial of ``degree``; the error made small is that times ``weight``.

    ``bound`` is what that may be at most; by default one unit: 2⁻²⁴ in float32, 2⁻⁵³ in float64.
    """

    function: Callable
    interval: tuple
    degree: int
    weight: Callable
    bound: float | None = None

    def error(self, coefficients, t):
        """Weighted error of the polynomial with these coefficients (ascending) at t."""
        t = mp.mpf(t)
        return self.weight(t) * (self.function(t) - horner(coefficients, t))


def remez(fit: Fit, iterations: int = 12) -> tuple[list, mp.mpf]:
    """Coefficients in ascending order, and the largest weighted error."""
    a, b = (mp.mpf(v) for v in fit.interval)
    degree = fit.degree
    count = degree + 2
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * i / (24 * count)) for i in range(24 * count + 1)]
    values = [fit.function(t) for t in grid]
    weights = [fit.weight(t) for t in grid]
    heavy = [i for i, w in enumerate(weights) if w > max(weights) / 50]  # an error of weight 0 says nothing
    chosen = [heavy[round(i * (len(heavy) - 1) / (count - 1))] for i in range(count)]
    centre, half = (a + b) / 2, (b - a) / 2
    best = None
    for _ in range(iterations):
        system = mp.matrix(count, count)
        target = mp.matrix(count, 1)
        for row, i in enumerate(chosen):
            u = (grid[i] - centre) / half
            for column in range(degree + 1):
                system[row, column] = weights[i] * u**column
            system[row, degree + 1] = (-1) ** row
            target[row] = weights[i] * values[i]
        solution = mp.lu_solve(system, target)
        in_u = [solution[j] for j in range(degree + 1)]
        errors = [w * (v - horner(in_u, (t - centre) / half)) for t, v, w in zip(grid, values, weights, strict=True)]
        peaks = _alternating_peaks(errors, count)
        largest = max(abs(e) for e in errors)
        if best is None or largest < best[1]:
            best = in_u, largest
        if peaks is None or largest <= abs(solution[degree + 1]) * mp.mpf("1.002"):
            break
        chosen = peaks
    in_u, largest = best
    return _shift(in_u, centre, half), largest


def _alternating_peaks(errors: list, count: int) -> list[int] | None:
    """The grid points of largest error, one per run of equal sign, ``count`` of them."""
    peaks: list[int] = []
    for i, e in enumerate(errors):
        if e == 0:
            continue
        if peaks and (errors[peaks[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        heights = [abs(errors[i]) for i in peaks]
        smallest = heights.index(min(heights))
        if len(peaks) == count + 1 or smallest in (0, len(peaks) - 1):
            peaks.pop(0 if heights[0] < heights[-1] else -1)
        else:  # a pair of neighbours, so that the signs still alternate
            neighbour = smallest - 1 if heights[smallest - 1] < heights[smallest + 1] else smallest + 1
            del peaks[min(smallest, neighbour) : max(smallest, neighbour) + 1]
    return peaks if len(peaks) == count else None


def _shift(in_u: list, centre, half) -> list:
    """Coefficients in t from those in u = (t - centre) / half."""
    result = [mp.mpf(0)] * len(in_u)
    power = [mp.mpf(1)]  # (t - centre)^j / half^j, ascending
    for c in in_u:
        for i, p in enumerate(power):
            result[i] += c * p
        power = [
            ((power[i - 1] if i else 0) - (centre * power[i] if i < len(power) else 0)) / half
            for i in range(len(power) + 1)
        ]
    return result


def rounded(fit: Fit, coefficients: list, format_name: str) -> list[float]:
    """Coefficients that are numbers of the format.

    They are rounded one after the other, and what each loses the higher ones make up for, as well as they can in the
    sense of weighted least squares; or simply one by one, where that happens to be better.
    """

    def nearest(c):
        return mp.mpf(float(np.dtype(format_name).type(mp.nstr(c, 40))))

    result = list(coefficients)
    low, high = (mp.mpf(v) for v in fit.interval)
    points = [(low + high - (high - low) * mp.cos(mp.pi * i / 64)) / 2 for i in range(65)]
    rows = [[fit.weight(t) * t**j for j in range(len(result))] for t in points]
    for k in range(len(result)):
        exact = result[k]
        result[k] = nearest(exact)
        if k + 1 < len(result):
            higher = mp.matrix([row[k + 1 :] for row in rows])
            lost = mp.matrix([(exact - result[k]) * row[k] for row in rows])
            change = mp.lu_solve(higher.T * higher, higher.T * lost)
            for j in range(k + 1, len(result)):
                result[j] += change[j - k - 1]
    one_by_one = [nearest(c) for c in coefficients]
    best = min(result, one_by_one, key=lambda cs: max(abs(fit.error(cs, t)) for t in points))
    return [float(c) for c in best]


def text(number: float, format_name: str) -> str:
    """The shortest decimal that reads back as this number of this format."""
    return repr(number) if format_name == "float64" else str(np.float32(number))
