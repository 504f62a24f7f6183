"""Gathering what a report tells of: from a fit to a table, or from a fitted estimator and rows to judge it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace as structs_replace

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.path import PathCV
from chainrule.estimators.search import SearchCV
from chainrule.models.baselines import baselines
from chainrule.models.fit import FitOptions
from chainrule.models.inputs import plain
from chainrule.models.model import Model
from chainrule.models.rows import columns_of, equal_rows
from chainrule.models.table import TableFit
from chainrule.outputs import Distribution
from chainrule.show.report.data import NETWORK, Cells, ReportData
from chainrule.tables import Categorical, Column, complete_rows, read_table


def report_of_table(
    fitted: TableFit,
    source: str = "",
    notes: Mapping[str, str] | None = None,
    places: np.ndarray | None = None,
) -> ReportData:
    """What there is to tell of a fit to a table.

    Parameters
    ----------
    fitted : TableFit
    source : str
        Name of the data's file.
    notes : mapping, optional
        Further facts for the section about the environment, such as the data's hash.
    places : integer array, optional
        Where the rows that have a target stand in the file, from 0; in the order of the file by default.
    """
    model, frame = fitted.model, fitted.frame
    x, y = model.inputs.encoder.to_matrix(frame), model.target.to_array(frame)
    numbers = fitted.numbers if places is None else places[fitted.numbers]
    every = Cells(x, y, fitted.weights, numbers + 1)
    return ReportData(
        model=model,
        trainings=tuple(fitted.trainings),
        known=every.take(fitted.known),
        judged=every.take(fitted.judged),
        judged_on=fitted.scored_on,
        predicted=fitted.predicted,
        columns=fitted.schema.columns,
        schema=fitted.schema,
        n_rows=fitted.n_rows,
        repeated=fitted.repeated,
        n_given=fitted.n_given,
        warning=fitted.warning,
        source=source,
        facts=notes or {},
    )


def places_in_file(fitted: TableFit, data: Path, missing: Sequence[str] = ()) -> np.ndarray | None:
    """Where the rows that have a target stand in the file; none where that is every row."""
    if not any(column.missing for column in fitted.schema.target_columns):
        return None
    frame = read_table(data, missing=missing).with_row_index("")
    return complete_rows(frame, fitted.schema.targets, drop=True, source=data)[""].to_numpy().astype(np.int64)


def report_of_estimator(
    estimator: FeedForwardEstimator | PathCV | SearchCV,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    X_train: Any = None,
    y_train: Any = None,
) -> ReportData:
    """What there is to tell of a fitted estimator, see `chainrule.show.report.report`."""
    chosen = estimator if isinstance(estimator, PathCV) else None
    if isinstance(estimator, (PathCV, SearchCV)):
        if "best_estimator_" not in vars(estimator):
            raise OptionError(f"this {type(estimator).__name__} is not fitted; call fit first")
        estimator = estimator.best_estimator_
    model = estimator.model_
    trainings = tuple(estimator.trainings_) if "trainings_" in vars(estimator) else ()
    judged = _cells(model, X, y, sample_weight)
    known = judged if X_train is None else _cells(model, X_train, y_train)
    predicted: dict[str, Distribution] = {NETWORK: model.distribution([judged.x])}
    if trainings and model.network is not None:
        options = FitOptions(seed=trainings[0].options.seed, loss=trainings[0].options.loss)
        network = trainings[0].network
        rows = trainings[0].rows
        predicted |= dict(baselines(network, model.inputs, model.target, rows, options, judged.x))
    everything = [known, judged] if known is not judged else [known]
    x, y, w = (np.concatenate(parts) for parts in zip(*((c.x, c.y, c.w) for c in everything), strict=True))
    distinct, _ = equal_rows(columns_of(x, y), w)
    return ReportData(
        model=model,
        trainings=trainings,
        known=known,
        judged=judged,
        judged_on="given",
        predicted=predicted,
        columns=tuple(_columns(model, known, judged)),
        repeated=len(x) - len(distinct),
        n_given=len(x),
        n_rows={"training": len(trainings[0].rows)} if trainings else {},
        chosen=chosen,
    )


def _cells(model: Model, X: Any, y: Any, sample_weight: Any = None) -> Cells:
    """Rows as the user has them, those of weight zero left out."""
    x = model.inputs.arrays(X if isinstance(X, np.ndarray) or hasattr(X, "columns") else np.asarray(X))[0]
    codes = _target(model, y)
    w = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if not len(x) == len(codes) == len(w):
        raise OptionError(f"X, y and sample_weight have {len(x)}, {len(codes)} and {len(w)} rows")
    cells = Cells(x, codes, w, np.arange(1, len(x) + 1))
    return cells.take(np.flatnonzero(w > 0.0))


def _target(model: Model, y: Any) -> np.ndarray:
    """Targets as numbers or codes of classes, (n_rows, n_targets)."""
    table = np.asarray(y).reshape(len(y), -1)
    if table.shape[1] != len(model.target.names):
        raise OptionError(f"y must have {len(model.target.names)} columns, got {table.shape[1]}")
    if model.target.task == "numeric":
        return table.astype(np.float64)
    columns = []
    for values, classes in zip(table.T, model.target.classes, strict=True):
        code = {c: float(k) for k, c in enumerate(classes)}
        try:
            columns.append([code[plain(v)] for v in values])
        except KeyError as error:
            raise OptionError(f"class {error} did not occur in training, where the classes were {classes}") from None
    return np.array(columns).T


def _columns(model: Model, known: Cells, judged: Cells) -> list[Column]:
    """Facts about the columns of a matrix."""
    x = np.concatenate([known.x, judged.x]) if known is not judged else known.x
    y = np.concatenate([known.y, judged.y]) if known is not judged else known.y
    found = []
    for encoding, values in zip(model.inputs.encoder.encodings, x.T, strict=True):
        kind = type(encoding).__name__.lower()
        found.append(_column(encoding.name, "input", kind, values))
        if isinstance(encoding, Categorical):
            found[-1] = structs_replace(found[-1], categories=encoding.categories, low=None, high=None)
    for name, values, classes in zip(model.target.names, y.T, model.target.classes, strict=True):
        made = _column(name, "target", model.target.task, values)
        found.append(structs_replace(made, categories=classes, low=None, high=None) if classes else made)
    return found


def _column(name: str, role: Any, kind: Any, values: np.ndarray) -> Column:
    there = values[~np.isnan(values)]
    low, high = (float(there.min()), float(there.max())) if len(there) else (None, None)
    missing, distinct = len(values) - len(there), len(np.unique(there))
    return Column(name=name, role=role, kind=kind, reason="", missing=missing, distinct=distinct, low=low, high=high)
