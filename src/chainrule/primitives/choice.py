"""Choices: the larger, the smaller, one or the other; and the tests they are made by.

Sub-gradients at ties: of ``maximum``, ``minimum``, ``fmax`` and ``fmin`` the second operand receives the whole
gradient, after a constant has been put second: so ``np.maximum(x, 0)`` and ``np.maximum(0, x)`` both have derivative 0
at ``x = 0``, and ``np.clip`` has derivative 0 at its bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Sample
from chainrule.graph.trace import apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.broadcasting import SAMPLE_SHAPES, broadcast_shapes
from chainrule.primitives.conversion import BOOL, as_array, convert, kind_of, operand_dtypes, result_dtype
from chainrule.primitives.elementwise import declare, elementwise


def _distinct(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in SAMPLE_SHAPES[2]:
        yield Sample((rng.choice([-2.0, 0.5, 1.5], size=a), rng.choice([-1.0, 0.0, 2.0], size=b)))


MAXIMUM = declare(
    np.maximum,
    "max({0}, {1})",
    lambda z, x, y: np.greater(x, y),
    lambda z, x, y: ~np.greater(x, y),
    constant_last=True,
    samples=_distinct,
)
MINIMUM = declare(
    np.minimum,
    "min({0}, {1})",
    lambda z, x, y: np.less(x, y),
    lambda z, x, y: ~np.less(x, y),
    constant_last=True,
    samples=_distinct,
)
FMAX = declare(
    np.fmax,
    "fmax({0}, {1})",
    lambda z, x, y: np.greater(x, y) | np.isnan(y),
    lambda z, x, y: ~(np.greater(x, y) | np.isnan(y)),
    constant_last=True,
    samples=_distinct,
)
FMIN = declare(
    np.fmin,
    "fmin({0}, {1})",
    lambda z, x, y: np.less(x, y) | np.isnan(y),
    lambda z, x, y: ~(np.less(x, y) | np.isnan(y)),
    constant_last=True,
    samples=_distinct,
)


def _select_infer(*types: ArrayType) -> ArrayType:
    if len(types) != 3 or types[0].dtype != BOOL or types[1].dtype != types[2].dtype:
        raise GraphError(f"where: needs a boolean and two operands of one dtype, got {', '.join(map(str, types))}")
    return ArrayType(broadcast_shapes("where", *(t.shape for t in types)), types[1].dtype)


def _select_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for c, a, b in SAMPLE_SHAPES[3]:
        yield Sample((np.asarray(rng.uniform(size=c) < 0.5), rng.normal(size=a), rng.normal(size=b)))


SELECT = elementwise(
    "where",
    np.where,
    "{1} if {0} else {2}",
    None,
    lambda z, c, x, y: c,
    lambda z, c, x, y: ~c,
    infer=_select_infer,
    samples=_select_samples,
)


# -- NumPy's functions


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """An element-wise choice; of a condition alone the positions, which must be known."""
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise TraceError("np.where takes a condition alone, or a condition and two choices")
    if kind_of(x) == kind_of(y) == BOOL:
        kinds: tuple[Any, ...] = (BOOL, BOOL)
    else:  # Python numbers are weak here too: the choices are promoted as if they were added
        kinds = operand_dtypes(np.add, (x, y))
    condition = as_array(condition)
    if condition.dtype != BOOL:
        condition = np.not_equal(condition, 0)
    return apply(SELECT, condition, convert(x, kinds[0]), convert(y, kinds[1]))


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """A maximum and a minimum."""
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    if low is not None:
        a = np.maximum(a, low)
    if high is not None:
        a = np.minimum(a, high)
    return a


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The first choice whose condition holds, as nested `where`."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise GraphError(f"np.select: {len(condlist)} conditions for {len(choicelist)} choices")
    dtype = result_dtype(*choicelist, default)
    result = convert(default, dtype)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = np.where(condition, convert(choice, dtype), result)
    return result


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Equal, or both finite and closer than the tolerance."""
    a, b = as_array(a), as_array(b)
    finite = np.isfinite(a) & np.isfinite(b)
    near = np.where(finite, a, 0), np.where(finite, b, 0)
    close = np.equal(a, b) | (
        finite & np.less_equal(np.absolute(near[0] - near[1]), atol + rtol * np.absolute(near[1]))
    )
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements are close."""
    return np.all(np.isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any) -> Any:
    """Whether shapes and all elements are equal."""
    return np.shape(a1) == np.shape(a2) and np.all(np.equal(a1, a2))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Finite numbers in place of NaN and infinities, where the derivative is zero."""
    if x.dtype.kind != "f":
        return x
    info = np.finfo(x.dtype)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.equal(x, np.inf), float(info.max) if posinf is None else posinf, x)
    return np.where(np.equal(x, -np.inf), float(info.min) if neginf is None else neginf, x)


@implements(np.isposinf)
def isposinf(x: Any) -> Any:
    """Which elements are +∞."""
    return np.equal(x, np.inf)


@implements(np.isneginf)
def isneginf(x: Any) -> Any:
    """Which elements are -∞."""
    return np.equal(x, -np.inf)


@implements(np.round, np.around)
def round(a: Any, decimals: int = 0) -> Any:
    """Rounded to decimals; piecewise constant."""
    if a.dtype.kind != "f":
        if decimals < 0 or a.dtype == BOOL:
            raise TraceError(
                f"np.round of {a.dtype} to {decimals} decimals is not supported; convert with .astype(float)"
            )
        return a
    if decimals == 0:
        return np.rint(a)
    scale = 10.0 ** abs(decimals)
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


@implements(np.fix)
def fix(x: Any) -> Any:
    """Rounded toward zero; piecewise constant."""
    return np.trunc(x)
