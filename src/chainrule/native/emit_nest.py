"""A loop nest as an LLVM function: explicit vectors along one axis, scalars and hoisting everywhere else.

The iterations of the vector axis run side by side in lanes; where its extent is no multiple of the lanes, the last
vector is masked. Accumulators of a reduction are a fixed number of vectors, joined in a fixed order, so the bits of the
result depend on nothing but the shapes and the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from llvmlite import ir

from chainrule.native import code
from chainrule.native.affine import Affine
from chainrule.native.emit_fold import across, carrier, join
from chainrule.native.emit_memory import (
    as_stored,
    bounded,
    lane_addresses,
    masked_load,
    masked_store,
    storage_type,
    zero_of,
)
from chainrule.native.nests import ITEM_BYTES, Buffer, Indirect, Instruction, Nest, Result
from chainrule.native.scalar_ops import constant, declared, emit_op, llvm_type, mangled, neutral

_STATUS = ir.IntType(32)
_UNROLLED = 4  # loops at most this long are written out
_ACCUMULATORS = 4


def define_nest(
    module: ir.Module,
    name: str,
    nest: Nest,
    buffers: Sequence[Buffer],
    lanes: int,
    shared: int | None = None,
    fma: bool = False,
) -> ir.Function:
    """Define ``void name(buffer*, …, int32 *status)``, or with two more arguments ``int64 low, high``.

    Parameters
    ----------
    module : llvmlite.ir.Module
    name : str
    nest : Nest
        Scheduled.
    buffers : sequence of Buffer
        The nest's buffer numbers count them; one argument each, but for those of role ``local``.
    lanes : int
        Of the vectors along ``nest.vector``.
    shared : int, optional
        The outermost axis, of which the function runs only the iterations from ``low`` to before ``high``: multiples
        of the lanes, if it is a vector axis, or the extent itself.
    fma : bool
        Whether sums of products are formed by fused multiply-adds.
    """
    passed = [number for number, buffer in enumerate(buffers) if buffer.role != "local"]
    bounds = [] if shared is None else [code.INDEX, code.INDEX]
    signature = ir.FunctionType(ir.VoidType(), [*[code.POINTER] * (len(passed) + 1), *bounds])
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    for number, argument in zip(passed, function.args, strict=False):
        argument.name = f"b{number}"
        argument.add_attribute("noalias")
    status, *share = function.args[len(passed) :]
    status.name = "status"
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    pointers = dict(zip(passed, function.args, strict=False))
    emitter = NestEmitter(builder, nest, buffers, pointers, status, lanes, fma)
    if shared is not None:
        emitter.share = (shared, share[0], share[1])
    emitter.level(tuple(range(len(nest.results))), 0)
    builder.ret_void()
    return function


@dataclass
class _Entry:
    """The block that leads into a loop: what does not change in the loop goes there."""

    block: ir.Block


@dataclass
class _Frame:
    """One iteration of one loop, and what is known in it."""

    axis: int | None
    index: ir.Value | None
    mask: ir.Constant | None = None
    entry: _Entry | None = None  # None: written out, there is no loop
    values: dict[Any, ir.Value] = field(default_factory=dict)


class NestEmitter:
    """Emits the loops of a nest, or the elements of a product's epilogue, where the builder stands."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        nest: Nest,
        buffers: Sequence[Buffer],
        pointers: Mapping[int, ir.Value],
        status: ir.Value,
        lanes: int,
        fma: bool = False,
    ) -> None:
        self.builder, self.nest, self.buffers = builder, nest, buffers
        self.status, self.lanes, self.fma = status, lanes, fma
        self.frames = [_Frame(None, None)]
        self.partial: dict[int, list[list[ir.Value]]] = {}  # fold -> its interleaved partial results, here and now
        self.turn = 0
        self.share: tuple[int, ir.Value, ir.Value] | None = None  # axis, and from where to where it runs
        self.pointers = {**pointers, **{b: self._stack(b) for b in nest.local}}
        self.folds = {i.data: k for k, i in enumerate(nest.body) if i.op == "fold"}

    # -- the epilogue of a product

    def prepare(self) -> None:
        """Compute here what depends on no loop."""
        for number, axes in enumerate(self.nest.depends):
            if not axes and self.nest.body[number].op != "constant":
                self.value(number)

    def element(
        self, builder: ir.IRBuilder, indices: Mapping[int, ir.Value], mask: ir.Constant | None, product: ir.Value
    ) -> ir.Value:
        """Compute all results for a vector of a product; all but the first, which is returned, are stored."""
        self.builder = builder
        frames = [_Frame(axis, index, mask if axis in self.nest.vector else None) for axis, index in indices.items()]
        self.frames = [self.frames[0], *frames]
        number = next(k for k, i in enumerate(self.nest.body) if i.op == "product")
        self.frames[-1].values[number] = product
        known = dict(self.frames[0].values)
        values = [self.wide(r.value) for r in self.nest.results]
        for r, value in zip(self.nest.results[1:], values[1:], strict=True):
            self.store(r, value)
        self.frames = [self.frames[0]]
        self.frames[0].values = known
        return values[0]

    # -- loops

    def level(self, results: Sequence[int], depth: int) -> None:
        """Results that share their first ``depth`` loops, which are open."""
        k = 0
        while k < len(results):
            loops = self.nest.results[results[k]].loops
            end = k
            if len(loops) == depth:
                while end < len(results) and len(self.nest.results[results[end]].loops) == depth:
                    end += 1
                self.leave(results[k:end])
            else:
                while end < len(results) and self._enters(results[end], depth, loops[depth]):
                    end += 1
                self.loop(loops[depth], results[k:end], depth)
            k = end

    def _enters(self, number: int, depth: int, axis: int) -> bool:
        loops = self.nest.results[number].loops
        return len(loops) > depth and loops[depth] == axis

    def loop(self, axis: int, group: Sequence[int], depth: int) -> None:
        """One loop with all that happens in it; reductions over it, and over the loops inside, begin and end here."""
        results = [self.nest.results[k] for k in group]
        begun = [k for k, r in zip(group, results, strict=True) if r.n_reduced and len(r.kept) == depth]
        extent = self.nest.extents[axis]
        vector = axis in self.nest.vector
        step = self.lanes if vector else 1
        whole, rest = divmod(extent, step)
        innermost = all(len(r.loops) == depth + 1 for r in results)
        plain = all(r.kind == "fold" and r.position is None for r in results if r.n_reduced)
        reducing = any(r.n_reduced for r in results)
        turns = _ACCUMULATORS if innermost and plain and reducing and whole >= 2 * _ACCUMULATORS else 1
        for k in begun:
            self.begin(k, turns)

        def body(index: ir.Value, turn: int, mask: ir.Constant | None, entry: _Entry | None) -> None:
            self.turn = turn
            self.frames.append(_Frame(axis, index, mask, entry))
            self.level(group, depth + 1)
            self.frames.pop()

        if self.share is not None and self.share[0] == axis:
            self._share(step, whole * step, rest, body)
            return
        main = whole - whole % turns
        open_ = [k for k in group if k in self.partial]
        self._repeat(0, main * step, step, turns, open_, body)
        self._repeat(main * step, whole * step, step, 1, open_, body)
        if rest:
            body(code.index(whole * step), 0, code.first_lanes(rest, self.lanes), None)
        self.turn = 0
        for k in begun:
            self.finish(k)

    def _share(self, step: int, whole: int, rest: int, body: Callable[..., None]) -> None:
        """The outermost loop, from one bound to another."""
        assert self.share is not None
        _, low, high = self.share
        entry = _Entry(self.builder.block)
        last = code.minimum(self.builder, high, whole)
        with code.loop(self.builder, low, last, step) as index:
            body(index, 0, None, entry)
        if rest:
            known = dict(self.frames[-1].values)
            with self.builder.if_then(self.builder.icmp_signed(">", high, code.index(whole))):
                body(code.index(whole), 0, code.first_lanes(rest, self.lanes), None)
            self.frames[-1].values = known

    def _repeat(
        self, start: int, stop: int, step: int, turns: int, folds: Sequence[int], body: Callable[..., None]
    ) -> None:
        """A loop, or if it is short its iterations written out; the partial results of folds go round with it."""
        count = (stop - start) // step
        if not count:
            return
        if count <= _UNROLLED:
            for i in range(count):
                body(code.index(start + i * step), i % turns, None, None)
            return
        entry = _Entry(self.builder.block)
        with code.loop(self.builder, start, stop, step * turns) as index:
            phis = []
            for k in folds:
                for slot in self.partial[k]:
                    for i, value in enumerate(slot):
                        phi = self.builder.phi(value.type)
                        phi.add_incoming(value, entry.block)
                        slot[i] = phi
                        phis.append((slot, i, phi))
            for turn in range(turns):
                body(code.add(self.builder, index, turn * step), turn, None, entry)
            for slot, i, phi in phis:
                phi.add_incoming(slot[i], self.builder.block)

    # -- results

    def leave(self, numbers: Sequence[int]) -> None:
        """One iteration of results: terms of folds and stores; what is stored is computed before anything is."""
        stored = []
        for number in numbers:
            r = self.nest.results[number]
            if r.kind in ("store", "add"):
                stored.append((r, self.value(r.value)))
            elif r.position is not None:
                self._position_term(number, r)
            else:
                self._term(number, r)
        for r, value in stored:
            self.store(r, value, add=r.kind == "add")

    def begin(self, number: int, turns: int) -> None:
        r = self.nest.results[number]
        dtype = self._carrier(r)
        lanes = self._lanes_of(r)
        start = [constant(dtype, neutral(r.op, dtype), lanes)]
        if r.position is not None:
            start.append(constant("int64", 0, lanes))
        self.partial[number] = [list(start) for _ in range(turns)]

    def _carrier(self, r: Result) -> str:
        """The dtype of a reduction's partial results."""
        dtype = self.nest.body[r.value].dtype
        terms = prod(self.nest.extents[a] for a in r.loops[len(r.kept) :])
        return carrier(r.op, dtype, terms) if r.kind == "fold" else dtype

    def _lanes_of(self, r: Result) -> int:
        return self.lanes if any(a in self.nest.vector for a in r.loops) else 1

    def _term(self, number: int, r: Result) -> None:
        instruction = self.nest.body[r.value]
        given, dtype = instruction.dtype, self._carrier(r)
        slot = self.partial[number][self.turn % len(self.partial[number])]
        narrow = self.value if self._lanes_of(r) == 1 else self.wide

        def pick(i: int) -> ir.Value:
            return emit_op(self.builder, "cast", [given], dtype, narrow(i)) if given != dtype else narrow(i)

        if self.fma and r.op == "sum" and instruction.op == "multiply" and dtype.startswith("float"):
            a, b = (pick(i) for i in instruction.args)
            total = self.builder.call(
                declared(self.builder, f"llvm.fma.{mangled(a.type)}", a.type, *[a.type] * 3), [a, b, slot[0]]
            )
        else:
            total = join(self.builder, r.op, dtype, slot[0], pick(r.value))
        mask = self._mask_of(r.loops[len(r.kept) :])
        slot[0] = total if mask is None else self.builder.select(mask, total, slot[0])
        if r.kind == "scan":
            self.store(r, slot[0])

    def _position_term(self, number: int, r: Result) -> None:
        builder = self.builder
        assert r.position is not None
        dtype = self.nest.body[r.value].dtype
        (slot,) = self.partial[number]
        pick = self.wide if self._lanes_of(r) > 1 else self.value
        value, place, best = pick(r.value), pick(r.position), slot[0]
        relation = "greater" if r.op == "argmax" else "less"
        better = emit_op(builder, relation, [dtype, dtype], "bool", value, best)
        if dtype.startswith("float"):  # the first NaN wins
            new = builder.fcmp_unordered("uno", value, value)
            old = builder.fcmp_unordered("uno", best, best)
            better = builder.and_(builder.or_(better, new), builder.not_(old))
        slot[0] = builder.select(better, value, best)
        slot[1] = builder.select(better, place, slot[1])

    def finish(self, number: int) -> None:
        """Join the partial results of a fold, make its value known, store it."""
        r = self.nest.results[number]
        slots = self.partial.pop(number)
        if r.kind == "scan":
            return
        given, dtype = self.nest.body[r.value].dtype, self._carrier(r)
        if r.position is not None:
            total = slots[0][1]
        else:
            parts = [slot[0] for slot in slots]
            while len(parts) > 1:
                parts = [join(self.builder, r.op, dtype, a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
            total = parts[0]
            if any(a in self.nest.vector for a in r.loops[len(r.kept) :]):
                total = across(self.builder, r.op, dtype, total)
            if given != dtype:
                total = emit_op(self.builder, "cast", [dtype], given, total)
        if number in self.folds:
            self.frames[-1].values[self.folds[number]] = total
        if r.buffer is not None:
            self.store(r, total)

    def _mask_of(self, axes: Sequence[int]) -> ir.Constant | None:
        return next((f.mask for f in self.frames if f.axis in axes and f.mask is not None), None)

    # -- values

    def value(self, number: int) -> ir.Value:
        """An instruction's value: a scalar, or a vector if it depends on an open vector axis."""
        return self._once(number, self.nest.depends[number], lambda: self._compute(self.nest.body[number]))

    def wide(self, number: int) -> ir.Value:
        """The same in all lanes, if it is a scalar."""
        value = self.value(number)
        if isinstance(value.type, ir.VectorType):
            return value
        instruction = self.nest.body[number]
        if instruction.op == "constant":
            return constant(instruction.dtype, instruction.data, self.lanes)
        made = ("wide", number)
        return self._once(made, self.nest.depends[number], lambda: code.splat(self.builder, value, self.lanes))

    def _once(self, key: Any, axes: frozenset[int], make: Callable[[], ir.Value]) -> ir.Value:
        """Compute something in the outermost frame whose loops it depends on, and remember it there."""
        for frame in reversed(self.frames):
            if key in frame.values:
                return frame.values[key]
        level = max((k for k, f in enumerate(self.frames) if f.axis in axes), default=0)
        with self._at(level):
            value = make()
        self.frames[level].values[key] = value
        return value

    @contextmanager
    def _at(self, level: int) -> Iterator[None]:
        """Stand where a frame's code goes on: before the first loop opened inside it."""
        entry = next((f.entry for f in self.frames[level + 1 :] if f.entry is not None), None)
        if entry is None:
            yield
            return
        here, (inner, self.frames) = self.builder.block, (self.frames, self.frames[: level + 1])
        block = entry.block
        jump = block.instructions.pop()
        block.terminator = None
        self.builder.position_at_end(block)
        yield
        entry.block = self.builder.block  # another one, if what was emitted has branches
        entry.block.instructions.append(jump)
        entry.block.terminator = jump
        for target in (o for o in jump.operands if isinstance(o, ir.Block)):
            for phi in (i for i in target.instructions if isinstance(i, ir.PhiInstr)):
                phi.incomings = [(v, entry.block if b is block else b) for v, b in phi.incomings]
        self.frames = inner
        self.builder.position_at_end(here)

    def _compute(self, instruction: Instruction) -> ir.Value:
        op, dtype, data = instruction.op, instruction.dtype, instruction.data
        if op == "constant":
            return constant(dtype, data)
        if op == "position":
            return self._position(data)
        if op == "load":
            return self._load(dtype, data[0], data[1], data[2:])
        args = [self.value(i) for i in instruction.args]
        if op == "bound":
            mask = self._vector_frame().mask if isinstance(args[0].type, ir.VectorType) else None
            return bounded(self.builder, self.status, mask, args[0], *data)
        if any(isinstance(a.type, ir.VectorType) for a in args):
            args = [self.wide(i) for i in instruction.args]
        return emit_op(self.builder, op, [self.nest.body[i].dtype for i in instruction.args], dtype, *args)

    # -- positions and memory

    def _stack(self, buffer: int) -> ir.Value:
        """A local array: of vectors, if the loops for each iteration of which it is written anew are lanes."""
        return code.stack(self.builder, self._element(buffer), self.buffers[buffer].size)

    def _element(self, buffer: int) -> ir.Type:
        """What lies at one position of a buffer."""
        element = storage_type(self.buffers[buffer].dtype)
        if self.nest.vector.intersection(self.nest.local.get(buffer, ())):
            return ir.VectorType(element, self.lanes)
        return element

    def _vector_frame(self) -> _Frame:
        return next(f for f in self.frames if f.axis in self.nest.vector)

    def _vector_stride(self, place: Affine) -> int:
        """By how much the place moves from lane to lane."""
        return sum(place.stride(f.axis) for f in self.frames if f.axis is not None and f.axis in self.nest.vector)

    def _offset(self, place: Affine) -> ir.Value:
        """The place of the first lane."""

        def make() -> ir.Value:
            total: ir.Value = code.index(place.offset)
            for frame in self.frames:
                if frame.axis is not None and place.stride(frame.axis) and frame.index is not None:
                    moved = code.multiply(self.builder, frame.index, place.stride(frame.axis))
                    total = code.add(self.builder, moved, total)
            return total

        return self._once(("offset", place), frozenset(place.axes), make)

    def _steps(self, stride: int) -> ir.Constant:
        return ir.Constant(ir.VectorType(code.INDEX, self.lanes), [k * stride for k in range(self.lanes)])

    def _position(self, place: Affine) -> ir.Value:
        first, stride = self._offset(place), self._vector_stride(place)
        if not stride:
            return first
        return self.builder.add(code.splat(self.builder, first, self.lanes), self._steps(stride))

    def _address(self, buffer: int, place: Affine, indirect: Sequence[Indirect]) -> tuple[ir.Value, int | None]:
        """Pointer to the first lane and the stride between lanes, or a vector of pointers and None."""
        element = self._element(buffer)
        offset, stride = self._offset(place), self._vector_stride(place)
        scattered: ir.Value | None = None
        for part in indirect:
            at = self.value(part.value)
            if isinstance(at.type, ir.VectorType):
                at = self.builder.mul(at, constant("int64", part.stride, self.lanes))
                scattered = at if scattered is None else self.builder.add(scattered, at)
            else:
                offset = code.add(self.builder, code.multiply(self.builder, at, part.stride), offset)
        pointer = code.address(self.builder, self.pointers[buffer], offset, element)
        if scattered is None and stride in (0, 1):
            return pointer, stride
        moves: ir.Value = self._steps(stride)
        if scattered is not None:
            moves = self.builder.add(scattered, moves) if stride else scattered
        elif abs(stride) * self.lanes < 2**31:  # narrow offsets make the cheaper gather instruction
            moves = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [k * stride for k in range(self.lanes)])
        return lane_addresses(self.builder, pointer, moves, element), None

    def _load(self, dtype: str, buffer: int, place: Affine, indirect: Sequence[Indirect]) -> ir.Value:
        pointer, stride = self._address(buffer, place, indirect)
        item = ITEM_BYTES[dtype]
        if stride == 0:
            value = self.builder.load(pointer, typ=self._element(buffer), align=item)
        else:
            type_ = ir.VectorType(storage_type(dtype), self.lanes)
            mask = self._vector_frame().mask
            if stride == 1 and mask is None:
                value = self.builder.load(pointer, typ=type_, align=item)
            else:
                value = masked_load(self.builder, pointer, type_, item, self._all(mask), gather=stride is None)
        if dtype != "bool":
            return value
        return self.builder.icmp_unsigned("!=", value, zero_of(value.type))

    def store(self, r: Result, value: ir.Value, add: bool = False) -> None:
        """Write a value to a result's place, or add it to what is there."""
        assert r.buffer is not None
        builder, dtype = self.builder, self.buffers[r.buffer].dtype
        pointer, stride = self._address(r.buffer, r.place, r.indirect)
        item = ITEM_BYTES[dtype]
        if stride == 0:
            if isinstance(self._element(r.buffer), ir.VectorType) and not isinstance(value.type, ir.VectorType):
                value = code.splat(builder, value, self.lanes)
            if add:
                before = builder.load(pointer, typ=llvm_type(dtype), align=item)
                value = emit_op(builder, "add", [dtype, dtype], dtype, before, value)
            builder.store(as_stored(builder, value), pointer, align=item)
            return
        if not isinstance(value.type, ir.VectorType):
            value = code.splat(builder, value, self.lanes)
        mask = self._vector_frame().mask
        if add:
            type_ = llvm_type(dtype, self.lanes)
            before = masked_load(builder, pointer, type_, item, self._all(mask), gather=False)
            value = emit_op(builder, "add", [dtype, dtype], dtype, before, value)
        value = as_stored(builder, value)
        if stride == 1 and mask is None:
            builder.store(value, pointer, align=item)
        else:
            masked_store(builder, value, pointer, item, self._all(mask), scatter=stride is None)

    def _all(self, mask: ir.Constant | None) -> ir.Constant:
        return code.first_lanes(self.lanes, self.lanes) if mask is None else mask
