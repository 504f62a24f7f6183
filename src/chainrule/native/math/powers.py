"""Powers and roots: power, sqrt, cbrt, hypot."""

from __future__ import annotations

import math

from chainrule.native.math.coefficients import CBRT_START, LOG_ATANH_REST
from chainrule.native.math.exponential import exp_clamped, exp_range
from chainrule.native.math.lanes import FLOAT32, Real, fast_two_sum, fma, polynomial, where
from chainrule.native.math.logarithm import assemble, decompose

_INF = math.inf
# ln 2 and 2/3 in two parts; the first of ln 2 has 42 bits, so that k times it is exact
_LN2 = (0.6931471805598903, 5.497923018708371e-14)
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def log_in_two_parts(x: Real) -> tuple[Real, Real]:
    """(h, l) with h + l = log x to some 2⁻⁶⁶ of it, for positive finite float64 x.

    With s = f/(2+f): log(1+f) = 2s + s·(⅔s² + s⁴P(s²)); all but the last term is carried in two parts.
    """
    k, f = decompose(x)
    d, d_rest = fast_two_sum(f.constant(2.0), f)
    inverse = 1.0 / d
    s = f * inverse
    s_rest = (fma(-s, d, f) - s * d_rest) * inverse
    z = s * s
    z_rest = fma(s, s, -z) + 2.0 * s * s_rest
    higher = z * z * polynomial(z, LOG_ATANH_REST["float64"])
    w = z * _TWO_THIRDS[0]
    w_rest = fma(z, _TWO_THIRDS[0], -w) + fma(z, _TWO_THIRDS[1], z_rest * _TWO_THIRDS[0]) + higher
    w, w_rest = fast_two_sum(w, w_rest)
    p = s * w
    p_rest = fma(s, w, -p) + fma(s, w_rest, s_rest * w)
    h, h_rest = fast_two_sum(2.0 * s, p)
    total, rest = fast_two_sum(k * _LN2[0], h)
    return fast_two_sum(total, rest + (h_rest + fma(k, _LN2[1], fma(s_rest, 2.0, p_rest))))


def power(x: Real, y: Real) -> Real:
    """xʸ = exp(y·log|x|) with the sign of an odd power; special cases as C99's ``pow``."""
    if x.format is FLOAT32:
        return _power(x.widen(), y.widen(), exact=False).narrow()
    return _power(x, y, exact=True)


def _power(x: Real, y: Real, exact: bool) -> Real:
    a, size = abs(x), abs(y)
    product, tail = _exponent(a, y, exact)
    low, high = exp_range(x.format)
    if tail is not None:
        tail = where((product > low) & (product < high), tail, 0.0)
    result = exp_clamped(product.at_least(low).at_most(high), tail)
    # the parity of y is its lowest bit where its unit in the last place is 1
    unit = 2.0**x.format.fraction
    aligned = where(size < unit, size + unit, size)
    whole = (size >= unit) | (aligned - unit).equals(size)
    odd = whole & (size < 2.0 * unit) & (aligned.bits() & 1).equals(1)
    negative = x.bits() < 0
    result = where(negative & odd, -result, result)
    result = where((x < 0.0) & (x > -_INF) & (size < _INF) & ~whole, math.nan, result)
    return where(y.equals(0.0) | x.equals(1.0) | (x.equals(-1.0) & size.equals(_INF)), 1.0, result)


def _exponent(a: Real, y: Real, exact: bool) -> tuple[Real, Real | None]:
    """y·log a, with its rounding error if ``exact``; log 0 = -∞, log ∞ = ∞."""
    log_a, rest = log_in_two_parts(a) if exact else (assemble(*decompose(a)), None)
    log_a = where(a < _INF, where(a.equals(0.0), -_INF, log_a), a)
    product = y * log_a
    return product, None if rest is None else fma(y, log_a, -product) + y * rest


def sqrt(x: Real) -> Real:
    """√x, correctly rounded."""
    return x.sqrt()


def cbrt(x: Real) -> Real:
    """∛x: a polynomial start, Halley's iteration, and a third of the exponent."""
    a = abs(x)
    k, f = decompose(a)
    magic = x.format.magic + x.format.bias
    shifted = fma(k, 1 / 3, magic)
    third = shifted - magic
    # a·2^(-3·third) lies between √½/2 and 2√2
    rest = fma(third, -3.0, k) + magic
    m = (f + 1.0) * (rest.bits() << x.format.fraction).real()
    t = polynomial(m, CBRT_START[x.format.name])
    for _ in range(1 if x.format is FLOAT32 else 2):
        cube = t * t * t
        t = fma(t, (m - cube) / (cube + cube + m), t)
    result = t * (shifted.bits() << x.format.fraction).real()
    return where((a > 0.0) & (a < _INF), result, a).with_sign_of(x)


def hypot(x: Real, y: Real) -> Real:
    """√(x² + y²) without overflow or underflow on the way; ∞ if either is infinite, even beside NaN."""
    a, b = abs(x), abs(y)
    smaller, larger = where(a < b, a, b), where(a < b, b, a)
    ratio = smaller / where(larger.equals(0.0), 1.0, larger)
    result = larger * fma(ratio, ratio, 1.0).sqrt()
    return where(a.equals(_INF) | b.equals(_INF), _INF, result)
