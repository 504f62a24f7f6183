"""Categorical output: exactly one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from scipy.special import entr, log_softmax, logsumexp

from chainrule.errors import OptionError
from chainrule.outputs.base import Output, check_option, refuse, register
from chainrule.outputs.bernoulli import check_smoothing
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.weighted import half_a_row, row_weights
from chainrule.primitives import stop_gradient


@register
@dataclass(frozen=True)
class Categorical(Output):
    """One of k classes, by softmax of k logits. The target is one column of codes 0 … k-1.

    ``nll = log Σ exp z - z_y``, whose derivative is ``softmax(z) - onehot(y)``.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the target by default, see `for_target`.
    label_smoothing : float
        In [0, 1): the loss is taken as if this share of the labels were drawn evenly from all classes.
    """

    name: ClassVar[str] = "categorical"
    kind: ClassVar[str] = "classes"
    n_classes: int | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        n = self.n_classes
        whole = n is None or (isinstance(n, int) and not isinstance(n, bool) and n >= 2)
        check_option(whole, "n_classes is a whole number of at least 2", n)
        check_smoothing(self.label_smoothing)

    def n_raw(self, n_targets: int) -> int:
        if self.n_classes is None:
            raise OptionError("Categorical() does not know the number of classes yet; use Categorical(n_classes)")
        if n_targets != 1:
            raise OptionError(f"output categorical takes one target column of class codes, got {n_targets}")
        return self.n_classes

    def nll(self, raw: Any, y: Any) -> Any:
        shifted = raw - stop_gradient(np.max(raw, axis=1, keepdims=True))
        log_total = np.log(np.sum(np.exp(shifted), axis=1))
        hit = np.equal(y, np.arange(raw.shape[1], dtype=raw.dtype))
        chosen = np.sum(np.where(hit, shifted, 0.0), axis=1)
        if self.label_smoothing:
            even = np.mean(shifted, axis=1)
            chosen = (1.0 - self.label_smoothing) * chosen + self.label_smoothing * even
        return log_total - chosen

    def standard_distribution(self, raw: np.ndarray) -> CategoricalDistribution:
        return CategoricalDistribution(log_softmax(raw, axis=1))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        w = row_weights(len(y), weights)
        share = np.bincount(np.asarray(y)[:, 0].astype(int), weights=w, minlength=self.n_raw(1))
        logs = np.log(np.maximum(share, half_a_row(w)))  # where a class never occurs
        return logs - np.mean(logs)

    def for_target(self, n_classes: int) -> Categorical:
        if self.n_classes not in (None, n_classes):
            raise OptionError(f"the output is Categorical({self.n_classes}), but the target has {n_classes} classes")
        return replace(self, n_classes=n_classes)

    def check_target(self, y: Any) -> None:
        y = np.asarray(y, np.float64)
        top = np.inf if self.n_classes is None else self.n_classes - 1
        wanted = f"class codes 0 … {'' if self.n_classes is None else self.n_classes - 1}"
        refuse(self, wanted, y, ~((y >= 0) & (y <= top) & (y == np.floor(y)) & np.isfinite(y)))


@dataclass(frozen=True, eq=False, repr=False)
class CategoricalDistribution(Distribution):
    """Distribution of a class code 0 … k-1.

    Classes have no order, so there is no cdf or quantile; `mean` and `var` are those of the indicator vector.

    Parameters
    ----------
    log_probabilities : array of shape (n, k)
    """

    log_probabilities: np.ndarray

    @property
    def discrete(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.log_probabilities.shape[:-1]

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each class, shape (n, k)."""
        return np.exp(self.log_probabilities)

    def logpdf(self, y: Any) -> np.ndarray:
        """Logarithm of the probability of class code ``y``; -inf for anything that is none."""
        y = np.asarray(y, np.float64)
        hit = y[..., None] == np.arange(self.log_probabilities.shape[-1])
        return np.max(np.where(hit, self.log_probabilities, -np.inf), axis=-1)

    def mean(self) -> np.ndarray:
        """Expectation of the indicator vector: the probability of each class, shape (n, k)."""
        return self.probabilities

    def var(self) -> np.ndarray:
        """Variance of the indicator of each class, shape (n, k)."""
        return self.probabilities * -np.expm1(self.log_probabilities)

    def mode(self) -> np.ndarray:
        """Code of the most probable class, shape (n,)."""
        return np.argmax(self.log_probabilities, axis=-1)

    def entropy(self) -> np.ndarray:
        """Entropy in nats."""
        return np.sum(entr(self.probabilities), axis=-1)

    def crps(self, y: Any) -> np.ndarray:
        """Half the Brier (quadratic) score, ½ Σ (pₖ - 1{y = k})²: for two classes it equals the CRPS, (p - y)²."""
        y = np.asarray(y, np.float64)
        hit = y[..., None] == np.arange(self.log_probabilities.shape[-1])
        return 0.5 * np.sum(np.square(self.probabilities - hit), axis=-1)

    def cdf(self, y: Any) -> NoReturn:
        self._refuse("cdf")

    def sf(self, y: Any) -> NoReturn:
        self._refuse("sf")

    def ppf(self, q: Any) -> NoReturn:
        self._refuse("ppf")

    @classmethod
    def pool(cls, members: Sequence[Self]) -> CategoricalDistribution:
        logs = np.stack([m.log_probabilities for m in members])
        return CategoricalDistribution(logsumexp(logs, axis=0) - np.log(len(members)))

    def _jump(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = np.asarray(y, np.float64)[..., None]
        codes = np.arange(self.log_probabilities.shape[-1])
        below = np.sum(np.where(codes < y, self.probabilities, 0.0), axis=-1)
        above = np.sum(np.where(codes <= y, self.probabilities, 0.0), axis=-1)
        return np.minimum(below, 1.0), np.minimum(above, 1.0)

    def _refuse(self, what: str) -> NoReturn:
        raise OptionError(f"classes have no order, so there is no {what}; use pmf, probabilities or mode")

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        bounds = np.cumsum(self.probabilities, axis=-1)[..., :-1]
        return np.sum(rng.random(shape)[..., None] >= bounds, axis=-1).astype(np.float64)

    def _summary(self) -> str:
        rows, k = " x ".join(map(str, self.shape)) or "1", self.log_probabilities.shape[-1]
        return f"{rows} rows, {k} classes"
