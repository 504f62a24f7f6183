"""What a call of native code is given: a table of addresses, and memory to work in."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import BoundsError, GraphError
from chainrule.graph.graph import Graph
from chainrule.native.threads import barrier_address, barrier_memory

if TYPE_CHECKING:  # to load code made before, nothing of what makes it is needed
    from chainrule.native.steps import Program

#: names of functions: of a program run once, over mini-batches, over blocks of rows; of what they call
RUN, EPOCH, BLOCKS, LIBRARY = "run", "epoch", "blocks", "library"
LIBRARY_DONE = 0x0C0DE  # nothing that a callback that an exception left could return by chance
#: where among the counters of a call over blocks that of the threads at work is: cache lines away from the first
AT_WORK = 16
#: bytes; every arena starts at a multiple
ALIGNMENT = 64


class Slots(dict[str, int]):
    """Where in the table of addresses the buffers of each role start, and how long the table is."""

    length: int
    has_status: bool

    @staticmethod
    def of(program: Program) -> Slots:
        slots, start = Slots(), 0
        slots.has_status = any(b.role == "status" for b in program.buffers)
        for role in ("input", "output", "constant", "order", "data", "sum", "status", "clock"):
            slots[role] = start
            start += max((b.number + 1 for b in program.buffers if b.role == role), default=0)
        slots.length = start
        return slots


def as_array(
    value: Any, dtype: np.dtype, shape: tuple[int, ...], graph: str, names: Sequence[str], position: int
) -> np.ndarray:
    """An argument as an array of a dtype and shape, laid out row by row; itself if it is one."""
    if type(value) is np.ndarray and value.dtype == dtype and value.shape == shape and value.flags.c_contiguous:
        return value
    if np.shape(value) != shape:
        raise GraphError(f"{graph}: input {names[position]} must have shape {shape}, got {np.shape(value)}")
    return np.ascontiguousarray(value, dtype).reshape(shape)


def address_of(array: np.ndarray) -> int:
    """Where an array's first element lies."""
    if _READS_HEAD:
        return _pointer(id(array) + _HEAD).value or 0
    address: int = array.__array_interface__["data"][0]
    return address


def _reads_head() -> bool:
    """Whether the address can be read where NumPy's C interface has it: right behind what all Python objects begin
    with. That takes a seventh of the time of asking for it, and single rows are predicted in microseconds."""
    if sys.implementation.name != "cpython":
        return False
    probes: list[np.ndarray] = [np.empty(3), np.empty((2, 3), np.float32)[1:, ::2], np.array(1)]
    return all(_pointer(id(a) + _HEAD).value == a.__array_interface__["data"][0] for a in probes)


_pointer, _HEAD = ctypes.c_void_p.from_address, object.__basicsize__
_READS_HEAD = _reads_head()


class Frame:
    """What one call needs to itself: table of addresses, an arena per member of a team, status and barrier."""

    def __init__(self, slots: Slots, arena: int, constants: Sequence[np.ndarray], members: int = 1) -> None:
        self.table = (ctypes.c_void_p * max(slots.length, 1))()
        self.table_address = ctypes.addressof(self.table)
        self._constants = [np.ascontiguousarray(c) for c in constants]
        for k, array in enumerate(self._constants):
            self.table[slots["constant"] + k] = array.ctypes.data
        self._arena = np.empty(arena * members + ALIGNMENT, np.uint8)
        self.arena_address = -(-self._arena.ctypes.data // ALIGNMENT) * ALIGNMENT
        self._status, self._barrier = ctypes.c_int32(0), barrier_memory()
        self.barrier_address = barrier_address(self._barrier)
        if slots.has_status:
            self.table[slots["status"]] = ctypes.addressof(self._status)

    @property
    def status(self) -> int:
        """0, or what went wrong in the last call."""
        return self._status.value

    def take_status(self) -> int:
        """The status, which becomes 0."""
        status, self._status.value = self._status.value, 0
        return status


def failure(graph: Graph, status: int) -> BaseException:
    """What a positive status means."""
    node, names = graph.nodes[status - 1], graph.node_names
    types = ", ".join(str(graph.nodes[i].type) for i in node.inputs)
    call = f"{names[status - 1]} = {node.primitive.name}({types})"
    return BoundsError(f"{graph.name}: {call}: an index is out of bounds")
