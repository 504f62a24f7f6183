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
        ``nest`` (loops), ``product`` (of matrices), or ``library``: NumPy computes it, called back from native code.
    sizes : tuple of int
        How often the loops run; of a product the rows and columns of the result and the terms of its sums.
    does : tuple of str
        The operations fused in it, in their order.
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
    sizes: tuple[int, ...]
    does: tuple[str, ...]
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
        total = self.seconds
        unit, factor = ("ms", 1e3) if total >= 10e-3 else ("µs", 1e6)
        counts = f"{'step':<20} {'kind':<8} {'sizes':<14} {'operations':>12} {'bytes':>12}"
        lines = [f"{counts} {unit:>9} share   Gop/s  does"]
        for k, s in enumerate(self.steps):
            share = f"{s.seconds / total:6.1%}" if total > 0 else " " * 6
            speed = f"{s.operations / s.seconds / 1e9:7.1f}" if s.operations and s.seconds > 0 else " " * 7
            label, sizes = f"{k} {s.name}", "×".join(map(str, s.sizes)) or "once"
            counts = f"{label[:20]:<20} {s.kind:<8} {sizes:<14} {s.operations:>12} {s.bytes:>12}"
            lines.append(f"{counts} {factor * s.seconds:>9.2f} {share} {speed}  {_shown(s.does)}")
        lines.append(f"{factor * total:.2f} {unit} per run; memory between the steps: {self.arena_bytes} bytes")
        if any(s.kind == "library" for s in self.steps):
            lines.append("library: computed by NumPy or SciPy, called from native code")
        if self.peak > 0 and total > 0:
            rate = sum(s.operations for s in self.steps) / total
            lines.append(
                f"{rate / 1e9:.1f} Gop/s; products of matrices reach {self.peak / 1e9:.0f} on one core here, "
                f"of which this is {rate / self.peak:.0%}"
            )
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
            _sizes(step),
            _does(step, nodes[step.node].primitive.name),
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


def _sizes(step: Step) -> tuple[int, ...]:
    if isinstance(step, ProductStep):
        return (*(extent for extent, *_ in step.batch), *step.sizes)
    return tuple(step.extents.values()) if isinstance(step, Nest) else step.out_type.shape


def _does(step: Step, primitive: str) -> tuple[str, ...]:
    """Operations, without those that take no time."""
    if isinstance(step, ProductStep):
        return ("matmul", *(() if step.epilogue is None else _does(step.epilogue, "")))
    if not isinstance(step, Nest):
        return (primitive,)
    found = [i.op for i in step.body if i.op not in _FREE]
    found += [r.op or "scatter" for r in step.results if r.kind != "store"]
    return tuple(found) or ("copy" if any(i.op == "load" for i in step.body) else "fill",)


def _shown(operations: tuple[str, ...]) -> str:
    """Some of them, if there are many."""
    return ", ".join(operations[:6]) + (f", {len(operations) - 6} more" if len(operations) > 6 else "")


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
