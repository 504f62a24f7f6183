"""Curves: a function of one number with its critical points, convergence against the learning rate, many starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chainrule.calculus import grad
from chainrule.errors import OptionError
from chainrule.graph.types import ArrayType
from chainrule.learn.minimize_result import Result
from chainrule.learn.optimizers import GD, FirstOrder
from chainrule.primitives import trace
from chainrule.show.paths import Descent, descend
from chainrule.show.style import COLOURS, FAINT, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["minimum", "maximum", "saddle"]
#: points at which a sign change of the derivative is looked for
SAMPLES = 4001
#: optima that a picture of many starts lists
MOST_OPTIMA = 12


@dataclass(frozen=True)
class CriticalPoint:
    """Where a function of one number has derivative zero.

    Parameters
    ----------
    x, value : float
    kind : {"minimum", "maximum", "saddle"}
        A saddle of one variable: the derivative touches zero and keeps its sign.
    global_ : bool
        Whether no point of the interval is lower (of a minimum) or higher (of a maximum), its ends included.
    """

    x: float
    value: float
    kind: Kind
    global_: bool = False


def critical_points(f: Callable[[Any], Any], interval: tuple[float, float]) -> list[CriticalPoint]:
    """All points of an interval where the derivative is zero, from left to right.

    Sign changes and touches of the derivative are looked for between `SAMPLES` points, and found to rounding by Brent's
    method (Brent 1973, *Algorithms for Minimization without Derivatives*, §4).

    Examples
    --------
    >>> [(round(p.x, 6), p.kind) for p in critical_points(lambda x: x**4 - 2.0 * x**2, (-2.0, 2.0))]
    [(-1.0, 'minimum'), (0.0, 'maximum'), (1.0, 'minimum')]
    """
    from scipy.optimize import brentq

    low, high = interval
    if not low < high:
        raise OptionError(f"an interval needs its smaller end first, got {interval}")
    number = ArrayType((), np.dtype(float))
    value = trace(f, number)
    slope = trace(grad(f), number)
    bend = trace(grad(grad(f)), number)

    def at(graph: Any, x: float) -> float:
        with np.errstate(all="ignore"):
            return float(graph(np.float64(x)))

    xs = np.linspace(low, high, SAMPLES)
    slopes = np.array([at(slope, x) for x in xs])
    size = np.nanmax(np.abs(slopes[np.isfinite(slopes)]), initial=0.0)
    places: list[tuple[float, Kind]] = []
    for k in range(SAMPLES - 1):
        a, b = slopes[k], slopes[k + 1]
        if a == 0.0 and k > 0:
            places.append((float(xs[k]), _kind(slopes[k - 1], b)))
        elif a * b < 0.0 and np.isfinite(a) and np.isfinite(b):
            x = float(brentq(lambda t: at(slope, t), xs[k], xs[k + 1], xtol=1e-15, rtol=8.9e-16))
            if np.isfinite(at(value, x)):  # the derivative may jump over zero there, at a kink
                places.append((x, _kind(a, b)))
    bends = np.array([at(bend, x) for x in xs])
    for k in np.flatnonzero((bends[:-1] * bends[1:] < 0.0) & (slopes[:-1] * slopes[1:] > 0.0)).tolist():
        x = float(brentq(lambda t: at(bend, t), xs[k], xs[k + 1], xtol=1e-15, rtol=8.9e-16))
        if abs(at(slope, x)) <= 1e-9 * size:
            places.append((x, "saddle"))
    values = np.array([at(value, x) for x in xs])
    found = [CriticalPoint(x, at(value, x), kind) for x, kind in sorted(places)]
    lowest = np.nanmin([*values, *(p.value for p in found)])
    highest = np.nanmax([*values, *(p.value for p in found)])
    edge = {"minimum": lowest, "maximum": highest}
    close = 1e-9 * max(abs(lowest), abs(highest), 1e-300)
    return [CriticalPoint(p.x, p.value, p.kind, p.kind in edge and abs(p.value - edge[p.kind]) <= close) for p in found]


def _kind(before: float, after: float) -> Kind:
    return "saddle" if before * after > 0.0 else "minimum" if before < after else "maximum"


def curve(f: Callable[[Any], Any], interval: tuple[float, float], *, name: str = "f") -> Figure:
    """A function of one number and its derivative, with the critical points classified.

    Parameters
    ----------
    f : callable
        Plain NumPy.
    interval : (low, high)
    name : str
        Of the function.

    Returns
    -------
    matplotlib.figure.Figure
    """
    points = critical_points(f, interval)
    xs = np.linspace(*interval, 801)
    number = ArrayType((), np.dtype(float))
    value, slope = trace(f, number), trace(grad(f), number)
    with np.errstate(all="ignore"):
        ys, ds = (np.array([float(g(np.float64(x))) for x in xs]) for g in (value, slope))
    looks = {"minimum": (COLOURS[2], "v"), "maximum": (COLOURS[1], "^"), "saddle": (COLOURS[3], "D")}
    with styled():
        figure, (top, bottom) = panels(1, 2, width=6.4, height=2.5)
        bottom.sharex(top)
        top.plot(xs, ys, color=COLOURS[0], lw=2)
        bottom.plot(xs, ds, color=COLOURS[0], lw=1.4)
        bottom.axhline(0.0, color=FAINT, lw=0.8)
        seen = set()
        for p in points:
            colour, marker = looks[p.kind]
            label = ("global " if p.global_ else "local " if p.kind != "saddle" else "") + p.kind
            size = 10 if p.global_ else 7
            style: dict[str, Any] = {"color": colour, "marker": marker, "mec": "white", "ls": "none", "zorder": 4}
            top.plot(p.x, p.value, ms=size, label=None if label in seen else label, **style)
            bottom.plot(p.x, 0.0, ms=5, **style)
            for ax in (top, bottom):
                ax.axvline(p.x, color=colour, lw=0.7, alpha=0.35, zorder=0)
            seen.add(label)
        top.set_title(f"{name}(x)")
        bottom.set_title(f"{name}′(x)")
        bottom.set_xlabel("x")
        if seen:
            figure.legend(*top.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


def learning_rates(
    f: Callable[..., Any],
    x0: Any,
    rates: Sequence[float],
    *,
    optimizer: Callable[[float], FirstOrder] = GD,
    steps: int = 60,
    lowest: float | None = None,
    **options: Any,
) -> Figure:
    """How fast descents with several learning rates converge, and which of them diverge.

    Parameters
    ----------
    f, x0
        As for `descend`.
    rates : sequence of float
        Learning rates η.
    optimizer : callable
        From a learning rate to an optimiser, such as ``cr.GD`` or ``cr.Adam``.
    steps : int
    lowest : float, optional
        The minimum's value; by default the lowest value seen.
    **options
        Of `descend`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = [descend(f, x0, optimizer(eta), steps=steps, name=f"η = {eta:g}", **options) for eta in rates]
    floor = min(float(d.values.min()) for d in found) if lowest is None else lowest
    with styled():
        figure, (ax,) = panels(1, width=6.0, height=3.8)
        for k, each in enumerate(found):
            gap = np.maximum(each.values - floor, 1e-16 * max(abs(floor), 1.0))
            colour = COLOURS[k % len(COLOURS)]
            words = f"{each.name}: diverges" if each.diverged else each.name
            ax.semilogy(np.arange(len(gap)), gap, color=colour, ls="--" if each.diverged else "-", label=words)
        ax.set_title("how far above the minimum")
        ax.set_xlabel("step")
        ax.grid(axis="y")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        top = max(float(found[0].values[0]) - floor, 1e-12)
        ax.set_ylim(top=1e3 * top)
    return figure


def starts(result: Result) -> Figure:
    """Where many starts ended: the different optima with their values, and how many starts each drew.

    Parameters
    ----------
    result : Result
        Of ``cr.minimize(…, starts=40)``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if len(result.starts) < 2:
        raise OptionError("there was one start only; run cr.minimize with starts=20 or so")
    optima = result.optima[:MOST_OPTIMA]
    lowest = min(r.value for r in result.starts)
    gap = max(1e-16, 1e-16 * abs(lowest))
    with styled():
        figure, (left, right) = panels(2, width=4.6, height=3.4)
        for r in result.starts:
            shown = np.maximum(r.path.values - lowest, gap)
            left.semilogy(r.path.iterations, shown, color=COLOURS[0], lw=0.9, alpha=0.45)
            left.semilogy(r.path.iterations[-1], shown[-1], "o", ms=3.5, color=COLOURS[1], zorder=4)
        left.set_title(f"{len(result.starts)} starts: how far above the best")
        left.set_xlabel("iteration")
        left.grid(axis="y")
        rows = np.arange(len(optima))
        right.barh(rows, [count for _, count in optima], color=COLOURS[0], height=0.62)
        right.set_yticks(rows, [f"{one.value:.4g}" for one, _ in optima])
        right.invert_yaxis()
        right.set_title(_counted(len(result.optima)) + ", by value")
        right.set_xlabel("starts that ended there")
        for row, (one, count) in enumerate(optima):
            right.annotate(
                one.curvature.kind, (count, row), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        right.margins(x=0.18)
    return figure


def _counted(optima: int) -> str:
    shown = f", the best {MOST_OPTIMA}" if optima > MOST_OPTIMA else ""
    return f"{optima} different points{shown}" if optima != 1 else "one point"


__all__ = ["CriticalPoint", "Descent", "critical_points", "curve", "learning_rates", "starts"]
