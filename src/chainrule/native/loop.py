"""The epoch as one native function: gather the rows of a mini-batch, run the step, update in place, add up, repeat.

No Python runs between the steps, the interpreter's lock is released, and nothing is allocated.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache
from chainrule.native.forks import late_imports
from chainrule.native.frame import EPOCH, Frame, address_of, as_array, failure
from chainrule.native.pace import Pace
from chainrule.native.recipe import load_or_compile
from chainrule.native.repeat import repeater
from chainrule.native.target import Target
from chainrule.native.threads import available_cores, run_team

if TYPE_CHECKING:  # an epoch that is in the cache is loaded without the compiler
    from chainrule.native.epoch_plan import EpochPlan
    from chainrule.native.plan import MemoryPlan
    from chainrule.native.report import Clock, ProgramReport
    from chainrule.native.steps import Program
    from chainrule.native.team import TeamPlan

#: seconds, and bytes, that several epochs in one call may take: nobody waits long for an interrupt
_MOMENT, _MOST_BYTES = 20e-3, 1 << 21


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
        threads = available_cores() if threads is None else threads
        self._asked = (n_carry, n_hyper, batch_size, target, threads, measured)
        recipe, self.executable, self._plan = load_or_compile(
            graph, (n_carry, n_hyper, batch_size, threads, measured), EPOCH, target, cache, self._make_plan
        )
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function = self.executable.function(
            EPOCH, ctypes.c_int32, number, number, pointer, pointer, number, pointer
        )
        self._recipe, self._slots = recipe, recipe.slots
        self._lengths = (n_carry, n_hyper, len(graph.inputs) - n_carry - n_hyper)
        self._frames: deque[_EpochFrame] = deque()  # idle ones: a call takes one, or makes one, and puts it back
        self._clock = _clock(self) if measured else None
        self._pace = Pace(recipe.members)

    def _make_plan(self) -> EpochPlan:
        with late_imports():
            from chainrule.native.epoch_plan import plan_epoch

        return plan_epoch(self.graph, *self._asked)

    @property
    def plan(self) -> EpochPlan:
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

    @property
    def team(self) -> TeamPlan:
        return self.plan.team

    def __call__(
        self,
        carry: Sequence[Any],
        hyper: Sequence[Any],
        data: Sequence[np.ndarray],
        order: np.ndarray,
        sums: np.ndarray | None = None,
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
        sums : float64 array, optional
            To add to, not modified; zeros by default.

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
        frame = self._frames.pop() if self._frames else self._frame()
        table, slots = frame.table, self._slots
        current = [
            np.array(v, t.dtype, order="C") for v, t in zip(carry, self._types, strict=False)
        ]  # changed in place
        for k, array in enumerate(current):
            self._expect(k, array.shape, self._types[k].shape)
            table[k] = address_of(array)
        frame.set_whole(hyper)
        n, columns = frame.set_rows(data)
        rows = self._padded(order, n)
        sums = np.zeros(len(self.graph.outputs) - self.n_carry) if sums is None else sums.copy()
        table[slots["sum"]] = address_of(sums)
        if self._clock is not None:
            table[slots["clock"]] = address_of(self._clock.cycles)
        first = address_of(rows)
        done = 0

        def work(threads: int, batches: int) -> float:
            nonlocal done
            table[slots["order"]] = first + done * size * rows.itemsize
            start = perf_counter()
            places = (frame.table_address, frame.arena_address, batches, frame.barrier_address)
            run_team(self._function, threads, places, keep=(self, frame, current, hyper, data, rows, sums))
            done += batches
            if frame.status:
                raise self._error(frame.take_status())
            seconds = perf_counter() - start
            if self._clock is not None:
                self._clock.seconds += seconds
                self._clock.runs += batches
            return seconds

        self._pace.run(len(rows) // size, work)
        del columns  # alive until here
        self._frames.append(frame)
        return current, sums

    def several(
        self, carry: Sequence[Any], hyper: Sequence[Any], data: Sequence[np.ndarray], orders: Iterable[np.ndarray]
    ) -> Iterator[tuple[list[Any], np.ndarray]]:
        """Run an epoch for every order; the carry after each, and its sums. The same bits as one call after the other.

        Short epochs of one thread run many at a time.
        """
        waiting = iter(orders)
        while chunk := list(islice(waiting, self._at_once(carry, len(data[0])))):
            alone = len(chunk) == 1
            done = [self(carry, hyper, data, chunk[0])] if alone else self._repeat(carry, hyper, data, chunk)
            yield from done
            carry = done[-1][0]

    def _at_once(self, carry: Sequence[np.ndarray], n: int) -> int:
        """How many epochs of n rows one call may do: as many as take a moment, and little memory."""
        if self._recipe.members > 1 or self._clock is not None or not n or 1 not in self._pace.seconds:
            return 1
        seconds = self._pace.seconds[1] * (n / self.batch_size)
        size = sum(v.nbytes for v in carry) + 8 * n
        return max(1, min(int(_MOMENT / seconds), _MOST_BYTES // size))

    def _repeat(
        self, carry: Sequence[Any], hyper: Sequence[Any], data: Sequence[np.ndarray], orders: Sequence[np.ndarray]
    ) -> list[tuple[list[np.ndarray], np.ndarray]]:
        """Epochs of equally many rows, in one native call."""
        frame = self._frames.pop() if self._frames else self._frame()
        frame.set_whole(hyper)
        n, columns = frame.set_rows(data)
        rows = np.stack([self._padded(order, n) for order in orders])
        after = [np.empty((len(orders), *np.shape(v)), t.dtype) for v, t in zip(carry, self._types, strict=False)]
        sums = np.zeros((len(orders), len(self.graph.outputs) - self.n_carry))
        moves = []
        for k, (array, value) in enumerate(zip(after, carry, strict=True)):
            self._expect(k, array.shape[1:], self._types[k].shape)
            array[0] = value
            frame.table[k] = address_of(array)
            moves += [k, array.strides[0], array.strides[0]]
        for name, array in (("order", rows), ("sum", sums)):
            frame.table[self._slots[name]] = address_of(array)
            moves += [self._slots[name], array.strides[0], 0]
        told = np.array(moves, np.int64)
        status = repeater()(
            len(orders),
            self.executable.address(EPOCH),
            frame.table_address,
            frame.arena_address,
            rows.shape[1] // self.batch_size,
            frame.barrier_address,
            len(told) // 3,
            address_of(told),
        )
        del columns  # alive until here
        if status:
            raise self._error(frame.take_status())
        self._frames.append(frame)
        return [([a[k, ...] for a in after], sums[k]) for k in range(len(orders))]

    def _padded(self, order: np.ndarray, n: int) -> np.ndarray:
        """An order of whole batches."""
        size = self.batch_size
        rows = np.full(-(-len(order) // size) * size, -1, np.int64)
        rows[: len(order)] = order
        if len(order) and rows[: len(order)].view(np.uint64).max() >= n:  # negative ones are huge
            raise GraphError(f"{self.graph.name}: the order names rows outside 0 … {n - 1}")
        return rows

    def _frame(self) -> _EpochFrame:
        try:
            return _EpochFrame(self)
        except MemoryError:
            raise self.plan.shortage() from None

    def _error(self, status: int) -> BaseException:
        return failure(self.graph, status) if status > 0 else self.plan.library.error(self.graph, status)

    def _expect(self, k: int, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
        if given != shape:
            name = self.graph.node_names[self.graph.inputs[k]]
            raise GraphError(f"{self.graph.name}: {name} must have shape {shape}, got {given}")

    def report(self) -> ProgramReport:
        """Steps of a batch, memory, operations; times too if it was compiled with ``measured=True`` and has run."""
        with late_imports():
            from chainrule.native.report import report

        seconds = {} if self._clock is None else self._clock.per_step()
        return report(self.program, self.memory, self.executable.reports, seconds)

    def __str__(self) -> str:
        return f"{self.program}\n{self.memory}"


def _clock(epoch: NativeEpoch) -> Clock:
    with late_imports():
        from chainrule.native.report import Clock

    return Clock(len(epoch.program.steps))


class _EpochFrame(Frame):
    """What one call needs to itself, and remembers from the call before: most calls differ in the carry alone."""

    def __init__(self, epoch: NativeEpoch) -> None:
        recipe = epoch._recipe
        super().__init__(recipe.slots, recipe.arena, recipe.constants)
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
            if not shape and (type(value) is float or np.ndim(value) == 0):
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
