"""The memory plan: where in one arena each intermediate value lives, from when the steps first and last touch it.

Values whose lives do not overlap share memory. Nothing is allocated while a program runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from chainrule.errors import OutOfMemoryError
from chainrule.graph.graph import Graph
from chainrule.native.frame import ALIGNMENT
from chainrule.native.nests import Buffer
from chainrule.native.steps import Program


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets in bytes of the buffers of role ``arena``, and of the scratch memory of products.

    Parameters
    ----------
    offsets : mapping of int to int
        By buffer.
    scratch : int
        Where each member of a team, one after the other, has memory for the products it works on.
    scratch_bytes : int
        How much that is, per member.
    bytes : int
        Of the whole arena.
    """

    offsets: Mapping[int, int]
    scratch: int
    scratch_bytes: int
    bytes: int

    def __str__(self) -> str:
        lines = [f"arena of {self.bytes} bytes"]
        lines += [f"b{b} at {offset}" for b, offset in self.offsets.items()]
        if self.scratch_bytes:
            lines.append(f"scratch at {self.scratch}, {self.scratch_bytes} bytes each")
        return "\n".join(lines)


def plan_memory(
    program: Program, scratch_bytes: int = 0, members: int = 1, waits: AbstractSet[int] = frozenset()
) -> MemoryPlan:
    """Place every buffer of role ``arena`` at the lowest offset that is free while it lives.

    Parameters
    ----------
    program : Program
    scratch_bytes : int
        Memory that a member of a team needs for products.
    members : int
        Of the team.
    waits : set of int
        Steps before which its members wait for each other. Between two waits one may be ahead of another, so values
        used there have memory of their own, lest sharing it ask for more waits.
    """
    lifetimes = program.lifetimes()
    times = _times(len(program.steps), waits) if members > 1 else range(len(program.steps))
    wanted = [
        (b, buffer.bytes, *(times[k] for k in lifetimes[b]))
        for b, buffer in enumerate(program.buffers)
        if buffer.role == "arena" and b in lifetimes and buffer.size
    ]
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first step, last step
    found: dict[int, int] = {}
    for b, size, first, last in sorted(wanted, key=lambda w: (-w[1], w[2], w[0])):
        offset = 0
        for low, high in sorted((p[0], p[1]) for p in placed if p[2] <= last and first <= p[3]):
            if offset + size <= low:
                break
            offset = max(offset, high)
        found[b] = offset
        placed.append((offset, offset + _aligned(size), first, last))
    scratch = max((end for _, end, _, _ in placed), default=0)
    each = _aligned(scratch_bytes)
    return MemoryPlan(dict(sorted(found.items())), scratch, each, scratch + each * members)


def _times(steps: int, waits: AbstractSet[int]) -> list[int]:
    """For every step, how many waits come before it."""
    return list(accumulate(int(k in waits) for k in range(steps)))


def shortage(program: Program, memory: MemoryPlan) -> OutOfMemoryError:
    """The error that says which values the memory that cannot be had is needed for."""
    graph = program.graph
    text = f"{graph.name}: {memory.bytes / 2**20:.0f} MiB of memory for intermediate values cannot be had"
    written = [
        (program.buffers[b].bytes, b, step.node) for step in program.steps for b in step.writes if b in memory.offsets
    ]
    if written:
        _, b, node = max(written)
        node = _value_of(program.buffers[b], graph, node)
        named, type_ = graph.node_names[node], graph.nodes[node].type
        text += f"; the largest is {named} = {graph.nodes[node].primitive.name}(…), {type_}"
    return OutOfMemoryError(f"{text}; use smaller batches, or fewer rows at a time")


def no_room_for_outputs(graph: Graph) -> OutOfMemoryError:
    """The error that names the largest result, where there is no memory for the results."""
    sizes = {i: graph.nodes[i].type.size * graph.nodes[i].dtype.itemsize for i in graph.outputs}
    largest = max(sizes, key=sizes.__getitem__)
    return OutOfMemoryError(
        f"{graph.name}: {sum(sizes.values()) / 2**20:.0f} MiB of memory for the results cannot be had; the largest is "
        f"{graph.node_names[largest]} = {graph.nodes[largest].primitive.name}(…), {graph.nodes[largest].type}; use "
        "fewer rows at a time"
    )


def _value_of(buffer: Buffer, graph: Graph, last: int) -> int:
    """The node a buffer holds, as far as its type tells: of a step of many nodes only the last is noted."""
    size, dtype = buffer.size, np.dtype(buffer.dtype)
    fitting = [k for k, n in enumerate(graph.nodes[: last + 1]) if (n.type.size, n.type.dtype) == (size, dtype)]
    return fitting[-1] if fitting else last


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
