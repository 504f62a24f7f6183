"""Equal rows put together, so that a weight of two is a row twice, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    return equal_places(lambda: (*x.T, *y.T), weights)


def equal_places(columns: Callable[[], Iterable[np.ndarray]], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`equal_rows` of a table that is read column by column, so that it need not be in memory as numbers.

    Parameters
    ----------
    columns : callable
        Begins to read the columns, float64 arrays of shape (n_rows,); called again if any two rows may be equal.
    weights : array of shape (n_rows,)
    """
    index = np.flatnonzero(weights > 0)
    everything = len(index) == len(weights)
    key = np.zeros(len(index), np.uint64)
    for column in columns():
        bits = (column if everything else column[index]) + 0.0  # no negative zero
        bits[np.isnan(bits)] = np.nan  # and one NaN
        with np.errstate(over="ignore"):
            key = splitmix64((key ^ bits.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15))
    order = np.lexsort((weights[index], key))
    index, key = index[order], key[order]
    twins = np.flatnonzero(key[1:] == key[:-1]) + 1
    if not len(twins):
        return index, weights[index]
    a, b = index[twins], index[twins - 1]
    same = np.ones(len(twins), bool)
    for column in columns():
        same &= (column[a] == column[b]) | (np.isnan(column[a]) & np.isnan(column[b]))
    fresh = np.ones(len(index), bool)
    fresh[twins[same]] = False
    return index[fresh], np.add.reduceat(weights[index], np.flatnonzero(fresh))
