"""Schedules: their values at the places that define them, and as graphs."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.graph.types import ArrayType
from chainrule.learn.schedules import (
    SCHEDULES,
    Schedule,
    constant,
    cosine,
    exponential_decay,
    inverse_time,
    one_cycle,
    step_decay,
)

SAMPLES = [
    constant(0.1),
    step_decay(0.1, every=10, factor=0.5),
    exponential_decay(0.1, every=10, factor=0.5),
    inverse_time(0.1, halving=20),
    cosine(0.1, steps=100),
    cosine(0.1, steps=100, warmup=10, final=0.001),
    one_cycle(0.1, steps=100),
]


def test_the_samples_cover_every_schedule() -> None:
    assert {type(s) for s in SAMPLES} == set(SCHEDULES.values())


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (constant(0.1), {1: 0.1, 1000: 0.1}),
        (step_decay(0.8, every=10, factor=0.5), {1: 0.8, 10: 0.8, 11: 0.4, 20: 0.4, 21: 0.2}),
        (exponential_decay(0.8, every=10, factor=0.5), {1: 0.8, 6: 0.8 / np.sqrt(2), 11: 0.4, 21: 0.2}),
        (inverse_time(0.8, halving=10), {1: 0.8, 11: 0.4, 31: 0.2}),
        (cosine(0.8, steps=101), {1: 0.8, 51: 0.4, 101: 0.0, 500: 0.0}),
        (
            cosine(0.8, steps=111, warmup=10, final=0.2),
            {1: 0.08, 5: 0.4, 10: 0.8, 11: 0.8, 61: 0.5, 111: 0.2, 999: 0.2},
        ),
        (
            one_cycle(0.8, steps=101, rise=0.3, start=20, end=100),
            {1: 0.04, 16: 0.42, 31: 0.8, 101: 0.0004, 200: 0.0004},
        ),
    ],
)
def test_values(schedule: Schedule, values: dict[int, float]) -> None:
    for t, expected in values.items():
        np.testing.assert_allclose(schedule(t), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("schedule", SAMPLES, ids=repr)
def test_it_is_positive_continues_smoothly_and_never_exceeds_its_largest_rate(schedule: Schedule) -> None:
    rates = np.array([schedule(t) for t in range(1, 301)], float)
    assert (rates >= 0).all()
    assert rates.max() <= 0.1 * (1 + 1e-12)


@pytest.mark.parametrize("schedule", SAMPLES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_it_keeps_the_dtype_and_gives_the_same_rates(schedule: Schedule, dtype: str) -> None:
    kind = np.dtype(dtype)
    hyper = {k: np.asarray(v, kind) for k, v in schedule.hyper().items()}
    graph = cr.trace(schedule.rate, ArrayType((), kind), {k: ArrayType((), kind) for k in hyper})
    assert graph.nodes[graph.outputs[0]].dtype == kind
    for t in (1, 2, 10, 11, 50, 100, 1000):
        np.testing.assert_allclose(graph(t, hyper), schedule(t), rtol=2e-5 if dtype == "float32" else 1e-12, atol=1e-7)


@pytest.mark.parametrize("schedule", SAMPLES, ids=repr)
def test_json_there_and_back(schedule: Schedule) -> None:
    assert Schedule.from_json(schedule.to_json()) == schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constant(0), "lr must be in"),
        (lambda: step_decay(0.1, every=0), "every must be in"),
        (lambda: exponential_decay(0.1, every=10, factor=1.5), "factor must be in"),
        (lambda: inverse_time(0.1, halving=-1), "halving must be in"),
        (lambda: cosine(0.1, steps=10, warmup=10), "warmup must be in"),
        (lambda: cosine(0.1, steps=10, final=0.2), "final must be in"),
        (lambda: one_cycle(0.1, steps=10, rise=1.0), "rise must be in"),
    ],
)
def test_nonsense_is_refused(make: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()  # type: ignore[operator]
