"""Gradient descent and its relatives: learning rates, batches, momentum, Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.learn.optimizers import GD, SGD, Adam, FirstOrder, RMSProp
from chainrule.show.curves import learning_rates
from chainrule.show.demos.narration import Narration
from chainrule.show.paths import compare, descend
from chainrule.show.surfaces import surface

TITLE = "Descent: learning rates, batch sizes, momentum and Adam on one surface"


def run(demo: Narration) -> None:
    """η first, then the optimisers."""
    rng = demo.rng
    X = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
    y = X @ np.array([2.0, -0.3]) + 0.5 * rng.normal(size=200)

    def cost(w: Any, X: Any, y: Any) -> Any:
        return 0.5 * np.mean((X @ w - y) ** 2)

    start = np.array([-1.5, 1.5])
    hessian = X.T @ X / len(X)
    largest = float(np.linalg.eigvalsh(hessian)[-1])
    demo.section("The learning rate")
    demo.formula(
        "<mi>θ</mi><mo>←</mo><mi>θ</mi><mo>−</mo><mi>η</mi><mo>∇</mo><mi>J</mi><mo>(</mo><mi>θ</mi><mo>)</mo>",
        "θ ← θ − η ∇J(θ)",
    )
    demo.text(
        f"The cost is a parabola whose largest curvature is {largest:.3f}. Gradient descent converges for η < "
        f"2/{largest:.3f} = "
        f"{2 / largest:.3f}, and diverges beyond."
    )
    rates = [0.01, 0.1, 0.5, 0.95 * 2 / largest, 1.1 * 2 / largest]
    rows = [["η", "cost after 60 steps", ""]]
    for eta in rates:
        found = descend(cost, start, GD(eta), steps=60, data=(X, y))
        rows.append([f"{eta:.3g}", f"{found.values[-1]:.6g}", "diverges" if found.diverged else ""])
    demo.table(rows)
    demo.figure(
        learning_rates(cost, start, rates, data=(X, y)),
        "How far above the minimum each learning rate is, step by step.",
    )

    demo.section("Batches, momentum, Adam")
    methods: dict[str, FirstOrder | tuple[FirstOrder, int]] = {
        "all rows (GD)": GD(0.3),
        "batches of 8": (SGD(0.1), 8),
        "one row at a time": (SGD(0.03), 1),
        "momentum": SGD(0.1, momentum=0.9),
        "Nesterov": SGD(0.1, momentum=0.9, nesterov=True),
        "RMSProp": RMSProp(0.1),
        "Adam": Adam(0.2),
    }
    paths = compare(cost, start, methods, steps=60, data=(X, y), random_state=demo.seed)
    rows = [["method", "rows seen", "cost after 60 steps"]]
    for path, method in zip(paths, methods.values(), strict=True):
        batch = method[1] if isinstance(method, tuple) else len(X)
        rows.append([path.name, str(60 * batch), f"{path.values[-1]:.6f}"])
    demo.text("A batch's gradient is that of the whole with noise: cheaper, and rougher.")
    demo.table(rows)
    demo.figure(surface(cost, paths=paths, data=(X, y), names=("w₁", "w₂")), "Sixty steps of each from the same point.")
