"""
6 · Logistic regression by gradient descent
===========================================

The gradient of the negative log-likelihood is −Σ (y − σ(θᵀx)) x. It need not be derived by hand: it comes out of the
graph.
"""

import numpy as np

import chainrule as cr
from chainrule.show.paths import descend
from chainrule.show.surfaces import surface

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2))
y = (rng.random(120) < 1.0 / (1.0 + np.exp(-X @ [2.0, -1.0]))).astype(float)


def nll(theta, X, y):
    p = 1.0 / (1.0 + np.exp(-(X @ theta)))
    return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


theta = np.array([0.3, 0.4])
print("by the formula:", -(y - 1.0 / (1.0 + np.exp(-X @ theta))) @ X / len(y))
print("from the graph:", cr.grad(nll)(theta, X, y))

# %%
# The derivation, step by step: one row's loss is a chain of dot product, sigmoid and logarithm. Step through it:

x, t = np.array([1.0, 2.0]), 1.0
cr.draw(lambda theta: -np.log(1.0 / (1.0 + np.exp(-np.sum(theta * x)))), theta, title="one row of class 1")

# %%
# And downhill:

path = descend(nll, np.zeros(2), cr.GD(1.0), steps=40, data=(X, y), name="gradient descent, η = 1")
figure = surface(nll, paths=[path], data=(X, y))
