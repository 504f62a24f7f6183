"""Reductions: sum, product, maximum and minimum over axes, running sums, and what NumPy builds of them.

Sub-gradient at ties of ``max`` and ``min``: the elements that attain the extremum share the gradient evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod as int_prod
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register, zero_forward, zero_reverse
from chainrule.graph.trace import UFUNC_METHODS, Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import convert, reject_options, stop_gradient


def normalize_axes(axis: Any, ndim: int, what: str = "axis") -> tuple[int, ...]:
    """All axes, one or several, negative ones counted from the end, as a sorted tuple.

    Raises
    ------
    GraphError
        If an axis does not exist or comes twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    result = []
    for a in axes:
        a = int(a)
        if not -ndim <= a < ndim:
            raise GraphError(f"{what} {a} does not exist in an array of {ndim} dimensions")
        result.append(a % ndim)
    if len(set(result)) != len(result):
        raise GraphError(f"{what} {axis} names an axis twice")
    return tuple(sorted(result))


def _reduced(x: ArrayType, axis: tuple[int, ...], keepdims: bool, dtype: Any = None) -> ArrayType:
    normalize_axes(axis, x.ndim)
    if keepdims:
        shape = tuple(1 if k in axis else s for k, s in enumerate(x.shape))
    else:
        shape = tuple(s for k, s in enumerate(x.shape) if k not in axis)
    return ArrayType(shape, np.dtype(dtype) if dtype else x.dtype)


def restore(y: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    """Give a reduced value its axes of length 1 back, so that it broadcasts against what it was reduced from."""
    if keepdims:
        return y
    return np.reshape(y, tuple(1 if k in axis else s for k, s in enumerate(shape)))


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
        if not identity and any(x.shape[k] == 0 for k in axis):
            raise GraphError(f"{name} over an empty axis has no value (shape {x.shape}, axis {axis})")
        return _reduced(x, axis, keepdims, dtype)

    def run(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        return numpy(x, axis=axis, keepdims=keepdims)

    return register(Primitive(name, "reduction", formula, infer, run, reverse, forward, "reduction", samples))


def _sum(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _sum_reverse(i: int, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.broadcast_to(restore(g, x.shape, axis, keepdims), x.shape)


SUM: Primitive = _reduction(
    "sum", _sum, "Σ {0}", _sum_reverse, linear_forward(lambda t, **p: apply(SUM, t, **p)), _samples()
)


def _extremum(name: str, numpy: Any, formula: str) -> Primitive:
    def share(out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
        hit = np.equal(x, restore(out, x.shape, axis, keepdims)).astype(x.dtype)
        return hit / np.sum(hit, axis=axis, keepdims=True)

    def reverse(i: int, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        return restore(g, x.shape, axis, keepdims) * stop_gradient(share(out, x, axis, keepdims))

    def forward(tangents: Any, out: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        if tangents[0] is None:
            return None
        return np.sum(tangents[0] * stop_gradient(share(out, x, axis, keepdims)), axis=axis, keepdims=keepdims)

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
    return register(
        Primitive(
            name=name,
            family="reduction",
            formula=formula,
            infer=infer,
            numpy=lambda x, axis: numpy(x, axis=axis),
            reverse=reverse,
            forward=forward,
            lowering=lowering,
            samples=samples,
        )
    )


def _axis_samples(smooth: bool = True) -> Any:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((4,), 0), ((2, 3), 1), ((3, 1, 2), 0), ((1,), 0)):
            yield Sample((rng.normal(size=shape),), {"axis": axis}, smooth=smooth)

    return samples


def _drop_axis(x: ArrayType, axis: int) -> ArrayType:
    if x.shape[axis] == 0:
        raise GraphError(f"the position of an extremum over an empty axis does not exist (shape {x.shape})")
    return ArrayType(x.shape[:axis] + x.shape[axis + 1 :], np.dtype(np.int64))


def _position(name: str, numpy: Any) -> Primitive:
    return _along(name, numpy, name + " {0}", "reduction", _drop_axis, zero_reverse, zero_forward, _axis_samples(False))


ARGMAX = _position("argmax", np.argmax)
ARGMIN = _position("argmin", np.argmin)
ARGSORT = _along(
    "argsort",
    lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    "argsort {0}",
    "library",
    lambda x, axis: ArrayType(x.shape, np.dtype(np.int64)),
    zero_reverse,
    zero_forward,
    _axis_samples(False),
)
CUMSUM = _along(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    "cumsum {0}",
    "scan",
    lambda x, axis: x,
    lambda i, g, out, x, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    linear_forward(lambda t, axis: np.cumsum(t, axis)),
    _axis_samples(),
)


# -- NumPy's functions


def _as_dtype(a: Any, dtype: Any) -> Any:
    return a if dtype is None else convert(a, np.dtype(dtype))


def _countable(a: Any) -> Any:
    """Booleans count as integers in sums."""
    return convert(a, np.dtype(np.int64)) if a.dtype.kind == "b" else a


def _only(name: str, where: Any, initial: Any = None) -> None:
    if where is not True and where is not np._NoValue:
        raise TraceError(f"np.{name}(where=...) is not supported on traced values; use np.where inside it")
    if initial is not None and initial is not np._NoValue:
        raise TraceError(f"np.{name}(initial=...) is not supported on traced values; add it outside")


def _keep(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


@implements(np.sum)
def sum(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Record np.sum."""
    _only("sum", where, initial)
    a = _as_dtype(_countable(a), dtype)
    return apply(SUM, a, axis=normalize_axes(axis, a.ndim), keepdims=_keep(keepdims))


@implements(np.max, np.amax)
def max(a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    """Record np.max."""
    _only("max", where, initial)
    return apply(MAX, a, axis=normalize_axes(axis, a.ndim), keepdims=_keep(keepdims))


@implements(np.min, np.amin)
def min(a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    """Record np.min."""
    _only("min", where, initial)
    return apply(MIN, a, axis=normalize_axes(axis, a.ndim), keepdims=_keep(keepdims))


@implements(np.any)
def any_(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    """Record np.any."""
    _only("any", where)
    return apply(ANY, a, axis=normalize_axes(axis, a.ndim), keepdims=_keep(keepdims))


@implements(np.all)
def all_(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    """Record np.all."""
    _only("all", where)
    return apply(ALL, a, axis=normalize_axes(axis, a.ndim), keepdims=_keep(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Record np.count_nonzero."""
    return np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims)


def _floating(a: Any) -> Any:
    return a if a.dtype.kind == "f" else convert(a, np.dtype(np.float64))


def _count(a: Any, axis: Any) -> int:
    return int_prod(a.shape[k] for k in normalize_axes(axis, a.ndim))


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    """Record np.mean as a sum and a division."""
    _only("mean", where)
    a = _as_dtype(_floating(a), dtype)
    count = _count(a, axis)
    if count == 0:
        raise GraphError(f"the mean over no elements has no value (shape {a.shape}, axis {axis})")
    return np.sum(a, axis=axis, keepdims=_keep(keepdims)) / float(count)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    """Record np.average."""
    if weights is None:
        return np.mean(a, axis=axis, keepdims=_keep(keepdims))
    if weights.shape != a.shape:
        if axis is None or isinstance(axis, (tuple, list)) or np.ndim(weights) != 1:
            raise TraceError(f"np.average: weights of shape {weights.shape} do not fit values of shape {a.shape}")
        shape = [1] * a.ndim
        shape[axis] = -1
        weights = np.broadcast_to(np.reshape(weights, shape), a.shape)
    keep = _keep(keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keep) / np.sum(weights, axis=axis, keepdims=keep)


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float = 0,
    *,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Record np.var as the mean squared deviation."""
    _only("var", where)
    a = _as_dtype(_floating(a), dtype)
    ddof = ddof if correction is None or correction is np._NoValue else correction
    deviation = a - np.mean(a, axis=axis, keepdims=True)
    return np.sum(np.square(deviation), axis=axis, keepdims=_keep(keepdims)) / float(_count(a, axis) - ddof)


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, **options: Any) -> Any:
    """Record np.std as the root of np.var."""
    return np.sqrt(np.var(a, axis, dtype, ddof=ddof, **{k: v for k, v in options.items() if v is not np._NoValue}))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Record np.ptp, the range."""
    return np.max(a, axis=axis, keepdims=_keep(keepdims)) - np.min(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.prod)
def prod(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Record np.prod as a tree of products, whose derivative is exact also where factors are zero."""
    _only("prod", where, initial)
    a = _as_dtype(_countable(a), dtype)
    axes = normalize_axes(axis, a.ndim)
    kept = [k for k in range(a.ndim) if k not in axes]
    x = np.reshape(np.transpose(a, (*axes, *kept)), (_count(a, axes), *(a.shape[k] for k in kept)))
    if x.shape[0] == 0:
        x = np.concatenate([x, np.ones((1, *x.shape[1:]), dtype=a.dtype)])
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pairs = x[:half] * x[half : 2 * half]
        x = pairs if x.shape[0] % 2 == 0 else np.concatenate([pairs, x[2 * half :]])
    return restore(x[0], a.shape, axes, False) if _keep(keepdims) else x[0]


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Record np.cumsum."""
    a = _as_dtype(_countable(a), dtype)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return apply(CUMSUM, a, axis=normalize_axes(axis, a.ndim)[0])


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Record np.cumprod by doubling (Hillis and Steele 1986): log₂ n element-wise products, exact at zeros."""
    a = _as_dtype(_countable(a), dtype)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = normalize_axes(axis, a.ndim)[0]
    a = np.moveaxis(a, axis, 0)
    step = 1
    while step < a.shape[0]:
        a = np.concatenate([a[:step], a[step:] * a[:-step]])
        step *= 2
    return np.moveaxis(a, 0, axis)


def _extremum_position(primitive: Primitive, a: Any, axis: Any, keepdims: Any) -> Any:
    if axis is None:
        position = apply(primitive, np.reshape(a, -1), axis=0)
        return np.reshape(position, (1,) * a.ndim) if _keep(keepdims) else position
    axis = normalize_axes(axis, a.ndim)[0]
    position = apply(primitive, a, axis=axis)
    return np.expand_dims(position, axis) if _keep(keepdims) else position


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """Record np.argmax."""
    return _extremum_position(ARGMAX, a, axis, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """Record np.argmin."""
    return _extremum_position(ARGMIN, a, axis, keepdims)


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Record np.argsort (stable)."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return apply(ARGSORT, a, axis=normalize_axes(axis, a.ndim)[0])


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Record np.sort as an argsort and a gather; the derivative follows the permutation."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return np.take_along_axis(a, np.argsort(a, axis), axis)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log Σ b exp(a), shifted by the maximum so that nothing overflows (scipy.special.logsumexp)."""
    if return_sign:
        raise TraceError("scipy.special.logsumexp(return_sign=True) is not supported on traced values")
    a = _floating(a)
    top = np.max(a, axis=axis, keepdims=True)
    top = stop_gradient(np.where(np.isfinite(top), top, 0.0))
    terms = np.exp(a - top)
    total = np.log(np.sum(terms if b is None else b * terms, axis=axis, keepdims=keepdims))
    return total + (top if keepdims else np.reshape(top, total.shape))


@implements(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """Record np.median by sorting."""
    axes = normalize_axes(axis, a.ndim)
    kept = [k for k in range(a.ndim) if k not in axes]
    x = np.sort(np.reshape(np.transpose(a, (*kept, *axes)), (*(a.shape[k] for k in kept), -1)), axis=-1)
    n = x.shape[-1]
    middle = (x[..., (n - 1) // 2] + x[..., n // 2]) / 2.0
    return restore(middle, a.shape, axes, False) if _keep(keepdims) else middle


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    """Record np.diff."""
    if prepend is not np._NoValue or append is not np._NoValue:
        raise TraceError("np.diff(prepend=, append=) is not supported on traced values; use np.concatenate before it")
    axis = normalize_axes(axis, a.ndim)[0]
    for _ in range(n):
        ahead = tuple(slice(1, None) if k == axis else slice(None) for k in range(a.ndim))
        behind = tuple(slice(None, -1) if k == axis else slice(None) for k in range(a.ndim))
        a = a[ahead] - a[behind]
    return a


# -- ufunc methods: np.add.reduce and its kin


def _reduce(ufunc: np.ufunc, function: Callable[..., Any]) -> None:
    def call(a: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        reject_options(ufunc, {k: v for k, v in options.items() if v is not np._NoValue})
        return function(_as_dtype(a, dtype), axis=axis, keepdims=keepdims)

    UFUNC_METHODS[ufunc, "reduce"] = call


_reduce(np.add, np.sum)
_reduce(np.multiply, np.prod)
_reduce(np.maximum, np.max)
_reduce(np.minimum, np.min)
_reduce(np.logical_and, np.all)
_reduce(np.logical_or, np.any)
_reduce(np.logaddexp, logsumexp)
UFUNC_METHODS[np.add, "accumulate"] = lambda a, axis=0, dtype=None, out=None: np.cumsum(a, axis, dtype)
UFUNC_METHODS[np.multiply, "accumulate"] = lambda a, axis=0, dtype=None, out=None: np.cumprod(a, axis, dtype)


def _outer(ufunc: np.ufunc) -> None:
    def call(a: Any, b: Any, **options: Any) -> Any:
        reject_options(ufunc, options)
        a = a if isinstance(a, Traced) else np.asarray(a)
        b = b if isinstance(b, Traced) else np.asarray(b)
        return ufunc(np.reshape(a, (*a.shape, *(1,) * b.ndim)), b)

    UFUNC_METHODS[ufunc, "outer"] = call


for _each in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power, np.equal, np.less):
    _outer(_each)
