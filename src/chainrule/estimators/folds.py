"""Folds of cross-validation, of the rows that count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_sample_weight, _num_samples

#: rows, their targets, and their weights where there are any
Part = tuple[Any, Any, np.ndarray | None]


def folds_of(
    estimator: BaseEstimator, cv: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Any, np.ndarray | None, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows, targets, weights and folds (training and test places among them), as scikit-learn makes them.

    A row of weight zero is no row: it has no part in how the others are dealt out. Only where ``cv`` is a list of
    places, or numbers the rows otherwise, all rows stay.
    """
    X, y = indexable(X, y)
    weights = None
    if sample_weight is not None:
        weights = _check_sample_weight(sample_weight, np.empty((_num_samples(X), 1)), dtype=np.float64)
        counts = np.flatnonzero(weights)
        numbered = isinstance(cv, Iterable | PredefinedSplit)
        if not numbered and 0 < len(counts) < len(weights):
            X, y, weights = rows_of(X, y, weights, counts)
    splits = check_cv(cv, y, classifier=is_classifier(estimator)).split(np.zeros(_num_samples(X)), y)
    return X, y, weights, list(splits)


def rows_of(X: Any, y: Any, weights: np.ndarray | None, part: np.ndarray) -> Part:
    """Some of the rows, with their targets and weights."""
    return _safe_indexing(X, part), _safe_indexing(y, part), None if weights is None else weights[part]


__all__ = ["folds_of", "rows_of"]
