"""Folds of cross-validation, of the rows that count, and their encoding, once for all that is fitted to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_sample_weight, _num_samples

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.learn.rows import Rows
from chainrule.models.inputs import Inputs
from chainrule.outputs import Output
from chainrule.tables import TargetEncoder

#: rows, their targets, and their weights where there are any
Part = tuple[Any, Any, np.ndarray | None]


def folds_of(
    estimator: BaseEstimator, cv: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Any, np.ndarray | None, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows, targets, weights and folds (training and test places among them), as scikit-learn makes them.

    A row of weight zero is no row: it has no part in how the others are dealt out. Only where ``cv`` is a list of
    places, or numbers the rows otherwise, all rows stay.

    Raises
    ------
    OptionError
        If all of a fold's training or test rows have weight zero.
    """
    X, y = indexable(X, y)
    weights = None
    if sample_weight is not None:
        weights = _check_sample_weight(sample_weight, np.empty((_num_samples(X), 1)), dtype=np.float64)
        counts = np.flatnonzero(weights)
        numbered = isinstance(cv, Iterable | PredefinedSplit)
        if not numbered and 0 < len(counts) < len(weights):
            X, y, weights = rows_of(X, y, weights, counts)
    splits = list(check_cv(cv, y, classifier=is_classifier(estimator)).split(np.zeros(_num_samples(X)), y))
    if weights is not None and weights.any():
        for k, (train, test) in enumerate(splits):
            for what, part in (("training", train), ("test", test)):
                if not weights[part].any():
                    raise OptionError(
                        f"sample_weight is zero for every {what} row of fold {k}; leave that fold out of cv"
                    )
    return X, y, weights, splits


def rows_of(X: Any, y: Any, weights: np.ndarray | None, part: np.ndarray) -> Part:
    """Some of the rows, with their targets and weights."""
    return _safe_indexing(X, part), _safe_indexing(y, part), None if weights is None else weights[part]


class Encoded(NamedTuple):
    """What an estimator's ``fit`` makes of rows before it trains on them; `codes` is the target as read."""

    output: Output
    inputs: Inputs
    target: TargetEncoder
    rows: Rows
    codes: np.ndarray


def encoded(est: FeedForwardEstimator, X: Any, y: Any, sample_weight: Any) -> Encoded:
    """Rows as ``fit`` of an estimator encodes them, which then knows their columns and classes."""
    table, codes = est._read_inputs(X, y, reset=True), est._read_target(y)
    table, codes, weights = est._weighted(table, codes, sample_weight)
    output, inputs = est._choose_output(codes), est._fit_inputs(table, weights)
    target = est._make_target(output, codes, weights)
    return Encoded(output, inputs, target, est._rows(inputs, target, table, codes, weights), codes)


__all__ = ["Encoded", "encoded", "folds_of", "rows_of"]
