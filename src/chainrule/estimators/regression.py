"""What regressors share: numbers as target, and the whole predictive distribution."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, column_or_1d

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator, named_output
from chainrule.models.inputs import numeric_target
from chainrule.outputs import Gaussian, Output
from chainrule.tables import TargetEncoder
from chainrule.tables.target import FARTHEST_TARGET


class RegressionEstimator(RegressorMixin, FeedForwardEstimator):
    """Base of the regressors."""

    def predict(self, X: Any) -> np.ndarray:
        """Mean of the predictive distribution (median for quantile output), in the target's own units.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
        """
        return self._read(X, lambda d: self.model_.middle(d))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Central interval of each row's distribution; with ``calibrate="conformal"`` one that covers as asked.

        Returns
        -------
        array of shape (n_samples, 2) or (n_samples, n_targets, 2)
        """
        if not _is_probability(coverage):
            raise OptionError(f"coverage must be a number between 0 and 1, such as 0.9; got {coverage!r}")
        return self._read(X, lambda d: self.model_.interval(d, coverage))

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Quantiles of each row's distribution.

        Returns
        -------
        array of shape (n_samples, n_quantiles) or (n_samples, n_targets, n_quantiles)
        """
        levels = np.ravel(np.asarray(quantiles, object))
        if not all(_is_probability(q) and 0.0 < q < 1.0 for q in levels):
            raise OptionError(f"quantiles must be numbers between 0 and 1, such as [0.1, 0.9]; got {levels.tolist()}")
        return self._read(X, lambda d: d.quantiles(quantiles))

    # -- targets

    def _read_target(self, y: Any) -> np.ndarray:
        y = self._encode_target(y)
        self._one_dimensional = np.ndim(y) == 1 or y.shape[1] == 1
        return y

    def _encode_target(self, y: Any) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", allow_nd=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.reshape(len(y), -1)
        far = np.abs(y).max(axis=1, initial=0.0) > FARTHEST_TARGET
        if far.any():
            row = int(np.flatnonzero(far)[0])
            raise OptionError(
                f"y is {y[row][np.abs(y[row]).argmax()]:g} in row {row}; numbers beyond {FARTHEST_TARGET:g} cannot be "
                "squared, divide y by a power of ten"
            )
        return y

    def _choose_output(self, y: np.ndarray) -> Output:
        # a loss of one's own says nothing about the spread, so that is one constant, from the residuals
        default = Gaussian() if self._setting("loss") is None else Gaussian(variance="constant")
        network = self._setting("network")
        given = self._setting("output")
        named = default if isinstance(given, str) and given == "gaussian" else named_output(given, default)
        output = network.output if network is not None else named
        if output.kind not in ("numeric", "count"):
            raise OptionError(f"output {output.name} is for classes; use FeedForwardClassifier, or a numeric output")
        output.check_target(y)
        return output

    def _compares_families(self) -> bool:
        named = self._setting("network") is not None or self._setting("loss") is not None
        return not named and isinstance(self._setting("output"), str) and self._setting("output") == "auto"

    def _make_target(self, output: Output, y: np.ndarray, weights: np.ndarray) -> TargetEncoder:
        names = tuple(f"y{k}" for k in range(y.shape[1])) if y.shape[1] > 1 else ("y",)
        return numeric_target(names, y, weights, output.scales_target and self._setting("loss") is None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _is_probability(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0.0 <= float(value) <= 1.0
