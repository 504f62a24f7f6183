"""The gamma function's family: gammaln, gamma, psi (digamma), betaln.

Below 5 the recurrence Γ(x+1) = x·Γ(x) leads to an interval of length 1 with a polynomial; from 5 on Stirling's series
does (Abramowitz & Stegun 6.1.40, 6.3.18), its tail a minimax polynomial in 1/x². Negative arguments are reflected
(6.1.17, 6.3.7). float32 is computed in float64 and rounded once.
"""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import GAMMA_NEAR, LGAMMA_NEAR, LGAMMA_STIRLING, PSI_NEAR, PSI_STIRLING
from chainrule.native.math.exponential import LN2, exp_clamped, exp_range
from chainrule.native.math.lanes import Mask, Real, Whole, fast_two_sum, fma, in_float64, polynomial, two_sum, where
from chainrule.native.math.logarithm import log, log1p
from chainrule.native.math.powers import log_in_two_parts
from chainrule.native.math.trigonometric import sine_and_cosine

_INF = math.inf
_STIRLING_FROM = 5.0
_HALF_LOG_2PI = (0.9189385332046728, -3.8782941580672414e-17)
_PSI_ROOT = (1.4616321449683622, 9.549995429965697e-17)
_PI = math.pi


def _sin_pi(y: Real) -> tuple[Real, Real, Whole]:
    """sin(πy) and cos(πy), y ≥ 0, up to their common sign (-1)ⁿ; n is in the lowest bit of the third.

    From 2^52 on every number is an integer; there the sine is 0 and n of no use.
    """
    unit = 2.0**52
    shifted = y.at_most(unit) + unit
    r = where(y < unit, y - (shifted - unit), 0.0)
    inner = abs(r) <= 0.25
    angle = where(inner, r, 0.5 - abs(r)) * _PI
    sine, cosine = sine_and_cosine(angle, angle.constant(0.0))
    return where(inner, sine, cosine).with_sign_of(r), where(inner, cosine, sine), shifted.bits()


@in_float64
def gammaln(x: Real) -> Real:
    """log|Γ(x)|; ∞ at 0 and the negative integers. Near its negative roots the error is absolute, some 1e-16·x."""
    negative = x < 0.0
    result = _gammaln_positive(where(negative, 1.0 - x, x))
    # log|Γ(-y)| = -log(|sin πy|/π) - log Γ(1+y)
    sine, _, _ = _sin_pi(abs(x))
    reflected = where(sine.equals(0.0), _INF, -(log(abs(sine) * (1 / _PI)) + result))
    result = where(negative, reflected, result)
    return where(x.equals(-_INF), x, result)  # as SciPy; C has ∞


def _gammaln_positive(x: Real) -> Real:
    far = x >= _STIRLING_FROM
    # x - m lies in [1.5, 2.5]; for smaller x in [2, 2.5]
    m = ((x - 2.0).at_least(-2.0).at_most(3.0) + x.format.magic) - x.format.magic
    factor = where(m < -1.5, x * (x + 1.0), where(m < -0.5, x, x.constant(1.0)))
    for i in (1, 2, 3):
        factor = where(m > i - 0.5, factor * (x - float(i)), factor)
    u = x - (m + 2.0)
    logarithm = log(where(far, x, factor))
    near = fma(u, polynomial(u, LGAMMA_NEAR["float64"]), where(m < 0.0, -logarithm, logarithm))
    stirling = fma(x - 0.5, logarithm - 1.0, _stirling_rest(x) + (_HALF_LOG_2PI[0] - 0.5))
    return where(far, stirling, near)


@in_float64
def psi(x: Real) -> Real:
    """The digamma function Γ'(x)/Γ(x); ∓∞ at ±0, NaN at the negative integers."""
    negative = x < 0.0
    result = _psi_positive(where(negative, 1.0 - x, x))
    # ψ(-y) = ψ(1+y) + π·cot(πy)
    sine, cosine, _ = _sin_pi(abs(x))
    result = where(negative, fma(cosine / sine, _PI, result), result)
    at_poles = where(x.equals(0.0), x.constant(-_INF).with_sign_of(-x), math.nan)
    return where(x.equals(0.0) | (negative & sine.equals(0.0)), at_poles, result)


def _psi_positive(x: Real) -> Real:
    far = x >= _STIRLING_FROM
    z = where(x < 1.0, x + 1.0, x)
    # Σ 1/(z-i) over the steps down to [1, 2), as one fraction
    numerator, denominator, base = where(x < 1.0, -1.0, x.constant(0.0)), where(x < 1.0, x, 1.0), z
    for i in (1, 2, 3):
        step = z >= i + 1.0
        term = z - float(i)
        numerator = where(step, fma(numerator, term, denominator), numerator)
        denominator = where(step, denominator * term, denominator)
        base = where(step, term, base)
    p = polynomial(base - 1.5, PSI_NEAR["float64"])
    near = fma((base - _PSI_ROOT[0]) - _PSI_ROOT[1], p, numerator / denominator)
    inverse = 1.0 / x
    square = inverse * inverse
    series = fma(inverse, -0.5, -(square * polynomial(square, PSI_STIRLING["float64"])))
    return where(far, log(x) + series, near)


@in_float64
def gamma(x: Real) -> Real:
    """Γ(x); ±∞ at ±0, NaN at the negative integers and -∞.

    From 5 on the exponent of Stirling's formula is carried in two parts.
    """
    negative = x < 0.0
    # Γ(-y) = -π/(sin πy · Γ(1+y)); what 1 + y loses comes back through Γ(z+δ) = Γ(z)·(1 + ψ(z)·δ)
    y = abs(x)
    z, rest = two_sum(y.constant(1.0), y)
    z = where(negative, z, x)
    rest = where(negative & (y < _INF), rest, 0.0)
    inverse = 1.0 / z
    bounded = z.at_least(1.0).at_most(1e3)
    log_z, log_rest = log_in_two_parts(bounded)
    correction = rest * fma(inverse, -0.5, log_z)

    far = z >= _STIRLING_FROM
    stirling = _exp_of_stirling(bounded, log_z, log_rest, correction, negative)
    near = _gamma_near(z)
    near = where(negative, 1.0 / fma(near, correction, near), near)
    result = where(far, stirling, near)
    sine, _, parity = _sin_pi(y)
    minus_sine = (sine.bits() ^ (((parity & 1) ^ 1) << 63)).real()
    result = where(negative, result * (_PI / minus_sine) * where(far, 2.0**-64, x.constant(1.0)), result)
    pole = negative & sine.equals(0.0)
    return where(pole, math.nan, where(x.equals(_INF), _INF, result))


def _exp_of_stirling(z: Real, log_z: Real, log_rest: Real, correction: Real, reciprocal: Mask) -> Real:
    """Γ(z)·(1 + correction), or 2^64 by that, for 5 ≤ z ≤ 1000 and log z in two parts."""
    a = z - 0.5
    product = a * log_z
    product_rest = fma(a, log_z, -product) + a * log_rest
    total, total_rest = fast_two_sum(product, -z)
    high, rest = two_sum(total, _HALF_LOG_2PI[0])
    rest = rest + ((total_rest + product_rest) + (_HALF_LOG_2PI[1] + (_stirling_rest(z) + correction)))
    log_two_64, log_two_64_rest = (64 * part for part in LN2["float64"])
    high, shift_rest = two_sum(where(reciprocal, -high, high), where(reciprocal, log_two_64, high.constant(0.0)))
    rest = where(reciprocal, log_two_64_rest - rest, rest) + shift_rest
    high, rest = fast_two_sum(high, rest)
    low_end, high_end = exp_range(z.format)
    inside = (high > low_end) & (high < high_end)
    return exp_clamped(high.at_least(low_end).at_most(high_end), where(inside, rest, 0.0))


def _gamma_near(z: Real) -> Real:
    """Γ(z) for 0 ≤ z < 5 through Γ on [2, 3]."""
    below_one, below_two = z < 1.0, z < 2.0
    three, four = z >= 3.0, z >= 4.0
    base = where(below_one, z + 2.0, where(below_two, z + 1.0, where(four, z - 2.0, where(three, z - 1.0, z))))
    factor = where(four, (z - 1.0) * (z - 2.0), where(three, z - 1.0, z.constant(1.0)))
    divisor = where(below_one, z * (z + 1.0), where(below_two, z, z.constant(1.0)))
    return polynomial(base - 2.5, GAMMA_NEAR["float64"]) * factor / divisor


@in_float64
def betaln(a: Real, b: Real) -> Real:
    """log|B(a, b)| = log|Γ(a)| + log|Γ(b)| - log|Γ(a+b)|; the error is in ulps of the largest of 1 and the three.

    ∞ where a or b is 0 or a negative integer (SciPy is finite at some of them).

    Where the larger argument is at least 5, the Stirling terms that cancel are left out (Didonato & Morris, ACM TOMS
    18 (1992) 360): log Γ(a) - log Γ(a+b) = b - b·log(a+b) - (a-½)·log1p(b/a) + δ(a) - δ(a+b).
    """
    larger, smaller = where(a < b, b, a), where(a < b, a, b)
    total = larger + smaller
    first, second = gammaln(larger), gammaln(smaller)
    direct = where(first.equals(_INF) | second.equals(_INF), _INF, (first + second) - gammaln(total))
    difference = _stirling_rest(larger) - _stirling_rest(total)
    ratio = smaller / larger
    shared = second + fma(smaller, 1.0 - log(total), difference - (larger - 0.5) * log1p(ratio))
    # both large: the same with log Γ(b) written out, so that its own large terms cancel
    both = fma(
        smaller,
        log(smaller / total),
        (_stirling_rest(smaller) + difference) + (_HALF_LOG_2PI[0] - 0.5 * log(smaller)),
    ) - (larger - 0.5) * log1p(ratio)
    stirling = where(smaller < _STIRLING_FROM, shared, both)
    stirling = where(larger.equals(_INF), -_INF, stirling)
    return where((larger >= _STIRLING_FROM) & (smaller > 0.0), stirling, direct)


def _stirling_rest(x: Real) -> Real:
    """δ(x) = log Γ(x) - ((x-½)·log x - x + ½log 2π) for x ≥ 5."""
    inverse = 1.0 / x
    return inverse * polynomial(inverse * inverse, LGAMMA_STIRLING["float64"])
