"""Random steps run by teams of threads. ``python tests/native/random_teams.py 1000`` tries that many.

Every step is shared, however small. The bits must be those of one thread, and between two waits no member of the team
may touch a byte that another one writes, as the loops that are emitted have it.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations

import numpy as np
from random_programs import Maker, campaign

from chainrule.calculus import grad
from chainrule.errors import ChainruleError
from chainrule.graph.trace import Traced, trace
from chainrule.native import team as team_module
from chainrule.native.affine import Affine
from chainrule.native.epilogue import COLUMN, ROW
from chainrule.native.loop import compile_loop
from chainrule.native.nests import ITEM_BYTES, Nest
from chainrule.native.steps import ProductStep
from chainrule.native.target import Target
from chainrule.native.team import cut_nest

WIDTHS = (1, 2, 3, 5, 8, 9, 16, 17, 33)
BATCHES = (4, 8, 16, 17, 33)
_MOST_COMPARED = 200_000  # bytes per step: larger ones are left to the comparison of bits


@contextmanager
def everything_is_shared(fewest_rows: int = 1) -> Iterator[None]:
    """Thresholds of `chainrule.native.team` out of the way."""
    names = ("_SHORTEST_STEP", "_SHORTEST_STRETCH", "_FEWEST_ROWS")
    before = [getattr(team_module, n) for n in names]
    try:
        for name, value in zip(names, (0, 0, fewest_rows), strict=True):
            setattr(team_module, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(team_module, name, value)


def build_step(integer, dtype):
    """A random step as (graph, carry, data): weights of odd shapes, products, whatever `Maker` makes, an update."""
    maker = Maker(integer)
    batch, rng = maker.pick(BATCHES), np.random.default_rng(integer(0, 5))
    width, hidden = maker.pick(WIDTHS), maker.pick(WIDTHS)
    shapes = [
        (width, hidden),
        (hidden, maker.pick(WIDTHS)),
        (maker.pick(WIDTHS), maker.pick(WIDTHS), maker.pick((2, 3))),
    ]
    weights = [(rng.normal(size=s) * 0.5).astype(dtype) for s in shapes]
    state = [np.zeros_like(w) for w in weights]
    rows = rng.normal(size=(3 * batch + 1, width)).astype(dtype)
    length, with_gradient, library = integer(2, 10), integer(0, 3) > 0, integer(0, 5) == 0

    def values(x, *ws):
        pool = [x @ ws[0], np.tanh(x @ ws[0]) @ ws[1], *ws]
        for _ in range(length):
            maker.grow(pool)
        if library:
            pool.append(np.linalg.solve(ws[0].T @ ws[0] + np.eye(hidden, dtype=dtype), ws[1]))
        return pool[-4:]

    def loss(x, *ws):
        return sum(np.mean(np.sin(v) * 0.5) if v.size else np.sum(v) for v in values(x, *ws))

    def step(*args):
        ws, ms, x = args[:3], args[3:6], args[6]
        if with_gradient:
            gs = grad(loss, (1, 2, 3))(x, *ws)
        else:
            made = values(x, *ws)
            gs = [sum((np.sum(np.tanh(v)) * 0.1 for v in made), start=w * 0.1) for w in ws]
        ms = [0.9 * m + g for m, g in zip(ms, gs, strict=True)]
        ws = [w - 0.1 * m / (np.sqrt(np.square(m)) + 1.0) for w, m in zip(ws, ms, strict=True)]
        outs = [(v if isinstance(v, Traced) else np.asarray(v)).astype(dtype) for v in (*ws, *ms)]
        return (*outs, np.sum(x[:, 0]), np.sum(ws[0]))

    carry = [*weights, *state]
    return trace(step, *carry, rows[:batch]), carry, [rows], batch


def same_bits(step, threads=(1, 2, 3, 4), repetitions=2):
    """Compare teams; returns how many steps were shared."""
    graph, carry, data, batch = step
    order = np.random.default_rng(0).permutation(len(data[0]))
    want, shared = None, 0
    for members in threads:
        loop = compile_loop(graph, len(carry), 0, batch, threads=members)
        shared += len(loop.team.shares)
        if members > 1:
            no_races(loop.plan)
        for _ in range(repetitions):
            new, sums = loop(carry, [], data, order)
            got = [*(v.tobytes() for v in new), sums.tobytes()]
            want = got if want is None else want
            assert got == want, f"{members} threads: {[a == b for a, b in zip(got, want, strict=True)]}\n{loop.program}"
    return shared


# -- who touches what


def no_races(plan):
    """Fail if between two waits a member touches a byte that another writes."""
    steps, team = plan.program.steps, plan.team
    touched = [[_touched(plan, k, member) for member in range(team.members)] for k in range(len(steps))]
    for k in range(len(steps)):
        for p in range(k, -1, -1):  # with itself, too
            for one, other in permutations(range(team.members), 2):
                both = _common(touched[p][one], touched[k][other])
                assert not both, f"steps {p}, {k}; members {one}, {other}; {both}\n{team}\n{steps[p]}\n{steps[k]}"
            if p in team.waits:
                break


def _common(first, second):
    """Bytes that both touch and one writes, and in which memory."""
    if first is None or second is None:
        return []
    pairs = ((first[1], second[0]), (first[1], second[1]), (first[0], second[1]))
    shared = [(m, np.intersect1d(a[m], b[m])) for a, b in pairs for m in a.keys() & b.keys()]
    return [(memory, found) for memory, found in shared if found.size]


def _touched(plan, k, member):
    """Bytes a member reads and writes in a step: {memory: addresses}, twice; None: too many to compare."""
    program, team, step = plan.program, plan.team, plan.program.steps[k]
    found = ({}, {})
    share = team.shares.get(k)
    if share is None and member:
        return found
    cuts = share.cuts(team.members) if share else []

    def add(kind, b, places):
        buffer = program.buffers[b]
        if buffer.role in ("data", "order", "constant", "status", "local"):
            return
        item = ITEM_BYTES[buffer.dtype]
        start = plan.memory.offsets.get(b, 0) if buffer.role == "arena" else 0
        memory = "arena" if buffer.role == "arena" else (buffer.role, buffer.number)
        addresses = np.unique((start + item * places[:, None] + np.arange(item)).ravel())
        found[kind][memory] = np.union1d(found[kind].get(memory, np.zeros(0, int)), addresses)

    def walk(place, extents, axis):
        places = np.array([place.offset])
        for a, stride in place.terms:
            span = np.arange(cuts[member], cuts[member + 1]) if a == axis and share else np.arange(extents[a])
            places = np.unique((places[:, None] + stride * span).ravel())
        if axis is not None and share and axis in extents and cuts[member] == cuts[member + 1]:
            return places[:0]
        return places

    def nest_places(nest, axis):
        for b, place, *parts in (i.data for i in nest.body if i.op == "load"):
            add(0, b, moved(walk(place, nest.extents, axis), parts))
        for r in nest.results:
            if r.buffer is not None:
                for kind in (0, 1) if r.kind == "add" else (1,):
                    add(kind, r.buffer, moved(walk(r.place, nest.extents, axis), r.indirect))

    def moved(places, parts):
        """To wherever the indices that are read at run time may point."""
        for part in parts:
            places = np.unique((places[:, None] + part.stride * np.arange(part.size)).ravel())
        return places

    if sum(program.buffers[b].bytes for b in step.reads | step.writes) > _MOST_COMPARED:
        return None
    if isinstance(step, Nest):
        nest, axis = cut_nest(step, team.members, Target.host()) if share else (step, None)
        nest_places(nest, axis)
    elif isinstance(step, ProductStep) and not step.batch:
        m, n, terms = step.sizes
        extents = {ROW: m, COLUMN: n, 2: terms}
        axis = None if share is None else COLUMN if share.columns else ROW
        for kind, p, (i, j) in ((0, step.a, (ROW, 2)), (0, step.b, (2, COLUMN)), (1, step.c, (ROW, COLUMN))):
            place = Affine(p.offset) + Affine.of(i, p.strides[0]) + Affine.of(j, p.strides[1])
            add(kind, p.buffer, walk(place, extents, axis))
        if step.epilogue is not None:
            nest_places(step.epilogue, axis)
    else:
        for b in step.reads:
            add(0, b, np.arange(program.buffers[b].size))
        for b in step.writes:
            add(1, b, np.arange(program.buffers[b].size))
    return found


def shares_well(seed):
    """The same bits for any team; False if the step was refused while recording."""
    generator = random.Random(seed)
    with everything_is_shared(generator.choice((1, 2, 8))):
        try:
            step = build_step(generator.randint, ("float32", "float64")[seed % 2])
        except ChainruleError:
            return False
        same_bits(step)
        return True


if __name__ == "__main__":
    sys.exit(campaign(shares_well, *map(int, sys.argv[1:])) > 0)
