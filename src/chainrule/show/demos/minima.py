"""Local minima: different starts end in different optima."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.learn.minimize import minimize
from chainrule.learn.optimizers import GD
from chainrule.show.curves import critical_points, curve, starts
from chainrule.show.demos.narration import Narration
from chainrule.show.paths import Descent, descend
from chainrule.show.surfaces import surface

TITLE = "Local minima: where a descent ends depends on where it starts"


def bumpy(x: Any) -> Any:
    """A curve with two minima."""
    return x**4 - 2.0 * x**2 + 0.3 * x


def himmelblau(p: Any) -> Any:
    """Four minima of equal value (Himmelblau 1972)."""
    return (p[0] ** 2 + p[1] - 11.0) ** 2 + (p[0] + p[1] ** 2 - 7.0) ** 2


def run(demo: Narration) -> None:
    """One variable, two variables."""
    demo.section("One variable")
    demo.text(
        "f(x) = x⁴ − 2x² + 0.3x. Where the derivative is zero, the second derivative tells what kind of point it is."
    )
    points = critical_points(bumpy, (-2.0, 2.0))
    demo.table(
        [["kind", "x", "f(x)"]]
        + [[("global " if p.global_ else "") + p.kind, f"{p.x:.6f}", f"{p.value:.6f}"] for p in points]
    )
    rows = [["start", "ends at", "f there", "kind"]]
    for x0 in (-1.8, -0.2, 0.2, 1.8):
        result = minimize(bumpy, x0, "gd")
        rows.append([f"{x0:g}", f"{float(result.x):.6f}", f"{result.value:.6f}", result.curvature.kind])
    demo.text("Gradient descent goes downhill from where it is, and stops in whichever valley that is:")
    demo.table(rows)
    demo.figure(curve(bumpy, (-2.0, 2.0)), "The curve, its derivative, and the points where that is zero.")

    demo.section("Two variables, forty starts")
    result = minimize(himmelblau, np.zeros(2), starts=40, spread=4.0, random_state=demo.seed)
    rows = [["minimum", "value", "starts that ended there"]]
    for one, count in result.optima:
        rows.append([f"({one.x[0]:.4f}, {one.x[1]:.4f})", f"{one.value:.1e}", str(count)])
    demo.text(
        "Himmelblau's function has four minima of equal value. So does many a network: swap two hidden "
        "units, and nothing changes."
    )
    demo.table(rows)
    corners = [np.array(p) for p in ((-0.5, -0.7), (0.5, 0.5), (-0.6, 0.6), (0.6, -1.2))]
    paths: list[Descent] = [
        descend(himmelblau, p, GD(0.01), steps=80, name=f"from ({p[0]:g}, {p[1]:g})") for p in corners
    ]
    demo.figure(
        surface(himmelblau, paths=paths, extent=((-5, 5), (-5, 5)), names=("x", "y")),
        "Four starts near the middle, four minima.",
    )
    demo.figure(starts(result), "All forty: how fast each came down, and where it ended.")
