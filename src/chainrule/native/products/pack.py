"""Operands copied into dense blocks of scratch memory, as they are or transposed."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from chainrule.native import code

_QUARTER_BYTES = 16  # within so many bytes all instruction sets shuffle cheaply


def copy_row(
    builder: ir.IRBuilder,
    read: ir.Value,
    write: ir.Value,
    columns: int,
    vector: ir.VectorType,
    alignments: tuple[int, int],
    *,
    padded: bool = False,
) -> None:
    """A few numbers from one place to another.

    ``alignments`` are what is known of the two addresses, in bytes; ``padded`` fills up with 0 to whole vectors.
    """
    element, lanes = vector.element, vector.count
    whole, rest = divmod(columns, lanes)
    masks = [None] * whole + [code.first_lanes(rest, lanes)] * bool(rest)
    for v, mask in enumerate(masks):
        value = code.load(builder, code.address(builder, read, v * lanes, element), vector, alignments[0], mask)
        at = code.address(builder, write, v * lanes, element)
        code.store(builder, value, at, alignments[1], None if padded else mask)


def copy_block(
    builder: ir.IRBuilder,
    source: ir.Value,
    source_ld: int,
    into: ir.Value,
    into_ld: int,
    extent: tuple[ir.Value, ir.Value],
    vector: ir.VectorType,
    item: int,
) -> None:
    """``into[r, c] = source[r, c]`` for numbers of rows and columns known at run time."""
    rows, columns = extent
    whole = code.round_down(builder, columns, vector.count)
    with code.loop(builder, 0, rows, 1, "pack") as row:
        read = code.address(builder, source, code.multiply(builder, row, source_ld), vector.element)
        write = code.address(builder, into, code.multiply(builder, row, into_ld), vector.element)
        for start, stop, step, type_ in ((0, whole, vector.count, vector), (whole, columns, 1, vector.element)):
            with code.loop(builder, start, stop, step, "copy") as column:
                value = code.load(builder, code.address(builder, read, column, vector.element), type_, item)
                code.store(builder, value, code.address(builder, write, column, vector.element), item)


def copy_panel(
    builder: ir.IRBuilder,
    source: ir.Value,
    source_ld: int,
    into: ir.Value,
    rows: ir.Value,
    columns: int,
    vector: ir.VectorType,
    alignments: tuple[int, int],
) -> None:
    """Rows of a few numbers, read from rows ``source_ld`` apart, written one after the other, each padded with 0."""
    into_ld = -(-columns // vector.count) * vector.count
    with code.loop(builder, 0, rows, 1, "pack") as row:
        read = code.address(builder, source, code.multiply(builder, row, source_ld), vector.element)
        write = code.address(builder, into, code.multiply(builder, row, into_ld), vector.element)
        copy_row(builder, read, write, columns, vector, alignments, padded=True)


@dataclass(frozen=True)
class Stored:
    """Where an operand to be transposed lies: start, elements between rows, first row, number of rows if short."""

    pointer: ir.Value
    ld: int
    first: ir.Value
    rows: int | None


def transpose_panel(
    builder: ir.IRBuilder,
    stored: Stored,
    into: ir.Value,
    columns: int,
    terms: ir.Value,
    vector: ir.VectorType,
    item: int,
) -> None:
    """``into[t, c] = stored[first + c, t]`` for c < ``columns``, a multiple of the lanes, and t < ``terms``.

    For rows that do not exist the last one is read. Square blocks are transposed in registers: two halves of 16 bytes
    from different rows share a vector, and shuffles within halves do the rest; these run on twice as many ports as
    shuffles across a whole vector of 64 bytes.
    """
    element = vector.element
    square = _QUARTER_BYTES // item
    group = square * min(2, vector.count // square)
    quarter = ir.VectorType(element, square)
    whole = code.round_down(builder, terms, square)

    def row_start(c: ir.Value) -> ir.Value:
        row = code.add(builder, stored.first, c)
        row = row if stored.rows is None else code.minimum(builder, row, stored.rows - 1)
        return code.address(builder, stored.pointer, code.multiply(builder, row, stored.ld), element)

    with code.loop(builder, 0, columns, group, "transpose") as c0:
        if stored.rows is None:
            start = row_start(c0)
            rows = [code.address(builder, start, r * stored.ld, element) for r in range(group)]
        else:
            rows = [row_start(code.add(builder, c0, r)) for r in range(group)]
        write = code.address(builder, into, c0, element)
        with code.loop(builder, 0, whole, square, "transpose.square") as t:
            quarters = [code.load(builder, code.address(builder, row, t, element), quarter, item) for row in rows]
            stacked = [_stack(builder, quarters[r::square]) for r in range(square)]
            at = code.address(builder, write, code.multiply(builder, t, columns), element)
            for s, value in enumerate(_transpose(builder, stacked, square, group)):
                place = code.address(builder, at, s * columns, element)
                code.store(builder, value, place, item * group)
        with code.loop(builder, whole, terms, 1, "transpose.rest") as t:
            at = code.address(builder, write, code.multiply(builder, t, columns), element)
            for r, row in enumerate(rows):
                value = code.load(builder, code.address(builder, row, t, element), element, item)
                code.store(builder, value, code.address(builder, at, r, element), item)


def _stack(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    if len(parts) == 1:
        return parts[0]
    low, high = parts
    return code.shuffle(builder, low, high, list(range(2 * low.type.count)))


def _transpose(builder: ir.IRBuilder, rows: list[ir.Value], square: int, group: int) -> list[ir.Value]:
    """Transpose the square blocks that lie side by side in the vectors."""
    blocks = range(0, group, square)
    if square == 2:
        a, b = rows
        return [code.shuffle(builder, a, b, [x + s for h in blocks for x in (h, group + h)]) for s in range(2)]
    a, b, c, d = rows

    def interleave(x: ir.Value, y: ir.Value, s: int) -> ir.Value:
        return code.shuffle(builder, x, y, [i + s for h in blocks for i in (h, group + h, h + 1, group + h + 1)])

    def pairs(x: ir.Value, y: ir.Value, s: int) -> ir.Value:
        return code.shuffle(builder, x, y, [i + s for h in blocks for i in (h, h + 1, group + h, group + h + 1)])

    ab, cd = [interleave(a, b, s) for s in (0, 2)], [interleave(c, d, s) for s in (0, 2)]
    return [pairs(ab[i], cd[i], s) for i in range(2) for s in (0, 2)]
