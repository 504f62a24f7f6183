"""What estimators share that choose a model among many: they predict with the one that was chosen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier, is_regressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from chainrule.estimators.base import FeedForwardEstimator
from chainrule.outputs import Distribution


def _classes(self: Chosen) -> bool:
    return is_classifier(self.estimator)


def _numbers(self: Chosen) -> bool:
    return is_regressor(self.estimator)


class Chosen(MetaEstimatorMixin, BaseEstimator):
    """Base: predicts with ``best_estimator_``, a fitted estimator of chainrule's."""

    estimator: Any
    best_estimator_: Any

    def _best(self) -> FeedForwardEstimator:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def predict(self, X: Any) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().predict(X)

    def predict_dist(self, X: Any) -> Distribution:
        """Of the chosen estimator."""
        return self._best().predict_dist(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Of the chosen estimator: R² or accuracy."""
        return self._best().score(X, y, sample_weight)

    @available_if(_classes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().predict_proba(X)

    @available_if(_classes)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().predict_log_proba(X)

    @available_if(_numbers)
    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().predict_interval(X, coverage)

    @available_if(_numbers)
    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().predict_quantiles(X, quantiles)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the chosen model's file."""
        self._best().save(path)

    @property
    def classes_(self) -> np.ndarray:
        """Of the chosen estimator."""
        return self._best().classes_

    @property
    def n_features_in_(self) -> int:
        """Of the chosen estimator."""
        return self._best().n_features_in_

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), self.estimator.__sklearn_tags__()
        tags.estimator_type = own.estimator_type
        tags.classifier_tags, tags.regressor_tags = own.classifier_tags, own.regressor_tags
        tags.target_tags, tags.input_tags = own.target_tags, own.input_tags
        return tags


__all__ = ["Chosen"]
