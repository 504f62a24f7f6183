"""What all estimators share: parameters, reading data, fitting, prediction, files. scikit-learn's conventions hold."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule.errors import OptionError, warn_caller
from chainrule.estimators.callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from chainrule.estimators.going_on import check_same, go_on
from chainrule.estimators.parameters import check_parameters, seed_of_state, threads_of
from chainrule.learn.optimizers import LBFGS, FirstOrder, Optimizer, optimizer_of_name
from chainrule.learn.own_loss import check_reads_all
from chainrule.learn.rows import Rows, moderate
from chainrule.learn.training import Training
from chainrule.memory import check_room
from chainrule.models.calibrate import calibrated
from chainrule.models.families import fit_best_family, unscaled
from chainrule.models.fit import FitOptions, Part, auto_batch_size, finish, fit_network, hold_out, resolve, seed_of
from chainrule.models.inputs import Inputs, Scaling, log_scale
from chainrule.models.model import Model
from chainrule.models.rows import columns_of, counted_rows, equal_rows
from chainrule.models.search import at_best
from chainrule.models.table import is_table, output_of_name, table_columns, table_inputs, with_columns
from chainrule.networks import Network, hidden_layers
from chainrule.outputs import Distribution, Output
from chainrule.outputs.weighted import are_whole
from chainrule.tables import TargetEncoder

_REAL = (np.dtype(np.float64), np.dtype(np.float32))


class FeedForwardEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators; see `FeedForwardRegressor` for the parameters."""

    model_: Model
    trainings_: list[Training]
    #: seed of the first fit, which those that go on from it keep
    _began_with: int

    # -- what subclasses say

    @abstractmethod
    def _read_target(self, y: Any) -> np.ndarray:
        """Check a target and turn it into numbers or class codes, (n_rows, n_targets); sets what prediction needs."""

    @abstractmethod
    def _encode_target(self, y: Any) -> np.ndarray:
        """A further target (validation, partial_fit) as `_read_target` would, with the classes known."""

    @abstractmethod
    def _choose_output(self, y: np.ndarray) -> Output:
        """The output distribution for an encoded target."""

    @abstractmethod
    def _make_target(self, output: Output, y: np.ndarray, weights: np.ndarray) -> TargetEncoder:
        """The target's description, from the training rows."""

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Classes to keep in proportion when rows are held out."""
        return None

    def _setting(self, name: str) -> Any:
        """The value of a parameter; estimators that lack some say what it is fixed at."""
        return getattr(self, name)

    # -- fitting

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
            Numbers; NaN is missing. A sparse matrix is made dense. A data frame may also hold text, categories and
            booleans.
        y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,), optional
            Whole weights count rows: two is a row twice, zero is no row, to the last bit. Others are the rows'
            importance.
        X_val, y_val : optional
            Rows that decide when to stop, instead of a fraction of the training rows.

        Returns
        -------
        self
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        if (X_val is None) != (y_val is None):
            raise OptionError("X_val and y_val go together; give both or neither")
        check_parameters(self._setting)
        warm = bool(self._setting("warm_start")) and self._began()
        table = self._read_inputs(X, y, reset=not warm)
        codes = self._encode_target(y) if warm else self._read_target(y)
        table, codes, weights = self._weighted(table, codes, sample_weight)
        seed = self._began_with if warm else self._seed()  # so that the rows held out stay those not trained on
        output = self._known_output(codes, warm)
        if warm:
            check_same(self._setting, self.trainings_, self._layers(), self._optimizer(), output)
            inputs, target = self.model_.inputs, self.model_.target
        else:
            inputs = self._fit_inputs(table, weights)
            target = self._make_target(output, codes, weights)
        rows = self._rows(inputs, target, table, codes, weights)
        parts: list[Part]
        if X_val is not None:
            held = self._read_inputs(X_val, y_val, reset=False)
            held_codes = self._encode_target(y_val)
            if held_codes.shape[1] != codes.shape[1]:
                raise OptionError(f"y_val has {held_codes.shape[1]} target columns, y has {codes.shape[1]}")
            parts = [(rows, self._rows(inputs, target, held, held_codes, self._weights(held, held_codes, None)))]
        else:
            parts = self._parts(rows, codes, seed)
        options = self._options(seed, inputs, self._shift(output, target))
        facts: dict[str, Any] = {}
        data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        tasks = FitTasks(self, data, lambda training: self._as_if_ended(training, inputs, target))
        watch = self._watch(tasks)
        if warm:
            go_on(self.trainings_, parts, options, watch)
        else:
            self._check_loss(output, rows)
            if self._compares_families():
                best = fit_best_family(self._layers(), parts, target, options, watch)
                self.trainings_, target = best.trainings, best.target
                facts = {"output_choice": best.story}
            else:
                self.trainings_ = fit_network(Network(self._layers(), output), parts, options, watch)
        self._began_with = seed
        self._finish(inputs, target, facts)
        tasks.end()
        return self

    def _compares_families(self) -> bool:
        """Whether the output is the one that is likeliest on the validation rows."""
        return False

    def _known_output(self, codes: np.ndarray, warm: bool) -> Output:
        """The output of the parameters; where it was found by comparison, the one that training goes on with."""
        return self.trainings_[0].network.output if warm and self._compares_families() else self._choose_output(codes)

    def _began(self) -> bool:
        """Whether there is training to go on with.

        Raises
        ------
        OptionError
            If there is a model without it: that of a file, which must not be replaced by a fresh one unasked.
        """
        if hasattr(self, "model_") and not hasattr(self, "trainings_"):
            raise OptionError(
                "a model file holds no optimizer's state to go on from; fit with warm_start=False, which starts anew"
            )
        return hasattr(self, "trainings_")

    def _check_loss(self, output: Output, rows: Rows) -> None:
        loss = self._setting("loss")
        if loss is not None:
            check_reads_all(loss, output, rows.y)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        check_parameters(self._setting)
        first = not self._began()
        table = self._read_inputs(X, y, reset=first)
        codes = self._encode_target(y)
        table, codes, weights = self._weighted(table, codes, sample_weight)
        output = self._known_output(codes, not first)
        if first:
            inputs = self._fit_inputs(table, weights)
            target = self._make_target(output, codes, weights)
        else:
            check_same(self._setting, self.trainings_, self._layers(), self._optimizer(), output)
            inputs, target = self.model_.inputs, self.model_.target
        rows = self._rows(inputs, target, table, codes, weights)
        seed = self._seed() if first else self._began_with
        options = resolve(self._options(seed, inputs, self._shift(output, target)), len(rows))
        if first:
            self._check_loss(output, rows)
            network = Network(self._layers(), output)
            seeds = [seed_of(seed, member, 0) for member in range(int(self._setting("n_members")))]
            self.trainings_ = [Training(network, rows, replace(options, seed=s)) for s in seeds]
            self._began_with = seed
        else:
            for training in self.trainings_:
                kept = training.options
                size = kept.batch_size if self._setting("batch_size") == "auto" else options.batch_size
                training.resume(rows, None, replace(options, seed=kept.seed, batch_size=size))
        for training in self.trainings_:
            training.run_epoch()
            training.reason = "partial_fit trains one epoch"
        self._finish(inputs, target, {})
        return self

    def _check_partial(self) -> bool:
        """True, or the reason why a single epoch cannot do this: scikit-learn hides a method that raises here."""
        try:
            check_parameters(self._setting)
        except OptionError:
            return True  # which the call itself will say
        if not isinstance(self._optimizer(), FirstOrder):
            raise OptionError(f"partial_fit needs an optimizer of mini-batches such as 'adam', not {self.optimizer!r}")
        if self._setting("early_stopping") not in ("auto", False):
            raise OptionError("partial_fit holds no rows out; use fit, or early_stopping=False")
        if self._setting("calibrate") != "none":
            raise OptionError("partial_fit holds no rows out to calibrate on; use fit, or calibrate='none'")
        if self._setting("n_starts") > 1:
            raise OptionError("partial_fit cannot choose among n_starts trainings; use fit, or n_starts=1")
        return True

    def _read_inputs(self, X: Any, y: Any, *, reset: bool) -> Any:
        """Check X: a matrix of numbers, or a data frame where it has columns that are not numbers."""
        if y is None and not reset and self._is_plain(X):
            return X
        if issparse(X):
            X = _dense(X)
        if self._ignores_others:
            X = with_columns(X, self.feature_names_in_)
        if is_table(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        options: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
        if y is None:
            return validate_data(self, X, reset=reset, **options)
        X, _ = validate_data(self, X, y, reset=reset, multi_output=True, **options)
        return X

    def _is_plain(self, X: Any) -> bool:
        """Whether X is what `validate_data` would accept without a word: asking that takes longer than predicting."""
        if type(X) is not np.ndarray or X.dtype not in _REAL or X.ndim != 2 or hasattr(self, "feature_names_in_"):
            return False
        if not len(X) or X.shape[1] != self.n_features_in_ or not X.flags.c_contiguous:
            return False
        numbers = X.reshape(-1)
        with np.errstate(all="ignore"):
            return bool(np.isfinite(numbers @ numbers))

    _scaling: Scaling = "robust"
    #: whether data frames may have further columns, as the command line's tables
    _ignores_others = False
    #: whether rows may be held out or come in batches, for which equal ones are counted one by one
    _holds_out = True

    def _fit_inputs(self, table: Any, weights: np.ndarray) -> Inputs:
        if is_table(table):
            return table_inputs(table, weights, self._scaling)
        return Inputs.of_matrix(table, weights, getattr(self, "feature_names_in_", None), self._scaling)

    def _rows(self, inputs: Inputs, target: TargetEncoder, table: Any, codes: np.ndarray, weights: np.ndarray) -> Rows:
        dtype = self._setting("dtype")
        with np.errstate(all="ignore"):
            return Rows.of(inputs.encode_rows(table, dtype=dtype), target.standardise(codes), weights, dtype)

    def _weighted(self, table: Any, codes: np.ndarray, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        """Rows as they count, with their weights: a row of weight two is a row twice."""
        weights = self._weights(table, codes, sample_weight)
        given = np.ones(1) if sample_weight is None else np.asarray(sample_weight, np.float64)
        counts = weights if are_whole(weights) else np.broadcast_to(given, len(codes))  # those of classes need not be
        there = np.flatnonzero(weights)
        if len(there) < len(weights):
            table, codes, weights, counts = _take(table, there), codes[there], weights[there], counts[there]
        columns = table_columns(table, codes) if is_table(table) else columns_of(table, codes)
        if self._holds_out:
            chosen, weights, *_ = counted_rows(columns, weights, counts)
        else:
            chosen, weights = equal_rows(columns, weights)
        return _take(table, chosen), codes[chosen], weights

    def _weights(self, table: Any, codes: np.ndarray, sample_weight: Any) -> np.ndarray:
        n = len(codes)
        weights = _check_sample_weight(sample_weight, np.empty((n, 1)), dtype=np.float64, ensure_non_negative=True)
        if not (weights > 0).any():
            raise ValueError("sample_weight is zero for every row; there is nothing to learn from")
        return moderate(weights)

    def _parts(self, rows: Rows, codes: np.ndarray, seed: int) -> list[Part]:
        """Rows to train on and to validate with, for each member."""
        share, strata, method = self._validation_share(len(rows)), self._strata(codes), self._setting("calibrate")
        classes = f" in {len(np.unique(strata))} classes" if strata is not None else ""
        if share is None:
            if method != "none":
                raise OptionError(
                    f"calibrate={method!r} needs rows that are not trained on, and of these (n_samples={len(rows)}"
                    f"{classes}) none is held out; give early_stopping=True, X_val and y_val, or calibrate='none'"
                )
            return [(rows, None)]
        splits = hold_out(len(rows), share, seed, int(self._setting("n_members")), strata)
        if not len(splits[0][1]):
            raise OptionError(
                f"early_stopping=True holds out validation_fraction={self._setting('validation_fraction')} of "
                f"n_samples={len(rows)}{classes and classes + ', at least one of each kept'}, which is none; give a "
                "larger fraction, X_val and y_val, or early_stopping=False"
            )
        return [(rows.take(kept), rows.take(held)) for kept, held in splits]

    #: from so many rows on "auto" holds some out: each member others, so that none is lost
    _enough_to_hold_out = 10

    def _validation_share(self, n: int) -> float | None:
        share, wanted = float(self._setting("validation_fraction")), self._setting("early_stopping")
        if wanted != "auto":
            return share if wanted else None
        if not share or n < self._enough_to_hold_out or isinstance(self._optimizer(), LBFGS):
            return None
        return max(share, min(0.2, 100 / n))  # a loss over fewer than a hundred rows says little

    def _layers(self) -> tuple[Any, ...]:
        if self._setting("network") is not None:
            return self._setting("network").layers
        return hidden_layers(self._setting("hidden_layer_sizes"), self._setting("activation"))

    def _optimizer(self) -> Optimizer:
        if isinstance(self._setting("optimizer"), Optimizer):
            return self._setting("optimizer")
        return optimizer_of_name(self._setting("optimizer"), self._setting("learning_rate_init"))

    def _shift(self, output: Output, target: TargetEncoder) -> float:
        return (
            log_scale(target) if output.scales_target and output.likelihood and self._setting("loss") is None else 0.0
        )

    def _options(self, seed: int, inputs: Inputs, shift: float) -> FitOptions:
        return FitOptions(
            layers=self._layers(),
            optimizer=self._optimizer(),
            batch_size=None if self._setting("batch_size") == "auto" else int(self._setting("batch_size")),
            max_epochs=int(self._setting("max_iter")),
            tol=float(self._setting("tol")),
            patience=int(self._setting("n_iter_no_change")),
            l1=float(self._setting("l1")),
            l2=float(self._setting("l2")),
            group_l1=float(self._setting("group_l1")),
            groups=inputs.groups,
            embedding="none" if self._setting("network") is not None else str(self._setting("embedding")),
            n_members=int(self._setting("n_members")),
            n_starts=int(self._setting("n_starts")),
            seed=seed,
            shift=shift,
            shuffle=bool(self._setting("shuffle")),
            dtype=str(self._setting("dtype")),
            loss=self._setting("loss"),
            threads=threads_of(self._setting("n_jobs")),
        )

    def _seed(self) -> int:
        return seed_of_state(self._setting("random_state"))

    def _watch(self, tasks: FitTasks) -> Callable[[Training], bool | None] | None:
        """What is called after every epoch: prints where `verbose`, tells callbacks, which may end it."""
        tell = "_skl_callbacks" in vars(self)
        if not self.verbose and not tell:
            return None

        def watch(training: Training) -> bool:
            if self.verbose:
                held = f", validation {training.curves.validation[-1]:.5f}" if training.validation is not None else ""
                print(f"epoch {training.epoch}: loss {training.curves.training[-1]:.5f}{held}")
            return tell and tasks.epoch(training)

        return watch

    def _as_if_ended(self, training: Training, inputs: Inputs, target: TargetEncoder) -> dict[str, Any]:
        """What makes an estimator of one training as it is now, for callbacks that want to predict."""

        def model(training: Training) -> Model:
            taken = target if training.network.output.scales_target else unscaled(target)
            return finish(training.network, inputs, taken, [training], FeedForwardEstimator._facts(self))

        return {"trainings_": [training], "model_": at_best(training, model)}

    def _finish(self, inputs: Inputs, target: TargetEncoder, facts: Mapping[str, Any]) -> None:
        first = self.trainings_[0]
        model = finish(first.network, inputs, target, self.trainings_, {**self._facts(), **facts})
        self.model_ = calibrated(model, self.trainings_, self._setting("calibrate"))
        if self.model_.facts["spikes"]:
            warn_caller(self.model_.facts["spikes"])
        self._show()

    def _facts(self) -> dict[str, Any]:
        """What else a model file tells about the fit."""
        seen = [str(name) for name in getattr(self, "feature_names_in_", ())]
        return {"estimator": type(self).__name__, "n_features": int(self.n_features_in_), "columns": seen}

    def _show(self) -> None:
        """Set the attributes that can be read from the model, ``coefs_`` and its kin from the first member."""
        facts, network, theta = self.model_.facts, self.model_.network, self.model_.members[0].theta
        self.loss_curve_ = list(facts.get("training_loss", ()))
        self.validation_loss_curve_ = list(facts.get("validation_loss", ())) or None
        best = facts.get("best_loss")
        self.best_loss_ = np.inf if best is None else float(best)
        self.best_epoch_ = int(facts.get("best_epoch", 0))
        self.n_iter_ = int(facts.get("epochs", 0))
        self.stopped_because_ = str(facts.get("reason", ""))
        self.diagnosis_ = str(facts.get("diagnosis", ""))
        self.n_outputs_ = len(self.model_.target.names)
        if network is not None:
            pieces = network.layout(self.model_.inputs.n_features, self.n_outputs_).unflatten(theta)
            self.coefs_ = [v.copy() for k, v in pieces.items() if k.endswith(".weight")]
            self.intercepts_ = [v.copy() for k, v in pieces.items() if k.endswith(".bias")]
            self.n_layers_ = len(network.layers) + 2

    # -- prediction

    def predict_dist(self, X: Any) -> Distribution:
        """The predictive distribution of each row, in the target's own units.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_features)

        Returns
        -------
        Distribution
            Frozen: ``mean() std() var() pdf(y) logpdf(y) cdf(y) ppf(q) interval(coverage) rvs() crps(y)``.
        """
        return self.model_.distribution(self._columns(X))

    def _columns(self, X: Any) -> list[np.ndarray]:
        """What the model reads, from rows to predict."""
        if not hasattr(self, "model_"):  # what check_is_fitted asks in the end, in a tenth of the time
            check_is_fitted(self)
        return self.model_.inputs.arrays(self._read_inputs(X, None, reset=False))

    def _read(self, X: Any, value: Callable[[Distribution], np.ndarray]) -> np.ndarray:
        """Numbers of the predictive distribution of each row."""
        columns = self._columns(X)
        return self.model_.read(columns, value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file, the same as the command line's.

        Parameters
        ----------
        path : path
            Such as ``"price.chainrule"``.
        """
        check_is_fitted(self)
        self.model_.save(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


def named_output(given: Any, default: Output) -> Output:
    """The output of a name such as "mixture:5", an object as it is, or the default for "auto".

    Raises
    ------
    OptionError
        If there is no output of that name.
    """
    if isinstance(given, Output):
        return given
    if not isinstance(given, str):
        raise OptionError(f"output must be 'auto', a name or an Output such as cr.Gaussian(), got {given!r}")
    return default if given == "auto" else output_of_name(given)


def _dense(matrix: Any) -> np.ndarray:
    """A sparse matrix as networks read it, all columns of a row at once."""
    check_room(prod(matrix.shape), f"X, made dense, of shape {matrix.shape}")
    return matrix.toarray()


def _take(table: Any, rows: np.ndarray) -> Any:
    if isinstance(table, np.ndarray):
        return table[rows]
    from sklearn.utils import _safe_indexing

    return _safe_indexing(table, rows)


__all__ = ["FeedForwardEstimator", "auto_batch_size"]
