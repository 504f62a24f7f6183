"""Equal rows put together, so that a weight of two is a row twice, to the last bit."""

from __future__ import annotations

import numpy as np

from chainrule.primitives.random import splitmix64


def merge_equal_rows(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put equal rows together and add up their weights; rows of weight zero disappear.

    The order of the result depends on the rows' contents alone (it is that of a hash of them). So a table with
    repeated rows, the same table with weights, and any permutation of either are the same to whatever follows.

    Parameters
    ----------
    x : array of shape (n_rows, n_columns), float64
        NaN equals NaN here.
    y : array of shape (n_rows, n_targets), float64
    weights : array of shape (n_rows,)

    Returns
    -------
    x, y, weights
        Of the distinct rows.
    """
    keep = weights > 0
    if not keep.all():
        x, y, weights = x[keep], y[keep], weights[keep]
    key = np.zeros(len(x), np.uint64)
    for column in (*x.T, *y.T):
        bits = np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)  # one NaN, and no negative zero
        with np.errstate(over="ignore"):
            key = splitmix64((key ^ bits) + np.uint64(0x9E3779B97F4A7C15))
    order = np.lexsort((weights, key))
    x, y, weights, key = x[order], y[order], weights[order], key[order]
    fresh = np.ones(len(x), bool)
    twins = np.flatnonzero(key[1:] == key[:-1]) + 1
    if len(twins):
        same = _equal(x[twins], x[twins - 1]) & _equal(y[twins], y[twins - 1])
        fresh[twins[same]] = False
    if fresh.all():
        return x, y, weights
    return x[fresh], y[fresh], np.add.reduceat(weights, np.flatnonzero(fresh))


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
