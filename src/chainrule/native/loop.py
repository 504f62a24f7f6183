"""The epoch as one native function: gather the rows of a mini-batch, run the step, update in place, add up, repeat.

No Python runs between the steps, the interpreter's lock is released, and nothing is allocated.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.native.affine import Affine, counters, dot, row_major
from chainrule.native.cache import ObjectCache
from chainrule.native.compile import Frame, Library, address_of, as_array, with_clock
from chainrule.native.emit import EPOCH, LIBRARY, Slots, emit_epoch, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.fuse import fuse
from chainrule.native.inplace import in_place
from chainrule.native.lower import lower
from chainrule.native.nests import Body, Buffer, Indirect, Nest, Result
from chainrule.native.pace import Pace
from chainrule.native.plan import plan_memory
from chainrule.native.report import Clock, ProgramReport, report
from chainrule.native.runtime import Unit, compile_units
from chainrule.native.steps import Program, Step
from chainrule.native.target import Target
from chainrule.native.team import plan_team, team_of
from chainrule.native.terms import to_terms
from chainrule.native.threads import barrier_unit, run_team


def compile_loop(
    graph: Graph,
    n_carry: int,
    n_hyper: int,
    batch_size: int,
    target: Target | None = None,
    cache: ObjectCache | None = None,
    threads: int | None = None,
    measured: bool = False,
) -> NativeEpoch:
    """Compile the loop over mini-batches around the graph of one step.

    Parameters
    ----------
    graph : Graph
        Inputs: the carry, the hyper-parameters (or anything else that does not change), the batch (arrays of
        ``batch_size`` rows). Outputs: the new carry, of the same types, and scalars to be added up.
    n_carry, n_hyper, batch_size : int
    target : Target, optional
        Default: the host.
    cache : ObjectCache, optional
        Where object code is kept; default: nowhere.
    threads : int, optional
        At most so many; by default the cores there are. Steps too small to gain run on one whatever is given, and the
        results' bits are always the same.
    measured : bool
        Whether every step is timed (of the first thread), for `NativeEpoch.report`.

    Raises
    ------
    GraphError
        If the graph is not a step: the new carry has another type, a batch array other rows, a sum is no scalar.
    CompileError
        If it cannot be compiled.
    """
    target = Target.host() if target is None else target
    return NativeEpoch(graph, n_carry, n_hyper, batch_size, target, cache, threads, measured)


class NativeEpoch:
    """Runs all steps of an epoch natively; the same signature as `chainrule.learn.loop.NumpyEpoch`.

    Safe to call from several threads at once.

    Attributes
    ----------
    program : Program
        One step, with the gathering before it and the adding-up behind it.
    memory : MemoryPlan
    team : TeamPlan
        What threads share, if anything.
    executable : Executable
    """

    def __init__(
        self,
        graph: Graph,
        n_carry: int,
        n_hyper: int,
        batch_size: int,
        target: Target,
        cache: ObjectCache | None = None,
        threads: int | None = None,
        measured: bool = False,
    ) -> None:
        self.graph, self.n_carry, self.n_hyper, self.batch_size = graph, n_carry, n_hyper, batch_size
        self.target = target
        self._types = [graph.nodes[i].type for i in graph.inputs]
        _check(graph, n_carry, n_hyper, batch_size)
        step = in_place(fuse(fuse_epilogues(lower(to_terms(graph)))), {k: k for k in range(n_carry)})
        program = epoch_program(step, n_carry, n_hyper)
        program, members = team_of(program, product_plans(program, target), target, threads)
        self.program = with_clock(program, measured)
        self.plans = product_plans(self.program, target)
        team = plan_team(self.program, None, self.plans, target, members)
        self.memory = plan_memory(self.program, scratch_bytes(self.program, self.plans, target, team), members)
        self.team = plan_team(self.program, self.memory, self.plans, target, members)
        self._library = Library(self.program, self.memory)
        unit = Unit(
            lambda: emit_epoch(self.program, self.memory, self.plans, target, self.team, batch_size),
            key=self.program.key(self.memory, self.plans, self.team, EPOCH, batch_size),
            level=0,
            name=f"{graph.name} epoch",
        )
        units = [unit] if self.team.members == 1 else [unit, barrier_unit(target)]
        self.executable = compile_units(
            units, [EPOCH], target=target, cache=cache, symbols={LIBRARY: self._library.address}
        )
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function = self.executable.function(
            EPOCH, ctypes.c_int32, number, number, pointer, pointer, number, pointer
        )
        self._slots = Slots.of(self.program)
        self._lengths = (n_carry, n_hyper, len(graph.inputs) - n_carry - n_hyper)
        self._frames: deque[_EpochFrame] = deque()  # idle ones: a call takes one, or makes one, and puts it back
        self._clock = Clock(len(self.program.steps)) if measured else None
        self._pace = Pace(self.team.members)

    def __call__(
        self, carry: Sequence[Any], hyper: Sequence[Any], data: Sequence[np.ndarray], order: np.ndarray
    ) -> tuple[list[Any], np.ndarray]:
        """Run one step for every ``batch_size`` rows of ``order``; the last batch is padded with rows of zeros.

        Parameters
        ----------
        carry : sequence of arrays
            Not modified.
        hyper : sequence of scalars
        data : sequence of arrays
            Of equal length along the first axis.
        order : integer array
            Rows in the order in which they are visited.

        Returns
        -------
        carry : list of arrays
            After the last step.
        sums : float64 array
            The graph's remaining outputs, added up over the steps.
        """
        size = self.batch_size
        if (len(carry), len(hyper), len(data)) != self._lengths:
            given = f"{len(carry)} + {len(hyper)} + {len(data)}"
            raise GraphError(f"{self.graph.name} takes {' + '.join(map(str, self._lengths))} inputs, got {given}")
        frame = self._frames.pop() if self._frames else _EpochFrame(self)
        table, slots = frame.table, self._slots
        current = [
            np.array(v, t.dtype, order="C") for v, t in zip(carry, self._types, strict=False)
        ]  # changed in place
        for k, array in enumerate(current):
            self._expect(k, array.shape, self._types[k].shape)
            table[k] = address_of(array)
        frame.set_whole(hyper)
        n, columns = frame.set_rows(data)
        rows = np.full(-(-len(order) // size) * size, -1, np.int64)
        rows[: len(order)] = order
        if len(order) and rows[: len(order)].view(np.uint64).max() >= n:  # negative ones are huge
            raise GraphError(f"{self.graph.name}: the order names rows outside 0 … {n - 1}")
        sums = np.zeros(len(self.graph.outputs) - self.n_carry)
        table[slots["sum"]] = address_of(sums)
        if self._clock is not None:
            table[slots["clock"]] = address_of(self._clock.cycles)
        first = address_of(rows)
        done = 0

        def work(threads: int, batches: int) -> float:
            nonlocal done
            table[slots["order"]] = first + done * size * rows.itemsize
            start = perf_counter()
            run_team(
                self._function, threads, (frame.table_address, frame.arena_address, batches, frame.barrier_address)
            )
            done += batches
            if frame.status:
                raise self._library.error(self.graph, frame.take_status())
            seconds = perf_counter() - start
            if self._clock is not None:
                self._clock.seconds += seconds
                self._clock.runs += batches
            return seconds

        self._pace.run(len(rows) // size, work)
        del columns  # alive until here
        self._frames.append(frame)
        return current, sums

    def _expect(self, k: int, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
        if given != shape:
            name = self.graph.node_names[self.graph.inputs[k]]
            raise GraphError(f"{self.graph.name}: {name} must have shape {shape}, got {given}")

    def report(self) -> ProgramReport:
        """Steps of a batch, memory, operations; times too if it was compiled with ``measured=True`` and has run."""
        seconds = {} if self._clock is None else self._clock.per_step()
        return report(self.program, self.memory, self.executable.reports, seconds)

    def __str__(self) -> str:
        return f"{self.program}\n{self.memory}"


class _EpochFrame(Frame):
    """What one call needs to itself, and remembers from the call before: most calls differ in the carry alone."""

    def __init__(self, epoch: NativeEpoch) -> None:
        super().__init__(epoch._slots, epoch.memory, epoch.program.constants)
        self.epoch = epoch
        start, whole, _ = epoch._lengths
        self._types = [(epoch._types[k].dtype, epoch._types[k].shape) for k in range(len(epoch._types))]
        self._whole: list[np.ndarray] = []
        self._seen: list[tuple[weakref.ref[np.ndarray], tuple[int, ...]]] = []
        self._n = 0
        for k in range(start, start + whole):
            dtype, shape = self._types[k]
            self._whole.append(np.empty(shape, dtype))
            self.table[k] = address_of(self._whole[-1])

    def set_whole(self, values: Sequence[Any]) -> None:
        """Inputs that do not change during the epoch; numbers are copied."""
        start = self.epoch.n_carry
        for k, value in enumerate(values):
            dtype, shape = self._types[start + k]
            if not shape and np.ndim(value) == 0:
                self._whole[k][...] = value
            else:
                self._whole[k] = self._array(start + k, value, dtype, shape)
                self.table[start + k] = address_of(self._whole[k])

    def set_rows(self, data: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray]]:
        """The table: how many rows it has, and what must be kept until the call is over.

        The table of the call before is recognised, but not kept alive.
        """
        seen = self._seen
        if len(data) == len(seen) and all(
            ref() is a and shape == a.shape for a, (ref, shape) in zip(data, seen, strict=True)
        ):
            return self._n, list(data)
        start = len(self._types) - len(data)
        self._n = len(data[0]) if len(data) else 0
        kept = []
        for k, value in enumerate(data, start=start):
            dtype, shape = self._types[k]
            kept.append(self._array(k, value, dtype, (self._n, *shape[1:])))
            self.table[self.epoch._slots["data"] + k - start] = address_of(kept[-1])
        copied = any(a is not b for a, b in zip(data, kept, strict=True))
        self._seen = [] if copied else [(weakref.ref(a), a.shape) for a in kept]
        return self._n, kept

    def _array(self, k: int, value: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        graph = self.epoch.graph
        return as_array(value, dtype, shape, graph.name, graph.node_names, graph.inputs[k])


def _check(graph: Graph, n_carry: int, n_hyper: int, batch_size: int) -> None:
    inputs = [graph.nodes[i] for i in graph.inputs]
    outputs = [graph.nodes[i] for i in graph.outputs]
    names = graph.node_names
    for k, (before, after) in enumerate(zip(inputs[:n_carry], outputs[:n_carry], strict=True)):
        if before.type != after.type:
            raise GraphError(f"{graph.name}: {names[graph.inputs[k]]} is {before.type}, but its update is {after.type}")
    for k, node in enumerate(inputs[n_carry + n_hyper :], start=n_carry + n_hyper):
        if node.shape[:1] != (batch_size,):
            raise GraphError(f"{graph.name}: {names[graph.inputs[k]]} is {node.type}; expected {batch_size} rows")
    for node in outputs[n_carry:]:
        if node.shape:
            raise GraphError(f"{graph.name}: what is added up must be scalars, got {node.type}")


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
