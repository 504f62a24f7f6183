"""
20 · The regularised surface
============================

Contours of the cost, of the penalty, and of their sum, with the path. L1's contours have corners on the axes, and
the sum has its minimum in one.
"""

import numpy as np

import chainrule as cr
from chainrule.show.paths import descend
from chainrule.show.surfaces import slice_plane, surface

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
y = X @ [2.0, -0.3] + 0.5 * rng.normal(size=200)


def squared_error(w, X, y):
    return 0.5 * np.mean((X @ w - y) ** 2)


path = descend(
    squared_error, np.array([-1.5, 1.5]), cr.GD(0.3), steps=60, data=(X, y), penalty=cr.L1(0.3), name="descent"
)
figure = surface(squared_error, penalty=cr.L1(0.3), paths=[path], data=(X, y), names=("w₁", "w₂"))
print("ends at", path.theta[-1])

# %%
# A network has too many parameters for a surface, but a plane through them has one. Here the plane of the path's two
# main directions, for a network that learns XOR:

corners, labels = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])


def xor(p, x, t):
    z = np.tanh(x @ p["W"] + p["c"]) @ p["w"]
    return np.mean(np.logaddexp(0.0, z) - t * z)


start = {"W": rng.normal(size=(2, 4)), "c": np.zeros(4), "w": rng.normal(size=4)}
result = cr.minimize(xor, start, cr.Adam(0.1), data=(corners, labels), max_iter=150)
figure_plane = slice_plane(xor, result.x, path=result.path.theta, data=(corners, labels))
