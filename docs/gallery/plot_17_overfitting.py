"""
17 · Over- and underfitting
===========================

Training and validation curves tell which of the two is happening; early stopping keeps the best epoch, and the fit
says so.
"""

import numpy as np

import chainrule as cr
from chainrule.show.predictions import curves
from chainrule.show.style import COLOURS, FAINT, panels, styled

rng = np.random.default_rng(0)
x, fresh = np.sort(rng.uniform(-1.0, 1.0, 40))[:, None], np.linspace(-1.0, 1.0, 400)[:, None]
y = np.sin(3.0 * x[:, 0]) + 0.25 * rng.normal(size=40)
y_fresh = np.sin(3.0 * fresh[:, 0]) + 0.25 * rng.normal(size=400)

shared = {"learning_rate_init": 0.01, "batch_size": 40, "random_state": 0, "l2": 0.0}
small = cr.FeedForwardRegressor((), max_iter=800, early_stopping=False, **shared).fit(x, y)
large = cr.FeedForwardRegressor((200, 200), activation="tanh", max_iter=800, early_stopping=False, **shared).fit(x, y)
stopped = cr.FeedForwardRegressor(
    (200, 200), activation="tanh", max_iter=800, early_stopping=True, n_iter_no_change=100, **shared
).fit(x, y, X_val=fresh, y_val=y_fresh)
print(stopped.diagnosis_)

with styled():
    figure, axes = panels(3, width=3.4, height=3.0)
    for ax, fitted, title in zip(
        axes, (small, large, stopped), ("linear", "trained to the end", "stopped early"), strict=True
    ):
        ax.plot(fresh, np.sin(3.0 * fresh), color=FAINT, lw=1.2)
        ax.plot(x, y, ".", color=COLOURS[1], ms=6, mec="white", mew=0.4)
        ax.plot(fresh, fitted.predict(fresh), color=COLOURS[0])
        ax.set_ylim(-1.8, 1.8)
        ax.set_title(title)

# %%
figure_curves = curves(np.array(stopped.loss_curve_), np.array(stopped.validation_loss_curve_), stopped.best_epoch_)
