"""The classifier: probabilities of classes, or of several yes-or-no outcomes at once."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.regressor import named_output
from chainrule.models.inputs import class_target
from chainrule.outputs import Bernoulli, Categorical, Output
from chainrule.tables import TargetEncoder


class FeedForwardClassifier(ClassifierMixin, FeedForwardEstimator):
    """Feed-forward network for classification, trained by negative log-likelihood.

    Two classes: Bernoulli output (one logit). More: categorical (softmax). A binary indicator matrix as target: one
    Bernoulli output per column. Other parameters and attributes are those of `FeedForwardRegressor`.

    Parameters
    ----------
    output : "auto", str or Output, default="auto"
    class_weight : dict, "balanced" or None
        Weights of classes, multiplied into the row weights, on the validation rows too.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import chainrule as cr
    >>> X, y = load_iris(return_X_y=True)
    >>> cr.FeedForwardClassifier(random_state=0).fit(X, y).predict_proba(X[:2]).shape
    (2, 3)
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (64, 64),
        activation: Any = "relu",
        *,
        output: Any = "auto",
        network: Any = None,
        l1: float = 0.0,
        l2: float = 1e-4,
        group_l1: float = 0.0,
        optimizer: Any = "adam",
        learning_rate_init: float = 1e-3,
        batch_size: Any = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int = 20,
        early_stopping: Any = "auto",
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        n_members: int = 1,
        n_starts: int = 1,
        shuffle: bool = True,
        warm_start: bool = False,
        verbose: bool = False,
        random_state: Any = None,
        loss: Any = None,
        dtype: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output = output
        self.network = network
        self.l1 = l1
        self.l2 = l2
        self.group_l1 = group_l1
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.n_members = n_members
        self.n_starts = n_starts
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.loss = loss
        self.dtype = dtype

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows; the optimiser's state is kept between calls.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array, optional
            All classes there will be; needed in the first call if y lacks some.
        sample_weight : array of shape (n_samples,), optional
        """
        if not hasattr(self, "trainings_"):
            self._read_target(y if classes is None else classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes {list(classes)} differ from those of the first call, {list(self.classes_)}")
        return self._partial_fit(X, y, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, in the order of ``classes_``.

        Returns
        -------
        array of shape (n_samples, n_classes)
            For an indicator matrix as target: of 1, for each column.
        """
        mean = np.asarray(self.predict_dist(X).mean())
        if self._multilabel or mean.ndim == 2:
            return mean
        return np.stack([1.0 - mean, mean], axis=1)

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
        check_is_fitted(self)
        p = self.predict_proba(X)
        if self._multilabel:
            return (p > 0.5).astype(self.classes_.dtype if hasattr(self.classes_, "dtype") else int)
        return self.classes_[np.argmax(p, axis=1)]

    # -- targets

    def _read_target(self, y: Any) -> np.ndarray:
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
                f"y contains one class only ({self.classes_[0]!r}); a classifier needs rows of at least two classes"
            )
        return codes.reshape(-1, 1).astype(np.float64)

    def _encode_target(self, y: Any) -> np.ndarray:
        if self._multilabel:
            return check_array(y, dtype=np.float64, input_name="y")
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        codes = np.searchsorted(self.classes_, y).clip(0, len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise ValueError(f"y has class {y[row]!r} in row {row}, which is none of {list(self.classes_)}")
        return codes.reshape(-1, 1).astype(np.float64)

    def _weights(self, table: Any, codes: np.ndarray, sample_weight: Any) -> np.ndarray:
        weights = super()._weights(table, codes, sample_weight)
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise OptionError("class_weight needs a single target column; use sample_weight")
        labels = self.classes_[codes[:, 0].astype(int)]
        return weights * compute_sample_weight(self.class_weight, labels)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None if self._multilabel else y[:, 0]

    def _choose_output(self, y: np.ndarray) -> Output:
        n = len(self.classes_)
        default: Output = Bernoulli() if self._multilabel or n == 2 else Categorical(n)
        output = self.network.output if self.network is not None else named_output(self.output, default)
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
        tags.classifier_tags.multi_label = True
        return tags
