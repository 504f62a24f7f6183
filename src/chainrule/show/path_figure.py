"""The picture of a penalty path: coefficients against the strength, and the cross-validated loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.show.style import COLOURS, FAINT, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chainrule.estimators.path import PathCV, PenaltyPath

#: features that are drawn in colour and named
MOST_NAMED = 8


def path_figure(path: PenaltyPath, *, at: float | None = None) -> Figure:
    """Coefficients of all features against the penalty's strength, the first to enter in colour.

    Parameters
    ----------
    path : PenaltyPath
    at : float, optional
        A strength to mark.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure, (ax,) = panels(1, width=6.4, height=3.8)
        _coefficients(ax, path)
        if at is not None:
            ax.axvline(at, color=INK, lw=0.9, ls=":")
    return figure


def path_cv_figure(model: PathCV) -> Figure:
    """The path, and under it the mean cross-validated loss with its standard error and both rules' choices.

    Parameters
    ----------
    model : PathCV
        Fitted.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure, (top, bottom) = panels(1, 2, width=6.4, height=3.2)
        bottom.sharex(top)
        _coefficients(top, model.path_)
        mean, error = model.mean_loss_, model.std_error_
        bottom.fill_between(model.alphas_, mean - error, mean + error, color=COLOURS[0], alpha=0.18, lw=0)
        bottom.plot(model.alphas_, mean, color=COLOURS[0], marker="o", ms=2.5, lw=1.0)
        for name, strength, colour in (
            ("best", model.alpha_best_, COLOURS[1]),
            ("one standard error", model.alpha_one_se_, COLOURS[2]),
        ):
            for ax in (top, bottom):
                ax.axvline(strength, color=colour, lw=1.0, ls=":")
            count = int((model.path_.sizes[model.path_.nearest(strength)] > 0).sum())
            bottom.plot(
                strength,
                mean[model.path_.nearest(strength)],
                "o",
                color=colour,
                ms=6,
                mec="white",
                label=f"{name}: {strength:.3g}, {count} features",
            )
        top.set_xlabel("")
        bottom.set_title(f"loss of the rows held out, mean of {model.loss_path_.shape[1]} folds ± standard error")
        bottom.set_xlabel(f"strength of {model.path_.penalty}")
        bottom.legend()
    return figure


def _coefficients(ax: Axes, path: PenaltyPath) -> None:
    curves = path.coef if path.coef.ndim == 2 else path.sizes
    named = [name for name, _ in path.entered][:MOST_NAMED]
    for j, name in enumerate(path.names):
        if name not in named:
            ax.plot(path.strengths, curves[:, j], color=FAINT, lw=0.7, alpha=0.6, zorder=1)
    for k, name in enumerate(named):
        ax.plot(path.strengths, curves[:, path.names.index(name)], color=COLOURS[k % len(COLOURS)], label=name)
    ax.axhline(0.0, color=FAINT, lw=0.8)
    ax.set_xscale("log")
    ax.invert_xaxis()
    count = int((np.abs(curves) > 0).any(axis=0).sum())
    what = "norms of the inputs' weights" if path.deep else "coefficients"
    ax.set_title(f"{what}: {count} of {len(path.names)} features enter")
    ax.set_xlabel(f"strength of {path.penalty}")
    if named:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="in order of entry", alignment="left")


__all__ = ["path_cv_figure", "path_figure"]
