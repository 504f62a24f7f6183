"""Logistic regression by gradient descent, its gradient derived from the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.calculus import grad
from chainrule.calculus.backprop import backpropagate
from chainrule.graph.trace import label
from chainrule.learn.minimize import minimize
from chainrule.learn.optimizers import GD
from chainrule.primitives import trace
from chainrule.show.demos.narration import Narration
from chainrule.show.paths import descend
from chainrule.show.predictions import draw_decision
from chainrule.show.style import COLOURS, panels, styled

TITLE = "Logistic regression: the gradient, step by step"


def run(demo: Narration) -> None:
    """One row through the graph, all rows downhill."""
    rng = demo.rng
    X = rng.normal(size=(120, 2))
    truth = np.array([2.0, -1.0])
    y = (rng.random(120) < 1.0 / (1.0 + np.exp(-X @ truth))).astype(float)

    demo.section("One row: the chain rule, factor by factor")
    x, observed, theta = np.array([1.0, 2.0]), 1.0, np.array([0.5, -0.5])
    demo.formula(
        "<mi>J</mi><mo>=</mo><mo>−</mo><mi>log</mi><mi>σ</mi><mo>(</mo><msup><mi>θ</mi><mo>⊤</mo></msup><mi>x</mi><mo>)</mo>",
        "J = −log σ(θᵀx)   for a row of class 1",
    )

    def one_row(theta: Any, x: Any) -> Any:
        z = label(np.sum(theta * x), "z")
        p = label(1.0 / (1.0 + np.exp(-z)), "p")
        return label(-np.log(p), "J")

    graph = trace(one_row, theta, x)
    passed = backpropagate(graph, [theta, x])
    demo.text(
        "Forward, every operation gives a value; backward, every value its gradient: what J changes by when it changes."
    )
    rows = [["node", "operation", "value", "gradient ∂J/∂node"]]
    for node, name, value, gradient in zip(graph.nodes, graph.node_names, passed.values, passed.gradients, strict=True):
        if node.primitive.name != "constant":
            rows.append([name, node.primitive.name, _shown(value), "" if gradient is None else _shown(gradient)])
    demo.table(rows)
    z = float(theta @ x)
    sigma = 1.0 / (1.0 + np.exp(-z))
    demo.text(
        f"By hand: ∂J/∂p = −1/p = {-1 / sigma:.4f}, ∂p/∂z = σ(z)(1 − σ(z)) = {sigma * (1 - sigma):.4f}, ∂z/∂θ = x. "
        "Their product is "
        f"−(1 − σ(z)) x = {_shown(-(observed - sigma) * x)}; back-propagation found "
        f"{_shown(passed.gradients[graph.inputs[0]])}."
    )

    meanings = {
        "theta (θ)": "parameters",
        "x": "the row's inputs",
        "z": "θᵀx",
        "p": "σ(z), the probability of class 1",
        "J": "cost",
    }
    demo.graph(one_row, theta, x, title="Logistic regression, one row", names=meanings)

    demo.section("All rows: the same sum, and downhill")
    demo.formula(
        "<mo>∇</mo><mi>NLL</mi><mo>=</mo><mo>−</mo><munder><mo>∑</mo><mi>i</mi></munder><mo>(</mo><msup><mi>y</mi>"
        "<mrow><mo>(</mo><mi>i</mi><mo>)</mo></mrow></msup><mo>−</mo><mi>σ</mi><mo>(</mo><msup><mi>θ</mi><mo>⊤</mo></msup>"
        "<msup><mi>x</mi><mrow><mo>(</mo><mi>i</mi><mo>)</mo></mrow></msup><mo>)</mo><mo>)</mo>"
        "<msup><mi>x</mi><mrow><mo>(</mo><mi>i</mi><mo>)</mo></mrow></msup>",
        "∇NLL = −Σ (y⁽ⁱ⁾ − σ(θᵀx⁽ⁱ⁾)) x⁽ⁱ⁾",
    )

    def nll(theta: Any, X: Any, y: Any) -> Any:
        z = X @ theta
        return np.mean(np.logaddexp(0.0, z) - y * z)

    start = np.zeros(2)
    by_hand = -(y - 1.0 / (1.0 + np.exp(-X @ start))) @ X / len(y)
    found = grad(nll)(start, X, y)
    demo.text(f"At θ = 0 the formula gives {_shown(by_hand)} (per row), the graph {_shown(found)}.")
    course = descend(nll, start, GD(1.0), steps=60, data=(X, y), name="gradient descent")
    best = minimize(nll, start, data=(X, y))
    steps = [0, 1, 2, 5, 10, 30, 60]
    table = [["step", "NLL", "‖∇NLL‖", "θ₁", "θ₂"]]
    for k in steps:
        a, b = course.theta[k]
        table.append([str(k), f"{course.values[k]:.6f}", f"{course.gradient_norms[k]:.1e}", f"{a:.4f}", f"{b:.4f}"])
    demo.table([*table, ["minimum", f"{best.value:.6f}", f"{best.grad_norm:.1e}", *(f"{v:.4f}" for v in best.x)]])
    with styled():
        figure, (left, right) = panels(2, width=4.4, height=3.6)
        draw_decision(left, lambda rows: 1.0 / (1.0 + np.exp(-rows @ course.theta[-1])), X, y, margin=0.1)
        left.set_title("σ(θᵀx) after 60 steps")
        left.legend(loc="lower right")
        right.semilogy(course.values - best.value, color=COLOURS[0])
        right.set_title("NLL above its minimum")
        right.set_xlabel("step")
        right.grid(axis="y")
    demo.figure(
        figure, "Left: the fitted probability with the rows. Right: how fast gradient descent with η = 1 got there."
    )


def _shown(value: Any) -> str:
    array = np.asarray(value)
    return f"{float(array):.4f}" if array.ndim == 0 else "[" + ", ".join(f"{v:.4f}" for v in array.ravel()) + "]"
