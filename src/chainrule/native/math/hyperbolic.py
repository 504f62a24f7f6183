"""Hyperbolic functions and their inverses: sinh, cosh, tanh, arcsinh, arccosh, arctanh; tanh of a logarithm."""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import SINH
from chainrule.native.math.exponential import expm1_parts
from chainrule.native.math.lanes import Mask, Real, fma, polynomial, where
from chainrule.native.math.logarithm import log1p


def tanh(x: Real) -> Real:
    """tanh x = E / (E + 2) with E = exp(2|x|) - 1, and the sign of x."""
    format_ = x.format
    doubled = abs(x) * 2.0
    m, power = expm1_parts(doubled.at_most((format_.fraction + 4) * math.log(2)))
    e = fma(m, power, power - 1.0)
    quotient = e / (e + 2.0)
    # one Newton step takes back what the sum and the division lost, where E is small and that is most of the error;
    # there 0.47 - E/8 is near enough to 1/(E + 2)
    missing = fma(-quotient, e, fma(quotient, -2.0, e))
    return fma(missing, fma(e, -0.125, 0.47).at_least(0.0), quotient).with_sign_of(x)


def tanh_log1p(x: Real) -> Real:
    """tanh(log(1 + x)) = n / (n + 2) with n = (1 + x)² - 1 = x² + 2x; NaN below -1, where the logarithm is.

    Nothing cancels, so the two transcendental functions cost one division. Beyond the clamp it is 1 to the last bit.
    """
    b = x.at_most(2.0 ** (x.format.fraction // 2 + 3))
    n = fma(b, b, b + b)
    return where(x < -1.0, math.nan, (n / (n + 2.0)).with_sign_of(x))


def _half_exp(magnitude: Real) -> Real:
    """e^|x| / 2, which is finite for larger x than e^|x| is."""
    bounded = magnitude.at_most((magnitude.format.bias + 2.2) * math.log(2))
    m, quarter_power = expm1_parts(bounded, offset=-2)
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


def arcsinh(x: Real) -> Real:
    """arcsinh x = log(|x| + √(x² + 1)) = log1p(|x| + x²/(1 + √(x² + 1))), and the sign of x."""
    magnitude = abs(x)
    far = magnitude > 2.0 ** (x.format.fraction + 2)
    square = where(far, 1.0, x * x)
    near_argument = magnitude + square / ((square + 1.0).sqrt() + 1.0)
    return _plus_ln2_where(far, log1p(where(far, magnitude, near_argument))).with_sign_of(x)


def arccosh(x: Real) -> Real:
    """arccosh x = log(x + √(x² - 1)) = log1p(t + √(2t + t²)), t = x - 1; NaN below 1."""
    far = x > 2.0 ** (x.format.fraction + 2)
    t = x - 1.0
    bounded = where(far, 1.0, t)
    near_argument = bounded + fma(bounded, bounded, bounded * 2.0).sqrt()
    return _plus_ln2_where(far, log1p(where(x < 1.0, math.nan, where(far, t, near_argument))))


def _plus_ln2_where(far: Mask, logarithm: Real) -> Real:
    return where(far, logarithm + math.log(2), logarithm)


def arctanh(x: Real) -> Real:
    """arctanh x = log1p(2|x|/(1 - |x|))/2, and the sign of x; NaN outside -1 … 1."""
    magnitude = abs(x)
    return (log1p(2.0 * magnitude / (1.0 - magnitude)) * 0.5).with_sign_of(x)
