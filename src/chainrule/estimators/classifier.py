"""The classifier: probabilities of classes, or of several yes-or-no outcomes at once."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.metaestimators import available_if

from chainrule.errors import OptionError
from chainrule.estimators.classification import ClassificationEstimator


class FeedForwardClassifier(ClassificationEstimator):
    """Feed-forward network for classification, trained by negative log-likelihood.

    Two classes: Bernoulli output (one logit). More: categorical (softmax). A binary indicator matrix as target: one
    Bernoulli output per column. Other parameters and attributes are those of `FeedForwardRegressor`.

    Parameters
    ----------
    output : "auto", str or Output, default="auto"
    calibrate : {"none", "scale"}
        "scale": class probabilities get the temperature that is likeliest on the validation rows.
    class_weight : dict, "balanced" or None
        Weights of classes, multiplied into the row weights, on the validation rows too. For one target column; several
        binary ones have classes of their own each, so that only `sample_weight` says what is meant.
    loss : callable, optional
        As of the regressor; y are then the classes' places in `classes_`, as floating-point numbers, (n, n_targets).

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
        activation: Any = "silu",
        *,
        output: Any = "auto",
        network: Any = None,
        l1: float = 0.0,
        l2: float = 1e-4,
        group_l1: float = 0.0,
        optimizer: Any = "adam",
        learning_rate_init: float = 3e-3,
        batch_size: Any = "auto",
        max_iter: int = 600,
        tol: float = 1e-4,
        n_iter_no_change: int = 20,
        early_stopping: Any = "auto",
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        embedding: str = "auto",
        calibrate: str = "none",
        n_members: int = 5,
        n_starts: int = 1,
        n_jobs: int | None = None,
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
        self.embedding = embedding
        self.calibrate = calibrate
        self.n_members = n_members
        self.n_starts = n_starts
        self.n_jobs = n_jobs
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.loss = loss
        self.dtype = dtype

    @available_if(lambda self: self._check_partial())
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows; the optimiser's state is kept between calls.

        Not there, as scikit-learn asks, where a single epoch cannot do what the parameters want: L-BFGS, rows held
        out (``early_stopping=True``, ``calibrate``), ``n_starts``, ``class_weight="balanced"``.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array, optional
            All classes there will be; needed in the first call if y lacks some.
        sample_weight : array of shape (n_samples,), optional
        """
        if not self._began():
            self._read_target(y if classes is None else classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            given = np.unique(classes).tolist()
            raise ValueError(f"classes {given} differ from those of the first call, {self.classes_.tolist()}")
        return self._partial_fit(X, y, sample_weight)

    def _check_partial(self) -> bool:
        if isinstance(self.class_weight, str):
            raise OptionError("partial_fit does not know the whole data's classes; give class_weight as a dict")
        return super()._check_partial()
