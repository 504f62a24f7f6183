"""Bernoulli output: one binary outcome, or a vector of independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import entr, expit, log_expit, logit, logsumexp

from chainrule.outputs.base import Output, check_option, is_real, refuse, register
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.positive import softplus
from chainrule.outputs.weighted import half_a_row, row_weights


@register
@dataclass(frozen=True)
class Bernoulli(Output):
    """Binary outcomes 0 and 1, independent given the input; the raw output is the logit of 1.

    ``nll = y softplus(-z) + (1 - y) softplus(z)``, whose derivative is ``σ(z) - y``, and which loses no digit at either
    end. The target may be a probability itself.

    Parameters
    ----------
    label_smoothing : float
        In [0, 1): the loss is taken as if this share of the labels were tossed with a fair coin.
    """

    name: ClassVar[str] = "bernoulli"
    kind: ClassVar[str] = "binary"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_smoothing(self.label_smoothing)

    def n_raw(self, n_targets: int) -> int:
        return n_targets

    def nll(self, raw: Any, y: Any) -> Any:
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return np.sum(y * softplus(-raw) + (1.0 - y) * softplus(raw), axis=1)

    def standard_distribution(self, raw: np.ndarray) -> BernoulliDistribution:
        return BernoulliDistribution(raw[:, 0] if raw.shape[1] == 1 else raw)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        y, w = np.asarray(y, np.float64), row_weights(len(y), weights)
        least = half_a_row(w)  # where one outcome never occurs
        return logit(np.clip(w @ y, least, 1.0 - least))

    def for_target(self, n_classes: int) -> Bernoulli:
        check_option(n_classes == 2, "output bernoulli takes 2 classes; use Categorical() for more", n_classes)
        return self

    def check_target(self, y: Any) -> None:
        y = np.asarray(y, np.float64)
        refuse(self, "0 and 1", y, ~((y == 0.0) | (y == 1.0)))


def check_smoothing(value: Any) -> None:
    """Raise an error unless a label smoothing is a number in [0, 1)."""
    check_option(is_real(value) and 0 <= value < 1, "label_smoothing is a number in [0, 1)", value)


@dataclass(frozen=True, eq=False, repr=False)
class BernoulliDistribution(Distribution):
    """Distribution of an outcome that is 0 or 1.

    Parameters
    ----------
    logit : array of the batch's shape
        log p / (1 - p).
    """

    logit: np.ndarray

    @property
    def discrete(self) -> bool:
        return True

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def logpdf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        return np.select([y == 1.0, y == 0.0], [log_expit(self.logit), log_expit(-self.logit)], -np.inf)

    def cdf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        return np.select([y >= 1.0, y >= 0.0], [1.0, expit(-self.logit)], 0.0) + 0.0 * self.logit

    def sf(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        return np.select([y >= 1.0, y >= 0.0], [0.0, expit(self.logit)], 1.0) + 0.0 * self.logit

    def mean(self) -> np.ndarray:
        """Probability of 1."""
        return expit(self.logit)

    def var(self) -> np.ndarray:
        return expit(self.logit) * expit(-self.logit)

    def entropy(self) -> np.ndarray:
        """Entropy in nats."""
        return entr(expit(self.logit)) + entr(expit(-self.logit))

    def crps(self, y: Any) -> np.ndarray:
        """CRPS in closed form: for an outcome of 0 or 1 the Brier score (p - y)²."""
        y = np.asarray(y, np.float64)
        p, other = expit(self.logit), expit(-self.logit)
        outside = np.maximum(-y, 0.0) + np.maximum(y - 1.0, 0.0)
        y = np.clip(y, 0.0, 1.0)
        return y * np.square(other) + (1.0 - y) * np.square(p) + outside

    @classmethod
    def pool(cls, members: Sequence[Self]) -> BernoulliDistribution | None:
        if len(members[0].shape) == 2:
            return None  # outcomes are independent given the member, but no longer in the mixture
        one, zero = (np.stack([log_expit(sign * m.logit) for m in members]) for sign in (1.0, -1.0))
        return BernoulliDistribution(logsumexp(one, axis=0) - logsumexp(zero, axis=0))

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        return np.where(q <= expit(-self.logit), 0.0, 1.0)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return (rng.random(shape) < expit(self.logit)).astype(np.float64)
