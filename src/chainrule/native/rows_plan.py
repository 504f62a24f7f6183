"""From the graph of a block of rows to the plan of code that runs it over whole tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from chainrule.errors import OutOfMemoryError
from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache
from chainrule.native.compile import Library
from chainrule.native.emit import emit_blocks, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.frame import BLOCKS, LIBRARY, Slots
from chainrule.native.fuse import fuse
from chainrule.native.lower import lower
from chainrule.native.nests import Buffer
from chainrule.native.plan import MemoryPlan, plan_memory, shortage
from chainrule.native.products import ProductPlan
from chainrule.native.recipe import Recipe
from chainrule.native.runtime import Executable, Unit, compile_units
from chainrule.native.steps import LibraryStep, Program
from chainrule.native.target import Target
from chainrule.native.team import estimated_seconds
from chainrule.native.terms import to_terms

_AT_ONCE = 5e-6  # seconds of work that a thread takes at a time


@dataclass(frozen=True)
class RowsPlan:
    """All that is decided before the code is emitted.

    Parameters
    ----------
    graph : Graph
        Of a block of rows.
    block : int
        Rows of a block.
    target : Target
    program : Program
    products : dict
        Plans of the matrix products.
    memory : MemoryPlan
    """

    graph: Graph
    block: int
    target: Target
    program: Program
    products: dict[int, ProductPlan]
    memory: MemoryPlan

    @property
    def alone(self) -> bool:
        """Whether the code calls nothing of Python's."""
        return not any(isinstance(s, LibraryStep) for s in self.program.steps)

    @cached_property
    def recipe(self) -> Recipe:
        """What a call needs."""
        seconds = estimated_seconds(self.program, self.products, self.target)
        return Recipe(Slots.of(self.program), self.memory.bytes, 1, seconds, self.program.constants)

    @cached_property
    def library(self) -> Library:
        """Computes the steps that have no native code."""
        return Library(self.program, self.memory)

    def shortage(self) -> OutOfMemoryError:
        """The error for memory that cannot be had."""
        return shortage(self.program, self.memory)

    def compile(self, cache: ObjectCache | None) -> Executable:
        """Emit the code, compile and load it."""
        at_once = max(1, int(_AT_ONCE / self.recipe.seconds))
        unit = Unit(
            lambda: emit_blocks(self.program, self.memory, self.products, self.target, self.block, at_once),
            key=self.program.key(self.memory, self.products, BLOCKS, self.block, at_once),
            level=0,
            name=f"{self.graph.name} by rows",
        )
        symbols = {LIBRARY: self.library.address}
        return compile_units(unit, [BLOCKS], target=self.target, cache=cache, symbols=symbols)


def plan_rows(graph: Graph, n_fixed: int, block: int, target: Target) -> RowsPlan:
    """Plan the code of a graph of blocks of rows; see `chainrule.native.rows.compile_rows`."""
    program = _by_rows(fuse(fuse_epilogues(lower(to_terms(graph)))), n_fixed)
    products = product_plans(program, target)
    memory = plan_memory(program, scratch_bytes(program, products, target))
    return RowsPlan(graph, block, target, program, products, memory)


def _by_rows(program: Program, n_fixed: int) -> Program:
    """The program with its batch inputs in the table."""
    buffers = [
        replace(b, role="data", number=b.number - n_fixed) if b.role == "input" and b.number >= n_fixed else b
        for b in program.buffers
    ]
    return replace(program, buffers=(*buffers, Buffer("int32", 1, "status")))
