"""Whether the probabilities can be believed: PIT and coverage of numbers, reliability and confusion of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.outputs.calibration import Reliability, interval_coverage, pit_histogram, reliability
from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, View, label, number, percent
from chainrule.show.style import COLOURS, FAINT, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COVERAGES = (0.5, 0.8, 0.9, 0.95)
#: targets with a figure, points in one, classes in a confusion matrix, classes whose matrix is a table too
MOST_TARGETS, MOST_POINTS, MOST_CLASSES, FEW_CLASSES = 4, 1500, 30, 6
#: classes that tables list
MOST_LISTED = 60
#: standard errors beyond which coverage is not chance
CLEAR = 2.0
#: a coverage so near the right one will do, whatever the number of rows
SLIGHT = 0.02


def calibration(data: ReportData, page: Document) -> None:
    """The section."""
    page.section("Calibration")
    for view in data.views[:MOST_TARGETS]:
        if data.task == "numeric":
            _numbers(data, view, page)
        else:
            _classes(data, view, page)
    if len(data.views) > MOST_TARGETS:
        page.text(f"The first {MOST_TARGETS} of {len(data.views)} targets.")


def _numbers(data: ReportData, view: View, page: Document) -> None:
    d, y, w = view.network, view.y, view.w
    bins = 10 if len(y) >= 50 else 5
    pit = pit_histogram(d, y, w, n_bins=bins)
    coverage = interval_coverage(d, y, w, coverages=COVERAGES, intervals=view.intervals)
    page.note(coverage_words(view), warning="too" in coverage_words(view))
    mean = d.mean()
    some = slice(None) if len(y) <= MOST_POINTS else np.random.default_rng(0).permutation(len(y))[:MOST_POINTS]
    with styled():
        figure, axes = panels(2, 2, width=4.1, height=3.0)
        _pit(axes[0], pit.edges, pit.share, pit.low, pit.high)
        _coverage(axes[1], coverage.nominal, coverage.observed, coverage.error)
        _predicted(axes[2], mean[some], y[some], view.name)
        _residuals(axes[3], mean[some], y[some] - mean[some], d[some].std())
    shown = f"; {MOST_POINTS} of {len(y)} rows are drawn below" if len(y) > MOST_POINTS else ""
    page.figure(
        figure,
        f"`{view.name}` on {len(y)} {data.judged_on} rows. Top left: where the observed value fell within its "
        "predicted distribution (PIT). Flat is right, a hump means too wide, a trough too narrow; of ten bars one lies "
        "outside the band by chance. Top right: share of rows inside central intervals, with two standard errors. "
        "Bottom: observed against predicted mean, and what is left, with the predicted standard deviation in "
        f"grey{shown}.",
        f"PIT histogram, coverage, predicted against observed and residuals of {view.name}",
    )
    rows = [["interval", "rows inside", "standard error", "mean width"]]
    for k, nominal in enumerate(COVERAGES):
        rows.append(
            [
                percent(nominal, 0),
                percent(float(coverage.observed[k])),
                percent(float(coverage.error[k])),
                number(float(coverage.width[k])),
            ]
        )
    page.table(rows, f"Central intervals of `{view.name}`; widths in its units.")


def coverage_words(view: View) -> str:
    """Whether the intervals are right, in a sentence."""
    found = interval_coverage(view.network, view.y, view.w, coverages=(0.9,), intervals=view.intervals)
    inside, error = float(found.observed[0]), float(found.error[0])
    head = f"`{view.name}`: {percent(inside)} of the rows lie inside their 90 % interval"
    if abs(inside - 0.9) > CLEAR * error and abs(inside - 0.9) <= SLIGHT:
        return f"{head}, close to 90 %."
    if inside < 0.9 - CLEAR * error:
        return f"{head}: the distributions are too narrow, the model is too sure of itself."
    if inside > 0.9 + CLEAR * error:
        return f"{head}: the distributions are too wide."
    return f"{head}, which agrees with 90 % within chance."


def _pit(ax: Axes, edges: np.ndarray, share: np.ndarray, low: float, high: float) -> None:
    ax.axhspan(low, high, color=FAINT, alpha=0.2, lw=0, label="expected (90 %)")
    ax.bar(edges[:-1], share, np.diff(edges), align="edge", color=COLOURS[0], edgecolor="white", lw=1.0, zorder=2)
    ax.axhline(1.0 / len(share), color=INK, lw=0.8, ls=":", zorder=3)
    for end in (low, high):
        ax.axhline(end, color=INK, lw=0.7, ls=(0, (5, 3)), alpha=0.7, zorder=3)
    ax.set_ylim(0.0, 1.15 * max(float(share.max()), high))
    ax.set_xlim(0.0, 1.0)
    ax.set_title("probability integral transform")
    ax.set_ylabel("share of rows")
    ax.legend(loc="upper right", fontsize=8)


def _coverage(ax: Axes, nominal: np.ndarray, observed: np.ndarray, error: np.ndarray) -> None:
    ax.plot([0.4, 1.0], [0.4, 1.0], color=FAINT, lw=0.9, ls="--")
    ax.errorbar(nominal, observed, 2.0 * error, fmt="o-", color=COLOURS[0], ms=5, mec="white", capsize=3, lw=1.4)
    ax.set_xticks(nominal, [f"{100 * v:.0f}" for v in nominal], fontsize=8)
    ticks = np.linspace(0.2, 1.0, 5)
    ax.set_yticks(ticks, [percent(v, 0) for v in ticks])
    ax.set_ylim(min(0.35, float((observed - 2.0 * error).min()) - 0.03), 1.05)
    ax.grid(axis="y")
    ax.set_title("rows inside central intervals")
    ax.set_xlabel("nominal coverage (%)")


def _predicted(ax: Axes, mean: np.ndarray, y: np.ndarray, name: str) -> None:
    low, high = float(min(mean.min(), y.min())), float(max(mean.max(), y.max()))
    ax.plot([low, high], [low, high], color=INK, lw=0.8, ls="--")
    ax.plot(mean, y, "o", ms=3.2, color=COLOURS[0], alpha=0.55, mec="none", rasterized=len(y) > 400)
    ax.set_xlabel(f"predicted {label(name, 40)}")
    ax.set_ylabel("observed")
    ax.set_title("observed against predicted")
    ax.grid()


def _residuals(ax: Axes, mean: np.ndarray, residual: np.ndarray, std: np.ndarray) -> None:
    order = np.argsort(mean)
    many = len(mean) > 400
    if np.isfinite(std).all():
        ax.vlines(mean[order], -std[order], std[order], color=FAINT, alpha=0.25, lw=1.2, rasterized=many)
    ax.axhline(0.0, color=INK, lw=0.8, ls="--")
    ax.plot(mean, residual, "o", ms=3.2, color=COLOURS[1], alpha=0.6, mec="none", rasterized=many)
    ax.set_xlabel("predicted")
    ax.set_ylabel("observed − predicted")
    ax.set_title("residuals")
    ax.grid(axis="y")


# -- classes


def _classes(data: ReportData, view: View, page: Document) -> None:
    found = reliability(view.network, view.y, view.w)
    p = np.asarray(view.network.mean())
    binary = view.task == "binary"
    code = (p > 0.5).astype(np.int64) if binary else np.argmax(p, axis=1)
    matrix = confusion(view.y.astype(np.int64), code, view.w, len(view.classes))
    what = f"the probability of {view.classes[1]}" if binary else "the probability of the most probable class"
    many = len(view.classes) > FEW_CLASSES
    caption = (
        f"{what[:1].upper()}{what[1:]}, and how often it came true; on the diagonal it can be believed. The larger the "
        "dot the more rows; bars are two standard errors."
    )
    with styled():
        figure, axes = panels(1 if many else 2, width=4.1, height=3.4)
        _reliability(axes[0], found, len(view.y), binary)
        if not many:
            _confusion(axes[1], matrix, view.classes)
    rows = f"`{view.name}` on {len(view.y)} {data.judged_on} rows."
    if not many:
        caption = f"Left: {caption[:1].lower()}{caption[1:]} Right: observed and predicted classes."
    page.figure(figure, f"{rows} {caption}", f"Reliability diagram of {view.name}")
    page.text(
        f"Expected calibration error {number(found.error, 3)}, Brier score {number(found.brier, 3)} (0 is perfect for "
        "both)."
    )
    if many and len(view.classes) <= MOST_CLASSES:
        with styled():
            size = 1.6 + 0.36 * len(view.classes)
            figure, (ax,) = panels(1, width=size + 0.8, height=size)
            _confusion(ax, matrix, view.classes)
        page.figure(figure, f"{rows} Observed and predicted classes.", f"Confusion matrix of {view.name}")
    _class_table(view, matrix, page, many)


def _class_table(view: View, matrix: np.ndarray, page: Document, many: bool) -> None:
    """How well each class is found; of few classes the whole confusion matrix."""
    recall, precision = (
        [percent(matrix[k, k] / t) if t else "—" for k, t in enumerate(matrix.sum(axis=axis))] for axis in (1, 0)
    )
    if not many:
        rows = [["observed \\ predicted", *view.classes, "recall"]]
        rows += [[name, *(number(v) for v in matrix[k]), recall[k]] for k, name in enumerate(view.classes)]
        rows.append(["precision", *precision, ""])
        page.table(rows, "Rows by observed and predicted class.")
        return
    rows = [["class", "rows", "recall", "precision", "most often taken for"]]
    for k, name in enumerate(view.classes[:MOST_LISTED]):
        wrong = np.where(np.arange(len(matrix)) == k, 0.0, matrix[k])
        other = f"{view.classes[int(np.argmax(wrong))]} ({number(wrong.max())})" if wrong.any() else ""
        rows.append([name, number(matrix[k].sum()), recall[k], precision[k], other])
    page.table(rows, "How well each class is found.")


def _reliability(ax: Axes, found: Reliability, n_rows: int, binary: bool) -> None:
    there = found.share > 0.0
    p, observed, share = found.predicted[there], found.observed[there], found.share[there]
    spread = 2.0 * np.sqrt(p * (1.0 - p) / np.maximum(n_rows * share, 1.0))
    ax.plot([0, 1], [0, 1], color=FAINT, lw=0.9, ls="--")
    ax.errorbar(p, observed, spread, fmt="none", ecolor=COLOURS[0], alpha=0.5, lw=1.2)
    ax.scatter(p, observed, s=18 + 260 * share, color=COLOURS[0], edgecolor="white", zorder=3, clip_on=False)
    ax.set_xlim(-0.04 if binary else 0.0, 1.04)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("share that came true")
    ax.set_title("reliability")
    ax.grid()


def confusion(observed: np.ndarray, predicted: np.ndarray, w: np.ndarray, n_classes: int) -> np.ndarray:
    """Weight of the rows by observed (first axis) and predicted class."""
    matrix = np.zeros((n_classes, n_classes))
    np.add.at(matrix, (observed, predicted), w)
    return matrix


def _confusion(ax: Axes, matrix: np.ndarray, classes: tuple[str, ...]) -> None:
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-300)
    ax.pcolormesh(share, cmap="Blues", vmin=0.0, vmax=1.25, edgecolors="white", linewidth=1.5)
    n = len(classes)
    for i, j in np.ndindex(n, n):
        if matrix[i, j] or n <= FEW_CLASSES:
            colour = "white" if share[i, j] > 0.6 else INK
            ax.text(
                j + 0.5, i + 0.5, number(float(matrix[i, j]), 3), ha="center", va="center", color=colour, fontsize=8
            )
    names = [label(c, 14, classes) for c in classes]
    ax.set_xticks(np.arange(n) + 0.5, names, rotation=0 if n < 5 else 60, ha="center" if n < 5 else "right")
    ax.set_yticks(np.arange(n) + 0.5, names)
    ax.tick_params(length=0)
    ax.invert_yaxis()
    ax.set_aspect("equal")
    ax.set_xlabel("predicted")
    ax.set_ylabel("observed")
    ax.set_title("confusion")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
