"""Surfaces: contours of a cost, of a penalty and of their sum, with the optimisers' paths on top.

For two parameters (Hastie, Tibshirani & Friedman 2009, *The Elements of Statistical Learning*, figure 3.11, shows like
this why L1 gives exact zeros); for networks a plane through parameter space (Li et al. 2018, "Visualizing the loss
landscape of neural nets").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.minimize import minimize
from chainrule.learn.minimize_objective import Objective
from chainrule.show.paths import Descent, extent_of
from chainrule.show.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: points per side of the grid that contours are drawn from
RESOLUTION = 121
#: colour maps of a cost, a penalty and their sum
MAPS = ("Blues_r", "Oranges_r", "Purples_r")


def surface(
    f: Callable[..., Any],
    *,
    penalty: Any = None,
    paths: Sequence[Descent] = (),
    data: Any = None,
    extent: Any = None,
    names: tuple[str, str] = ("θ₁", "θ₂"),
    levels: int = 18,
) -> Figure:
    """Contours of a cost of two parameters; with a penalty also of that, and of the sum, each with its minimum.

    Parameters
    ----------
    f : callable
        Plain NumPy; ``f(x)``, or ``f(x, *data)``, with x of shape (2,).
    penalty : Penalty, optional
        ``cr.L1(λ)``, ``cr.L2(λ)``, … : three panels instead of one.
    paths : sequence of Descent
        From `descend` or `compare`, drawn on the objective that they minimise.
    data : array or tuple of arrays, optional
    extent : ((left, right), (bottom, top)), optional
        By default a box around the paths and the minimum.
    names : tuple of str
        Of the two parameters.
    levels : int
        Number of contours.

    Returns
    -------
    matplotlib.figure.Figure
        ``chainrule.show.save(figure, "surface.svg")`` writes it.
    """
    arrays = () if data is None else tuple(data) if isinstance(data, (tuple, list)) else (data,)
    start = paths[0].theta[0] if paths else np.ones(2)
    if start.size != 2:
        raise OptionError(f"a surface is of two parameters, got {start.size}; see slice_plane for more")
    cost = Objective(f, start, None, arrays)
    whole = Objective(f, start, penalty, arrays)
    best = _minimum(f, start, None, arrays)
    best_whole = best if penalty is None else _minimum(f, start, penalty, arrays)
    points = [p for p in (best, best_whole, None if penalty is None else np.zeros(2)) if p is not None]
    box = np.asarray(extent if extent is not None else extent_of(paths, points), float)
    x, y = (np.linspace(low, high, RESOLUTION) for low, high in box.tolist())
    total = _grid(lambda t: float(sum(whole.evaluate(t)[::2])), x, y)
    with styled():
        if penalty is None:
            figure, axes = panels(1, width=5.6, height=4.6)
            _contours(axes[0], x, y, total, MAPS[0], levels, "cost")
        else:
            figure, axes = panels(3, width=3.9, height=4.1)
            of_cost = _grid(lambda t: float(cost.evaluate(t)[0]), x, y)
            _contours(axes[0], x, y, of_cost, MAPS[0], levels, "cost $J$")
            _contours(axes[1], x, y, total - of_cost, MAPS[1], levels, "penalty")
            _contours(axes[2], x, y, total, MAPS[2], levels, "cost + penalty")
            _mark(axes[0], best, "minimum of $J$")
            _mark(axes[1], np.zeros(2), "")
        _mark(axes[-1], best_whole, "minimum")
        for ax in axes:
            ax.set_xlabel(names[0])
            ax.set_ylabel(names[1])
        for k, descent in enumerate(paths):
            _draw_path(axes[-1], descent.theta, COLOURS[(k + 1) % len(COLOURS)], descent.name)
        if paths:
            figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        for ax in axes:
            ax.set_xlim(*box[0])
            ax.set_ylim(*box[1])
    return figure


def slice_plane(
    f: Callable[..., Any],
    x: Any,
    *,
    path: np.ndarray | None = None,
    data: Any = None,
    radius: float = 1.0,
    random_state: int | np.random.Generator = 0,
    levels: int = 18,
) -> Figure:
    """The cost on a plane through a point of a space of many parameters.

    Parameters
    ----------
    f : callable
        As for `cr.minimize`.
    x : nested like f's argument
        The middle of the plane, a minimum for instance.
    path : array of shape (k, n), optional
        Iterates that led there (`Descent.theta`, `Result.path.theta`): the plane is then that of their first two
        principal components around x, and they are drawn on it. Otherwise two random directions, each array scaled to
        the norm of its own in x (Li et al. 2018, "filter normalisation" by array).
    radius : float
        How far the plane reaches, in units of the directions.
    levels : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    arrays = () if data is None else tuple(data) if isinstance(data, (tuple, list)) else (data,)
    objective = Objective(f, x, None, arrays)
    middle = objective.flat(x)
    if middle.size < 2:
        raise OptionError("a plane needs two parameters at least; see curve for one")
    if path is None:
        u, v = _random_directions(objective, middle, np.random.default_rng(random_state))
        words, course = ["random direction 1", "random direction 2"], None
        box = np.array([[-radius, radius]] * 2)
    else:
        u, v, shares = _principal_directions(np.asarray(path, float) - middle)
        course = (np.asarray(path, float) - middle) @ np.stack([u, v], axis=1)
        words = [f"principal direction {k + 1} ({s:.0%} of the path)" for k, s in enumerate(shares)]
        box = extent_of([Descent("", course, np.zeros(0), np.zeros(0))], [np.zeros(2)])
    a, b = (np.linspace(low, high, RESOLUTION // 2 + 1) for low, high in box.tolist())
    values = _grid(lambda t: float(objective.evaluate(middle + t[0] * u + t[1] * v)[0]), a, b)
    with styled():
        figure, (ax,) = panels(1, width=5.6, height=4.6)
        _contours(ax, a, b, values, MAPS[0], levels, "cost on a plane")
        if course is not None:
            _draw_path(ax, course, COLOURS[1], "path")
        _mark(ax, np.zeros(2), "the point")
        ax.set_xlabel(words[0])
        ax.set_ylabel(words[1])
        ax.legend(loc="upper right")
    return figure


def _minimum(f: Callable[..., Any], start: np.ndarray, penalty: Any, data: tuple[Any, ...]) -> np.ndarray | None:
    """Where the objective is smallest of what four starts find; nothing if none arrives."""
    found = minimize(f, start, penalty=penalty, data=data or None, starts=4, spread=1.0)
    return np.asarray(found.x, float).reshape(2) if found.success else None


def _grid(value: Callable[[np.ndarray], float], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.array([[value(np.array([a, b])) for a in x] for b in y])


def contour_levels(values: np.ndarray, count: int) -> np.ndarray:
    """Heights of contours: closer together near the bottom, where the interest is.

    Examples
    --------
    >>> contour_levels(np.array([[0.0, 1.0], [4.0, np.inf]]), 5).tolist()
    [0.0, 0.25, 1.0, 2.25, 4.0]
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise OptionError("the cost is not finite anywhere in the picture; choose another extent")
    low, high = float(finite.min()), float(np.quantile(finite, 0.995)) if finite.size > 100 else float(finite.max())
    high = high if high > low else low + 1.0
    return low + (high - low) * np.linspace(0.0, 1.0, count) ** 2


def _contours(ax: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, colours: str, count: int, title: str) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap

    heights = contour_levels(values, count)
    pale = LinearSegmentedColormap.from_list("pale", colormaps[colours](np.linspace(0.25, 1.0, 256)))
    shown = np.where(np.isfinite(values), values, np.nan)
    ax.contourf(x, y, shown, levels=heights, cmap=pale, norm=BoundaryNorm(heights, 256), extend="max", zorder=0)
    ax.set_rasterization_zorder(0.5)  # areas as an image, lines and text as vectors: a tenth of the size
    lines = ax.contour(x, y, shown, levels=heights[1:], colors=INK, linewidths=0.4, alpha=0.45)
    ax.clabel(lines, levels=heights[2 :: max(1, count // 5)], fontsize=6.5, fmt="%.3g", inline=True)
    ax.set_title(title)


def _mark(ax: Axes, point: np.ndarray | None, label: str) -> None:
    if point is not None:
        ax.plot(*point, marker="*", ms=11, mfc="white", mec=INK, mew=0.9, ls="none", label=label or None, zorder=5)


def _draw_path(ax: Axes, course: np.ndarray, colour: str, label: str) -> None:
    size = 3.2 if len(course) < 60 else 0.0
    ax.plot(*course.T, color="white", lw=3.2, alpha=0.8, zorder=3)
    ax.plot(*course.T, color=colour, lw=1.5, marker="o", ms=size, mec="white", mew=0.4, label=label, zorder=4)
    ax.plot(*course[0], marker="o", ms=6, mfc="white", mec=colour, mew=1.6, zorder=5)
    ax.plot(*course[-1], marker="o", ms=5, color=colour, mec="white", mew=0.8, zorder=6)


def _random_directions(
    objective: Objective, middle: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for _ in range(2):
        direction = rng.normal(size=middle.size)
        for low, high in zip(objective.ends[:-1], objective.ends[1:], strict=True):
            own = np.linalg.norm(middle[low:high]) or 1.0
            direction[low:high] *= own / (np.linalg.norm(direction[low:high]) or 1.0)
        found.append(direction)
    return found[0], found[1]


def _principal_directions(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if len(steps) < 3:
        raise OptionError(f"principal directions need a path of three points at least, got {len(steps)}")
    _, spread, directions = np.linalg.svd(steps, full_matrices=False)
    shares = spread**2 / max(float(np.sum(spread**2)), 1e-300)
    return directions[0], directions[1], shares[:2]
