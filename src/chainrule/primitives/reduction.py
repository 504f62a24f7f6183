"""Reductions: sum, maximum and minimum over axes, positions of extrema, running sums, and products made of products.

Sub-gradient at ties of ``max`` and ``min``: the elements that attain the extremum share the gradient evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register, zero_forward, zero_reverse
from chainrule.graph.trace import UFUNC_METHODS, UFUNCS, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import count, normalize_axes, one_axis, restore
from chainrule.primitives.conversion import INT64, UINT64, as_array, convert, stop_gradient


def _reduced(x: ArrayType, axis: tuple[int, ...], keepdims: bool, dtype: Any = None) -> ArrayType:
    axis = normalize_axes(axis, x.ndim)
    if keepdims:
        shape = tuple([1 if k in axis else s for k, s in enumerate(x.shape)])
    else:
        shape = tuple([s for k, s in enumerate(x.shape) if k not in axis])
    return ArrayType(shape, np.dtype(dtype) if dtype else x.dtype)


def _samples(low: float = -2.0, high: float = 2.0, empty: bool = True) -> Callable[..., Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        cases: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [
            ((3,), (0,), False),
            ((2, 3), (0, 1), False),
            ((2, 3), (1,), True),
            ((2, 1, 4), (0, 2), False),
            ((), (), False),
            ((5, 1), (1,), False),
        ]
        if empty:
            cases += [((0,), (0,), False), ((0, 3), (0,), True)]
        cases.append(((0, 3), (1,), False))
        for shape, axis, keepdims in cases:
            yield Sample((rng.uniform(low, high, size=shape),), {"axis": axis, "keepdims": keepdims})

    return samples


def _reduction(
    name: str,
    numpy: Any,
    formula: str,
    reverse: Any,
    forward: Any,
    samples: Any,
    dtype: Any = None,
    identity: bool = True,
) -> Primitive:
    def infer(x: ArrayType, axis: tuple[int, ...], keepdims: bool) -> ArrayType:
        if not identity and any(x.shape[k] == 0 for k in normalize_axes(axis, x.ndim)):
            raise GraphError(f"{name} over an empty axis has no value (shape {x.shape}, axis {axis})")
        return _reduced(x, axis, keepdims, dtype)

    def run(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        return numpy(x, axis=axis, keepdims=keepdims)

    return register(Primitive(name, "reduction", formula, infer, run, reverse, forward, "reduction", samples))


def _sum(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _sum_reverse(i: int, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.broadcast_to(restore(g, x.shape, axis, keepdims), x.shape)


def _sum_forward(t: Any, axis: Any, keepdims: bool) -> Any:
    return apply(SUM, t, axis=axis, keepdims=keepdims)


SUM: Primitive = _reduction("sum", _sum, "Σ {0}", _sum_reverse, linear_forward(_sum_forward), _samples())


def _extremum(name: str, numpy: Any, formula: str) -> Primitive:
    def share(out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
        hit = np.equal(x, restore(out, x.shape, axis, keepdims)).astype(x.dtype)
        return stop_gradient(hit / np.sum(hit, axis=axis, keepdims=True))

    def reverse(i: int, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        return restore(g, x.shape, axis, keepdims) * share(out, x, axis, keepdims)

    def forward(tangents: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        return np.sum(tangents[0] * share(out, x, axis, keepdims), axis=axis, keepdims=keepdims)

    return _reduction(name, numpy, formula, reverse, forward, _samples(empty=False), identity=False)


MAX = _extremum("max", np.max, "max {0}")
MIN = _extremum("min", np.min, "min {0}")


def _logical(name: str, numpy: Any, formula: str) -> Primitive:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample((rng.uniform(size=(2, 3)) < 0.5,), {"axis": (1,), "keepdims": False}, smooth=False)

    return _reduction(name, numpy, formula, zero_reverse, zero_forward, samples, dtype=bool)


ANY = _logical("any", np.any, "any {0}")
ALL = _logical("all", np.all, "all {0}")


# -- along one axis


def _along(
    name: str, numpy: Any, formula: str, lowering: str, infer: Any, reverse: Any, forward: Any, samples: Any
) -> Primitive:
    def run(x: Any, axis: int) -> Any:
        return numpy(x, axis=axis)

    return register(Primitive(name, "reduction", formula, infer, run, reverse, forward, lowering, samples))


def _axis_samples(smooth: bool = True) -> Any:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((4,), 0), ((2, 3), 1), ((3, 1, 2), 0), ((1,), 0)):
            yield Sample((rng.normal(size=shape),), {"axis": axis}, smooth=smooth)

    return samples


def _position_infer(x: ArrayType, axis: int) -> ArrayType:
    axis = one_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        raise GraphError(f"the position of an extremum over an empty axis does not exist (shape {x.shape})")
    return ArrayType(x.shape[:axis] + x.shape[axis + 1 :], INT64)


def _position(name: str, numpy: Any) -> Primitive:
    samples = _axis_samples(smooth=False)
    return _along(name, numpy, name + " {0}", "reduction", _position_infer, zero_reverse, zero_forward, samples)


ARGMAX = _position("argmax", np.argmax)
ARGMIN = _position("argmin", np.argmin)


def _order_infer(x: ArrayType, axis: int) -> ArrayType:
    one_axis(axis, x.ndim)
    return ArrayType(x.shape, INT64)


def _running_infer(x: ArrayType, axis: int) -> ArrayType:
    one_axis(axis, x.ndim)
    return x


ARGSORT = _along(
    "argsort",
    lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    "argsort {0}",
    "library",
    _order_infer,
    zero_reverse,
    zero_forward,
    _axis_samples(smooth=False),
)
CUMSUM = _along(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    "cumsum {0}",
    "scan",
    _running_infer,
    lambda i, g, out, x, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    linear_forward(lambda t, axis: np.cumsum(t, axis)),
    _axis_samples(),
)


# -- NumPy's functions


def _countable(a: Any, dtype: Any) -> Any:
    """Sums and products count in the widest integers, and in the dtype asked for."""
    if dtype is not None:
        return convert(a, np.dtype(dtype))
    if a.dtype.kind in "bi":
        return convert(a, INT64)
    return convert(a, UINT64) if a.dtype.kind == "u" else a


@implements(np.sum)
def sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Sum over axes."""
    a = _countable(as_array(a), dtype)
    return apply(SUM, a, axis=normalize_axes(axis, a.ndim), keepdims=bool(keepdims))


@implements(np.max)
def max(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Maximum over axes; elements that attain it share the gradient evenly."""
    return apply(MAX, a, axis=normalize_axes(axis, a.ndim), keepdims=bool(keepdims))


@implements(np.min)
def min(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Minimum over axes; elements that attain it share the gradient evenly."""
    return apply(MIN, a, axis=normalize_axes(axis, a.ndim), keepdims=bool(keepdims))


@implements(np.any)
def any_(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether any element over axes is true."""
    return apply(ANY, a, axis=normalize_axes(axis, a.ndim), keepdims=bool(keepdims))


@implements(np.all)
def all_(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether all elements over axes are true."""
    return apply(ALL, a, axis=normalize_axes(axis, a.ndim), keepdims=bool(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """How many elements are not zero."""
    return np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Maximum less minimum."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(np.prod)
def prod(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """A tree of products, whose derivative is exact also where factors are zero."""
    a = _countable(a, dtype)
    axes = normalize_axes(axis, a.ndim)
    kept = [k for k in range(a.ndim) if k not in axes]
    x = np.reshape(np.transpose(a, (*axes, *kept)), (count(a.shape, axes), *(a.shape[k] for k in kept)))
    if x.shape[0] == 0:
        x = np.concatenate([x, np.ones((1, *x.shape[1:]), dtype=a.dtype)])
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pairs = x[:half] * x[half : 2 * half]
        x = pairs if x.shape[0] % 2 == 0 else np.concatenate([pairs, x[2 * half :]])
    return restore(x[0], a.shape, axes, False) if keepdims else x[0]


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Running sum."""
    a = _countable(a, dtype)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return apply(CUMSUM, a, axis=one_axis(axis, a.ndim))


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Running product by doubling (Hillis and Steele 1986): log₂ n element-wise products, exact at zeros."""
    a = _countable(a, dtype)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = one_axis(axis, a.ndim)
    a = np.moveaxis(a, axis, 0)
    step = 1
    while step < a.shape[0]:
        a = np.concatenate([a[:step], a[step:] * a[:-step]])
        step *= 2
    return np.moveaxis(a, 0, axis)


def _running(one: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def running(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None and x.ndim > 1:
            raise GraphError(f"a running sum or product of shape {x.shape} needs an axis")
        axis = one_axis(0 if axis is None else axis, x.ndim)
        result = one(x, axis, dtype)
        if not include_initial:
            return result
        first = np.full([1 if k == axis else s for k, s in enumerate(x.shape)], neutral, result.dtype)
        return np.concatenate([first, result], axis=axis)

    running.__doc__ = one.__doc__
    return running


implements(np.cumulative_sum)(_running(cumsum, 0))
implements(np.cumulative_prod)(_running(cumprod, 1))


def _extremum_position(primitive: Primitive, a: Any, axis: Any, keepdims: bool) -> Any:
    if axis is None:
        position = apply(primitive, np.reshape(a, -1), axis=0)
        return np.reshape(position, (1,) * a.ndim) if keepdims else position
    axis = one_axis(axis, a.ndim)
    position = apply(primitive, a, axis=axis)
    return np.expand_dims(position, axis) if keepdims else position


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Position of the first maximum."""
    return _extremum_position(ARGMAX, a, axis, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Position of the first minimum."""
    return _extremum_position(ARGMIN, a, axis, keepdims)


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    """The order of the elements; equal ones keep their places whatever the kind of sort asked for."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return apply(ARGSORT, a, axis=one_axis(axis, a.ndim))


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    """An argsort and a gather; the derivative follows the permutation, equal elements keeping their places."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return np.take_along_axis(a, np.argsort(a, axis), axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect") -> Any:
    """A full sort, which is partitioned at every place."""
    return np.sort(a, axis)


# -- ufunc methods: np.add.reduce and its kin


def reduce_as(ufunc: np.ufunc, function: Callable[..., Any]) -> None:
    """Record ``ufunc.reduce`` as a function of axis and keepdims."""

    def call(a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False) -> Any:
        return function(a if dtype is None else convert(a, np.dtype(dtype)), axis=axis, keepdims=keepdims)

    UFUNC_METHODS[ufunc, "reduce"] = call


reduce_as(np.add, np.sum)
reduce_as(np.multiply, np.prod)
reduce_as(np.maximum, np.max)
reduce_as(np.minimum, np.min)
reduce_as(np.logical_and, np.all)
reduce_as(np.logical_or, np.any)
UFUNC_METHODS[np.add, "accumulate"] = lambda a, axis=0, dtype=None: np.cumsum(a, axis, dtype)
UFUNC_METHODS[np.multiply, "accumulate"] = lambda a, axis=0, dtype=None: np.cumprod(a, axis, dtype)


def _outer(ufunc: np.ufunc) -> Callable[..., Any]:
    def call(a: Any, b: Any) -> Any:
        a, b = as_array(a), as_array(b)
        return ufunc(np.reshape(a, (*a.shape, *(1,) * b.ndim)), b)

    return call


UFUNC_METHODS.update(
    {(ufunc, "outer"): _outer(ufunc) for ufunc in UFUNCS if ufunc.nin == 2 and ufunc.signature is None}
)
