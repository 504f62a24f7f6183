"""What classifiers share: classes as target, and their probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator, named_output
from chainrule.estimators.parameters import check_number
from chainrule.learn.rows import moderate
from chainrule.models.inputs import class_target
from chainrule.outputs import Bernoulli, Categorical, Output
from chainrule.tables import TargetEncoder


class ClassificationEstimator(ClassifierMixin, FeedForwardEstimator):
    """Base of the classifiers."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, in the order of ``classes_``.

        Returns
        -------
        array of shape (n_samples, n_classes)
            For an indicator matrix as target: of 1, for each column.
        """
        mean = self._read(X, lambda d: d.mean())
        if self._multilabel or mean.ndim == 2:
            return mean
        both = np.empty((len(mean), 2))
        both[:, 1] = mean
        np.subtract(1.0, mean, out=both[:, 0])
        return both

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row.

        Returns
        -------
        array of shape (n_samples,), or an indicator matrix
        """
        p = self.predict_proba(X)
        if self._multilabel:
            return (p > 0.5).astype(self.classes_.dtype if hasattr(self.classes_, "dtype") else int)
        return self.classes_[np.argmax(p, axis=1)]

    # -- targets

    def _read_target(self, y: Any) -> np.ndarray:
        _refuse_mixed(y)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        self._multilabel = kind == "multilabel-indicator"
        if self._multilabel:
            y = check_array(y, dtype=None, input_name="y")
            self.classes_ = np.arange(y.shape[1])
            return y.astype(np.float64)
        if kind == "multiclass-multioutput":
            raise ValueError("Unknown label type: several columns of several classes each; fit one classifier a column")
        y = column_or_1d(y, warn=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y contains one class only ({self.classes_.tolist()[0]!r}); a classifier needs rows of at least two "
                "classes"
            )
        return codes.reshape(-1, 1).astype(np.float64)

    def _encode_target(self, y: Any) -> np.ndarray:
        if self._multilabel:
            return check_array(y, dtype=np.float64, input_name="y")
        _refuse_mixed(y)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        codes = np.searchsorted(self.classes_, y).clip(0, len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise ValueError(
                f"y has class {np.asarray(y).tolist()[row]!r} in row {row}, which is none of {self.classes_.tolist()}"
            )
        return codes.reshape(-1, 1).astype(np.float64)

    def _weights(self, table: Any, codes: np.ndarray, sample_weight: Any) -> np.ndarray:
        weights = super()._weights(table, codes, sample_weight)
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise OptionError("class_weight needs a single target column; use sample_weight")
        return moderate(weights * self._class_weights(self.classes_[codes[:, 0].astype(int)], weights))

    def _class_weights(self, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The weight of each row's class."""
        given = self.class_weight
        if not isinstance(given, Mapping) and given != "balanced":
            raise OptionError(f"class_weight must be None, 'balanced' or a dict from class to weight, got {given!r}")
        if isinstance(given, Mapping):
            for label, weight in given.items():
                check_number(f"class_weight of {label!r}", weight, 0, False)
            return compute_sample_weight(given, labels)
        present, place = np.unique(labels[weights > 0], return_inverse=True)  # a row of weight two counts twice
        factors = np.zeros(len(labels))
        sums = np.bincount(place, weights[weights > 0])
        factors[weights > 0] = (sums.sum() / (len(present) * sums))[place]
        return factors

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None if self._multilabel else y[:, 0]

    def _choose_output(self, y: np.ndarray) -> Output:
        n = len(self.classes_)
        default: Output = Bernoulli() if self._multilabel or n == 2 else Categorical(n)
        output = (
            self._setting("network").output
            if self._setting("network") is not None
            else named_output(self._setting("output"), default)
        )
        if output.kind not in ("binary", "classes"):
            raise OptionError(f"output {output.name} is for numbers; use FeedForwardRegressor, or a class output")
        if output.kind == "binary" and not self._multilabel and n > 2:
            raise OptionError(f"output {output.name} takes two classes, y has {n}; use output='categorical'")
        return output.for_target(n) if output.kind == "classes" else output

    def _make_target(self, output: Output, y: np.ndarray, weights: np.ndarray) -> TargetEncoder:
        if self._multilabel:
            return class_target([f"y{k}" for k in range(y.shape[1])], [[0, 1]] * y.shape[1])
        return class_target(["y"], [self.classes_.tolist()])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.class_weight is None
        return tags


def _refuse_mixed(y: Any) -> None:
    """Refuse labels that have no order among themselves, such as text and None.

    Raises
    ------
    OptionError
    """
    labels = np.asarray(y) if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    if labels.dtype != object or labels.ndim != 1:
        return
    kinds: dict[str, int] = {}
    for row, label in enumerate(labels.tolist()):
        number, text = isinstance(label, Real | np.bool_), isinstance(label, str)
        kinds.setdefault("number" if number else "str" if text else type(label).__name__, row)
    if len(kinds) > 1:
        (first, _), (other, row) = list(kinds.items())[:2]
        raise OptionError(
            f"y is {labels[row]!r} ({other}) in row {row} and {first} before it; give labels of one type, and leave "
            "out rows without a label"
        )
