"""How good predictions are: scores of predictive distributions against what came true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.outputs import Distribution

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


def scores(distribution: Distribution, y: np.ndarray, task: str, weights: np.ndarray | None = None) -> dict[str, float]:
    """Scores of predictions.

    Parameters
    ----------
    distribution : Distribution
    y : array of shape (n_rows, n_targets)
        Class codes, or numbers in their own units.
    task : {"binary", "classes", "numeric"}
    weights : array of shape (n_rows,), optional

    Returns
    -------
    dict
        By the names of `MEANINGS`; several targets are averaged, log-likelihoods added up.
    """
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)

    def mean(values: Any) -> float:
        values = np.asarray(values, np.float64)
        per_row = values.reshape(len(y), -1).mean(axis=1)
        return float(np.average(per_row, weights=w))

    target = y[:, 0] if y.shape[1] == 1 else y
    nll = -np.asarray(distribution.log_score(target)).reshape(len(y))
    if task != "numeric":
        p = np.asarray(distribution.mean())
        right = np.argmax(p, axis=1) == target if task == "classes" else (p > 0.5) == (target > 0.5)
        return {"accuracy": mean(right), "log-loss": float(np.average(nll, weights=w))}
    error = np.asarray(distribution.mean()) - target
    center = np.average(target, axis=0, weights=w)
    total = mean(np.square(target - center))
    interval = np.asarray(distribution.interval(0.9))
    inside = (interval[..., 0] <= target) & (target <= interval[..., 1])
    return {
        "R²": 1.0 - mean(np.square(error)) / total if total > 0 else float("nan"),
        "RMSE": mean(np.square(error)) ** 0.5,
        "NLL": float(np.average(nll, weights=w)),
        "CRPS": mean(distribution.crps(target)),
        "cover 90%": mean(inside),
    }
