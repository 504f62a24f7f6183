"""Graphs whose text is kept in tests/golden. ``python tests/graph/golden.py --refresh`` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

import chainrule as cr
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label
from chainrule.graph.types import ArrayType
from chainrule.passes import optimize

FOLDER = Path(__file__).parents[1] / "golden"
X = ArrayType((4, 2), np.dtype("float32"))
Y = ArrayType((4,), np.dtype("float32"))


def logistic(theta: Any, x: Any, y: Any) -> Any:
    """SPEC row 6."""
    z = label(x @ theta, "logits")
    return -np.sum(y * np.log(special.expit(z)) + (1.0 - y) * np.log1p(-special.expit(z)))


def xor(x: Any) -> Any:
    """SPEC row 9: wᵀ max(0, Wᵀx + c)."""
    hidden = label(np.maximum(x @ np.ones((2, 2)) + np.array([0.0, -1.0]), 0.0), "hidden")
    return hidden @ np.array([1.0, -2.0])


def network(params: Any, x: Any, labels: Any) -> Any:
    hidden = label(np.tanh(x @ params[0]["weight"] + params[0]["bias"]), "hidden")
    logits = label(hidden @ params[1]["weight"] + params[1]["bias"], "logits")
    chosen = logits[np.arange(4), labels]
    return label(np.mean(special.logsumexp(logits, axis=1) - chosen), "loss")


PARAMS = [
    {"weight": ArrayType((2, 3), X.dtype), "bias": ArrayType((3,), X.dtype)},
    {"weight": ArrayType((3, 2), X.dtype), "bias": ArrayType((2,), X.dtype)},
]
LABELS = ArrayType((4,), np.dtype("int64"))


def shapes(x: Any) -> Any:
    """One of each kind of param."""
    return {
        "padded": np.pad(x, ((1, 0), (0, 2)), constant_values=np.inf),
        "rows": [x[::-1, 1:], np.take(x, [0, -1], axis=0)],
        "rest": (np.cumsum(x, axis=1), np.sort(x, axis=0), special.polygamma(2, np.abs(x)), x.astype(int), None),
    }


def graphs() -> dict[str, Graph]:
    """Every graph that is kept, by name."""
    theta = ArrayType((2,), X.dtype)
    double = ArrayType((4, 2), np.dtype("float64"))
    loss = cr.trace(network, PARAMS, X, LABELS)
    backward = cr.trace(cr.value_and_grad(network), PARAMS, X, LABELS, name="gradient")
    return {
        "logistic": cr.trace(logistic, theta, X, Y),
        "logistic_gradient": cr.trace(cr.grad(logistic), theta, X, Y, name="gradient"),
        "logistic_hessian_product": optimize(
            cr.trace(lambda t, x, y, v: cr.hvp(lambda t: logistic(t, x, y), t, v), theta, X, Y, theta, name="product")
        ),
        "xor": cr.trace(xor, double),
        "network": loss,
        "network_gradient": backward,
        "network_gradient_optimized": optimize(backward),
        "shapes": cr.trace(shapes, X),
    }


def main(arguments: list[str]) -> None:
    if arguments != ["--refresh"]:
        sys.exit("usage: python tests/graph/golden.py --refresh")
    FOLDER.mkdir(exist_ok=True)
    for name, graph in graphs().items():
        (FOLDER / f"{name}.txt").write_text(f"{graph}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
