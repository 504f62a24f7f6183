"""Back-propagation on a graph small enough to follow by hand."""

from __future__ import annotations

from typing import Any

from chainrule.calculus import grad, jvp
from chainrule.calculus.backprop import backpropagate
from chainrule.graph.trace import label
from chainrule.primitives import trace
from chainrule.show.demos.narration import Narration

TITLE = "Back-propagation: every value and every gradient of J = (wx − 1)²"


def run(demo: Narration) -> None:
    """Forward, backward, update, and once more."""

    def cost(w: Any, x: Any) -> Any:
        p = label(w * x, "p")
        d = label(p - 1.0, "d")
        return label(d**2, "J")

    w, x, eta = 2.0, 3.0, 0.05
    demo.section("The graph")
    graph = trace(cost, w, x)
    demo.text(
        "Plain Python was recorded as a graph: nodes are results of operations, in the order in which they are "
        "computed."
    )
    demo.code(str(graph))
    names = {"w": "parameter", "x": "input", "p": "product", "d": "difference from 1", "J": "cost"}
    demo.graph(cost, w, x, title="J = (wx − 1)²", names=names)
    demo.section("Forward and backward")
    demo.formula(
        "<mfrac><mrow><mi>d</mi><mi>J</mi></mrow><mrow><mi>d</mi><mi>w</mi></mrow></mfrac><mo>=</mo>"
        "<mfrac><mrow><mi>d</mi><mi>J</mi></mrow><mrow><mi>d</mi><mi>d</mi></mrow></mfrac><mo>·</mo>"
        "<mfrac><mrow><mi>d</mi><mi>d</mi></mrow><mrow><mi>d</mi><mi>p</mi></mrow></mfrac><mo>·</mo>"
        "<mfrac><mrow><mi>d</mi><mi>p</mi></mrow><mrow><mi>d</mi><mi>w</mi></mrow></mfrac>"
        "<mtext>, p = wx, d = p − 1</mtext>",
        "dJ/dw = dJ/dd · dd/dp · dp/dw    with p = wx and d = p − 1",
    )
    for step in (1, 2, 3):
        passed = backpropagate(graph, [w, x])
        rows = [["node", "computes", "value", "gradient"]]
        for node, name, value, gradient in zip(
            graph.nodes, graph.node_names, passed.values, passed.gradients, strict=True
        ):
            if node.primitive.name != "constant":
                shown = "" if gradient is None else f"{float(gradient):.6g}"
                rows.append([name, node.primitive.name, f"{float(value):.6g}", shown])
        d, slope = w * x - 1.0, float(grad(cost)(w, x))
        demo.text(f"Step {step}, w = {w:.6g}:")
        demo.table(rows)
        demo.text(
            f"The chain, factor by factor: 2d · 1 · x = 2 · {d:.6g} · 1 · {x:g} = {2 * d * x:.6g}; "
            f"back-propagation: {slope:.6g}; "
            f"forward mode: {float(jvp(cost, (w, x), (1.0, 0.0))[1]):.6g}. Update: w ← {w:.6g} − {eta} · "
            f"{slope:.6g} = {w - eta * slope:.6g}."
        )
        w -= eta * slope
    demo.section("Gradients of gradients")
    second = grad(grad(cost))
    demo.text(
        f"The backward pass is a graph too, made of the same operations, so it can be differentiated again: "
        f"d²J/dw² = 2x² = "
        f"{float(second(w, x)):.6g}, the third derivative is {float(grad(second)(w, x)):.6g}."
    )
