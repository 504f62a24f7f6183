"""How good predictions are: scores of predictive distributions against what came true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.outputs import Distribution
from chainrule.outputs.moments import square

#: what each score means, and whether larger is better
MEANINGS: Mapping[str, tuple[str, bool]] = {
    "accuracy": ("share of rows whose most probable class is right", True),
    "log-loss": ("mean of -log p(class), in nats", False),
    "R²": ("share of the target's variance explained by the mean", True),
    "RMSE": ("root of the mean squared error of the mean", False),
    "NLL": ("mean of -log p(target), in nats, target in its own units", False),
    "CRPS": ("continuous ranked probability score, in the target's units", False),
    "cover 90%": ("share of rows inside their 90 % interval; 0.9 is right", True),
}


def scores(
    distribution: Distribution,
    y: np.ndarray,
    task: str,
    weights: np.ndarray | None = None,
    intervals: Callable[[float], np.ndarray] | None = None,
) -> dict[str, float]:
    """Scores of predictions.

    Parameters
    ----------
    distribution : Distribution
    y : array of shape (n_rows, n_targets)
        Class codes, or numbers in their own units.
    task : {"binary", "classes", "numeric"}
    weights : array of shape (n_rows,), optional
    intervals : callable, optional
        From a coverage to intervals, where they are not the distribution's own: those of a conformal calibration.

    Returns
    -------
    dict
        By the names of `MEANINGS`; several targets are averaged, log-likelihoods added up.
    """
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)

    def power_mean(values: Any, power: int = 1) -> float:
        """Over rows and targets; in units of the largest value, so that no square or sum overflows."""
        values = np.asarray(values, np.float64).reshape(len(y), -1)
        unit = float(np.max(np.abs(values), initial=0.0))
        if not 0.0 < unit < np.inf:
            unit = 1.0
        per_row = np.mean((values / unit) ** power, axis=1)
        return unit * float(np.average(per_row, weights=w)) ** (1 / power)

    target = y[:, 0] if y.shape[1] == 1 else y
    nll = -np.asarray(distribution.log_score(target)).reshape(len(y))
    if task != "numeric":
        p = np.asarray(distribution.mean())
        right = np.argmax(p, axis=1) == target if task == "classes" else (p > 0.5) == (target > 0.5)
        return {"accuracy": power_mean(right), "log-loss": float(np.average(nll, weights=w))}
    error = np.asarray(distribution.mean()) - target
    center = np.array([power_mean(column) for column in y.T])
    rmse, deviation = power_mean(error, 2), power_mean(y - center, 2)
    interval = np.asarray((intervals or distribution.interval)(0.9))
    inside = (interval[..., 0] <= target) & (target <= interval[..., 1])
    return {
        "R²": 1.0 - float(square(rmse / deviation)) if deviation > 0 else float("nan"),
        "RMSE": rmse,
        "NLL": float(np.average(nll, weights=w)),
        "CRPS": power_mean(distribution.crps(target)),
        "cover 90%": power_mean(inside),
    }
