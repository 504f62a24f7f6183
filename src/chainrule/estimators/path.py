"""Penalty paths: all solutions as a penalty grows, cross-validation along them, and which inputs are dropped when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.chosen import Chosen
from chainrule.estimators.deep_path import deep_path, largest_of_linear
from chainrule.estimators.folds import encoded, folds_of, rows_of
from chainrule.estimators.linear import indicators, own_coefficients
from chainrule.estimators.parameters import check_number, seed_of_state, threads_of
from chainrule.learn.linear_solver import LinearSolver
from chainrule.learn.path import LinearPath, PathPenalty, linear_path
from chainrule.learn.rows import Rows
from chainrule.learn.side_by_side import side_by_side
from chainrule.models.fit import FitOptions, resolve
from chainrule.models.inputs import Inputs
from chainrule.networks import Network
from chainrule.tables import TargetEncoder

PENALTIES = ("l1", "group_l1", "l2")
#: strengths of a path by default, and the smallest relative to the largest
LINEAR_STRENGTHS, LINEAR_RATIO, RIDGE_RATIO = 100, 1e-3, 1e-6
DEEP_STRENGTHS, DEEP_RATIO = 20, 1e-2
#: how many times as many strengths as were asked for a network may take until no input is left
MOST_DEEP = 3


@dataclass(frozen=True)
class PenaltyPath:
    """What becomes of a model as a penalty falls.

    Parameters
    ----------
    penalty : {"l1", "group_l1", "l2"}
    strengths : array of shape (n_strengths,)
        Falling.
    coef : array of shape (n_strengths, n_features) or (n_strengths, n_targets or n_classes, n_features)
        Coefficients in the data's own units. Of a network with hidden layers: the norm of an input's weights in the
        first layer.
    intercept : array of shape (n_strengths,) or (n_strengths, n_targets or n_classes)
        Empty for networks with hidden layers.
    names : tuple of str
        Of the features.
    columns : tuple of str
        Of the raw columns; a column of text has several features.
    column_of : integer array of shape (n_features,)
        Column of each feature.
    residuals : array of shape (n_strengths,)
        Largest element of the smallest subgradient of the training objective, of standardised data: 0 at the optimum.
        NaN for networks whose objective is random (dropout, batch normalisation).
    losses : array of shape (n_strengths,)
        Of the training rows, without penalties.
    largest : float
        The smallest strength at which everything is zero: exact for linear models; of networks with hidden layers the
        strength at which the path ends.
    deep : bool
        Whether there are hidden layers.
    """

    penalty: str
    strengths: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    names: tuple[str, ...]
    columns: tuple[str, ...]
    column_of: np.ndarray
    residuals: np.ndarray
    losses: np.ndarray
    largest: float
    deep: bool = False

    @property
    def sizes(self) -> np.ndarray:
        """Largest absolute coefficient of each feature, (n_strengths, n_features)."""
        return np.abs(self.coef) if self.coef.ndim == 2 else np.abs(self.coef).max(axis=1)

    @property
    def entered(self) -> list[tuple[str, float]]:
        """Features in the order in which they enter, each with the largest strength at which it is not zero.

        Features that never enter are left out; of two that enter at once the larger comes first.
        """
        present = self.sizes > 0.0
        first = np.where(present.any(axis=0), present.argmax(axis=0), len(self.strengths))
        size = self.sizes[np.minimum(first, len(self.strengths) - 1), np.arange(len(first))]
        order = np.lexsort((-size, first))
        return [(self.names[j], float(self.strengths[first[j]])) for j in order if first[j] < len(self.strengths)]

    def nearest(self, strength: float) -> int:
        """Place of the strength nearest to one given."""
        with np.errstate(divide="ignore"):
            return int(np.argmin(np.abs(np.log(self.strengths) - np.log(strength))))

    def dropped(self, strength: float) -> list[str]:
        """Raw columns whose features are all exactly zero at a strength of the path."""
        zero = self.sizes[self.nearest(strength)] == 0.0
        return [c for k, c in enumerate(self.columns) if zero[self.column_of == k].all()]

    def table(self) -> str:
        """The coefficients in the order in which they enter, as lines of text."""
        value = "norm" if self.deep else "coefficient"
        width = max([len("feature"), *(len(n) for n in self.names)])
        lines = [f"{'':>3}  {'feature':<{width}}  {'enters at':>10}  {value + ' at the end':>22}"]
        last = self.coef[-1] if self.coef.ndim == 2 else self.sizes[-1]
        for k, (name, strength) in enumerate(self.entered, 1):
            lines.append(f"{k:>3}  {name:<{width}}  {strength:>10.4g}  {last[self.names.index(name)]:>22.5g}")
        never = [n for n in self.names if n not in dict(self.entered)]
        if never:
            lines.append(f"never: {', '.join(never)}")
        return "\n".join(lines)


def penalty_path(
    estimator: FeedForwardEstimator,
    X: Any,
    y: Any,
    penalty: PathPenalty = "l1",
    *,
    strengths: Any = None,
    n_strengths: int | None = None,
    ratio: float | None = None,
    l1_ratio: float | None = None,
    sample_weight: Any = None,
) -> PenaltyPath:
    """All solutions as the strength of a penalty falls, each from the one before.

    Linear models are solved to the estimator's `tol` at every strength, from the strength at which everything is zero
    (computed exactly) downwards. Networks with hidden layers are trained on from small strengths to large ones, until
    no input is left (as Lemhadri, Ruan, Abraham & Tibshirani 2021, "LassoNet"): from zero nothing grows, as the
    gradient of a layer is zero where the next one is.

    Parameters
    ----------
    estimator : LinearRegression, LogisticRegression, FeedForwardRegressor or FeedForwardClassifier
        Not fitted here; its other penalties stay as they are.
    X, y
        As in ``fit``.
    penalty : {"l1", "group_l1", "l2"}
        "group_l1" drops whole columns.
    strengths : array, optional
        By default ``n_strengths`` in equal proportions, the last ``ratio`` times the first.
    n_strengths : int, optional
        100. With hidden layers 20 from the smallest to the one that leaves nothing of a linear model, and on from
        there until no input is left.
    ratio : float, optional
        0.001, of L2 1e-6; with hidden layers 0.01.
    l1_ratio : float, optional
        Elastic net as scikit-learn's: a strength α is ``l1_ratio · α`` of `penalty` and ``(1 - l1_ratio) · α`` of L2.
        For linear models.
    sample_weight : array, optional

    Returns
    -------
    PenaltyPath

    Raises
    ------
    OptionError
        If the penalty is unknown or cannot be combined with those of the estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import chainrule as cr
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> path = cr.penalty_path(cr.LinearRegression(), X, y)
    >>> [name for name, strength in path.entered][:3]
    ['bmi', 's5', 'bp']
    """
    plan = _Plan(penalty, strengths, n_strengths, ratio, l1_ratio)
    if estimator._layers():
        return _deep(estimator, X, y, sample_weight, plan, lambda at, fitted: None)
    data = _linear_data(estimator, X, y, sample_weight)
    return _described(data, plan, _solved(data, plan))


@dataclass(frozen=True)
class _Plan:
    """Which path was asked for."""

    penalty: PathPenalty
    strengths: Any
    n_strengths: int | None
    ratio: float | None
    l1_ratio: float | None

    def __post_init__(self) -> None:
        if self.penalty not in PENALTIES:
            raise OptionError(f"penalty must be one of {', '.join(PENALTIES)}, got {self.penalty!r}")
        if self.n_strengths is not None:
            check_number("n_strengths", self.n_strengths, 2, True)
        for name in ("ratio", "l1_ratio"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise OptionError(f"{name} must lie in (0, 1], got {value!r}")
        if self.l1_ratio is not None and self.penalty == "l2":
            raise OptionError("l1_ratio shares a strength between L1 and L2; it goes with penalty='l1' or 'group_l1'")
        if self.strengths is not None:
            values = np.asarray(self.strengths, np.float64)
            if values.ndim != 1 or not len(values) or not (values > 0).all() or not np.isfinite(values).all():
                raise OptionError("strengths must be a list of numbers larger than 0")

    @property
    def falling(self) -> np.ndarray | None:
        return None if self.strengths is None else np.sort(np.asarray(self.strengths, np.float64))[::-1]


@dataclass(frozen=True)
class _LinearData:
    """A linear estimator's problem on some rows."""

    estimator: FeedForwardEstimator
    network: Network
    inputs: Inputs
    target: TargetEncoder
    rows: Rows
    options: FitOptions

    def held_out_loss(self, found: LinearPath, X: Any, y: Any, sample_weight: Any) -> np.ndarray:
        """Mean squared error, or log-loss, of other rows at every strength."""
        est = self.estimator
        table, codes = est._read_inputs(X, y, reset=False), est._encode_target(y)
        rows = est._rows(self.inputs, self.target, table, codes, est._weights(table, codes, sample_weight))
        if self.target.task != "numeric":
            solver = LinearSolver(self.network, rows)
            return np.array([solver.loss(theta) for theta in found.thetas])
        n_raw = rows.y.shape[1]
        raw = rows.x @ found.thetas[:, :-n_raw].reshape(len(found.thetas), -1, n_raw) + found.thetas[:, None, -n_raw:]
        errors = np.square(self.target.scale[0] * (raw - rows.y)).mean(axis=2)
        return np.average(errors, axis=1, weights=rows.w)


def _linear_data(estimator: FeedForwardEstimator, X: Any, y: Any, sample_weight: Any) -> _LinearData:
    est = clone(estimator)
    output, inputs, target, rows, _ = encoded(est, X, y, sample_weight)
    return _LinearData(est, Network((), output), inputs, target, rows, est._options(0, inputs, 0.0))


def _solved(data: _LinearData, plan: _Plan) -> LinearPath:
    return linear_path(
        data.network,
        data.rows,
        resolve(data.options, len(data.rows)),
        plan.penalty,
        plan.falling,
        n_strengths=plan.n_strengths or LINEAR_STRENGTHS,
        ratio=plan.ratio or (RIDGE_RATIO if plan.penalty == "l2" else LINEAR_RATIO),
        l1_ratio=plan.l1_ratio,
    )


def _described(data: _LinearData, plan: _Plan, found: LinearPath) -> PenaltyPath:
    encoder = data.inputs.encoder
    pairs = [own_coefficients(data.network, encoder, data.target, theta) for theta in found.thetas]
    coef, intercept = np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
    if coef.shape[1] == 1:
        coef, intercept = coef[:, 0], intercept[:, 0]
    missing = indicators(encoder)
    names = tuple(f"{n} missing" if m else n for n, m in zip(encoder.feature_names, missing, strict=True))
    if not data.inputs.named and not missing.any():
        names = encoder.columns
    return PenaltyPath(
        plan.penalty,
        found.strengths,
        coef,
        intercept,
        names,
        encoder.columns,
        np.asarray(encoder.groups),
        found.residuals,
        found.losses,
        found.largest,
    )


def _deep(
    estimator: FeedForwardEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    plan: _Plan,
    watch: Callable[[int, FeedForwardEstimator], None],
) -> PenaltyPath:
    if plan.l1_ratio is not None:
        raise OptionError("l1_ratio is for linear models; set l2 of the estimator")
    rising = None if plan.strengths is None else plan.falling[::-1]  # type: ignore[index]
    if rising is None:
        n, ratio = plan.n_strengths or DEEP_STRENGTHS, plan.ratio or DEEP_RATIO
        largest = largest_of_linear(estimator, X, y, sample_weight, plan.penalty)
        rising = largest * ratio ** (1.0 - np.arange(MOST_DEEP * n) / (n - 1.0))
    points = deep_path(estimator, X, y, sample_weight, plan.penalty, rising, watch, stop=plan.strengths is None)[::-1]
    encoder = points[0].inputs.encoder
    strengths = np.array([p.strength for p in points])
    return PenaltyPath(
        plan.penalty,
        strengths,
        np.stack([p.norms for p in points]),
        np.zeros((len(points), 0)),
        tuple(encoder.feature_names),
        encoder.columns,
        np.asarray(encoder.groups),
        np.array([p.residual for p in points]),
        np.array([p.loss for p in points]),
        float(strengths[0]),
        deep=True,
    )


class PathCV(Chosen):
    """A model whose penalty is chosen by cross-validation along the path, as LassoCV does it for the lasso.

    Parameters
    ----------
    estimator : LinearRegression, LogisticRegression, FeedForwardRegressor or FeedForwardClassifier
    penalty, strengths, n_strengths, ratio, l1_ratio
        As in `penalty_path`.
    cv : int, splitter or list of (train, test), optional
        As in scikit-learn; 5 folds by default.
    rule : {"best", "one_se"}
        The strength with the smallest mean loss, or the largest whose mean loss is within one standard error of it
        (Breiman, Friedman, Olshen & Stone 1984).
    n_jobs : int, optional
        Folds side by side.

    Attributes
    ----------
    alphas_ : array of shape (n_strengths,)
        Strengths, falling.
    alpha_, alpha_best_, alpha_one_se_ : float
        The strength that was chosen, and those of either rule.
    coef_path_, intercept_path_ : arrays
        See `PenaltyPath`.
    loss_path_ : array of shape (n_strengths, n_folds)
        Mean squared error of linear regression (as LassoCV's ``mse_path_``), else negative log-likelihood, of the rows
        held out.
    mean_loss_, std_error_ : array of shape (n_strengths,)
    path_ : PenaltyPath
        Of all rows.
    dropped_ : list of str
        Columns that the chosen model does not use: all their weights are zero.
    best_estimator_ : estimator
        Fitted to all rows with the chosen strength.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import chainrule as cr
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = cr.PathCV(cr.LinearRegression(), rule="one_se").fit(X, y)
    >>> model.dropped_
    ['age', 's2', 's4', 's6']
    """

    def __init__(
        self,
        estimator: Any,
        penalty: str = "l1",
        *,
        strengths: Any = None,
        n_strengths: int | None = None,
        ratio: float | None = None,
        l1_ratio: float | None = None,
        cv: Any = None,
        rule: str = "best",
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.penalty = penalty
        self.strengths = strengths
        self.n_strengths = n_strengths
        self.ratio = ratio
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.rule = rule
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Follow the path on all rows and on each fold's, choose a strength, and fit it to all rows.

        Parameters
        ----------
        X, y, sample_weight
            As in the estimator's ``fit``. Rows of weight zero are left out before folds are made, unless `cv` numbers
            the rows.
        """
        if self.rule not in ("best", "one_se"):
            raise OptionError(f"rule must be 'best' or 'one_se', got {self.rule!r}")
        if y is None:
            raise ValueError("PathCV requires y to be passed, but the target y is None")
        plan = _Plan(self.penalty, self.strengths, self.n_strengths, self.ratio, self.l1_ratio)  # type: ignore[arg-type]
        estimator = clone(self.estimator)
        deep = bool(estimator._layers())
        if deep:
            estimator.set_params(random_state=seed_of_state(estimator.random_state))
        X, y, weights, folds = folds_of(estimator, self.cv, X, y, sample_weight)
        path = penalty_path(estimator, X, y, **vars(plan), sample_weight=weights)
        shared = replace(plan, strengths=path.strengths)

        def one(fold: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            train, test = (rows_of(X, y, weights, part) for part in fold)
            if not deep:
                data = _linear_data(estimator, *train)
                return data.held_out_loss(_solved(data, shared), *test)
            losses = np.zeros(len(path.strengths))

            def score(at: int, fitted: FeedForwardEstimator) -> None:
                codes = fitted._encode_target(test[1])
                log = fitted.predict_dist(test[0]).log_score(codes[:, 0] if codes.shape[1] == 1 else codes)
                losses[-1 - at] = -np.average(np.reshape(log, (len(codes), -1)).sum(axis=1), weights=test[2])

            _deep(estimator, *train, shared, score)
            return losses

        self.loss_path_ = np.stack(side_by_side(one, folds, threads_of(self.n_jobs) or 1, "chainrule fold"), axis=1)
        self.path_, self.alphas_ = path, path.strengths
        self.coef_path_, self.intercept_path_ = path.coef, path.intercept
        self.mean_loss_ = self.loss_path_.mean(axis=1)
        n = self.loss_path_.shape[1]
        self.std_error_ = self.loss_path_.std(axis=1, ddof=min(1, n - 1)) / np.sqrt(n)
        best = int(np.argmin(self.mean_loss_))
        near = int(np.argmax(self.mean_loss_ <= self.mean_loss_[best] + self.std_error_[best]))
        self.alpha_best_, self.alpha_one_se_ = float(self.alphas_[best]), float(self.alphas_[near])
        self.alpha_ = self.alpha_best_ if self.rule == "best" else self.alpha_one_se_
        if deep:  # the solution depends on the way there
            way = self.alphas_[self.alphas_ <= self.alpha_]
            _deep(estimator, X, y, weights, replace(plan, strengths=way), self._keep)
        else:
            share = 1.0 if self.l1_ratio is None else self.l1_ratio
            chosen = {self.penalty: share * self.alpha_}
            if self.l1_ratio is not None:
                chosen["l2"] = (1.0 - share) * self.alpha_
            self.best_estimator_ = estimator.set_params(**chosen).fit(X, y, sample_weight=weights)
        self.dropped_ = path.dropped(self.alpha_)
        return self

    def _keep(self, at: int, fitted: FeedForwardEstimator) -> None:
        self.best_estimator_ = fitted


__all__ = ["PathCV", "PenaltyPath", "penalty_path"]
