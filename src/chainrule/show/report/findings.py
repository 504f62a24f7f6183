"""What is suspicious about a table: columns that give the target away, identifiers, constants, duplicates, outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.show.report.data import ReportData, counted, number, percent
from chainrule.show.report.measures import largest
from chainrule.tables import robust_scaling
from chainrule.tables.place import option

#: a column that alone predicts so well is suspected of knowing the target: skill, and rank correlation
LEAK_SKILL, LEAK_RANK = 0.98, 0.99
#: rows looked at for leaks
MOST_ROWS = 20_000
#: intervals of a one-column model, and rows in each at least
BINS, BIN_ROWS = 64, 5
#: distinct values below which a column of distinct ones is no identifier
ENOUGH = 20
#: shares: missing values, duplicates, the commonest and the rarest class
MOSTLY_MISSING, MANY_TWINS, DOMINANT, RARE = 0.5, 0.01, 0.9, 0.02
#: distinct values of a numeric column beyond which equal rows are hardly chance
MANY_VALUES = 50
#: robust standard deviations from the median that are extreme
FAR = 10.0


@dataclass(frozen=True)
class Finding:
    """Something to know about the data.

    Parameters
    ----------
    title : str
    text : str
        A sentence with the numbers.
    column : str
        Which one; may be empty.
    serious : bool
        Whether somebody should act; else it was dealt with.
    """

    title: str
    text: str
    column: str = ""
    serious: bool = True


def findings(data: ReportData) -> list[Finding]:
    """Everything suspicious, the worst first."""
    found = [*_leaks(data), *_identifiers(data), *_twins(data), *_classes(data), *_outliers(data)]
    found += [*_constants(data), *_missing(data), *_left_out(data)]
    return found


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


def _leaks(data: ReportData) -> list[Finding]:
    known, judged = data.known.some(MOST_ROWS), data.judged.some(MOST_ROWS)
    classes = data.task != "numeric"
    found = []
    for k, target in enumerate(data.model.target.names):
        for j, (name, kind) in enumerate(zip(data.names, data.kinds, strict=True)):
            units = 1.0 if kind == "categorical" else largest(known.x[:, j]), 1.0 if classes else largest(known.y[:, k])
            arguments = (
                known.x[:, j] / units[0],
                known.y[:, k] / units[1],
                judged.x[:, j] / units[0],
                judged.y[:, k] / units[1],
            )
            new, old = (
                one_column_skill(*arguments[:2], *rows, categorical=kind == "categorical", classes=classes)
                for rows in (arguments[2:], arguments[:2])
            )
            rank = 0.0 if kind == "categorical" or classes else rank_correlation(*arguments[2:])
            if min(new, old) < LEAK_SKILL and not (abs(rank) >= LEAK_RANK and len(judged) >= ENOUGH):
                continue
            how = (
                f"it avoids {percent(new)} of the errors of the commonest class"
                if classes
                else f"it explains {percent(new)} of the variance, and the rank correlation is {rank:.4f}"
            )
            found.append(
                Finding(
                    "Leaking column",
                    f"`{name}` alone predicts `{target}` almost perfectly: on the {data.judged_on} rows {how}. If it "
                    f"is known only once `{target}` is, leave it out: `{option('--drop', name)}`.",
                    name,
                )
            )
    return found


def _identifiers(data: ReportData) -> list[Finding]:
    x = np.concatenate([data.known.x, data.judged.x])
    by_name = {c.name: c for c in data.columns}
    found = []
    for j, (name, kind) in enumerate(zip(data.names, data.kinds, strict=True)):
        values = x[~np.isnan(x[:, j]), j]
        column = by_name.get(name)
        if kind == "numeric":
            distinct = len(np.unique(values)) == len(values) >= ENOUGH and bool(np.all(values == np.round(values)))
            what = f"its {len(values)} values are whole numbers and all different"
        else:
            count = 0 if column is None else column.distinct
            distinct = kind == "categorical" and len(values) >= ENOUGH and count > 0.5 * len(values)
            what = f"it has {count} different values in {len(values)} rows"
        if distinct:
            remedy = f"If it names rows, leave it out: `{option('--drop', name)}`."
            found.append(Finding("ID-like column", f"`{name}` looks like an identifier: {what}. {remedy}", name))
    return found


def _twins(data: ReportData) -> list[Finding]:
    n = data.n_given
    if data.repeated <= MANY_TWINS * n:
        return []
    text = f"{counted(data.repeated, 'row')} of {n} ({percent(data.repeated / n)}) repeat another, target included. "
    if not any(c.role == "input" and c.kind == "numeric" and c.distinct > MANY_VALUES for c in data.columns):
        text += "Of columns of few values that is as it must be."
        return [Finding("Duplicate rows", text, serious=False)]
    text += "Where one is learned from and its twin judged by, the score is flattered; drop what was entered twice."
    return [Finding("Duplicate rows", text)]


def _classes(data: ReportData) -> list[Finding]:
    if data.task == "numeric":
        return []
    found = []
    y = np.concatenate([data.known.y, data.judged.y])
    for k, (target, classes) in enumerate(zip(data.model.target.names, data.model.target.classes, strict=True)):
        count = np.bincount(y[:, k].astype(np.int64), minlength=len(classes))
        share = count / max(count.sum(), 1)
        most, least = int(np.argmax(share)), int(np.argmin(share))
        if share[most] >= DOMINANT or share[least] < RARE:
            text = (
                f"`{target}`: class {classes[most]} makes up {percent(share[most])} of the rows, {classes[least]} "
                f"{percent(share[least])} ({counted(int(count[least]), 'row')}). Accuracy says little then; read the "
                "log-loss and the confusion matrix."
            )
            found.append(Finding("Imbalanced classes", text, target))
    return found


def _outliers(data: ReportData) -> list[Finding]:
    both = [np.concatenate([a, b]) for a, b in ((data.known.x, data.judged.x), (data.known.y, data.judged.y))]
    columns = [(n, both[0][:, j]) for j, n in enumerate(data.names) if data.kinds[j] == "numeric"]
    if data.task == "numeric":
        columns += [(n, both[1][:, k]) for k, n in enumerate(data.model.target.names)]
    found = []
    for name, values in columns:
        center, scale = robust_scaling(values, None)
        away = np.abs(values / scale - center / scale)
        far = np.flatnonzero(away > FAR)
        if len(far):
            worst = values[far[np.argmax(away[far])]]
            text = (
                f"`{name}` has {counted(len(far), 'value')} more than {FAR:.0f} robust standard deviations from its "
                f"median {number(center)}, the farthest being {number(worst)}. Check that they are no mistakes."
            )
            found.append(Finding("Extreme outliers", text, name))
    return found


def _constants(data: ReportData) -> list[Finding]:
    return [
        Finding(
            "Constant column",
            f"`{name}` has the same value in every row learned from; it says nothing.",
            name,
        )
        for name, column in zip(data.names, data.known.x.T, strict=True)
        if len(np.unique(column)) == 1  # NaN equals NaN here
    ]


def _missing(data: ReportData) -> list[Finding]:
    x = np.concatenate([data.known.x, data.judged.x])
    share = np.mean(np.isnan(x), axis=0) if len(x) else np.zeros(len(data.names))
    return [
        Finding("Mostly missing", f"`{name}` is missing in {percent(s)} of the rows.", name)
        for name, s in zip(data.names, share, strict=True)
        if s > MOSTLY_MISSING
    ]


def _left_out(data: ReportData) -> list[Finding]:
    titles = {"identifier": "ID-like column left out", "constant": "Constant column left out"}
    return [
        Finding(titles.get(c.kind, "Column left out"), f"`{c.name}`: {c.reason}.", c.name, serious=False)
        for c in data.columns
        if c.role == "dropped" and c.kind != "unwanted"
    ]
