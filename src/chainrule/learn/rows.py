"""Encoded rows: what a network is trained and evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: weights beyond this, or its reciprocal, are scaled before they are added up
_EXTREME = 1e100


@dataclass(frozen=True)
class Rows:
    """Encoded rows: what a network is trained and evaluated on.

    Parameters
    ----------
    x : array of shape (n_rows, n_inputs)
    y : array of shape (n_rows, n_targets)
        Standardised values, or class codes.
    w : array of shape (n_rows,)
        Row weights.
    """

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray

    @classmethod
    def of(cls, x: Any, y: Any, w: Any = None, dtype: Any = np.float32) -> Rows:
        """Rows in memory order and dtype for training; rows of weight zero are left out, as if absent.

        Weights are scaled to mean 1, so that a batch's objective estimates the weighted mean over all rows.
        """
        with np.errstate(over="ignore"):  # what does not fit is infinite, and training says where
            x = np.ascontiguousarray(x, dtype)
            y = np.asarray(y)
            y = np.ascontiguousarray(y.reshape(len(x), -1), dtype)
        w = np.ones(len(x)) if w is None else np.asarray(w, np.float64)
        if not (w > 0).all():
            keep = w > 0
            x, y, w = x[keep], y[keep], w[keep]
        if len(w):
            w = moderate(w)
            w = w / w.mean()
        return cls(x, y, np.ascontiguousarray(w, dtype))

    def take(self, places: np.ndarray) -> Rows:
        """Some of the rows, their weights scaled to mean 1 again."""
        return Rows.of(self.x[places], self.y[places], self.w[places], self.x.dtype)

    def __len__(self) -> int:
        return len(self.x)


def same_rows(one: Rows | None, other: Rows | None) -> bool:
    """Whether two are the same numbers of the same dtype, or both absent."""
    if one is None or other is None:
        return one is other
    pairs = ((one.x, other.x), (one.y, other.y), (one.w, other.w))
    return all(a is b or (a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)) for a, b in pairs)


def moderate(weights: np.ndarray) -> np.ndarray:
    """Weights in the same proportions, so that sums of them stay finite; ordinary ones as they are.

    Extreme ones are divided by a power of two, which rounds nothing.
    """
    largest = float(weights.max(initial=0.0))
    if largest == 0.0 or 1 / _EXTREME < largest < _EXTREME:
        return weights
    return np.ldexp(weights, -int(np.frexp(largest)[1]))
