"""Contenders side by side: the same number of epochs each, taking turns, the fastest epoch counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, sleep

import numpy as np

from chainrule.bench.cases import Problem, Weights

#: epochs before the clock starts: compilation, caches, page faults
WARM_UP = 2
#: timed epochs each contender has at least, and seconds after which a race ends where it has them
FEWEST, SECONDS = 3, 30.0
#: afterwards each has so many turns of so many seconds more, as many epochs as it likes: short ones need many tries
SPRINTS, SPRINT_SECONDS = 3, 0.4
#: before each turn: the threads of the one before go on waiting busily for a while, on the cores the next one needs
PAUSE_SECONDS = 0.25


class Contender(ABC):
    """Somebody who trains a problem's network.

    Attributes
    ----------
    peer : str
        Whose code it is: ``"chainrule"``, ``"JAX"``, …
    name : str
        In the table.
    """

    peer: str
    name: str

    @abstractmethod
    def epoch(self) -> None:
        """Train one epoch, and return when it is done: shuffle, gather, loss, gradient, update."""

    @abstractmethod
    def loss(self, problem: Problem) -> float:
        """How well it is trained by now."""


class SoftmaxContender(Contender):
    """One that trains the softmax net of the case; judged by `Problem.loss`."""

    @abstractmethod
    def weights(self) -> Weights:
        """Weights and biases as they are now."""

    def loss(self, problem: Problem) -> float:
        return problem.loss(self.weights())


@dataclass
class Result:
    """What a contender did.

    Parameters
    ----------
    peer, name : str
    microseconds : float
        Per training step, in the fastest epoch.
    median : float
        Microseconds per step of the epoch in the middle.
    loss : float
        Mean loss of all rows after the last epoch.
    """

    peer: str
    name: str
    microseconds: float
    median: float
    loss: float
    seconds: list[float] = field(default_factory=list)


def race(problem: Problem, contenders: Sequence[Contender], repetitions: int) -> list[Result]:
    """Run all contenders in turns.

    Parameters
    ----------
    repetitions : int
        Timed epochs per contender, after `WARM_UP` others; fewer on a machine so slow or so busy that they take more
        than `SECONDS`, but the same for all.
    """
    began = perf_counter()
    seconds: list[list[float]] = [[] for _ in contenders]
    for repetition in range(WARM_UP + repetitions):
        if len(seconds[0]) >= FEWEST and perf_counter() - began > SECONDS:
            break
        for contender, times in zip(contenders, seconds, strict=True):
            sleep(PAUSE_SECONDS)
            start = perf_counter()
            contender.epoch()
            if repetition >= WARM_UP:
                times.append(perf_counter() - start)
    losses = [c.loss(problem) for c in contenders]  # after as many epochs each
    for _ in range(SPRINTS if repetitions > FEWEST else 0):
        for contender, times in zip(contenders, seconds, strict=True):
            _sprint(contender, times)
    scale = 1e6 / problem.case.n_steps
    return [
        Result(c.peer, c.name, min(t) * scale, float(np.median(t)) * scale, loss, t)
        for c, t, loss in zip(contenders, seconds, losses, strict=True)
    ]


def _sprint(contender: Contender, times: list[float]) -> None:
    """Epochs one after the other, if they are short."""
    sleep(PAUSE_SECONDS)
    began = perf_counter()
    while perf_counter() - began + min(times) < SPRINT_SECONDS:
        start = perf_counter()
        contender.epoch()
        times.append(perf_counter() - start)
