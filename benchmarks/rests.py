"""Epochs after a rest each: whether threads that slept meanwhile find a core of their own again.

    python -m benchmarks.rests [case] [epochs] [seconds]      # by default 200 epochs of `table`, each after 0.1 s

Prints microseconds per step, and how many epochs took more than 1.4 times the median of the faster half.
"""

from __future__ import annotations

import sys
from time import perf_counter, sleep

import numpy as np

from chainrule.bench.cases import CASES, Problem
from chainrule.bench.ours import Ours

SLOW = 1.4


def rests(name: str, epochs: int, seconds: float) -> np.ndarray:
    """Microseconds per step of epochs that each follow a rest."""
    problem = Problem(next(case for case in CASES if case.name == name))
    ours = Ours(problem)
    for _ in range(20):  # compiles, and chooses the number of threads
        ours.epoch()
    found = []
    for _ in range(epochs):
        sleep(seconds)
        start = perf_counter()
        ours.epoch()
        found.append(1e6 * (perf_counter() - start) / problem.case.n_steps)
    return np.array(found)


if __name__ == "__main__":
    given = sys.argv[1:]
    name = given[0] if given else "table"
    epochs, seconds = int(given[1]) if given[1:] else 200, float(given[2]) if given[2:] else 0.1
    found = np.sort(rests(name, epochs, seconds))
    usual = np.median(found[: (epochs + 1) // 2])
    print(f"{name}, µs per step of {epochs} epochs, each after {seconds:g} s of rest:")
    print(f"best {found[0]:.0f}, median {np.median(found):.0f}, slowest {found[-1]:.0f};")
    print(f"{np.sum(found > SLOW * usual)} took more than {SLOW:g} times the median of the faster half, {usual:.0f} µs")
