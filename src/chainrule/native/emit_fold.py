"""Joining partial results of reductions."""

from __future__ import annotations

from llvmlite import ir

from chainrule.native import code
from chainrule.native.scalar_ops import FOLDS, emit_op

_LONG_SUM = 1024  # terms


def carrier(op: str, dtype: str, terms: int) -> str:
    """The dtype in which a fold adds up: long float32 sums would lose digits, one rounding after the other."""
    return "float64" if op == "sum" and dtype == "float32" and terms > _LONG_SUM else dtype


def join(builder: ir.IRBuilder, op: str, dtype: str, a: ir.Value, b: ir.Value) -> ir.Value:
    """Two partial results of a fold as one."""
    return emit_op(builder, FOLDS[op], [dtype, dtype], dtype, a, b)


def across(builder: ir.IRBuilder, op: str, dtype: str, vector: ir.Value) -> ir.Value:
    """The lanes of a vector as one number: halves onto each other until one is left."""
    lanes = vector.type.count
    while lanes > 1:
        lanes //= 2
        low = code.shuffle(builder, vector, vector, list(range(lanes)))
        high = code.shuffle(builder, vector, vector, list(range(lanes, 2 * lanes)))
        vector = join(builder, op, dtype, low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
