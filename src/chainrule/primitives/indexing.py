"""Indexing: slices as views, everything with integer arrays as gathers, and their adjoints."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import BoundsError, GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, linear_forward, register
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.axes import normalize_axes, one_axis
from chainrule.primitives.broadcasting import broadcast_shapes
from chainrule.primitives.conversion import INT64, as_array, convert

# -- slices: start, count and step per axis; the step may be negative

Window = tuple[tuple[int, int, int], ...]


def _numpy_slices(window: Window) -> tuple[slice, ...]:
    result = []
    for start, count, step in window:
        stop: int | None = start + count * step
        if count == 0:
            start, stop, step = 0, 0, 1
        elif stop is not None and stop < 0:
            stop = None
        result.append(slice(start, stop, step))
    return tuple(result)


def _check_window(shape: tuple[int, ...], window: Window) -> None:
    ok = len(window) == len(shape) and all(
        step != 0 and count >= 0 and (count == 0 or (0 <= start < size and 0 <= start + (count - 1) * step < size))
        for size, (start, count, step) in zip(shape, window, strict=False)
    )
    if not ok:
        raise GraphError(f"slice {window} leaves an array of shape {shape}")


def _slice_infer(x: ArrayType, window: Window) -> ArrayType:
    _check_window(x.shape, window)
    return ArrayType(tuple(count for _, count, _ in window), x.dtype)


def _place_infer(x: ArrayType, window: Window, shape: tuple[int, ...]) -> ArrayType:
    _check_window(shape, window)
    if x.shape != tuple(count for _, count, _ in window):
        raise GraphError(f"place: shape {x.shape} does not fill slice {window}")
    return ArrayType(tuple(shape), x.dtype)


def _place_run(x: Any, window: Window, shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, np.asarray(x).dtype)
    result[_numpy_slices(window)] = x
    return result


_WINDOWS = (
    ((5,), ((1, 3, 1),)),
    ((5,), ((4, 3, -2),)),
    ((4, 3), ((0, 2, 2), (2, 3, -1))),
    ((2, 3), ((0, 2, 1), (0, 0, 1))),
    ((), ()),
)

SLICE: Primitive = register(
    Primitive(
        name="slice",
        family="indexing",
        formula="{0}[…]",
        infer=_slice_infer,
        numpy=lambda x, window: x[_numpy_slices(window)],
        reverse=lambda i, g, out, x, *, window: apply(PLACE, g, window=window, shape=x.shape),
        forward=linear_forward(lambda t, window: apply(SLICE, t, window=window)),
        lowering="view",
        samples=lambda rng: iter([Sample((rng.normal(size=s),), {"window": w}) for s, w in _WINDOWS]),
    )
)
#: zeros of ``shape`` with the input written into a window: the adjoint of a slice
PLACE: Primitive = register(
    Primitive(
        name="place",
        family="indexing",
        formula="place({0})",
        infer=_place_infer,
        numpy=_place_run,
        reverse=lambda i, g, out, x, *, window, shape: apply(SLICE, g, window=window),
        forward=linear_forward(lambda t, **params: apply(PLACE, t, **params)),
        lowering="layout",
        samples=lambda rng: iter(
            [Sample((rng.normal(size=tuple(c for _, c, _ in w)),), {"window": w, "shape": s}) for s, w in _WINDOWS]
        ),
    )
)

# -- gathers: integer arrays along some axes, side by side; those axes are replaced, in front, by the arrays' shape


def _gather_infer(x: ArrayType, *indices: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if len(indices) != len(axes) or not axes:
        raise GraphError(f"gather: {len(indices)} index arrays for axes {axes}")
    normalize_axes(axes, x.ndim)
    if any(t.dtype.kind not in "iu" for t in indices):
        raise GraphError("gather: indices must be integers")
    lead = broadcast_shapes("gather", *(t.shape for t in indices))
    return ArrayType(lead + tuple(s for k, s in enumerate(x.shape) if k not in axes), x.dtype)


def _front(x: Any, axes: tuple[int, ...]) -> Any:
    return np.moveaxis(x, axes, range(len(axes)))


def _gather_run(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    return _front(x, axes)[tuple(indices)]


def _scatter_infer(x: ArrayType, *indices: ArrayType, axes: tuple[int, ...], shape: tuple[int, ...]) -> ArrayType:
    expected = _gather_infer(ArrayType(tuple(shape), x.dtype), *indices, axes=axes)
    if expected.shape != x.shape:
        raise GraphError(f"scatter_add: shape {x.shape} does not fit; indices into {shape} ask for {expected.shape}")
    return ArrayType(tuple(shape), x.dtype)


def _scatter_run(x: Any, *indices: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, np.asarray(x).dtype)
    np.add.at(_front(result, axes), tuple(indices), x)
    return result


def _gather_reverse(i: int, g: Any, out: Any, x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    return apply(SCATTER_ADD, g, *indices, axes=axes, shape=x.shape) if i == 0 else None


def _scatter_reverse(i: int, g: Any, out: Any, x: Any, *indices: Any, axes: tuple[int, ...], shape: Any) -> Any:
    return apply(GATHER, g, *indices, axes=axes) if i == 0 else None


def _gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.normal(size=(4,)), np.array([2, 0, 2])), {"axes": (0,)})
    yield Sample((rng.normal(size=(3, 4)), np.array([[1, -1], [0, 1]])), {"axes": (1,)})
    yield Sample((rng.normal(size=(3, 4)), np.array([0, 2]), np.array([[3], [1]])), {"axes": (0, 1)})
    yield Sample((rng.normal(size=(3, 2)), np.zeros((0,), int)), {"axes": (0,)})


def _scatter_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _gather_samples(rng):
        x, *indices = sample.inputs
        shape = _gather_run(x, *indices, **sample.params).shape
        yield Sample((rng.normal(size=shape), *indices), {**sample.params, "shape": x.shape})


GATHER: Primitive = register(
    Primitive(
        name="gather",
        family="indexing",
        formula="{0}[{1}]",
        infer=_gather_infer,
        numpy=_gather_run,
        reverse=_gather_reverse,
        forward=linear_forward(lambda t, *indices, axes: apply(GATHER, t, *indices, axes=axes)),
        lowering="gather",
        samples=_gather_samples,
    )
)
#: zeros of ``shape`` to which the input is added at the indices: the adjoint of a gather
SCATTER_ADD: Primitive = register(
    Primitive(
        name="scatter_add",
        family="indexing",
        formula="scatter_add({0}, {1})",
        infer=_scatter_infer,
        numpy=_scatter_run,
        reverse=_scatter_reverse,
        forward=linear_forward(lambda t, *indices, **params: apply(SCATTER_ADD, t, *indices, **params)),
        lowering="scatter",
        samples=_scatter_samples,
    )
)


# -- x[key]


@implements(operator.getitem)
def getitem(x: Traced, key: Any) -> Any:
    """Every key NumPy takes: numbers, slices, ``...``, ``None``, integer and boolean arrays, and all of them mixed."""
    items = _expand(x, key if isinstance(key, tuple) else (key,))
    mixed = any(_is_array(item) for item in items)  # then numbers count as arrays of no axes
    window: list[tuple[int, int, int]] = []
    shape: list[int] = []  # after slicing: axes that stay
    arrays: list[tuple[int, Any]] = []  # (axis after slicing, index array)
    places: list[int] = []  # of arrays in the key, to see whether they stand together
    axis = 0
    for place, item in enumerate(items):
        if item is None:
            shape.append(1)
            continue
        if item is Ellipsis:  # stands for no axis, but apart are the arrays on its two sides
            continue
        size = x.shape[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            window.append((start, len(range(start, stop, step)), step))
            shape.append(window[-1][1])
        elif isinstance(item, int):
            window.append((_position(item, size, axis), 1, 1))
            places += [place] if mixed else []
        else:
            _check_indices(item, size, axis)
            window.append((0, size, 1))
            arrays.append((len(shape), item))
            shape.append(size)
            places.append(place)
        axis += 1
    whole = tuple([(0, s, 1) for s in x.shape])
    y = x if tuple(window) == whole else apply(SLICE, x, window=tuple(window))
    y = np.reshape(y, tuple(shape))
    if not arrays:
        return y
    axes = tuple([k for k, _ in arrays])
    y = apply(GATHER, y, *[convert(a, INT64) for _, a in arrays], axes=axes)
    if places == list(range(places[0], places[-1] + 1)):  # NumPy leaves their axes there, else puts them in front
        lead = y.ndim - (len(shape) - len(axes))
        before = sum(1 for item in items[: places[0]] if item is None or isinstance(item, slice))
        y = np.moveaxis(y, range(lead), range(before, before + lead))
    return y


def _is_array(item: Any) -> bool:
    return not (item is None or item is Ellipsis or isinstance(item, (slice, int)))


def _expand(x: Traced, key: tuple[Any, ...]) -> list[Any]:
    """Make plain items of a key: masks become integer arrays, ``...`` full slices (if any), and it covers all axes."""
    items = [_plain(item) for item in key]
    if sum(item is Ellipsis for item in items) > 1:
        raise GraphError("an index can have only one ellipsis (...)")
    covered = sum(_axes_taken(item) for item in items)
    if covered > x.ndim:
        raise GraphError(f"too many indices: {covered} for an array of shape {x.shape}")
    if not any(item is Ellipsis for item in items):
        items.append(Ellipsis)
    result: list[Any] = []
    axis = 0
    for item in items:
        if item is Ellipsis:
            result += [slice(None)] * (x.ndim - covered) or [Ellipsis]
            axis += x.ndim - covered
        elif _is_array(item) and item.dtype == np.bool_:
            result += _mask_positions(item, x, axis)
            axis += item.ndim
        else:
            result.append(item)
            axis += _axes_taken(item)
    return result


def _plain(item: Any) -> Any:
    """One item of a key as ``None``, ``...``, a slice, a number, or an array of integers or booleans."""
    if isinstance(item, (bool, np.bool_)):
        raise TraceError("x[True] / x[False] is not supported on traced values; use np.where")
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        return slice(*[None if end is None else operator.index(end) for end in (item.start, item.stop, item.step)])
    if isinstance(item, (int, np.integer)):
        return int(item)
    array = as_array(item)
    if array.size == 0 and not isinstance(array, Traced) and array.dtype.kind != "b":
        return array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise TraceError(f"x[...] with an index of dtype {array.dtype}; indices must be integers or booleans")
    value = array.value if isinstance(array, Traced) else array
    return int(value) if array.ndim == 0 and array.dtype.kind != "b" and value is not None else array


def _axes_taken(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_array(item) and item.dtype == np.bool_ else 1


def _mask_positions(mask: Any, x: Traced, axis: int) -> list[np.ndarray]:
    if mask.ndim == 0 or mask.shape != x.shape[axis : axis + mask.ndim]:
        raise GraphError(f"a mask of shape {mask.shape} does not fit axis {axis} of an array of shape {x.shape}")
    return list(np.nonzero(known(mask, "x[mask]: how many elements a mask picks")))


def _position(k: int, size: int, axis: int) -> int:
    if not -size <= k < size:
        raise BoundsError(f"index {k} is out of bounds for axis {axis} of length {size}")
    return k % size


def _check_indices(indices: Any, size: int, axis: int) -> None:
    known = indices.value if isinstance(indices, Traced) else indices
    if known is not None and known.size and not (-size <= known.min() and known.max() < size):
        worst = known.max() if known.max() >= size else known.min()
        raise BoundsError(f"index {worst} is out of bounds for axis {axis} of length {size}")


# -- NumPy's functions


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """A gather along one axis."""
    a, indices = as_array(a), as_array(indices)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = one_axis(axis, a.ndim)
    if mode == "clip":
        indices = np.clip(indices, 0, a.shape[axis] - 1)
    elif mode == "wrap":
        indices = np.remainder(indices, a.shape[axis])
    elif mode != "raise":
        raise GraphError(f"np.take: mode must be raise, wrap or clip, got {mode!r}")
    _check_indices(indices, a.shape[axis], axis)
    y = apply(GATHER, a, convert(indices, INT64), axes=(axis,))
    return np.moveaxis(y, range(indices.ndim), range(axis, axis + indices.ndim))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """A gather with an index of its own for every element."""
    arr, indices = as_array(arr), as_array(indices)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    axis = one_axis(axis, arr.ndim)
    if indices.ndim != arr.ndim:
        raise GraphError(f"take_along_axis: indices of shape {indices.shape} for an array of shape {arr.shape}")
    _check_indices(indices, arr.shape[axis], axis)
    grid: list[Any] = []
    for k, size in enumerate(arr.shape):
        if k == axis:
            grid.append(convert(indices, INT64))
        else:
            grid.append(np.reshape(np.arange(size), [-1 if j == k else 1 for j in range(arr.ndim)]))
    return apply(GATHER, arr, *grid, axes=tuple(range(arr.ndim)))


def known(x: Any, what: str) -> np.ndarray:
    """The value of something that decides a shape.

    Raises
    ------
    TraceError
        If only its shape is known.
    """
    value = x.value if isinstance(x, Traced) else np.asarray(x)
    if value is None:
        raise TraceError(f"{what} depends on values, but only shapes are known here; use np.where(mask, x, y) instead")
    return value


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[np.ndarray, ...]:
    """Positions of the elements that are not zero, constants."""
    return np.nonzero(known(a, "np.nonzero (or np.where with one argument)"))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> np.ndarray:
    """Positions in the row of all elements, constants."""
    return np.flatnonzero(known(a, "np.flatnonzero"))


@implements(np.argwhere)
def argwhere(a: Any) -> np.ndarray:
    """Positions as rows, constants."""
    return np.argwhere(known(a, "np.argwhere"))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """The elements picked by a known mask."""
    return np.take(a, np.flatnonzero(known(condition, "np.compress")), axis=axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """The elements picked by a known mask, in a row."""
    return np.take(arr, np.flatnonzero(known(condition, "np.extract")))


@implements(np.choose)
def choose(a: Any, choices: Any) -> Any:
    """Element by element from one of several arrays."""
    a, *parts = np.broadcast_arrays(a, *choices)
    return np.take_along_axis(np.stack(parts), a[None], axis=0)[0]


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left") -> Any:
    """Where values would be inserted into a sorted vector: how many of its elements are smaller. Piecewise constant."""
    before = np.less if side == "left" else np.less_equal
    return np.sum(before(as_array(a), as_array(v)[..., None]), axis=-1)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """In which of known bins values lie. Piecewise constant."""
    edges = known(bins, "np.digitize: bins that rise or fall")
    side: Any = "left" if right else "right"
    if edges.size and edges[0] > edges[-1]:
        side = "right" if right else "left"
        return edges.size - np.searchsorted(edges[::-1], x, side=side)
    return np.searchsorted(edges, x, side=side)


@implements(np.isin)
def isin(element: Any, test_elements: Any, *, invert: bool = False) -> Any:
    """Which elements are among others."""
    among = np.any(np.equal(as_array(element)[..., None], np.ravel(as_array(test_elements))), axis=-1)
    return ~among if invert else among


# -- diagonals and triangles


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A gather."""
    first, second = one_axis(axis1, a.ndim), one_axis(axis2, a.ndim)
    if first == second:
        raise GraphError(f"diagonal: axes {axis1} and {axis2} are the same")
    rows, columns = a.shape[first], a.shape[second]
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    place = np.arange(count)
    y = apply(GATHER, a, place + max(-offset, 0), place + max(offset, 0), axes=(first, second))
    return np.moveaxis(y, 0, -1)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    """The sum of a diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """A diagonal of a matrix, or a matrix with a diagonal."""
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise GraphError(f"diag: needs one or two dimensions, got shape {v.shape}")
    n = v.shape[0] + abs(k)
    place = np.arange(v.shape[0])
    return apply(SCATTER_ADD, v, place + max(-k, 0), place + max(k, 0), axes=(0, 1), shape=(n, n))


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with all elements on a diagonal."""
    return np.diag(np.reshape(v, -1), k)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """The elements on and below a diagonal, zeros above."""
    return np.where(np.tri(m.shape[-2], m.shape[-1], k, bool), m, np.zeros((), m.dtype))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """The elements on and above a diagonal, zeros below."""
    return np.where(np.tri(m.shape[-2], m.shape[-1], k - 1, bool), np.zeros((), m.dtype), m)


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    """Positions on and below a diagonal, constants."""
    return np.tril_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    """Positions on and above a diagonal, constants."""
    return np.triu_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """Positions on the diagonal, constants."""
    return np.diag_indices(arr.shape[0], arr.ndim)
