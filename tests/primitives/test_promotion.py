"""dtypes follow NumPy (NEP 50): Python numbers are weak, arrays and NumPy scalars are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import TraceError
from chainrule.graph.types import DTYPES, ArrayType

PARTNERS: list[Any] = [2, 2.5, True, np.float64(2.0), np.float32(2.0), np.int64(2), np.ones(3, np.float32), [1, 2, 3]]
PARTNERS += [np.ones(3, dtype) for dtype in ("bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float64")]
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "reflected multiply": lambda x, y: y * x,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: np.power(x, y),
    "maximum": lambda x, y: np.maximum(y, x),
    "less": lambda x, y: x < y,
    "where": lambda x, y: np.where(np.array([True, False, True]), y, x),
    "concatenate": lambda x, y: np.concatenate([x, np.broadcast_to(y, 3)]),
    "matmul": lambda x, y: x @ np.broadcast_to(y, 3),
    "remainder": lambda x, y: x % y,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_binary(name: str, dtype: str) -> None:
    f, x = FUNCTIONS[name], np.array([1, 1, 0]).astype(dtype)
    for partner in PARTNERS:
        try:
            with np.errstate(all="ignore"):
                expected = f(x, partner)
        except (TypeError, ValueError, OverflowError):
            continue
        if expected.dtype.name not in DTYPES:
            with pytest.raises(TraceError, match=str(expected.dtype)):
                cr.trace(lambda x, p=partner: f(x, p), x)
            continue
        with np.errstate(all="ignore"):
            for argument in (x, ArrayType.of(x)):
                graph = cr.trace(lambda x, p=partner: f(x, p), argument)
                found = graph(x)
                assert found.dtype == expected.dtype == graph.nodes[graph.outputs[0]].dtype, partner
                np.testing.assert_array_equal(found, expected)


REDUCTIONS = ("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "cumsum", "cumprod", "argmax", "ptp")
UNARY = ("abs", "sign", "square", "exp", "sqrt", "floor", "isnan", "logical_not", "round", "median", "sort")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCTIONS + UNARY)
def test_unary(name: str, dtype: str) -> None:
    f, x = getattr(np, name), np.array([1, 3, 2]).astype(dtype)
    try:
        expected = f(x)
    except TypeError:
        with pytest.raises(TraceError):
            cr.trace(f, x)
        return
    if np.asarray(expected).dtype.name not in DTYPES:
        with pytest.raises(TraceError, match=r"cannot be recorded|not supported"):
            cr.trace(f, x)
        return
    found = cr.trace(f, ArrayType.of(x))(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_float32_stays_float32_through_a_network() -> None:
    def loss(w: Any, x: Any) -> Any:
        h = np.tanh(0.5 * (x @ w) - 1)
        h = np.maximum(h, 0) * 2 + np.where(h > 0, h, 0.01 * h) ** 2
        return -np.mean(np.log(1e-3 + np.clip(h, 0.0, 1.0))) / 3

    w, x = np.ones((4, 3), np.float32), np.ones((5, 4), np.float32)
    graph = cr.trace(cr.value_and_grad(loss), w, x)
    assert {node.dtype.name for node in graph.nodes} <= {"float32", "bool"}
    assert cr.hvp(lambda w: loss(w, x), w, w).dtype == np.float32


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (np.int8(3), "int64"),
        (np.uint16(3), "int64"),
        (np.float16(0.5), "float32"),
        (np.array([1.0]).astype(">f8"), "float64"),
        (np.array([1]).astype(">i4"), "int32"),
        (True, "bool"),
        (3, "int64"),
        ([1.0, 2.0], "float64"),
    ],
)
def test_what_arguments_become(given: Any, recorded: str) -> None:
    wrapped = np.asarray(given)
    assert cr.trace(lambda x: x, wrapped).nodes[0].dtype == np.dtype(recorded)
