"""
12 · Forward propagation
========================

From x to ŷ and the cost, with every intermediate value in reach by name.
"""

import numpy as np

import chainrule as cr
from chainrule.calculus.backprop import backpropagate
from chainrule.graph.trace import label


def cost(W, c, w, x, y):
    hidden = label(np.maximum(0.0, x @ W + c), "hidden")
    prediction = label(hidden @ w, "prediction")
    return label((prediction - y) ** 2, "cost")


arguments = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([0.0, 0.1]), np.array([1.0, -1.0]), np.array([1.0, 2.0]), 1.0
graph = cr.trace(cost, *arguments)
print(graph)

# %%
passed = backpropagate(graph, arguments)
for name, value in zip(graph.node_names, passed.values, strict=True):
    print(f"{name:<11} {np.array2string(np.asarray(value), precision=4)}")
