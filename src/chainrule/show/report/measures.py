"""Scores with their standard errors, from what each row contributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.outputs import Distribution
from chainrule.show.leaks import largest


@dataclass(frozen=True)
class Measure:
    """A score.

    Parameters
    ----------
    value : float
        As `chainrule.models.scores.scores` gives it.
    error : float
        Its standard error over the rows.
    rows : array of shape (n_rows,)
        What each row contributes to the mean behind it.
    """

    value: float
    error: float
    rows: np.ndarray


def mean_and_error(values: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its standard error, ``sqrt(Σ w² (v - mean)²) / Σ w`` with Bessel's factor n / (n - 1).

    Cochran (1977), *Sampling Techniques*: the ratio estimator's linearised variance.
    """
    share, unit = w / np.sum(w), largest(values)
    scaled = values / unit  # so that no square overflows
    mean = float(share @ scaled)
    n = np.count_nonzero(w)
    if n < 2 or not np.isfinite(mean):
        return mean * unit, float("nan")
    return mean * unit, unit * float(np.sqrt(n / (n - 1) * np.sum(np.square(share * (scaled - mean)))))


def measures(
    distribution: Distribution,
    y: np.ndarray,
    task: str,
    w: np.ndarray,
    intervals: Callable[[float], np.ndarray] | None = None,
) -> dict[str, Measure]:
    """Scores of one target's predictions.

    Standard errors of RMSE and R² are those of the mean squared error by the delta method, the target's variance taken
    as known.

    Parameters
    ----------
    distribution : Distribution
        Of shape (n_rows,).
    y, w : arrays of shape (n_rows,)
    task : {"binary", "classes", "numeric"}
    intervals : callable, optional
        From a coverage to intervals, where they are not the distribution's own.
    """

    def mean(values: np.ndarray) -> Measure:
        return Measure(*mean_and_error(np.asarray(values, np.float64), w), np.asarray(values, np.float64))

    loss = -np.asarray(distribution.logpdf(y))
    if task != "numeric":
        p = np.asarray(distribution.mean())
        right = np.argmax(p, axis=1) == y if task == "classes" else (p > 0.5) == (y > 0.5)
        return {"accuracy": mean(right), "log-loss": mean(loss)}
    error = np.asarray(distribution.mean()) - y
    deviation = y - mean_and_error(y, w)[0]
    unit = max(largest(error), largest(deviation))
    squared = mean(np.square(error / unit))
    variance = mean_and_error(np.square(deviation / unit), w)[0]
    root = float(np.sqrt(squared.value))
    ratio = (1.0 - squared.value / variance, squared.error / variance) if variance > 0.0 else (np.nan, np.nan)
    width = squared.error / (2.0 * root) if root > 0.0 else 0.0
    interval = (intervals or distribution.interval)(0.9)
    return {
        "R²": Measure(float(ratio[0]), float(ratio[1]), squared.rows),
        "RMSE": Measure(unit * root, unit * width, squared.rows),
        "NLL": mean(loss),
        "CRPS": mean(distribution.crps(y)),
        "cover 90%": mean((interval[:, 0] <= y) & (y <= interval[:, 1])),
    }


def difference(one: Measure, other: Measure, w: np.ndarray) -> tuple[float, float]:
    """Mean difference of two models on the same rows, and its standard error."""
    return mean_and_error(one.rows - other.rows, w)
