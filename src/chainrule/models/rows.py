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
    chosen, weights = equal_rows(x, y, weights)
    return x[chosen], y[chosen], weights


def equal_rows(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows stand for all that equal them, and the sums of their weights; see `merge_equal_rows`.

    Returns
    -------
    chosen : integer array
        One of each group of equal rows, in an order that depends on the rows' contents alone.
    weights : array of the same length
    """
    index = np.flatnonzero(weights > 0)
    everything = len(index) == len(weights)
    key = np.zeros(len(index), np.uint64)
    for column in (*x.T, *y.T):
        shown = column if everything else column[index]
        bits = np.where(np.isnan(shown), np.nan, shown + 0.0).view(np.uint64)  # one NaN, and no negative zero
        with np.errstate(over="ignore"):
            key = splitmix64((key ^ bits) + np.uint64(0x9E3779B97F4A7C15))
    order = np.lexsort((weights[index], key))
    index, key = index[order], key[order]
    fresh = np.ones(len(index), bool)
    twins = np.flatnonzero(key[1:] == key[:-1]) + 1
    if len(twins):
        a, b = index[twins], index[twins - 1]
        fresh[twins[_equal(x[a], x[b]) & _equal(y[a], y[b])]] = False
    if fresh.all():
        return index, weights[index]
    return index[fresh], np.add.reduceat(weights[index], np.flatnonzero(fresh))


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
