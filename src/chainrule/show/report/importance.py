"""Which columns matter: permutation importance on the judged rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, label, number
from chainrule.show.report.measures import mean_and_error
from chainrule.show.style import COLOURS, FAINT, panels, styled

REPEATS = 10
#: rows that are permuted, at most
MOST_ROWS = 1000
#: rows predicted in one call
BATCH = 20_000
#: columns drawn
MOST_BARS = 20


@dataclass(frozen=True)
class Importance:
    """How much the loss grows when a column's values are shuffled among the rows (Breiman 2001; Fisher et al. 2019).

    Parameters
    ----------
    mean, std : arrays of shape (n_columns,)
        Over the repeats.
    base : float
        The loss of the rows as they are.
    n_rows : int
    """

    mean: np.ndarray
    std: np.ndarray
    base: float
    n_rows: int


def permutation_importance(data: ReportData, repeats: int = REPEATS, seed: int = 0) -> Importance:
    """Permutation importance by the model's own score, see `ReportData.losses`; deterministic.

    All repeats of a column are predicted together, as many columns at once as fit into `BATCH` rows.
    """
    rows = data.judged.some(MOST_ROWS)
    n, n_columns = rows.x.shape
    rng = np.random.default_rng(seed)
    base = mean_and_error(data.losses(data.predict(rows.x), rows.y), rows.w)[0]
    orders = np.stack([rng.permutation(n) for _ in range(repeats)])  # the same ones for every column
    found = np.zeros((n_columns, repeats))
    at_once = max(1, BATCH // max(n * repeats, 1))
    share = rows.w / rows.w.sum()
    for first in range(0, n_columns, at_once):
        which = range(first, min(first + at_once, n_columns))
        x = np.broadcast_to(rows.x, (len(which), repeats, n, n_columns)).copy()
        for place, j in enumerate(which):
            x[place, :, :, j] = rows.x[orders, j]
        y = np.tile(rows.y, (len(which) * repeats, 1))
        losses = data.losses(data.predict(x.reshape(-1, n_columns)), y).reshape(len(which), repeats, n)
        found[which] = losses @ share - base
    return Importance(found.mean(axis=1), found.std(axis=1, ddof=1), base, n)


def importance(data: ReportData, page: Document) -> None:
    """The section."""
    found = permutation_importance(data)
    page.section("Which columns matter")
    page.text(
        f"How much the {data.loss_name} of {found.n_rows} {data.judged_on} rows grows per row when the values of one "
        f"column are shuffled among them: mean and standard deviation over {REPEATS} shuffles. Without shuffling it is "
        f"{number(found.base)}. Columns that say the same share their importance, so a small number alone does not "
        "make a column useless."
    )
    order = np.argsort(-found.mean, kind="stable")
    top = order[:MOST_BARS]
    with styled():
        figure, (ax,) = panels(1, width=7.2, height=0.9 + 0.27 * len(top))
        place = np.arange(len(top))
        clear = found.mean[top] > 2.0 * found.std[top]
        colours = [COLOURS[0] if c else FAINT for c in clear]
        ax.barh(place, found.mean[top], xerr=found.std[top], color=colours, height=0.62, ecolor="#1f2933", capsize=2)
        ax.axvline(0.0, color="#1f2933", lw=0.8)
        ax.set_yticks(place, [label(data.names[k], 40, data.names) for k in top])
        ax.invert_yaxis()
        ax.set_xlabel(f"growth of the {data.loss_name}")
        ax.grid(axis="x")
    more = f" The {MOST_BARS} most important of {len(order)}." if len(order) > MOST_BARS else ""
    page.figure(figure, f"Permutation importance; grey where it may be chance.{more}")
    rows = [["column", "importance", "standard deviation"]]
    rows += [[f"`{data.names[k]}`", number(found.mean[k], 3), number(found.std[k], 2)] for k in top]
    page.table(rows)
