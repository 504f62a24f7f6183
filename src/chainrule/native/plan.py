"""The memory plan: where in one arena each intermediate value lives, from when the steps first and last touch it.

Values whose lives do not overlap share memory. Nothing is allocated while a program runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.native.steps import Program

ALIGNMENT = 64


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets in bytes of the buffers of role ``arena``, and of scratch memory of steps.

    Parameters
    ----------
    offsets : mapping of int to int
        By buffer.
    scratch : mapping of int to int
        By step.
    bytes : int
        Of the whole arena.
    """

    offsets: Mapping[int, int]
    scratch: Mapping[int, int]
    bytes: int

    def __str__(self) -> str:
        lines = [f"arena of {self.bytes} bytes"]
        lines += [f"b{b} at {offset}" for b, offset in self.offsets.items()]
        lines += [f"scratch of step {k} at {offset}" for k, offset in self.scratch.items()]
        return "\n".join(lines)


def plan_memory(program: Program, scratch_bytes: Mapping[int, int] | None = None) -> MemoryPlan:
    """Place every buffer of role ``arena`` at the lowest offset that is free while it lives.

    Parameters
    ----------
    program : Program
    scratch_bytes : mapping of int to int, optional
        Memory a step needs for itself, by step.
    """
    lifetimes = program.lifetimes()
    wanted = [
        (("buffer", b), buffer.bytes, *lifetimes[b])
        for b, buffer in enumerate(program.buffers)
        if buffer.role == "arena" and b in lifetimes and buffer.size
    ]
    wanted += [(("scratch", k), size, k, k) for k, size in (scratch_bytes or {}).items() if size]
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first step, last step
    found: dict[tuple[str, int], int] = {}
    for key, size, first, last in sorted(wanted, key=lambda w: (-w[1], w[2], w[0])):
        offset = 0
        for low, high in sorted((p[0], p[1]) for p in placed if p[2] <= last and first <= p[3]):
            if offset + size <= low:
                break
            offset = max(offset, high)
        found[key] = offset
        placed.append((offset, offset + -(-size // ALIGNMENT) * ALIGNMENT, first, last))
    return MemoryPlan(
        {number: offset for (kind, number), offset in sorted(found.items()) if kind == "buffer"},
        {number: offset for (kind, number), offset in sorted(found.items()) if kind == "scratch"},
        max((end for _, end, _, _ in placed), default=0),
    )
