"""Scores of the network beside those of simple models."""

from __future__ import annotations

from chainrule.models.scores import MEANINGS
from chainrule.show.document import Document
from chainrule.show.report.data import NETWORK, ReportData, plus_minus
from chainrule.show.report.measures import difference

#: targets with a table of their own
MOST_TARGETS = 12


def scores(data: ReportData, page: Document) -> None:
    """The section."""
    page.section("Scores")
    page.text(
        f"On {len(data.judged)} {data.judged_on} rows"
        + (", which the model never saw" if data.judged_on == "test" else "")
        + ". ± is one standard error over the rows. The difference to the network is taken row by row, so that "
        "its error is smaller than those of the two scores; positive is worse than the network."
    )
    if data.judged_on in ("validation", "training"):
        page.note(
            f"There are no test rows: {data.judged_on} rows took part in the fit, so these scores are too good.",
            warning=True,
        )
    for view in data.views[:MOST_TARGETS]:
        ours = view.measures[NETWORK]
        names = list(ours)
        several = len(view.measures) > 1
        rows = [["", *names, *([f"{view.loss} beside the network's"] if several else [])]]
        for model, found in view.measures.items():
            row = [model, *(plus_minus(m.value, m.error) for m in found.values())]
            if several:
                gap = plus_minus(*difference(found[view.loss], ours[view.loss], view.w))
                row.append("" if model == NETWORK else gap if gap.startswith("-") else f"+{gap}")
            rows.append(row)
        best = min(range(len(view.measures)), key=lambda k: list(view.measures.values())[k][view.loss].value)
        title = f"`{view.name}`. " if len(data.views) > 1 else ""
        page.table(rows, f"{title}{'; '.join(f'{n}: {MEANINGS[n][0]}' for n in names)}.", bold=frozenset([best]))
    if len(data.views) > MOST_TARGETS:
        page.text(f"The first {MOST_TARGETS} of {len(data.views)} targets.")
