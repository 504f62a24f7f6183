"""What validation rows taught about the spread of predictions, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import ModelFileError
from chainrule.models.stored import CalibrationRecord
from chainrule.outputs import Distribution
from chainrule.outputs.calibration import NARROWEST, WIDEST, conformal_margin, with_spread


@dataclass(frozen=True)
class Calibration:
    """What is changed about predictions.

    Parameters
    ----------
    spread : float
        Factor of `with_spread`: of standard deviations, or a temperature of class probabilities.
    levels : array of shape (n_targets, n_rows)
        Coverage at which the central interval just reaches each row's target, in [0, 1], and the rows' weights; empty
        for intervals as the distributions have them.
    weights : array of shape (n_rows,)
    """

    spread: float
    levels: np.ndarray
    weights: np.ndarray

    def distribution(self, predicted: Distribution) -> Distribution:
        """The distribution with the spread that is right."""
        return predicted if self.spread == 1.0 else with_spread(predicted, self.spread)

    def nominal(self, coverage: float) -> list[float]:
        """For each target the probability of the central interval that covers as asked; 1 is the whole support."""
        nothing = np.zeros((len(self.weights), 2))
        margins = [float(conformal_margin(nothing, each, coverage, self.weights)) for each in self.levels]
        return [min(margin, 1.0) for margin in margins]

    def interval(self, predicted: Distribution, coverage: float) -> np.ndarray:
        """Central intervals; with levels, those that contain a new target with at least this probability.

        Split-conformal: rows that were not trained on and the new one are exchangeable, so its level is among theirs
        (Vovk, Gammerman & Shafer 2005, *Algorithmic Learning in a Random World*; of levels of the predicted
        distribution: Chernozhukov, Wüthrich & Zhu 2021, "Distributional conformal prediction"). With too few rows for a
        coverage the interval is the whole support.
        """
        if not self.levels.size or not 0.0 < coverage < 1.0:
            return np.asarray(predicted.interval(coverage))
        nominal = self.nominal(coverage)
        parts = [predicted] if len(nominal) == 1 else [predicted.target(k) for k in range(len(nominal))]
        found = [np.asarray(d.interval(p)) for d, p in zip(parts, nominal, strict=True)]
        return found[0] if len(found) == 1 else np.stack(found, axis=1)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"spread": self.spread, "levels": self.levels.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, record: CalibrationRecord | None, n_targets: int) -> Calibration | None:
        """The calibration of `to_json`'s record, as a model file has it.

        Raises
        ------
        ModelFileError
            If it is none.
        """
        if record is None:
            return None
        spread, weights = record.spread, np.array(record.weights, np.float64)
        levels = np.array(record.levels, np.float64)
        fits = levels.shape in ((n_targets, len(weights)), (0,)) and weights.ndim == 1
        right = np.isfinite(levels).all() and np.isfinite(weights).all() and (weights >= 0).all()
        if not fits or not right or not NARROWEST / 2 < spread < 2 * WIDEST or (levels < 0).any() or (levels > 1).any():
            raise ModelFileError("the calibration is not as it must be")
        return cls(spread, levels, weights)


__all__ = ["Calibration"]
