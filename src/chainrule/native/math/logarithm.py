"""Logarithms: log, log2, log10, log1p, logit, softplus, log_expit, logaddexp, logaddexp2; x·log y and entropies.

A positive number is 2ᵏ·(1 + f) with 1 + f between √½ and √2, so log x = k·ln 2 + log(1 + f), and k = 0 near 1,
where nothing may cancel.
"""

from __future__ import annotations

import math
import struct

from chainrule.native.math.coefficients import LOG1P_UNIT, LOG_ATANH, LOG_SERIES
from chainrule.native.math.exponential import exp2, exp_clamped, exp_range
from chainrule.native.math.lanes import FLOAT32, Format, Real, fma, polynomial, two_sum, where

_INF = math.inf

# ln 2 = high + low where high has so few bits that k·high is exact
_LN2 = {
    "float32": (0.693359375, -2.12194440054690583e-4),
    "float64": (0.693147180369123816490, 1.90821492927058781614e-10),
}
_LOG10_2 = {
    "float32": (0.301025390625, 4.605038981195214e-06),
    "float64": (0.30102999566395283, 2.8363394551044964e-14),
}


def decompose(x: Real, tail: Real | None = None) -> tuple[Real, Real]:
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


def assemble(k: Real, f: Real) -> Real:
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
    return _at_the_ends(x, assemble(*decompose(x)))


def log2(x: Real) -> Real:
    """Logarithm to base 2, exact for powers of 2."""
    k, f = decompose(x)
    return _at_the_ends(x, k + _times_log2_e(assemble(k.constant(0.0), f)))


def _times_log2_e(x: Real) -> Real:
    high, low = _in_two_parts(1.4426950408889634, 2.0355273740931033e-17, x.format)
    return fma(x, high, x * low)


def _in_two_parts(high: float, low: float, format_: Format) -> tuple[float, float]:
    """high + low, given to 106 bits, as two numbers of the format."""
    if format_ is not FLOAT32:
        return high, low
    first = struct.unpack("f", struct.pack("f", high))[0]
    return first, (high - first) + low


def log10(x: Real) -> Real:
    """Logarithm to base 10."""
    k, f = decompose(x)
    natural = assemble(k.constant(0.0), f)
    e_high, e_low = _in_two_parts(0.4342944819032518, 1.098319650216765e-17, x.format)
    two_high, two_low = _LOG10_2[x.format.name]  # k·two_high is exact
    return _at_the_ends(x, fma(k, two_high, fma(natural, e_high, fma(natural, e_low, k * two_low))))


def log1p(x: Real) -> Real:
    """log(1 + x), the sum 1 + x carried exactly."""
    total, tail = two_sum(x.constant(1.0), x)
    result = assemble(*decompose(total, tail)).with_sign_of(x)  # -0 stays -0
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
    e = exp_clamped((-abs(x)).at_least(exp_range(x.format)[0]))
    return x.at_least(0.0) + _log1p_unit(e)


def log_expit(x: Real) -> Real:
    """log(sigmoid x) = -softplus(-x)."""
    return -softplus(-x)


def _larger_and_difference(x: Real, y: Real, low: float) -> tuple[Real, Real, Real]:
    """(max, d, e): d + e = min - max exactly, d not below ``low``; 0 for two equal infinities."""
    larger, smaller = where(x < y, y, x), where(x < y, x, y)
    difference, tail = two_sum(smaller, -larger)
    tail = where(difference > low, tail, 0.0)
    return larger, where(x.equals(y), 0.0, difference).at_least(low), tail


def logaddexp(x: Real, y: Real) -> Real:
    """log(eˣ + eʸ) = max(x, y) + log1p(exp(-|x - y|)), the difference carried exactly.

    Where max and the logarithm cancel, the error is in ulps of max, as in NumPy.
    """
    larger, difference, tail = _larger_and_difference(x, y, exp_range(x.format)[0])
    return larger + _log1p_unit(exp_clamped(difference, tail))


def logaddexp2(x: Real, y: Real) -> Real:
    """log₂(2ˣ + 2ʸ), as :func:`logaddexp`."""
    larger, difference, tail = _larger_and_difference(x, y, exp_range(x.format)[0] / math.log(2))
    power = exp2(difference)
    return larger + _times_log2_e(_log1p_unit(fma(power, tail * math.log(2), power)))


def logit(p: Real) -> Real:
    """log(p/(1-p)) = 2·arctanh(2p - 1): near ½ as log1p((2p-1)/(1-p)), else as a logarithm."""
    middle = abs(p - 0.5) < 0.25
    q = 1.0 - p
    total, tail = two_sum(where(middle, p.constant(1.0), 0.0), where(middle, (p - 0.5) * 2.0, p) / q)
    result = assemble(*decompose(total, tail))
    # decompose with a tail takes normal numbers only; below them log p it is
    inside = (p > 0.0) & (p < 1.0)
    return where(inside, where(p < 2.0 ** (2 - p.format.bias), log(p), result), _logit_ends(p))


def _logit_ends(p: Real) -> Real:
    ends = where(p.equals(1.0), p.constant(_INF), math.nan)
    return where(p.equals(0.0), -_INF, ends)


def xlogy(x: Real, y: Real) -> Real:
    """x·log y; 0 where x = 0 and y is not NaN."""
    return _zero_wins(x, y, log(y))


def xlog1py(x: Real, y: Real) -> Real:
    """x·log(1 + y); 0 where x = 0 and y is not NaN."""
    return _zero_wins(x, y, log1p(y))


def _zero_wins(x: Real, y: Real, logarithm: Real) -> Real:
    return where(x.equals(0.0), where(y.is_nan(), y, 0.0), x * logarithm)


def entr(x: Real) -> Real:
    """-x·log x; 0 at 0, -∞ below."""
    return where(x < 0.0, -_INF, where(x.equals(0.0), 0.0, -x * log(x)))


def rel_entr(x: Real, y: Real) -> Real:
    """x·log(x/y) for positive x and y, 0 at x = 0 ≤ y, else ∞."""
    ratio = x / y
    fits = (ratio > 2.0 ** (2 - x.format.bias)) & (ratio < _INF)
    # near 1 through log1p, and where the quotient leaves the normal range as a difference
    u, v = where(fits, ratio, x), where(fits, 1.0, y)
    near = abs(ratio - 1.0) < 0.25
    logarithm = where(fits, where(near, log1p((x - y) / y), log(u)), log(u) - log(v))
    positive = (x > 0.0) & (y > 0.0)
    edge = where(x.equals(0.0) & (y >= 0.0), x.constant(0.0), _INF)
    result = where(positive, x * logarithm, edge)
    return where(x.is_nan() | y.is_nan(), math.nan, result)


def kl_div(x: Real, y: Real) -> Real:
    """x·log(x/y) - x + y for positive x and y, y at x = 0 ≤ y, else ∞; the error is in ulps of the largest term."""
    positive = (x > 0.0) & (y > 0.0)
    edge = where(x.equals(0.0) & (y >= 0.0), y, _INF)
    result = where(positive, (rel_entr(x, y) - x) + y, edge)
    return where(x.is_nan() | y.is_nan(), math.nan, result)
