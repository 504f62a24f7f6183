"""Linear algebra: solve, inverse, determinant, Cholesky factor, norms; stacks of matrices as in NumPy.

Rules: Giles (2008), "Collected matrix derivative results for forward and reverse mode algorithmic differentiation";
the Cholesky factor after Murray (2016), "Differentiation of the Cholesky decomposition".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import broadcast_shapes, convert, operand_dtypes, unbroadcast
from chainrule.primitives.reduction import normalize_axes


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
    return None if right is None else apply(SOLVE, a, np.broadcast_to(right, out.shape))


def _solve_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a in _matrices(rng):
        yield Sample((a, rng.normal(size=(*a.shape[:-1], 2))))


SOLVE = register(
    Primitive(
        "solve",
        "linalg",
        "{0}⁻¹ {1}",
        _solve_infer,
        np.linalg.solve,
        _solve_reverse,
        _solve_forward,
        "library",
        _solve_samples,
    )
)


def _unary(
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

    return register(
        Primitive(
            name,
            "linalg",
            formula,
            infer,
            numpy,
            reverse,
            forward,
            "library",
            lambda rng: (Sample((a,)) for a in _matrices(rng, positive)),
        )
    )


INV = _unary(
    "inv",
    np.linalg.inv,
    "{0}⁻¹",
    lambda a: a.shape,
    lambda i, g, out, a: -(_t(out) @ g @ _t(out)),
    lambda tangents, out, a: -(out @ tangents[0] @ out),
)


def _lift_scalar(x: Any) -> Any:
    return x[..., None, None]


# the logarithm of |det a|: its derivative is the inverse transposed
LOGABSDET = _unary(
    "logabsdet",
    lambda a: np.linalg.slogdet(a)[1],
    "log |det {0}|",
    lambda a: a.shape[:-2],
    lambda i, g, out, a: _lift_scalar(g) * _t(np.linalg.inv(a)),
    lambda tangents, out, a: np.sum(_t(np.linalg.inv(a)) * tangents[0], axis=(-1, -2)),
)
SIGNDET = _unary(
    "signdet", lambda a: np.linalg.slogdet(a)[0], "sign det {0}", lambda a: a.shape[:-2], zero_reverse, zero_forward
)


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


# reads the lower triangle of a symmetric matrix; the derivative is taken over symmetric perturbations
CHOLESKY = _unary(
    "cholesky",
    lambda a: np.linalg.cholesky(0.5 * (a + np.swapaxes(a, -1, -2))),
    "chol {0}",
    lambda a: a.shape,
    _cholesky_reverse,
    _cholesky_forward,
    positive=True,
)


# -- NumPy's functions


def _real(a: Any) -> Any:
    a = a if isinstance(a, Traced) else np.asarray(a)
    return a if a.dtype.kind == "f" else convert(a, np.dtype(np.float64))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Record np.linalg.solve; a right-hand side of one dimension is a vector."""
    a, b = _real(a), _real(b)
    left, right = operand_dtypes(np.multiply, (a, b))
    a, b = convert(a, left), convert(b, right)
    if b.ndim == 1:
        return np.squeeze(apply(SOLVE, a, np.expand_dims(b, -1)), -1)
    return apply(SOLVE, a, b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """Record np.linalg.inv."""
    return apply(INV, _real(a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> tuple[Any, Any]:
    """Record np.linalg.slogdet as sign and logarithm."""
    return apply(SIGNDET, _real(a)), apply(LOGABSDET, _real(a))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """Record np.linalg.det as sign · exp(log |det|).

    At a singular matrix the derivative (the cofactors) is not finite in this form.
    """
    a = _real(a)
    if a.shape[-1] == 2 == a.shape[-2]:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    return apply(SIGNDET, a) * np.exp(apply(LOGABSDET, a))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Record np.linalg.cholesky."""
    factor = apply(CHOLESKY, _real(a))
    return _t(factor) if upper else factor


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Record np.linalg.norm: vector norms, and the Frobenius norm of matrices. The derivative at zero is zero."""
    x = _real(x)
    if (axis is None and ord is None) or (axis is None and x.ndim in (1, 2)):
        axis = tuple(range(x.ndim))
    axes = normalize_axes(axis, x.ndim)
    if len(axes) == 2 and ord not in (None, "fro"):
        raise TraceError(f"np.linalg.norm(ord={ord!r}) of matrices is not supported on traced values; use 'fro'")
    if ord in (None, 2, "fro"):
        total = np.sum(np.square(x), axis=axes, keepdims=keepdims)
        zero = total == 0.0
        return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, total)))
    if ord == 1:
        return np.sum(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == np.inf:
        return np.max(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0.0).astype(x.dtype), axis=axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise TraceError(f"np.linalg.norm(ord={ord!r}) is not supported on traced values; use 'fro' or a number")
    return np.power(np.sum(np.power(np.absolute(x), ord), axis=axes, keepdims=keepdims), 1.0 / ord)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Record np.linalg.matrix_power by repeated squaring."""
    a = np.linalg.inv(a) if n < 0 else _real(a)
    n, result = abs(int(n)), None
    while n:
        if n % 2:
            result = a if result is None else result @ a
        n //= 2
        if n:
            a = a @ a
    return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) if result is None else result
