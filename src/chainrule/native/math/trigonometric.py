"""Trigonometric functions and their inverses: sin, cos, tan, arcsin, arccos, arctan, arctan2."""

from __future__ import annotations

import math

from chainrule.native.math.angles import HALF_PI, reduce_angle
from chainrule.native.math.coefficients import ARCSIN, ARCTAN, COS, SIN
from chainrule.native.math.lanes import Real, Whole, fma, polynomial, where

_TAN_PI_8 = math.sqrt(2) - 1


def sine_and_cosine(r: Real, t: Real) -> tuple[Real, Real]:
    """sin(r + t) and cos(r + t), |r| ≤ π/4, t small beside r."""
    z = r * r
    sine = r + fma(r * z, polynomial(z, SIN[r.format.name]), t)
    half = z * 0.5
    one = 1.0 - half
    rest = (1.0 - one) - half  # what the subtraction lost
    cosine = one + (rest + fma(z * z, polynomial(z, COS[r.format.name]), -(r * t)))
    return sine, cosine


def _turned(x: Real, n: Whole, sine: Real, cosine: Real) -> Real:
    """sin(n·π/2 + a) from the sine and cosine of a."""
    value = where((n & 1).equals(0), sine, cosine)
    return (value.bits() ^ ((n & 2) << (x.format.bits - 2))).real()


def sin(x: Real) -> Real:
    """sin x for every finite x; NaN for ±∞."""
    n, r, t = reduce_angle(x)
    result = _turned(x, n, *sine_and_cosine(r, t))
    return _small_as_is(x, result)


def cos(x: Real) -> Real:
    """cos x = sin(x + π/2)."""
    n, r, t = reduce_angle(x)
    return _turned(x, n + 1, *sine_and_cosine(r, t))


def tan(x: Real) -> Real:
    """tan x = sin x / cos x, or -cos/sin of the rest in the odd quarters."""
    n, r, t = reduce_angle(x)
    sine, cosine = sine_and_cosine(r, t)
    even = (n & 1).equals(0)
    return _small_as_is(x, where(even, sine, -cosine) / where(even, cosine, sine))


def _small_as_is(x: Real, result: Real) -> Real:
    """x where x³ is lost beside it (and -0 stays -0)."""
    return where(abs(x) < 2.0 ** -(x.format.fraction // 2 + 2), x, result)


def arctan(x: Real) -> Real:
    """arctan x; in three pieces, arctan x = base + arctan q with base 0, π/4, π/2."""
    magnitude = abs(x)
    far, middle = magnitude > 1 / _TAN_PI_8, magnitude > _TAN_PI_8
    numerator = where(far, -1.0, where(middle, magnitude - 1.0, magnitude))
    denominator = where(far, magnitude, where(middle, magnitude + 1.0, 1.0))
    eighths = where(far, 2.0, where(middle, x.constant(1.0), 0.0))
    return _eighths_plus_arctan(eighths, numerator / denominator).with_sign_of(x)


def _eighths_plus_arctan(eighths: Real, q: Real) -> Real:
    """eighths·π/4 + arctan q for |q| ≤ tan π/8."""
    high, low, _ = HALF_PI[q.format.name]
    base = eighths * (high / 2)
    base_rest = fma(eighths, low / 2, fma(eighths, high / 2, -base))
    z = q * q
    return base + (q + fma(q * z, polynomial(z, ARCTAN[q.format.name]), base_rest))


def arctan2(y: Real, x: Real) -> Real:
    """The angle of the point (x, y), -π … π; signed zeros and infinities as in C99.

    With q = tan of the angle within its octant, the angle is a multiple of π/4 plus or minus arctan q.
    """
    # the sum below must not overflow, nor the comparison lose bits
    size = abs(x).at_least(abs(y))
    enlarged = where(size < 2.0 ** (x.format.fraction + 4 - x.format.bias), x.constant(2.0**x.format.fraction), 1.0)
    scale = where(size > 2.0 ** (x.format.bias - 2), 0.25, enlarged)
    across, up = abs(x) * scale, abs(y) * scale
    steep = across < up
    smaller, larger = where(steep, across, up), where(steep, up, across)
    zero = larger.equals(0.0)
    diagonal = smaller.equals(larger)  # also of two infinities
    middle = smaller > larger * _TAN_PI_8
    numerator = where(diagonal, 0.0, where(middle, smaller - larger, smaller))
    denominator = where(diagonal, 1.0, where(middle, smaller + larger, larger))
    q = numerator / denominator
    eighths = where((diagonal | middle) & ~zero, x.constant(1.0), 0.0)
    # mirrored at the diagonal, then at the vertical axis
    left = x.bits() < 0
    eighths = where(steep, 2.0 - eighths, eighths)
    eighths = where(left, 4.0 - eighths, eighths)
    q = where(steep ^ left, -q, q)
    return _eighths_plus_arctan(eighths, q).with_sign_of(y)


def arcsin(x: Real) -> Real:
    """arcsin x; beyond ½, π/2 - 2·arcsin √((1 - |x|)/2). NaN outside -1 … 1."""
    magnitude = abs(x)
    high, low, _ = HALF_PI[x.format.name]
    far = magnitude > 0.5
    z = where(far, fma(magnitude, -0.5, 0.5), x * x)
    a = where(far, z.sqrt(), magnitude)
    rest = a * z * polynomial(z, ARCSIN[x.format.name])
    return where(far, high - (2.0 * a + fma(rest, 2.0, -low)), a + rest).with_sign_of(x)


def arccos(x: Real) -> Real:
    """arccos x = 2·arcsin √((1 - x)/2) for x > ½, π - 2·arcsin √((1 + x)/2) for x < -½, π/2 - arcsin x between."""
    magnitude = abs(x)
    high, low, _ = HALF_PI[x.format.name]
    far = magnitude > 0.5
    z = where(far, fma(magnitude, -0.5, 0.5), x * x)
    a = where(far, z.sqrt(), x)
    rest = a * z * polynomial(z, ARCSIN[x.format.name])
    right = 2.0 * (a + rest)
    left = 2.0 * (high - (a + (rest - low)))
    return where(far, where(x < 0.0, left, right), high - (a + (rest - low)))
