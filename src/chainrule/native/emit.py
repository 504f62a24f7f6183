"""A program as an LLVM module: one function per nest and product, and one that runs them in order.

``int32 run(void **table, void *arena)``: the table holds the addresses of inputs, outputs and constants; see `Slots`.
0 is success, a positive number is 1 + the position in the graph of the node whose index was out of bounds, a negative
one is what the external ``int32 library(int32 step, void **table, void *arena)`` returned, which computes a step by its
NumPy meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from llvmlite import ir

from chainrule.native import code
from chainrule.native.emit_nest import define_nest
from chainrule.native.nests import Nest
from chainrule.native.plan import MemoryPlan
from chainrule.native.products import Product, ProductPlan, define_product, plan_product
from chainrule.native.scalar_ops import declared, llvm_type
from chainrule.native.schedule import lanes_of, schedule
from chainrule.native.steps import ProductStep, Program, matrix_form
from chainrule.native.target import Target

_I32 = ir.IntType(32)
_BYTE = ir.IntType(8)
RUN, EPOCH, LIBRARY = "run", "epoch", "library"


class Slots(dict[str, int]):
    """Where in the table of addresses the buffers of each role start, and how long the table is."""

    length: int

    @staticmethod
    def of(program: Program) -> Slots:
        slots, start = Slots(), 0
        for role in ("input", "output", "constant", "order", "data", "sum", "clock"):
            slots[role] = start
            start += max((b.number + 1 for b in program.buffers if b.role == role), default=0)
        slots.length = start
        return slots


def product_plans(program: Program, target: Target) -> dict[int, ProductPlan]:
    """The plan of every product step."""
    plans = {}
    for k, step in enumerate(program.steps):
        if isinstance(step, ProductStep):
            m, n, terms = step.sizes
            (transpose_a, lda), (transpose_b, ldb) = _forms(step)
            ldc = max(step.c.strides[0], n) if m > 1 else n
            product = Product(m, n, terms, step.dtype, transpose_a, transpose_b, lda, ldb, ldc)
            plans[k] = plan_product(product, target)
    return plans


def _forms(step: ProductStep) -> tuple[tuple[bool, int], tuple[bool, int]]:
    m, n, k = step.sizes
    a, b = matrix_form(step.a.strides, (m, k)), matrix_form(step.b.strides, (k, n))
    assert a is not None
    assert b is not None
    return a, b


def emit_program(program: Program, memory: MemoryPlan, plans: Mapping[int, ProductPlan], target: Target) -> ir.Module:
    """The module of a program, with the function ``run``."""
    return _ProgramEmitter(program, memory, plans, target).emit()


def emit_epoch(
    program: Program, memory: MemoryPlan, plans: Mapping[int, ProductPlan], target: Target, batch_size: int
) -> ir.Module:
    """The module of a program with ``int32 epoch(void **table, void *arena, int64 batches)``.

    It runs the program once per batch and moves the address of role ``order`` on by one batch each time.
    """
    module = emit_program(program, memory, plans, target)
    run = module.globals[RUN]
    run.linkage = "internal"
    epoch = ir.Function(module, ir.FunctionType(_I32, [code.POINTER, code.POINTER, code.INDEX]), EPOCH)
    table, arena, batches = epoch.args
    builder = ir.IRBuilder(epoch.append_basic_block("entry"))
    order = code.address(builder, table, Slots.of(program)["order"], code.POINTER)
    with code.loop(builder, 0, batches, 1, "batch"):
        status = builder.call(run, [table, arena])
        with builder.if_then(builder.icmp_signed("!=", status, _I32(0)), likely=False):
            builder.ret(status)
        rows = builder.load(order, typ=code.POINTER)
        builder.store(code.address(builder, rows, batch_size, code.INDEX), order)
    builder.ret(_I32(0))
    return module


class _ProgramEmitter:
    def __init__(self, program: Program, memory: MemoryPlan, plans: Mapping[int, ProductPlan], target: Target) -> None:
        self.program, self.memory, self.plans, self.target = program, memory, plans, target
        self.module = ir.Module("program")
        self.slots = Slots.of(program)
        self.known: dict[str, ir.Function] = {}

    def emit(self) -> ir.Module:
        function = ir.Function(self.module, ir.FunctionType(_I32, [code.POINTER, code.POINTER]), RUN)
        self.table, self.arena = function.args
        self.table.name, self.arena.name = "table", "arena"
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.status = self.builder.alloca(_I32)
        self.builder.store(_I32(0), self.status)
        self.addresses: dict[int, ir.Value] = {}
        for number in range(len(self.program.buffers)):
            self.addresses[number] = self.address(number)
        for k, step in enumerate(self.program.steps):
            with self.measured(k):
                if isinstance(step, Nest):
                    self.nest(step)
                elif isinstance(step, ProductStep):
                    self.product(k, step)
                else:
                    self.call_library(k)
        self.builder.ret(self.builder.load(self.status, typ=_I32))
        return self.module

    @contextmanager
    def measured(self, k: int) -> Iterator[None]:
        """Add the cycles a step takes to a counter of its own, if there is a buffer of role ``clock``."""
        clock = next((b for b, buffer in enumerate(self.program.buffers) if buffer.role == "clock"), None)
        if clock is None:
            yield
            return
        now = declared(self.builder, "llvm.readcyclecounter", code.INDEX)
        start = self.builder.call(now, [])
        yield
        counter = code.address(self.builder, self.addresses[clock], k, code.INDEX)
        spent = self.builder.sub(self.builder.call(now, []), start)
        self.builder.store(self.builder.add(self.builder.load(counter, typ=code.INDEX), spent), counter)

    def address(self, number: int) -> ir.Value:
        buffer = self.program.buffers[number]
        if buffer.role in ("arena", "local"):
            return code.address(self.builder, self.arena, self.memory.offsets.get(number, 0), _BYTE)
        slot = code.address(self.builder, self.table, self.slots[buffer.role] + buffer.number, code.POINTER)
        return self.builder.load(slot, typ=code.POINTER)

    def name(self, kind: str, node: int) -> str:
        """A name that tells what a function computes."""
        return f"{kind}{len(self.known)}_{self.program.graph.nodes[node].primitive.name}"

    def nest(self, step: Nest) -> None:
        order = sorted(step.reads | step.writes)
        own = {b: k for k, b in enumerate(order)}
        roles = ["local" if b in step.local else "arena" for b in order]
        buffers = [replace(self.program.buffers[b], role=r, number=0) for b, r in zip(order, roles, strict=True)]
        local = schedule(step.renumbered(own), self.target)
        key = f"{local}\n{buffers}"
        if key not in self.known:
            lanes = lanes_of(local, self.target)
            self.known[key] = define_nest(self.module, self.name("nest", step.node), local, buffers, lanes)
        self.builder.call(self.known[key], [*(self.addresses[b] for b in order if b not in step.local), self.status])

    def product(self, k: int, step: ProductStep) -> None:
        plan = self.plans[k]
        key = repr(plan)
        if key not in self.known:
            made = define_product(self.module, plan, self.name("product", step.node))
            made.linkage = "internal"
            self.known[key] = made
        element = llvm_type(step.dtype)
        scratch = code.address(self.builder, self.arena, self.memory.scratch.get(k, 0), _BYTE)
        starts = [
            code.address(self.builder, self.addresses[p.buffer], p.offset, element) for p in (step.a, step.b, step.c)
        ]
        self._batch(step.batch, starts, element, self.known[key], scratch)

    def _batch(
        self,
        batch: Sequence[tuple[int, int, int, int]],
        pointers: Sequence[ir.Value],
        element: ir.Type,
        function: ir.Function,
        scratch: ir.Value,
    ) -> None:
        if not batch:
            self.builder.call(function, [*pointers, scratch])
            return
        (extent, *strides), *rest = batch
        with code.loop(self.builder, 0, extent, 1, "batch") as i:
            moved = [
                code.address(self.builder, p, code.multiply(self.builder, i, stride), element)
                for p, stride in zip(pointers, strides, strict=True)
            ]
            self._batch(rest, moved, element, function, scratch)

    def call_library(self, k: int) -> None:
        function = declared(self.builder, LIBRARY, _I32, _I32, code.POINTER, code.POINTER)
        failure = self.builder.call(function, [_I32(k), self.table, self.arena])
        with self.builder.if_then(self.builder.icmp_signed("!=", failure, _I32(0)), likely=False):
            self.builder.ret(failure)
