"""A graph over a table of any length, block by block in one native call: predictions, scores, residuals.

The graph is that of a block of rows. Blocks are read and written where they lie in the table; nothing is copied. The
last block starts early enough to be a whole one, so some rows may be computed twice, with the same bits; a table
shorter than a block is filled up with copies of its first row. As every block is computed by the same code, the bits of
a row's results depend neither on the other rows nor on the number of threads.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache
from chainrule.native.forks import late_imports
from chainrule.native.frame import AT_WORK, BLOCKS, Frame, address_of, as_array, failure
from chainrule.native.recipe import load_or_compile
from chainrule.native.target import Target
from chainrule.native.threads import available_cores, offer

if TYPE_CHECKING:  # code that is in the cache is loaded without the compiler
    from chainrule.native.plan import MemoryPlan
    from chainrule.native.rows_plan import RowsPlan
    from chainrule.native.steps import Program

_SHORTEST_SHARE = 40e-6  # seconds of work for which another thread is called to help: that takes some 20 µs
_MOST_BYTES = 1 << 28  # of intermediate values of all threads; one may take more
_PATIENCE = 1000  # looks at whether the helpers are done before sleeping: some 40 µs
_Counters = ctypes.c_int64 * (AT_WORK + 1)


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
    """Runs a graph over tables. Safe to call from several threads at once.

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
        self._types = [(graph.nodes[i].dtype, graph.nodes[i].shape) for i in graph.inputs]
        self._outputs = [(graph.nodes[i].dtype, graph.nodes[i].shape) for i in graph.outputs]
        self.block = _block_of(graph, n_fixed)
        self._target = target
        recipe, self.executable, self._plan = load_or_compile(graph, (n_fixed,), BLOCKS, target, cache, self._make_plan)
        self._recipe, self._slots, self._seconds = recipe, recipe.slots, recipe.seconds
        most = available_cores() if threads is None else threads
        self._most = max(1, min(most, _MOST_BYTES // max(1, recipe.arena)))
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function = self.executable.function(BLOCKS, ctypes.c_int32, pointer, pointer, number, pointer, number)
        counts = (("input", n_fixed), ("data", len(graph.inputs) - n_fixed), ("output", len(graph.outputs)))
        self._places = [self._slots[role] + k for role, count in counts for k in range(count)]
        self._frames: deque[Frame] = deque()

    def _make_plan(self) -> RowsPlan:
        with late_imports():
            from chainrule.native.rows_plan import plan_rows

        return plan_rows(self.graph, self.n_fixed, self.block, self._target)

    @property
    def plan(self) -> RowsPlan:
        """What the compiler decided; made again where the code came from the cache."""
        if self._plan is None:
            self._plan = self._make_plan()
        return self._plan

    @property
    def program(self) -> Program:
        return self.plan.program

    @property
    def memory(self) -> MemoryPlan:
        return self.plan.memory

    def __call__(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run over a table.

        Parameters
        ----------
        fixed : sequence of arrays
        rows : sequence of arrays
            Of equal length along the first axis.

        Returns
        -------
        list of arrays
            The graph's outputs for all rows.
        """
        n = len(rows[0])
        types, start = self._types, self.n_fixed
        if start + len(rows) != len(types) or len(fixed) != start:
            raise GraphError(f"{self.graph.name} takes {len(types)} inputs, got {len(fixed) + len(rows)}")
        graph, positions = self.graph, self.graph.inputs
        names = graph.node_names
        arrays = [
            as_array(value, dtype, shape, graph.name, names, positions[k])
            for k, (value, (dtype, shape)) in enumerate(zip(fixed, types, strict=False))
        ]
        for k, (value, (dtype, shape)) in enumerate(zip(rows, types[start:], strict=True), start):
            arrays.append(as_array(value, dtype, (n, *shape[1:]), graph.name, names, positions[k]))
        length = max(n, self.block)
        if not n:
            return [np.empty((0, *shape[1:]), dtype) for dtype, shape in self._outputs]
        if n < length:
            arrays[start:] = [_filled(array, length) for array in arrays[start:]]
        outputs = [np.empty((length, *shape[1:]), dtype) for dtype, shape in self._outputs]
        members = max(1, min(self._most, int(self._seconds * (length / self.block) / _SHORTEST_SHARE)))
        frame = self._frames.pop() if self._frames else self._frame()
        table = frame.table
        for place, array in zip(self._places, [*arrays, *outputs], strict=True):
            table[place] = address_of(array)
        counters = _Counters()
        where, each = ctypes.addressof(counters), self._recipe.arena

        def work(member: int, patience: int = 0, keep: Any = (arrays, outputs, counters)) -> None:
            self._function(frame.table_address, frame.arena_address + member * each, length, where, patience)

        if members > 1:
            offer(work, members - 1)
        work(0, _PATIENCE)
        while counters[AT_WORK]:  # a helper who has no core at the moment; others may come, but find nothing to do
            sleep(_SHORTEST_SHARE)
        status = frame.take_status()
        self._frames.append(frame)
        if status:
            raise failure(self.graph, status) if status > 0 else self.plan.library.error(self.graph, status)
        return outputs if n == length else [array[:n] for array in outputs]

    def _frame(self) -> Frame:
        try:
            return Frame(self._slots, self._recipe.arena, self._recipe.constants, self._most)
        except MemoryError:
            raise self.plan.shortage() from None

    def __str__(self) -> str:
        return f"{self.program}\n{self.memory}"


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    """The rows, and copies of the first one behind them."""
    whole = np.empty((length, *array.shape[1:]), array.dtype)
    whole[: len(array)] = array
    whole[len(array) :] = array[0]
    return whole


def _block_of(graph: Graph, n_fixed: int) -> int:
    """Rows of a block."""
    positions = [*graph.inputs[n_fixed:], *graph.outputs]
    sizes = {graph.nodes[i].shape[:1] for i in positions}
    if len(sizes) != 1 or () in sizes or not graph.inputs[n_fixed:]:
        shown = ", ".join(f"{graph.node_names[i]} {graph.nodes[i].type}" for i in positions)
        raise GraphError(f"{graph.name}: inputs and outputs must have one number of rows, got {shown}")
    return sizes.pop()[0]
