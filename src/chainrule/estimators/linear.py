"""Linear and logistic regression: networks without hidden layers, solved exactly.

The objective is the project's: mean loss per row plus ``l1·‖W‖₁ + (l2/2)·‖W‖²``, on weights in the data's own units,
intercepts free. Internally inputs and target are standardised, which makes the problem well conditioned and changes
nothing but rounding; with ``standardize=True`` the penalties too apply to the standardised problem, as in glmnet.

Conversions to scikit-learn, for n rows of weight one:

===========================================  =========================================
scikit-learn                                 chainrule
===========================================  =========================================
``LinearRegression()``                       ``LinearRegression()``
``Ridge(alpha=a)``                           ``LinearRegression(l2=a / n)``
``Lasso(alpha=a)``                           ``LinearRegression(l1=a)``
``ElasticNet(alpha=a, l1_ratio=r)``          ``LinearRegression(l1=a*r, l2=a*(1-r))``
``LogisticRegression(C=c)``                  ``LogisticRegression(l2=1 / (c*n))``
the same with an L1 penalty                  ``LogisticRegression(l1=1 / (c*n))``
``MLPClassifier(alpha=a)``                   ``FeedForwardClassifier(l2=a / n)``, full batch
===========================================  =========================================
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np

from chainrule.errors import ModelFileError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.classification import ClassificationEstimator
from chainrule.estimators.parameters import seed_of_state
from chainrule.estimators.regression import RegressionEstimator
from chainrule.learn.optimizers import LBFGS, Optimizer
from chainrule.models.fit import FitOptions
from chainrule.models.inputs import Inputs, Scaling
from chainrule.networks import Network
from chainrule.outputs import Gaussian, Output
from chainrule.tables import Encoder, Numeric, TargetEncoder

#: what a linear model has no parameter for
_FIXED: dict[str, Any] = {
    "network": None,
    "output": "auto",
    "embedding": "none",
    "calibrate": "none",
    "n_members": 1,
    "n_starts": 1,
    "optimizer": LBFGS(memory=30),
    "n_iter_no_change": 1,
    "early_stopping": False,
    "validation_fraction": 0.0,
    "warm_start": False,
    "shuffle": False,
    "batch_size": "auto",
    "loss": None,
    "dtype": "float64",
}


class _Linear(FeedForwardEstimator):
    """What both linear models share: no hidden layers, all rows at once, coefficients in the data's own units."""

    def _setting(self, name: str) -> Any:
        return getattr(self, name) if name in self._get_param_names() else _FIXED[name]

    def _compares_families(self) -> bool:
        return False

    def _layers(self) -> tuple[Any, ...]:
        return ()

    def _seed(self) -> int:
        if self.random_state is not None:
            seed_of_state(self.random_state)  # refused where it is wrong, though nothing depends on it
        return 0

    def _optimizer(self) -> Optimizer:
        return self._setting("optimizer")

    _scaling: Scaling = "standard"
    _holds_out = False

    def _fit_inputs(self, table: Any, weights: np.ndarray) -> Inputs:
        inputs = super()._fit_inputs(table, weights)
        return inputs if self.fit_intercept else dataclasses.replace(inputs, encoder=without_centers(inputs.encoder))

    def _options(self, seed: int, inputs: Inputs, shift: float) -> FitOptions:
        options = super()._options(seed, inputs, shift)
        options = dataclasses.replace(options, intercept=bool(self.fit_intercept), keep_best=False)
        if self.standardize:
            return options
        return dataclasses.replace(options, raw_units=(affine(inputs.encoder)[1], self._target_scale))

    def _facts(self) -> dict[str, Any]:
        solution = self.trainings_[0].solution
        found = {"optimality_residual": float(solution.residual), "converged": bool(solution.converged)}
        return super()._facts() | found

    def _show(self) -> None:
        super()._show()
        model = self.model_
        self.optimality_residual_ = float(model.facts.get("optimality_residual", np.nan))
        self.converged_ = bool(model.facts.get("converged", False))
        if model.network is None or model.network.layers:
            raise ModelFileError(f"the model is not linear, as a {type(self).__name__} must be")
        encoder = model.inputs.encoder
        indicator = indicators(encoder)
        self.coef_names_ = np.asarray(encoder.feature_names, dtype=object)[~indicator]
        coefficients, intercept = own_coefficients(model.network, encoder, model.target, model.members[0].theta)
        self.coef_, self.intercept_ = self._shaped(coefficients[:, ~indicator], intercept)
        missing = np.zeros((len(coefficients), len(encoder.encodings)))
        missing[:, encoder.groups[indicator]] = coefficients[:, indicator]
        self.missing_coef_, _ = self._shaped(missing, intercept)

    def _shaped(self, coefficients: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return coefficients, intercept


def own_coefficients(
    network: Network, encoder: Encoder, target: TargetEncoder, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (n_raw, n_inputs) and intercepts (n_raw,) of a linear network, in the data's own units."""
    pieces = network.layout(len(encoder.feature_names), len(target.names)).unflatten(theta)
    weight, bias = pieces["output.weight"].T, pieces["output.bias"]  # (n_raw, n_inputs)
    location, scale = affine(encoder)
    coefficients = weight / scale * np.array(target.scale)[:1, None]
    intercept = bias * np.array(target.scale)[:1] - coefficients @ location
    if target.task == "numeric":
        intercept = intercept + np.array(target.center)
    elif len(intercept) > 1 and len(target.names) == 1:  # softmax does not see a common shift
        intercept = intercept - intercept.mean()
    return coefficients, intercept


def affine(encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    """Center and scale of each network input under an encoder that bounds nothing."""
    places = {name: k for k, name in enumerate(encoder.feature_names)}
    center, scale = np.zeros(len(places)), np.ones(len(places))
    for e in encoder.encodings:
        if isinstance(e, Numeric):
            center[places[e.name]], scale[places[e.name]] = e.center, e.scale
    return center, scale


def indicators(encoder: Encoder) -> np.ndarray:
    """Which network inputs say that a value is missing: the last of each column that has one."""
    last = np.append(encoder.groups[1:] != encoder.groups[:-1], True)
    return last & np.array([encoder.encodings[k].missing for k in encoder.groups])


def without_centers(encoder: Encoder) -> Encoder:
    """The encoder that scales and does not shift: without an intercept nothing may be centred."""
    kept = tuple(msgspec.structs.replace(e, center=0.0) if isinstance(e, Numeric) else e for e in encoder.encodings)
    return msgspec.structs.replace(encoder, encodings=kept)


class LinearRegression(_Linear, RegressionEstimator):
    """Linear regression with L1 and L2 penalties and a Gaussian predictive distribution of constant variance.

    Minimises ``½ mean (y - ŷ)² + l1·‖W‖₁ + (l2/2)·‖W‖²``. The module's docstring has the conversions to
    scikit-learn's Ridge, Lasso and ElasticNet.

    Parameters
    ----------
    l1, l2 : float
        Strengths of the penalties; the Bayesian readings are Laplace and Gaussian priors.
    group_l1 : float
        Strength of ``Σ ‖W_g‖``, over the raw columns g with all their weights (a column of text has one per category,
        and all targets have theirs): drops whole columns. Not together with `l1`.
    fit_intercept : bool
    standardize : bool
        Whether penalties apply to the weights of standardised inputs (and target), instead of those in the data's own
        units.
    tol : float
        Largest element of the smallest subgradient, of the standardised problem, at which the solver stops.
    max_iter : int
    random_state : int, RandomState instance or None
        Nothing is drawn, so that every value gives the same model; for code that sets it on all estimators.
    n_jobs : int, optional
        Threads at most, -1 for all cores; the bits are the same.

    Notes
    -----
    There is no ``dtype``: a solution to 1e-10 needs float64. There is no ``warm_start`` and no ``partial_fit``: there
    is one optimum wherever one starts, and a pass over some rows does not find it. `penalty_path` and `PathCV` go
    from penalty to penalty with warm starts; ``FeedForwardRegressor(hidden_layer_sizes=())`` trains a linear model by
    mini-batches, ``partial_fit`` included.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        In the data's own units. Columns of text in a data frame have one coefficient per category, see `coef_names_`.
    coef_names_ : array of shape (n_features,)
    missing_coef_ : array of shape (n_features,) or (n_targets, n_features)
        Columns with missing values in training: what is added where the value is missing, beside the coefficient times
        the column's mean. Elsewhere 0. One per raw column.
    intercept_ : float or array of shape (n_targets,)
    optimality_residual_ : float
        Largest element of the smallest subgradient of the objective, penalties included, where the solver stopped: 0 at
        the optimum. Of the standardised problem, as `tol`.
    converged_ : bool
        Whether the solver stopped before `max_iter`.
    """

    def __init__(
        self,
        l1: float = 0.0,
        l2: float = 0.0,
        *,
        group_l1: float = 0.0,
        fit_intercept: bool = True,
        standardize: bool = False,
        tol: float = 1e-10,
        max_iter: int = 10_000,
        verbose: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.l1 = l1
        self.l2 = l2
        self.group_l1 = group_l1
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _choose_output(self, y: np.ndarray) -> Output:
        return Gaussian(variance="constant")

    def _make_target(self, output: Output, y: np.ndarray, weights: np.ndarray) -> TargetEncoder:
        target = super()._make_target(output, y, weights)
        # one scale for all target columns, so that the sum of their squared errors keeps its meaning
        largest = max(target.scale)  # so that no square leaves the finite range
        self._target_scale = largest * float(np.sqrt(np.mean(np.square(np.array(target.scale) / largest))))
        center = target.center if self.fit_intercept else (0.0,) * len(target.names)
        return msgspec.structs.replace(target, center=center, scale=(self._target_scale,) * len(target.names))

    def _shaped(self, coefficients: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (coefficients[0], intercept[0]) if self._one_dimensional else (coefficients, intercept)


class LogisticRegression(_Linear, ClassificationEstimator):
    """Logistic regression with L1 and L2 penalties; several classes by softmax.

    Minimises ``mean(-log p(y|x)) + l1·‖W‖₁ + (l2/2)·‖W‖²``. The module's docstring has the conversions to
    scikit-learn's ``C``. Without a penalty, separable classes have no finite solution; the default ``l2`` is small.

    Parameters
    ----------
    l1, l2, group_l1, fit_intercept, standardize, tol, max_iter, random_state, n_jobs
        As in `LinearRegression`.
    class_weight : dict, "balanced" or None

    Attributes
    ----------
    coef_, missing_coef_ : array of shape (1, n_features) or (n_classes, n_features)
        As in `LinearRegression`.
    intercept_ : array of shape (1,) or (n_classes,)
    classes_ : array of shape (n_classes,)
    optimality_residual_, converged_
        As in `LinearRegression`.
    """

    _target_scale = 1.0

    def __init__(
        self,
        l1: float = 0.0,
        l2: float = 1e-4,
        *,
        group_l1: float = 0.0,
        fit_intercept: bool = True,
        standardize: bool = False,
        class_weight: Any = None,
        tol: float = 1e-9,
        max_iter: int = 10_000,
        verbose: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.l1 = l1
        self.l2 = l2
        self.group_l1 = group_l1
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose
        self.random_state = random_state
        self.n_jobs = n_jobs
