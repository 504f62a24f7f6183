"""
13 · Back-propagation
=====================

One traversal of the graph in reverse gives the gradient of the cost for *every* node. Learning is a separate
procedure that uses it.
"""

import numpy as np

import chainrule as cr
from chainrule.calculus.backprop import backpropagate


def cost(w, x, y):
    return (np.tanh(w * x) - y) ** 2


graph = cr.trace(cost, 0.8, 1.5, 0.2)
passed = backpropagate(graph, [0.8, 1.5, 0.2])
for node, name, value, gradient in zip(graph.nodes, graph.node_names, passed.values, passed.gradients, strict=True):
    shown = "" if gradient is None else f"{float(gradient): .6f}"
    print(f"{name:<4} {node.primitive.name:<10} {float(value): .6f}  {shown}")

# %%
# The same as a page: → computes values one by one, then gradients backwards, each with its product spelled out.

cr.draw(cost, 0.8, 1.5, 0.2)
