"""Exponential functions: exp, exp2, expm1, sigmoid.

All rest on exp(x) = 2ⁿ·exp(r) with n an integer and |r| small (Cody & Waite 1980, ch. 6). The product n·ln 2 is
subtracted in two fused steps, so r carries one rounding only. 2ⁿ is made from bits: adding
``magic + bias`` rounds to an integer *and* leaves n + bias in the low bits; a left shift turns it into 2ⁿ.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import EXP, EXP2, EXPM1
from chainrule.native.math.lanes import Format, Real, fma, polynomial, where

# ln 2 = high + low; the fused multiply-add makes n·high exact in the subtraction, whatever the digits of high
LN2 = {
    "float32": (0.693147182464599609375, -1.904654323148236017e-09),
    "float64": (0.6931471805599453094, 2.319046813846299558e-17),
}


def exp(x: Real) -> Real:
    """eˣ. Overflows to ∞; results below the normal range are rounded once, to the nearest subnormal."""
    low, high = exp_range(x.format)
    return exp_clamped(x.at_least(low).at_most(high))


def exp_range(format_: Format) -> tuple[float, float]:
    """Beyond these arguments eˣ is certainly 0 or ∞."""
    return -(format_.bias + format_.fraction + 3) * math.log(2), (format_.bias + 2) * math.log(2)


def exp_clamped(x: Real, tail: Real | None = None) -> Real:
    """exp(x + tail) for x within the range of :func:`exp_range`, or NaN; |tail| is at most an ulp of x or so.

    2ⁿ is multiplied in as two factors that are normal numbers even where the result is not: only the second
    multiplication can round.
    """
    format_ = x.format
    magic = format_.magic + 2 * format_.bias
    shifted = fma(x, 1 / math.log(2), magic)
    r = _remainder(x, shifted - magic)
    if tail is not None:
        r = r + tail
    return _times_power(fma(fma(r, polynomial(r, EXP[format_.name]), 1.0), r, 1.0), shifted)


def _times_power(p: Real, shifted: Real) -> Real:
    """p·2ⁿ, where n + 2·bias is in the low bits."""
    exponents = shifted.bits()
    half = exponents >> 1
    return p * (half << p.format.fraction).real() * ((exponents - half) << p.format.fraction).real()


def exp2(x: Real) -> Real:
    """2ˣ, exact for integers."""
    format_ = x.format
    x = x.at_least(-(format_.bias + format_.fraction + 3)).at_most(format_.bias + 2)
    magic = format_.magic + 2 * format_.bias
    shifted = x + magic
    r = x - (shifted - magic)
    return _times_power(fma(r, polynomial(r, EXP2[format_.name]), 1.0), shifted)


def _remainder(x: Real, n: Real) -> Real:
    """x - n·ln 2."""
    high, low = LN2[x.format.name]
    return fma(n, -low, fma(n, -high, x))


def expm1_parts(x: Real, offset: int = 0) -> tuple[Real, Real]:
    """(m, s) with eˣ = (1 + m)·2ⁿ, |m| ≤ 0.42 and s = 2^(n + offset), which must be a normal number."""
    format_ = x.format
    magic = format_.magic + (format_.bias + offset)
    shifted = fma(x, 1 / math.log(2), magic)
    r = _remainder(x, shifted - magic)
    return fma(r * r, polynomial(r, EXPM1[format_.name]), r), (shifted.bits() << format_.fraction).real()


def expm1(x: Real) -> Real:
    """eˣ - 1, accurate near 0. Where x is so small that eˣ - 1 rounds to x, x itself (-0 stays -0)."""
    fraction = x.format.fraction
    clamped = x.at_least(-(fraction + 3) * math.log(2)).at_most((x.format.bias + 1.2) * math.log(2))
    m, half_power = expm1_parts(clamped, offset=-1)  # 2ⁿ itself may overflow where eˣ does not
    result = fma(m, half_power, half_power - 0.5) * 2.0
    return where(abs(x) < 2.0 ** -(fraction + 2), x, result)


def sigmoid(x: Real) -> Real:
    """1 / (1 + e⁻ˣ), for negative x as eˣ / (1 + eˣ), which neither overflows nor cancels."""
    e = exp_clamped((-abs(x)).at_least(exp_range(x.format)[0]))
    numerator = where(x < 0.0, e, 1.0)
    quotient = numerator / (e + 1.0)
    # one Newton step takes back what the sum and the division lost; 0.957 - e/2 is 1/(1+e) within 7 %
    missing = fma(-quotient, e, numerator - quotient)
    return fma(missing, fma(e, -0.5, 0.957), quotient)
