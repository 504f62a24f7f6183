"""Compile graphs, and functions, to native code.

The stages, each pure and printable, one module each: Graph → ``terms`` → ``lower`` → ``fuse`` → ``plan`` (memory) →
``emit`` (LLVM code) → ``runtime``.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache
from chainrule.native.emit import emit_run, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.frame import LIBRARY, LIBRARY_DONE, RUN, Frame, Slots, address_of, as_array, failure
from chainrule.native.fuse import fuse
from chainrule.native.lower import lower
from chainrule.native.nests import Buffer, Place
from chainrule.native.plan import MemoryPlan, no_room_for_outputs, plan_memory, shortage
from chainrule.native.report import Clock, ProgramReport, report
from chainrule.native.runtime import Executable, Unit, compile_units
from chainrule.native.steps import LibraryStep, Program
from chainrule.native.target import Target
from chainrule.native.terms import to_terms

_Callback = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)


def compile_graph(
    graph: Graph, target: Target | None = None, cache: ObjectCache | None = None, measured: bool = False
) -> NativeProgram:
    """Compile a graph to one native function.

    Primitives without native code (linear algebra, sorting, rare special functions) are called by their NumPy meaning
    in between.

    Parameters
    ----------
    graph : Graph
    target : Target, optional
        Default: the host.
    cache : ObjectCache, optional
        Where object code is kept; default: nowhere.
    measured : bool
        Whether every step is timed, at the cost of some 20 cycles each, for `NativeProgram.report`.

    Raises
    ------
    CompileError
        If it cannot be compiled, naming the node and its shape.
    """
    return NativeProgram(graph, Target.host() if target is None else target, cache, measured)


class NativeProgram:
    """A compiled graph. Calling it is running the graph: ``program.run(*inputs)`` as ``graph.run(*inputs)``.

    Safe to call from several threads at once; the interpreter's lock is released meanwhile.

    Attributes
    ----------
    graph : Graph
    target : Target
    program : Program
        Nests, products and library calls; ``print`` shows them.
    memory : MemoryPlan
    executable : Executable
        With a report of how long compilation took.
    """

    def __init__(self, graph: Graph, target: Target, cache: ObjectCache | None = None, measured: bool = False) -> None:
        self.graph, self.target = graph, target
        self.program: Program = with_clock(fuse(fuse_epilogues(lower(to_terms(graph)))), measured)
        self.plans = product_plans(self.program, target)
        self.memory: MemoryPlan = plan_memory(self.program, scratch_bytes(self.program, self.plans, target))
        self._library = Library(self.program, self.memory)
        unit = Unit(
            lambda: emit_run(self.program, self.memory, self.plans, target),
            key=self.program.key(self.memory, self.plans),
            level=0,
            name=graph.name,
        )
        self.executable: Executable = compile_units(
            unit, [RUN], target=target, cache=cache, symbols={LIBRARY: self._library.address}
        )
        self._function = self.executable.function(RUN, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
        self._slots = Slots.of(self.program)
        self._types = [(k, graph.nodes[i].dtype, graph.nodes[i].shape) for k, i in enumerate(graph.inputs)]
        self._outputs = [(graph.nodes[i].dtype, graph.nodes[i].shape) for i in graph.outputs]
        self._clock = Clock(len(self.program.steps)) if measured else None
        self._frames: deque[Frame] = deque()  # idle ones: a call takes one, or makes one, and puts it back

    def run(self, *inputs: Any) -> list[np.ndarray]:
        """Run on a flat list of inputs of the graph's types; the flat list of outputs.

        Raises
        ------
        GraphError
            If an input has another shape, or an index is out of bounds.
        """
        if len(inputs) != len(self._types):
            raise GraphError(f"{self.graph.name} takes {len(self._types)} inputs, got {len(inputs)}")
        frame = self._frames.pop() if self._frames else self._frame()
        table = frame.table
        arrays = []  # kept until the call is over
        for value, (k, dtype, shape) in zip(inputs, self._types, strict=True):
            if (  # as `as_array` asks too; said here, it takes half the time
                type(value) is not np.ndarray
                or value.dtype is not dtype
                or value.shape != shape
                or not value.flags.c_contiguous
            ):
                value = as_array(value, dtype, shape, self.graph.name, self.graph.node_names, self.graph.inputs[k])
                arrays.append(value)
            table[k] = address_of(value)
        try:
            outputs = [np.empty(shape, dtype) for dtype, shape in self._outputs]
        except MemoryError:
            raise no_room_for_outputs(self.graph) from None
        for k, array in enumerate(outputs, start=self._slots["output"]):
            table[k] = address_of(array)
        if self._clock is None:
            status = self._function(frame.table_address, frame.arena_address)
        else:
            table[self._slots["clock"]] = address_of(self._clock.cycles)
            start = perf_counter()
            status = self._function(frame.table_address, frame.arena_address)
            self._clock.seconds += perf_counter() - start
            self._clock.runs += 1
        self._frames.append(frame)
        if status:
            raise self._library.error(self.graph, status)
        return outputs

    __call__ = run

    def _frame(self) -> Frame:
        try:
            return Frame(self._slots, self.memory.bytes, self.program.constants)
        except MemoryError:
            raise shortage(self.program, self.memory) from None

    def report(self) -> ProgramReport:
        """Steps, memory, operations; times too if it was compiled with ``measured=True`` and has run."""
        seconds = {} if self._clock is None else self._clock.per_step()
        return report(self.program, self.memory, self.executable.reports, seconds)

    def __str__(self) -> str:
        return f"{self.program}\n{self.memory}"


def with_clock(program: Program, measured: bool) -> Program:
    """The program with a counter of cycles per step, if wanted."""
    if not measured:
        return program
    return replace(program, buffers=(*program.buffers, Buffer("int64", len(program.steps), "clock")))


class Library:
    """Computes steps by their NumPy meaning when native code asks for it."""

    def __init__(self, program: Program, memory: MemoryPlan) -> None:
        self.program, self.memory = program, memory
        self.slots = Slots.of(program)
        self.errors: deque[BaseException] = deque()
        self._callback = _Callback(self._call)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0

    def error(self, graph: Graph, status: int) -> BaseException:
        """What a status other than 0 means."""
        if status > 0:
            return failure(graph, status)
        # none: a signal was handled before the callback could catch what that raised
        return self.errors.popleft() if self.errors else KeyboardInterrupt()

    def _call(self, k: int, table: int, arena: int) -> int:
        try:
            step = self.program.steps[k]
            assert isinstance(step, LibraryStep)
            node = self.program.graph.nodes[step.node]
            args = [
                self._view(place, type_.shape, table, arena)
                for place, type_ in zip(step.args, step.arg_types, strict=True)
            ]
            result = node.primitive.numpy(*args, **node.params)
            self._view(step.out, step.out_type.shape, table, arena)[...] = result
        except BaseException as error:  # raised again by whoever called native code
            self.errors.append(error)
            return 0
        return LIBRARY_DONE

    def _view(self, place: Place, shape: Sequence[int], table: int, arena: int) -> np.ndarray:
        buffer = self.program.buffers[place.buffer]
        if buffer.role == "arena":
            address = arena + self.memory.offsets.get(place.buffer, 0)
        else:
            slot = table + ctypes.sizeof(ctypes.c_void_p) * (self.slots[buffer.role] + buffer.number)
            address = ctypes.c_void_p.from_address(slot).value or 0
        dtype = np.dtype(buffer.dtype)
        if not buffer.size:
            return np.empty(shape, dtype)
        memory = (ctypes.c_uint8 * buffer.bytes).from_address(address)
        strides = [s * dtype.itemsize for s in place.strides]
        return np.ndarray(tuple(shape), dtype, memoryview(memory), place.offset * dtype.itemsize, strides)
