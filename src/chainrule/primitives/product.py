"""Matrix products: one primitive, ``matmul``, with NumPy's meaning; every other product is written with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, register
from chainrule.graph.trace import UFUNCS, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import one_axis
from chainrule.primitives.broadcasting import broadcast_shapes, unbroadcast
from chainrule.primitives.conversion import as_array, convert, operand_dtypes


def _infer(a: ArrayType, b: ArrayType) -> ArrayType:
    if a.ndim == 0 or b.ndim == 0:
        raise GraphError(f"matmul: shapes {a.shape} and {b.shape}: scalars are multiplied with *")
    inner = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if inner[0] != inner[1]:
        raise GraphError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit, "
            f"{inner[0]} columns on the left against {inner[1]} rows on the right"
        )
    if a.dtype != b.dtype:
        raise GraphError(f"matmul: operands {a} and {b} must have one dtype")
    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    rows = a.shape[-2:-1] if a.ndim > 1 else ()
    columns = b.shape[-1:] if b.ndim > 1 else ()
    return ArrayType(batch + rows + columns, a.dtype)


def _reverse(i: int, g: Any, out: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1 and b.ndim == 1:
        return g * (b if i == 0 else a)
    if a.ndim == 1:  # g (..., n), b (..., k, n)
        if i == 0:
            return unbroadcast(np.squeeze(b @ np.expand_dims(g, -1), -1), a.shape)
        return unbroadcast(np.reshape(a, (-1, 1)) * np.expand_dims(g, -2), b.shape)
    if b.ndim == 1:  # g (..., m), a (..., m, k)
        if i == 0:
            return unbroadcast(np.expand_dims(g, -1) * b, a.shape)
        return unbroadcast(np.squeeze(np.swapaxes(a, -1, -2) @ np.expand_dims(g, -1), -1), b.shape)
    if i == 0:
        return unbroadcast(g @ np.swapaxes(b, -1, -2), a.shape)
    return unbroadcast(np.swapaxes(a, -1, -2) @ g, b.shape)


def _forward(tangents: Any, out: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    if da is None:
        return None if db is None else a @ db
    return da @ b if db is None else da @ b + a @ db


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in (
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 1)),
        ((4, 1, 2, 3), (2, 3, 2)),
        ((2, 0), (0, 3)),
        ((0, 2), (2, 3)),
        ((1, 1), (1, 1)),
        ((3, 2, 4), (4,)),
        ((4,), (2, 4, 3)),
    ):
        yield Sample((rng.normal(size=a), rng.normal(size=b)))


MATMUL = register(
    Primitive("matmul", "product", "{0} @ {1}", _infer, np.matmul, _reverse, _forward, "product", _samples)
)


def _operands(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = as_array(a), as_array(b)
    left, right = operand_dtypes(np.multiply, (a, b))
    return convert(a, left), convert(b, right)


@implements(np.linalg.matmul)
def matmul(a: Any, b: Any, /) -> Any:
    """Matrix product."""
    return apply(MATMUL, *_operands(a, b))


def vecdot(a: Any, b: Any) -> Any:
    """Inner products of the vectors in the last axes."""
    a, b = _operands(a, b)
    return np.sum(a * b, axis=-1, dtype=a.dtype)


UFUNCS[np.matmul] = matmul
UFUNCS[np.vecdot] = vecdot
UFUNCS[np.matvec] = lambda a, b: np.squeeze(np.matmul(a, np.expand_dims(b, -1)), -1)
UFUNCS[np.vecmat] = lambda a, b: np.squeeze(np.matmul(np.expand_dims(a, -2), b), -2)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Inner products of the vectors along an axis."""
    return vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """The last axis of a against the last but one of b."""
    a, b = _operands(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return a @ b
    return np.tensordot(a, b, axes=(-1, max(b.ndim - 2, 0)))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Inner products of the last axes."""
    a, b = _operands(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return np.tensordot(a, b, axes=(-1, -1))


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Inner product of all elements."""
    a, b = _operands(a, b)
    return np.reshape(a, -1) @ np.reshape(b, -1)


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any) -> Any:
    """Outer product of all elements."""
    a, b = _operands(a, b)
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Kronecker product."""
    a, b = _operands(a, b)
    n = max(a.ndim, b.ndim)
    a = np.reshape(a, (1,) * (n - a.ndim) + a.shape)
    b = np.reshape(b, (1,) * (n - b.ndim) + b.shape)
    product = np.reshape(a, tuple(v for s in a.shape for v in (s, 1))) * np.reshape(
        b, tuple(v for s in b.shape for v in (1, s))
    )
    return np.reshape(product, tuple(p * q for p, q in zip(a.shape, b.shape, strict=True)))


@implements(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Cross products of vectors in three dimensions."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _operands(a, b)
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise TraceError(f"np.cross needs vectors of length 3, got shapes {a.shape} and {b.shape}")
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., ahead] * b[..., behind] - a[..., behind] * b[..., ahead], -1, axisc)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """One matrix product."""
    a, b = _operands(a, b)
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(a.ndim - int(axes), a.ndim)), list(range(int(axes)))
    else:
        left, right = ([k] if np.ndim(k) == 0 else list(k) for k in axes)
    left = [one_axis(k, a.ndim) for k in left]
    right = [one_axis(k, b.ndim) for k in right]
    if [a.shape[k] for k in left] != [b.shape[k] for k in right]:
        raise GraphError(f"tensordot: shapes {a.shape} and {b.shape} do not fit along axes {left} and {right}")
    rows = [k for k in range(a.ndim) if k not in left]
    columns = [k for k in range(b.ndim) if k not in right]
    shared = int(np.prod([a.shape[k] for k in left], dtype=int))
    shape = tuple(a.shape[k] for k in rows) + tuple(b.shape[k] for k in columns)
    n_rows = int(np.prod([a.shape[k] for k in rows], dtype=int))
    n_columns = int(np.prod([b.shape[k] for k in columns], dtype=int))
    matrix = np.reshape(np.transpose(a, rows + left), (n_rows, shared)) @ np.reshape(
        np.transpose(b, right + columns), (shared, n_columns)
    )
    return np.reshape(matrix, shape)
