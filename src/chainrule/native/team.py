"""Which steps of a program a team of threads shares, in what order, and where its members wait for each other.

A step is cut along its outermost loop (of a product, the rows of C) at places that depend on shapes and the size of the
team alone; every number is computed whole by one member and in the same order of operations, so the bits of the results
do not depend on how many members there are. Steps that walk along the rows of a mini-batch are all cut at the same
rows: then a member reads what it has itself written, from its own cache and without waiting. Members wait only where a
step touches memory that another member's step has touched since they last waited. Small steps are left to member 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from chainrule.native.affine import Affine
from chainrule.native.epilogue import COLUMN, ROW
from chainrule.native.fuse import same_iteration
from chainrule.native.inplace import conflict
from chainrule.native.nests import Nest, Result
from chainrule.native.plan import MemoryPlan
from chainrule.native.products import ProductPlan
from chainrule.native.schedule import estimate, lanes_of, order_of_sums, schedule
from chainrule.native.steps import ProductStep, Program, Step
from chainrule.native.target import Target
from chainrule.native.threads import available_cores

MOST_MEMBERS = 8
# A wait costs half a microsecond if every member has a core, and much more if not: work must be long compared to it.
_SHORTEST_STEP = 500  # cycles
_SHORTEST_STRETCH = 25_000  # cycles between two waits, on average, of one thread alone
_FEWEST_ROWS = 8
_CYCLES_PER_SECOND = 2.5e9

_CUT = -1
"""Number given to the axis along which a step is cut, so that those of two steps compare."""


@dataclass(frozen=True)
class Share:
    """How a step is cut.

    Parameters
    ----------
    extent, unit : int
        Of the loop that is cut: how often it runs, and the multiples at which it is cut.
    columns : bool
        Of a product: whether it is cut along columns instead of rows.
    merged : bool
        Of a nest: whether the loop is not the outermost of the original ones, but several in one, or another.
    """

    extent: int
    unit: int
    columns: bool = False
    merged: bool = False

    def fits(self, other: Share) -> bool:
        """Whether the members' parts of two steps are the same iterations."""
        return (self.extent, self.unit) == (other.extent, other.unit) and not (self.merged or other.merged)

    def cuts(self, members: int) -> list[int]:
        """Where each member's part starts, and at last where all end; as `chainrule.native.threads.share` has it."""
        units = -(-self.extent // self.unit)
        return [min(self.extent, self.unit * (units * c // members)) for c in range(members + 1)]


@dataclass(frozen=True)
class TeamPlan:
    """How a team works.

    Parameters
    ----------
    members : int
        1: nothing is shared. Else that many, or one alone, may run it.
    shares : mapping of int to Share
        Steps all members take part in; the others are done by member 0.
    waits : frozenset of int
        Steps before which all wait for each other. They also do at the end.
    """

    members: int
    shares: Mapping[int, Share]
    waits: frozenset[int]

    def __str__(self) -> str:
        if self.members == 1:
            return "one thread"
        steps = ", ".join(map(str, self.shares))
        return f"{self.members} threads share steps {steps}; {len(self.waits) + 1} waits"


ALONE = TeamPlan(1, {}, frozenset())


def team_of(
    program: Program, plans: Mapping[int, ProductPlan], target: Target, most: int | None = None
) -> tuple[Program, int]:
    """The program with its steps in an order that lets threads wait seldom, and how many they should be.

    At most so many as given (default: the cores there are); one, if the work is too little to be shared.
    """
    members = min(MOST_MEMBERS, available_cores() if most is None else most)
    if members < 2:
        return program, 1
    order = _ordered(program, shares_of(program, plans, target, members))
    steps = tuple(program.steps[k] for k in order)
    moved = replace(program, steps=steps)
    plans = {new: plans[old] for new, old in enumerate(order) if old in plans}
    shares = shares_of(moved, plans, target, members)
    waits = list(_waits(moved, None, shares))
    work = sum(cycles(k, moved.steps[k], plans, target) for k in shares)
    return (moved, members) if work >= _SHORTEST_STRETCH * (len(waits) + 1) else (program, 1)


def plan_team(
    program: Program, memory: MemoryPlan | None, plans: Mapping[int, ProductPlan], target: Target, members: int
) -> TeamPlan:
    """Who does what, and where to wait; the latter is final once it is known which values share memory."""
    if members == 1:
        return ALONE
    shares = shares_of(program, plans, target, members)
    return TeamPlan(members, shares, frozenset(_waits(program, memory, shares)))


def shares_of(program: Program, plans: Mapping[int, ProductPlan], target: Target, members: int) -> dict[int, Share]:
    """The steps that are worth sharing and may be."""
    found = {}
    for k, step in enumerate(program.steps):
        if cycles(k, step, plans, target) >= _SHORTEST_STEP:
            share = _share_of_product(step, members, plans[k].lanes) if isinstance(step, ProductStep) else None
            if isinstance(step, Nest):
                share = _share_of_nest(step, members, target)
            if share is not None:
                found[k] = share
    return found


def _share_of_product(step: ProductStep, members: int, lanes: int) -> Share | None:
    m, n, _ = step.sizes
    if step.batch:
        return None
    if m >= _FEWEST_ROWS * members:
        return Share(m, 1)
    return Share(n, 2 * lanes, columns=True) if n >= 2 * lanes * members else None


def _share_of_nest(nest: Nest, members: int, target: Target) -> Share | None:
    planned, axis = cut_nest(nest, members, target)
    if axis is None:
        return None
    unit = lanes_of(planned, target) if axis in planned.vector else 1
    same = axis == _outermost(nest) and nest.extents[axis] == planned.extents[axis]
    return Share(planned.extents[axis], unit, merged=not same)


def _outermost(nest: Nest) -> int | None:
    """The axis of an array's rows, before loops are merged and put in order."""
    return next(iter(nest.results[0].loops if nest.fused else nest.extents), None)


def cut_nest(nest: Nest, members: int, target: Target) -> tuple[Nest, int | None]:
    """A nest scheduled, and the outermost loop if its iterations have nothing to do with each other.

    The rows of an array are cut as such, not merged with other loops, if there are enough of them and one thread alone
    adds up in the same order.
    """
    alone = schedule(nest, target)
    rows = _outermost(nest)
    for apart in (rows, None) if rows is not None and nest.extents[rows] >= _FEWEST_ROWS * members else (None,):
        planned = alone if apart is None else schedule(nest, target, apart)
        axis = next(iter(planned.results[0].loops), None)
        if axis is None or apart not in (axis, None) or not all(_cut_at(r, axis) for r in planned.results):
            continue
        if order_of_sums(planned, target) == order_of_sums(alone, target):
            return planned, axis
    return alone, None


def _cut_at(r: Result, axis: int) -> bool:
    return r.kept[:1] == (axis,) and r.kind != "add"


def cycles(k: int, step: Step, plans: Mapping[int, ProductPlan], target: Target) -> float:
    """How long a step takes one thread, about."""
    if isinstance(step, ProductStep):
        total = plans[k].cycles
        for extent, *_ in step.batch:
            total *= extent
        return total if step.epilogue is None else total + estimate(step.epilogue, target)
    return estimate(step, target) if isinstance(step, Nest) else 0.0


def estimated_seconds(program: Program, plans: Mapping[int, ProductPlan], target: Target) -> float:
    """How long a program takes one thread, about."""
    return sum(cycles(k, s, plans, target) for k, s in enumerate(program.steps)) / _CYCLES_PER_SECOND


# -- order


def _ordered(program: Program, shares: Mapping[int, Share]) -> list[int]:
    """Steps as they come, but those first that can go on without waiting."""
    left = list(range(len(program.steps)))
    order: list[int] = []
    pending: list[int] = []
    while left:
        ready = [
            k for n, k in enumerate(left) if not any(conflict(program.steps[p], program.steps[k]) for p in left[:n])
        ]
        free = [k for k in ready if not _must_wait(program, None, shares, pending, k)]
        if not free:
            pending = []
            continue
        order.append(free[0])
        pending.append(free[0])
        left.remove(free[0])
    return order


# -- waits


def _waits(program: Program, memory: MemoryPlan | None, shares: Mapping[int, Share]) -> Iterator[int]:
    pending: list[int] = []  # steps since the last wait
    for k in range(len(program.steps)):
        if _must_wait(program, memory, shares, pending, k):
            yield k
            pending = []
        pending.append(k)


def _must_wait(
    program: Program, memory: MemoryPlan | None, shares: Mapping[int, Share], pending: list[int], k: int
) -> bool:
    """Whether a member's part of step k touches what another member may just have touched."""
    others = pending if k in shares else [p for p in pending if p in shares]
    return any(_meet(program, memory, shares, p, k) for p in others)


def _meet(program: Program, memory: MemoryPlan | None, shares: Mapping[int, Share], p: int, k: int) -> bool:
    first, second = program.steps[p], program.steps[k]
    if memory is not None and _overlap(program, memory, first, second):
        return True
    common = (first.writes & (second.reads | second.writes)) | (first.reads & second.writes)
    if not common:
        return False
    fit = p in shares and k in shares and shares[p].fits(shares[k])
    before, after = _walks(first, shares.get(p)), _walks(second, shares.get(k))
    return any(not (_apart(w, v) or (fit and _same_part(w, v))) for b in common for w in before[b] for v in after[b])


@dataclass(frozen=True)
class _Walk:
    """The places in a buffer that a step touches; the axis along which it is cut has the number `_CUT`.

    ``anywhere``: beside those of ``place``, any others.
    """

    place: Affine
    extents: dict[int, int]
    anywhere: bool = False


def _apart(walk: _Walk, other: _Walk) -> bool:
    """Whether two walks stay in parts of a buffer that do not meet: gradients of different weights, say."""
    if walk.anywhere or other.anywhere:
        return False
    low, high = walk.place.bounds(walk.extents)
    other_low, other_high = other.place.bounds(other.extents)
    return high < other_low or other_high < low


def _same_part(walk: _Walk, other: _Walk) -> bool:
    """Whether each member's parts of two walks meet only each other."""
    return same_iteration(walk.place, other.place, (_CUT,), {**walk.extents, **other.extents})


def _walks(step: Step, share: Share | None) -> dict[int, list[_Walk]]:
    """For each buffer the places a step touches."""
    found: dict[int, list[_Walk]] = {b: [] for b in step.reads | step.writes}
    if isinstance(step, ProductStep):
        m, n, k = step.sizes
        by_columns = share is not None and share.columns
        row, column = (100, _CUT) if by_columns else (_CUT, 100)
        extents = {row: m, column: n, 101: k}
        for p, i, j in ((step.a, row, 101), (step.b, 101, column), (step.c, row, column)):
            place = Affine(p.offset) + Affine.of(i, p.strides[0]) + Affine.of(j, p.strides[1])
            found[p.buffer].append(_Walk(place, extents, anywhere=bool(step.batch)))
        if step.epilogue is not None:
            _walks_of_nest(step.epilogue, COLUMN if by_columns else ROW, found)
    elif isinstance(step, Nest):
        _walks_of_nest(step, _outermost(step), found)
    else:
        for walks in found.values():
            walks.append(_Walk(Affine(), {}, anywhere=True))
    return found


def _walks_of_nest(nest: Nest, axis: int | None, found: dict[int, list[_Walk]]) -> None:
    names = {a: _CUT if a == axis else 200 + a for a in nest.extents}
    extents = {names[a]: n for a, n in nest.extents.items()}
    moved = {a: Affine.of(name) for a, name in names.items()}
    touched = [(b, place, indirect) for b, place, indirect in nest.loads()]
    touched += [(r.buffer, r.place, bool(r.indirect)) for r in nest.results if r.buffer is not None]
    for b, place, indirect in touched:
        if b not in nest.local:
            anywhere = place if axis is None or not indirect else place.without(axis)
            found[b].append(_Walk(anywhere.substitute(moved), extents, indirect))


def _overlap(program: Program, memory: MemoryPlan, first: Step, second: Step) -> bool:
    """Whether two steps use the same memory for different values, one of them to write."""
    for some, others in ((first.writes, second.reads | second.writes), (first.reads, second.writes)):
        for a in some:
            for b in others:
                if a != b and program.buffers[a].role == program.buffers[b].role == "arena":
                    start, other = memory.offsets.get(a, 0), memory.offsets.get(b, 0)
                    if start < other + program.buffers[b].bytes and other < start + program.buffers[a].bytes:
                        return True
    return False
