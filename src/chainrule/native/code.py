"""Building blocks of LLVM code: counted loops, addresses, vectors in memory. What every emitter writes dozens of times.

Pointers are opaque; offsets and indices are 64-bit and count elements, not bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

INDEX = ir.IntType(64)
POINTER = ir.PointerType()
_BIT = ir.IntType(1)
_LANE = ir.IntType(32)
_ELEMENTS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
_SUFFIXES = {"float": "f32", "double": "f64"}


def element_type(dtype: str) -> ir.Type:
    """LLVM's type of a ``float32`` or ``float64``."""
    return _ELEMENTS[dtype]


def index(number: int) -> ir.Constant:
    """A constant index."""
    return ir.Constant(INDEX, number)


def add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value | int) -> ir.Value:
    """a + b of indices, folded where constants allow: LLVM's text stays short, and short text compiles fast."""
    b = index(b) if isinstance(b, int) else b
    if _constant(a) == 0:
        return b
    if _constant(b) == 0:
        return a
    if _constant(a) is not None and _constant(b) is not None:
        return index(a.constant + b.constant)
    return builder.add(a, b)


def multiply(builder: ir.IRBuilder, a: ir.Value, factor: int) -> ir.Value:
    """a · factor of an index and a number, folded where constants allow."""
    if factor == 1:
        return a
    if factor == 0:
        return index(0)
    if _constant(a) is not None:
        return index(a.constant * factor)
    return builder.mul(a, index(factor))


def subtract(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """a − b of indices, folded where constants allow."""
    if _constant(b) == 0:
        return a
    if _constant(a) is not None and _constant(b) is not None:
        return index(a.constant - b.constant)
    return builder.sub(a, b)


def round_down(builder: ir.IRBuilder, a: ir.Value, power: int) -> ir.Value:
    """The largest multiple of a power of two that is at most a ≥ 0, folded where constants allow."""
    if _constant(a) is not None:
        return index(a.constant - a.constant % power)
    return builder.and_(a, index(-power))


def minimum(builder: ir.IRBuilder, a: ir.Value, b: int) -> ir.Value:
    """min(a, b) of an index and a number, folded where constants allow."""
    if _constant(a) is not None:
        return index(min(a.constant, b))
    return builder.select(builder.icmp_signed("<", a, index(b)), a, index(b))


def maximum(builder: ir.IRBuilder, a: ir.Value, b: int) -> ir.Value:
    """max(a, b) of an index and a number, folded where constants allow."""
    if _constant(a) is not None:
        return index(max(a.constant, b))
    return builder.select(builder.icmp_signed(">", a, index(b)), a, index(b))


def _constant(value: ir.Value) -> int | None:
    return value.constant if isinstance(value, ir.Constant) else None


@contextmanager
def loop(
    builder: ir.IRBuilder, start: int | ir.Value, stop: int | ir.Value, step: int = 1, name: str = "loop"
) -> Iterator[ir.Value]:
    """``for index in range(start, stop, step)``; yields the index, the builder stands in the body.

    Bounds known here to be one step make no loop, and the index is a constant.
    """
    first = index(start) if isinstance(start, int) else start
    last = index(stop) if isinstance(stop, int) else stop
    guarded = True
    if _constant(first) is not None and _constant(last) is not None:
        trips = len(range(first.constant, last.constant, step))
        if trips == 1:
            yield first
            return
        guarded = trips == 0
    before = builder.block
    body = builder.append_basic_block(name)
    after = builder.function.append_basic_block(f"{name}.end")
    if guarded:
        builder.cbranch(builder.icmp_signed("<", first, last), body, after)
    else:
        builder.branch(body)
    builder.position_at_end(body)
    counter = builder.phi(INDEX)
    counter.add_incoming(first, before)
    yield counter
    following = builder.add(counter, index(step))
    counter.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, last), body, after)
    # Blocks opened inside the body must come before the end in the text, for the reader's sake.
    builder.function.blocks.remove(after)
    builder.function.blocks.append(after)
    builder.position_at_end(after)


def address(builder: ir.IRBuilder, pointer: ir.Value, offset: ir.Value | int, element: ir.Type) -> ir.Value:
    """Pointer to the element at an offset."""
    offset = index(offset) if isinstance(offset, int) else offset
    if _constant(offset) == 0:
        return pointer
    return builder.gep(pointer, [offset], source_etype=element)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A number in all lanes of a vector."""
    vector = ir.VectorType(value.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_LANE, 0))
    zeros = ir.Constant(ir.VectorType(_LANE, lanes), None)  # None: zeroinitializer, short text
    return builder.shuffle_vector(single, undefined, zeros)


def zeros(type_: ir.Type) -> ir.Constant:
    """0 in all lanes."""
    return ir.Constant(type_, None)


def shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
    """A vector of the named lanes of the concatenation of a and b."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes))


def first_lanes(count: int, lanes: int) -> ir.Constant:
    """A constant mask: true in the first ``count`` of ``lanes``."""
    return ir.Constant(ir.VectorType(_BIT, lanes), [lane < count for lane in range(lanes)])


def intrinsic(builder: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Value) -> ir.Value:
    """Call of an LLVM intrinsic, declared in the module at its first use."""
    known = builder.module.globals.get(name)
    if known is None:
        known = ir.Function(builder.module, ir.FunctionType(result, [operand.type for operand in operands]), name)
    return builder.call(known, operands)


def load(
    builder: ir.IRBuilder, pointer: ir.Value, type_: ir.Type, alignment: int, mask: ir.Value | None = None
) -> ir.Value:
    """A number or vector of memory; lanes outside the mask are not read and become 0.

    ``alignment`` in bytes is what is known of the address.
    """
    if mask is None:
        return builder.load(pointer, typ=type_, align=alignment)
    name = f"llvm.masked.load.v{type_.count}{_SUFFIXES[str(type_.element)]}.p0"
    return intrinsic(builder, name, type_, pointer, ir.Constant(_LANE, alignment), mask, zeros(type_))


def store(
    builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, alignment: int, mask: ir.Value | None = None
) -> None:
    """Write a number or vector to memory; lanes outside the mask are left as they are."""
    if mask is None:
        builder.store(value, pointer, align=alignment)
        return
    name = f"llvm.masked.store.v{value.type.count}{_SUFFIXES[str(value.type.element)]}.p0"
    intrinsic(builder, name, ir.VoidType(), value, pointer, ir.Constant(_LANE, alignment), mask)


def prefetch(builder: ir.IRBuilder, pointer: ir.Value) -> None:
    """Bring a cache line close for reading. Any address will do."""
    read, near, data = (ir.Constant(_LANE, number) for number in (0, 3, 1))
    intrinsic(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, near, data)


def stack(builder: ir.IRBuilder, type_: ir.Type, count: int, alignment: int = 64) -> ir.Value:
    """Memory of this call for ``count`` values, allocated once at the function's entry."""
    with builder.goto_entry_block():
        slot = builder.alloca(ir.ArrayType(type_, count))
        slot.align = alignment
    slot.type = POINTER  # llvmlite gives a pointer with a pointee, which only its own checks know
    return slot
