"""The graph of one row, as a page beside the report."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from chainrule.files import write_atomically
from chainrule.show.document import Document
from chainrule.show.explain import explain
from chainrule.show.page import page as graph_page
from chainrule.show.report.data import ReportData
from chainrule.show.report.rows import chosen_rows

#: larger pages are of no use
MOST_BYTES = 500_000


def row_path(path: str | os.PathLike[str]) -> Path:
    """Where the page of one row goes: beside the report."""
    path = Path(path)
    return path.with_name(f"{path.stem}-row.html")


def with_row_page(data: ReportData, path: str | os.PathLike[str]) -> ReportData:
    """Write the page of a typical row beside a report, where that can be done, and note it."""
    if find_spec("igraph") is None or data.model.network is None:
        return data
    _, place = chosen_rows(data)
    row = int(data.judged.number[place])
    title = f"{', '.join(data.model.target.names)}{f' of {data.source}' if data.source else ''}, row {row}"
    story, show = explain(data.model, data.judged.x[place], data.judged.y[place], title=title)
    content = graph_page(story, show).encode()
    if len(content) > MOST_BYTES:
        return data
    write_atomically(row_path(path), content)
    return replace(data, row_page=row_path(path).name, row_number=row)


def graph(data: ReportData, page: Document) -> None:
    """The section, if there is a page to link to."""
    if not data.row_page:
        return
    page.section("Step by step")
    page.text(
        f"The graph of the model for row {data.row_number}, a typical one: step forward through every value and back "
        "through every gradient, and move sliders to ask what if."
    )
    page.link(f"Step through row {data.row_number}", data.row_page)
    if data.source:
        model = data.facts.get("model file", "MODEL")
        page.text(f"Any other row: `{shlex.join(['chainrule', 'explain', model, data.source])} --row N`.")
