"""Primitives that move data without arithmetic: reshape, transpose, broadcast, concatenate, pad, flip."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import broadcast_shapes, convert, unbroadcast
from chainrule.primitives.reduction import normalize_axes


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
    return ArrayType(tuple(x.shape[a] for a in axes), x.dtype)


TRANSPOSE = _linear(
    "transpose",
    lambda x, axes: np.transpose(x, axes),
    "{0}ᵀ",
    _transpose_infer,
    lambda i, g, out, x, *, axes: np.transpose(g, tuple(int(k) for k in np.argsort(axes))),
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
FLIP = _linear(
    "flip",
    lambda x, axis: np.flip(x, axis),
    "flip({0})",
    lambda x, axis: (normalize_axes(axis, x.ndim), x)[1],
    lambda i, g, out, x, *, axis: np.flip(g, axis),
    "view",
    [((3,), {"axis": (0,)}), ((2, 3), {"axis": (0, 1)}), ((0, 2), {"axis": (1,)})],
)


def _pad_infer(x: ArrayType, width: tuple[tuple[int, int], ...], value: float) -> ArrayType:
    if len(width) != x.ndim or any(w < 0 for pair in width for w in pair):
        raise GraphError(f"pad: widths {width} do not fit shape {x.shape}")
    return ArrayType(tuple(a + s + b for s, (a, b) in zip(x.shape, width, strict=True)), x.dtype)


def _pad_reverse(i: int, g: Any, out: Any, x: Any, *, width: Any, value: float) -> Any:
    return g[tuple(slice(a, a + s) for s, (a, _) in zip(x.shape, width, strict=True))]


PAD: Primitive = register(
    Primitive(
        name="pad",
        family="shape",
        formula="pad({0})",
        infer=_pad_infer,
        numpy=lambda x, width, value: np.pad(x, width, constant_values=value) if np.ndim(x) else np.asarray(x),
        reverse=_pad_reverse,
        forward=linear_forward(lambda t, width, value: apply(PAD, t, width=width, value=0.0)),
        lowering="layout",
        samples=lambda rng: iter(
            [
                Sample((rng.normal(size=(3,)),), {"width": ((1, 2),), "value": 0.5}),
                Sample((rng.normal(size=(2, 0)),), {"width": ((0, 1), (2, 0)), "value": 0.0}),
            ]
        ),
    )
)


# -- concatenate, the only one of many inputs


def _concatenate_infer(*types: ArrayType, axis: int) -> ArrayType:
    if not types:
        raise GraphError("concatenate needs at least one array")
    first = types[0]
    normalize_axes(axis, first.ndim)
    for t in types:
        same = t.shape[:axis] + t.shape[axis + 1 :] == first.shape[:axis] + first.shape[axis + 1 :]
        if t.ndim != first.ndim or not same or t.dtype != first.dtype:
            raise GraphError(f"concatenate: {' and '.join(map(str, types))} do not fit along axis {axis}")
    shape = list(first.shape)
    shape[axis] = sum(t.shape[axis] for t in types)
    return ArrayType(tuple(shape), first.dtype)


def _concatenate_reverse(i: int, g: Any, out: Any, *parts: Any, axis: int) -> Any:
    start = sum(p.shape[axis] for p in parts[:i])
    window = slice(start, start + parts[i].shape[axis])
    return g[tuple(window if k == axis else slice(None) for k in range(g.ndim))]


def _concatenate_forward(tangents: Any, out: Any, *parts: Any, axis: int) -> Any:
    filled = [np.zeros(p.shape, p.dtype) if t is None else t for t, p in zip(tangents, parts, strict=True)]
    return apply(CONCATENATE, *filled, axis=axis)


CONCATENATE = register(
    Primitive(
        name="concatenate",
        family="shape",
        formula="concatenate",
        infer=_concatenate_infer,
        numpy=lambda *parts, axis: np.concatenate(parts, axis),
        reverse=_concatenate_reverse,
        forward=_concatenate_forward,
        lowering="layout",
        samples=lambda rng: iter(
            [
                Sample((rng.normal(size=(2,)), rng.normal(size=(3,))), {"axis": 0}),
                Sample(tuple(rng.normal(size=(2, k)) for k in (1, 0, 2)), {"axis": 1}),
                Sample((rng.normal(size=(2, 3)),), {"axis": 1}),
            ]
        ),
    )
)


# -- NumPy's functions


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """Record np.reshape; one size may be -1."""
    shape = newshape if shape is None else shape
    if order != "C":
        raise TraceError(f"np.reshape(order={order!r}) is not supported on traced values; use order='C'")
    sizes = [int(s) for s in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    if sizes.count(-1) == 1:
        rest = prod(s for s in sizes if s != -1)
        if rest == 0 or a.size % rest:
            raise GraphError(f"reshape: {a.size} elements of shape {a.shape} do not fill shape {tuple(sizes)}")
        sizes[sizes.index(-1)] = a.size // rest
    return a if tuple(sizes) == a.shape else apply(RESHAPE, a, shape=tuple(sizes))


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """Record np.ravel."""
    return np.reshape(a, (a.size,), order=order)  # type: ignore[call-overload]


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    """Record np.transpose."""
    axes = tuple(reversed(range(a.ndim))) if axes is None else tuple(int(k) % max(a.ndim, 1) for k in axes)
    return a if axes == tuple(range(a.ndim)) else apply(TRANSPOSE, a, axes=axes)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Record np.swapaxes."""
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return np.transpose(a, axes)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Record np.moveaxis."""
    one = isinstance(source, (int, np.integer))
    sources = [int(k) % a.ndim for k in ([source] if one else source)]
    targets = [int(k) % a.ndim for k in ([destination] if one else destination)]
    order = [k for k in range(a.ndim) if k not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return np.transpose(a, order)


@implements(np.matrix_transpose)
def matrix_transpose(a: Any) -> Any:
    """Record np.matrix_transpose."""
    return np.swapaxes(a, -1, -2)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Record np.squeeze."""
    axes = (
        tuple(k for k, s in enumerate(a.shape) if s == 1)
        if axis is None
        else normalize_axes(axis, a.ndim, "squeeze axis")
    )
    if any(a.shape[k] != 1 for k in axes):
        raise GraphError(f"squeeze: axis {axis} of shape {a.shape} is not of length 1")
    return np.reshape(a, tuple(s for k, s in enumerate(a.shape) if k not in axes))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Record np.expand_dims."""
    ndim = a.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    axes = normalize_axes(axis, ndim, "expand_dims axis")
    sizes = iter(a.shape)
    return np.reshape(a, tuple(1 if k in axes else next(sizes) for k in range(ndim)))


@implements(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    """Record np.atleast_1d."""
    return np.reshape(a, (1,)) if a.ndim == 0 else a


@implements(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    """Record np.atleast_2d."""
    return np.reshape(a, (1, -1)) if a.ndim < 2 else a


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Record np.broadcast_to."""
    shape = tuple(int(s) for s in shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    return array if array.shape == shape else apply(BROADCAST_TO, array, shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Record np.broadcast_arrays."""
    shape = broadcast_shapes("broadcast_arrays", *(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Record np.flip."""
    axes = normalize_axes(axis, m.ndim)
    return apply(FLIP, m, axis=axes) if axes else m


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """Record np.fliplr."""
    return np.flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """Record np.flipud."""
    return np.flip(m, 0)


def _common(arrays: Any) -> list[Any]:
    """Convert the parts of a concatenation to one dtype."""
    parts = [a if isinstance(a, Traced) else np.asarray(a) for a in arrays]
    dtype = np.result_type(*(p.dtype for p in parts))
    return [convert(p, dtype) for p in parts]


@implements(np.concatenate)
def concatenate(arrays: Any, /, axis: int | None = 0, *, dtype: Any = None, casting: Any = None) -> Any:
    """Record np.concatenate."""
    parts = _common(arrays)
    if axis is None:
        parts, axis = [np.reshape(p, -1) for p in parts], 0
    if dtype is not None:
        parts = [convert(p, np.dtype(dtype)) for p in parts]
    return apply(CONCATENATE, *parts, axis=normalize_axes(axis, parts[0].ndim)[0])


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, *, dtype: Any = None, casting: Any = None) -> Any:
    """Record np.stack."""
    return np.concatenate([np.expand_dims(a, axis) for a in _common(arrays)], axis=axis, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Any:
    """Record np.vstack."""
    return np.concatenate([np.atleast_2d(a) for a in _common(tup)], axis=0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Any:
    """Record np.hstack."""
    parts = [np.atleast_1d(a) for a in _common(tup)]
    return np.concatenate(parts, axis=0 if parts[0].ndim == 1 else 1, dtype=dtype)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Record np.column_stack."""
    return np.concatenate([np.reshape(a, (-1, 1)) if a.ndim < 2 else a for a in _common(tup)], axis=1)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Record np.append."""
    return np.concatenate([arr, values], axis=axis)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Record np.array_split as slices."""
    axis = normalize_axes(axis, ary.ndim)[0]
    n = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        each, extra = divmod(n, sections)
        cuts = list(np.cumsum([each + 1] * extra + [each] * (sections - extra))[:-1])
    else:
        cuts = list(indices_or_sections)
    bounds = [0, *(int(c) for c in cuts), n]
    return [
        ary[tuple(slice(a, b) if k == axis else slice(None) for k in range(ary.ndim))]
        for a, b in zip(bounds[:-1], bounds[1:], strict=True)
    ]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Record np.split as slices."""
    if isinstance(indices_or_sections, (int, np.integer)) and ary.shape[axis] % int(indices_or_sections):
        raise GraphError(f"split: axis {axis} of shape {ary.shape} does not divide into {indices_or_sections} parts")
    return array_split(ary, indices_or_sections, axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Record np.tile as a broadcast."""
    counts = [int(r) for r in (reps if isinstance(reps, (tuple, list)) else (reps,))]
    ndim = max(A.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    sizes = [1] * (ndim - A.ndim) + list(A.shape)
    spread = np.reshape(A, tuple(v for s in sizes for v in (1, s)))
    spread = np.broadcast_to(spread, tuple(v for r, s in zip(counts, sizes, strict=True) for v in (r, s)))
    return np.reshape(spread, tuple(r * s for r, s in zip(counts, sizes, strict=True)))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Record np.repeat as a gather."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    positions = np.repeat(np.arange(a.shape[axis]), repeats)
    return np.take(a, positions, axis=axis)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Record np.roll as slices put together the other way round."""
    if axis is None:
        return np.reshape(np.roll(np.reshape(a, -1), shift, 0), a.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    for s, k in zip(shifts, axes, strict=True):
        k = normalize_axes(k, a.ndim)[0]
        n = a.shape[k]
        if n and s % n:
            head, tail = np.split(a, [n - s % n], axis=k)
            a = np.concatenate([tail, head], axis=k)
    return a


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Any:
    """Record np.pad: ``constant`` as a primitive, the modes that repeat elements as gathers."""
    width = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)))
    if mode == "constant":
        value = options.get("constant_values", 0.0)
        if isinstance(value, Traced) or np.ndim(value) != 0:
            raise TraceError("np.pad(constant_values=) must be one plain number on traced values")
        return apply(PAD, array, width=width, value=float(value))
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise TraceError(f"np.pad(mode={mode!r}) is not supported on traced values; use constant, edge, reflect, ...")
    for k, (before, after) in enumerate(width):
        if before or after:
            array = np.take(array, np.pad(np.arange(array.shape[k]), (before, after), mode=mode), axis=k)  # type: ignore[call-overload]
    return array


# -- shape queries and arrays of the same shape


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """The shape, which is known."""
    return a.shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """The number of axes, which is known."""
    return a.ndim


@implements(np.size)
def size(a: Any, axis: int | None = None) -> int:
    """The number of elements, which is known."""
    return a.size if axis is None else a.shape[axis]


@implements(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> np.ndarray:
    """A constant."""
    return np.zeros(a.shape if shape is None else shape, dtype or a.dtype)


@implements(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> np.ndarray:
    """A constant."""
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


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Traced values never change, so a copy is the value itself."""
    return a


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Record a conversion of dtype."""
    return convert(x, np.dtype(dtype))
