"""
15 · The network as a graph
===========================

Nodes are results of operations, arrows are what they read. Any function, network or fitted model can be drawn, with
every value and every gradient, and the update they cause.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
net = cr.Network([cr.Dense(4, "tanh")], output=cr.Gaussian())
x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
cr.draw(net, x, y, title="a network, its cost, and the gradient step")

# %%
# A fitted model, on one row, in original units, with sliders:

X = rng.normal(size=(200, 3)) * [1.0, 10.0, 100.0] + [5.0, 50.0, 500.0]
target = 3.0 * X[:, 0] + 0.1 * X[:, 1] + rng.normal(size=200)
fitted = cr.FeedForwardRegressor((8,), activation="tanh", max_iter=100, random_state=0).fit(X, target)
cr.draw(fitted, X[0], target[0], title="one row of a fitted model")
