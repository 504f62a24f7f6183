"""
18 · L2 regularisation
======================

J + (λ/2) θᵀθ shrinks the parameters. The same step, sorted differently: θ ← (1 − ηλ)θ − η∇J. As a prior: a Gaussian of
precision λ.
"""

import numpy as np

import chainrule as cr
from chainrule.show.paths import descend
from chainrule.show.surfaces import surface

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
y = X @ [2.0, -0.3] + 0.5 * rng.normal(size=200)


def squared_error(w, X, y):
    return 0.5 * np.mean((X @ w - y) ** 2)


start = np.array([-1.5, 1.5])
path = descend(squared_error, start, cr.GD(0.3), steps=60, data=(X, y), penalty=cr.L2(0.3), name="gradient descent")
figure = surface(squared_error, penalty=cr.L2(0.3), paths=[path], data=(X, y), names=("w₁", "w₂"))

# %%
# Penalty form and shrinkage form give the same numbers:

shrunk = descend(squared_error, start, cr.GD(0.3, weight_decay=0.3), steps=60, data=(X, y))
print("largest difference along the way:", np.abs(path.theta - shrunk.theta).max())

# %%
# And it is ridge regression:

by_algebra = np.linalg.solve(X.T @ X / 200 + 0.3 * np.eye(2), X.T @ y / 200)
print("by algebra:", by_algebra, " found:", cr.minimize(squared_error, start, data=(X, y), penalty=cr.L2(0.3)).x)
