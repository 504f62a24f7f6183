"""Learning curves: which epoch was kept, why training stopped, over- or underfitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.show.document import Document
from chainrule.show.predictions import draw_curves
from chainrule.show.report.data import ReportData, counted, number
from chainrule.show.style import FAINT, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(data: ReportData, page: Document) -> None:
    """The section."""
    page.section("Training")
    facts = data.model.facts
    training = np.array(facts.get("training_loss", ()), np.float64)
    validation = np.array(facts.get("validation_loss", ()), np.float64)
    best = int(facts.get("best_epoch", 0))
    diagnosis, reason = str(facts.get("diagnosis", "")), str(facts.get("reason", ""))
    if diagnosis:
        page.note(f"{diagnosis[:1].upper()}{diagnosis[1:]}.", warning=diagnosis.startswith(("over", "under")))
    if len(training):
        kept = f" Epoch {best} was kept, where the validation loss was least." if len(validation) else ""
        page.text(f"{counted(len(training), 'epoch')}; training stopped because {reason}.{kept}")
    if len(training) > 1:
        page.figure(_figure(data, training, validation, best), _caption(data))
    if len(data.trainings) > 1:
        same = len({t.reason for t in data.trainings}) == 1
        rows = [["network", "epochs", "kept", "its loss", "diagnosis", *([] if same else ["stopped because"])]]
        for k, t in enumerate(data.trainings, start=1):
            short = t.diagnosis().partition(":")[0]
            cells = [str(k), str(t.epoch), str(t.best_epoch), number(float(t.best_loss)), short]
            rows.append([*cells, *([] if same else [t.reason])])
        page.table(rows, "The networks of the ensemble" + (", stopped for the same reason." if same else "."))


def _figure(data: ReportData, training: np.ndarray, validation: np.ndarray, best: int) -> Figure:
    with styled():
        figure, (ax,) = panels(1, width=7.2, height=3.4)
        shown = [training, validation]
        for t in data.trainings[1:]:
            watched = np.array(t.curves.validation if t.validation is not None else t.curves.training)
            ax.plot(np.arange(1, len(watched) + 1), watched, color=FAINT, lw=0.8, alpha=0.5, zorder=1)
            shown.append(watched)
        draw_curves(ax, training, validation, best if len(validation) else None)
        low, high = window(shown)
        ax.set_ylim(low, high)
        ax.set_ylabel("loss per row")
    return figure


def window(curves: list[np.ndarray]) -> tuple[float, float]:
    """Heights between which curves are worth looking at: the first epochs, which fall fast, may lie outside."""
    values = np.concatenate([c[np.isfinite(c)] for c in curves])
    low, high = float(values.min()), float(values.max())
    settled = float(np.max([np.max(c[len(c) // 20 :]) for c in curves if len(c)]))
    top = min(high, low + 1.3 * max(settled - low, 1e-12))
    return low - 0.05 * (top - low), top + 0.05 * (top - low)


def _caption(data: ReportData) -> str:
    others = ", the validation losses of the other networks in grey" if len(data.trainings) > 1 else ""
    what = "Negative log-likelihood" if data.model.output.likelihood else "Loss"
    first = " of the first network" if len(data.trainings) > 1 else ""
    return f"{what} per row by epoch{first}{others}. The penalty is not part of it."
