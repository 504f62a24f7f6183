"""
11 · Output units
=================

An output is a distribution, trained by its negative log-likelihood. A mixture of Gaussians can say "either here or
there".
"""

import numpy as np

import chainrule as cr
from chainrule.show.predictions import draw_density
from chainrule.show.style import panels, styled

rng = np.random.default_rng(0)
t = rng.uniform(size=1500)
x = t + 0.3 * np.sin(2.0 * np.pi * t) + rng.uniform(-0.1, 0.1, size=1500)

options = {"activation": "tanh", "learning_rate_init": 0.01, "max_iter": 200, "random_state": 0}
with styled():
    figure, axes = panels(3, width=3.5, height=3.3)
    for ax, output in zip(axes, (cr.Gaussian(), cr.StudentT(), cr.GaussianMixture(4)), strict=True):
        fitted = cr.FeedForwardRegressor((40,), output=output, **options).fit(x[:, None], t)
        draw_density(ax, fitted.predict_dist, x, t)
        nll = -fitted.predict_dist(x[:, None]).logpdf(t).mean()
        ax.set_title(f"{output.name}: NLL {nll:.2f}")

# %%
# Counts, probabilities and quantiles have outputs of their own:

rate = np.exp(1.0 + np.sin(3.0 * x))
counts = rng.poisson(rate)
poisson = cr.FeedForwardRegressor((20,), output="poisson", max_iter=100, random_state=0).fit(x[:, None], counts)
print("mean of the predicted rates", poisson.predict(x[:, None]).mean().round(3), "mean count", counts.mean().round(3))
