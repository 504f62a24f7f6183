"""Gaussian output: mean, or mean and variance, as functions of the input."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import OptionError
from chainrule.outputs.base import Output, check_option, is_real, register
from chainrule.outputs.normal import LOG_ROOT_TWO_PI, Normal
from chainrule.outputs.positive import precision, raw_of_variance
from chainrule.outputs.weighted import row_weights
from chainrule.outputs.width import fit_width, member_spread

#: smallest constant variance, relative to the target's own
VARIANCE_FLOOR = 1e-12
#: largest factor of the network's variances
LARGEST_FACTOR = 1e4


@register
@dataclass(frozen=True)
class Gaussian(Output):
    """Normal distribution of a number.

    With ``variance="network"`` the raw outputs are the means, then one number s per target for the precision
    ``1/σ² = softplus(s) + 1e-6`` in units of the standardised target. With ``variance="constant"`` the mean alone
    depends on the input: training minimises half the squared error (the likelihood at variance 1, which is the
    standardised target's own), and afterwards `calibrated` sets one variance per target from the residuals: the
    likeliest, for an ensemble that of the members' mixture.

    An ensemble's mixture would be too wide, were the members' own widths right (`member_spread`): so `for_ensemble`
    finds what to multiply the variances by.

    Parameters
    ----------
    variance : "network" or "constant"
    fitted : tuple of float
        Of each target: its constant variance, in standardised units, set by `calibrated`; or what the network's
        variance is multiplied by, set by `for_ensemble`. 1 before.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.Gaussian().distribution(np.array([[0.0, 1.0]]), location=20.0, scale=5.0).mean()
    array([20.])
    """

    name: ClassVar[str] = "gaussian"
    scales_target: ClassVar[bool] = True
    variance: str = "network"
    fitted: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_option(self.variance in ("network", "constant"), "variance is 'network' or 'constant'", self.variance)
        fit = isinstance(self.fitted, tuple) and all(is_real(v) and v > 0 for v in self.fitted)
        check_option(fit, "fitted variances are positive numbers", self.fitted)
        if not self._constant:
            near = all(1 / LARGEST_FACTOR <= v <= LARGEST_FACTOR for v in self.fitted)
            check_option(near, f"factors of variances are at most {LARGEST_FACTOR:g} and its reciprocal", self.fitted)

    @property
    def _constant(self) -> bool:
        return self.variance == "constant"

    @property
    def constants(self) -> tuple[float, ...]:
        return self.fitted

    def n_raw(self, n_targets: int) -> int:
        return n_targets if self._constant else 2 * n_targets

    def nll(self, raw: Any, y: Any) -> Any:
        t = y.shape[1]
        squared = np.square(y - raw[:, :t])
        if self._constant:
            variance = self._variances(t)
            shift = t * LOG_ROOT_TWO_PI + 0.5 * float(np.sum(np.log(variance)))
            if self.fitted:
                squared = squared / variance.astype(raw.dtype)
            return 0.5 * np.sum(squared, axis=1) + shift
        p = self._precision(raw[:, t:])
        return 0.5 * np.sum(p * squared - np.log(p), axis=1) + t * LOG_ROOT_TWO_PI

    def standard_distribution(self, raw: np.ndarray) -> Normal:
        t = raw.shape[1] if self._constant else raw.shape[1] // 2
        if self._constant:
            scale = np.broadcast_to(np.sqrt(self._variances(t)), raw.shape)
        else:
            scale = 1.0 / np.sqrt(self._precision(raw[:, t:]))
        return Normal(raw[:, 0], scale[:, 0]) if t == 1 else Normal(raw[:, :t], scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        y, w = np.asarray(y, np.float64), row_weights(len(y), weights)
        mean = w @ y
        return mean if self._constant else np.concatenate([mean, raw_of_variance(w @ np.square(y - mean))])

    def calibrated(self, raw: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Gaussian:
        if not self._constant:
            return self
        error = np.asarray(y, np.float64) - np.asarray(raw, np.float64).reshape(-1, *np.shape(y))
        variance = fit_width(np.square(error), weights, share=0.5, least=VARIANCE_FLOOR)
        return replace(self, fitted=tuple(float(v) for v in variance))

    def for_ensemble(
        self, raw: np.ndarray, y: np.ndarray, weights: np.ndarray | None, together: np.ndarray
    ) -> Gaussian:
        if self._constant:
            return self
        t = np.shape(y)[1]
        plain = replace(self, fitted=())
        scores = np.abs(y - raw[:, :t]) * np.sqrt(plain._precision(raw[:, t:]))
        means, variances = together[..., :t], 1.0 / plain._precision(together[..., t:])
        disagreement = np.mean(np.var(means, axis=0) / np.mean(variances, axis=0), axis=0)
        spread = member_spread(scores, disagreement, weights)
        return replace(self, fitted=tuple(float(v) for v in np.square(spread)))

    def _precision(self, raw: Any) -> Any:
        p = precision(raw)
        return p / self._variances(raw.shape[-1]).astype(raw.dtype) if self.fitted else p

    def _variances(self, n_targets: int) -> np.ndarray:
        if self.fitted and len(self.fitted) != n_targets:
            raise OptionError(f"output gaussian was fitted to {len(self.fitted)} targets, here are {n_targets}")
        return np.array(self.fitted or (1.0,) * n_targets)
