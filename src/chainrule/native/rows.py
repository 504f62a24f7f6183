"""A graph over a table of any length, block by block in one native call: predictions, scores, residuals.

The graph is that of a block of rows. Blocks are read and written where they lie in the table; nothing is copied. The
last block starts early enough to be a whole one, so some rows may be computed twice, with the same bits.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache
from chainrule.native.compile import Frame, Library, address_of, as_array
from chainrule.native.emit import BLOCKS, LIBRARY, Slots, emit_blocks, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.fuse import fuse
from chainrule.native.lower import lower
from chainrule.native.nests import Buffer
from chainrule.native.plan import plan_memory
from chainrule.native.runtime import Unit, compile_units
from chainrule.native.steps import Program
from chainrule.native.target import Target
from chainrule.native.team import estimated_seconds
from chainrule.native.terms import to_terms
from chainrule.native.threads import available_cores, run_team

_SHORTEST_SHARE = 1e-3  # seconds of work for which another thread is started


def compile_rows(
    graph: Graph,
    n_fixed: int,
    target: Target | None = None,
    cache: ObjectCache | None = None,
    threads: int | None = None,
) -> NativeRows:
    """Compile a graph of a block of rows to run over whole tables.

    Parameters
    ----------
    graph : Graph
        Inputs: ``n_fixed`` arrays that are the same for all blocks (parameters), then arrays with one row per row of
        the block. Outputs: arrays with one row per row of the block, each computed from that row alone.
    n_fixed : int
    target : Target, optional
        Default: the host.
    cache : ObjectCache, optional
        Where object code is kept; default: nowhere.
    threads : int, optional
        At most so many, and only for long tables; default: the cores there are.

    Raises
    ------
    GraphError
        If an input or output has another number of rows than the others.
    CompileError
        If it cannot be compiled.
    """
    return NativeRows(graph, n_fixed, Target.host() if target is None else target, cache, threads)


class NativeRows:
    """Runs a graph over tables of at least ``block`` rows. Safe to call from several threads at once.

    Attributes
    ----------
    block : int
        Rows per block.
    program : Program
    memory : MemoryPlan
    executable : Executable
    """

    def __init__(
        self,
        graph: Graph,
        n_fixed: int,
        target: Target,
        cache: ObjectCache | None = None,
        threads: int | None = None,
    ) -> None:
        self.graph, self.n_fixed = graph, n_fixed
        self._types = [graph.nodes[i].type for i in graph.inputs]
        self._outputs = [graph.nodes[i].type for i in graph.outputs]
        self.block = _block_of(graph, n_fixed)
        self.program = _by_rows(fuse(fuse_epilogues(lower(to_terms(graph)))), n_fixed)
        plans = product_plans(self.program, target)
        self.memory = plan_memory(self.program, scratch_bytes(self.program, plans, target))
        self._seconds = estimated_seconds(self.program, plans, target)
        self._most = available_cores() if threads is None else threads
        self._library = Library(self.program, self.memory)
        unit = Unit(
            lambda: emit_blocks(self.program, self.memory, plans, target, self.block),
            key=self.program.key(self.memory, plans, BLOCKS, self.block),
            level=0,
            name=f"{graph.name} by rows",
        )
        self.executable = compile_units(
            unit, [BLOCKS], target=target, cache=cache, symbols={LIBRARY: self._library.address}
        )
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function = self.executable.function(BLOCKS, ctypes.c_int32, number, number, pointer, pointer, number)
        self._slots = Slots.of(self.program)
        self._frames: deque[Frame] = deque()

    def __call__(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run over a table.

        Parameters
        ----------
        fixed : sequence of arrays
        rows : sequence of arrays
            Of equal length along the first axis, at least one block.

        Returns
        -------
        list of arrays
            The graph's outputs for all rows.
        """
        n = len(rows[0])
        if n < self.block:
            raise GraphError(f"{self.graph.name}: a table needs at least one block of {self.block} rows, got {n}")
        given = [*fixed, *rows]
        if len(given) != len(self._types):
            raise GraphError(f"{self.graph.name} takes {len(self._types)} inputs, got {len(given)}")
        names = self.graph.node_names
        arrays = []
        for k, (value, type_) in enumerate(zip(given, self._types, strict=True)):
            shape = type_.shape if k < self.n_fixed else (n, *type_.shape[1:])
            arrays.append(as_array(value, type_.dtype, shape, self.graph.name, names, self.graph.inputs[k]))
        outputs = [np.empty((n, *t.shape[1:]), t.dtype) for t in self._outputs]
        members = max(1, min(self._most, int(self._seconds * (n / self.block) / _SHORTEST_SHARE)))
        frame = self._frames.pop() if members == 1 and self._frames else self._frame(members)
        table = frame.table
        for k, array in enumerate(arrays):
            slot = self._slots["input"] + k if k < self.n_fixed else self._slots["data"] + k - self.n_fixed
            table[slot] = address_of(array)
        for k, array in enumerate(outputs):
            table[self._slots["output"] + k] = address_of(array)
        run_team(self._function, members, (frame.table_address, frame.arena_address, n))
        status = frame.take_status()
        if members == 1:
            self._frames.append(frame)
        if status:
            raise self._library.error(self.graph, status)
        return outputs

    def _frame(self, members: int) -> Frame:
        return Frame(self._slots, self.memory, self.program.constants, members)

    def __str__(self) -> str:
        return f"{self.program}\n{self.memory}"


def _block_of(graph: Graph, n_fixed: int) -> int:
    """Rows of a block."""
    positions = [*graph.inputs[n_fixed:], *graph.outputs]
    sizes = {graph.nodes[i].shape[:1] for i in positions}
    if len(sizes) != 1 or () in sizes or not graph.inputs[n_fixed:]:
        shown = ", ".join(f"{graph.node_names[i]} {graph.nodes[i].type}" for i in positions)
        raise GraphError(f"{graph.name}: inputs and outputs must have one number of rows, got {shown}")
    return sizes.pop()[0]


def _by_rows(program: Program, n_fixed: int) -> Program:
    """The program with its batch inputs in the table."""
    buffers = [
        replace(b, role="data", number=b.number - n_fixed) if b.role == "input" and b.number >= n_fixed else b
        for b in program.buffers
    ]
    return replace(program, buffers=(*buffers, Buffer("int32", 1, "status")))
