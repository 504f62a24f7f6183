"""Positive parameters from unbounded raw outputs: softplus, and precisions with an explicit relative floor."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Smallest precision, relative to the (standardised) target's own, which is 1: no component is wider than 1 000
#: standard deviations of the target, and log precision stays finite however negative the raw output.
PRECISION_FLOOR = 1e-6
#: Precision is measured in this unit, so that a target known to a tenth of its standard deviation has a raw output of
#: order one. Below it log precision is nearly linear in the raw output (quick to learn), above it precision is (no
#: overflow: a raw output of 1e4 means a standard deviation of a thousandth of the target's).
PRECISION_UNIT = 100.0


def softplus(x: Any) -> Any:
    """log(1 + exp x), without overflow. Traceable."""
    return np.logaddexp(x, 0.0)


def inverse_softplus(y: Any) -> Any:
    """x with softplus(x) = y, for y > 0."""
    return y + np.log(-np.expm1(-y))


def precision(raw: Any) -> Any:
    """Precision 1/σ² of a raw output, in units of the standardised target. Traceable."""
    return PRECISION_UNIT * softplus(raw) + PRECISION_FLOOR


def raw_of_variance(variance: Any) -> Any:
    """The raw output whose precision is 1/variance (or as near as the floor allows)."""
    excess = np.maximum(1.0 / np.maximum(variance, 1e-12) - PRECISION_FLOOR, PRECISION_FLOOR)
    return inverse_softplus(excess / PRECISION_UNIT)
