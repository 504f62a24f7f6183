"""
4 · Gradient descent
====================

θ ← θ − η ∇J(θ). Too small an η creeps, a good one converges, too large a one diverges: beyond 2 / (largest curvature).
"""

import numpy as np

import chainrule as cr
from chainrule.show.curves import learning_rates


def bowl(x):
    return 0.5 * (x[0] ** 2 + 10.0 * x[1] ** 2)


start = np.array([4.0, 1.0])
figure = learning_rates(bowl, start, [0.005, 0.02, 0.1, 0.18, 0.21], lowest=0.0)

# %%
# The largest curvature is 10, the bound is 0.2. A schedule starts large and ends small:

schedule = cr.cosine(0.18, steps=100)
print(cr.minimize(bowl, start, "gd", lr=schedule, max_iter=100).reason)

# %%
# Divergence is told, with the operation that left the finite numbers first, and the point is the last good one:

diverged = cr.minimize(bowl, start, "gd", lr=0.21, max_iter=20_000)
print(diverged.reason)
print(diverged.x)
