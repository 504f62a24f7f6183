"""Learning rates that change with time: η(t) for the steps t = 1, 2, ….

A schedule is a function of the step number, hence the small letters. It is written in plain NumPy and works on traced
values; its numbers are hyper-parameters, inputs of the training step's graph, so that one compilation serves a search.

Stochastic gradients reach the optimum if ``Σ η(t) = ∞`` and ``Σ η(t)² < ∞`` (Robbins & Monro 1951), which
`inverse_time` satisfies; the others are what works in practice for a given number of steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from chainrule.learn.records import Record, number


class Schedule(Record, ABC, kind="schedule"):
    """A learning rate as a function of the step number."""

    def hyper(self) -> dict[str, float]:
        """The schedule's numbers by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def __call__(self, t: Any) -> Any:
        """The learning rate of step ``t`` = 1, 2, …"""
        rate = self.rate(t, self.hyper())
        return rate[()] if isinstance(rate, np.ndarray) else rate  # a number for a number

    @abstractmethod
    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        """The learning rate of step ``t``, from hyper-parameters given from outside (traced, say).

        Parameters
        ----------
        t : number, array or traced scalar
            The step, 1 for the first; a float of the dtype wanted, or a Python number.
        hyper : mapping
            A value for every name in `hyper`.
        """


@dataclass(frozen=True)
class constant(Schedule):
    """Always the same: ``η(t) = lr``."""

    lr: float

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        return hyper["lr"]


@dataclass(frozen=True)
class step_decay(Schedule):
    """Multiply by a factor every so many steps: ``η(t) = lr · factor^⌊(t−1)/every⌋``.

    Parameters
    ----------
    lr : float
        Learning rate of the first step.
    every : float
        Steps between two drops.
    factor : float
        In (0, 1].
    """

    lr: float
    every: float
    factor: float = 0.1

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)
        number(self, "every", 1)
        number(self, "factor", 0, 1, open_low=True, open_high=False)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        return hyper["lr"] * np.power(hyper["factor"], np.floor((t - 1) / hyper["every"]))


@dataclass(frozen=True)
class exponential_decay(Schedule):
    """Multiply by a factor every so many steps, continuously: ``η(t) = lr · factor^((t−1)/every)``.

    Parameters
    ----------
    lr : float
        Learning rate of the first step.
    every : float
        Steps in which it shrinks by ``factor``.
    factor : float
        In (0, 1].
    """

    lr: float
    every: float
    factor: float = 0.1

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)
        number(self, "every", 0, open_low=True)
        number(self, "factor", 0, 1, open_low=True, open_high=False)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        return hyper["lr"] * np.power(hyper["factor"], (t - 1) / hyper["every"])


@dataclass(frozen=True)
class inverse_time(Schedule):
    """Decay like 1/t: ``η(t) = lr / (1 + (t−1)/halving)``.

    Parameters
    ----------
    lr : float
        Learning rate of the first step.
    halving : float
        Steps after which it has halved.

    References
    ----------
    Robbins & Monro (1951), "A stochastic approximation method", Annals of Mathematical Statistics 22.
    """

    lr: float
    halving: float

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)
        number(self, "halving", 0, open_low=True)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        return hyper["lr"] / (1.0 + (t - 1) / hyper["halving"])


@dataclass(frozen=True)
class cosine(Schedule):
    """Half a cosine wave down, after a linear warm-up.

    ``η(t) = lr · t/warmup`` for ``t ≤ warmup``, then ``final + (lr − final) · (1 + cos πu)/2`` where ``u`` runs from 0
    to 1 between the end of the warm-up and step ``steps``, and stays at 1.

    Parameters
    ----------
    lr : float
        The largest learning rate.
    steps : float
        Steps in all.
    warmup : float
        Steps of the warm-up; 0 for none.
    final : float
        Learning rate at the end.

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR.
    """

    lr: float
    steps: float
    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)
        number(self, "steps", 1)
        number(self, "warmup", 0, self.steps)
        number(self, "final", 0, self.lr, open_high=False)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        lr, warmup, final = hyper["lr"], hyper["warmup"], hyper["final"]
        rising = lr * (t / np.maximum(warmup, 1.0))
        falling = final + (lr - final) * _half_cosine(t - 1 - warmup, hyper["steps"] - 1 - warmup)
        return np.where(t <= warmup, rising, falling)


@dataclass(frozen=True)
class one_cycle(Schedule):
    """Up to a large learning rate and down to almost nothing, along half cosines.

    From ``lr/start`` to ``lr`` in the first ``rise`` of all steps, then down to ``lr/(start · end)``.

    Parameters
    ----------
    lr : float
        The largest learning rate.
    steps : float
        Steps in all.
    rise : float
        Share of the steps that go up, in (0, 1).
    start, end : float
        Divisors, at least 1.

    References
    ----------
    Smith & Topin (2019), "Super-convergence: very fast training of neural networks using large learning rates".
    """

    lr: float
    steps: float
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        number(self, "lr", 0, open_low=True)
        number(self, "steps", 1)
        number(self, "rise", 0, 1, open_low=True)
        number(self, "start", 1)
        number(self, "end", 1)

    def rate(self, t: Any, hyper: Mapping[str, Any]) -> Any:
        top, last = hyper["lr"], hyper["steps"] - 1
        low = top / hyper["start"]
        bottom = low / hyper["end"]
        peak = hyper["rise"] * last
        rising = top + (low - top) * _half_cosine(t - 1, peak)
        falling = bottom + (top - bottom) * _half_cosine(t - 1 - peak, last - peak)
        return np.where(t - 1 < peak, rising, falling)


def _half_cosine(t: Any, length: Any) -> Any:
    """From 1 at ``t = 0`` down to 0 at ``t = length``, and 0 after it; 1 before."""
    u = np.clip(t / np.maximum(length, 1e-9), 0.0, 1.0)
    return 0.5 * (1.0 + np.cos(np.pi * u))


#: every schedule by name
SCHEDULES = Schedule.registry

__all__ = [
    "SCHEDULES",
    "Schedule",
    "constant",
    "cosine",
    "exponential_decay",
    "inverse_time",
    "one_cycle",
    "step_decay",
]
