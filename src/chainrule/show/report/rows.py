"""Single rows explained: the worst predicted ones and a typical one, each column's contribution by occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.outputs import Distribution
from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, label, number, percent
from chainrule.show.style import COLOURS, FAINT, INK, panels, styled
from chainrule.show.text import abridged

RANKS = ("worst", "second worst", "third worst")
#: columns drawn for a row
MOST_BARS = 8


@dataclass(frozen=True)
class RowStory:
    """How one row's prediction comes about.

    Parameters
    ----------
    place : int
        Of the row among the judged ones.
    prediction : float
        Expected value of the first target, or the probability of the class `code`.
    typical : float
        The same for the typical row.
    contributions : array of shape (n_columns,)
        Prediction minus the prediction with the column at its typical value.
    code : int
        The class; -1 for numbers.
    """

    place: int
    prediction: float
    typical: float
    contributions: np.ndarray
    code: int


def chosen_rows(data: ReportData) -> tuple[list[int], int]:
    """Places of the worst predicted judged rows, the worst first, and of one whose loss is the median."""
    order = np.argsort(data.row_losses, kind="stable")
    worst = order[::-1][: min(len(RANKS), max(len(order) - 1, 0))]
    return [int(k) for k in worst], int(order[(len(order) - 1) // 2])


def explain_rows(data: ReportData, places: list[int], k: int = 0) -> list[RowStory]:
    """Contributions of every column to the predictions of some judged rows, of target k; exact, by occlusion.

    A column's contribution is the prediction minus that with the column at its typical value, all others as they are
    (Zeiler & Fergus 2014 for pictures; Covert, Lundberg & Lee 2021, "Explaining by removing").
    """
    n = len(data.names)
    blocks = []
    for place in places:
        block = np.tile(data.judged.x[place], (n + 2, 1))
        block[np.arange(n), np.arange(n)] = data.typical
        block[n + 1] = data.typical  # the row before stays as it is
        blocks.append(block)
    said = expected(data, data.predict(np.concatenate(blocks)), k)
    stories = []
    for place, values in zip(places, said.reshape(len(places), n + 2, -1), strict=True):
        code = -1 if values.shape[1] == 1 and data.task == "numeric" else _class(values[n])
        v = values[:, 0] if code < 0 else values[:, code] if values.shape[1] > 1 else np.abs((code == 0) - values[:, 0])
        stories.append(RowStory(place, float(v[n]), float(v[n + 1]), v[n] - v[:n], code))
    return stories


def expected(data: ReportData, distribution: Distribution, k: int) -> np.ndarray:
    """Expected values of target k, or class probabilities, one row each."""
    mean = np.asarray(distribution.mean())
    if data.task != "classes" and mean.ndim == 2:
        mean = mean[:, k]
    return mean.reshape(len(mean), -1)


def _class(values: np.ndarray) -> int:
    return int(np.argmax(values)) if len(values) > 1 else int(values[0] > 0.5)


def rows(data: ReportData, page: Document) -> None:
    """The section."""
    worst, typical = chosen_rows(data)
    target = data.model.target
    numeric = data.task == "numeric"
    several = len(target.names) > 1
    page.section("Rows explained")
    unit = f"units of `{target.names[0]}`" if numeric else "percentage points"
    first = f" Shown is the first target, `{target.names[0]}`." if several else ""
    page.text(
        f"The {len(worst)} worst predicted {data.judged_on} rows, by their {data.loss_name}, and a typical one. A bar "
        "is a column's contribution: how much the prediction changes, all else as it is, when the column is set to its "
        f"typical value instead (median, or commonest category), in {unit}. What columns do only together appears with "
        f"each of them, so contributions need not add up.{first}"
    )
    places = [*worst, typical]
    stories = explain_rows(data, places)
    with styled():
        bars = min(MOST_BARS, len(data.names))
        figure, axes = panels(2, (len(stories) + 1) // 2, width=4.6, height=1.15 + 0.24 * bars)
        for ax in axes[len(stories) :]:
            ax.set_visible(False)
        for rank, (ax, story) in enumerate(zip(axes, stories, strict=False)):
            order = np.argsort(-np.abs(story.contributions), kind="stable")[:bars]
            values = story.contributions[order] * (1.0 if numeric else 100.0)
            place = np.arange(len(order))
            ax.barh(place, values, color=[COLOURS[2] if v >= 0 else COLOURS[1] for v in values], height=0.62)
            ax.axvline(0.0, color=INK, lw=0.8)
            ax.set_yticks(
                place, [label(_label(data, int(j), data.judged.x[story.place, j]), 60) for j in order], fontsize=8
            )
            ax.invert_yaxis()
            ax.set_title(label(_title(data, story, rank, story.place == typical), 120), fontsize=9)
            ax.set_xlabel(
                label(
                    f"contribution to {target.names[0]}"
                    if numeric
                    else f"points of P({abridged(_name(data, story), 26)})",
                    40,
                )
            )
            ax.grid(axis="x", color=FAINT, alpha=0.25)
            ax.margins(x=0.08)
    page.figure(figure, "Contributions of the columns, largest first; green raises the prediction, orange lowers it.")
    head = ["row", "observed", "predicted", data.loss_name, "columns that contribute most"]
    table = [head]
    for story in stories:
        order = np.argsort(-np.abs(story.contributions), kind="stable")[:3]
        most = ", ".join(
            f"`{data.names[j]} = {data.cell(int(j), data.judged.x[story.place, j])}` {_change(data, story, int(j))}"
            for j in order
        )
        kind = " (typical)" if story.place == typical else ""
        table.append(
            [
                f"{data.judged.number[story.place]}{kind}",
                _observed(data, story.place),
                _predicted(data, story),
                number(float(data.row_losses[story.place]), 3),
                most,
            ]
        )
    typical_row = f"of a row with every column at its typical value the prediction is {_plain(data, stories[0])}"
    page.table(table, f"Rows by their number in the data; {typical_row}.")


def _label(data: ReportData, j: int, value: float) -> str:
    """A column and its cell, for a figure."""
    return f"{abridged(data.names[j], 24, data.names)} = {abridged(data.cell(j, value), 16)}"


def _name(data: ReportData, story: RowStory) -> str:
    return str(data.model.target.classes[0][story.code])


def _observed(data: ReportData, place: int) -> str:
    y = data.judged.y[place, 0]
    return number(float(y)) if data.task == "numeric" else str(data.model.target.classes[0][int(y)])


def _predicted(data: ReportData, story: RowStory) -> str:
    if data.task == "numeric":
        return number(story.prediction)
    return f"{_name(data, story)} ({percent(story.prediction)})"


def _plain(data: ReportData, story: RowStory) -> str:
    return number(story.typical) if data.task == "numeric" else f"{_name(data, story)} with {percent(story.typical)}"


def _change(data: ReportData, story: RowStory, j: int) -> str:
    value = story.contributions[j]
    return f"{'+' if value >= 0 else '−'}{number(abs(value), 3) if data.task == 'numeric' else percent(abs(value))}"


def _title(data: ReportData, story: RowStory, rank: int, typical: bool) -> str:
    kind = "typical" if typical else RANKS[rank]
    seen, predicted = _observed(data, story.place), _predicted(data, story)
    if data.task != "numeric":
        classes = [str(c) for c in data.model.target.classes[0]]
        predicted = predicted.replace(_name(data, story), abridged(_name(data, story), 20, classes), 1)
        seen = abridged(seen, 20, classes)
    said = f"{seen}, predicted {predicted}"
    return f"row {data.judged.number[story.place]}, {kind}\n{said}"
