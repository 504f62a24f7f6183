"""Bishop's inverse problem: one x, up to three answers."""

from __future__ import annotations

import numpy as np

from chainrule.estimators import FeedForwardRegressor
from chainrule.outputs import Gaussian, GaussianMixture, Output
from chainrule.show.demos.narration import Narration
from chainrule.show.predictions import draw_density
from chainrule.show.style import panels, styled

TITLE = "A mixture of Gaussians: an inverse problem with several answers"

#: -log of the density of U(−0.1, 0.1) noise, averaged over where the three branches overlap (Bishop 1994)
SINGLE_GAUSSIAN, OPTIMUM = -0.655, -1.282


def run(demo: Narration) -> None:
    """One Gaussian, ten Gaussians."""
    rng = demo.rng
    t = rng.uniform(size=3000)
    x = t + 0.3 * np.sin(2.0 * np.pi * t) + rng.uniform(-0.1, 0.1, size=3000)
    rows, new = slice(0, 2000), slice(2000, None)
    demo.section("The problem")
    demo.text(
        "x = t + 0.3 sin 2πt plus uniform noise of ±0.1, and t is wanted, given x (Bishop 1994, Mixture Density "
        "Networks). For x "
        "around ½ there are three answers; their mean is none of them."
    )
    demo.section("One Gaussian, and a mixture")
    outputs: dict[str, Output] = {"Gaussian": Gaussian(), "mixture of 5": GaussianMixture(5)}
    table = [["output", "NLL on 1000 new rows", "90 % interval covers"]]
    with styled():
        figure, axes = panels(2, width=4.6, height=3.8)
        for ax, (name, output) in zip(axes, outputs.items(), strict=True):
            fitted = FeedForwardRegressor(
                (50,), activation="tanh", output=output, learning_rate_init=0.01, max_iter=300, random_state=demo.seed
            ).fit(x[rows, None], t[rows])
            dist = fitted.predict_dist(x[new, None])
            interval = dist.interval(0.9)
            covered = np.mean((interval[:, 0] <= t[new]) & (t[new] <= interval[:, 1]))
            table.append([name, f"{-np.mean(dist.logpdf(t[new])):.3f}", f"{covered:.1%}"])
            draw_density(ax, fitted.predict_dist, x[rows], t[rows])
            ax.set_title(name)
            ax.set_ylabel("t")
    table.append(["best possible, one Gaussian", f"{SINGLE_GAUSSIAN}", ""])
    table.append(["best possible", f"{OPTIMUM}", ""])
    demo.table(table, "Mean negative log-likelihood, in nats; lower is better.")
    demo.figure(figure, "The predictive density of t given x, each column scaled to its own maximum, with the rows.")
