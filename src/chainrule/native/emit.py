"""A program as an LLVM module: one function per nest and product, and one that runs them in order.

``int32 run(void **table, void *arena)``: the table holds the addresses of inputs, outputs and constants; see `Slots`.
``int32 epoch(int64 member, int64 members, void **table, void *arena, int64 batches, void *barrier)``: run once per
batch, by one thread or by a team of them that call it together.
``int32 blocks(void **table, void *arena, int64 rows, int64 *counters, int64 patience)``: run for every block of rows
that nobody has taken yet: the first counter counts those taken, so threads that call it together, each with an arena of
its own, share the blocks; the one at ``AT_WORK`` counts the threads inside. Waits for these to leave, ``patience``
looks at most.

0 is success, a positive number is 1 + the position in the graph of the node whose index was out of bounds, a negative
one says that the external ``int32 library(int32 step, void **table, void *arena)`` failed, which computes a step by its
NumPy meaning. After a failure the rest of the steps still run, on whatever numbers there are: the members of a team
must meet at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

from llvmlite import ir

from chainrule.native import code
from chainrule.native.barrier import emit_barrier, emit_wait_for_zero, share
from chainrule.native.emit_memory import storage_type
from chainrule.native.emit_nest import define_nest
from chainrule.native.emit_product import define_product_with
from chainrule.native.frame import AT_WORK, BLOCKS, EPOCH, LIBRARY, LIBRARY_DONE, RUN, Slots
from chainrule.native.nests import Nest
from chainrule.native.plan import MemoryPlan
from chainrule.native.products import Product, ProductPlan, define_product, plan_product
from chainrule.native.scalar_ops import declared, llvm_type
from chainrule.native.schedule import lanes_of, schedule
from chainrule.native.steps import LibraryStep, ProductStep, Program, matrix_form
from chainrule.native.subnormals import Rounding, flush_subnormals
from chainrule.native.target import Target
from chainrule.native.team import ALONE, Share, TeamPlan, cut_nest

_I32 = ir.IntType(32)
_BYTE = ir.IntType(8)


def emit_blocks(
    program: Program,
    memory: MemoryPlan,
    plans: Mapping[int, ProductPlan],
    target: Target,
    block: int,
    at_once: int = 1,
) -> ir.Module:
    """The module of a program with the function ``blocks``, which takes ``at_once`` of them at a time."""
    emitter = _Emitter(program, memory, plans, target, ALONE)
    types = [code.POINTER, code.POINTER, code.INDEX, code.POINTER, code.INDEX]
    function = ir.Function(emitter.module, ir.FunctionType(_I32, types), BLOCKS)
    table, arena, rows, counter, patience = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    at_work = code.address(builder, counter, AT_WORK, code.INDEX)
    builder.atomic_rmw("add", at_work, code.index(1), "seq_cst")
    emitter.begin(builder, table, arena, emitter.slot(builder, table, "status"))
    tables = {
        b: (emitter.addresses[b], buffer.size // block, storage_type(buffer.dtype))
        for b, buffer in enumerate(program.buffers)
        if buffer.role in ("data", "output")
    }
    if any(isinstance(s, LibraryStep) for s in program.steps):  # these find their arrays by a table of their own
        emitter.table = code.stack(builder, code.POINTER, emitter.slots.length)
        for k in range(emitter.slots.length):
            address = builder.load(code.address(builder, table, k, code.POINTER), typ=code.POINTER)
            builder.store(address, code.address(builder, emitter.table, k, code.POINTER))
    last = builder.sub(rows, code.index(block))
    count = builder.udiv(builder.add(rows, code.index(block - 1)), code.index(block))
    take, work, done = (function.append_basic_block(name) for name in ("take", "work", "done"))
    builder.branch(take)
    builder.position_at_end(take)
    low = builder.atomic_rmw("add", counter, code.index(at_once), "seq_cst")
    builder.cbranch(builder.icmp_signed("<", low, count), work, done)
    builder.position_at_end(work)
    high = builder.add(low, code.index(at_once))
    high = builder.select(builder.icmp_signed("<", high, count), high, count)
    with code.loop(builder, low, high, 1, "block") as number:
        wanted = code.multiply(builder, number, block)
        start = builder.select(builder.icmp_signed("<", wanted, last), wanted, last)
        for b, (base, width, element) in tables.items():
            emitter.addresses[b] = code.address(builder, base, code.multiply(builder, start, width), element)
            if emitter.table is not table:
                place = emitter.slots[program.buffers[b].role] + program.buffers[b].number
                builder.store(emitter.addresses[b], code.address(builder, emitter.table, place, code.POINTER))
        emitter.steps()
    builder.branch(take)
    builder.position_at_end(done)
    builder.atomic_rmw("sub", at_work, code.index(1), "seq_cst")
    emit_wait_for_zero(builder, at_work, patience, target)
    builder.ret(builder.load(emitter.status, typ=_I32))
    return emitter.module


def product_plans(program: Program, target: Target) -> dict[int, ProductPlan]:
    """The plan of every product step."""
    return {k: product_plan(s, target) for k, s in enumerate(program.steps) if isinstance(s, ProductStep)}


def product_plan(step: ProductStep, target: Target, rows: int | None = None, columns: int | None = None) -> ProductPlan:
    """The plan of a product, or of that many of its rows or columns."""
    m, n, k = step.sizes
    a, b = matrix_form(step.a.strides, (m, k)), matrix_form(step.b.strides, (k, n))
    assert a is not None
    assert b is not None
    ldc = max(step.c.strides[0], n) if m > 1 else n
    product = Product(m, n, k, step.dtype, a[0], b[0], a[1], b[1], ldc)
    return plan_product(replace(product, m=rows or m, n=columns or n), target)


def scratch_bytes(
    program: Program, plans: Mapping[int, ProductPlan], target: Target, team: TeamPlan | None = None
) -> int:
    """Memory that each member of a team needs for the products it works on."""
    needed = [0]
    for k, plan in plans.items():
        step = program.steps[k]
        assert isinstance(step, ProductStep)
        if team is None or k not in team.shares:
            needed.append(plan.scratch_bytes)
        else:
            needed += [p.scratch_bytes for _, p in _pieces(step, team.shares[k], team.members, target)]
    return max(needed)


def _pieces(step: ProductStep, cut: Share, members: int, target: Target) -> list[tuple[int, ProductPlan]]:
    """Each member's part of a product: where it starts, and its plan."""
    kind = "columns" if cut.columns else "rows"
    cuts = cut.cuts(members)
    return [(low, product_plan(step, target, **{kind: high - low})) for low, high in pairwise(cuts) if high > low]


def emit_run(program: Program, memory: MemoryPlan, plans: Mapping[int, ProductPlan], target: Target) -> ir.Module:
    """The module of a program with the function ``run``."""
    emitter = _Emitter(program, memory, plans, target, ALONE)
    function = ir.Function(emitter.module, ir.FunctionType(_I32, [code.POINTER, code.POINTER]), RUN)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    status = builder.alloca(_I32)
    builder.store(_I32(0), status)
    table, arena = function.args
    emitter.begin(builder, table, arena, status)
    emitter.steps()
    builder.ret(builder.load(status, typ=_I32))
    return emitter.module


def emit_epoch(
    program: Program,
    memory: MemoryPlan,
    plans: Mapping[int, ProductPlan],
    target: Target,
    team: TeamPlan,
    batch_size: int,
) -> ir.Module:
    """The module of a program with the function ``epoch``."""
    emitter = _Emitter(program, memory, plans, target, team)
    types = [code.INDEX, code.INDEX, code.POINTER, code.POINTER, code.INDEX, code.POINTER]
    function = ir.Function(emitter.module, ir.FunctionType(_I32, types), EPOCH)
    member, members, table, arena, batches, barrier = function.args
    for argument, name in zip(
        function.args, ("member", "members", "table", "arena", "batches", "barrier"), strict=True
    ):
        argument.name = name
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    status = emitter.slot(builder, table, "status")
    emitter.begin(builder, table, arena, status)
    emitter.member, emitter.members, emitter.barrier = member, members, barrier
    order = next(b for b, buffer in enumerate(program.buffers) if buffer.role == "order")
    rows = emitter.addresses[order]
    emitter.rounding = flush_subnormals(builder, target)
    with code.loop(builder, 0, batches, 1, "batch") as batch:
        emitter.addresses[order] = code.address(builder, rows, code.multiply(builder, batch, batch_size), code.INDEX)
        emitter.steps()
        emitter.wait()
        failed = builder.icmp_signed("!=", builder.load(status, typ=_I32), _I32(0))
        with builder.if_then(failed, likely=False):
            emitter.rounding.restore(builder)
            builder.ret(builder.load(status, typ=_I32))
    emitter.rounding.restore(builder)
    builder.ret(_I32(0))
    return emitter.module


def _buffers_of(step: ProductStep) -> list[int]:
    """Buffers that a product's epilogue touches."""
    return [] if step.epilogue is None else sorted(step.epilogue.reads | step.epilogue.writes)


class _Emitter:
    def __init__(
        self,
        program: Program,
        memory: MemoryPlan,
        plans: Mapping[int, ProductPlan],
        target: Target,
        team: TeamPlan,
    ) -> None:
        self.program, self.memory, self.plans, self.target, self.team = program, memory, plans, target, team
        self.module = ir.Module("program")
        self.slots = Slots.of(program)
        self.known: dict[str, ir.Function] = {}
        self.addresses: dict[int, ir.Value] = {}
        self.member: ir.Value = code.index(0)
        self.members: ir.Value = code.index(1)
        self.barrier: ir.Value | None = None
        self.rounding = Rounding()

    def begin(self, builder: ir.IRBuilder, table: ir.Value, arena: ir.Value, status: ir.Value) -> None:
        """Find all buffers."""
        self.builder, self.table, self.arena, self.status = builder, table, arena, status
        for number, buffer in enumerate(self.program.buffers):
            if buffer.role in ("arena", "local"):
                place = self.memory.offsets.get(number, 0)
                self.addresses[number] = code.address(builder, arena, place, _BYTE)
            else:
                self.addresses[number] = self.slot(builder, table, buffer.role, buffer.number)

    def slot(self, builder: ir.IRBuilder, table: ir.Value, role: str, number: int = 0) -> ir.Value:
        """An address in the table."""
        return builder.load(code.address(builder, table, self.slots[role] + number, code.POINTER), typ=code.POINTER)

    # -- the steps

    def steps(self) -> None:
        """All steps, once."""
        k = 0
        while k < len(self.program.steps):
            if k in self.team.waits:
                self.wait()
            if self.team.members == 1 or k in self.team.shares:
                self.step(k)
                k += 1
                continue
            with self.builder.if_then(self.builder.icmp_signed("==", self.member, code.index(0))):
                alone = True
                while alone:
                    self.step(k)
                    k += 1
                    alone = k < len(self.program.steps) and not (k in self.team.shares or k in self.team.waits)

    def wait(self) -> None:
        """Wait for the rest of the team, if there is one."""
        if self.team.members > 1:
            assert self.barrier is not None
            emit_barrier(self.builder, self.barrier, self.members)

    def step(self, k: int) -> None:
        step = self.program.steps[k]
        with self._measured(k):
            if isinstance(step, Nest):
                self.nest(k, step)
            elif isinstance(step, ProductStep):
                self.product(k, step)
            else:
                self.call_library(k)

    @contextmanager
    def _measured(self, k: int) -> Iterator[None]:
        """Add the cycles a step takes member 0 to a counter of its own, if there is a buffer of role ``clock``."""
        clock = next((b for b, buffer in enumerate(self.program.buffers) if buffer.role == "clock"), None)
        if clock is None:
            yield
            return
        now = declared(self.builder, "llvm.readcyclecounter", code.INDEX)
        start = self.builder.call(now, [])
        yield
        counter = code.address(self.builder, self.addresses[clock], k, code.INDEX)
        spent = self.builder.sub(self.builder.call(now, []), start)
        with self.builder.if_then(self.builder.icmp_signed("==", self.member, code.index(0))):
            self.builder.store(self.builder.add(self.builder.load(counter, typ=code.INDEX), spent), counter)

    def _name(self, kind: str, node: int) -> str:
        """A name that tells what a function computes."""
        return f"{kind}{len(self.known)}_{self.program.graph.nodes[node].primitive.name}"

    def nest(self, k: int, step: Nest) -> None:
        order = sorted(step.reads | step.writes)
        own = {b: k for k, b in enumerate(order)}
        roles = ["local" if b in step.local else "arena" for b in order]
        buffers = [replace(self.program.buffers[b], role=r, number=0) for b, r in zip(order, roles, strict=True)]
        local, axis = step.renumbered(own), None
        if k in self.team.shares:
            local, axis = cut_nest(local, self.team.members, self.target)
        else:
            local = schedule(local, self.target)
        lanes = lanes_of(local, self.target)
        key = f"{local}\n{buffers}\n{axis}"
        if key not in self.known:
            name = self._name("nest", step.node)
            self.known[key] = define_nest(self.module, name, local, buffers, lanes, axis, self.target.fma)
        arguments = [*(self.addresses[b] for b in order if b not in step.local), self.status]
        if axis is not None:
            unit = lanes if axis in local.vector else 1
            arguments += share(self.builder, local.extents[axis], unit, self.member, self.members)
        self.builder.call(self.known[key], arguments)

    def product(self, k: int, step: ProductStep) -> None:
        element = llvm_type(step.dtype)
        starts = [
            code.address(self.builder, self.addresses[p.buffer], p.offset, element) for p in (step.a, step.b, step.c)
        ]
        own = code.multiply(self.builder, self.member, self.memory.scratch_bytes)
        scratch = code.address(self.builder, self.arena, code.add(self.builder, own, self.memory.scratch), _BYTE)
        if k not in self.team.shares:
            self._batch(step.batch, starts, element, self._product(self.plans[k], step), [scratch, *self._more(step)])
            return
        cut = self.team.shares[k]
        moves = (0, step.b.strides[1], 1) if cut.columns else (step.a.strides[0], 0, step.c.strides[0])
        parts = _pieces(step, cut, self.team.members, self.target)
        low, high = share(self.builder, len(parts), 1, self.member, self.members)
        for c, (start, plan) in enumerate(parts):
            function = self._product(plan, step)
            mine = self.builder.and_(
                self.builder.icmp_signed("<=", low, code.index(c)), self.builder.icmp_signed(">", high, code.index(c))
            )
            row, column = (0, start) if cut.columns else (start, 0)
            with self.builder.if_then(mine):
                moved = [
                    code.address(self.builder, p, start * move, element) for p, move in zip(starts, moves, strict=True)
                ]
                self.builder.call(function, [*moved, scratch, *self._more(step, row, column)])

    def _product(self, plan: ProductPlan, step: ProductStep) -> ir.Function:
        epilogue, order = step.epilogue, _buffers_of(step)
        if epilogue is not None:
            epilogue = epilogue.renumbered({b: k for k, b in enumerate(order)})
        buffers = [replace(self.program.buffers[b], role="arena", number=0) for b in order]
        key = repr((plan, epilogue, buffers))
        if key not in self.known:
            name = self._name("product", step.node)
            if epilogue is None:
                self.known[key] = define_product(self.module, plan, name)
                self.known[key].linkage = "internal"
            else:
                self.known[key] = define_product_with(self.module, name, plan, epilogue, buffers)
        return self.known[key]

    def _more(self, step: ProductStep, row: int = 0, column: int = 0) -> list[ir.Value]:
        """What a product with an epilogue gets besides its operands."""
        if step.epilogue is None:
            return []
        return [*(self.addresses[b] for b in _buffers_of(step)), code.index(row), code.index(column)]

    def _batch(
        self,
        batch: Sequence[tuple[int, int, int, int]],
        pointers: Sequence[ir.Value],
        element: ir.Type,
        function: ir.Function,
        more: Sequence[ir.Value],
    ) -> None:
        if not batch:
            self.builder.call(function, [*pointers, *more])
            return
        (extent, *strides), *rest = batch
        with code.loop(self.builder, 0, extent, 1, "batch") as i:
            moved = [
                code.address(self.builder, p, code.multiply(self.builder, i, stride), element)
                for p, stride in zip(pointers, strides, strict=True)
            ]
            self._batch(rest, moved, element, function, more)

    def call_library(self, k: int) -> None:
        """One call, unless an earlier one has failed."""
        builder = self.builder
        fine = builder.icmp_signed("==", builder.load(self.status, typ=_I32), _I32(0))
        with builder.if_then(fine):
            function = declared(builder, LIBRARY, _I32, _I32, code.POINTER, code.POINTER)
            self.rounding.restore(builder)
            done = builder.icmp_signed(
                "==", builder.call(function, [_I32(k), self.table, self.arena]), _I32(LIBRARY_DONE)
            )
            builder.store(builder.select(done, _I32(0), _I32(-1)), self.status)
            self.rounding.set(builder)
