"""Columns that alone predict the target almost perfectly: they may be known only once the target is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from chainrule.models.table import TableFit

#: a column that alone predicts so well is suspected of knowing the target: skill, and rank correlation
LEAK_SKILL, LEAK_RANK = 0.98, 0.99
#: rows looked at
MOST_ROWS = 20_000
#: intervals of a one-column model, and rows in each at least
BINS, BIN_ROWS = 64, 5
#: rows below which a rank correlation says little
ENOUGH = 20


@dataclass(frozen=True)
class Leak:
    """A column, and how well it alone predicts a target.

    Parameters
    ----------
    column, target : str
    skill : float
        On new rows, see `one_column_skill`.
    rank : float
        Spearman's correlation with the target; 0 of categories and classes.
    """

    column: str
    target: str
    skill: float
    rank: float


def leaks(
    known: tuple[np.ndarray, np.ndarray],
    judged: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    kinds: Sequence[str],
    targets: Sequence[str],
    task: str,
) -> list[Leak]:
    """Find the columns whose one-column model is too good, on new rows and on its own.

    Parameters
    ----------
    known, judged : (array of shape (n_rows, n_columns), array of shape (n_rows, n_targets))
        Raw columns and targets, to learn from and to judge by.
    names, kinds : sequence of str
        Of the columns.
    targets : sequence of str
    task : {"binary", "classes", "numeric"}
    """
    classes = task != "numeric"
    found = []
    for k, target in enumerate(targets):
        for j, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            categorical = kind == "categorical"
            x_unit, y_unit = (
                1.0 if categorical else largest(known[0][:, j]),
                1.0 if classes else largest(known[1][:, k]),
            )
            old, new = ((x[:, j] / x_unit, y[:, k] / y_unit) for x, y in (known, judged))
            skill, own = (
                one_column_skill(*old, *rows, categorical=categorical, classes=classes) for rows in (new, old)
            )
            rank = 0.0 if categorical or classes else rank_correlation(*new)
            if min(skill, own) >= LEAK_SKILL or (abs(rank) >= LEAK_RANK and len(judged[0]) >= ENOUGH):
                found.append(Leak(name, target, skill, rank))
    return found


def leaks_of_table(fitted: TableFit) -> list[Leak]:
    """`leaks` of a fit to a table."""
    encoder, target = fitted.model.inputs.encoder, fitted.model.target

    def some(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(rows) > MOST_ROWS:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ROWS])
        frame = fitted.frame[rows]
        return encoder.to_matrix(frame), target.to_array(frame)

    names = [encoding.name for encoding in encoder.encodings]
    kinds = [type(encoding).__name__.lower() for encoding in encoder.encodings]
    return leaks(some(fitted.known), some(fitted.judged), names, kinds, target.names, target.task)


def largest(values: np.ndarray) -> float:
    """The largest magnitude among finite values, as a unit: 1 where that is 0."""
    there = np.abs(values[np.isfinite(values)])
    return float(np.max(there, initial=0.0)) or 1.0


def one_column_skill(
    x: np.ndarray, y: np.ndarray, x_new: np.ndarray, y_new: np.ndarray, *, categorical: bool, classes: bool
) -> float:
    """How well one column alone predicts new rows: 1 is perfectly, 0 no better than without it.

    The model is the mean of the target (or its commonest class) in each category, or in intervals of equal numbers of
    rows, between whose centers numbers are interpolated. The skill of numbers is R², of classes the share of errors of
    the commonest class that it avoids (Goodman & Kruskal 1954, λ).

    Parameters
    ----------
    x, y : arrays of shape (n_rows,)
        To learn from; NaN is missing.
    x_new, y_new : arrays of shape (n_new,)
    """
    guess = _mode(y) if classes else float(np.mean(y))
    spread = np.mean(y_new != guess) if classes else np.mean(np.square(y_new - guess))
    if not spread > 0.0:
        return 0.0
    there, there_new = ~np.isnan(x), ~np.isnan(x_new)
    predicted = np.full(len(x_new), guess)
    if not there.all():
        predicted[~there_new] = _mode(y[~there]) if classes else float(np.mean(y[~there]))
    x, y, fresh = x[there], y[there], x_new[there_new]
    if len(x):
        predicted[there_new] = _follow(x, y, fresh, categorical, classes, guess)
    wrong = np.mean(predicted != y_new) if classes else np.mean(np.square(predicted - y_new))
    return float(1.0 - wrong / spread)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's ρ of the rows where x is there; 0 where it says nothing."""
    there = ~np.isnan(x)
    a, b = _ranks(x[there]), _ranks(y[there])
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - 0.5 * (count - 1))[place]


def _follow(
    x: np.ndarray, y: np.ndarray, fresh: np.ndarray, categorical: bool, classes: bool, guess: float
) -> np.ndarray:
    """Predictions of the one-column model, no value missing."""
    values, code = np.unique(x, return_inverse=True)
    few = len(values) <= BINS or categorical
    if not few:
        bins = max(2, min(BINS, len(x) // BIN_ROWS))
        edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
        code = np.searchsorted(edges, x, side="right")
        where = np.searchsorted(edges, fresh, side="right")
        size = len(edges) + 1
    else:
        size = len(values)
        where = np.minimum(np.searchsorted(values, fresh), size - 1)
    count = np.bincount(code, minlength=size)
    if classes:
        table = np.array([_mode(y[code == k]) if count[k] else guess for k in range(size)])
        return np.where(few & (values[where] != fresh), guess, table[where]) if few else table[where]
    means = np.where(count > 0, np.bincount(code, y, size) / np.maximum(count, 1), guess)
    if categorical:
        return np.where(values[where] == fresh, means[where], guess)
    middle = np.bincount(code, x, size) / np.maximum(count, 1)
    return np.interp(fresh, middle[count > 0], means[count > 0])


def _mode(codes: np.ndarray) -> float:
    values, counts = np.unique(codes, return_counts=True)
    return float(values[np.argmax(counts)])
