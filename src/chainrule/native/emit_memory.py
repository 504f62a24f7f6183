"""Elements in memory, as scalars, vectors, and vectors whose lanes lie apart or only partly exist."""

from __future__ import annotations

from llvmlite import ir

from chainrule.native import code
from chainrule.native.scalar_ops import constant, declared, llvm_type, mangled

_BYTE = ir.IntType(8)
_I32 = ir.IntType(32)


def storage_type(dtype: str) -> ir.Type:
    """What an element takes in memory: truth values a byte, all else what it takes in a register."""
    return _BYTE if dtype == "bool" else llvm_type(dtype)


def zero_of(type_: ir.Type) -> ir.Constant:
    """0, in all lanes."""
    return code.zeros(type_) if isinstance(type_, ir.VectorType) else ir.Constant(type_, 0)


def as_stored(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A value as it lies in memory: truth values take a byte."""
    if isinstance(value.type, ir.VectorType) and value.type.element == ir.IntType(1):
        return builder.zext(value, ir.VectorType(_BYTE, value.type.count))
    return builder.zext(value, _BYTE) if value.type == ir.IntType(1) else value


def lane_addresses(builder: ir.IRBuilder, pointer: ir.Value, moves: ir.Value, element: ir.Type) -> ir.Value:
    """One pointer per lane."""
    made = builder.gep(pointer, [moves], source_etype=element)
    made.type = ir.VectorType(code.POINTER, moves.type.count)
    return made


def masked_load(
    builder: ir.IRBuilder, pointer: ir.Value, type_: ir.Type, item: int, mask: ir.Constant, gather: bool
) -> ir.Value:
    """The lanes of a mask from consecutive places, or from one place each; the others are 0."""
    name = f"llvm.masked.{'gather' if gather else 'load'}.{mangled(type_)}.{_pointer_name(pointer)}"
    alignment = ir.Constant(_I32, item)
    function = declared(builder, name, type_, pointer.type, _I32, mask.type, type_)
    return builder.call(function, [pointer, alignment, mask, code.zeros(type_)])


def masked_store(
    builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, item: int, mask: ir.Constant, scatter: bool
) -> None:
    """The lanes of a mask to consecutive places, or to one place each."""
    name = f"llvm.masked.{'scatter' if scatter else 'store'}.{mangled(value.type)}.{_pointer_name(pointer)}"
    function = declared(builder, name, ir.VoidType(), value.type, pointer.type, _I32, mask.type)
    builder.call(function, [value, pointer, ir.Constant(_I32, item), mask])


def _pointer_name(pointer: ir.Value) -> str:
    return f"v{pointer.type.count}p0" if isinstance(pointer.type, ir.VectorType) else "p0"


def bounded(
    builder: ir.IRBuilder, status: ir.Value, mask: ir.Constant | None, index: ir.Value, size: int, node: int
) -> ir.Value:
    """An index, counted from the end if negative, within bounds.

    One that is not becomes 0, and 1 + the node's number is put into the status, unless something else has gone wrong
    before.
    """
    lanes = index.type.count if isinstance(index.type, ir.VectorType) else 1
    negative = builder.icmp_signed("<", index, constant("int64", 0, lanes))
    counted = builder.select(negative, builder.add(index, constant("int64", size, lanes)), index)
    outside = builder.icmp_unsigned(">=", counted, constant("int64", size, lanes))
    wrong = outside if mask is None else builder.and_(outside, mask)
    if lanes > 1:
        any_ = declared(builder, f"llvm.vector.reduce.or.{mangled(wrong.type)}", ir.IntType(1), wrong.type)
        wrong = builder.call(any_, [wrong])
    before = builder.load(status, typ=_I32)
    first = builder.and_(wrong, builder.icmp_signed("==", before, _I32(0)))
    builder.store(builder.select(first, _I32(node + 1), before), status)
    return builder.select(outside, constant("int64", 0, lanes), counted)
