"""
10 · Hidden units
=================

Units are plain functions; their derivatives come from the graph. Any mix of them, per layer, and any function of
your own.
"""

import numpy as np

import chainrule as cr
from chainrule.networks.units import UNITS
from chainrule.show.style import COLOURS, panels, styled

z = np.linspace(-3.5, 3.5, 400)
with styled():
    figure, axes = panels(3, 3, width=2.7, height=2.0)
    for ax, (name, unit) in zip(axes, sorted(UNITS.items()), strict=False):
        ax.plot(z, unit.function(z), color=COLOURS[0], label="g(z)")
        ax.plot(z, cr.grad(lambda z, unit=unit: np.sum(unit.function(z)))(z), color=COLOURS[1], lw=1.1, label="g′(z)")
        ax.set_title(name)
        ax.set_ylim(-1.6, 3.2)
    axes[0].legend()

# %%
# Maxout takes the largest of k affine functions, so it learns its own unit. Here one unit with six pieces fits a
# parabola:

x = np.linspace(-1.0, 1.0, 200)[:, None]
options = {
    "activation": "linear",
    "learning_rate_init": 0.02,
    "max_iter": 300,
    "early_stopping": False,
    "random_state": 1,
}
maxout = cr.FeedForwardRegressor((cr.Maxout(1, pieces=6),), **options).fit(x, x[:, 0] ** 2)
print(f"largest error {np.abs(maxout.predict(x) - x[:, 0] ** 2).max():.4f}")
