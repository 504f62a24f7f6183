"""Every primitive, by the registry: shapes, first and second derivatives, and the checkers themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analytic import ANALYTIC
from derivative_check import (
    WITHOUT_DERIVATIVE,
    Recording,
    check_derivatives,
    check_inner_products,
    check_shapes,
)
from random_cases import Case, cases

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.calculus import grad
from chainrule.errors import DifferentiationError, GraphError
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.trace import apply
from chainrule.graph.types import DTYPES, ArrayType

NUMBER = 100  # cases per primitive
EVERY = [p for p in PRIMITIVES.values() if p.family != "source"]
SMOOTH = [p for p in EVERY if any(np.any(x.value != 0) for x in Recording(p, next(cases(p, 1))).grads)]


def named(primitives: list[Primitive]) -> Any:
    return pytest.mark.parametrize("primitive", primitives, ids=lambda p: p.name)


@named(EVERY)
def test_shapes_and_derivatives(primitive: Primitive) -> None:
    for k, case in enumerate(cases(primitive, NUMBER)):
        recording = Recording(primitive, case, seed=k)
        check_shapes(primitive, case, recording)
        check_derivatives(primitive, case, k, recording)


@named(SMOOTH)
def test_forward_against_reverse(primitive: Primitive) -> None:
    for k, case in enumerate(cases(primitive, 20, seed=1)):
        check_inner_products(primitive, case, seed=k)


@named(EVERY)
def test_float32_stays_float32(primitive: Primitive) -> None:
    for case in cases(primitive, 12, seed=2):
        inputs = tuple(x.astype(np.float32) if x.dtype == np.float64 else x for x in case.inputs)
        params = {k: "float32" if (k, v) == ("dtype", "float64") else v for k, v in case.params.items()}
        for result in Recording(primitive, Case(inputs, params)).results:
            assert result.dtype != np.float64


@named([p for p in EVERY if p.name in ANALYTIC])
def test_continuation_agrees_with_numpy_on_real_numbers(primitive: Primitive) -> None:
    for case in cases(primitive, 10, seed=3):
        with np.errstate(all="ignore"):
            found = ANALYTIC[primitive.name](*case.inputs, **case.params)
        expected = primitive.numpy(*case.inputs, **case.params)
        np.testing.assert_allclose(np.real(found), expected, rtol=1e-12, atol=1e-13)


OF_ONE_DTYPE = [p for p in EVERY if p.family != "random" and p.name not in ("gather", "scatter_add", "where")]


@named(OF_ONE_DTYPE)
def test_shape_rule_knows_every_dtype(primitive: Primitive) -> None:
    """For operands of any dtype the shape rule says NumPy's dtype, or that there is no such operation."""
    sample = next(iter(primitive.samples(np.random.default_rng(0))))
    for dtype in DTYPES.values():
        inputs = [np.ones(x.shape, dtype) if x.ndim < 2 else np.eye(*x.shape[-2:], dtype=dtype) for x in sample.inputs]
        try:
            inferred = primitive.infer(*map(ArrayType.of, inputs), **sample.params)
        except GraphError:
            continue
        with np.errstate(all="ignore"):
            found = np.asarray(primitive.numpy(*inputs, **sample.params))
        assert (inferred.dtype, inferred.shape) == (found.dtype, found.shape), dtype


@pytest.mark.parametrize(("name", "operand"), [(name, k) for name, ks in WITHOUT_DERIVATIVE.items() for k in ks])
def test_operands_without_derivative_say_so(name: str, operand: int) -> None:
    with pytest.raises(DifferentiationError, match=f"{name} has no derivative by operand {operand + 1}"):
        grad(lambda *xs: apply(PRIMITIVES[name], *xs), operand)(1.5, 2.0)


# -- the checkers themselves: a rule 0.05 % wrong is found


def spoilt(rule: Any) -> Any:
    def wrong(*args: Any, **kwargs: Any) -> Any:
        result = rule(*args, **kwargs)
        return None if result is None else result * 1.0005

    return wrong


@pytest.mark.parametrize("field", ["reverse", "forward"])
@named(SMOOTH)
def test_planted_fault_is_found(primitive: Primitive, field: str) -> None:
    faulty = replace(primitive, **{field: spoilt(getattr(primitive, field))})
    case = next(c for c in cases(primitive, NUMBER) if Recording(primitive, c).out.size)
    check_derivatives(primitive, case)
    with pytest.raises(AssertionError, match=field):
        check_derivatives(faulty, case)
    with pytest.raises(AssertionError, match="forward against reverse"):
        check_inner_products(faulty, case)


def spoilt_shape(primitive: Primitive, dtype: Any = None) -> Any:
    def wrong(*types: ArrayType, **params: Any) -> ArrayType:
        right = primitive.infer(*types, **params)
        return ArrayType(right.shape, np.dtype(dtype)) if dtype else ArrayType((*right.shape, 1), right.dtype)

    return wrong


@named([PRIMITIVES["add"], PRIMITIVES["sum"], PRIMITIVES["gather"], PRIMITIVES["matmul"]])
def test_planted_fault_in_a_shape_rule_is_found(primitive: Primitive) -> None:
    case = next(cases(primitive, 1))
    for wrong in (spoilt_shape(primitive), spoilt_shape(primitive, "float32")):
        with pytest.raises(AssertionError):
            check_shapes(replace(primitive, infer=wrong), case)


def test_rule_that_looks_at_values_is_found() -> None:
    """Right at the point, but not a function of the point: its own derivative would be wrong."""
    sine = PRIMITIVES["sin"]
    case = Case((np.array([0.3, 0.7]),), {})
    with pytest.raises((AssertionError, TypeError)):
        check_shapes(replace(sine, reverse=lambda i, g, out, x: g * np.cos(x.value)), case)
