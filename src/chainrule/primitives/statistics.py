"""Statistics over axes: means, variances, quantiles, covariances, and the forms of them that pass over NaN.

The standard deviation has derivative 0 where all values are equal. Quantiles follow the sorted order, equal elements
keeping their places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.trace import Traced, implements
from chainrule.primitives.axes import count, normalize_axes, one_axis, restore
from chainrule.primitives.conversion import FLOAT64, as_array, as_float, convert


def root(x: Any) -> Any:
    """The square root with derivative 0 at 0: what norms and deviations are measured with."""
    zero = np.equal(x, 0.0)
    return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, x)))


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """A sum and a division."""
    a = as_float(a) if dtype is None else convert(a, np.dtype(dtype))
    number = count(a.shape, axis)
    if number == 0:
        raise GraphError(f"the mean over no elements has no value (shape {a.shape}, axis {axis})")
    return np.sum(a, axis=axis, keepdims=keepdims) / float(number)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Weighted mean."""
    a = as_array(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        return (result, np.full(result.shape, float(count(a.shape, axis)), result.dtype)) if returned else result
    weights = as_array(weights)
    if weights.shape != a.shape:
        axes = () if axis is None else tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
        axes = tuple(one_axis(k, a.ndim) for k in axes)
        if weights.shape != tuple(a.shape[k] for k in axes):
            raise GraphError(f"np.average: weights of shape {weights.shape} do not fit axis {axis} of shape {a.shape}")
        weights = np.transpose(weights, [axes.index(k) for k in sorted(axes)])
        weights = np.broadcast_to(restore(weights, a.shape, tuple(set(range(a.ndim)) - set(axes)), False), a.shape)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, total) if returned else result


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """The mean squared deviation."""
    a = as_float(a) if dtype is None else convert(a, np.dtype(dtype))
    freedom = count(a.shape, axis) - (ddof if correction is None else correction)
    if freedom <= 0:
        raise GraphError(f"the variance needs more than {ddof} elements (shape {a.shape}, axis {axis}, ddof {ddof})")
    deviation = a - (np.mean(a, axis=axis, keepdims=True) if mean is None else mean)
    return np.sum(np.square(deviation), axis=axis, keepdims=keepdims) / float(freedom)


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, **options: Any) -> Any:
    """The root of the variance; its derivative is 0 where all values are equal."""
    return root(np.var(a, axis, dtype, ddof=ddof, **options))


@implements(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle element in sorted order, or the mean of the two middle ones."""
    return np.quantile(a, 0.5, axis=axis, keepdims=keepdims)


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False
) -> Any:
    """Quantiles by linear interpolation in sorted order."""
    if method != "linear" or isinstance(q, Traced):
        raise TraceError(
            "np.quantile takes known q and method='linear' on traced values; sort and interpolate otherwise"
        )
    levels = np.asarray(q, dtype=np.float64)
    weak = isinstance(q, (int, float)) and not isinstance(q, np.generic)
    if np.any((levels < 0.0) | (levels > 1.0)):
        raise GraphError(f"quantiles must lie between 0 and 1, got {q}")
    a = as_float(a)
    axes = normalize_axes(axis, a.ndim)
    number = count(a.shape, axes)
    if number == 0:
        raise GraphError(f"a quantile of no elements has no value (shape {a.shape}, axis {axis})")
    kept = [k for k in range(a.ndim) if k not in axes]
    ordered = np.sort(np.reshape(np.transpose(a, (*axes, *kept)), (number, *(a.shape[k] for k in kept))), axis=0)
    place = levels * (number - 1)
    below = np.minimum(np.floor(place).astype(int), max(number - 2, 0))
    share = np.reshape(place - below, levels.shape + (1,) * len(kept)).astype(a.dtype if weak else np.float64)
    result = ordered[below] if number == 1 else ordered[below] * (1.0 - share) + ordered[below + 1] * share
    if keepdims:
        sizes = tuple(1 if k in axes else s for k, s in enumerate(a.shape))
        return np.reshape(result, levels.shape + sizes)
    return result


@implements(np.percentile)
def percentile(
    a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False
) -> Any:
    """Quantiles at hundredths."""
    if isinstance(q, Traced):
        raise TraceError("np.percentile takes known q on traced values; sort and interpolate otherwise")
    return np.quantile(
        a,
        q / 100 if isinstance(q, (int, float)) else np.true_divide(q, 100),
        axis=axis,
        method=method,
        keepdims=keepdims,
    )  # type: ignore[call-overload]


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    """Covariance matrix of variables in rows (or columns)."""
    parts = [np.atleast_2d(convert(v, FLOAT64)) for v in (m, y) if v is not None]
    if not rowvar:
        parts = [v.T if np.ndim(given) == 2 else v for v, given in zip(parts, (m, y), strict=False)]
    x = np.concatenate(parts) if len(parts) > 1 else parts[0]
    freedom = x.shape[1] - (ddof if ddof is not None else 0 if bias else 1)
    if freedom <= 0:
        raise GraphError(f"the covariance of {x.shape[1]} observations needs a smaller ddof")
    x = x - np.mean(x, axis=1, keepdims=True)
    return np.squeeze(x @ x.T / float(freedom))


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """Correlation coefficients."""
    c = np.cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    d = np.sqrt(np.diagonal(c))
    return np.clip(c / d[:, None] / d[None, :], -1.0, 1.0)


# -- passing over NaN


def _present(a: Any) -> tuple[Any, Any]:
    """Which elements are numbers, and the array with zeros in place of the others."""
    there = ~np.isnan(a)
    return there, np.where(there, a, 0)


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Sum of the elements that are not NaN."""
    return np.sum(_present(a)[1], axis=axis, dtype=dtype, keepdims=keepdims)


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Mean of the elements that are not NaN."""
    there, filled = _present(as_float(a))
    number = np.sum(there, axis=axis, keepdims=keepdims).astype(filled.dtype)
    return np.sum(filled, axis=axis, dtype=dtype, keepdims=keepdims) / number


@implements(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Variance of the elements that are not NaN."""
    a = as_float(a) if dtype is None else convert(a, np.dtype(dtype))
    there, filled = _present(a)
    deviation = np.where(there, filled - np.nanmean(a, axis=axis, keepdims=True), 0)
    number = np.sum(there, axis=axis, keepdims=keepdims).astype(filled.dtype)
    return np.sum(np.square(deviation), axis=axis, keepdims=keepdims) / (number - float(ddof))


@implements(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Standard deviation of the elements that are not NaN."""
    return root(np.nanvar(a, axis, dtype, ddof=ddof, keepdims=keepdims))


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Maximum of the elements that are not NaN; NaN where there are none."""
    return _extreme(np.max, a, -np.inf, axis, keepdims)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Minimum of the elements that are not NaN; NaN where there are none."""
    return _extreme(np.min, a, np.inf, axis, keepdims)


def _extreme(of: Any, a: Any, beyond: float, axis: Any, keepdims: bool) -> Any:
    if a.dtype.kind != "f":
        return of(a, axis=axis, keepdims=keepdims)
    absent = np.isnan(a)
    nothing = np.all(absent, axis=axis, keepdims=keepdims)
    return np.where(nothing, np.nan, of(np.where(absent, beyond, a), axis=axis, keepdims=keepdims))
