"""The error function and the normal distribution: erf, erfc, ndtr, log_ndtr.

Two polynomials carry all of it: erf(x) = x + x·P(x²) near 0 and, for the tails, the scaled complement

    erfcx(x) = exp(x²)·erfc(x) = P(t)/(x + a),  t = (x - a)/(x + a),

smooth on the whole half line (after Shepherd & Laframboise, Math. Comp. 36 (1981) 249). exp(-x²) takes the rounding
error of x² along, which would otherwise cost hundreds of ulps in the far tail.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import ERF_NEAR, ERF_TAIL, ERFCX, EXP2
from chainrule.native.math.exponential import _exp_range, exp_clamped
from chainrule.native.math.lanes import FLOAT32, Real, fma, polynomial, two_sum, where
from chainrule.native.math.logarithm import _assemble, _reduce

_NEAR = 0.75
"""Below it erf, above it erfc, is computed first and the other is 1 minus it."""

_ERFCX_POLE = {"float32": 2.0, "float64": 3.0}
_SQRT_HALF = math.sqrt(0.5)


def _erf_near(x: Real) -> Real:
    """erf x for |x| < 1 (float32), 0.75 (float64)."""
    return fma(x, polynomial(x * x, ERF_NEAR[x.format.name]), x)


def _erfcx(x: Real) -> Real:
    """exp(x²)·erfc(x) for x ≥ 0.75."""
    a = _ERFCX_POLE[x.format.name]
    inverse = 1.0 / (x + a)
    return polynomial(fma(inverse, -2.0 * a, 1.0), ERFCX[x.format.name]) * inverse


def _gaussian(x: Real, scale: float) -> Real:
    """exp(-scale·x²) for x ≥ 0 and scale 1 or ½."""
    low, _ = _exp_range(x.format)
    x = x.at_most(math.sqrt(-low / scale))
    scaled = x * -scale
    square = x * scaled
    return exp_clamped(square, tail=fma(x, scaled, -square))


def erf(x: Real) -> Real:
    """erf x = 1 - erfc x for large |x|."""
    magnitude = abs(x)
    if x.format is FLOAT32:
        # erfc(x) = 2^(x·P(x)): its error, relative to 1, is small, and neither division nor x² is needed
        near = _erf_near(magnitude)
        bounded = magnitude.at_most(4.0)
        y = bounded * polynomial(bounded, ERF_TAIL["float32"])
        magic = x.format.magic + x.format.bias
        shifted = y + magic
        r = y - (shifted - magic)
        power = (shifted.bits() << x.format.fraction).real()
        tail = 1.0 - fma(r, polynomial(r, EXP2["float32"]), 1.0) * power
        return where(magnitude < 1.0, near, tail).with_sign_of(x)
    tail = 1.0 - _erfcx(magnitude) * _gaussian(magnitude, 1.0)
    return where(magnitude < _NEAR, _erf_near(magnitude), tail).with_sign_of(x)


def erfc(x: Real) -> Real:
    """1 - erf x, without cancellation for large x."""
    magnitude = abs(x)
    tail = _erfcx(magnitude) * _gaussian(magnitude, 1.0)
    return where(magnitude < _NEAR, 1.0 - _erf_near(x), where(x < 0.0, 2.0 - tail, tail))


def ndtr(x: Real) -> Real:
    """Φ(x), the standard normal distribution function."""
    scaled = x * _SQRT_HALF
    magnitude = abs(scaled)
    tail = _erfcx(magnitude) * 0.5 * _gaussian(abs(x), 0.5)
    return where(magnitude < _NEAR, fma(_erf_near(scaled), 0.5, 0.5), where(x < 0.0, tail, 1.0 - tail))


def log_ndtr(x: Real) -> Real:
    """log Φ(x): the logarithm of a sum of two terms, of which the left tail adds -x²/2 afterwards.

    ====================  =====================================
    left tail             log(erfcx(|x|/√2)/2) - x²/2
    |x|/√2 < 0.75         log(½ + erf(x/√2)/2)
    right tail            log(1 - (1 - Φ(x)))
    ====================  =====================================
    """
    scaled = x * _SQRT_HALF
    magnitude = abs(scaled)
    near = magnitude < _NEAR
    left = scaled <= -_NEAR
    half_erfcx = _erfcx(magnitude) * 0.5
    upper = half_erfcx * _gaussian(abs(x), 0.5)
    first = where(near, 0.5, where(left, half_erfcx, 1.0))
    second = where(near, _erf_near(scaled) * 0.5, where(left, 0.0, -upper))
    logarithm = _assemble(*_reduce(*two_sum(first, second)))
    return where(left, fma(x * -0.5, x, logarithm), logarithm)
