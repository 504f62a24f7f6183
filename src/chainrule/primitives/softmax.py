"""Log-sum-exp and softmax: shifted by the maximum, so that nothing overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.primitives.axes import count, normalize_axes
from chainrule.primitives.conversion import as_array, as_float, stop_gradient
from chainrule.primitives.reduction import reduce_as


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log Σ b exp(a); of terms that are all absent -∞, with derivative 0."""
    a = as_float(a)
    if b is not None:
        a, b = np.broadcast_arrays(a, as_array(b))
        a = np.where(np.equal(b, 0.0), -np.inf, a)  # a term with weight zero is absent, however large
    axes = normalize_axes(axis, a.ndim)
    shape = tuple([1 if k in axes else s for k, s in enumerate(a.shape) if keepdims or k not in axes])
    if count(a.shape, axes) == 0:
        nothing = np.full(shape, -np.inf, a.dtype)
        return (nothing, np.zeros_like(nothing)) if return_sign else nothing
    top = np.max(a, axis=axes, keepdims=True)
    top = stop_gradient(np.where(np.isfinite(top), top, 0.0))
    terms = np.exp(a - top)
    total = np.sum(terms if b is None else b * terms, axis=axes, keepdims=True)
    size = np.absolute(total) if return_sign else total
    none = np.equal(size, 0.0)
    result = np.reshape(np.where(none, -np.inf, np.log(np.where(none, 1.0, size))) + top, shape)
    return (result, np.reshape(np.sign(total), shape)) if return_sign else result


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) / Σ exp(x)."""
    e = np.exp(x - stop_gradient(np.max(x, axis=axis, keepdims=True)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """x - log Σ exp(x)."""
    shifted = x - stop_gradient(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


reduce_as(np.logaddexp, logsumexp)
