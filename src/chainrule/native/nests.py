"""Loop nests: what element-wise work, reductions, gathers and scatters become before they are LLVM code.

A :class:`Nest` has numbered loops (*axes*), a body of instructions, each assigned once, and results. An instruction is
evaluated once for every iteration of the loops its operands depend on, no deeper; a result names the loops it is
produced in, from the outermost to the innermost. Results whose loops begin alike share those loops.

>>> print(nest)                                                  # doctest: +SKIP
for i0 < 32, i1 < 64:
  r0 = load float32 b0[64·i0 + i1]
  r1 = load float32 b1[i1]
  r2 = add float32 r0 r1
  store b2[64·i0 + i1] = r2   (i0 i1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from chainrule.native.affine import Affine

ITEM_BYTES = {"bool": 1, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory that holds a value.

    Parameters
    ----------
    dtype : str
    size : int
        Elements.
    role : str
        ``arena``, or, with its ``number`` among them: ``input``, ``output``, ``constant``, and around an epoch
        ``data``, ``order``, ``sum``, ``status`` and ``clock``; ``local``: on the stack of one nest.
    number : int
    """

    dtype: str
    size: int
    role: str
    number: int = 0

    @property
    def bytes(self) -> int:
        return self.size * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Place:
    """An array in memory: a buffer, the offset of its first element and a stride per dimension, in elements."""

    buffer: int
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Indirect:
    """An index read at run time: instruction ``value`` (int64) counts ``size`` positions that are ``stride`` apart."""

    value: int
    stride: int
    size: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation.

    Parameters
    ----------
    op : str
        ``constant`` (``data``: the number), ``position`` (``data``: an `Affine`), ``load`` (``data``: buffer and
        `Affine`; a gather has `Indirect` parts after them), ``fold`` (``data``: number of the result whose final value
        this is), or an element-wise operation.
    args : tuple of int
        Earlier instructions.
    dtype : str
        Of the result.
    data
    """

    op: str
    args: tuple[int, ...]
    dtype: str
    data: Any = None

    @property
    def values(self) -> tuple[int, ...]:
        """All instructions it needs, but for those of the result that a ``fold`` refers to."""
        return tuple(part.value for part in self.data[2:]) if self.op == "load" else self.args

    def with_values(self, number: Mapping[int, int]) -> Instruction:
        """With other numbers for the instructions."""
        if self.op == "load":
            parts = (replace(part, value=number[part.value]) for part in self.data[2:])
            return replace(self, data=(*self.data[:2], *parts))
        return replace(self, args=tuple(number[a] for a in self.args))


@dataclass(frozen=True, slots=True)
class Result:
    """Something a nest leaves behind.

    Parameters
    ----------
    kind : str
        ``store``: one element per iteration. ``fold``: ``op`` over the innermost ``n_reduced`` loops. ``scan``: as a
        fold over one loop, but every intermediate result is stored. ``add``: added to what is in memory, at a place
        that `Indirect` parts move; iterations are kept in order.
    value : int
        Instruction.
    buffer : int or None
        None: a fold whose value only this nest uses.
    place : Affine
    loops : tuple of int
        Axes from the outermost to the innermost.
    op : str
        Of a fold or scan: ``sum``, ``max``, ``min``, ``any``, ``all``, ``argmax``, ``argmin``.
    n_reduced : int
    indirect : tuple of Indirect
    position : int or None
        Instruction that counts what an ``argmax`` or ``argmin`` returns.
    """

    kind: str
    value: int
    buffer: int | None
    place: Affine
    loops: tuple[int, ...]
    op: str = ""
    n_reduced: int = 0
    indirect: tuple[Indirect, ...] = ()
    position: int | None = None

    @property
    def kept(self) -> tuple[int, ...]:
        """Loops in each iteration of which there is one final value."""
        return self.loops[: len(self.loops) - self.n_reduced]

    @property
    def values(self) -> tuple[int, ...]:
        """All instructions it needs."""
        positions = () if self.position is None else (self.position,)
        return (self.value, *positions, *(part.value for part in self.indirect))

    def with_values(self, number: Mapping[int, int]) -> Result:
        """With other numbers for the instructions."""
        return replace(
            self,
            value=number[self.value],
            position=None if self.position is None else number[self.position],
            indirect=tuple(replace(part, value=number[part.value]) for part in self.indirect),
        )


@dataclass(frozen=True)
class Nest:
    """Loops, instructions and results; see the module's text.

    Parameters
    ----------
    extents : mapping of int to int
        How often each axis runs, at least twice.
    body : tuple of Instruction
    results : tuple of Result
        In the order in which they are produced.
    node : int
        Position in the graph of what it computes, for names and messages.
    vector : frozenset of int
        Axes along which iterations run side by side in vector lanes; at most one of every result's loops.
    fused : bool
        Whether results share some loops but not all, so that the loops' order is part of the meaning.
    local : mapping of int to tuple of int
        Buffers of role ``local``, and the axes for each iteration of which they are written anew.
    """

    extents: Mapping[int, int]
    body: tuple[Instruction, ...]
    results: tuple[Result, ...]
    node: int = 0
    vector: frozenset[int] = field(default=frozenset())
    fused: bool = False
    local: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @cached_property
    def depends(self) -> tuple[frozenset[int], ...]:
        """For each instruction the axes it depends on."""
        found: list[frozenset[int]] = []
        for instruction in self.body:
            axes: frozenset[int] = frozenset()
            for i in instruction.args:
                axes |= found[i]
            if instruction.op == "position":
                axes |= frozenset(instruction.data.axes)
            elif instruction.op == "load":
                axes |= frozenset(instruction.data[1].axes) | frozenset(self.local.get(instruction.data[0], ()))
                for part in instruction.data[2:]:
                    axes |= found[part.value]
            elif instruction.op == "fold":
                result = self.results[instruction.data]
                axes |= frozenset(result.kept)
            elif instruction.op == "product":
                axes |= frozenset(instruction.data)
            found.append(axes)
        return tuple(found)

    def loads(self) -> list[tuple[int, Affine, bool]]:
        """Buffer, place and whether it is indirect, of everything read."""
        return [(i.data[0], i.data[1], len(i.data) > 2) for i in self.body if i.op == "load"]

    @property
    def reads(self) -> frozenset[int]:
        """Buffers read."""
        return frozenset(b for b, _, _ in self.loads()) | frozenset(
            r.buffer for r in self.results if r.kind == "add" and r.buffer is not None
        )

    @property
    def writes(self) -> frozenset[int]:
        """Buffers written."""
        return frozenset(r.buffer for r in self.results if r.buffer is not None)

    def renumbered(self, buffers: Mapping[int, int]) -> Nest:
        """With other numbers for the buffers."""
        body = tuple(replace(i, data=(buffers[i.data[0]], *i.data[1:])) if i.op == "load" else i for i in self.body)
        results = tuple(r if r.buffer is None else replace(r, buffer=buffers[r.buffer]) for r in self.results)
        return replace(self, body=body, results=results, local={buffers[b]: axes for b, axes in self.local.items()})

    def __str__(self) -> str:
        def axis(a: int) -> str:
            return f"i{a} < {self.extents[a]}" + (" (vector)" if a in self.vector else "")

        lines = ["for " + ", ".join(axis(a) for a in self.extents) + ":" if self.extents else "once:"]
        for k, i in enumerate(self.body):
            operands = "".join(f" r{a}" for a in i.args)
            lines.append(f"  r{k} = {i.op} {i.dtype}{operands}{_data(i)}")
        for r in self.results:
            loops = " ".join(f"i{a}" for a in r.kept) + (
                " | " + " ".join(f"i{a}" for a in r.loops[len(r.kept) :]) if r.n_reduced else ""
            )
            where = "" if r.buffer is None else f" b{r.buffer}[{_moved(r.place, r.indirect)}] ="
            lines.append(f"  {r.kind}{' ' + r.op if r.op else ''}{where} r{r.value}   ({loops})")
        return "\n".join(lines)


def _data(instruction: Instruction) -> str:
    data = instruction.data
    if instruction.op == "load":
        return f" b{data[0]}[{_moved(data[1], data[2:])}]"
    return "" if data is None else f" {data}"


def _moved(place: Affine, indirect: tuple[Indirect, ...]) -> str:
    return str(place) + "".join(f" + {p.stride}·r{p.value}" for p in indirect)


class Body:
    """Instructions in the making; equal ones are made once."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._known: dict[Instruction, int] = {}

    def add(self, op: str, args: tuple[int, ...], dtype: str, data: Any = None) -> int:
        """The number of an instruction."""
        key = data.hex() if isinstance(data, float) else data  # -0 is not 0
        wanted = Instruction(op, args, dtype, key)
        if wanted not in self._known:
            self._known[wanted] = len(self.instructions)
            self.instructions.append(Instruction(op, args, dtype, data))
        return self._known[wanted]

    def __getitem__(self, number: int) -> Instruction:
        return self.instructions[number]
