"""Values inside a nest: instructions for the element of a term at an index, from whatever is in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chainrule.errors import CompileError
from chainrule.native.affine import Affine, NotAffine, dot, reshaped, row_major
from chainrule.native.nests import Body, Indirect, Nest, Place, Result
from chainrule.native.terms import Term, Terms

Index = tuple[Affine, ...]
"""Which element: a position per dimension."""


class CutAxis(Exception):
    """A nest must be cut in two along an axis, since an assembly has a border there."""

    def __init__(self, axis: int, at: int, term: int) -> None:
        super().__init__(f"cut axis {axis} at {at}")
        self.axis, self.at, self.term = axis, at, term


class Memory(Protocol):
    """What a nest must know of the values outside it."""

    terms: Terms
    roots: set[int]
    done: set[int]

    def ensure(self, position: int) -> None:
        """Write the steps that materialise a term, unless they are written already."""

    def place(self, position: int) -> Place:
        """Where a materialised term lives."""

    def compact(self, position: int) -> Place:
        """Where it lives without gaps."""

    def reachable(self, position: int) -> Place:
        """Where a term can be read, of a view too."""


class NestBuilder:
    """A nest in the making: instructions for values at an index, computed from whatever is materialised."""

    def __init__(self, memory: Memory, term: Term, top: int | None = None) -> None:
        self.memory, self.terms, self.term = memory, memory.terms, term
        self.top = top  # a root that is to be computed here, not read
        self.body = Body()
        self.extents: dict[int, int] = {}
        self.known: dict[tuple[int, Index], int] = {}

    def finished(self, result: Result) -> Nest:
        return Nest(dict(self.extents), tuple(self.body.instructions), (result,), self.term.node)

    def constant(self, number: bool | int | float, dtype: str) -> int:
        kind = np.dtype(dtype).kind
        value = bool(number) if kind == "b" else float(number) if kind == "f" else int(number)
        return self.body.add("constant", (), dtype, value)

    def bounded(self, index: int, size: int) -> int:
        """An index counted from the start and within bounds; if it is not, the program reports this node."""
        return self.body.add("bound", (index,), "int64", (size, self.term.node))

    def value(self, position: int, index: Index) -> int:
        """The instruction that gives an element of a term."""
        key = (position, index)
        if key not in self.known:
            top, self.top = self.top == position, None if self.top == position else self.top
            self.known[key] = self._value(position, index, top)
        return self.known[key]

    def _value(self, position: int, index: Index, top: bool) -> int:
        term = self.terms[position]
        if term.uniform is not None:
            return self.constant(term.uniform, term.dtype)
        if not top and (position in self.memory.done or position in self.memory.roots or term.kind == "constant"):
            return self.load(position, index)
        rule = {
            "map": self.map,
            "view": self.view,
            "assemble": self.assembly,
            "random": self.random,
            "gather": self.gather,
        }.get(term.kind)
        return self.load(position, index) if rule is None else rule(position, index)

    def load(self, position: int, index: Index) -> int:
        self.memory.ensure(position)
        place = self.memory.place(position)
        at = dot(index, place.strides) + place.offset
        return self.body.add("load", (), self.terms[position].dtype, (place.buffer, at))

    def map(self, position: int, index: Index) -> int:
        term = self.terms[position]
        args = tuple(self.value(i, broadcast(self.terms[i].shape, index)) for i in term.args)
        op = term.op
        if op in _CLAMPS and term.type.is_float:
            number = self.terms[term.args[1]].uniform
            if number is not None and not math.isnan(number):
                op = _CLAMPS[op]
        return self.body.add(op, args, term.dtype)

    def view(self, position: int, index: Index) -> int:
        term, source = self.terms[position], self.terms[position].args[0]
        if term.op == "reshape" and (source in self.memory.done or source in self.memory.roots):
            return self.reshaped_load(position, index)
        try:
            return self.value(source, viewed(self.terms, position, index, self.extents))
        except NotAffine:
            return self.reshaped_load(position, index)

    def reshaped_load(self, position: int, index: Index) -> int:
        """An element of a reshape of memory without gaps: always affine."""
        term, source = self.terms[position], self.terms[position].args[0]
        self.memory.ensure(source)
        place = self.memory.compact(source)
        at = dot(index, row_major(term.shape)) + place.offset
        return self.body.add("load", (), term.dtype, (place.buffer, at))

    def assembly(self, position: int, index: Index) -> int:
        term = self.terms[position]
        for part, window in zip(term.args, term.params["windows"], strict=True):
            inside = True
            moved = []
            for i, (start, count, step) in zip(index, window, strict=True):
                stop = start + (count - 1) * step + 1
                low, high = i.bounds(self.extents)
                if high < start or low >= stop:
                    inside = False
                    break
                if low < start or high >= stop:
                    self.cut(position, i, start if low < start else stop)
                if step > 1:
                    quotient = Affine(
                        (i.offset - start) // step, tuple((a, s // step) for a, s in i.terms if s % step == 0)
                    )
                    if quotient * step + start != i:
                        return self.load(position, index)
                    moved.append(quotient)
                else:
                    moved.append(i + (-start))
            if inside:
                return self.value(part, tuple(moved))
        return self.constant(term.params["fill"], term.dtype)

    def cut(self, position: int, index: Affine, border: int) -> None:
        """Ask for the nest to be cut where ``index`` reaches ``border``."""
        if len(index.terms) == 1:
            axis, stride = index.terms[0]
            at = -((index.offset - border) // stride) if stride > 0 else (index.offset - border) // -stride + 1
            if 0 < at < self.extents[axis]:
                raise CutAxis(axis, at, position)
        raise CutAxis(-1, 0, position)

    def random(self, position: int, index: Index) -> int:
        term = self.terms[position]
        key = self.value(term.args[0], ())
        at = self.body.add("position", (), "uint64", dot(index, row_major(term.shape)))
        return self.body.add("uniform", (key, at), term.dtype)

    def gather(self, position: int, index: Index) -> int:
        term = self.terms[position]
        source, *indices = term.args
        axes = term.params["axes"]
        shape = self.terms[source].shape
        lead = len(index) - (len(shape) - len(axes))
        values = [self.value(i, broadcast(self.terms[i].shape, index[:lead])) for i in indices]
        place = self.memory.reachable(source)
        rest = [k for k in range(len(shape)) if k not in axes]
        at = dot(index[lead:], [place.strides[k] for k in rest]) + place.offset
        node, self.term = self.term, term
        parts = tuple(
            Indirect(self.bounded(v, shape[k]), place.strides[k], shape[k]) for v, k in zip(values, axes, strict=True)
        )
        self.term = node
        return self.body.add("load", (), term.dtype, (place.buffer, at, *parts))


_CLAMPS = {"maximum": "at_least", "minimum": "at_most"}

# -- positions


def broadcast(shape: Sequence[int], index: Index) -> Index:
    """Index into an operand of an element of the broadcast result."""
    tail = index[len(index) - len(shape) :]
    return tuple(Affine() if size == 1 else i for size, i in zip(shape, tail, strict=True))


def viewed(terms: Terms, position: int, index: Index, extents: dict[int, int]) -> Index:
    """Index into what a view views."""
    term = terms[position]
    source, params = terms[term.args[0]].shape, term.params
    match term.op:
        case "reshape":
            return reshaped(index, term.shape, source, extents)
        case "transpose":
            inverse = np.argsort(params["axes"])
            return tuple(index[k] for k in inverse)
        case "broadcast_to":
            return broadcast(source, index)
        case "flip":
            return tuple(
                i * -1 + (size - 1) if k in params["axis"] else i
                for k, (i, size) in enumerate(zip(index, source, strict=True))
            )
        case "slice":
            return tuple(i * step + start for i, (start, _, step) in zip(index, params["window"], strict=True))
    raise CompileError(f"{terms.describe(position)}: no native code for this view")
