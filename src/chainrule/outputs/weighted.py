"""Weights of rows: whether they count rows, and statistics of weighted samples."""

from __future__ import annotations

import numpy as np

#: larger weights are no counts of rows
_LARGEST_COUNT = 1e9


def are_whole(counts: np.ndarray) -> bool:
    """Whether numbers can be counts of rows."""
    return bool((counts == np.rint(counts)).all()) and float(counts.max(initial=0.0)) <= _LARGEST_COUNT


def row_weights(n: int, weights: np.ndarray | None) -> np.ndarray:
    """Weights that add up to one; equal ones by default."""
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    return w / np.sum(w)


def half_a_row(weights: np.ndarray) -> float:
    """Half the smallest positive weight: what counts as the share of something that never occurs."""
    return 0.5 * float(np.min(weights[weights > 0]))


def weighted_quantile(y: np.ndarray, weights: np.ndarray, q: float) -> np.ndarray:
    """The smallest value with at least a share ``q`` of the weight at or below it, column by column.

    Parameters
    ----------
    y : array of shape (n, n_targets)
    weights : array of shape (n,)
        Adding up to 1.
    q : float
        In (0, 1).

    Returns
    -------
    array of shape (n_targets,)
    """
    order = np.argsort(y, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0)
    first = np.argmax(below >= q - 1e-12, axis=0)  # the sum of weights is 1 but for rounding
    columns = np.arange(y.shape[1])
    return y[order[first, columns], columns]
