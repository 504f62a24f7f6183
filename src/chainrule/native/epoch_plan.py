"""From the graph of one step to the plan of a whole epoch: gathering of rows, the step, its sums; team and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from chainrule.errors import OutOfMemoryError
from chainrule.graph.graph import Graph
from chainrule.native.affine import Affine, counters, dot, row_major
from chainrule.native.barrier import barrier_unit
from chainrule.native.cache import ObjectCache
from chainrule.native.compile import Library, with_clock
from chainrule.native.emit import emit_epoch, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.frame import EPOCH, LIBRARY, Slots
from chainrule.native.fuse import fuse
from chainrule.native.inplace import in_place
from chainrule.native.lower import lower
from chainrule.native.nests import Body, Buffer, Indirect, Nest, Result
from chainrule.native.plan import MemoryPlan, plan_memory, shortage
from chainrule.native.products import ProductPlan
from chainrule.native.recipe import Recipe
from chainrule.native.runtime import Executable, Unit, compile_units
from chainrule.native.steps import LibraryStep, Program, Step
from chainrule.native.target import Target
from chainrule.native.team import TeamPlan, plan_team, team_of
from chainrule.native.terms import to_terms


@dataclass(frozen=True)
class EpochPlan:
    """All that is decided before an epoch's code is emitted.

    Parameters
    ----------
    graph : Graph
        Of one step.
    batch_size : int
    target : Target
    program : Program
        One step, with the gathering before it and the adding-up behind it.
    products : dict
        Plans of the matrix products.
    memory : MemoryPlan
    team : TeamPlan
    """

    graph: Graph
    batch_size: int
    target: Target
    program: Program
    products: dict[int, ProductPlan]
    memory: MemoryPlan
    team: TeamPlan

    @property
    def alone(self) -> bool:
        """Whether the code calls nothing of Python's."""
        return not any(isinstance(s, LibraryStep) for s in self.program.steps)

    @cached_property
    def recipe(self) -> Recipe:
        """What a call needs."""
        slots = Slots.of(self.program)
        return Recipe(slots, self.memory.bytes, self.team.members, 0.0, self.program.constants)

    @cached_property
    def library(self) -> Library:
        """Computes the steps that have no native code."""
        return Library(self.program, self.memory)

    def shortage(self) -> OutOfMemoryError:
        """The error for memory that cannot be had."""
        return shortage(self.program, self.memory)

    def compile(self, cache: ObjectCache | None) -> Executable:
        """Emit the code, compile and load it."""
        unit = Unit(
            lambda: emit_epoch(self.program, self.memory, self.products, self.target, self.team, self.batch_size),
            key=self.program.key(self.memory, self.products, self.team, EPOCH, self.batch_size),
            level=0,
            name=f"{self.graph.name} epoch",
        )
        units = [unit] if self.team.members == 1 else [unit, barrier_unit(self.target)]
        symbols = {LIBRARY: self.library.address}
        return compile_units(units, [EPOCH], target=self.target, cache=cache, symbols=symbols)


def plan_epoch(
    graph: Graph, n_carry: int, n_hyper: int, batch_size: int, target: Target, threads: int | None, measured: bool
) -> EpochPlan:
    """Plan the epoch of a step; see `chainrule.native.loop.compile_loop`."""
    step = in_place(fuse(fuse_epilogues(lower(to_terms(graph)))), {k: k for k in range(n_carry)})
    program = epoch_program(step, n_carry, n_hyper)
    program, members = team_of(program, product_plans(program, target), target, threads)
    program = with_clock(program, measured)
    products = product_plans(program, target)
    team = plan_team(program, None, products, target, members)
    memory = plan_memory(program, scratch_bytes(program, products, target, team), members, team.waits)
    team = plan_team(program, memory, products, target, members)
    return EpochPlan(graph, batch_size, target, program, products, memory, team)


def epoch_program(program: Program, n_carry: int, n_hyper: int) -> Program:
    """One step's program with the gathering of its rows before it and the adding-up of its sums behind it.

    The batch becomes memory of the arena, filled from buffers of role ``data`` at the rows that the buffer of role
    ``order`` names (-1: zeros); scalar outputs are added to the buffer of role ``sum``.
    """
    graph, buffers = program.graph, list(program.buffers)
    before: list[Step] = []
    after: list[Step] = []
    order = _add(buffers, Buffer("int64", 0, "order"))
    _add(buffers, Buffer("int32", 1, "status"))
    total = _add(buffers, Buffer("float64", len(graph.outputs) - n_carry, "sum"))
    for b, buffer in enumerate(program.buffers):
        if buffer.role == "input" and buffer.number >= n_carry + n_hyper:
            number = buffer.number - n_carry - n_hyper
            data = _add(buffers, Buffer(buffer.dtype, 0, "data", number))
            node = graph.inputs[buffer.number]
            buffers[b] = replace(buffer, role="arena", number=0)
            if buffer.size:
                before.append(_gathering(graph.nodes[node].shape, buffer.dtype, order, data, b, node))
        elif buffer.role == "output":
            buffers[b] = replace(buffer, role="arena", number=0)
            after.append(_adding(buffer, b, total, graph.outputs[buffer.number], buffer.number - n_carry))
    return replace(program, buffers=tuple(buffers), steps=(*before, *program.steps, *after))


def _add(buffers: list[Buffer], buffer: Buffer) -> int:
    buffers.append(buffer)
    return len(buffers) - 1


def _gathering(shape: Sequence[int], dtype: str, order: int, data: int, target: int, node: int) -> Nest:
    index, extents = counters(shape)
    body = Body()
    row = body.add("load", (), "int64", (order, index[0]))
    zero = body.add("constant", (), "int64", 0)
    real = body.add("greater_equal", (row, zero), "bool")
    safe = body.add("where", (real, row, zero), "int64")
    length = int(np.prod(shape[1:], dtype=int))
    along = dot(index[1:], row_major(shape[1:]))
    value = body.add("load", (), dtype, (data, along, Indirect(safe, length, 0)))
    nothing = body.add("constant", (), dtype, np.dtype(dtype).type(0).item())
    kept = body.add("where", (real, value, nothing), dtype)
    place = dot(index, row_major(shape))
    return Nest(extents, tuple(body.instructions), (Result("store", kept, target, place, tuple(extents)),), node)


def _adding(buffer: Buffer, source: int, total: int, node: int, number: int) -> Nest:
    body = Body()
    value = body.add("load", (), buffer.dtype, (source, Affine()))
    wide = value if buffer.dtype == "float64" else body.add("cast", (value,), "float64")
    before = body.add("load", (), "float64", (total, Affine(number)))
    result = body.add("add", (before, wide), "float64")
    return Nest({}, tuple(body.instructions), (Result("store", result, total, Affine(number), ()),), node)
