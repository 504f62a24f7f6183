"""Arrays put together and taken apart: concatenate and all that is made of it, splits, tiles, repeats, rolls, pads."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from operator import index
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import one_axis
from chainrule.primitives.conversion import as_array, convert

# -- concatenate, the only primitive of many inputs


def _concatenate_infer(*types: ArrayType, axis: int) -> ArrayType:
    if not types:
        raise GraphError("concatenate needs at least one array")
    first = types[0]
    axis = one_axis(axis, first.ndim)
    for t in types:
        same = t.shape[:axis] + t.shape[axis + 1 :] == first.shape[:axis] + first.shape[axis + 1 :]
        if t.ndim != first.ndim or not same or t.dtype != first.dtype:
            raise GraphError(f"concatenate: {' and '.join(map(str, types))} do not fit along axis {axis}")
    shape = list(first.shape)
    shape[axis] = sum(t.shape[axis] for t in types)
    return ArrayType(tuple(shape), first.dtype)


def _concatenate_reverse(i: int, g: Any, out: Any, *parts: Any, axis: int) -> Any:
    start = sum(p.shape[axis] for p in parts[:i])
    return g[along(g.ndim, axis, slice(start, start + parts[i].shape[axis]))]


def _concatenate_forward(tangents: Any, out: Any, *parts: Any, axis: int) -> Any:
    filled = [np.zeros(p.shape, p.dtype) if t is None else t for t, p in zip(tangents, parts, strict=True)]
    return apply(CONCATENATE, *filled, axis=axis)


CONCATENATE: Primitive = register(
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


def along(ndim: int, axis: int, item: Any) -> tuple[Any, ...]:
    """A key that picks along one axis and keeps the others whole."""
    return tuple([item if k == axis else slice(None) for k in range(ndim)])


# -- constant padding


def _pad_infer(x: ArrayType, width: tuple[tuple[int, int], ...], value: float) -> ArrayType:
    if len(width) != x.ndim or any(w < 0 for pair in width for w in pair):
        raise GraphError(f"pad: widths {width} do not fit shape {x.shape}")
    return ArrayType(tuple(a + s + b for s, (a, b) in zip(x.shape, width, strict=True)), x.dtype)


def _pad_run(x: Any, width: Any, value: float) -> Any:
    return np.pad(x, width, constant_values=value) if np.ndim(x) else np.asarray(x)


def _pad_reverse(i: int, g: Any, out: Any, x: Any, *, width: Any, value: float) -> Any:
    return g[tuple(slice(a, a + s) for s, (a, _) in zip(x.shape, width, strict=True))]


PAD: Primitive = register(
    Primitive(
        name="pad",
        family="shape",
        formula="pad({0})",
        infer=_pad_infer,
        numpy=_pad_run,
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

# -- NumPy's functions: together


def _common(arrays: Any) -> list[Any]:
    """Convert the parts of a concatenation to one dtype."""
    parts = [as_array(a) for a in arrays]
    if not parts:
        raise GraphError("needs at least one array to concatenate")
    dtype = np.result_type(*(p.dtype for p in parts))
    return [convert(p, dtype) for p in parts]


@implements(np.concatenate)
def concatenate(arrays: Any, /, axis: int | None = 0, *, dtype: Any = None) -> Any:
    """Arrays joined along an axis they have."""
    parts = _common(arrays)
    if axis is None:
        parts, axis = [np.reshape(p, -1) for p in parts], 0
    if dtype is not None:
        parts = [convert(p, np.dtype(dtype)) for p in parts]
    return apply(CONCATENATE, *parts, axis=one_axis(axis, parts[0].ndim))


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, *, dtype: Any = None) -> Any:
    """Arrays joined along an axis of their own."""
    return np.concatenate([np.expand_dims(a, axis) for a in _common(arrays)], axis=axis, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None) -> Any:
    """Rows joined."""
    return np.concatenate([np.atleast_2d(a) for a in _common(tup)], axis=0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None) -> Any:
    """Columns joined."""
    parts = [np.atleast_1d(a) for a in _common(tup)]
    return np.concatenate(parts, axis=0 if parts[0].ndim == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Joined along the third axis."""
    return np.concatenate([np.atleast_3d(a) for a in _common(tup)], axis=2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Vectors joined as columns."""
    return np.concatenate([np.reshape(a, (-1, 1)) if a.ndim < 2 else a for a in _common(tup)], axis=1)


@implements(np.block)
def block(arrays: Any) -> Any:
    """A matrix of blocks: nested lists joined along the last axes, the innermost along the last."""
    depth, probe = 0, arrays
    while isinstance(probe, list):
        depth, probe = depth + 1, probe[0]

    def leaves(item: Any) -> list[Any]:
        return [leaf for each in item for leaf in leaves(each)] if isinstance(item, list) else [as_array(item)]

    ndim = max([depth, *(leaf.ndim for leaf in leaves(arrays))])

    def join(item: Any, level: int) -> Any:
        if not isinstance(item, list):
            leaf = as_array(item)
            return np.reshape(leaf, (1,) * (ndim - leaf.ndim) + leaf.shape)
        return np.concatenate([join(each, level + 1) for each in item], axis=ndim - depth + level)

    return join(arrays, 0)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Two arrays joined."""
    return np.concatenate([arr, values], axis=axis)


# -- NumPy's functions: apart


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Slices along an axis."""
    axis = one_axis(axis, ary.ndim)
    n = ary.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        sections = index(indices_or_sections)
        if sections <= 0:
            raise GraphError(f"split: cannot split into {sections} parts")
        each, extra = divmod(n, sections)
        cuts = np.cumsum([each + 1] * extra + [each] * (sections - extra))[:-1].tolist()
    else:
        cuts = [index(cut) for cut in indices_or_sections]
    return [ary[along(ary.ndim, axis, slice(a, b))] for a, b in pairwise([0, *cuts, n])]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Slices along an axis, all of one length where a number of them is asked for."""
    n = ary.shape[one_axis(axis, ary.ndim)]
    if np.ndim(indices_or_sections) == 0 and n % max(index(indices_or_sections), 1):
        raise GraphError(f"split: axis {axis} of shape {ary.shape} does not divide into {indices_or_sections} parts")
    return np.array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Columns taken apart."""
    return np.split(ary, indices_or_sections, axis=0 if ary.ndim == 1 else 1)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Rows taken apart."""
    return np.split(ary, indices_or_sections, axis=0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Taken apart along the third axis."""
    return np.split(ary, indices_or_sections, axis=2)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The arrays along an axis, one by one."""
    return tuple(np.moveaxis(x, axis, 0))


# -- NumPy's functions: again and around


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """A broadcast."""
    counts = [index(r) for r in (reps if np.ndim(reps) else (reps,))]
    ndim = max(A.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    sizes = [1] * (ndim - A.ndim) + list(A.shape)
    spread = np.reshape(A, tuple(v for s in sizes for v in (1, s)))
    spread = np.broadcast_to(spread, tuple(v for r, s in zip(counts, sizes, strict=True) for v in (r, s)))
    return np.reshape(spread, tuple(r * s for r, s in zip(counts, sizes, strict=True)))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """A gather."""
    if isinstance(repeats, Traced):
        raise TraceError("np.repeat: how often each element comes decides the shape, so it cannot be a traced value")
    a = as_array(a)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis=axis)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Slices put together the other way round."""
    if isinstance(shift, Traced):
        raise TraceError("np.roll by a traced shift is not supported; gather with a[(np.arange(n) - shift) % n]")
    if axis is None:
        return np.reshape(np.roll(np.reshape(a, -1), shift, 0), a.shape)
    shifts, axes = np.broadcast_arrays(shift, axis)
    for s, k in zip(shifts.ravel().tolist(), axes.ravel().tolist(), strict=True):
        k = one_axis(k, a.ndim)
        n = a.shape[k]
        if n and s % n:
            head, tail = np.split(a, [n - s % n], axis=k)
            a = np.concatenate([tail, head], axis=k)
    return a


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Any:
    """Constants around an array (``constant``), or its own elements again (``edge reflect symmetric wrap``)."""
    width = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)))
    if mode == "constant" and options.keys() <= {"constant_values"}:
        value = options.get("constant_values", 0)
        if not isinstance(value, Traced) and np.ndim(value) == 0:
            return apply(PAD, array, width=width, value=float(value))
        around = np.pad(np.zeros(array.shape, array.dtype), width, constant_values=value)
        return apply(PAD, array, width=width, value=0.0) + around
    if mode not in ("edge", "reflect", "symmetric", "wrap") or options:
        detail = "".join(f", {key}=..." for key in options)
        raise TraceError(f"np.pad(mode={mode!r}{detail}) is not supported on traced values; {_MODES}")
    for k, pair in enumerate(width):
        if any(pair):
            array = np.take(array, np.pad(np.arange(array.shape[k]), pair, mode=mode), axis=k)  # type: ignore[call-overload]
    return array


_MODES = "plain constant, edge, reflect, symmetric and wrap are"


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """The elements again and again until the shape is full."""
    sizes = tuple(index(s) for s in (new_shape if np.ndim(new_shape) else (new_shape,)))
    return np.take(np.reshape(a, -1), np.resize(np.arange(a.size), prod(sizes))).reshape(sizes)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """The elements that are left, by their positions."""
    if isinstance(obj, Traced):
        raise TraceError("np.delete: which elements go decides the shape, so it cannot be a traced value")
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis=axis)
