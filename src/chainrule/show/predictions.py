"""Predictions as pictures: what a classifier says over a plane, and a predictive distribution along one input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.show.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: points per side of a plane's grid
GRID = 161


def draw_decision(
    ax: Axes, probability: Callable[[np.ndarray], np.ndarray], X: np.ndarray, y: np.ndarray, margin: float = 0.35
) -> None:
    """The probability of class 1 over the plane of two inputs, with the rows it was learned from.

    Parameters
    ----------
    probability : callable
        Rows of shape (n, 2) to probabilities of shape (n,).
    X : array of shape (n_rows, 2)
    y : array of shape (n_rows,)
        0 or 1.
    margin : float
        Air around the rows, in units of their spread.
    """
    from matplotlib.colors import LinearSegmentedColormap

    low, high = X.min(axis=0), X.max(axis=0)
    air = margin * (high - low)
    a, b = (np.linspace(s, e, GRID) for s, e in zip((low - air).tolist(), (high + air).tolist(), strict=True))
    plane = np.stack([v.ravel() for v in np.meshgrid(a, b)], axis=1)
    p = np.asarray(probability(plane)).reshape(GRID, GRID)
    colours = LinearSegmentedColormap.from_list("classes", [COLOURS[0], "#ffffff", COLOURS[1]])
    ax.contourf(a, b, p, levels=np.linspace(0.0, 1.0, 21), cmap=colours, alpha=0.75, zorder=0)
    ax.set_rasterization_zorder(0.5)
    if p.min() < 0.499 and p.max() > 0.501:
        ax.contour(a, b, p, levels=[0.5], colors=INK, linewidths=1.2)
    for k in (0, 1):
        ax.plot(*X[y == k].T, "o", ms=6, color=COLOURS[k], mec=INK, mew=0.8, label=f"class {k}")
    ax.set_xlabel("x₁")
    ax.set_ylabel("x₂")


def density(distribution_of: Callable[[np.ndarray], Any], x: np.ndarray, y: np.ndarray, title: str = "") -> Figure:
    """The predictive density of y along one input x, with the rows it was learned from.

    Parameters
    ----------
    distribution_of : callable
        Rows of shape (n, 1) to a distribution, such as ``estimator.predict_dist``.
    x, y : arrays of shape (n_rows,)
    """
    with styled():
        figure, (ax,) = panels(1, width=5.6, height=4.0)
        draw_density(ax, distribution_of, x, y)
        ax.set_title(title)
    return figure


def draw_density(ax: Axes, distribution_of: Callable[[np.ndarray], Any], x: np.ndarray, y: np.ndarray) -> None:
    """`density` on given axes; each column of the picture is scaled to its own largest value."""
    left, right = float(x.min()), float(x.max())
    air = 0.12 * float(y.max() - y.min())
    a, b = np.linspace(left, right, GRID), np.linspace(float(y.min()) - air, float(y.max()) + air, GRID)
    rows = distribution_of(np.repeat(a, GRID)[:, None])
    p = np.exp(np.asarray(rows.logpdf(np.tile(b, GRID))).reshape(GRID, GRID))
    shown = (p / np.maximum(p.max(axis=1, keepdims=True), 1e-300)).T
    ax.contourf(a, b, shown, levels=np.linspace(0.02, 1.0, 15), cmap="Blues", extend="neither", zorder=0)
    ax.set_rasterization_zorder(0.5)
    ax.plot(
        x, y, ".", ms=3, color=COLOURS[1], alpha=0.5, mec="none", rasterized=True
    )  # thousands of points are a picture
    ax.set_xlabel("x")
    ax.set_ylabel("y")


def curves(training: np.ndarray, validation: np.ndarray, best_epoch: int | None = None, name: str = "loss") -> Figure:
    """Training and validation loss by epoch, with the epoch that was kept."""
    with styled():
        figure, (ax,) = panels(1, width=6.0, height=3.4)
        draw_curves(ax, training, validation, best_epoch)
        ax.set_title(f"{name} by epoch")
    return figure


def draw_curves(ax: Axes, training: np.ndarray, validation: np.ndarray, best_epoch: int | None = None) -> None:
    """`curves` on given axes."""
    ax.plot(np.arange(1, len(training) + 1), training, color=COLOURS[0], label="training rows")
    if len(validation):
        ax.plot(np.arange(1, len(validation) + 1), validation, color=COLOURS[1], label="validation rows")
        if best_epoch is not None:
            ax.axvline(best_epoch, color=INK, lw=0.8, ls=":")
            height = validation[best_epoch - 1]
            ax.plot(
                best_epoch,
                height,
                "o",
                ms=6,
                color=COLOURS[1],
                mec="white",
                zorder=5,
                label=f"epoch {best_epoch}, kept",
            )
    ax.set_xlabel("epoch")
    ax.grid(axis="y")
    ax.legend()
