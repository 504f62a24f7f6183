"""Angles modulo a right angle: x = n·π/2 + r + t with |r| ≤ π/4, for every finite x.

Up to :data:`_LIMIT` three parts of π/2 are subtracted with fused multiply-adds: x - n·P₁ is exact, since it is small
and a multiple of the last place of both (Cody & Waite's scheme as it simplifies with FMA; Muller et al., *Handbook of
Floating-Point Arithmetic*, 2nd ed., §10.2). Beyond it, where some lane needs it, a function of the module multiplies
by those 192 bits of 2/π that matter (Payne & Hanek, SIGNUM Newsletter 18 (1983) 19), one lane after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from llvmlite import ir

from chainrule.native import code
from chainrule.native.math.lanes import FLOAT32, FLOAT64, Real, Whole, fma, where

HALF_PI = {
    "float32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    "float64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
_TWO_BY_PI = 0.63661977236758134308
_LIMIT = {"float32": 2.0**20, "float64": 2.0**30}

_TABLE = "chainrule.two_by_pi"
_REDUCE = "chainrule.reduce_large_angle"
_LEADING_ZEROS = 48  # of the table: arguments of 64 and more start reading behind its beginning
# 48 zeros and the first 1232 bits of 2/π behind the binary point
_TWO_BY_PI_HEX = (
    "000000000000a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e00649"
    "2eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff8"
    "97ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb"
    "5fb11f8d5d0856033046fc7b6babf0cf"
)
_WORD = ir.IntType(64)
_LONG = ir.IntType(192)
_DOUBLE = ir.DoubleType()


def reduce_angle(x: Real) -> tuple[Whole, Real, Real]:
    """(n, r, t) with x = n·π/2 + r + t up to a multiple of 2π; |t| is less than an ulp of r. NaN for ∞ and NaN."""
    p1, p2, p3 = HALF_PI[x.format.name]
    shifted = fma(x, _TWO_BY_PI, x.format.magic)
    n = shifted - x.format.magic
    first = fma(n, -p1, x)
    r = fma(n, -p2, first)
    if x.format is FLOAT32:  # n·P₂ may be as large as r, and first - r inexact: one more rounding instead of a tail
        r, t = fma(n, -p3, r), x.constant(0.0)
    else:
        t = fma(n, -p3, fma(n, -p2, first - r))
    return _where_large(x, shifted.bits(), r, t)


def _where_large(x: Real, n: Whole, r: Real, t: Real) -> tuple[Whole, Real, Real]:
    """The same, replaced in lanes beyond the limit; a jump around the code that does it where there is none."""
    builder = x.builder
    large = (abs(x) > _LIMIT[x.format.name]).value
    lanes = x.value.type.count if isinstance(x.value.type, ir.VectorType) else 0
    some = large
    if lanes:
        packed = ir.IntType(lanes)
        some = builder.icmp_unsigned("!=", builder.bitcast(large, packed), ir.Constant(packed, 0))
    before = builder.block
    small = (n.value, r.value, t.value)
    with builder.if_then(some, likely=False):
        replaced: Sequence[ir.Value] = small
        if lanes:
            replaced = _each_lane(builder, x, large, small, lanes)
        else:
            replaced = _call(builder, x.value, x.format is FLOAT32)
        last = builder.block
    merged = []
    for yes, no in zip(replaced, small, strict=True):
        phi = builder.phi(no.type)
        phi.add_incoming(yes, last)
        phi.add_incoming(no, before)
        merged.append(phi)
    finite = abs(x) < float("inf")
    r = where(finite, Real(builder, merged[1]), float("nan"))
    return Whole(builder, merged[0], n.format), r, Real(builder, merged[2])


def _each_lane(
    builder: ir.IRBuilder, x: Real, large: ir.Value, start: Sequence[ir.Value], lanes: int
) -> list[ir.Value]:
    """A loop over the lanes: those marked large get new values."""
    before, body = builder.block, builder.append_basic_block("large_angle")
    after = builder.append_basic_block("large_angle.end")
    builder.branch(body)
    builder.position_at_end(body)
    lane = builder.phi(code.INDEX)
    lane.add_incoming(code.index(0), before)
    current = [builder.phi(value.type) for value in start]
    for phi, value in zip(current, start, strict=True):
        phi.add_incoming(value, before)
    new = _call(builder, builder.extract_element(x.value, lane), x.format is FLOAT32)
    mark = builder.extract_element(large, lane)
    following = [
        builder.select(mark, builder.insert_element(phi, value, lane), phi)
        for phi, value in zip(current, new, strict=True)
    ]
    for phi, value in zip(current, following, strict=True):
        phi.add_incoming(value, builder.block)
    next_lane = builder.add(lane, code.index(1))
    lane.add_incoming(next_lane, builder.block)
    builder.cbranch(builder.icmp_unsigned("<", next_lane, code.index(lanes)), body, after)
    builder.position_at_end(after)
    return following


def _call(builder: ir.IRBuilder, x: ir.Value, single: bool) -> list[ir.Value]:
    """(n, r, t) of one number, in its format."""
    result = builder.call(_reducer(builder.module), [builder.fpext(x, _DOUBLE) if single else x])
    n, r, t = (builder.extract_value(result, i) for i in range(3))
    if not single:
        return [n, r, t]
    narrow = builder.fptrunc(r, FLOAT32.real)
    rest = builder.fptrunc(builder.fsub(r, builder.fpext(narrow, _DOUBLE)), FLOAT32.real)
    return [builder.trunc(n, FLOAT32.integer), narrow, rest]


def _reducer(module: ir.Module) -> ir.Function:
    """The module's function double → {n, r, t}, made at its first use; for 64 ≤ |x| < ∞ (else meaningless)."""
    if _REDUCE in module.globals:
        return module.globals[_REDUCE]
    words = [int(_TWO_BY_PI_HEX[i : i + 16], 16) for i in range(0, len(_TWO_BY_PI_HEX), 16)]
    table_type = ir.ArrayType(_WORD, len(words))
    table = ir.GlobalVariable(module, table_type, _TABLE)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(table_type, [w - (w >> 63 << 64) for w in words])
    result = ir.LiteralStructType([_WORD, _DOUBLE, _DOUBLE])
    function = ir.Function(module, ir.FunctionType(result, [_DOUBLE]), _REDUCE)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    x = Real(builder, function.args[0])

    # |x| = m·2^e; of 2/π only the bits from e - 1 on count modulo 4, and 192 of them suffice
    bits = abs(x).bits()
    start = (bits >> FLOAT64.fraction) - (FLOAT64.bias + FLOAT64.fraction + 2 - _LEADING_ZEROS)
    start = start.at_least(0)
    significand = (bits & ((1 << 52) - 1)) | (1 << 52)
    word = (start >> 6).value
    offset = (start & 63).value
    pieces = [
        builder.load(code.address(builder, table, builder.add(word, code.index(i)), _WORD), typ=_WORD, align=8)
        for i in range(4)
    ]
    window = ir.Constant(_LONG, 0)
    for high, low in pairwise(pieces):
        shifted = code.intrinsic(builder, "llvm.fshl.i64", _WORD, high, low, offset)
        window = builder.or_(builder.shl(window, _LONG(64)), builder.zext(shifted, _LONG))
    product = builder.mul(builder.zext(significand.value, _LONG), window)  # mod 2^192: two bits before the point

    fraction = builder.shl(product, _LONG(2))  # signed: -½ … ½ of a right angle
    negative = builder.icmp_signed("<", fraction, _LONG(0))
    n = builder.add(builder.trunc(builder.lshr(product, _LONG(190)), _WORD), builder.zext(negative, _WORD))
    magnitude = builder.select(negative, builder.sub(_LONG(0), fraction), fraction)
    zeros = code.intrinsic(builder, "llvm.ctlz.i192", _LONG, magnitude, ir.IntType(1)(0))
    normal = builder.shl(magnitude, zeros)
    high = builder.sitofp(builder.trunc(builder.lshr(normal, _LONG(139)), _WORD), _DOUBLE)
    rest = builder.and_(builder.trunc(builder.lshr(normal, _LONG(86)), _WORD), _WORD((1 << 53) - 1))
    low = builder.sitofp(rest, _DOUBLE)
    exponent = Whole(builder, builder.trunc(zeros, _WORD), FLOAT64)
    scale = ((FLOAT64.bias - 53 - exponent) << 52).real()  # 2^(-53 - zeros)

    # times π/2, in two parts
    p1, p2, _ = HALF_PI["float64"]
    first, second = Real(builder, high) * scale, Real(builder, low) * 2.0**-53 * scale
    r1 = first * p1
    r2 = fma(first, p1, -r1) + fma(first, p2, second * p1)
    r = r1 + r2
    t = (r1 - r) + r2
    sign = Whole(builder, builder.select(negative, _WORD(-(1 << 63)), _WORD(0)), FLOAT64)
    sign = sign ^ (x.bits() & (1 << 63))
    n_signed = builder.select((x < 0.0).value, builder.sub(_WORD(0), n), n)
    values = [n_signed, (r.bits() ^ sign).real().value, (t.bits() ^ sign).real().value]
    aggregate: ir.Value = ir.Constant(result, ir.Undefined)
    for i, value in enumerate(values):
        aggregate = builder.insert_value(aggregate, value, i)
    builder.ret(aggregate)
    return function
