"""Penalties on the size of the parameters, and their proximal steps.

The objective is ``J(θ) + P(θ)``. A smooth penalty (`L2`) has a gradient, which is added to that of J. The others have a
kink where it matters, at zero, and are applied after the optimiser's step as a *proximal step* of the same size s:

    ``prox(u) = argmin_θ  P(θ) + Σᵢ (θᵢ − uᵢ)² / (2 sᵢ)``,

which puts parameters at zero exactly, and leaves a point where it is exactly if it is stationary for ``J + P`` (Parikh
& Boyd 2014, "Proximal algorithms", §4.2). With s one number this is proximal gradient descent; with one per element, as
Adam and RMSProp have them, the minimum is taken in that diagonal metric, so that the fixed points stay the same.

All functions take flat arrays, plain or traced, the strength λ as a number or a traced scalar, and ``where``: for `L1`
and `L2` an array of 0 and 1 (or ``None`` for all), for `GroupL1` the number of each element's group, −1 for none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.trace import apply
from chainrule.learn.records import Record, number
from chainrule.primitives.indexing import SCATTER_ADD

#: Newton steps of the group prox in a diagonal metric
NEWTON_STEPS = 12


class Penalty(Record, ABC, kind="penalty"):
    """Base of all penalties; every one has a ``strength`` λ ≥ 0.

    Attributes
    ----------
    key : str
        Name of its strength among the hyper-parameters.
    smooth : bool
        Whether it has a gradient (else a proximal step).
    """

    key: ClassVar[str]
    smooth: ClassVar[bool]
    strength: float

    def __post_init__(self) -> None:
        number(self, "strength", 0)

    def __add__(self, other: Penalty | Sum) -> Sum:
        return Sum((self,)) + other

    @staticmethod
    @abstractmethod
    def value(theta: Any, where: Any, strength: Any) -> Any:
        """P(θ), one number."""

    @staticmethod
    @abstractmethod
    def residual(theta: Any, grad: Any, where: Any, strength: Any) -> Any:
        """The smallest subgradient of ``J + P``: zero exactly where θ is stationary.

        Parameters
        ----------
        theta : array, shape (n,)
        grad : array, shape (n,)
            ∇J(θ), without the penalty.

        Returns
        -------
        array, shape (n,)
        """


@dataclass(frozen=True)
class Sum:
    """Penalties added up: ``L1(0.1) + L2(0.01)`` is the elastic net (Zou & Hastie 2005)."""

    parts: tuple[Penalty, ...]

    def __add__(self, other: Penalty | Sum) -> Sum:
        if not isinstance(other, (Penalty, Sum)):
            return NotImplemented
        return Sum(self.parts + (other.parts if isinstance(other, Sum) else (other,)))


class SmoothPenalty(Penalty, abstract=True):
    """A penalty with a gradient everywhere."""

    smooth = True

    @staticmethod
    @abstractmethod
    def gradient(theta: Any, where: Any, strength: Any) -> Any:
        """∇P(θ), of θ's shape."""

    @classmethod
    def residual(cls, theta: Any, grad: Any, where: Any, strength: Any) -> Any:
        return grad + cls.gradient(theta, where, strength)


class ProximalPenalty(Penalty, abstract=True):
    """A penalty with a kink at zero, applied by proximal steps."""

    smooth = False

    @staticmethod
    @abstractmethod
    def prox(u: Any, step: Any, where: Any, strength: Any) -> Any:
        """``argmin_θ P(θ) + Σᵢ (θᵢ − uᵢ)²/(2 stepᵢ)``, with exact zeros.

        Parameters
        ----------
        u : array, shape (n,)
            θ after the optimiser's step.
        step : scalar or array, shape (n,)
            The optimiser's step size.
        """


@dataclass(frozen=True)
class L2(SmoothPenalty):
    """``(λ/2) ‖θ‖²``, with gradient λθ: ridge regression, weight decay.

    Bayesian reading: ``exp(−J − P)`` with J a negative log-likelihood is the posterior, up to a constant, under
    independent Gaussian priors ``θᵢ ~ N(0, 1/λ)``, so λ is the prior's precision and the minimum the MAP estimate.
    Where J is the *mean* NLL of N examples, as everywhere in chainrule, the precision is Nλ.

    Parameters
    ----------
    strength : float
        λ.

    References
    ----------
    Hoerl & Kennard (1970), "Ridge regression"; Goodfellow, Bengio & Courville (2016), Deep Learning, §7.1.1.
    """

    key = "l2"
    strength: float

    @staticmethod
    def value(theta: Any, where: Any, strength: Any) -> Any:
        return (0.5 * strength) * np.sum(_chosen(np.square(theta), where))

    @staticmethod
    def gradient(theta: Any, where: Any, strength: Any) -> Any:
        return strength * _chosen(theta, where)


@dataclass(frozen=True)
class L1(ProximalPenalty):
    """``λ ‖θ‖₁``, whose proximal step is soft thresholding at λ·step: the lasso.

    Bayesian reading: independent Laplace priors ``p(θᵢ) = (λ/2) exp(−λ|θᵢ|)``; the minimum is the MAP estimate. Where J
    is the mean NLL of N examples the prior's rate is Nλ.

    Parameters
    ----------
    strength : float
        λ.

    References
    ----------
    Tibshirani (1996), "Regression shrinkage and selection via the lasso"; Beck & Teboulle (2009), "A fast iterative
    shrinkage-thresholding algorithm for linear inverse problems".
    """

    key = "l1"
    strength: float

    @staticmethod
    def value(theta: Any, where: Any, strength: Any) -> Any:
        return strength * np.sum(_chosen(np.abs(theta), where))

    @staticmethod
    def prox(u: Any, step: Any, where: Any, strength: Any) -> Any:
        threshold = _chosen(strength * step, where)
        return u - np.clip(u, -threshold, threshold)  # u - u is +0, and a threshold of 0 changes nothing

    @staticmethod
    def residual(theta: Any, grad: Any, where: Any, strength: Any) -> Any:
        threshold = _chosen(strength, where)
        at_zero = grad - np.clip(grad, -threshold, threshold)
        return np.where(theta == 0.0, at_zero, grad + threshold * np.sign(theta))


@dataclass(frozen=True)
class GroupL1(ProximalPenalty):
    """``λ Σ_g ‖θ_g‖``: whole groups of parameters become zero together, such as all weights of an input column.

    Parameters
    ----------
    strength : float
        λ.
    groups : tuple of int, optional
        The group of each index along a parameter's first axis, −1 for no penalty; by default every index is a group of
        its own, so that a weight matrix (inputs × units) is grouped by input column.

    References
    ----------
    Yuan & Lin (2006), "Model selection and estimation in regression with grouped variables" (who weight each norm by
    the root of the group's size; here all groups count alike).
    """

    key = "group_l1"
    strength: float
    groups: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups is not None:
            object.__setattr__(self, "groups", tuple(int(g) for g in self.groups))

    def group_ids(self, shape: tuple[int, ...]) -> np.ndarray:
        """The ``where`` of a parameter of the given shape, flat: group numbers 0, 1, …, or −1.

        Raises
        ------
        OptionError
            If the groups given do not fit the first axis.
        """
        first = shape[0] if shape else 1
        if self.groups is None:
            each = np.arange(first)
        else:
            if len(self.groups) != first:
                raise OptionError(f"GroupL1: {len(self.groups)} groups for a parameter of shape {shape}; give {first}")
            each = np.array(self.groups)
            used, compact = np.unique(each, return_inverse=True)
            each = np.where(each < 0, -1, compact - np.count_nonzero(used < 0))
        return np.repeat(each, int(np.prod(shape[1:], dtype=int)))

    @staticmethod
    def value(theta: Any, where: Any, strength: Any) -> Any:
        groups = _Groups(where)
        return strength * np.sum(np.sqrt(groups.total(np.square(theta))))

    @staticmethod
    def prox(u: Any, step: Any, where: Any, strength: Any) -> Any:
        groups = _Groups(where)
        if not np.shape(step):  # a plain metric has the closed form u (1 - λ step/‖u‖)₊
            norm = np.sqrt(groups.total(np.square(u)))
            threshold = strength * step
            kept = norm > threshold
            factor = np.where(kept, 1.0 - threshold / np.where(kept, norm, 1.0), 0.0)
            return groups.scale(u, factor)
        return _diagonal_prox(u, step, groups, strength)

    @staticmethod
    def residual(theta: Any, grad: Any, where: Any, strength: Any) -> Any:
        groups = _Groups(where)
        norm = np.sqrt(groups.total(np.square(theta)))
        slope = np.sqrt(groups.total(np.square(grad)))
        alive = norm > 0.0
        steep = slope > strength
        at_zero = np.where(steep, 1.0 - strength / np.where(steep, slope, 1.0), 0.0)
        along = np.where(alive, strength / np.where(alive, norm, 1.0), 0.0)
        inside = groups.spread(alive, True)
        return np.where(inside, grad + groups.spread(along, 0.0) * theta, grad * groups.spread(at_zero, 1.0))

    @classmethod
    def read_fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        groups = values.get("groups")
        return values | {"groups": tuple(groups)} if isinstance(groups, list) else values


class _Groups:
    """Sums over groups of elements, and back from groups to elements.

    Parameters
    ----------
    ids : array of int, shape (n,)
        Group of each element, −1 for none.
    """

    def __init__(self, ids: Any) -> None:
        self.ids = np.asarray(ids)
        self.member = self.ids >= 0
        self.count = int(self.ids.max(initial=-1)) + 1
        # elements of no group are summed into a group of their own, which is then dropped
        self.slots = np.where(self.member, self.ids, self.count)

    def total(self, x: Any) -> Any:
        """Sum of x over each group, shape (groups,)."""
        return apply(SCATTER_ADD, x, self.slots, axes=(0,), shape=(self.count + 1,))[: self.count]

    def spread(self, per_group: Any, outside: Any) -> Any:
        """The group's number at each of its elements, and ``outside`` at the elements of none."""
        padded = np.concatenate([per_group, np.full_like(per_group[:1], outside, shape=(1,))])
        return padded[self.slots]

    def scale(self, x: Any, per_group: Any) -> Any:
        """x times its group's number; elements of no group stay as they are."""
        return x * self.spread(per_group, 1.0) + 0.0  # no -0


def _diagonal_prox(u: Any, step: Any, groups: _Groups, strength: Any) -> Any:
    """The prox in a diagonal metric.

    Zero if ``‖u/s‖ ≤ λ``; else θᵢ = uᵢ r/(r + λsᵢ) where r = ‖θ‖ > 0 solves the secular equation
    ``φ(r) = Σ uᵢ²/(r + λsᵢ)² = 1``. ``φ^(−1/2)`` is a power mean of the ``(r + λsᵢ)/|uᵢ|``, increasing and concave
    in r, so Newton's method started left of the root climbs to it without overshooting.
    """
    threshold = strength * step
    kept = groups.total(np.square(u / step)) > np.square(strength)
    norm = np.sqrt(groups.total(np.square(u)))
    largest = np.sqrt(groups.total(np.square(threshold)))  # at least max λsᵢ, so that the start is left of the root
    r = np.maximum(norm - largest, 0.0)
    for _ in range(NEWTON_STEPS):
        shifted = groups.spread(r, 1.0) + threshold
        ratio = np.square(u / np.where(shifted > 0.0, shifted, 1.0))
        phi = np.where(kept, groups.total(ratio), 1.0)
        slope = np.where(kept, groups.total(ratio / np.where(shifted > 0.0, shifted, 1.0)), 1.0)
        r = r + phi * (np.sqrt(phi) - 1.0) / slope
    r = np.where(kept, r, 0.0)
    shifted = groups.spread(r, 1.0) + threshold
    factor = groups.spread(r, 1.0) / np.where(shifted > 0.0, shifted, 1.0)
    return np.where(groups.member, u * factor + 0.0, u)


def optimality_residual(penalty: Penalty, theta: Any, grad: Any, where: Any = None) -> float:
    """Largest element of the smallest subgradient of ``J + P``: 0 exactly at a stationary point.

    Parameters
    ----------
    penalty : Penalty
    theta, grad : array, shape (n,)
        Where, and ∇J there without the penalty.
    where : array, shape (n,), optional
        Which elements are penalised, as the penalty's own methods take it.
    """
    residual = penalty.residual(np.asarray(theta), np.asarray(grad), where, penalty.strength)
    return float(np.max(np.abs(residual), initial=0.0))


def _chosen(x: Any, mask: Any) -> Any:
    return x if mask is None else x * mask


#: every penalty by name
PENALTIES = Penalty.registry

__all__ = [
    "L1",
    "L2",
    "PENALTIES",
    "GroupL1",
    "Penalty",
    "ProximalPenalty",
    "SmoothPenalty",
    "Sum",
    "optimality_residual",
]
