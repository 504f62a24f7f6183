"""
2 · Convex and non-convex objectives
====================================

A small gradient alone may mean a minimum, a maximum or a saddle. The eigenvalues of the Hessian decide, and
Hessian-vector products are enough to find the extreme ones.
"""

import numpy as np

import chainrule as cr
from chainrule.show.curves import curve
from chainrule.show.surfaces import surface


def saddle(x):
    return x[0] ** 2 - 0.5 * x[1] ** 2 + 0.1 * x[1] ** 4


for start in ([0.0, 0.0], [0.3, 0.2], [0.3, -0.2]):
    result = cr.minimize(saddle, np.array(start), "gd")
    print(f"from {start}: x = {np.round(result.x, 4)}, {result.curvature}")

# %%
# Exactly in the middle the gradient is zero, and gradient descent stays: on a saddle.

figure = surface(saddle, extent=((-2, 2), (-2.5, 2.5)), names=("x₁", "x₂"))

# %%
# In one dimension the same can be read off the curve and its derivative:

figure_curve = curve(lambda x: x**5 - 2.0 * x**3 + 0.5 * x**2, (-1.5, 1.5))
