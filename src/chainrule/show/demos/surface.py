"""The regularised surface: contours of cost, penalty and sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.learn.minimize import minimize
from chainrule.learn.optimizers import GD
from chainrule.learn.penalties import L1, L2, Penalty
from chainrule.show.demos.narration import Narration
from chainrule.show.paths import descend
from chainrule.show.surfaces import surface as draw

TITLE = "The regularised surface: why L1 gives exact zeros, and L2 does not"


def run(demo: Narration) -> None:
    """L2, L1, and the same data under both."""
    rng = demo.rng
    X = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
    y = X @ np.array([2.0, -0.3]) + 0.5 * rng.normal(size=200)

    def cost(w: Any, X: Any, y: Any) -> Any:
        return 0.5 * np.mean((X @ w - y) ** 2)

    demo.section("The cost alone")
    plain = minimize(cost, np.zeros(2), data=(X, y))
    demo.text(
        "Linear regression on two correlated inputs, true weights (2, −0.3). The penalty λ/2 ‖w‖² or "
        "λ ‖w‖₁ is added to the mean squared error / 2."
    )
    start = np.array([-1.5, 1.5])
    kinds: dict[str, Callable[[float], Penalty]] = {"L2": L2, "L1": L1}
    rows = [["penalty", "λ", "w₁", "w₂", "cost", "cost + penalty"]]
    rows.append(["none", "0", *(f"{v:.4f}" for v in plain.x), f"{plain.value:.4f}", f"{plain.value:.4f}"])
    for name, kind in kinds.items():
        for strength in (0.03, 0.1, 0.3):
            found = minimize(cost, np.zeros(2), data=(X, y), penalty=kind(strength))
            rows.append(
                [
                    name,
                    f"{strength:g}",
                    *(f"{v:.4f}" for v in found.x),
                    f"{cost(found.x, X, y):.4f}",
                    f"{found.value:.4f}",
                ]
            )
    demo.table(rows, "L2 shrinks both weights; L1 sets the small one to zero, exactly.")
    for name, kind in kinds.items():
        demo.section(f"{name}: contours and the way down")
        path = descend(
            cost,
            start,
            GD(0.3),
            steps=60,
            data=(X, y),
            penalty=kind(0.3),
            name="gradient descent" if name == "L2" else "proximal gradient descent",
        )
        end = path.theta[-1]
        demo.text(
            f"{path.name} with η = 0.3 ends at w = ({end[0]:.4f}, {end[1]:.4f}) after 60 steps."
            + (
                " Its contours have corners on the axes, and the sum has its minimum in one of them."
                if name == "L1"
                else ""
            )
        )
        demo.figure(
            draw(cost, penalty=kind(0.3), paths=[path], data=(X, y), names=("w₁", "w₂")),
            f"Cost, {name} penalty with λ = 0.3, and their sum with the path.",
        )
