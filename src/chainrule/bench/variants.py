"""Networks nobody tuned for: another output, another unit, a loss and units written by the user; and odd widths.

Each is compared with the built-in softmax net of the same layers, on rows of the same size, taking turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.bench.cases import Case, Problem
from chainrule.bench.ours import Variant, options, softmax_network
from chainrule.bench.race import race
from chainrule.learn.executors import epoch_runner
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.native.cache import shared_cache
from chainrule.native.loop import compile_loop
from chainrule.networks import Dense, Maxout, Network
from chainrule.outputs import Categorical, GaussianMixture

#: a variant's time, divided by the built-in net's
VARIANT_BAR = 1.5
#: how far the time of a width may lie above that of its neighbour, beyond the multiply-adds
CLIFF_BAR = 0.15
WIDTHS = ((44, 45, 46, 47, 48), (63, 64, 65), (127, 128, 129))


def brier(raw: Any, y: Any) -> Any:
    """A loss of the user's own: the squared error of the probabilities."""
    e = np.exp(raw - np.max(raw, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    hit = np.where(np.equal(y, np.arange(raw.shape[1], dtype=raw.dtype)), 1.0, 0.0)
    return np.sum(np.square(p - hit), axis=1)


def softsign(z: Any) -> Any:
    """A unit of the user's own, of a division."""
    return z / (1.0 + np.abs(z))


def mish(z: Any) -> Any:
    """A unit of the user's own, of three transcendental functions."""
    return z * np.tanh(np.log1p(np.exp(z)))


@dataclass(frozen=True)
class VariantResult:
    """A variant beside the built-in net.

    Parameters
    ----------
    case, name : str
    microseconds : float
        Per step.
    ratio : float
        To the built-in net's time.
    products : float
        Its multiply-adds, divided by the built-in net's.
    """

    case: str
    name: str
    microseconds: float
    ratio: float
    products: float

    @property
    def held(self) -> bool:
        """Whether it costs little more than its multiply-adds ask for."""
        return self.ratio <= VARIANT_BAR * max(1.0, self.products)


def run_variants(case: Case, repetitions: int) -> list[VariantResult]:
    """Time the variants of a case; the first is the built-in net itself."""
    problem, hidden = Problem(case), case.layers[1:-1]
    rows = Rows.of(problem.x, problem.y)
    numbers = Rows.of(problem.x, problem.x[:, :1] + np.sin(problem.x[:, 1:2]))
    softmax = Categorical(case.layers[-1])
    equal, half = _as_many_products(case), [Maxout(-(-n // 2)) for n in hidden]
    variants = [
        Variant("softmax, built in", softmax_network(case), rows, case),
        Variant("Gaussian mixture, 3 components", Network(hidden, GaussianMixture(3)), numbers, case),
        Variant("maxout, 2 pieces, same units", Network([Maxout(n) for n in hidden], softmax), rows, case),
        Variant("maxout, 2 pieces, as many multiply-adds", Network(equal, softmax), rows, case),
        Variant("maxout, 2 pieces, half the units", Network(half, softmax), rows, case),
        Variant("loss of one's own (Brier)", softmax_network(case), rows, case, brier),
        Variant("unit of one's own (softsign)", Network([Dense(n, softsign) for n in hidden], softmax), rows, case),
        Variant("unit of one's own (mish)", Network([Dense(n, mish) for n in hidden], softmax), rows, case),
    ]
    results = race(problem, variants, repetitions)
    base, work = results[0].microseconds, _products(variants[0].training)
    return [
        VariantResult(case.name, r.name, r.microseconds, r.microseconds / base, _products(v.training) / work)
        for r, v in zip(results, variants, strict=True)
    ]


def _as_many_products(case: Case) -> list[Maxout]:
    """Layers of two pieces, narrower all alike, that come nearest to the multiply-adds of the case's own layers."""

    def distance(share: float) -> int:
        widths = [round(n * share) for n in case.layers[1:-1]]
        sizes = [a * 2 * b for a, b in pairwise((case.layers[0], *widths))]
        total = 3 * (sum(sizes) + widths[-1] * case.layers[-1]) - sizes[0]
        return abs(total * case.batch_size - case.multiply_adds)

    best = min(np.linspace(0.5, 1.0, 101), key=distance)
    return [Maxout(round(n * best)) for n in case.layers[1:-1]]


def _products(training: Training) -> int:
    """Multiply-adds of a step per row: every weight thrice, the first layer's twice."""
    sizes = [p.size for p in training.layout.pieces if p.name.endswith("weight")]
    return 3 * sum(sizes) - sizes[0]


@dataclass(frozen=True)
class WidthResult:
    """A width beside its neighbours.

    Parameters
    ----------
    width : int
    microseconds : float
        Per step.
    excess : float
        Time per multiply-add beyond that of the cheaper one of the widths next to it, as a share; 0 if it is below.
    """

    width: int
    microseconds: float
    excess: float


def run_widths(repetitions: int, n_steps: int) -> list[list[WidthResult]]:
    """Time two hidden layers of neighbouring widths, each group in turns."""
    found = []
    for widths in WIDTHS:
        cases = [Case(str(w), (20, w, w, 2), 32, n_steps) for w in widths]
        problem = Problem(cases[0])
        rows = Rows.of(problem.x, problem.y)
        nets = [Variant(c.name, softmax_network(c), rows, c) for c in cases]
        times = [r.microseconds for r in race(problem, nets, repetitions)]
        cost = [t / c.multiply_adds for t, c in zip(times, cases, strict=True)]
        beside = [min(cost[max(k - 1, 0) : k + 2]) for k in range(len(cost))]
        found.append([WidthResult(w, t, c / b - 1) for w, t, c, b in zip(widths, times, cost, beside, strict=True)])
    return found


def same_bits(case: Case, threads: tuple[int, ...] = (1, 2)) -> bool:
    """Whether an epoch gives the same bits for each number of threads, and as the training loop runs it."""
    problem = Problem(case)
    training = Training(softmax_network(case), Rows.of(problem.x, problem.y), options(case))
    step, rows = training.step, training.rows
    shape = (step.graph, len(step.carry), len(step.hyper), step.batch_size)
    runners = [epoch_runner(*shape), *(compile_loop(*shape, cache=shared_cache(), threads=n) for n in threads)]
    data, order = (rows.x, rows.y, rows.w), training.order(1)
    outcomes = [run(training.carry, training.hyper(), data, order) for run in runners]
    bits = [b"".join(np.ascontiguousarray(a).tobytes() for a in (*carry, sums)) for carry, sums in outcomes]
    return all(b == bits[0] for b in bits)
