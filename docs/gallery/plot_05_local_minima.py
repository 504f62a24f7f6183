"""
5 · Local minima
================

Different starts end in different optima. Run many, compare them, keep the best or average them.
"""

import numpy as np

import chainrule as cr
from chainrule.show.curves import starts
from chainrule.show.paths import descend
from chainrule.show.surfaces import surface


def himmelblau(p):
    return (p[0] ** 2 + p[1] - 11.0) ** 2 + (p[0] + p[1] ** 2 - 7.0) ** 2


points = [(-0.5, -0.7), (0.5, 0.5), (-0.6, 0.6), (0.6, -1.2)]
paths = [descend(himmelblau, np.array(p), cr.GD(0.01), steps=80, name=f"from {p}") for p in points]
figure = surface(himmelblau, paths=paths, extent=((-5, 5), (-5, 5)), names=("x", "y"))

# %%
# Forty starts at once:

result = cr.minimize(himmelblau, np.zeros(2), starts=40, spread=4.0)
print(result)

# %%
figure_starts = starts(result)
