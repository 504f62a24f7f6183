"""The data: its columns, the target, what is suspicious, and what was inferred."""

from __future__ import annotations

import numpy as np

from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, counted, label, number, percent
from chainrule.show.report.findings import findings
from chainrule.show.style import COLOURS, panels, styled
from chainrule.show.text import abridged
from chainrule.tables import Column

#: columns that tables list, targets that figures show
MOST_COLUMNS, MOST_TARGETS = 60, 4
#: classes that a figure tells apart
MOST_CLASSES = 25


def facts(data: ReportData, page: Document) -> None:
    """What is in the table, and warnings."""
    page.section("The data")
    n = data.schema.rows if data.schema is not None else len(data.known) + len(data.judged)
    source = f"`{data.source}`: " if data.source else ""
    page.text(f"{source}{n} rows, {counted(len(data.columns), 'column')}.")
    found = findings(data)
    for finding in found:
        page.note(f"{finding.title}. {finding.text}", warning=finding.serious)
    if not any(f.serious for f in found):
        page.note(
            "Nothing suspicious: no column gives the target away or looks like an identifier, no value is extreme."
        )
    head = ["column", "role", "kind", "missing", "distinct", "range or values"]
    rows = [
        [f"`{c.name}`", c.role, c.kind, percent(c.missing / max(n, 1)), str(c.distinct), _range(c)]
        for c in data.columns[:MOST_COLUMNS]
    ]
    more = f" The first {MOST_COLUMNS} of {len(data.columns)}." if len(data.columns) > MOST_COLUMNS else ""
    page.table([head, *rows], f"Columns of the table, with the share of missing cells.{more}")
    _targets(data, page)


def inferred(data: ReportData, page: Document) -> None:
    """What was made of the columns, and how to say otherwise."""
    page.section("What was inferred")
    schema = data.schema
    if schema is None:
        page.text(f"A matrix of {counted(len(data.names), 'column')} of numbers; nothing had to be inferred.")
        return
    rows = [["column", "taken as", "because"]]
    for c in schema.columns[:MOST_COLUMNS]:
        taken = f"target, {c.kind}" if c.role == "target" else c.kind if c.role == "input" else "left out"
        rows.append([f"`{c.name}`", taken, c.reason])
    page.table(rows)
    for line in schema.lines():
        if line.startswith(("output:", "suggestion:")):
            page.text(f"{line[:1].upper()}{line[1:]}.")
    page.text(
        "To override: `--type COLUMN=numeric`, `categorical` or `boolean`; `--drop COLUMN`; `--output NAME`; "
        "`--missing WORD` for a further spelling of a missing value."
    )


def _range(column: Column) -> str:
    if column.low is not None and column.high is not None:
        return f"{number(column.low)} to {number(column.high)}"
    if column.categories:
        names = [str(c) for c in column.categories]
        shown = ", ".join(abridged(c, 24, names) for c in names[:6])
        return shown + (f", … ({len(names)} in all)" if len(names) > 6 else "")
    return ""


def _targets(data: ReportData, page: Document) -> None:
    """The distribution of the targets."""
    target, known = data.model.target, data.known
    names = target.names[:MOST_TARGETS]
    with styled():
        figure, axes = panels(len(names), width=3.3 if len(names) > 1 else 5.6, height=2.5)
        for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
            if target.task == "numeric":
                bins = min(60, len(np.histogram_bin_edges(known.y[:, k], "auto")) - 1)
                ax.hist(known.y[:, k], bins=bins, weights=known.w, color=COLOURS[0], edgecolor="white", lw=0.5)
                ax.set_xlabel(label(name, 40))
                ax.set_ylabel("rows")
                ax.grid(axis="y")
            else:
                classes = [str(c) for c in target.classes[k]]
                count = np.bincount(known.y[:, k].astype(np.int64), known.w, len(classes))
                order = np.argsort(-count, kind="stable")[:MOST_CLASSES]
                ax.barh(np.arange(len(order)), count[order], color=COLOURS[0], height=0.65)
                ax.set_yticks(np.arange(len(order)), [label(classes[c], 24, classes) for c in order])
                ax.invert_yaxis()
                ax.set_xlabel("rows")
                ax.set_title(label(name, 40))
                ax.grid(axis="x")
    more = f" (the first {MOST_TARGETS} of {len(target.names)})" if len(target.names) > MOST_TARGETS else ""
    what = "targets" if len(target.names) > 1 else "target"
    page.figure(figure, f"The {what} in the {len(known)} rows learned from{more}.")
