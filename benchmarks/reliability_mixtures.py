"""Mixture outputs fitted to data that are hard for a likelihood: every prediction is a number, every error one line.

Errors are counted apart: a training that diverges, and numbers too large to be squared, may be refused in one line; any
other error is a failure.

Constant targets, repeated rows, outliers of a million standard deviations, three rows, whole numbers, columns of very
different scales, targets near both ends of float64. A try is a fit with a few epochs; what is asked of the predictive
distributions afterwards are all their methods, on the training rows and on rows far away from them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.reliability_checks import REFUSED, Check, run_tries

import chainrule as cr
from chainrule.errors import ChainruleError, DivergenceError
from chainrule.models.scores import scores
from chainrule.outputs import Distribution

Target = Callable[[np.random.Generator, np.ndarray], np.ndarray]
#: targets as functions of inputs (n, p), by name
TARGETS: dict[str, Target] = {
    "constant": lambda rng, x: np.full(len(x), rng.choice([0.0, 1.0, 0.1, -1e300, 1e-300, 1e9])),
    "constant but one": lambda rng, x: np.where(np.arange(len(x)) == 0, rng.choice([1.0, 1e12, 1e-12]), 0.0),
    "whole numbers": lambda rng, x: np.round(2.0 * x[:, 0] + rng.normal(size=len(x))),
    "two values": lambda rng, x: (x[:, 0] > 0) * rng.choice([1.0, 1e6, 1e300]),
    "many zeros": lambda rng, x: np.where(rng.random(len(x)) < 0.7, 0.0, rng.exponential(size=len(x))),
    "outliers": lambda rng, x: x[:, 0] + np.where(rng.random(len(x)) < 0.03, 1e6, 1.0) * rng.normal(size=len(x)),
    "heavy tails": lambda rng, x: x[:, 0] + rng.standard_cauchy(len(x)) ** 3,
    "exact": lambda rng, x: 3.0 * x[:, 0] - 1.0,
    "tiny": lambda rng, x: 1e-299 * (x[:, 0] + rng.normal(size=len(x))),
    "huge": lambda rng, x: 1e299 * (x[:, 0] + rng.normal(size=len(x))),
    "far from zero": lambda rng, x: 1e9 + 1e-3 * (x[:, 0] + rng.normal(size=len(x))),
    "two branches": lambda rng, x: rng.choice([-1.0, 1.0], len(x)) * (1.0 + x[:, 0]) + 1e-6 * rng.normal(size=len(x)),
}
ROWS = [3, 4, 10, 30, 100, 300]


def mixtures(count: int, seed: int) -> Iterator[Check]:
    """The section: so many fits shared among the targets."""
    for position, name in enumerate(TARGETS):
        tries = [(name, seed + 1000 * k) for k in range(position, count, len(TARGETS))]
        yield run_tries(name, tries, attempt, [("exact", 0)])


def attempt(each: tuple[str, int]) -> str:
    """Fit and predict once; what is wrong, or nothing."""
    name, seed = each
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    n = int(rng.choice(ROWS))
    x = rng.normal(size=(n, int(rng.integers(1, 5))))
    y = TARGETS[name](rng, x)
    if rng.random() < 0.3:  # every row several times
        again = rng.integers(0, max(1, n // 3), n)
        x, y = x[again], y[again]
    if rng.random() < 0.2:
        y = np.stack([y, rng.permutation(y)], axis=1)
    scale = 10.0 ** rng.uniform(-12, 12, x.shape[1]) if rng.random() < 0.5 else np.ones(x.shape[1])
    weights = rng.integers(0, 3, n).astype(float) if rng.random() < 0.2 and n > 10 else None
    model = cr.FeedForwardRegressor(
        output=cr.GaussianMixture(int(rng.integers(1, 6))),
        hidden_layer_sizes=(8,),
        n_members=int(rng.choice([1, 1, 3])),
        max_iter=int(rng.choice([1, 30, 200])),
        learning_rate_init=float(rng.choice([1e-3, 1e-2, 0.3])),
        random_state=seed % 2**31,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.fit(x * scale, y, sample_weight=weights)
        except ChainruleError as error:
            return refusal(error) or f"{name}, seed {seed}: {type(error).__name__}: {error}"
        far = x * scale * 1e6
        problem = wrong(model.predict_dist(x * scale), y) or wrong(model.predict_dist(far), y)
    numeric = [w for w in said if issubclass(w.category, RuntimeWarning)]
    if numeric and not problem:
        problem = f"{numeric[0].message} ({numeric[0].filename}:{numeric[0].lineno})"
    return problem and f"{name}, seed {seed}: {problem}"


def refusal(error: ChainruleError) -> str:
    """`REFUSED` and the kind of an error that is documented and in one line, or nothing."""
    if "\n" in str(error):
        return ""
    if isinstance(error, DivergenceError):
        return f"{REFUSED}diverged"
    return f"{REFUSED}numbers too large to be squared" if "cannot be squared" in str(error) else ""


def wrong(d: Distribution, y: np.ndarray) -> str:
    """The first thing a distribution gives that is no number, or infinite where it should not be."""
    finite = {
        "mean": d.mean(),
        "std": d.std(),
        "quantiles": d.quantiles([1e-9, 0.05, 0.5, 0.95, 1 - 1e-9]),
        "samples": d.rvs(3, random_state=0),
        "crps": d.crps(y),
        "cdf": d.cdf(y),
        "pit": d.pit(y),
    }
    for what, values in finite.items():
        if not np.isfinite(values).all():
            return f"{what} is {values[~np.isfinite(values)][0]}"
    for what, values in {"var": d.var(), "logpdf": d.logpdf(y), "pdf": d.pdf(y), "log score": d.log_score(y)}.items():
        if np.isnan(values).any():
            return f"{what} is NaN"
    scored = scores(d, y.reshape(len(y), -1), "numeric")
    bad = [what for what, value in scored.items() if np.isnan(value) and what != "R²"]
    return f"{bad[0]} is NaN" if bad else ""
