"""Linear algebra: solve, inverse, determinant, Cholesky factor, norms; stacks of matrices as in NumPy.

Rules: Giles (2008), "Collected matrix derivative results for forward and reverse mode algorithmic differentiation";
the Cholesky factor after Murray (2016), "Differentiation of the Cholesky decomposition". Norms have derivative 0 at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import normalize_axes
from chainrule.primitives.broadcasting import broadcast_shapes, unbroadcast
from chainrule.primitives.conversion import as_float, convert, operand_dtypes
from chainrule.primitives.statistics import root


def _square(name: str, a: ArrayType) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise GraphError(f"{name} needs square matrices, got shape {a.shape}")
    if not a.is_float:
        raise GraphError(f"{name} needs floating-point numbers, got {a.dtype}")


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _matrices(rng: np.random.Generator, positive: bool = False) -> Iterator[np.ndarray]:
    for shape in ((1, 1), (3, 3), (2, 2, 2), (0, 2, 2)):
        a = rng.normal(size=shape)
        n = shape[-1]
        yield a @ np.swapaxes(a, -1, -2) + n * np.eye(n) if positive else a + 2.0 * n * np.eye(n)


# -- solve


def _solve_infer(a: ArrayType, b: ArrayType) -> ArrayType:
    _square("solve", a)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1] or a.dtype != b.dtype:
        raise GraphError(f"solve: {a} does not fit the right-hand side {b}")
    return ArrayType(broadcast_shapes("solve", a.shape[:-2], b.shape[:-2]) + b.shape[-2:], a.dtype)


def _solve_reverse(i: int, g: Any, out: Any, a: Any, b: Any) -> Any:
    db = apply(SOLVE, _t(a), g)
    return unbroadcast(db, b.shape) if i == 1 else unbroadcast(-(db @ _t(out)), a.shape)


def _solve_forward(tangents: Any, out: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    right = db if da is None else -(da @ out) if db is None else db - da @ out
    return apply(SOLVE, a, np.broadcast_to(right, out.shape))


def _solve_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a in _matrices(rng):
        yield Sample((a, rng.normal(size=(*a.shape[:-1], 2))))


SOLVE: Primitive = register(
    Primitive(
        name="solve",
        family="linalg",
        formula="{0}⁻¹ {1}",
        infer=_solve_infer,
        numpy=np.linalg.solve,
        reverse=_solve_reverse,
        forward=_solve_forward,
        lowering="library",
        samples=_solve_samples,
    )
)


def _of_matrix(
    name: str,
    numpy: Callable[..., Any],
    formula: str,
    shape: Callable[[ArrayType], tuple[int, ...]],
    reverse: Any,
    forward: Any,
    positive: bool = False,
) -> Primitive:
    def infer(a: ArrayType) -> ArrayType:
        _square(name, a)
        return ArrayType(shape(a), a.dtype)

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        return (Sample((a,)) for a in _matrices(rng, positive))

    return register(Primitive(name, "linalg", formula, infer, numpy, reverse, forward, "library", samples))


INV = _of_matrix(
    "inv",
    np.linalg.inv,
    "{0}⁻¹",
    lambda a: a.shape,
    lambda i, g, out, a: -(_t(out) @ g @ _t(out)),
    lambda tangents, out, a: -(out @ tangents[0] @ out),
)

# -- determinants

#: up to this size cofactors are determinants of minors: exact at singular matrices too, to every order
_MINORS_UP_TO = 6


def _cofactors(a: Any, det: Any) -> Any:
    """The derivative of the determinant: ``det(A) A⁻ᵀ``, written with minors where they are few."""
    n = a.shape[-1]
    if n > _MINORS_UP_TO:
        return det[..., None, None] * _t(np.linalg.inv(a))
    others = np.array([[k for k in range(n) if k != i] for i in range(n)], dtype=np.int64).reshape(n, n - 1 if n else 0)
    minors = a[..., others[:, None, :, None], others[None, :, None, :]]
    signs = (1.0 - 2.0 * (np.add.outer(np.arange(n), np.arange(n)) % 2)).astype(a.dtype)
    return signs * apply(DET, minors)


def _trace_product(a: Any, b: Any) -> Any:
    return np.sum(a * b, axis=(-1, -2))


DET: Primitive = _of_matrix(
    "det",
    np.linalg.det,
    "det {0}",
    lambda a: a.shape[:-2],
    lambda i, g, out, a: g[..., None, None] * _cofactors(a, out),
    lambda tangents, out, a: _trace_product(_cofactors(a, out), tangents[0]),
)
# the logarithm of |det a|: its derivative is the inverse transposed
LOGABSDET = _of_matrix(
    "logabsdet",
    lambda a: np.linalg.slogdet(a)[1],
    "log |det {0}|",
    lambda a: a.shape[:-2],
    lambda i, g, out, a: g[..., None, None] * _t(np.linalg.inv(a)),
    lambda tangents, out, a: _trace_product(_t(np.linalg.inv(a)), tangents[0]),
)
SIGNDET = _of_matrix(
    "signdet", lambda a: np.linalg.slogdet(a)[0], "sign det {0}", lambda a: a.shape[:-2], zero_reverse, zero_forward
)

# -- Cholesky factor


def _phi(a: Any) -> Any:
    """The lower triangle, its diagonal halved."""
    n = a.shape[-1]
    return a * (np.tri(n, k=-1) + 0.5 * np.eye(n)).astype(a.dtype)


def _cholesky_reverse(i: int, g: Any, out: Any, a: Any) -> Any:
    middle = _phi(_t(out) @ g)
    s = apply(SOLVE, _t(out), _t(apply(SOLVE, _t(out), _t(middle))))  # L⁻ᵀ Φ(Lᵀ ḡ) L⁻¹
    return 0.5 * (s + _t(s))


def _cholesky_forward(tangents: Any, out: Any, a: Any) -> Any:
    da = 0.5 * (tangents[0] + _t(tangents[0]))
    middle = apply(SOLVE, out, _t(apply(SOLVE, out, _t(da))))
    return out @ _phi(middle)


# of the symmetric part of a: at symmetric matrices NumPy's factor, and a derivative that is symmetric too
CHOLESKY = _of_matrix(
    "cholesky",
    lambda a: np.linalg.cholesky(0.5 * (a + np.swapaxes(a, -1, -2))),
    "chol {0}",
    lambda a: a.shape,
    _cholesky_reverse,
    _cholesky_forward,
    positive=True,
)


# -- NumPy's functions


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solution of linear equations; a right-hand side of one dimension is a vector."""
    a, b = as_float(a), as_float(b)
    left, right = operand_dtypes(np.multiply, (a, b))
    a, b = convert(a, left), convert(b, right)
    if b.ndim == 1:
        return np.squeeze(apply(SOLVE, a, np.expand_dims(b, -1)), -1)
    return apply(SOLVE, a, b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """Inverse."""
    return apply(INV, as_float(a))


class SlogDet(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> SlogDet:
    """Sign and logarithm of the determinant; the sign is piecewise constant."""
    a = as_float(a)
    return SlogDet(apply(SIGNDET, a), apply(LOGABSDET, a))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """Determinant; its derivative is exact at singular matrices too, up to 6 rows."""
    return apply(DET, as_float(a))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Cholesky factor of the symmetric part."""
    factor = apply(CHOLESKY, as_float(a))
    return _t(factor) if upper else factor


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Vector norms, and the norms of matrices that need no singular values; derivative 0 at 0."""
    x = as_float(x)
    axes = normalize_axes(axis, x.ndim)
    if axis is None and ord is not None and x.ndim not in (1, 2):
        raise GraphError(f"np.linalg.norm(ord={ord!r}) needs one or two axes, got shape {x.shape}")
    if len(axes) == 2 and ord is not None:
        pair = axes if axis is None else tuple(k % x.ndim for k in axis)
        return _matrix_norm(x, ord, pair, keepdims)
    if len(axes) > 2 and axis is not None:
        raise GraphError(f"np.linalg.norm needs one or two axes, got {axis}")
    return _vector_norm(x, 2 if ord is None else ord, axes, keepdims)


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise TraceError(f"np.linalg.norm(ord={ord!r}) is not a norm of vectors; use a number")
    if ord == 2:
        return root(np.sum(np.square(x), axis=axes, keepdims=keepdims))
    if ord == 1:
        return np.sum(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == np.inf:
        return np.max(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0.0).astype(x.dtype), axis=axes, keepdims=keepdims)
    total = np.sum(np.power(np.absolute(x), float(ord)), axis=axes, keepdims=keepdims)
    zero = np.equal(total, 0.0)
    return np.where(zero, 0.0, np.power(np.where(zero, 1.0, total), 1.0 / ord))


def _matrix_norm(x: Any, ord: Any, pair: tuple[int, ...], keepdims: bool) -> Any:
    if ord == "fro":
        return _vector_norm(x, 2, pair, keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise TraceError(f"np.linalg.norm(ord={ord!r}) of matrices is not supported on traced values; use 'fro'")
    rows, columns = pair
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = np.sum(np.absolute(x), axis=inner, keepdims=True)
    result = np.max(sums, axis=outer, keepdims=True) if ord > 0 else np.min(sums, axis=outer, keepdims=True)
    return result if keepdims else np.squeeze(result, pair)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Vector norms over any axes."""
    x = as_float(x)
    return _vector_norm(x, ord, normalize_axes(axis, x.ndim), keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norms of the matrices in the last two axes."""
    return _matrix_norm(as_float(x), ord, (x.ndim - 2, x.ndim - 1), keepdims)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Repeated squaring."""
    a = np.linalg.inv(a) if n < 0 else a
    n, result = abs(int(n)), None
    while n:
        if n % 2:
            result = a if result is None else result @ a
        n //= 2
        if n:
            a = a @ a
    return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) if result is None else result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Any:
    """A chain of products, from left to right."""
    result = arrays[0]
    for each in arrays[1:]:
        result = np.dot(result, each)
    return result


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonals of the matrices in the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Traces of the matrices in the last two axes."""
    return np.trace(x, offset, -2, -1, dtype)
