"""The error function and the normal distribution: erf, erfc, erfcx, erfinv, erfcinv, ndtr, log_ndtr, ndtri.

Two polynomials carry all of it: erf(x) = x + x·P(x²) near 0 and, for the tails, the scaled complement

    erfcx(x) = exp(x²)·erfc(x) = P(t)/(x + a),  t = (x - a)/(x + a),

smooth on the whole half line (after Shepherd & Laframboise, Math. Comp. 36 (1981) 249). exp(-x²) takes the rounding
error of x² along, which would otherwise cost hundreds of ulps in the far tail.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import ERF_NEAR, ERF_TAIL, ERFCX, ERFINV, EXP2, NORMAL_TAIL
from chainrule.native.math.exponential import LN2, exp_clamped, exp_range
from chainrule.native.math.lanes import FLOAT32, Real, fma, in_float64, polynomial, two_sum, where
from chainrule.native.math.logarithm import assemble, decompose, log

_NEAR = 0.75
"""Below it erf, above it erfc, is computed first and the other is 1 minus it."""

_ERFCX_POLE = {"float32": 2.0, "float64": 3.0}
_SQRT_HALF = math.sqrt(0.5)


def _erf_near(x: Real) -> Real:
    """erf x for |x| < 1 (float32), 0.75 (float64)."""
    return fma(x, polynomial(x * x, ERF_NEAR[x.format.name]), x)


def _erfcx_tail(x: Real) -> Real:
    """exp(x²)·erfc(x) for x ≥ 0.75 (float64: 0.59)."""
    a = _ERFCX_POLE[x.format.name]
    d = x + a
    inverse = 1.0 / d
    # what the sum and the division lost, which t = 1 - 2a/(x + a) would magnify
    missing = inverse * fma(-inverse, x - (d - a), fma(-inverse, d, 1.0))
    missing = where(d < 2.0**60, missing, 0.0)
    t = fma(missing, -2.0 * a, fma(inverse, -2.0 * a, 1.0))
    p = polynomial(t, ERFCX[x.format.name])
    return fma(p, inverse, p * missing)


def _gaussian(x: Real, scale: float) -> Real:
    """exp(-scale·x²) for x ≥ 0 and scale 1 or ½."""
    return exp_clamped(*_scaled_square(x, scale))


def _scaled_square(x: Real, scale: float) -> tuple[Real, Real]:
    """-scale·x² in two parts, x made no larger than the exponential function needs."""
    low, _ = exp_range(x.format)
    x = x.at_most(math.sqrt(-low / scale))
    scaled = x * -scale
    square = x * scaled
    return square, fma(x, scaled, -square)


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
    tail = 1.0 - _erfcx_tail(magnitude) * _gaussian(magnitude, 1.0)
    return where(magnitude < _NEAR, _erf_near(magnitude), tail).with_sign_of(x)


def erfc(x: Real) -> Real:
    """1 - erf x, without cancellation for large x."""
    magnitude = abs(x)
    tail = _erfcx_tail(magnitude) * _gaussian(magnitude, 1.0)
    return where(magnitude < _NEAR, 1.0 - _erf_near(x), where(x < 0.0, 2.0 - tail, tail))


def erfcx(x: Real) -> Real:
    """exp(x²)·erfc(x); ∞ below some -26.6 (float64), -9.4 (float32)."""
    magnitude = abs(x)
    _, high = exp_range(x.format)
    bounded = magnitude.at_most(math.sqrt(high))
    square = bounded * bounded
    growth = exp_clamped(square, tail=fma(bounded, bounded, -square))
    tail = _erfcx_tail(magnitude)
    near = growth * (1.0 - _erf_near(x))
    return where(magnitude < _NEAR, near, where(x < 0.0, fma(growth, 2.0, -tail), tail))


def ndtr(x: Real) -> Real:
    """Φ(x), the standard normal distribution function."""
    scaled = x * _SQRT_HALF
    magnitude = abs(scaled)
    tail = _erfcx_tail(magnitude) * 0.5 * _gaussian(abs(x), 0.5)
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
    half_erfcx = _erfcx_tail(magnitude) * 0.5
    upper = half_erfcx * _gaussian(abs(x), 0.5)
    first = where(near, 0.5, where(left, half_erfcx, 1.0))
    second = where(near, _erf_near(scaled) * 0.5, where(left, 0.0, -upper))
    logarithm = assemble(*decompose(*two_sum(first, second)))
    return where(left, fma(x * -0.5, x, logarithm), logarithm)


@in_float64
def erfinv(x: Real) -> Real:
    """The inverse of erf: ±∞ at ±1, NaN beyond."""
    magnitude = abs(x)
    tail = _normal_tail(1.0 - magnitude) * _SQRT_HALF
    return where(magnitude <= 0.6, _erfinv_near(x), tail).with_sign_of(x)


@in_float64
def erfcinv(y: Real) -> Real:
    """The inverse of erfc: ∞ at 0, -∞ at 2, NaN outside."""
    centred = 1.0 - y
    tail = _normal_tail(where(centred > 0.0, y, 2.0 - y)) * _SQRT_HALF
    return where(abs(centred) <= 0.6, _erfinv_near(centred), tail.with_sign_of(centred))


@in_float64
def ndtri(p: Real) -> Real:
    """The inverse of Φ: -∞ at 0, ∞ at 1, NaN outside."""
    centred = p - 0.5
    tail = _normal_tail(where(centred < 0.0, p, 1.0 - p) * 2.0).with_sign_of(centred)
    return where(abs(centred) > 0.3, tail, _erfinv_near(centred * 2.0) * math.sqrt(2))


def _erfinv_near(x: Real) -> Real:
    """erfinv x for |x| ≤ 0.6."""
    return x * polynomial(x * x, ERFINV["float64"])


def _normal_tail(p: Real) -> Real:
    """z with 2Φ(-z) = p, for 0 ≤ p ≤ 0.4; NaN for negative p.

    A start to 2e-6 from t = √(-2 log p/2), then one step of Halley's iteration, which triples the digits.
    """
    t = ((math.log(2) - log(p)) * 2.0).sqrt()
    z = t - polynomial(1.0 / (t + 3.0), NORMAL_TAIL["float64"])
    mills = _erfcx_tail(z * _SQRT_HALF) * math.sqrt(math.pi / 2)  # Φ(-z)/φ(z)
    # p and φ times 2^64, so that neither is subnormal
    square, rest = _scaled_square(z, 0.5)
    exponent, exponent_rest = two_sum(square, 64 * LN2["float64"][0])
    density = exp_clamped(exponent, rest + (exponent_rest + 64 * LN2["float64"][1]))
    u = mills - p * 2.0**64 * math.sqrt(math.pi / 2) / density
    result = z + u / fma(u * z, -0.5, 1.0)
    return where(p > 0.0, result, t)
