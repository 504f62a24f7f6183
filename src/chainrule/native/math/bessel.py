"""Modified Bessel functions of the first kind: i0, i1, and i0e, i1e, which are times exp(-|x|).

Up to 12 the power series in x²/4, as a minimax polynomial; beyond it √x·exp(-x)·I(x) is a polynomial in 1/x
(Abramowitz & Stegun 9.6.10, 9.7.1). float32 is computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.native.math.coefficients import I0_FAR, I0_NEAR, I1_FAR, I1_NEAR
from chainrule.native.math.exponential import exp
from chainrule.native.math.lanes import Real, in_float64, polynomial, where

_FAR = 12.0


def _near(magnitude: Real, coefficients: Sequence[float]) -> Real:
    bounded = magnitude.at_most(_FAR)
    return polynomial(bounded * bounded * 0.25, coefficients)


def _far_times_root(magnitude: Real, coefficients: Sequence[float]) -> Real:
    bounded = magnitude.at_least(_FAR)
    return polynomial(1.0 / bounded, coefficients) / bounded.sqrt()


def _scaled(magnitude: Real, near: Real, far: Real) -> Real:
    """exp(-|x|)·I(x)."""
    return where(magnitude < _FAR, near * exp(-magnitude), far)


def _unscaled(magnitude: Real, near: Real, far: Real) -> Real:
    """I(x), which is finite where exp|x| is not any more."""
    root = exp(magnitude * 0.5)
    product = where(magnitude < float("inf"), far * root * root, magnitude)
    return where(magnitude < _FAR, near, product)


@in_float64
def i0e(x: Real) -> Real:
    """exp(-|x|)·I₀(x)."""
    magnitude = abs(x)
    return _scaled(magnitude, _near(magnitude, I0_NEAR["float64"]), _far_times_root(magnitude, I0_FAR["float64"]))


@in_float64
def i0(x: Real) -> Real:
    """I₀(x)."""
    magnitude = abs(x)
    return _unscaled(magnitude, _near(magnitude, I0_NEAR["float64"]), _far_times_root(magnitude, I0_FAR["float64"]))


@in_float64
def i1e(x: Real) -> Real:
    """exp(-|x|)·I₁(x)."""
    magnitude = abs(x)
    near = magnitude * 0.5 * _near(magnitude, I1_NEAR["float64"])
    return _scaled(magnitude, near, _far_times_root(magnitude, I1_FAR["float64"])).with_sign_of(x)


@in_float64
def i1(x: Real) -> Real:
    """I₁(x)."""
    magnitude = abs(x)
    near = magnitude * 0.5 * _near(magnitude, I1_NEAR["float64"])
    return _unscaled(magnitude, near, _far_times_root(magnitude, I1_FAR["float64"])).with_sign_of(x)
