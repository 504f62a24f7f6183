"""Terms → Program: which values are laid out in memory, and the loop nests that compute them.

A value is *materialised* where it must be (outputs, results of reductions and products, what a product or a library
call reads) or where computing it again for every reader would cost more than memory does. Everything else is computed
in the nests of its readers. Views never cost anything: following one is arithmetic on positions. Assemblies (parts in
windows) are followed by cutting the reader's loops at the windows' borders, or written part by part, in which case the
producers of the parts write into the whole directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chainrule.native.affine import Affine, NotAffine, SplitAxis, counters, dot, row_major, split
from chainrule.native.materialise import choose_homes, choose_roots, covered, origin_of
from chainrule.native.narrow import NarrowProducts
from chainrule.native.nests import Buffer, Indirect, Place, Result
from chainrule.native.scalar_ops import neutral
from chainrule.native.steps import LibraryStep, ProductStep, Program, Step, contiguous, matrix_form
from chainrule.native.terms import Terms
from chainrule.native.values import CutAxis, Index, NestBuilder, broadcast, viewed

_MOST_CUTS = 24  # pieces a nest may be cut into at the borders of windows


def lower(terms: Terms) -> Program:
    """Choose what is materialised and write the steps that compute it.

    Raises
    ------
    CompileError
        If a term cannot be computed natively, naming node and shape.
    """
    return _Lowering(terms).run()


class _Lowering:
    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.constants: list[np.ndarray] = []
        self.places: dict[int, Place] = {}  # materialised terms whose place is known
        self.done: set[int] = set()  # materialised terms whose steps are written
        self.destination: dict[int, int] = {}  # term -> output whose memory it is computed in
        self.roots = choose_roots(terms)
        self.homes = choose_homes(terms, self.roots)
        self.compacts: dict[int, Place] = {}
        self.narrow = NarrowProducts(self.buffer)

    def run(self) -> Program:
        terms = self.terms
        for number, i in enumerate(terms.inputs):
            buffer = self.buffer(terms[i].dtype, terms[i].size, "input", number)
            self.places[i] = Place(buffer, 0, row_major(terms[i].shape))
            self.done.add(i)
        for number, i in enumerate(terms.outputs):
            if terms[i].kind not in ("input", "constant") and i not in self.destination:
                self.destination[i] = number
                self.homes.pop(i, None)
        for i in sorted(self.roots):
            self.ensure(i)
        for number, i in enumerate(terms.outputs):
            if self.destination.get(i) != number:
                self.copy(i, number)
        return Program(tuple(self.buffers), tuple(self.steps), terms.graph, tuple(self.constants))

    # -- memory

    def buffer(self, dtype: str, size: int, role: str = "arena", number: int = 0) -> int:
        self.buffers.append(Buffer(dtype, size, role, number))
        return len(self.buffers) - 1

    def place(self, position: int) -> Place:
        """Where a materialised term lives."""
        if position in self.places:
            return self.places[position]
        term = self.terms[position]
        if position in self.homes:
            whole, window, reshape = self.homes[position]
            around = self.place(whole)
            offset = around.offset + sum(s * at for s, (at, _, _) in zip(around.strides, window, strict=True))
            strides = tuple(s * step for s, (_, _, step) in zip(around.strides, window, strict=True))
            made = Place(around.buffer, offset, row_major(term.shape) if reshape else strides)
        else:
            number = self.destination.get(position)
            buffer = self.buffer(term.dtype, term.size, *(("arena", 0) if number is None else ("output", number)))
            made = Place(buffer, 0, row_major(term.shape))
        self.places[position] = made
        if term.kind == "assemble" and not covered(term):
            self.fill(position)
        return made

    def fill(self, position: int) -> None:
        """Write an assembly's background, before any of its parts."""
        term, place = self.terms[position], self.places[position]
        nest = NestBuilder(self, term)
        index, nest.extents = counters(term.shape)
        value = nest.constant(term.params["fill"], term.dtype)
        self.write(nest, value, place, index)

    def ensure(self, position: int) -> None:
        """Write the steps that materialise a term, unless they are written already."""
        if position in self.done:
            return
        self.done.add(position)
        term = self.terms[position]
        if term.kind == "constant":
            buffer = self.buffer(term.dtype, term.size, "constant", len(self.constants))
            self.places[position] = Place(buffer, 0, row_major(term.shape))
            self.constants.append(term.params["value"])
        elif term.kind == "product":
            self.product(position)
        elif term.kind == "library":
            self.library(position)
        elif term.kind == "assemble":
            self.assemble(position)
        elif term.size:
            writer = {"reduce": self.reduce, "scan": self.scan, "scatter": self.scatter}.get(term.kind, self.store)
            writer(position)
        else:
            self.place(position)

    def reachable(self, position: int) -> Place:
        """Where a term can be read in memory: its own place or, of a view, strides over what it views."""
        term = self.terms[position]
        if position not in self.done and term.kind == "view" and term.size:
            source = self.reachable(term.args[0])
            index, extents = counters(term.shape)
            try:
                at = dot(viewed(self.terms, position, index, extents), source.strides) + source.offset
                return Place(source.buffer, at.offset, tuple(at.stride(k) for k in range(len(term.shape))))
            except (NotAffine, SplitAxis):
                pass
        self.ensure(position)
        return self.place(position)

    # -- nests

    def store(self, position: int) -> None:
        index, extents = counters(self.terms[position].shape)
        self.stores(position, self.place(position), index, index, extents, fresh=True)

    def copy(self, position: int, number: int) -> None:
        """A second copy of an output, or an input or constant that is an output."""
        term = self.terms[position]
        place = Place(self.buffer(term.dtype, term.size, "output", number), 0, row_major(term.shape))
        if term.size:
            index, extents = counters(term.shape)
            self.stores(position, place, index, index, extents)

    def stores(
        self,
        position: int,
        place: Place,
        index: Index,
        target: Index,
        extents: dict[int, int],
        fresh: bool = False,
    ) -> None:
        """Nests that write the elements ``index`` of a term to the elements ``target`` of a place.

        ``fresh``: this is what materialises the term, so it cannot be read.
        """
        pending = [(index, target, extents)]
        cuts = 0
        while pending:
            index, target, extents = pending.pop()
            nest = NestBuilder(self, self.terms[position], top=position if fresh else None)
            nest.extents = extents
            try:
                value = nest.value(position, index)
            except SplitAxis as e:
                pending.append(_with_split(index, target, extents, e))
            except CutAxis as e:
                cuts += 1
                if e.axis < 0 or cuts > _MOST_CUTS:
                    self.ensure(e.term)
                    pending.append((index, target, extents))
                else:
                    pending += reversed(_with_cut(index, target, extents, e))
            else:
                self.write(nest, value, place, target)

    def write(self, nest: NestBuilder, value: int, place: Place, index: Index) -> None:
        at = dot(index, place.strides) + place.offset
        loops = tuple(nest.extents)
        self.steps.append(nest.finished(Result("store", value, place.buffer, at, loops)))

    def whole_value(self, position: int, serial: bool = False) -> tuple[NestBuilder, int, Index]:
        """A nest over all elements of a term and their value; loops may be split, but not cut.

        If ``serial``, not split either: the term is materialised instead.
        """
        shape = self.terms[position].shape
        index, extents = counters(shape)
        while True:
            nest = NestBuilder(self, self.terms[position])
            nest.extents = extents
            try:
                return nest, nest.value(position, index), index
            except SplitAxis as e:
                if serial:
                    self.ensure(position)
                else:
                    index, _, extents = _with_split(index, index, extents, e)
            except CutAxis as e:
                self.ensure(e.term)

    def reduce(self, position: int) -> None:
        term = self.terms[position]
        source = self.terms[term.args[0]]
        axes = term.params["axis"]
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        place = self.place(position)
        if not source.size:
            nest = NestBuilder(self, term)
            index, nest.extents = counters(term.shape)
            self.write(nest, nest.constant(neutral(term.op, term.dtype), term.dtype), place, index)
            return
        arg = term.op in ("argmax", "argmin")
        nest, value, index = self.whole_value(term.args[0], serial=arg)
        nest.term = term
        if term.op in ("any", "all"):
            value = nest.body.add("cast", (value,), "bool")
        kept = tuple(index[k] for k in range(len(index)) if k not in axes)
        if len(term.shape) == len(index):
            kept = tuple(Affine() if k in axes else index[k] for k in range(len(index)))
        at = dot(kept, place.strides) + place.offset
        outer = tuple(a for a in nest.extents if any(a in i.axes for i in kept))
        inner = tuple(a for a in nest.extents if a not in outer)
        if not inner:
            value = nest.constant(0, "int64") if arg else value
            self.steps.append(nest.finished(Result("store", value, place.buffer, at, outer)))
            return
        counted = nest.body.add("position", (), "int64", index[axes[0]]) if arg else None
        fold = Result("fold", value, place.buffer, at, outer + inner, term.op, len(inner), position=counted)
        self.steps.append(nest.finished(fold))

    def scan(self, position: int) -> None:
        term = self.terms[position]
        place = self.place(position)
        nest, value, index = self.whole_value(term.args[0], serial=True)
        nest.term = term
        at = dot(index, place.strides) + place.offset
        along = index[term.params["axis"]].axes
        outer = tuple(a for a in nest.extents if a not in along)
        kind = ("scan", "sum", 1) if along else ("store", "", 0)
        self.steps.append(nest.finished(Result(kind[0], value, place.buffer, at, outer + along, kind[1], kind[2])))

    def scatter(self, position: int) -> None:
        term = self.terms[position]
        place = self.place(position)
        blank = NestBuilder(self, term)
        index, blank.extents = counters(term.shape)
        self.write(blank, blank.constant(0, term.dtype), place, index)
        if not self.terms[term.args[0]].size:
            return
        nest, value, index = self.whole_value(term.args[0], serial=True)
        nest.term = term
        axes = term.params["axes"]
        lead = len(index) - (len(term.shape) - len(axes))
        try:
            indices = [nest.value(i, broadcast(self.terms[i].shape, index[:lead])) for i in term.args[1:]]
        except (SplitAxis, CutAxis):
            for i in term.args[1:]:
                self.ensure(i)
            indices = [nest.value(i, broadcast(self.terms[i].shape, index[:lead])) for i in term.args[1:]]
        rest = [k for k in range(len(term.shape)) if k not in axes]
        at = dot(index[lead:], [place.strides[k] for k in rest]) + place.offset
        parts = tuple(
            Indirect(nest.bounded(i, term.shape[k]), place.strides[k], term.shape[k])
            for i, k in zip(indices, axes, strict=True)
        )
        loops = tuple(nest.extents)
        self.steps.append(nest.finished(Result("add", value, place.buffer, at, loops, indirect=parts)))

    def assemble(self, position: int) -> None:
        """Write the parts into their windows, those first that live there."""
        term = self.terms[position]
        place = self.place(position)
        for part, window in zip(term.args, term.params["windows"], strict=True):
            origin = origin_of(self.terms, part)
            if self.homes.get(origin, (None, None))[:2] == (position, window):
                self.ensure(origin)
                continue
            shape = self.terms[part].shape
            index, extents = counters(shape)
            target = tuple(i * step + start for i, (start, _, step) in zip(index, window, strict=True))
            self.stores(part, place, index, target, extents)

    # -- products and library calls

    def product(self, position: int) -> None:
        term = self.terms[position]
        left, right = (self.terms[i] for i in term.args)
        place = self.place(position)
        if not term.size:
            return
        a_shape = left.shape if len(left.shape) > 1 else (1, *left.shape)
        b_shape = right.shape if len(right.shape) > 1 else (*right.shape, 1)
        m, k, n = a_shape[-2], a_shape[-1], b_shape[-1]
        if not k:
            nest = NestBuilder(self, term)
            index, nest.extents = counters(term.shape)
            self.write(nest, nest.constant(0, term.dtype), place, index)
            return
        if term.dtype not in ("float32", "float64") or m * n == 1:
            self.sum_of_products(position)
            return
        lead = term.shape[: max(len(a_shape), len(b_shape)) - 2]
        a = self.matrix(term.args[0], a_shape)
        b = self.matrix(term.args[1], b_shape)
        batch = tuple(
            (extent, _lead_stride(a, a_shape, axis - len(lead)), _lead_stride(b, b_shape, axis - len(lead)), stride)
            for axis, (extent, stride) in enumerate(zip(lead, place.strides, strict=False))
            if extent > 1
        )
        c_rows = place.strides[len(lead)] if len(left.shape) > 1 else n
        step = ProductStep(
            (m, n, k),
            term.dtype,
            replace(a, strides=a.strides[-2:]),
            replace(b, strides=b.strides[-2:]),
            Place(place.buffer, place.offset, (c_rows, 1)),
            batch,
            term.node,
        )
        self.steps += self.narrow.steps(step)

    def matrix(self, position: int, shape: tuple[int, ...]) -> Place:
        """An operand, with one of its last two dimensions contiguous; ``shape`` is its own, or that with a 1 added."""
        place = _as_matrix(self.reachable(position), self.terms[position].shape, shape)
        if matrix_form(place.strides[-2:], shape[-2:]) is None:
            self.ensure(position)
            place = _as_matrix(self.place(position), self.terms[position].shape, shape)
        if matrix_form(place.strides[-2:], shape[-2:]) is None:
            place = _as_matrix(self.compact(position), self.terms[position].shape, shape)
        return place

    def compact(self, position: int) -> Place:
        """The place of a materialised term if it has no gaps, else of a copy that has none."""
        term = self.terms[position]
        place = self.place(position)
        if contiguous(place, term.shape):
            return place
        if position not in self.compacts:
            made = Place(self.buffer(term.dtype, term.size), 0, row_major(term.shape))
            self.compacts[position] = made
            index, extents = counters(term.shape)
            self.stores(position, made, index, index, extents)
        return self.compacts[position]

    def sum_of_products(self, position: int) -> None:
        """A product as a reduction: of integers, and of two vectors."""
        term = self.terms[position]
        left, right = (self.terms[i] for i in term.args)
        a_shape, b_shape = left.shape, right.shape
        depth = a_shape[-1]
        place = self.place(position)
        result, extents = counters(term.shape)
        along: Index = (Affine(),)
        if depth > 1:
            axis = len(term.shape)
            extents[axis], along = depth, (Affine.of(axis),)
        rows = () if len(a_shape) == 1 else (result[len(term.shape) - 1 - (len(b_shape) > 1)],)
        columns = () if len(b_shape) == 1 else (result[-1],)
        lead = result[: len(term.shape) - len(rows) - len(columns)]
        a_index = broadcast(a_shape, lead + rows + along) if rows else along
        b_index = broadcast(b_shape, lead + along + columns) if columns else along
        nest = NestBuilder(self, term)
        nest.extents = extents
        try:
            values = nest.value(term.args[0], a_index), nest.value(term.args[1], b_index)
        except (SplitAxis, CutAxis):
            for i in term.args:
                self.ensure(i)
            values = nest.value(term.args[0], a_index), nest.value(term.args[1], b_index)
        value = nest.body.add("multiply", values, term.dtype)
        at = dot(result, place.strides) + place.offset
        loops = tuple(nest.extents)
        if depth > 1:
            op = "any" if term.dtype == "bool" else "sum"
            self.steps.append(nest.finished(Result("fold", value, place.buffer, at, loops, op, 1)))
        else:
            self.steps.append(nest.finished(Result("store", value, place.buffer, at, loops)))

    def library(self, position: int) -> None:
        term = self.terms[position]
        args = tuple(self.reachable(i) for i in term.args)
        types = tuple(self.terms[i].type for i in term.args)
        self.steps.append(LibraryStep(args, types, self.place(position), term.type, term.node))


# -- loops split and cut


def _with_split(
    index: Index, target: Index, extents: dict[int, int], wanted: SplitAxis
) -> tuple[Index, Index, dict[int, int]]:
    counter, changed = split(wanted.axis, wanted.inner, extents, fresh=max(extents) + 1)
    order: dict[int, int] = {}
    for axis in extents:  # the two new loops take the old one's place
        if axis == wanted.axis:
            fresh = max(extents) + 1
            order |= {fresh: changed[fresh], fresh + 1: changed[fresh + 1]}
        else:
            order[axis] = extents[axis]
    replaced = {wanted.axis: counter}
    return tuple(i.substitute(replaced) for i in index), tuple(i.substitute(replaced) for i in target), order


def _with_cut(
    index: Index, target: Index, extents: dict[int, int], wanted: CutAxis
) -> list[tuple[Index, Index, dict[int, int]]]:
    pieces = []
    for start, stop in ((0, wanted.at), (wanted.at, extents[wanted.axis])):
        count = stop - start
        counter = {wanted.axis: Affine.of(wanted.axis) + start if count > 1 else Affine(start)}
        remaining = {a: count if a == wanted.axis else n for a, n in extents.items() if a != wanted.axis or count > 1}
        pieces.append(
            (tuple(i.substitute(counter) for i in index), tuple(i.substitute(counter) for i in target), remaining)
        )
    return pieces


# -- matrices


def _as_matrix(place: Place, own: Sequence[int], shape: Sequence[int]) -> Place:
    """With a stride for the dimension of length 1 that was added to a vector."""
    if len(own) == len(shape):
        return place
    (stride,) = place.strides
    return replace(place, strides=(0, stride) if shape[0] == 1 and own[0] == shape[1] else (stride, 0))


def _lead_stride(place: Place, shape: Sequence[int], axis: int) -> int:
    """Stride of an operand along a batch dimension, counted from the last; 0 where it is broadcast."""
    k = len(shape) - 2 + axis
    return place.strides[k] if k >= 0 and shape[k] > 1 else 0
