"""Differences, interpolation, quadrature, polynomials and grids: NumPy functions that are expressions over others."""

from __future__ import annotations

from math import pi
from operator import index
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.trace import Traced, implements
from chainrule.primitives.axes import one_axis
from chainrule.primitives.conversion import as_array, as_float, convert, result_dtype
from chainrule.primitives.indexing import take
from chainrule.primitives.joining import along


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    """Differences of neighbours, n times over."""
    a = as_array(a)
    axis = one_axis(axis, a.ndim)
    ends = [prepend, a, append]
    parts = [as_array(part) for part in ends if part is not np._NoValue]
    if len(parts) > 1:
        edge = tuple(1 if k == axis else s for k, s in enumerate(a.shape))
        a = np.concatenate([np.broadcast_to(part, edge) if part.ndim == 0 else part for part in parts], axis=axis)
    for _ in range(n):
        ahead, behind = along(a.ndim, axis, slice(1, None)), along(a.ndim, axis, slice(None, -1))
        a = np.not_equal(a[ahead], a[behind]) if a.dtype == np.bool_ else a[ahead] - a[behind]
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in a row."""
    parts = [to_begin, np.diff(np.reshape(ary, -1)), to_end]
    return np.concatenate([np.ravel(convert(part, ary.dtype)) for part in parts if part is not None])


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences on an even grid, one-sided at its ends."""
    axes = range(f.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [one_axis(k, f.ndim) for k in axes]
    steps = list(varargs) * len(axes) if len(varargs) == 1 else list(varargs) or [1.0] * len(axes)
    if edge_order != 1 or len(steps) != len(axes) or any(np.ndim(h) for h in steps):
        raise TraceError("np.gradient takes one number per axis as spacing, and edge_order=1, on traced values")
    results = []
    for k, h in zip(axes, steps, strict=True):
        ahead, behind = along(f.ndim, k, slice(2, None)), along(f.ndim, k, slice(None, -2))
        first, second = along(f.ndim, k, slice(0, 1)), along(f.ndim, k, slice(1, 2))
        last, before = along(f.ndim, k, slice(-1, None)), along(f.ndim, k, slice(-2, -1))
        if f.shape[k] < 2:
            raise GraphError(f"np.gradient needs two elements along axis {k}, got shape {f.shape}")
        pieces = [(f[second] - f[first]) / h, (f[ahead] - f[behind]) / (2.0 * h), (f[last] - f[before]) / h]
        results.append(np.concatenate(pieces, axis=k))
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
    y = as_array(y)
    axis = one_axis(axis, y.ndim)
    if x is not None:
        dx = np.diff(x, axis=axis) if np.ndim(x) > 1 else np.diff(x)
        if dx.ndim == 1:
            dx = np.reshape(dx, [-1 if k == axis else 1 for k in range(y.ndim)])
    ahead, behind = along(y.ndim, axis, slice(1, None)), along(y.ndim, axis, slice(None, -1))
    return np.sum(dx * (y[ahead] + y[behind]) / 2.0, axis=axis)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """Linear interpolation between points whose places rise; constant outside."""
    x, xp, fp = as_float(x), as_float(xp), as_float(fp)
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise GraphError(f"np.interp needs places and values of one length, got shapes {xp.shape} and {fp.shape}")
    place = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(xp.shape[0] - 2, 0))
    after = np.minimum(place + 1, xp.shape[0] - 1)
    low, high = take(xp, place), take(fp, place)  # NumPy's own would not look at the indices
    width = take(xp, after) - low
    share = (np.clip(x, xp[0], xp[-1]) - low) / np.where(np.equal(width, 0.0), 1.0, width)
    y = high + share * (take(fp, after) - high)
    y = y if left is None else np.where(np.less(x, xp[0]), left, y)
    return y if right is None else np.where(np.greater(x, xp[-1]), right, y)


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Discrete convolution of two vectors, as a product with the matrix of shifted copies."""
    a, v = as_array(a), as_array(v)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size:
        raise GraphError(f"np.convolve needs two vectors that are not empty, got shapes {a.shape} and {v.shape}")
    if a.size < v.size:
        a, v = v, a
    n, m = a.size, v.size
    padded = np.pad(a, m - 1)
    windows = padded[np.arange(n + m - 1)[:, None] + np.arange(m)[None, :]]
    full = windows @ np.flip(v)
    first, length = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}[mode]
    return full[first : first + length]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Sliding inner products of two vectors."""
    a, v = as_array(a), as_array(v)
    if mode == "same" and a.size < v.size:
        return np.flip(np.correlate(v, a, mode))
    return np.convolve(a, np.flip(v), mode) if a.size >= v.size else np.flip(np.convolve(np.flip(a), v, mode))


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """A polynomial, highest power first, by Horner's scheme."""
    p, x = as_array(p), as_array(x)
    y = np.zeros(x.shape, x.dtype)
    for k in range(p.shape[0]):
        y = y * x + p[k]
    return y


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Columns of powers."""
    n = x.shape[0] if N is None else index(N)
    x = convert(x, np.promote_types(x.dtype, int))
    columns = [np.ones(x.shape, x.dtype)]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    columns = columns[:n] if increasing else columns[:n][::-1]
    return np.stack(columns, axis=1) if columns else np.zeros((x.shape[0], 0), x.dtype)


@implements(np.linspace)
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, axis: int = 0) -> Any:
    """Even steps between two traced ends."""
    dtype = result_dtype(start, stop, 1.0)
    start, stop = convert(start, dtype), convert(stop, dtype)
    steps = num - 1 if endpoint else num
    start, stop = np.broadcast_arrays(start, stop)
    share = np.linspace(0.0, 1.0, num, endpoint=endpoint).astype(dtype).reshape((num,) + (1,) * start.ndim)
    result = np.moveaxis(start * (1.0 - share) + stop * share, 0, axis)
    return (result, (stop - start) / float(steps) if steps else start * np.nan) if retstep else result


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """sin(πx)/(πx), near zero by its series, whose derivatives are exact there too."""
    x = as_float(x)
    y = x * pi
    near = np.less(np.absolute(y), 0.5)
    t = np.square(np.where(near, y, 0.0))
    series: Any = 1.0
    for k in (8, 7, 6, 5, 4, 3, 2, 1):
        series = 1.0 - t * series / float(2 * k * (2 * k + 1))
    far = np.where(near, 1.0, y)
    return np.where(near, series, np.sin(far) / far)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * pi) -> Any:
    """Jumps of more than half a period taken out; what is added is piecewise constant."""
    if discont is not None or isinstance(period, Traced):
        raise TraceError("np.unwrap(discont=...) is not supported on traced values; leave it out")
    axis = one_axis(axis, p.ndim)
    step = np.diff(p, axis=axis)
    turns = np.ceil(step / period - 0.5)
    correction = np.cumsum(-period * turns, axis=axis)
    first = p[along(p.ndim, axis, slice(0, 1))]
    return np.concatenate([first, p[along(p.ndim, axis, slice(1, None))] + correction], axis=axis)
