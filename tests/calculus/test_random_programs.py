"""Random programs: recorded against called, reverse against forward mode, both against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.graph.graph import check
from chainrule.graph.types import ArrayType
from programs import Program, programs

FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def inner(a: Any, b: Any) -> float:
    return sum(float(np.sum(x * y)) for x, y in zip(a, b, strict=True))


@FEW
@given(programs(smooth=False))
def test_recorded_as_called(program: Program) -> None:
    inputs = program.inputs()
    called = program(*inputs)
    eager = check(cr.trace(program, *inputs, name="p"))
    blind = check(cr.trace(program, *map(ArrayType.of, inputs), name="p"))
    assert str(eager) == str(blind)
    for one, other in zip(eager(*inputs), called, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@FEW
@given(programs(smooth=False), st.integers(0, 5))
def test_modes_agree(program: Program, seed: int) -> None:
    inputs, rng = program.inputs(seed), np.random.default_rng(seed)
    tangents = [rng.normal(size=x.shape) for x in inputs]
    value, pushed = cr.jvp(program, inputs, tangents)
    again, pullback = cr.vjp(program, *inputs)
    cotangents = tuple(rng.normal(size=np.shape(y)) for y in value)
    pulled = pullback(cotangents)
    for one, other in zip(value, again, strict=True):
        np.testing.assert_array_equal(one, other)
    size = 1.0 + sum(np.linalg.norm(g) * np.linalg.norm(t) for g, t in zip(pulled, tangents, strict=True))
    assert abs(inner(pushed, cotangents) - inner(pulled, tangents)) <= 1e-10 * size


@settings(FEW, max_examples=40)
@given(programs(), st.sampled_from((1, 2)))
def test_differences_agree(program: Program, order: int) -> None:
    report = cr.check_gradient(program, *program.inputs(), order=order, elements=20, directions=2)
    assert report.ok, f"{program}\n{report}"
    assert not report.kinks, f"{program}\n{report}"
    assert not report.unclear, f"{program}\n{report}"


@settings(FEW, max_examples=30)
@given(programs(smooth=False))
def test_kinks_are_not_in_the_way(program: Program) -> None:
    report = cr.check_gradient(program, *program.inputs(), elements=20, directions=2)
    assert report.ok, f"{program}\n{report}"
