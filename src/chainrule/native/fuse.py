"""Nests that read each other's results, or the same data, become one nest: Program → Program.

Two nests share their outer loops if whatever the second reads of the first's results belongs to the same iteration of
these loops. Then values pass in registers where the loops are all the same, final values of reductions pass in
registers too, and what is used across inner loops only lives in a small local array instead of the arena.

Example: the softmax of the rows of a matrix, ``m = max(x)``, ``e = exp(x - m)``, ``s = sum(e)``, ``y = e / s``, is four
nests over rows and columns; fused, it is one loop over the rows with three loops over columns inside, ``m`` and ``s``
are registers and ``e`` is a row on the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from math import prod

from chainrule.native.affine import Affine
from chainrule.native.inplace import conflict
from chainrule.native.nests import ITEM_BYTES, Body, Nest, Result
from chainrule.native.steps import Program, Step

_LARGEST_BODY = 320
_WINDOW = 24  # steps to look back
_CACHE_BYTES = 1 << 17  # arrays larger than this are not walked along columns for the sake of fusion


def fuse(program: Program) -> Program:
    """Merge nests wherever that is possible and saves memory traffic, then drop what nobody reads any more."""
    steps = list(program.steps)
    k = 0
    while k < len(steps):
        merged = _into_earlier(program, steps, k)
        if merged is None:
            k += 1
        else:
            steps, k = merged
            steps = list(_pruned(replace(program, steps=tuple(steps))).steps)
    return contracted(_pruned(replace(program, steps=tuple(steps))))


def _into_earlier(program: Program, steps: Sequence[Step], k: int) -> tuple[list[Step], int] | None:
    """Merge step k into an earlier one: the new steps, and where to go on."""
    second = steps[k]
    if not isinstance(second, Nest) or not _simple(second):
        return None
    for p in range(k - 1, max(k - _WINDOW, 0) - 1, -1):
        first = steps[p]
        if not isinstance(first, Nest) or not _simple(first) or first.writes & second.writes:
            continue
        between = steps[p + 1 : k]
        up = not any(conflict(second, s) for s in between)
        down = not any(conflict(first, s) for s in between)
        if not (up or down):
            continue
        made = merge(program, first, second)
        if made is None:
            continue
        if up:
            return [*steps[:p], made, *between, *steps[k + 1 :]], p
        return [*steps[:p], *between, made, *steps[k + 1 :]], k - 1
    return None


def _simple(nest: Nest) -> bool:
    return all(r.kind in ("store", "fold") for r in nest.results)


# -- merging two


def merge(program: Program, first: Nest, second: Nest) -> Nest | None:
    """One nest that does what two do, sharing as many outer loops as possible; None if there are none to share."""
    if len(first.body) + len(second.body) > _LARGEST_BODY:
        return None
    second = _fresh_axes(second, max(first.extents, default=-1) + 1)
    same = _matching(first, second)
    if not same:
        return None
    for candidate in _orders(program, first, second, same):
        loops = candidate.results[-1].loops
        for depth in range(len(loops), 0, -1):
            made = _shared(candidate, second, loops[:depth], same)
            if made is not None:
                return made
    return None


def _fresh_axes(nest: Nest, start: int) -> Nest:
    return _renamed(nest, {a: start + k for k, a in enumerate(nest.extents)})


def _renamed(nest: Nest, axes: Mapping[int, int]) -> Nest:
    """With other numbers for the axes."""
    counters = {a: Affine.of(b) for a, b in axes.items()}

    def moved(place: Affine) -> Affine:
        return place.substitute(counters)

    body = []
    for i in nest.body:
        if i.op == "load":
            i = replace(i, data=(i.data[0], moved(i.data[1]), *i.data[2:]))
        elif i.op == "position":
            i = replace(i, data=moved(i.data))
        body.append(i)
    results = tuple(
        replace(r, place=moved(r.place), loops=tuple(axes.get(a, a) for a in r.loops)) for r in nest.results
    )
    extents = {axes.get(a, a): n for a, n in nest.extents.items()}
    return replace(nest, extents=extents, body=tuple(body), results=results)


def _matching(first: Nest, second: Nest) -> dict[int, int]:
    """Axes of the first nest -> axes of the second that walk through the same memory in the same steps."""
    same: dict[int, int] = {}
    written = [(r.buffer, r.place) for r in first.results]
    read = [(b, place) for b, place, _ in first.loads()]
    for pairs in (written, read):
        for b, place in pairs:
            for other, where, _ in second.loads():
                if other == b and b is not None and _meet(place.bounds(first.extents), where.bounds(second.extents)):
                    _match(first, second, place, where, same)
    return same


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two ranges have a number in common: different weights lie in one vector."""
    return a[0] <= b[1] and b[0] <= a[1]


def _match(first: Nest, second: Nest, place: Affine, where: Affine, same: dict[int, int]) -> None:
    for a, stride in place.terms:
        for c, other in where.terms:
            if stride == other and first.extents[a] == second.extents[c] and a not in same and c not in same.values():
                same[a] = c


def _orders(program: Program, first: Nest, second: Nest, same: Mapping[int, int]) -> Iterator[Nest]:
    """The first nest with its loops in the orders they may have."""
    loops = first.results[-1].loops
    if first.fused or any(r.loops != loops or r.n_reduced for r in first.results):
        yield first
        return
    wanted = [a for c in second.results[0].loops for a, d in same.items() if c == d]
    rest = [a for a in loops if a not in wanted]
    order = tuple(wanted + rest)
    touched = prod(first.extents.values()) * max(ITEM_BYTES[first.body[r.value].dtype] for r in first.results)
    if touched <= _CACHE_BYTES or order == loops:
        yield replace(first, results=tuple(replace(r, loops=order) for r in first.results))
    yield first


def _shared(first: Nest, second: Nest, prefix: tuple[int, ...], same: Mapping[int, int]) -> Nest | None:
    """The two nests with the loops ``prefix`` of the first's last result in common; None if that is not right."""
    if any(a not in same for a in prefix):
        return None
    second = _renamed(second, {same[a]: a for a in prefix})
    results = []
    for r in second.results:
        loops = _with_prefix(r, prefix)
        if loops is None or (second.fused and loops != r.loops):
            return None
        results.append(replace(r, loops=loops))
    second = replace(second, results=tuple(results))
    writers = {r.buffer: k for k, r in enumerate(first.results) if r.buffer is not None}
    readers = _readers(second)
    for k, i in enumerate(second.body):
        if i.op == "load" and i.data[0] in writers:
            writer = first.results[writers[i.data[0]]]
            if len(i.data) > 2 or not all(_follows(writer, i.data[1], r, first, second) for r in readers[k]):
                return None
    return _joined(first, second, writers, readers)


def _with_prefix(r: Result, prefix: tuple[int, ...]) -> tuple[int, ...] | None:
    """A result's loops with these as the outermost, kept ones before reduced ones; None if it cannot be."""
    if any(a not in r.loops for a in prefix):
        return None
    rest_kept = tuple(a for a in r.kept if a not in prefix)
    rest_reduced = tuple(a for a in r.loops[len(r.kept) :] if a not in prefix)
    order = (*prefix, *rest_kept, *rest_reduced)
    kept_first = all(a in r.kept for a in order[: len(r.kept)])
    return order if kept_first else None


def _readers(nest: Nest) -> list[list[Result]]:
    """For each instruction the results that depend on it."""
    found: list[list[Result]] = [[] for _ in nest.body]
    for r in nest.results:
        stack, seen = list(r.values), set[int]()
        while stack:
            k = stack.pop()
            if k not in seen:
                seen.add(k)
                found[k].append(r)
                stack.extend(_operands(nest, k))
    return found


def _operands(nest: Nest, k: int) -> tuple[int, ...]:
    i = nest.body[k]
    return nest.results[i.data].values if i.op == "fold" else i.values


def _common(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _follows(writer: Result, place: Affine, reader: Result, first: Nest, second: Nest) -> bool:
    """Whether what is read was written before, in the same iteration of the loops that writer and reader share."""
    shared = _common(writer.loops, reader.loops)
    if len(shared) > len(writer.kept):
        return False  # inside a reduction's own loops its result is not known yet
    if shared == writer.loops:
        return writer.place == place
    return same_iteration(writer.place, place, shared, {**first.extents, **second.extents})


def same_iteration(written: Affine, read: Affine, shared: Sequence[int], extents: Mapping[int, int]) -> bool:
    """Whether every element read is one that was written in the same iteration of the shared loops.

    Elements are numbered like digits: each shared loop counts in units of its stride, up to stride · extent; everything
    else must move below the smallest unit or in multiples of the largest range.
    """
    if any(written.stride(a) != read.stride(a) or written.stride(a) <= 0 for a in shared):
        return False
    if not shared:
        return True
    low = min(written.stride(a) for a in shared)
    high = max(written.stride(a) * extents[a] for a in shared)
    # the shared loops themselves must not leave gaps that others fill, nor meet in one element
    for a, b in pairwise(sorted(shared, key=lambda a: (written.stride(a), extents[a]))):
        if written.stride(b) != written.stride(a) * extents[a]:
            return False
    base = written.offset
    for place in (written, read):
        span_low = span_high = 0
        for a, stride in place.terms:
            if a in shared:
                continue
            reach = stride * (extents[a] - 1)
            if stride % high == 0:
                continue
            span_low, span_high = span_low + min(reach, 0), span_high + max(reach, 0)
        offset = (place.offset - base) % high
        if offset + span_low < 0 or offset + span_high >= low:
            return False
    return True


def _joined(first: Nest, second: Nest, writers: Mapping[int, int], readers: Sequence[Sequence[Result]]) -> Nest:
    """Both bodies as one; what the first computed is not read from memory where it is still in a register."""
    body = Body()
    for i in first.body:
        body.add(i.op, i.args, i.dtype, i.data)
    place: dict[int, int] = {}
    shift = len(first.results)
    for k, i in enumerate(second.body):
        if i.op == "load" and i.data[0] in writers:
            number = writers[i.data[0]]
            writer = first.results[number]
            if i.data[1] == writer.place and all(r.loops[: len(writer.kept)] == writer.kept for r in readers[k]):
                place[k] = writer.value if writer.kind == "store" else body.add("fold", (), i.dtype, number)
                continue
        moved = i.with_values(place)
        data = moved.data + shift if i.op == "fold" else moved.data
        place[k] = body.add(moved.op, moved.args, moved.dtype, data)
    added = tuple(r.with_values(place) for r in second.results)
    results = first.results + added
    extents = {**first.extents, **second.extents}
    used = {a for r in results for a in r.loops}
    fused = first.fused or second.fused or len({r.loops for r in results}) > 1 or any(r.n_reduced for r in results)
    return Nest(
        {a: n for a, n in extents.items() if a in used}, tuple(body.instructions), results, second.node, fused=fused
    )


# -- what is left over


def _pruned(program: Program) -> Program:
    """Without results that nobody reads, and without instructions that no result needs."""
    read = {b for s in program.steps for b in s.reads}
    steps = [_without(s, program, read) if isinstance(s, Nest) else s for s in program.steps]
    return replace(program, steps=tuple(s for s in steps if not isinstance(s, Nest) or s.results))


def _without(nest: Nest, program: Program, read: set[int]) -> Nest:
    folded = {i.data for i in nest.body if i.op == "fold"}
    kept: list[int] = []
    results: list[Result] = []
    for k, r in enumerate(nest.results):
        if r.buffer is not None and program.buffers[r.buffer].role == "arena" and r.buffer not in read:
            if k not in folded:
                continue
            r = replace(r, buffer=None)
        if r.buffer is None and k not in folded:
            continue
        kept.append(k)
        results.append(r)
    needed: set[int] = set()
    stack = [v for r in results for v in r.values]
    while stack:
        k = stack.pop()
        if k not in needed:
            needed.add(k)
            stack.extend(_operands(nest, k))
    if len(needed) == len(nest.body) and tuple(results) == nest.results:
        return nest
    number = {old: new for new, old in enumerate(sorted(needed))}
    order = {old: new for new, old in enumerate(kept)}
    body = []
    for k in sorted(needed):
        i = nest.body[k].with_values(number)
        body.append(replace(i, data=order[i.data]) if i.op == "fold" else i)
    moved = tuple(r.with_values(number) for r in results)
    used = {a for r in moved for a in r.loops}
    return replace(nest, extents={a: n for a, n in nest.extents.items() if a in used}, body=tuple(body), results=moved)


# -- local arrays

#: bytes of the widest vector, which one position of a local array may be, and of all local arrays of a nest
_VECTOR, _MOST_LOCAL = 64, 1 << 18


def contracted(program: Program) -> Program:
    """Arrays that only one nest uses, iteration by iteration of its shared loops, become small local ones.

    Those of a nest take at most `_MOST_LOCAL` bytes: threads may have as little stack as half a megabyte.
    """
    users: dict[int, list[int]] = {}
    for k, s in enumerate(program.steps):
        for b in s.reads | s.writes:
            users.setdefault(b, []).append(k)
    steps, buffers = list(program.steps), list(program.buffers)
    taken = dict.fromkeys(range(len(steps)), 0)
    for b, where in users.items():
        step = steps[where[0]]
        if len(where) > 1 or buffers[b].role != "arena" or not isinstance(step, Nest):
            continue
        found = _contracted(step, b)
        if found is not None and taken[where[0]] + found[1] * _VECTOR <= _MOST_LOCAL:
            steps[where[0]], size = found
            taken[where[0]] += size * _VECTOR
            buffers[b] = replace(buffers[b], role="local", size=size)
    return replace(program, steps=tuple(steps), buffers=tuple(buffers))


def _contracted(nest: Nest, b: int) -> tuple[Nest, int] | None:
    writers = [r for r in nest.results if r.buffer == b]
    reads = [k for k, i in enumerate(nest.body) if i.op == "load" and i.data[0] == b]
    if len(writers) != 1 or not reads or any(len(nest.body[k].data) > 2 for k in reads):
        return None
    shared = writers[0].kept
    users = _readers(nest)
    for k in reads:
        for r in users[k]:
            shared = _common(shared, r.loops)
    if not shared:
        return None
    places = [writers[0].place, *(nest.body[k].data[1] for k in reads)]
    inner = []
    for place in places:
        if any(place.stride(a) != places[0].stride(a) for a in shared):
            return None
        inner.append(Affine(place.offset, tuple(t for t in place.terms if t[0] not in shared)))
    bounds = [p.bounds(nest.extents) for p in inner]
    low, high = min(x for x, _ in bounds), max(x for _, x in bounds)
    if high - low >= min((abs(places[0].stride(a)) for a in shared), default=0):
        return None
    moved = dict(zip(reads, (p + -low for p in inner[1:]), strict=True))
    body = tuple(replace(i, data=(b, moved[k])) if k in moved else i for k, i in enumerate(nest.body))
    results = tuple(replace(r, place=inner[0] + -low) if r.buffer == b else r for r in nest.results)
    local = {**nest.local, b: shared}
    return replace(nest, body=body, results=results, local=local), high - low + 1
