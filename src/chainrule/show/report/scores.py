"""Scores of the network beside those of simple models."""

from __future__ import annotations

from chainrule.models.scores import MEANINGS
from chainrule.show.document import Document
from chainrule.show.report.data import AIR, NETWORK, ReportData, View, plus_minus
from chainrule.show.report.measures import difference

#: targets with a table of their own
MOST_TARGETS = 12


def scores(data: ReportData, page: Document) -> None:
    """The section."""
    page.section("Scores")
    page.text(
        f"On {len(data.judged)} {data.judged_on} rows"
        + (", which the model never saw" if data.judged_on == "test" else "")
        + ". ± is one standard error over the rows."
    )
    if data.judged_on in ("validation", "training"):
        page.note(
            f"There are no test rows: {data.judged_on} rows took part in the fit, so these scores are too good.",
            warning=True,
        )
    for view in data.views[:MOST_TARGETS]:
        page.table(_table(view), f"`{view.name}`; * marks the best.")
    if len(data.views) > MOST_TARGETS:
        page.text(f"The first {MOST_TARGETS} of {len(data.views)} targets.")


def _table(view: View) -> list[list[str]]:
    """Scores by measure and model, and the differences to the network."""
    ours = view.measures[NETWORK]
    rows = [["", *view.measures, "what it is"]]
    for name in ours:
        found = [m[name].value for m in view.measures.values()]
        meaning, larger = MEANINGS[name]
        best = (max if larger else min)(found) if name != "cover 90%" else None
        cells = [
            plus_minus(m[name].value, m[name].error) + f"{AIR}*" * (m[name].value == best)
            for m in view.measures.values()
        ]
        rows.append([name, *cells, meaning])
    if len(view.measures) > 1:
        gaps = [plus_minus(*difference(m[view.loss], ours[view.loss], view.w)) for m in view.measures.values()]
        cells = ["", *(gap if gap.startswith("-") else f"+{gap}" for gap in gaps[1:])]
        rows.append([f"{view.loss} above the network's", *cells, "row by row; its error is therefore smaller"])
    return rows
