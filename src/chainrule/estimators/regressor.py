"""The regressor: a predictive distribution of numbers."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.metaestimators import available_if

from chainrule.estimators.regression import RegressionEstimator


class FeedForwardRegressor(RegressionEstimator):
    """Feed-forward network for regression with a full predictive distribution.

    Trained by the negative log-likelihood of `output`. Inputs and target are standardised, missing values are handled,
    and all of it is part of the model. Where a parameter means the same as in scikit-learn's MLPRegressor it has the
    same name.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or Layer, default=(64, 64)
        Units of each hidden layer, or layers such as ``cr.Maxout(32, pieces=3)``; empty for a linear model.
    activation : str, callable, or a sequence of them, default="silu"
        Unit of the hidden layers, or one for each.
    output : str or Output, default="gaussian"
        ``"gaussian"`` (mean and variance), ``"mixture"``, ``"laplace"``, ``"student_t"``, ``"poisson"``,
        ``"quantile"``, or an object such as ``cr.GaussianMixture(5)``. ``"auto"``: the likeliest on the validation
        rows among gaussian, mixture, Student-t, Laplace and, of counts, Poisson; takes about twice the time. Without
        validation rows it is gaussian.
    network : Network, optional
        Layers and output at once, instead of the three above.
    l1, l2, group_l1 : float
        Penalties ``l1·‖W‖₁ + (l2/2)·‖W‖² + group_l1·Σ‖W_column‖`` on the weights (not the biases), added to the *mean*
        loss per row. L1 gives exact zeros; group L1 drops input columns.
    optimizer : str or Optimizer, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"``, ``"rmsprop"``, ``"gd"``, ``"lbfgs"``, or an object: ``cr.Adam(1e-2)``.
    learning_rate_init : float, default=0.003
    batch_size : int or "auto"
        ``"auto"``: a power of two between 16 and 256, about one hundredth of the rows.
    max_iter : int, default=600
        At most so many epochs.
    tol, n_iter_no_change : float, int
        When the watched loss has not fallen by `tol` for so many epochs the learning rate is divided by 4, twice, and
        then training stops.
    early_stopping : bool or "auto"
        Watch the loss of held-out rows and keep the best epoch; "auto": from 10 rows on, 100 rows or a fifth of
        them, whichever are fewer, but at least `validation_fraction`; none if that is 0.
    validation_fraction : float, default=0.1
    embedding : {"auto", "none", "piecewise"}, default="auto"
        Whether columns of numbers also enter as `PiecewiseLinear` values, which lets the network follow jumps and
        wiggles. "auto": if that lowers the validation loss of the first three members by more than 0.02 per row; not
        under `l1` or `group_l1`, and not without validation rows.
    calibrate : {"none", "scale", "conformal"}
        What is put right on the validation rows, each predicted by a member that has not seen it. "scale": the spread
        of all distributions by one factor. "conformal": `predict_interval`, which then contains a new target with at
        least the asked probability, whatever the model.
    n_members : int, default=5
        Networks in the ensemble; their distributions are mixed. Each holds out rows of its own, so that together they
        learn from all.
    n_starts : int, default=1
        Trainings per member from different initial values; the best is kept.
    n_jobs : int, optional
        Threads at most while fitting; -1 is all cores. With k of them up to k members and starts train side by side.
        By default one training after the other, each on as many threads as its work is worth. Whatever it is, the
        results have the same bits.
    shuffle, verbose, random_state
        As in MLPRegressor.
    warm_start : bool, default=False
        Whether `fit` goes on where the last one stopped, with its encoding, scaling and optimiser's state: as if it had
        not stopped, if it only came to `max_iter` and the rows are the same, else from the best epoch. What shapes the
        networks must be as it was: hidden layers, output, n_members, dtype, kind of optimizer.
    loss : callable, optional
        A loss of your own in plain NumPy, ``loss(raw, y)`` per row, instead of the negative log-likelihood; y is in its
        own units. It must depend on all of the output's raw numbers. ``"gaussian"`` is then
        ``cr.Gaussian(variance="constant")``, whose width is that of the residuals; for a loss of both raw numbers give
        ``cr.Gaussian()``.
    dtype : "float32" or "float64"

    Attributes
    ----------
    loss_curve_, validation_loss_curve_ : list of float
        Mean loss per row by epoch (likelihoods in the target's own units); of the epochs that had validation rows.
    best_loss_, best_epoch_, n_iter_, stopped_because_, diagnosis_
        Of the first member: best watched loss and its epoch, epochs, why training stopped, and which of over- and
        underfitting shows.
    coefs_, intercepts_ : list of arrays
    model_ : Model

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import chainrule as cr
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = cr.FeedForwardRegressor(random_state=0).fit(X, y)
    >>> reg.predict_interval(X[:2], coverage=0.9).shape
    (2, 2)
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (64, 64),
        activation: Any = "silu",
        *,
        output: Any = "gaussian",
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows; the optimiser's state is kept between calls.

        Not there, as scikit-learn asks, where a single epoch cannot do what the parameters want: L-BFGS, rows held
        out (``early_stopping=True``, ``calibrate``), ``n_starts``.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,), optional
        """
        if not self._began():
            self._read_target(y)
        return self._partial_fit(X, y, sample_weight)
