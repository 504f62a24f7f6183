"""Over- and underfitting: capacity, early stopping, L2."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.estimators import FeedForwardRegressor
from chainrule.show.demos.narration import Narration
from chainrule.show.predictions import draw_curves
from chainrule.show.style import COLOURS, FAINT, panels, styled

TITLE = "Over- and underfitting: too small, too long, and two remedies"


def run(demo: Narration) -> None:
    """One curve, forty rows, four networks."""
    rng = demo.rng
    x = np.sort(rng.uniform(-1.0, 1.0, 40))[:, None]
    fresh = np.linspace(-1.0, 1.0, 400)[:, None]

    def truth(x: np.ndarray) -> np.ndarray:
        return np.sin(3.0 * x[:, 0])

    y = truth(x) + 0.25 * rng.normal(size=40)
    y_val = truth(fresh) + 0.25 * rng.normal(size=400)
    shared: dict[str, Any] = {"learning_rate_init": 0.01, "max_iter": 1500, "batch_size": 40, "random_state": demo.seed}
    long: dict[str, Any] = {**shared, "early_stopping": False, "n_iter_no_change": 10_000}
    settings = {
        "linear: underfits": FeedForwardRegressor((), l2=0.0, **long),
        "200 units, trained to the end: overfits": FeedForwardRegressor((200, 200), activation="tanh", l2=0.0, **long),
        "the same, stopped early": FeedForwardRegressor(
            (200, 200), activation="tanh", l2=0.0, early_stopping=True, n_iter_no_change=200, **shared
        ),
        "the same with L2 of 0.01": FeedForwardRegressor((200, 200), activation="tanh", l2=0.01, **long),
    }
    demo.section("Forty rows of a sine with noise of standard deviation 0.25")
    rows = [["network", "RMSE on its rows", "RMSE on the true curve", "epochs"]]
    fits = {}
    for name, estimator in settings.items():
        early = bool(estimator.early_stopping)
        # early stopping watches rows of its own, the others are only watched
        fits[name] = estimator.fit(x, y, X_val=fresh, y_val=y_val) if early else estimator.fit(x, y)
        own, new = estimator.predict(x) - y, estimator.predict(fresh) - truth(fresh)
        rows.append(
            [name, f"{np.sqrt(np.mean(own**2)):.3f}", f"{np.sqrt(np.mean(new**2)):.3f}", str(estimator.n_iter_)]
        )
    demo.table(rows, "An overfitted network is close to its rows and far from the truth.")
    stopped = fits["the same, stopped early"]
    demo.text(f"What the early-stopped fit says of itself: {stopped.diagnosis_}.")
    with styled():
        figure, axes = panels(2, 2, width=4.4, height=3.0)
        for ax, (name, fitted) in zip(axes, fits.items(), strict=True):
            ax.plot(fresh, truth(fresh), color=FAINT, lw=1.2, label="truth")
            ax.plot(x, y, ".", color=COLOURS[1], ms=6, mec="white", mew=0.4, label="rows")
            ax.plot(fresh, fitted.predict(fresh), color=COLOURS[0], lw=2, label="network")
            ax.set_ylim(-1.8, 1.8)
            ax.set_title(name, fontsize=9.5)
        axes[0].legend(loc="lower right")
    demo.figure(figure, "The truth, the rows, and what each network makes of them.")
    with styled():
        figure, (ax,) = panels(1, width=6.4, height=3.4)
        draw_curves(ax, np.array(stopped.loss_curve_), np.array(stopped.validation_loss_curve_), stopped.best_epoch_)
        ax.set_title("negative log-likelihood by epoch, stopped early")
    demo.figure(figure, "The training loss keeps falling; the validation loss turns. The epoch at the bottom is kept.")
