"""Cross-validated search with successive halving on epochs: many trainings side by side, each as it were alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.chosen import Chosen
from chainrule.estimators.folds import encoded, folds_of, rows_of
from chainrule.estimators.parameters import check_number, check_parameters, seed_of_state, threads_of
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.calibrate import calibrated
from chainrule.models.fit import candidates, finish, resolve, seed_of
from chainrule.models.inputs import Inputs
from chainrule.models.model import Model
from chainrule.models.search import Trial, at_best, grid, rungs, successive_halving
from chainrule.native.threads import available_cores
from chainrule.networks import Network
from chainrule.outputs import Output
from chainrule.tables import TargetEncoder

#: parameters that change what rows are encoded as: trials that differ in them share no folds
ENCODING = ("output", "loss", "class_weight", "dtype", "fit_intercept", "standardize")
#: parameters that can be searched
SEARCHED = (
    *ENCODING,
    *("hidden_layer_sizes", "activation", "embedding", "optimizer", "learning_rate_init", "batch_size"),
    *("l1", "l2", "group_l1", "max_iter", "tol", "n_iter_no_change", "early_stopping", "validation_fraction"),
    *("shuffle", "random_state", "calibrate", "network"),
)


@dataclass(frozen=True)
class _Fold:
    """Rows of one fold, encoded once for all trials."""

    estimator: FeedForwardEstimator
    output: Output
    inputs: Inputs
    target: TargetEncoder
    rows: Rows
    codes: np.ndarray
    held_out: tuple[Any, Any, np.ndarray | None]

    def member(self, settings: Mapping[str, Any]) -> FeedForwardEstimator:
        """The estimator with a trial's settings, a single network."""
        member = copy.copy(self.estimator).set_params(**settings)
        check_parameters(member._setting)
        return member

    def training(self, settings: Mapping[str, Any]) -> Training:
        """What ``fit`` with these settings would train."""
        member = self.member(settings)
        seed = member._seed()
        rows, validation = member._parts(self.rows, self.codes, seed)[0]
        options = member._options(seed, self.inputs, member._shift(self.output, self.target))
        network = candidates(Network(member._layers(), self.output), [(rows, validation)], options)[0]
        own = replace(resolve(options, len(rows)), seed=seed_of(seed, 0, 0), threads=1)
        return Training(network, rows, own, validation)

    def score(self, training: Training, settings: Mapping[str, Any], scorer: Any) -> float:
        """Of the rows held out, as ``fit`` with these settings would predict them."""
        fitted = self.member(settings)

        def model(t: Training) -> Model:
            made = finish(t.network, self.inputs, self.target, [t], {})
            return calibrated(made, [t], fitted._setting("calibrate"))

        fitted.trainings_ = [training]
        fitted.model_ = at_best(training, model)
        X, y, weights = self.held_out
        if weights is None:
            return float(scorer(fitted, X, y))
        try:
            return float(scorer(fitted, X, y, sample_weight=weights))
        except TypeError as error:
            raise OptionError(
                f"scoring={scorer!r} takes no sample_weight ({error}); choose one that does, or fit without weights"
            ) from error


class SearchCV(Chosen):
    """Cross-validated search over the parameters of an estimator, with successive halving on epochs.

    All trials are trained side by side for few epochs; the best third goes on, from where it stopped, for three times
    as many, and so on; the last ones are trained to their end. Every training has the same bits as ``fit`` of the
    estimator with these parameters on the fold's rows (and a single network). Trials whose networks have the same
    shape share compiled code.

    Parameters
    ----------
    estimator : FeedForwardRegressor, FeedForwardClassifier, LinearRegression or LogisticRegression
        Trials use one network each, without a trial of embeddings or outputs (``"auto"`` counts as ``"none"`` and as
        ``"gaussian"``); the best parameters are then fitted with `n_members`, `embedding` and `output` as given.
    param_grid : dict of lists
        Values to try by parameter; ``random_state`` for seeds.
    n_trials : int, optional
        At most so many of the combinations, drawn at random.
    factor : float or None
        Of how many trials one goes on; None: all are trained to the end, as in GridSearchCV.
    scoring : str or callable, optional
        As in scikit-learn; the estimator's ``score`` by default.
    cv : int, splitter or list of (train, test), optional
        As in scikit-learn; 5 folds by default.
    n_jobs : int, optional
        Trainings side by side; as many as there are cores by default.
    random_state : int, optional
        For `n_trials`.

    Attributes
    ----------
    best_params_, best_score_, best_index_, cv_results_, n_splits_, refit_time_
        As in scikit-learn's searches. Of ``cv_results_``, ``iter`` is how often a trial was compared and
        ``n_resources`` the epochs that its folds were trained; scores are those of the last comparison.
    best_estimator_ : estimator
        Fitted to all rows.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> import chainrule as cr
    >>> X, y = load_wine(return_X_y=True)
    >>> est = cr.FeedForwardClassifier((16,), n_members=1, random_state=0, max_iter=30)
    >>> search = cr.SearchCV(est, {"learning_rate_init": [1e-5, 1e-2], "l2": [0.0, 1e-3]}, cv=3).fit(X, y)
    >>> search.best_params_["learning_rate_init"]
    0.01
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        n_trials: int | None = None,
        factor: float | None = 3,
        scoring: Any = None,
        cv: Any = None,
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_trials = n_trials
        self.factor = factor
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search, and fit the best parameters to all rows.

        Parameters
        ----------
        X, y, sample_weight
            As in the estimator's ``fit``; scores are weighted, too. Rows of weight zero are left out before folds are
            made, unless `cv` numbers the rows.
        """
        if y is None:
            raise ValueError("SearchCV requires y to be passed, but the target y is None")
        estimator = clone(self.estimator)
        settings = self._settings(estimator)
        if "random_state" in estimator.get_params():  # one seed for all
            estimator.set_params(random_state=seed_of_state(estimator.random_state))
        X, y, weights, splits = folds_of(estimator, self.cv, X, y, sample_weight)
        scorer = check_scoring(estimator, self.scoring)
        encodings: list[tuple[dict[str, Any], list[_Fold]]] = []  # values need not be hashable

        def folds_for(settings: Mapping[str, Any]) -> list[_Fold]:
            own = {name: value for name, value in settings.items() if name in ENCODING}
            for known, folds in encodings:
                if known == own:
                    return folds
            fitted = clone(estimator).set_params(**own)
            encodings.append((own, [_fold(fitted, X, y, weights, *split) for split in splits]))
            return encodings[-1][1]

        trials = [Trial(s, [fold.training(s) for fold in folds_for(s)]) for s in settings]
        whole = any(t.options.optimizer.full_batch for trial in trials for t in trial.trainings)
        longest = max(t.options.max_epochs for trial in trials for t in trial.trainings)
        plan = rungs(len(trials), longest, None if whole else self.factor)
        best = successive_halving(
            trials,
            lambda trial, k: folds_for(trial.settings)[k].score(trial.trainings[k], trial.settings, scorer),
            plan,
            threads_of(self.n_jobs) or available_cores(),
        )
        self.n_splits_, self.scorer_ = len(splits), scorer
        self.best_index_ = next(k for k, trial in enumerate(trials) if trial is best)
        self.best_params_, self.best_score_ = dict(best.settings), best.score
        self.cv_results_ = _results(trials, best)
        began = time.perf_counter()
        self.best_estimator_ = estimator.set_params(**best.settings).fit(X, y, sample_weight=weights)
        self.refit_time_ = time.perf_counter() - began
        return self

    def _settings(self, estimator: FeedForwardEstimator) -> list[dict[str, Any]]:
        """The trials' parameters.

        Raises
        ------
        OptionError
            If there is nothing to try, or a parameter cannot be searched.
        """
        if not isinstance(estimator, FeedForwardEstimator):
            raise OptionError(
                f"SearchCV trains chainrule's estimators, got a {type(estimator).__name__}; for a pipeline use one of "
                "scikit-learn's searches"
            )
        space = dict(self.param_grid)
        for name, values in space.items():
            if name not in SEARCHED or name not in estimator.get_params():
                known = ", ".join(n for n in SEARCHED if n in estimator.get_params())
                raise OptionError(f"SearchCV cannot search {name!r}; it can {known}")
            if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)) or not len(values):
                raise OptionError(f"param_grid[{name!r}] must be a list of values, got {values!r}")
        found = grid({name: list(values) for name, values in space.items()})
        if self.n_trials is not None:
            check_number("n_trials", self.n_trials, 1, True)
            rng = np.random.default_rng(seed_of_state(self.random_state))
            found = [found[k] for k in np.sort(rng.permutation(len(found))[: self.n_trials])]
        return found


def _fold(
    estimator: FeedForwardEstimator, X: Any, y: Any, weights: np.ndarray | None, train: np.ndarray, test: np.ndarray
) -> _Fold:
    """Encode a fold's training rows as the estimator's ``fit`` does."""
    single: dict[str, Any] = {"n_members": 1, "n_starts": 1, "warm_start": False}
    if estimator.get_params().get("embedding") == "auto":
        single["embedding"] = "none"
    est = clone(estimator)
    est.set_params(**{k: v for k, v in single.items() if k in est.get_params()})
    return _Fold(est, *encoded(est, *rows_of(X, y, weights, train)), rows_of(X, y, weights, test))


def _results(trials: Sequence[Trial], best: Trial) -> dict[str, Any]:
    """``cv_results_``, as scikit-learn's searches have it."""
    order = sorted(range(len(trials)), key=lambda k: (trials[k] is not best, -trials[k].rung, -trials[k].score))
    rank = np.empty(len(trials), int)
    rank[order] = np.arange(1, len(trials) + 1)
    scores = np.stack([trial.scores for trial in trials])
    results: dict[str, Any] = {"params": [dict(trial.settings) for trial in trials]}
    for name in trials[0].settings:
        column = np.empty(len(trials), object)
        column[:] = [trial.settings[name] for trial in trials]
        results[f"param_{name}"] = np.ma.masked_array(column, mask=False)
    results |= {f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])}
    with np.errstate(invalid="ignore"):  # of trials that diverged
        results |= {"mean_test_score": scores.mean(axis=1), "std_test_score": scores.std(axis=1)}
    results["rank_test_score"] = rank
    results["iter"] = np.array([trial.rung for trial in trials])
    results["n_resources"] = np.array([trial.epochs for trial in trials])
    return results


__all__ = ["SearchCV"]
