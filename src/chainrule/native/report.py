"""What a compiled program consists of and where its time goes: per fused nest or product, memory, operations, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from chainrule.native.nests import Nest
from chainrule.native.plan import MemoryPlan
from chainrule.native.runtime import UnitReport
from chainrule.native.steps import ProductStep, Program, Step

_FREE = ("constant", "position", "load", "fold", "product")


@dataclass(frozen=True)
class StepReport:
    """One step.

    Parameters
    ----------
    name, primitive : str
        The node whose value it computes last.
    kind : str
        ``nest``, ``product`` or ``library``.
    operations : int
        Arithmetic per run; a transcendental function counts as one.
    bytes : int
        Read and written per run, as if nothing were cached.
    seconds : float
        Per run, measured; not a number if nothing was.
    """

    name: str
    primitive: str
    kind: str
    operations: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class ProgramReport:
    """All steps of a program, how much memory it takes besides inputs and outputs, and how it was compiled.

    ``peak``: operations per second that the machine reaches at best; not a number if that was not measured.
    """

    steps: tuple[StepReport, ...]
    arena_bytes: int
    units: tuple[UnitReport, ...]
    peak: float = float("nan")

    @property
    def seconds(self) -> float:
        """Of all steps together, per run."""
        return sum(s.seconds for s in self.steps)

    def __str__(self) -> str:
        head = f"{'step':<34} {'kind':<8} {'operations':>12} {'bytes':>12} {'µs':>10} {'share':>6} {'Gop/s':>7}"
        lines = [head]
        total = self.seconds
        for k, s in enumerate(self.steps):
            label = f"{k} {s.name}" + ("" if s.name.startswith(s.primitive) else f" = {s.primitive}")
            share = f"{s.seconds / total:6.1%}" if total else ""
            speed = f"{s.operations / s.seconds / 1e9:7.1f}" if s.seconds else ""
            counts = f"{s.kind:<8} {s.operations:>12} {s.bytes:>12}"
            lines.append(f"{label[:34]:<34} {counts} {1e6 * s.seconds:>10.2f} {share} {speed}")
        lines.append(f"{1e6 * total:.2f} µs per run; arena of {self.arena_bytes} bytes")
        if self.peak > 0 and total > 0:
            rate = sum(s.operations for s in self.steps) / total
            lines.append(f"{rate / 1e9:.1f} Gop/s, {rate / self.peak:.0%} of the {self.peak / 1e9:.0f} of a product")
        lines += [str(u) for u in self.units]
        return "\n".join(lines)


def report(
    program: Program, memory: MemoryPlan, units: Sequence[UnitReport], seconds: Mapping[int, float]
) -> ProgramReport:
    """The report of a program; ``seconds`` by step, where they are known."""
    names, nodes = program.graph.node_names, program.graph.nodes
    steps = tuple(
        StepReport(
            names[step.node],
            nodes[step.node].primitive.name,
            _kind(step),
            _operations(step),
            sum(program.buffers[b].bytes for b in (*step.reads, *step.writes) if b not in _local(step)),
            seconds.get(k, float("nan")),
        )
        for k, step in enumerate(program.steps)
    )
    return ProgramReport(steps, memory.bytes, tuple(units))


class Clock:
    """Cycles spent in each step, added up over runs, and the seconds of the runs, which say how long a cycle is."""

    def __init__(self, steps: int) -> None:
        self.cycles = np.zeros(max(steps, 1), np.int64)
        self.seconds, self.runs = 0.0, 0

    def per_step(self) -> dict[int, float]:
        """Seconds of each step per run."""
        total = int(self.cycles.sum())
        if not (total and self.runs):
            return {}
        return {k: float(c) / total * self.seconds / self.runs for k, c in enumerate(self.cycles)}


def _kind(step: Step) -> str:
    return "product" if isinstance(step, ProductStep) else "nest" if isinstance(step, Nest) else "library"


def _local(step: Step) -> Mapping[int, tuple[int, ...]]:
    return step.local if isinstance(step, Nest) else {}


def _operations(step: Step) -> int:
    if isinstance(step, ProductStep):
        m, n, k = step.sizes
        times = prod(extent for extent, *_ in step.batch)
        return 2 * m * n * k * times + (0 if step.epilogue is None else _operations(step.epilogue))
    if not isinstance(step, Nest):
        return 0
    total = 0
    for instruction, axes in zip(step.body, step.depends, strict=True):
        if instruction.op not in _FREE:
            total += prod(step.extents[a] for a in axes)
    for r in step.results:
        if r.kind != "store":
            total += prod(step.extents[a] for a in r.loops)
    return total
