"""Logarithms: log, log2, log1p, softplus, log_expit, logaddexp.

A positive number is 2ᵏ·(1 + f) with 1 + f between √½ and √2, so log x = k·ln 2 + log(1 + f), and k = 0 near 1,
where nothing may cancel.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import LOG1P_UNIT, LOG_ATANH, LOG_SERIES
from chainrule.native.math.exponential import _exp_range, exp_clamped
from chainrule.native.math.lanes import FLOAT32, Real, fma, polynomial, two_sum, where

_INF = math.inf

# ln 2 = high + low where high has so few bits that k·high is exact
_LN2 = {
    "float32": (0.693359375, -2.12194440054690583e-4),
    "float64": (0.693147180369123816490, 1.90821492927058781614e-10),
}
_LOG2_E = {
    "float32": (1.44269502162933349609375, 1.92596299112661746887e-08),
    "float64": (1.4426950408889633870, 2.0355273740931032737e-17),
}


def _reduce(x: Real, tail: Real | None = None) -> tuple[Real, Real]:
    """(k, f) with x + tail = 2ᵏ·(1 + f) for positive finite x; |tail| is at most half an ulp of x."""
    format_ = x.format
    fraction, bias = format_.fraction, format_.bias
    sqrt_half = x.constant(math.sqrt(0.5))
    exponent_zero = 2.0**fraction + bias  # subtracting it turns exponent bits into k
    if tail is None:
        subnormal = x < 2.0 ** (1 - bias)
        x = where(subnormal, x * 2.0**fraction, x)
        zero = where(subnormal, x.constant(exponent_zero + fraction), exponent_zero)
    else:
        zero = x.constant(exponent_zero)
    shifted = x.bits() - sqrt_half.bits() + format_.one
    exponent = shifted >> fraction  # k + bias
    k = (exponent | x.constant(2.0**fraction).bits()).real() - zero
    f = ((shifted & ((1 << fraction) - 1)) + sqrt_half.bits()).real() - 1.0
    if tail is not None:
        # 2⁻ᵏ from bits; 0 where it would be subnormal, and the tail long negligible
        f = f + tail * ((2 * bias - exponent).at_least(0) << fraction).real()
    return k, f


def _assemble(k: Real, f: Real) -> Real:
    """k·ln 2 + log(1 + f)."""
    high, low = _LN2[k.format.name]
    if k.format is FLOAT32:  # log(1+f) = f - f²/2 + f³P(f)
        series = fma(polynomial(f, LOG_SERIES["float32"]), f, -0.5)
        return fma(k, high, f + fma(f * f, series, k * low))
    # s = f/(2+f): log(1+f) = 2 atanh s = f - f²/2 + s·(f²/2 + s²P(s²))
    half_square = f * (f * 0.5)
    s = f / (f + 2.0)
    square = s * s
    series = square * polynomial(square, LOG_ATANH["float64"])
    return fma(k, high, f - (half_square - fma(s, half_square + series, k * low)))


def _at_the_ends(x: Real, result: Real, zero: float = 0.0) -> Real:
    """``result`` where zero < x < ∞; else -∞ at zero, NaN below it, and x itself for ∞ and NaN."""
    edge = where(x.equals(zero), x.constant(-_INF), where(x < zero, math.nan, x))
    return where((x > zero) & (x < _INF), result, edge)


def log(x: Real) -> Real:
    """Natural logarithm; log ±0 = -∞, NaN below."""
    return _at_the_ends(x, _assemble(*_reduce(x)))


def log2(x: Real) -> Real:
    """Logarithm to base 2, exact for powers of 2."""
    k, f = _reduce(x)
    natural = _assemble(k * 0.0, f)
    high, low = _LOG2_E[x.format.name]
    return _at_the_ends(x, k + fma(natural, high, natural * low))


def log1p(x: Real) -> Real:
    """log(1 + x), the sum 1 + x carried exactly."""
    total, tail = two_sum(x.constant(1.0), x)
    result = _assemble(*_reduce(total, tail)).with_sign_of(x)  # -0 stays -0
    return _at_the_ends(x, result, zero=-1.0)


def _log1p_unit(e: Real) -> Real:
    """log(1 + e) for 0 ≤ e ≤ 1."""
    if e.format is FLOAT32:
        return fma(e * e, polynomial(e, LOG1P_UNIT["float32"]), e)
    s = e / (e + 2.0)
    square = s * s
    return fma(s * square, polynomial(square, LOG1P_UNIT["float64"]), s + s)


def softplus(x: Real) -> Real:
    """log(1 + eˣ) = max(x, 0) + log1p(exp(-|x|))."""
    e = exp_clamped((-abs(x)).at_least(_exp_range(x.format)[0]))
    return x.at_least(0.0) + _log1p_unit(e)


def log_expit(x: Real) -> Real:
    """log(sigmoid x) = -softplus(-x)."""
    return -softplus(-x)


def logaddexp(x: Real, y: Real) -> Real:
    """log(eˣ + eʸ) = max(x, y) + log1p(exp(-|x - y|)), the difference carried exactly.

    Where max and the logarithm cancel, the error is in ulps of max, as in NumPy.
    """
    low, _ = _exp_range(x.format)
    larger, smaller = where(x < y, y, x), where(x < y, x, y)
    difference, tail = two_sum(smaller, -larger)
    tail = where(difference > low, tail, 0.0)
    difference = where(x.equals(y), 0.0, difference)  # two infinities of one sign differ by 0, not NaN
    return larger + _log1p_unit(exp_clamped(difference.at_least(low), tail))
