"""The penalty path: which columns a model takes first as an L1 penalty falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.estimators.linear import LinearRegression, LogisticRegression, indicators
from chainrule.estimators.path import PenaltyPath, penalty_path
from chainrule.show.document import Document
from chainrule.show.path_figure import path_cv_figure, path_figure
from chainrule.show.report.data import ReportData, label, number
from chainrule.tables.encode import Encoder, Numeric

#: rows it is computed from, and features beyond which it is left out
MOST_ROWS, MOST_FEATURES = 2000, 200
#: strengths, and features that are listed
STRENGTHS, MOST_LISTED = 40, 10
#: letters of a feature's name
MOST_LETTERS = 28


def linear_path(data: ReportData) -> PenaltyPath | None:
    """The L1 path of a linear model of what the network sees; none where that says little or cannot be had."""
    inputs, target = data.model.inputs, data.model.target
    rows = data.known.some(MOST_ROWS)
    x = _standardised(inputs.encode_rows(rows.x), inputs.encoder, rows.w)
    if len(target.names) > 1 or x.shape[1] < 2 or x.shape[1] > MOST_FEATURES or not np.isfinite(x).all():
        return None
    numeric = target.task == "numeric"
    model = LinearRegression(max_iter=500) if numeric else LogisticRegression(l2=0.0, max_iter=500)
    y = rows.y[:, 0] if numeric else rows.y[:, 0].astype(int)
    if len(np.unique(y)) < 2:
        return None
    try:
        path = penalty_path(model, x, y, "l1", n_strengths=STRENGTHS, ratio=0.003, sample_weight=rows.w)
    except ChainruleError:
        return None
    encoder = inputs.encoder
    return replace(
        path, names=tuple(encoder.feature_names), columns=encoder.columns, column_of=np.asarray(encoder.groups)
    )


def _standardised(x: np.ndarray, encoder: Encoder, weights: np.ndarray | None) -> np.ndarray:
    """Numbers on one scale, as what enters first depends on it; what is 0 or 1 stays so.

    The network's own encoding has the same spread in the middle of each column, not over all of it.
    """
    is_number = np.array([isinstance(encoder.encodings[k], Numeric) for k in encoder.groups]) & ~indicators(encoder)
    mean = np.average(x, axis=0, weights=weights)
    spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    return np.where(is_number & (spread > 0.0), (x - mean) / np.where(spread > 0.0, spread, 1.0), x)


def path_section(data: ReportData, page: Document) -> None:
    """The section."""
    if data.chosen is not None:
        found = data.chosen.path_
        page.section("Penalty path")
        page.text(
            f"The strength of the `{found.penalty}` penalty was chosen by cross-validation: "
            f"{number(data.chosen.alpha_)} (rule `{data.chosen.rule}`)."
        )
        if data.chosen.dropped_:
            page.text(f"Not needed: {', '.join(f'`{name}`' for name in data.chosen.dropped_)}.")
        page.figure(path_cv_figure(data.chosen), "Coefficients as the penalty falls, and the loss of rows held out.")
        return
    maybe = linear_path(data)
    if maybe is None or not maybe.entered:
        return
    found = maybe
    page.section("Penalty path")
    page.text(
        "What a linear model would take first: under a strong L1 penalty all its coefficients are exactly zero; as the "
        "penalty falls, columns enter one by one. What the network finds in curves and combinations does not show here."
    )
    short = replace(found, names=tuple(label(name, MOST_LETTERS, found.names) for name in found.names))
    if len(set(short.names)) == len(short.names):
        caption = "Coefficients of the encoded columns, numbers standardised; the penalty falls to the right."
        page.figure(path_figure(short), caption)
    size = dict(zip(found.names, found.sizes[-1], strict=True))
    listed = [[f"`{name}`", number(strength, 3), number(float(size[name]), 3)] for name, strength in found.entered]
    page.table(
        [["column", "enters at", "size at the end"], *listed[:MOST_LISTED]],
        f"The {min(len(listed), MOST_LISTED)} first of {len(found.names)}, in order of entry, "
        f"from {len(data.known.some(MOST_ROWS))} rows learned from. All is zero from {number(found.largest, 3)}.",
    )
