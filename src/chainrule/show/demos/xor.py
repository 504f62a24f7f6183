"""XOR (Goodfellow, Bengio & Courville 2016, *Deep Learning*, §6.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.estimators import FeedForwardClassifier, LogisticRegression
from chainrule.graph.trace import label
from chainrule.show.demos.narration import Narration
from chainrule.show.predictions import draw_decision
from chainrule.show.style import panels, styled

TITLE = "XOR: no linear model fits it, two hidden units do"

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])


def run(demo: Narration) -> None:
    """Linear, hand-set, learned."""
    demo.section("A linear model")
    linear = LogisticRegression(l2=0.0).fit(CORNERS, LABELS)
    p_linear = linear.predict_proba(CORNERS)[:, 1]
    demo.text(
        "Whatever line is drawn, at most three of the four points lie on the right side of it. Logistic "
        "regression can do no "
        "better than say ½ everywhere."
    )
    demo.section("The network of the book, set by hand")
    demo.formula(
        "<mi>f</mi><mo>(</mo><mi>x</mi><mo>)</mo><mo>=</mo><msup><mi>w</mi><mo>⊤</mo></msup><mi>max</mi><mo>(</mo><mn>0</mn>"
        "<mo>,</mo><msup><mi>W</mi><mo>⊤</mo></msup><mi>x</mi><mo>+</mo><mi>c</mi><mo>)</mo>",
        "f(x) = wᵀ max(0, Wᵀx + c)   with W = [[1, 1], [1, 1]], c = [0, −1], w = [1, −2]",
    )
    W, c, w = np.ones((2, 2)), np.array([0.0, -1.0]), np.array([1.0, -2.0])
    hidden = np.maximum(0.0, CORNERS @ W + c)
    by_hand = hidden @ w
    demo.text(
        "The hidden layer moves the points: (0, 1) and (1, 0) fall onto each other, and a line can part them "
        "from the rest."
    )

    def squared_error(W: Any, c: Any, w: Any, x: Any, y: Any) -> Any:
        z = label(x @ W + c, "z")
        h = label(np.maximum(0.0, z), "h")
        f = label(h @ w, "f")
        error = label(f - y, "error")
        return label(np.mean(error**2), "J")

    names = {
        "W, c": "weights and biases of the hidden layer, parameters",
        "w": "weights of the output, parameters",
        "x": "the four corners, one a row",
        "y": "their XOR",
        "z": "what the hidden units receive",
        "h": "what they give, max(0, z)",
        "f": "output",
        "J": "cost: the mean squared error",
    }
    start = W, c - 0.1, w  # a little off, so that there is a gradient
    title = "XOR by a network of two hidden units"
    demo.graph(squared_error, *start, CORNERS, LABELS.astype(float), title=title, names=names, parameters=(0, 1, 2))

    demo.section("A network that learns it")
    learned = FeedForwardClassifier(
        (8,), activation="tanh", learning_rate_init=0.1, max_iter=300, early_stopping=False, random_state=demo.seed
    ).fit(CORNERS, LABELS)
    p = learned.predict_proba(CORNERS)[:, 1]
    demo.text(
        f"Eight tanh units, Adam with learning rate 0.1, {learned.n_iter_} epochs: the mean negative "
        f"log-likelihood went from "
        f"{learned.loss_curve_[0]:.3f} to {learned.loss_curve_[-1]:.4f}."
    )
    head = ["x", "XOR", "linear model", "hidden layer by hand", "f(x) by hand", "learned"]
    rows = [
        [f"({a:.0f}, {b:.0f})", str(y), f"{q:.2f}", f"({h[0]:.0f}, {h[1]:.0f})", f"{v:.0f}", f"{r:.3f}"]
        for (a, b), y, q, h, v, r in zip(CORNERS, LABELS, p_linear, hidden, by_hand, p, strict=True)
    ]
    demo.table([head, *rows])
    with styled():
        figure, axes = panels(3, width=3.4, height=3.5)
        draw_decision(axes[0], lambda x: linear.predict_proba(x)[:, 1], CORNERS, LABELS)
        axes[0].set_title("linear model")
        draw_decision(axes[1], lambda x: np.clip(np.maximum(0.0, x @ W + c) @ w, 0.0, 1.0), CORNERS, LABELS)
        axes[1].set_title("set by hand, cut off at 0 and 1")
        draw_decision(axes[2], lambda x: learned.predict_proba(x)[:, 1], CORNERS, LABELS)
        axes[2].set_title("learned")
        axes[2].legend(loc="upper right")
    demo.figure(figure, "The probability of class 1 over the plane; the line is where it is ½.")
