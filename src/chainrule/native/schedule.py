"""How a nest is run on a target: loops merged where memory allows, their order, and the axis that fills the lanes.

Pure: Nest → Nest. A simple count of the work per iteration decides; the sums a reduction forms are in an order that
depends on shapes and target alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod

from chainrule.native.affine import Affine
from chainrule.native.nests import ITEM_BYTES, Nest, Result
from chainrule.native.target import Target

_GATHER, _SCATTER = 0.7, 1.0  # cost per lane, in vector instructions
_HORIZONTAL = 8.0  # cost of joining the lanes of one accumulator
_FREE = ("constant", "position", "load", "fold", "product")
_SHORT_OPS = frozenset(
    ("add", "subtract", "multiply", "negative", "where", "square", "absolute", "at_least", "at_most", "cast", "bound")
)


def schedule(nest: Nest, target: Target, apart: int | None = None) -> Nest:
    """Merge, choose the vector axis, order the loops; ``apart`` is an axis that is not to be merged with others."""
    nest = merge_axes(nest, apart)
    return ordered(replace(nest, vector=best_vector_axes(nest, target)))


def estimate(nest: Nest, target: Target) -> float:
    """Cycles a nest takes, about: one and a half vector instructions each, or its bytes at the cache's speed."""
    planned = nest if nest.vector else schedule(nest, target)
    moved = sum(
        ITEM_BYTES[planned.body[r.value].dtype] * prod(planned.extents[a] for a in r.loops) for r in planned.results
    )
    return max(_cost(planned, planned.vector, lanes_of(planned, target)) / 1.5, moved / 8)


def lanes_of(nest: Nest, target: Target) -> int:
    """Lanes of the vectors of a nest: as many of its smallest numbers as a register holds, no more than needed."""
    if not nest.vector:
        return 1
    longest = max(nest.extents[a] for a in nest.vector)
    full = target.vector_bytes // _item_bytes(nest)
    if len(_float_bytes(nest)) > 1 and _padded(longest, full // 2) < _padded(longest, full):
        full //= 2  # the wider numbers fill whole registers still, and fewer lanes are idle in the last
    return min(full, 1 << (longest - 1).bit_length())


def order_of_sums(nest: Nest, target: Target) -> list[tuple[object, ...]]:
    """All that the order depends on in which a scheduled nest's reductions take their terms, and so their bits.

    For every reduction the extents of its loops, whether they run in lanes and in how many, and the loops of the
    results that share them.
    """
    found: list[tuple[object, ...]] = []
    for k, r in enumerate(nest.results):
        if r.n_reduced:
            inner = r.loops[len(r.kept) :]
            lanes = lanes_of(nest, target) if nest.vector.intersection(inner) else 1
            depth = len(r.kept) + 1
            together = [
                (j, len(o.loops) - depth) for j, o in enumerate(nest.results) if o.loops[:depth] == r.loops[:depth]
            ]
            found.append((k, [(nest.extents[a], a in nest.vector) for a in inner], lanes, together))
    return found


def _padded(n: int, lanes: int) -> int:
    return -(-n // lanes) * lanes


def _float_bytes(nest: Nest) -> set[int]:
    return {ITEM_BYTES[i.dtype] for i in nest.body if i.dtype.startswith("float")}


def _item_bytes(nest: Nest) -> int:
    floats = _float_bytes(nest)
    return min(floats) if floats else min((ITEM_BYTES[i.dtype] for i in nest.body if i.dtype != "bool"), default=8)


# -- merging


def merge_axes(nest: Nest, apart: int | None = None) -> Nest:
    """Make one loop of two wherever every position depends on them as on one counter."""
    merged = True
    while merged:
        merged = False
        for outer in (a for a in nest.extents if a != apart):
            inner = next((a for a in nest.extents if a not in (outer, apart) and _mergeable(nest, outer, a)), None)
            if inner is not None:
                nest = _merged(nest, outer, inner)
                merged = True
                break
    return nest


def _positions(nest: Nest) -> Iterator[Affine]:
    for i in nest.body:
        if i.op == "load":
            yield i.data[1]
        elif i.op == "position":
            yield i.data
    for r in nest.results:
        yield r.place


def _mergeable(nest: Nest, outer: int, inner: int) -> bool:
    extent = nest.extents[inner]
    for r in nest.results:
        if (outer in r.loops) != (inner in r.loops):
            return False
        if outer not in r.loops:
            continue
        if (outer in r.kept) != (inner in r.kept):
            return False
        if (nest.fused or r.kind == "add") and r.loops.index(inner) != r.loops.index(outer) + 1:
            return False
    return all(p.stride(outer) == p.stride(inner) * extent for p in _positions(nest))


def _merged(nest: Nest, outer: int, inner: int) -> Nest:
    extents = {a: n * nest.extents[outer] if a == inner else n for a, n in nest.extents.items() if a != outer}
    body = []
    for i in nest.body:
        if i.op == "load":
            i = replace(i, data=(i.data[0], i.data[1].without(outer), *i.data[2:]))
        elif i.op == "position":
            i = replace(i, data=i.data.without(outer))
        body.append(i)
    results = []
    for r in nest.results:
        reduced = r.n_reduced - (outer in r.loops[len(r.kept) :])
        loops = tuple(a for a in r.loops if a != outer)
        results.append(replace(r, place=r.place.without(outer), loops=loops, n_reduced=reduced))
    local = {b: tuple(a for a in axes if a != outer) for b, axes in nest.local.items()}
    return replace(nest, extents=extents, body=tuple(body), results=tuple(results), local=local)


# -- choosing


def best_vector_axes(nest: Nest, target: Target) -> frozenset[int]:
    """The axes whose iterations are cheapest side by side, one per result at most; none: one after the other."""
    best, cheapest = frozenset[int](), _cost(nest, frozenset(), 1)
    for axes in _choices(nest):
        cost = _cost(nest, axes, lanes_of(replace(nest, vector=axes), target))
        if cost < cheapest:
            best, cheapest = axes, cost
    return best


def _choices(nest: Nest) -> Iterator[frozenset[int]]:
    """One axis that all results share, or the innermost axis of each."""
    possible = {a for a in nest.extents if all(_may_be_vector(nest, r, a) for r in nest.results)}
    for axis in possible:
        if all(axis in r.loops for r in nest.results):
            yield frozenset((axis,))
    innermost = frozenset(r.loops[-1] for r in nest.results if r.loops and r.loops[-1] in possible)
    separate = all(len(innermost.intersection(r.loops)) <= 1 for r in nest.results)
    if nest.fused and separate and all(len(innermost & d) <= 1 for d in nest.depends):
        yield innermost


def _may_be_vector(nest: Nest, r: Result, axis: int) -> bool:
    if axis not in r.loops:
        return True
    if r.kind == "scan" or r.op in ("argmax", "argmin"):
        return axis in r.kept
    if r.kind == "add":
        moved = any(axis in nest.depends[p.value] for p in r.indirect)
        return not moved and r.place.stride(axis) == 1
    return True


def _cost(nest: Nest, vector: frozenset[int], lanes: int) -> float:
    """Vector instructions, about, where each is counted as often as it is evaluated."""

    def trips(axes: Iterable[int]) -> int:
        return prod(-(-nest.extents[a] // lanes) if a in vector else nest.extents[a] for a in axes)

    total = float(sum(trips(loops) for loops in {r.loops for r in nest.results}))  # the loops themselves
    for i, axes in zip(nest.body, nest.depends, strict=True):
        if i.op == "load":
            indirect = any(vector & nest.depends[p.value] for p in i.data[2:])
            total += trips(axes) * _access_cost(i.data[1], vector, lanes, indirect, _GATHER)
        elif i.op not in _FREE:
            total += trips(axes) * (1.0 if i.op in _SHORT_OPS else 8.0)
    for r in nest.results:
        if r.kind in ("store", "add", "scan"):
            total += trips(r.loops) * _access_cost(r.place, vector, lanes, False, _SCATTER)
        else:
            total += trips(r.loops)
            if vector.intersection(r.loops) - vector.intersection(r.kept):
                total += _HORIZONTAL * trips(r.kept)
    return total


def _access_cost(place: Affine, vector: frozenset[int], lanes: int, indirect: bool, each: float) -> float:
    if indirect:
        return max(1.0, each * lanes)
    stride = sum(place.stride(a) for a in vector)
    return 1.0 if stride == 1 else 0.3 if stride == 0 else max(1.0, each * lanes)


# -- ordering


def ordered(nest: Nest) -> Nest:
    """Loops with the largest steps through memory outermost, the vector axis last among the kept or the reduced."""
    return nest if nest.fused else replace(nest, results=tuple(_ordered(nest, r) for r in nest.results))


def _ordered(nest: Nest, r: Result) -> Result:
    if r.kind == "add":
        first = tuple(a for a in r.loops if a not in nest.vector)
        return replace(r, loops=first + tuple(a for a in r.loops if a in nest.vector))
    strides: dict[int, int] = dict.fromkeys(r.loops, 0)
    for i in nest.body:
        if i.op == "load":
            for axis, stride in i.data[1].terms:
                if axis in strides:
                    strides[axis] = max(strides[axis], abs(stride))
    kept = sorted(r.kept, key=lambda a: (a in nest.vector, -abs(r.place.stride(a)), -strides[a]))
    reduced = sorted(r.loops[len(r.kept) :], key=lambda a: (a in nest.vector, -strides[a]))
    return replace(r, loops=(*kept, *reduced))
