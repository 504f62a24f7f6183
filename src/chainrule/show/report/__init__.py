"""The training report: one page that tells what was fitted, from what, how good it is and why.

`SECTIONS` is the report; a section is a function of what is known and the page it writes to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.path import PathCV
from chainrule.estimators.search import SearchCV
from chainrule.models.table import TableFit
from chainrule.show.document import Document
from chainrule.show.report.calibration import calibration
from chainrule.show.report.curves import curves
from chainrule.show.report.data import ReportData
from chainrule.show.report.environment import environment, file_hash
from chainrule.show.report.gather import places_in_file, report_of_estimator, report_of_table
from chainrule.show.report.graph import graph, row_path, with_row_page
from chainrule.show.report.health import health
from chainrule.show.report.importance import importance
from chainrule.show.report.path import path_section
from chainrule.show.report.penalties import penalties
from chainrule.show.report.rows import rows
from chainrule.show.report.scores import scores
from chainrule.show.report.summary import summary
from chainrule.show.report.table import facts, inferred
from chainrule.show.style import require_matplotlib
from chainrule.tables import Categorical

Section = Callable[[ReportData, Document], None]
SECTIONS: tuple[Section, ...] = (
    summary,
    facts,
    inferred,
    curves,
    scores,
    calibration,
    importance,
    rows,
    health,
    penalties,
    path_section,
    graph,
    environment,
)


def document(data: ReportData) -> Document:
    """The report as a page."""
    source = f" from {data.source}" if data.source else ""
    target, encodings = data.model.target, data.model.inputs.encoder.encodings
    words = [*target.classes, *(e.categories for e in encodings if isinstance(e, Categorical))]
    names = [*data.names, *target.names, *(str(word) for each in words for word in each)]
    page = Document(f"{', '.join(target.names)}{source}", "Training report of chainrule", names)
    for section in SECTIONS:
        section(data, page)
    return page


def report(
    estimator: FeedForwardEstimator | PathCV | SearchCV,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    X_train: Any = None,
    y_train: Any = None,
) -> Document:
    """The training report of a fitted estimator, judged by rows that it was not trained on.

    Parameters
    ----------
    estimator : FeedForwardRegressor, FeedForwardClassifier, a linear one, PathCV or SearchCV
    X, y : array or data frame, and array
        Rows to judge it by.
    sample_weight : array of shape (n_samples,), optional
        Of these.
    X_train, y_train : optional
        Rows that it was trained on: what is typical, suspicious and learned is then told from them, else from X and y.

    Returns
    -------
    Document
        Write it with ``.write("report.html")``.

    Raises
    ------
    OptionError
        If matplotlib is not installed, or y has classes that training did not have.
    """
    require_matplotlib()
    return document(report_of_estimator(estimator, X, y, sample_weight, X_train=X_train, y_train=y_train))


def write_report(
    fitted: TableFit, path: Path, data: Path, model: Path, seconds: float, missing: Sequence[str] = ()
) -> list[Path]:
    """Write the report of a fit to a table's file, and where that can be done the page of one row beside it.

    Parameters
    ----------
    fitted : TableFit
    path : path
        Where the report goes.
    data, model : path
        The table's file, and the model's.
    seconds : float
        What reading and fitting took.
    missing : sequence of str
        Further spellings of a missing value that the table was read with.

    Returns
    -------
    list of path
        What was written.

    Raises
    ------
    OptionError
        If matplotlib is not installed or a page cannot be written.
    """
    require_matplotlib()
    notes = {
        "data": f"{data.name}, SHA-256 {file_hash(data)}",
        "model file": str(model),
        "reading and fitting": f"{seconds:.1f} seconds",
    }
    told = with_row_page(report_of_table(fitted, data.name, notes, places_in_file(fitted, data, missing)), path)
    document(told).write(path)
    return [path, *([row_path(path)] if told.row_page else [])]
