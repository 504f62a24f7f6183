"""Bad inputs, trainings that diverge, and the same bits on any number of threads."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.reliability_checks import Check

import chainrule as cr

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def bad_inputs(count: int, seed: int) -> Iterator[Check]:
    """Every named case of ``tests/trust``, by surface."""
    from trust.bad_inputs import CASES

    for surface, cases in CASES.items():
        check, start = Check(surface), time.perf_counter()
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                problem = case.problem(Path(folder))
            check.count += 1
            if problem:
                check.failures.append(f"{case.name}: {problem}")
        check.seconds = time.perf_counter() - start
        yield check


def threads(count: int, seed: int) -> Iterator[Check]:
    """Wide networks and ensembles, trained and predicting, on 1, 2 and 4 threads."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1000, 16))
    y = x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=1000)
    for name, options in {
        "one wide network": {"hidden_layer_sizes": (512, 512), "n_members": 1, "batch_size": 250},
        "an ensemble": {"hidden_layer_sizes": (32, 32), "n_members": 4, "n_starts": 2},
        "full batches": {"hidden_layer_sizes": (256,), "n_members": 1, "optimizer": "lbfgs"},
    }.items():
        check, start, found = Check(name), time.perf_counter(), []
        for n_jobs in (1, 2, 4):
            options |= {"max_iter": 4, "embedding": "none", "random_state": seed, "n_jobs": n_jobs}
            model = cr.FeedForwardRegressor(**options).fit(x, y)
            found.append([*(m.theta.tobytes() for m in model.model_.members), model.predict(x).tobytes()])
            check.count += 1
            if found[-1] != found[0]:
                check.failures.append(f"{name}: other bits on {n_jobs} threads")
        check.seconds = time.perf_counter() - start
        yield check


def diverging(count: int, seed: int) -> Iterator[Check]:
    """Trainings that leave the finite numbers, or are made to: an error that names the operation, or finite numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    y = x[:, 0] + 0.1 * rng.normal(size=60)
    cells = {
        "": x,
        "cells of 1e300": _at(x, 1e300),
        "cells of ±1e308": np.sign(x) * 1.7e308,
        "cells of 1e-320": x * 1e-320,
    }
    check, start = Check("learning rates, cells, optimizers"), time.perf_counter()
    for optimizer in (cr.SGD, cr.GD, cr.Adam, cr.RMSProp):
        for rate in (1e3, 1e6, 1e12, 1e30):
            for where, values in cells.items():
                for make, target in ((cr.FeedForwardRegressor, y), (cr.FeedForwardClassifier, y > 0)):
                    model = make(
                        (4,), optimizer=optimizer(rate), max_iter=5, n_members=1, embedding="none", random_state=0
                    )
                    problem = _diverged(lambda: model.fit(values, target), lambda: model.predict_dist(x).mean())  # noqa: B023
                    check.count += 1
                    if problem:
                        check.failures.append(f"{model} {where}: {problem}")
    check.seconds = time.perf_counter() - start
    yield check


def _at(x: np.ndarray, value: float) -> np.ndarray:
    changed = x.copy()
    changed[::7, 1] = value
    return changed


def _diverged(fit: Callable[[], Any], predict: Callable[[], np.ndarray]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit()
        except cr.DivergenceError as error:
            return "" if "first at" in str(error) and "\n" not in str(error) else f"names no operation: {error}"
        except cr.OptionError as error:
            return "" if "float32" in str(error) else str(error)
        return "" if np.isfinite(predict()).all() else "predicts what is not finite"
