"""Axes: all of them, one or several, counted from either end; and reduced values given their axes back."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

import numpy as np

from chainrule.errors import GraphError

Shape = tuple[int, ...]


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
    result = tuple(sorted([one_axis(k, ndim, what) for k in axes]))
    if len(set(result)) != len(result):
        raise GraphError(f"{what} {axis} names an axis twice")
    return result


def one_axis(axis: Any, ndim: int, what: str = "axis") -> int:
    """One axis, counted from the front.

    Raises
    ------
    GraphError
        If it does not exist.
    """
    k = index(axis)
    if not -ndim <= k < ndim:
        raise GraphError(f"{what} {k} does not exist in an array of {ndim} dimensions")
    return k % ndim


def count(shape: Shape, axis: Any) -> int:
    """How many elements are reduced to one over these axes."""
    return prod([shape[k] for k in normalize_axes(axis, len(shape))])


def restore(y: Any, shape: Shape, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Give a reduced value its axes of length 1 back, so that it broadcasts against what it was reduced from."""
    if keepdims:
        return y
    return np.reshape(y, tuple([1 if k in axis else s for k, s in enumerate(shape)]))
