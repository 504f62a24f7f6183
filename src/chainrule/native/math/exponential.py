"""Exponential functions: exp, expm1, tanh, sigmoid, sinh, cosh.

All rest on exp(x) = 2ⁿ·exp(r) with n an integer and |r| small (Cody & Waite 1980, ch. 6). The product n·ln 2 is
subtracted in two fused steps, so r carries one rounding only. 2ⁿ is made from bits: adding
``magic + bias`` rounds to an integer *and* leaves n + bias in the low bits; a left shift turns it into 2ⁿ.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import EXP, EXPM1, SINH
from chainrule.native.math.lanes import Format, Real, fma, polynomial, where

# ln 2 = high + low; the fused multiply-add makes n·high exact in the subtraction, whatever the digits of high
_LN2 = {
    "float32": (0.693147182464599609375, -1.904654323148236017e-09),
    "float64": (0.6931471805599453094, 2.319046813846299558e-17),
}


def exp(x: Real) -> Real:
    """eˣ. Overflows to ∞; results below the normal range are rounded once, to the nearest subnormal."""
    low, high = _exp_range(x.format)
    return exp_clamped(x.at_least(low).at_most(high))


def _exp_range(format_: Format) -> tuple[float, float]:
    """Beyond these arguments eˣ is certainly 0 or ∞."""
    return -(format_.bias + format_.fraction + 3) * math.log(2), (format_.bias + 2) * math.log(2)


def exp_clamped(x: Real, tail: Real | None = None) -> Real:
    """exp(x + tail) for x within the range of :func:`_exp_range`, or NaN; |tail| is at most an ulp of x or so.

    2ⁿ is multiplied in as two factors that are normal numbers even where the result is not: only the second
    multiplication can round.
    """
    format_ = x.format
    magic = format_.magic + 2 * format_.bias
    shifted = fma(x, 1 / math.log(2), magic)
    r = _remainder(x, shifted - magic)
    if tail is not None:
        r = r + tail
    p = fma(fma(r, polynomial(r, EXP[format_.name]), 1.0), r, 1.0)
    exponents = shifted.bits()
    half = exponents >> 1
    return p * (half << format_.fraction).real() * ((exponents - half) << format_.fraction).real()


def _remainder(x: Real, n: Real) -> Real:
    """x - n·ln 2."""
    high, low = _LN2[x.format.name]
    return fma(n, -low, fma(n, -high, x))


def _expm1_parts(x: Real, offset: int = 0) -> tuple[Real, Real]:
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
    m, half_power = _expm1_parts(clamped, offset=-1)  # 2ⁿ itself may overflow where eˣ does not
    result = fma(m, half_power, half_power - 0.5) * 2.0
    return where(abs(x) < 2.0 ** -(fraction + 2), x, result)


def tanh(x: Real) -> Real:
    """tanh x = E / (E + 2) with E = exp(2|x|) - 1, and the sign of x."""
    format_ = x.format
    doubled = abs(x) * 2.0
    m, power = _expm1_parts(doubled.at_most((format_.fraction + 4) * math.log(2)))
    e = fma(m, power, power - 1.0)
    quotient = e / (e + 2.0)
    # one Newton step takes back what the sum and the division lost, where E is small and that is most of the error;
    # there 0.47 - E/8 is near enough to 1/(E + 2)
    missing = fma(-quotient, e, fma(quotient, -2.0, e))
    return fma(missing, fma(e, -0.125, 0.47).at_least(0.0), quotient).with_sign_of(x)


def sigmoid(x: Real) -> Real:
    """1 / (1 + e⁻ˣ), for negative x as eˣ / (1 + eˣ), which neither overflows nor cancels."""
    e = exp_clamped((-abs(x)).at_least(_exp_range(x.format)[0]))
    numerator = where(x < 0.0, e, 1.0)
    quotient = numerator / (e + 1.0)
    # one Newton step takes back what the sum and the division lost; 0.957 - e/2 is 1/(1+e) within 7 %
    missing = fma(-quotient, e, numerator - quotient)
    return fma(missing, fma(e, -0.5, 0.957), quotient)


def _half_exp(magnitude: Real) -> Real:
    """e^|x| / 2, which is finite for larger x than e^|x| is."""
    m, quarter_power = _expm1_parts(magnitude.at_most((magnitude.format.bias + 2.2) * math.log(2)), offset=-2)
    return fma(m, quarter_power, quarter_power) * 2.0


def sinh(x: Real) -> Real:
    """sinh x: x + x³P(x²) for |x| < 1, (eˣ - e⁻ˣ)/2 beyond."""
    magnitude = abs(x)
    square = x * x
    near = fma(magnitude * square, polynomial(square, SINH[x.format.name]), magnitude)
    half = _half_exp(magnitude)
    return where(magnitude < 1.0, near, half - 0.25 / half).with_sign_of(x)


def cosh(x: Real) -> Real:
    """cosh x = (eˣ + e⁻ˣ)/2."""
    half = _half_exp(abs(x))
    return half + 0.25 / half
