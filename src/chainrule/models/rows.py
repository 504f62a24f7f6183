"""Rows in an order of their contents alone, so that a weight of two is a row twice, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from chainrule.outputs.weighted import are_whole
from chainrule.primitives.random import splitmix64

Columns = Callable[[], Iterable[np.ndarray]]

#: equal rows are counted one by one up to so many rows, or twice as many as there are different ones
MOST_COUNTED = 100_000


class Counted(NamedTuple):
    """Rows that are counted, see `counted_rows`.

    Parameters
    ----------
    places : integer array of shape (n_counted,)
        Which row of the table each is.
    weights : array of shape (n_counted,)
    n_different : int
        How many of them differ from each other.
    thinned : bool
        Whether some stand for several.
    """

    places: np.ndarray
    weights: np.ndarray
    n_different: int
    thinned: bool


def counted_rows(columns: Columns, weights: np.ndarray, counts: np.ndarray | None = None) -> Counted:
    """The rows of a table as they count: one of weight two is there twice, and one of weight zero is not.

    The order depends on the rows' contents alone (it is that of a hash of them). So a table with repeated rows, the
    same table with weights, and any permutation of either are the same to whatever follows: what is held out,
    mini-batches, what is learned. Weights that are not all whole are a row's importance: it counts once, with its
    weight.

    Of more than `MOST_COUNTED` rows, those that equal others are counted less often, with the weight of those left out.

    Parameters
    ----------
    columns : callable
        Begins to read the columns, float64 arrays of shape (n_rows,), NaN equal to NaN; called again if any two rows
        may be equal. So the table need not be in memory as numbers.
    weights : array of shape (n_rows,)
    counts : array of shape (n_rows,), optional
        What decides how often a row counts, where it is not the weights.
    """
    counts = weights if counts is None else counts
    index, starts = _groups(columns, weights)
    sizes = np.diff(starts, append=len(index))
    sums, often = np.add.reduceat(weights[index], starts), sizes
    if are_whole(counts):
        often = np.add.reduceat(counts[index], starts).astype(np.int64)
    most = max(MOST_COUNTED, 2 * len(starts))
    thinned = (total := int(often.sum())) > most
    if thinned:
        often = np.maximum(1, (often * (most / total)).astype(np.int64))
    first = np.cumsum(often) - often
    turn = np.arange(int(often.sum())) - np.repeat(first, often)
    places = np.repeat(starts, often) + turn % np.repeat(sizes, often)
    return Counted(index[places], np.repeat(sums / often, often), len(starts), thinned)


def equal_rows(columns: Columns, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal rows put together: which stand for all that equal them, and the sums of their weights.

    Returns
    -------
    chosen : integer array
        One of each group of equal rows, in an order that depends on the rows' contents alone.
    weights : array of the same length
    """
    index, starts = _groups(columns, weights)
    return index[starts], np.add.reduceat(weights[index], starts)


def columns_of(*tables: np.ndarray) -> Columns:
    """The columns of matrices with the same rows."""
    return lambda: (column for table in tables for column in table.T)


def _groups(columns: Columns, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of positive weight in an order of their contents, and where in it each group of equal ones begins."""
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
        return index, np.arange(len(index))
    a, b = index[twins], index[twins - 1]
    same = np.ones(len(twins), bool)
    for column in columns():
        same &= (column[a] == column[b]) | (np.isnan(column[a]) & np.isnan(column[b]))
    fresh = np.ones(len(index), bool)
    fresh[twins[same]] = False
    return index, np.flatnonzero(fresh)
