"""Squares that must not overflow or underflow: second moments in units of the largest part."""

from __future__ import annotations

from typing import Any

import numpy as np

#: beyond so many standard deviations the normal density is zero in float64
_FARTHEST = 40.0


def square(x: Any) -> Any:
    """x², infinite where it is too large for float64: then infinity is the right answer and no reason to warn."""
    with np.errstate(over="ignore"):
        return np.square(x)


def standardised(y: Any, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(y - loc) / scale; infinite, without a warning, where that is too large for float64."""
    with np.errstate(over="ignore"):
        return (np.asarray(y, np.float64) - loc) / scale


def root_mean_square(parts: np.ndarray, weights: Any) -> np.ndarray:
    """√(Σ w x²) over the last axis, finite wherever the result is (as ``hypot`` is, of two parts).

    Parameters
    ----------
    parts : array of shape (..., k)
    weights : array that broadcasts against it
        Non-negative.
    """
    unit = np.max(np.abs(parts), axis=-1, keepdims=True)
    unit = np.where((unit > 0.0) & np.isfinite(unit), unit, 1.0)
    return unit[..., 0] * np.sqrt(np.sum(weights * np.square(parts / unit), axis=-1))


def bell(z: np.ndarray) -> np.ndarray:
    """exp(-z²/2), zero far out without a square that overflows."""
    return np.exp(-0.5 * np.square(np.clip(z, -_FARTHEST, _FARTHEST)))
