"""
7 · Batches, mini-batches, single examples
==========================================

A batch's gradient is the whole gradient plus noise: cheaper by the number of rows it leaves out, and rougher.
"""

import numpy as np

import chainrule as cr
from chainrule.show.paths import compare
from chainrule.show.surfaces import surface

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
y = X @ [2.0, -0.3] + 0.5 * rng.normal(size=200)


def squared_error(w, X, y):
    return 0.5 * np.mean((X @ w - y) ** 2)


methods = {
    "all 200 rows": cr.GD(0.3),
    "batches of 20": (cr.SGD(0.2), 20),
    "batches of 4": (cr.SGD(0.1), 4),
    "single rows": (cr.SGD(0.05), 1),
}
paths = compare(squared_error, np.array([-1.5, 1.5]), methods, steps=80, data=(X, y))
figure = surface(squared_error, paths=paths, data=(X, y), names=("w₁", "w₂"))

# %%
# Eighty steps of each; rows looked at differ by a factor of 200:

for path, method in zip(paths, methods.values(), strict=True):
    rows = method[1] if isinstance(method, tuple) else 200
    print(f"{path.name:<14} {80 * rows:>6} rows   cost {path.values[-1]:.4f}")
