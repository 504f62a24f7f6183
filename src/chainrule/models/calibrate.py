"""Predictions put right on rows that were not trained on: one spread for all, or intervals with a guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.training import Training
from chainrule.models.calibration import Calibration
from chainrule.models.fit import raw_outputs
from chainrule.models.model import Model
from chainrule.outputs import Distribution, Output, mixture_of
from chainrule.outputs.calibration import fit_spread

METHODS = ("none", "scale", "conformal")
#: rows that a conformal calibration keeps at most
MOST_LEVELS = 10_000


def calibrated(model: Model, trainings: Sequence[Training], method: str) -> Model:
    """The model with its predictions put right on the members' validation rows.

    Each row is predicted by the member that has not seen it; all members together are no worse, so that an ensemble's
    intervals are rather too wide than too narrow.

    Parameters
    ----------
    model : Model
    trainings : list of Training
        Its members'.
    method : {"none", "scale", "conformal"}
        "scale": `fit_spread`. "conformal": intervals.

    Raises
    ------
    OptionError
        If there are no validation rows, or the output cannot be calibrated so.
    """
    if method not in METHODS:
        raise OptionError(f"calibrate must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "none":
        return model
    if any(t.validation is None for t in trainings):
        raise OptionError(f"calibrate={method!r} needs rows that were not trained on; leave some for validation")
    if method == "conformal" and model.target.task != "numeric":
        raise OptionError("calibrate='conformal' is about intervals of numbers; of class probabilities use 'scale'")
    predicted, y, w = _held_out(model.output, trainings)
    none = np.zeros(0)
    if method == "scale":
        return replace(model, calibration=Calibration(fit_spread(predicted, y, w), none, none))
    levels = np.abs(2.0 * predicted.pit(y) - 1.0).reshape(len(w), -1)
    some = np.arange(len(w))
    if len(w) > MOST_LEVELS:  # any but the first ones: rows may be sorted, and come member by member
        some = np.sort(np.random.default_rng(0).permutation(len(w))[:MOST_LEVELS])
    return replace(model, calibration=Calibration(1.0, levels[some].T.copy(), w[some]))


def _held_out(output: Output, trainings: Sequence[Training]) -> tuple[Distribution, np.ndarray, np.ndarray]:
    """Predictions of the validation rows, in units of the standardised target, the target, and weights."""
    judged = [t.validation for t in trainings if t.validation is not None]
    if len({id(rows) for rows in judged}) == 1:
        judged = judged[:1]
        predicted = mixture_of([output.distribution(raw_outputs(t, judged[0].x)) for t in trainings])
    else:
        raw = [raw_outputs(t, rows.x) for t, rows in zip(trainings, judged, strict=True)]
        predicted = output.distribution(np.concatenate(raw))
    y = np.concatenate([rows.y for rows in judged]).astype(np.float64)
    w = np.concatenate([rows.w for rows in judged]).astype(np.float64)
    return predicted, y[:, 0] if len(predicted.shape) == 1 else y, w


__all__ = ["METHODS", "calibrated"]
