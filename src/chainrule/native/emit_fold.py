"""Joining partial results of reductions."""

from __future__ import annotations

from llvmlite import ir

from chainrule.native import code
from chainrule.native.scalar_ops import FOLDS, emit_op


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
