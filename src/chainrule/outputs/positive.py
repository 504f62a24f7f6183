"""Positive parameters from unbounded raw outputs: softplus, and precisions with an explicit relative floor."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Smallest precision, relative to the (standardised) target's own, which is 1: no component is wider than 1 000
#: standard deviations of the target, and log precision stays finite however negative the raw output.
PRECISION_FLOOR = 1e-6


def softplus(x: Any) -> Any:
    """log(1 + exp x), without overflow. Traceable."""
    return np.logaddexp(x, 0.0)


def inverse_softplus(y: Any) -> Any:
    """x with softplus(x) = y, for y > 0."""
    return y + np.log(-np.expm1(-y))


def precision(raw: Any) -> Any:
    """Precision 1/σ² of a raw output, ``softplus(raw) + 1e-6`` in units of the standardised target. Traceable.

    It grows no faster than the raw output, so no raw output overflows, and one step of training cannot make a
    distribution so narrow that the next row outside it has an enormous gradient: on small tables this generalises
    better than a precision that is an exponential over the range of interest.
    """
    return softplus(raw) + PRECISION_FLOOR


def raw_of_variance(variance: Any) -> Any:
    """The raw output whose precision is 1/variance, for starting values: none below 1e-4 or above 1/(2 floors)."""
    excess = np.maximum(1.0 / np.maximum(variance, 1e-4) - PRECISION_FLOOR, PRECISION_FLOOR)
    return inverse_softplus(excess)
