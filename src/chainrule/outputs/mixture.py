"""Gaussian mixture output (a mixture density network; Bishop 1994, Goodfellow et al. 2016, section 6.2.2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax, logsumexp

from chainrule.outputs.base import Output, check_option, register
from chainrule.outputs.normal import LOG_ROOT_TWO_PI, NormalMixture
from chainrule.outputs.positive import precision, raw_of_variance
from chainrule.outputs.weighted import row_weights


@register
@dataclass(frozen=True)
class GaussianMixture(Output):
    """Mixture of k normal distributions: any shape of density, several modes, skewness, heavy tails.

    Raw outputs, in this order: k logits of the weights (softmax); k means (linear); k numbers s for the precisions
    ``1/σ² = softplus(s) + 1e-6`` in units of the standardised target. The likelihood is computed in logit space:
    no weight or density is ever a number that could underflow.

    Several targets make one joint mixture: weights are shared, precisions diagonal, so each component has k x t means
    and precisions (component by component), and targets depend on each other through the component.

    Parameters
    ----------
    k : int
        Number of components.
    """

    name: ClassVar[str] = "gaussian_mixture"
    scales_target: ClassVar[bool] = True
    k: int = 3

    def __post_init__(self) -> None:
        whole = isinstance(self.k, int) and not isinstance(self.k, bool) and self.k >= 1
        check_option(whole, "the number of components k is a whole number of at least 1", self.k)

    def n_raw(self, n_targets: int) -> int:
        return self.k * (1 + 2 * n_targets)

    def nll(self, raw: Any, y: Any) -> Any:
        t = y.shape[1]
        logits, means, p = self._parameters(raw, t)
        squared = np.square(np.reshape(y, (-1, 1, t)) - means)
        logs = -0.5 * np.sum(p * squared - np.log(p), axis=2)  # (n, k), but for the constant
        return logsumexp(logits, axis=1) - logsumexp(logits + logs, axis=1) + t * LOG_ROOT_TWO_PI

    def standard_distribution(self, raw: np.ndarray) -> NormalMixture:
        t = (raw.shape[1] // self.k - 1) // 2
        logits, means, p = self._parameters(raw, t)
        means, scales = np.swapaxes(means, 1, 2), np.swapaxes(1.0 / np.sqrt(p), 1, 2)  # (n, t, k)
        logs = log_softmax(logits, axis=1)
        if t == 1:
            return NormalMixture(logs, means[:, 0], scales[:, 0])
        return NormalMixture(np.broadcast_to(logs[:, None], means.shape), means, scales)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """One component per k-quantile of the target (of its first principal component, for several targets).

        Rows are ordered and cut into k parts of equal weight; each gives a component its mean and its variance, but
        a standard deviation of at least half the distance to its neighbours, so that components overlap and can share
        rows out among them. As a density of the target this is about as good as one normal distribution or better.
        """
        y = np.asarray(y, np.float64)
        w = row_weights(len(y), weights)
        centred = y - w @ y
        along = centred @ np.linalg.eigh((w[:, None] * centred).T @ centred)[1][:, -1]
        order = np.argsort(along, kind="stable")
        ends = np.cumsum(w[order])
        # share[i, j]: how much of row i's weight lies in part j
        cuts = np.arange(self.k + 1) / self.k
        starts = ends - w[order]
        share = np.maximum(np.minimum(ends[:, None], cuts[1:]) - np.maximum(starts[:, None], cuts[:-1]), 0.0)
        share = share / np.maximum(np.sum(share, axis=0), 1e-300)
        means = share.T @ y[order]  # (k, t)
        within = np.maximum(share.T @ np.square(y[order]) - np.square(means), 0.0)
        if self.k > 1:
            gaps = np.abs(np.diff(means, axis=0))
            reach = 0.5 * (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]]))
            within = np.maximum(within, np.square(0.5 * reach))
        within = np.maximum(within, 1e-4 * (w @ np.square(centred)))
        return np.concatenate([np.zeros(self.k), means.ravel(), raw_of_variance(within).ravel()])

    def _parameters(self, raw: Any, t: int) -> tuple[Any, Any, Any]:
        """Logits (n, k), means and precisions (n, k, t)."""
        k = self.k
        means = np.reshape(raw[:, k : k + k * t], (-1, k, t))
        return raw[:, :k], means, precision(np.reshape(raw[:, k + k * t :], (-1, k, t)))
