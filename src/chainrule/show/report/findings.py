"""What is suspicious about a table: columns that give the target away, identifiers, constants, duplicates, outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.show.leaks import ENOUGH, MOST_ROWS, leaks
from chainrule.show.report.data import ReportData, counted, number, percent
from chainrule.tables import robust_scaling
from chainrule.tables.place import option

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


def _leaks(data: ReportData) -> list[Finding]:
    known, judged = data.known.some(MOST_ROWS), data.judged.some(MOST_ROWS)
    target = data.model.target
    found = []
    for leak in leaks((known.x, known.y), (judged.x, judged.y), data.names, data.kinds, target.names, data.task):
        how = (
            f"it avoids {percent(leak.skill)} of the errors of the commonest class"
            if data.task != "numeric"
            else f"it explains {percent(leak.skill)} of the variance, and the rank correlation is {leak.rank:.4f}"
        )
        text = (
            f"`{leak.column}` alone predicts `{leak.target}` almost perfectly: on the {data.judged_on} rows {how}. If "
            f"it is known only once `{leak.target}` is, leave it out: `{option('--drop', leak.column)}`."
        )
        found.append(Finding("Leaking column", text, leak.column))
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
