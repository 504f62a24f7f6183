"""Shapes and places: primitives that move data without arithmetic (reshape, transpose, broadcast, flip)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from operator import index
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import normalize_axes, one_axis
from chainrule.primitives.broadcasting import broadcast_shapes, unbroadcast
from chainrule.primitives.conversion import as_array, convert


def _linear(
    name: str, numpy: Any, formula: str, infer: Any, reverse: Any, lowering: str, samples: list[tuple[Any, Any]]
) -> Primitive:
    """A primitive linear in its only input."""

    def yield_samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, params in samples:
            yield Sample((rng.normal(size=shape),), params)

    primitive = Primitive(
        name=name,
        family="shape",
        formula=formula,
        infer=infer,
        numpy=numpy,
        reverse=reverse,
        forward=linear_forward(lambda t, **params: apply(primitive, t, **params)),
        lowering=lowering,
        samples=yield_samples,
    )
    return register(primitive)


def _reshape_infer(x: ArrayType, shape: tuple[int, ...]) -> ArrayType:
    if prod(shape) != x.size or any(s < 0 for s in shape):
        raise GraphError(f"reshape: {x.size} elements of shape {x.shape} do not fill shape {shape}")
    return ArrayType(tuple(shape), x.dtype)


RESHAPE = _linear(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    "reshape({0}, {shape})",
    _reshape_infer,
    lambda i, g, out, x, *, shape: np.reshape(g, x.shape),
    "view",
    [((6,), {"shape": (2, 3)}), ((2, 0), {"shape": (0, 5)}), ((1,), {"shape": ()}), ((2, 3), {"shape": (3, 1, 2)})],
)


def _transpose_infer(x: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if sorted(axes) != list(range(x.ndim)):
        raise GraphError(f"transpose: axes {axes} are not a permutation of the {x.ndim} axes of shape {x.shape}")
    return ArrayType(tuple([x.shape[k] for k in axes]), x.dtype)


TRANSPOSE = _linear(
    "transpose",
    lambda x, axes: np.transpose(x, axes),
    "{0}ᵀ",
    _transpose_infer,
    lambda i, g, out, x, *, axes: np.transpose(g, [axes.index(k) for k in range(len(axes))]),
    "view",
    [((2, 3), {"axes": (1, 0)}), ((2, 1, 3), {"axes": (2, 0, 1)}), ((0, 2), {"axes": (1, 0)}), ((), {"axes": ()})],
)


def _broadcast_infer(x: ArrayType, shape: tuple[int, ...]) -> ArrayType:
    if broadcast_shapes("broadcast_to", x.shape, shape) != tuple(shape):
        raise GraphError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}")
    return ArrayType(tuple(shape), x.dtype)


BROADCAST_TO = _linear(
    "broadcast_to",
    lambda x, shape: np.broadcast_to(x, shape),
    "broadcast({0}, {shape})",
    _broadcast_infer,
    lambda i, g, out, x, *, shape: unbroadcast(g, x.shape),
    "view",
    [((3,), {"shape": (2, 3)}), ((2, 1), {"shape": (2, 0)}), ((), {"shape": (1, 2)}), ((1, 1), {"shape": (2, 4, 3)})],
)


def _flip_infer(x: ArrayType, axis: tuple[int, ...]) -> ArrayType:
    normalize_axes(axis, x.ndim)
    return x


FLIP = _linear(
    "flip",
    lambda x, axis: np.flip(x, axis),
    "flip({0})",
    _flip_infer,
    lambda i, g, out, x, *, axis: np.flip(g, axis),
    "view",
    [((3,), {"axis": (0,)}), ((2, 3), {"axis": (0, 1)}), ((0, 2), {"axis": (1,)})],
)


# -- NumPy's functions


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """The same elements in another shape; one size may be -1."""
    if order != "C":
        raise TraceError(f"np.reshape(order={order!r}) is not supported on traced values; use order='C'")
    shape = newshape if shape is None else shape
    sizes = [index(s) for s in (shape if np.iterable(shape) else (shape,))]
    if sizes.count(-1) == 1:
        rest = prod(s for s in sizes if s != -1)
        if rest == 0 or a.size % rest:
            raise GraphError(f"reshape: {a.size} elements of shape {a.shape} do not fill shape {tuple(sizes)}")
        sizes[sizes.index(-1)] = a.size // rest
    return a if tuple(sizes) == a.shape else apply(RESHAPE, a, shape=tuple(sizes))


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """All elements in a row."""
    if order not in ("C", "K", "A"):
        raise TraceError(f"np.ravel(order={order!r}) is not supported on traced values; use order='C'")
    return np.reshape(a, (a.size,))


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    """Axes in another order, reversed by default."""
    axes = tuple(range(a.ndim))[::-1] if axes is None else tuple([one_axis(k, a.ndim) for k in axes])
    return a if axes == tuple(range(a.ndim)) else apply(TRANSPOSE, a, axes=axes)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    axes = list(range(a.ndim))
    first, second = one_axis(axis1, a.ndim), one_axis(axis2, a.ndim)
    axes[first], axes[second] = second, first
    return np.transpose(a, axes)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to new places, the others keeping their order."""
    one = not np.iterable(source)
    sources = [one_axis(k, a.ndim) for k in ([source] if one else source)]
    targets = [one_axis(k, a.ndim) for k in ([destination] if one else destination)]
    if len(sources) != len(targets) or len({*sources}) != len(sources) or len({*targets}) != len(targets):
        raise GraphError(f"moveaxis: cannot move axes {source} to {destination}")
    order = [k for k in range(a.ndim) if k not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return np.transpose(a, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """An axis moved to stand before another one."""
    axis = one_axis(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(x, -1, -2)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Without axes of length 1."""
    if axis is None:
        axes = tuple([k for k, s in enumerate(a.shape) if s == 1])
    else:
        axes = normalize_axes(axis, a.ndim, "squeeze axis")
    if any(a.shape[k] != 1 for k in axes):
        raise GraphError(f"squeeze: axis {axis} of shape {a.shape} is not of length 1")
    return np.reshape(a, tuple([s for k, s in enumerate(a.shape) if k not in axes]))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """With more axes, of length 1."""
    a = as_array(a)
    ndim = a.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    axes = normalize_axes(axis, ndim, "expand_dims axis")
    sizes = iter(a.shape)
    return np.reshape(a, tuple([1 if k in axes else next(sizes) for k in range(ndim)]))


def _at_least(*arrays: Any, shape: Any) -> Any:
    results = tuple(np.reshape(a, shape(a)) for a in map(as_array, arrays))
    return results[0] if len(results) == 1 else results


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """With one axis at least."""
    return _at_least(*arys, shape=lambda a: a.shape or (1,))


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """With two axes at least, new ones in front."""
    return _at_least(*arys, shape=lambda a: (1,) * (2 - a.ndim) + a.shape)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """With three axes at least."""
    return _at_least(*arys, shape=lambda a: (1, a.size, 1) if a.ndim < 2 else (*a.shape, 1) if a.ndim == 2 else a.shape)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    """Repeated along new axes and axes of length 1."""
    shape = tuple([index(s) for s in (shape if np.iterable(shape) else (shape,))])
    return array if array.shape == shape else apply(BROADCAST_TO, array, shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """All repeated to their common shape."""
    arrays = [as_array(a) for a in args]
    shape = broadcast_shapes("broadcast_arrays", *(a.shape for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinates of a grid."""
    if indexing not in ("xy", "ij"):
        raise GraphError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    n = len(xi)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [np.reshape(as_array(x), tuple([-1 if k == order[i] else 1 for k in range(n)])) for i, x in enumerate(xi)]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """In reverse order along axes."""
    axes = normalize_axes(axis, m.ndim)
    return apply(FLIP, m, axis=axes) if axes else m


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """In reverse order along the second axis."""
    return np.flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """In reverse order along the first axis."""
    return np.flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turned by quarters in a plane of two axes."""
    first, second = (one_axis(axis, m.ndim) for axis in axes)
    k %= 4
    if k == 2:
        return np.flip(m, (first, second))
    if k == 1:
        return np.swapaxes(np.flip(m, second), first, second)
    return np.flip(np.swapaxes(m, first, second), second) if k == 3 else m


# -- what is known of the shape, and constants of it


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """The shape, which is known."""
    return a.shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """The number of axes, which is known."""
    return a.ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """The number of elements, which is known."""
    return prod([a.shape[k] for k in normalize_axes(axis, a.ndim)])


@implements(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> np.ndarray:
    """Zeros, a constant."""
    return np.zeros(a.shape if shape is None else shape, dtype or a.dtype)


@implements(np.empty_like)
def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> np.ndarray:
    """Zeros, a constant."""
    return zeros_like(prototype, dtype, shape=shape)


@implements(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> np.ndarray:
    """Ones, a constant."""
    return np.ones(a.shape if shape is None else shape, dtype or a.dtype)


@implements(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    """A constant, or a broadcast of a traced number."""
    shape = a.shape if shape is None else shape
    if isinstance(fill_value, Traced):
        return np.broadcast_to(convert(fill_value, np.dtype(dtype or a.dtype)), shape)
    return np.full(shape, fill_value, dtype or a.dtype)
