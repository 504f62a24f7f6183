"""LLVM code of a planned matrix product, in line or as a function, with an epilogue applied before C is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil

from llvmlite import ir

from chainrule.errors import CompileError
from chainrule.native import code
from chainrule.native.products.pack import Stored, copy_block, copy_panel, copy_row, transpose_panel
from chainrule.native.products.plan import ITEM_BYTES, ProductPlan


@dataclass(frozen=True)
class Tile:
    """A part of C in registers: ``rows`` times ``vectors`` of ``lanes`` numbers, its place, and access to its like.

    An epilogue uses it to reach operands that belong to the same elements of C: a bias, the argument of an activation,
    weights and optimiser state. Lanes beyond the last column of C are never read or written.

    Parameters
    ----------
    plan : ProductPlan
    row, column : ir.Value
        Index of the tile's first row and column in C.
    rows, vectors : int
        Extent.
    mask : ir.Value or None
        Lanes that exist of the tile's last vector; None: all.
    """

    plan: ProductPlan
    row: ir.Value
    column: ir.Value
    rows: int
    vectors: int
    mask: ir.Value | None = None

    @property
    def type(self) -> ir.VectorType:
        """Type of one vector."""
        return ir.VectorType(self.element, self.plan.lanes)

    @property
    def element(self) -> ir.Type:
        """Type of one number."""
        return code.element_type(self.plan.product.dtype)

    def mask_of(self, vector: int) -> ir.Value | None:
        """Lanes that exist of a vector; None: all."""
        return self.mask if vector == self.vectors - 1 else None

    def load(self, builder: ir.IRBuilder, pointer: ir.Value, ld: int, row: int, vector: int) -> ir.Value:
        """A vector of a matrix shaped as C, whose rows are ``ld`` elements apart, at a place of this tile."""
        return code.load(
            builder, self._at(builder, pointer, ld, row, vector), self.type, self._align(ld), self.mask_of(vector)
        )

    def store(self, builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, ld: int, row: int, vector: int) -> None:
        """Write a vector of a matrix shaped as C."""
        code.store(builder, value, self._at(builder, pointer, ld, row, vector), self._align(ld), self.mask_of(vector))

    def load_columns(self, builder: ir.IRBuilder, pointer: ir.Value, vector: int) -> ir.Value:
        """A vector of a row with one number per column of C, say a bias."""
        place = code.add(builder, self.column, vector * self.plan.lanes)
        at = code.address(builder, pointer, place, self.element)
        return code.load(builder, at, self.type, ITEM_BYTES[self.plan.product.dtype], self.mask_of(vector))

    def load_row(self, builder: ir.IRBuilder, pointer: ir.Value, row: int) -> ir.Value:
        """The number that belongs to a row of C, in all lanes."""
        at = code.address(builder, pointer, code.add(builder, self.row, row), self.element)
        number = code.load(builder, at, self.element, ITEM_BYTES[self.plan.product.dtype])
        return code.splat(builder, number, self.plan.lanes)

    def _at(self, builder: ir.IRBuilder, pointer: ir.Value, ld: int, row: int, vector: int) -> ir.Value:
        base = code.add(builder, code.multiply(builder, self.row, ld), self.column)
        start = code.address(builder, pointer, base, self.element)
        return code.address(builder, start, row * ld + vector * self.plan.lanes, self.element)

    def _align(self, ld: int) -> int:
        """Bytes known to divide the address: those of C hold for matrices with the same rows."""
        product = self.plan.product
        return product.alignment if ld == product.ldc else ITEM_BYTES[product.dtype]


Vectors = list[list[ir.Value]]
"""[row][vector] of a tile."""

Epilogue = Callable[[ir.IRBuilder, Vectors, Tile], Vectors | None]
"""Takes the finished part of A·B and its place, returns what is stored to C; None: nothing is, C is not touched."""


def emit_product(
    builder: ir.IRBuilder,
    plan: ProductPlan,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value,
    scratch: ir.Value | None = None,
    epilogue: Epilogue | None = None,
    *,
    rolled: bool = True,
) -> None:
    """Emit the product where the builder stands; it stands behind it afterwards.

    Parameters
    ----------
    builder : ir.IRBuilder
    plan : ProductPlan
    a, b, c : ir.Value
        Pointers to the first elements. C overlaps neither A nor B.
    scratch : ir.Value, optional
        Pointer to ``plan.scratch_bytes`` bytes aligned to 64; not needed if that is 0.
    epilogue : callable, optional
        ``epilogue(builder, vectors, tile) -> vectors or None``. Called while emitting, once per kind of tile; emits
        straight-line code.
    rolled : bool
        Emit the epilogue once for a row of a tile and loop over the rows, instead of once for each row. Measured with
        tanh and Adam: compiles two to four times faster and runs as fast.
    """
    if plan.scratch_bytes and scratch is None:
        raise CompileError(f"matrix product: the plan needs scratch memory, none given ({plan})")
    if not (plan.product.m and plan.product.n):
        return
    _Emitter(builder, plan, (a, b, c), scratch, epilogue, rolled).emit()


def define_product(
    module: ir.Module, plan: ProductPlan, name: str, epilogue: Epilogue | None = None, *, rolled: bool = True
) -> ir.Function:
    """Define ``void name(A*, B*, C*, scratch*)`` in a module; arguments as of :func:`emit_product`."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [code.POINTER] * 4), name)
    for argument, argument_name in zip(function.args, ("a", "b", "c", "scratch"), strict=True):
        argument.name = argument_name
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, b, c, scratch = function.args
    emit_product(builder, plan, a, b, c, scratch, epilogue, rolled=rolled)
    builder.ret_void()
    return function


@dataclass(frozen=True)
class _Run:
    """Equal tiles in a row: along the rows (sizes in rows) or the columns (sizes in vectors) of C."""

    first: int  # row or vector at which the run starts
    tile: int  # index of its first tile
    size: int
    count: int
    mask: bool = False


def _runs(parts: Sequence[tuple[int, int]]) -> list[_Run]:
    runs, first, tile = [], 0, 0
    for size, count in parts:
        runs.append(_Run(first, tile, size, count))
        first, tile = first + size * count, tile + count
    return runs


def _column_runs(plan: ProductPlan) -> list[_Run]:
    runs = _runs(plan.vectors)
    if plan.tail == plan.lanes:
        return runs
    *whole, last = runs
    if last.count > 1:
        whole.append(replace(last, count=last.count - 1))
    done = last.count - 1
    return [*whole, replace(last, first=last.first + done * last.size, tile=last.tile + done, count=1, mask=True)]


@dataclass(frozen=True)
class _Depth:
    """A block of the sum over k: where it starts, how many terms, and whether C is visited first or last."""

    start: ir.Value
    terms: ir.Value
    first: ir.Value | bool
    last: ir.Value | bool


@dataclass(frozen=True)
class _Band:
    """Tiles of rows [low, high) and the row at which they start."""

    low: ir.Value
    high: ir.Value
    top: ir.Value


@dataclass(frozen=True)
class _Walk:
    """How a tile reads an operand: elements from one term of the sum to the next, and between rows or vectors."""

    start: ir.Value
    along: int
    across: int
    alignment: int
    mask: ir.Value | None = None


class _Emitter:
    """The loop nest: blocks of k, bands of rows, panels of columns, tiles. Loops of one pass emit no loop."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        plan: ProductPlan,
        operands: tuple[ir.Value, ir.Value, ir.Value],
        scratch: ir.Value | None,
        epilogue: Epilogue | None,
        rolled: bool,
    ) -> None:
        self.builder, self.plan, self.product = builder, plan, plan.product
        self.a, self.b, self.c = operands
        self.epilogue, self.rolled = epilogue, rolled
        self.element = code.element_type(plan.product.dtype)
        self.vector = ir.VectorType(self.element, plan.lanes)
        self.item = ITEM_BYTES[plan.product.dtype]
        self.row_runs, self.column_runs = _runs(plan.rows), _column_runs(plan)
        self.tiles = sum(run.count for run in self.row_runs)
        self._panel = scratch
        self._block = code.address(builder, scratch, plan.panel_elements, self.element) if plan.pack_a else None

    def emit(self) -> None:
        product, plan = self.product, self.plan
        if plan.depth_blocks == 1:
            whole = _Depth(code.index(0), code.index(product.k), first=True, last=True)
            self._blocks_of_rows(whole)
            if plan.apart:
                self._columns_apart(whole)
            return
        with code.loop(self.builder, 0, product.k, plan.depth, "depth") as k0:
            left = self.builder.sub(code.index(product.k), k0)
            last = self.builder.icmp_signed("<=", left, code.index(plan.depth))
            first = self.builder.icmp_signed("==", k0, code.index(0))
            terms = self.builder.select(last, left, code.index(plan.depth))
            self._blocks_of_rows(_Depth(k0, terms, first, last))

    def _blocks_of_rows(self, depth: _Depth) -> None:
        with code.loop(self.builder, 0, self.tiles, self.plan.band or self.tiles, "band") as low:
            high = code.minimum(self.builder, code.add(self.builder, low, self.plan.band or self.tiles), self.tiles)
            band = _Band(low, high, self._row_of(low))
            if self.plan.pack_a:
                self._pack_a(depth, band)
            for run in self.column_runs:
                with code.loop(self.builder, 0, run.count, 1, "panel") as j:
                    vector = code.add(self.builder, code.multiply(self.builder, j, run.size), run.first)
                    column = code.multiply(self.builder, vector, self.plan.lanes)
                    if self.plan.pack_b:
                        self._pack_b(depth, run, column)
                    for rows in self.row_runs:
                        self._row_tiles(depth, band, rows, run, column)

    def _row_of(self, tile: ir.Value) -> ir.Value:
        """First row of a tile; those of the first run are taller than those of the second."""
        *_, last = self.row_runs
        start = code.multiply(self.builder, tile, last.size)
        if len(self.row_runs) == 1:
            return start
        first = self.row_runs[0]
        taller = code.minimum(self.builder, tile, first.count)
        return code.add(self.builder, start, code.multiply(self.builder, taller, first.size - last.size))

    @contextmanager
    def _tiles_of(self, band: _Band, run: _Run) -> Iterator[ir.Value]:
        """Loop over those tiles of a run that lie in a band; yields their first row."""
        low = code.maximum(self.builder, band.low, run.tile)
        high = code.minimum(self.builder, band.high, run.tile + run.count)
        with code.loop(self.builder, low, high, 1, "tile") as i:
            before = code.add(self.builder, i, -run.tile)
            yield code.add(self.builder, code.multiply(self.builder, before, run.size), run.first)

    def _row_tiles(self, depth: _Depth, band: _Band, rows: _Run, columns: _Run, column: ir.Value) -> None:
        with self._tiles_of(band, rows) as row:
            mask = code.first_lanes(self.plan.tail, self.plan.lanes) if columns.mask else None
            tile = Tile(self.plan, row, column, rows.size, columns.size, mask)
            self._tile(depth, tile, self._a_walk(depth, band, tile), self._b_walk(depth, tile))

    def _columns_apart(self, depth: _Depth) -> None:
        """The last columns, several vectors of rows at once."""
        product, plan = self.product, self.plan
        at_once = plan.vectors_apart * plan.lanes
        done = product.m - product.m % at_once
        with code.loop(self.builder, 0, done, at_once, "apart") as row:
            self._rows_apart(depth, row, at_once)
        if done < product.m:
            self._rows_apart(depth, code.index(done), product.m - done)

    def _rows_apart(self, depth: _Depth, row: ir.Value, rows: int) -> None:
        """Some rows of the last columns, as the transposed product: A's rows are vectors, B's numbers are spread."""
        builder, product, plan = self.builder, self.product, self.plan
        vectors, tail = ceil(rows / plan.lanes), (rows - 1) % plan.lanes + 1
        mask = code.first_lanes(tail, plan.lanes) if tail < plan.lanes else None
        column = code.index(product.n - plan.apart)
        tile = Tile(plan, column, row, plan.apart, vectors, mask)
        numbers = _Walk(code.address(builder, self.b, column, self.element), product.ldb, 1, self.item)
        along = _Walk(code.address(builder, self.a, row, self.element), product.lda, plan.lanes, self.item, mask)
        start = self._start(depth, tile)
        sums = start if product.k == 0 else self._walk(depth.terms, start, tile, numbers, along)
        copy = code.stack(builder, self.vector, plan.apart * vectors)
        for i, value in enumerate(vector for line in sums for vector in line):
            code.store(builder, value, code.address(builder, copy, i, self.vector), self.item * plan.lanes)
        used = code.first_lanes(plan.apart, plan.lanes)
        with code.loop(builder, 0, rows, 1, "scatter") as r:
            value = code.zeros(self.vector)
            for t in range(plan.apart):
                place = code.address(builder, copy, code.add(builder, r, t * vectors * plan.lanes), self.element)
                number = code.load(builder, place, self.element, self.item)
                value = builder.insert_element(value, number, ir.Constant(ir.IntType(32), t))
            single = Tile(plan, code.add(builder, row, r), column, 1, 1, used)
            result = [[value]] if self.epilogue is None else self.epilogue(builder, [[value]], single)
            if result is not None:
                self._store(result, single)

    def _a_walk(self, depth: _Depth, band: _Band, tile: Tile) -> _Walk:
        transposed, lda = self.product.transpose_a, self.product.lda
        if self.plan.pack_a:
            start = code.address(self.builder, self._block, self._packed_offset(band, tile.row), self.element)
            along_k, along_rows = (tile.rows, 1) if transposed else (1, self.plan.packed_row)
        else:
            along_k, along_rows = (lda, 1) if transposed else (1, lda)
            offset = self._offset(tile.row, along_rows, depth.start, along_k)
            start = code.address(self.builder, self.a, offset, self.element)
        return _Walk(start, along_k, along_rows, self.item)

    def _b_walk(self, depth: _Depth, tile: Tile) -> _Walk:
        lanes = self.plan.lanes
        if self.plan.pack_b:
            return _Walk(self._panel, tile.vectors * lanes, lanes, self.item * lanes)
        offset = self._offset(depth.start, self.product.ldb, tile.column, 1)
        start = code.address(self.builder, self.b, offset, self.element)
        return _Walk(start, self.product.ldb, lanes, self.product.alignment, tile.mask)

    def _offset(self, i: ir.Value, along_i: int, j: ir.Value, along_j: int) -> ir.Value:
        return code.add(self.builder, code.multiply(self.builder, i, along_i), code.multiply(self.builder, j, along_j))

    def _packed_offset(self, band: _Band, row: ir.Value) -> ir.Value:
        return code.multiply(self.builder, code.subtract(self.builder, row, band.top), self.plan.packed_row)

    def _pack_a(self, depth: _Depth, band: _Band) -> None:
        """A's rows, closer together; or, stored transposed, dealt out to the tiles: each finds its columns in a row.

        Terms are then the outer loop so that stored rows, often whole pages apart, are read along and only once.
        """
        builder, lda = self.builder, self.product.lda
        if not self.product.transpose_a:
            rows = code.subtract(builder, self._row_of(band.high), band.top)
            source = code.address(builder, self.a, self._offset(band.top, lda, depth.start, 1), self.element)
            copy_block(
                builder, source, lda, self._block, self.plan.packed_row, (rows, depth.terms), self.vector, self.item
            )
            return
        with code.loop(builder, 0, depth.terms, 1, "pack") as t:
            term = code.add(builder, depth.start, t)
            stored = code.address(builder, self.a, code.multiply(builder, term, lda), self.element)
            for run in self.row_runs:
                with self._tiles_of(band, run) as row:
                    place = self._offset(t, run.size, self._packed_offset(band, row), 1)
                    read = code.address(builder, stored, row, self.element)
                    write = code.address(builder, self._block, place, self.element)
                    copy_row(builder, read, write, run.size, self.vector, (self.item, self.item))

    def _pack_b(self, depth: _Depth, run: _Run, column: ir.Value) -> None:
        """The columns of B of one panel, term by term of the sum, padded to whole vectors."""
        product, builder, lanes = self.product, self.builder, self.plan.lanes
        if product.transpose_b:
            source = code.address(builder, self.b, depth.start, self.element)
            stored = Stored(source, product.ldb, column, product.n if run.mask else None)
            transpose_panel(builder, stored, self._panel, run.size * lanes, depth.terms, self.vector, self.item)
            return
        source = code.address(builder, self.b, self._offset(depth.start, product.ldb, column, 1), self.element)
        columns = run.size * lanes - (lanes - self.plan.tail if run.mask else 0)
        alignments = (product.alignment, self.item * lanes)
        copy_panel(builder, source, product.ldb, self._panel, depth.terms, columns, self.vector, alignments)

    def _tile(self, depth: _Depth, tile: Tile, a: _Walk, b: _Walk) -> None:
        start = self._start(depth, tile)
        finished = start if self.product.k == 0 else self._sum(depth, start, tile, a, b)
        if depth.last is True:
            self._finish(finished, tile)
            return
        with self.builder.if_else(depth.last) as (then, otherwise):
            with then:
                self._finish(finished, tile)
            with otherwise:
                self._store(finished, tile)

    def _start(self, depth: _Depth, tile: Tile) -> Vectors:
        """What the sum starts from: 0, or what C holds."""
        if self.product.accumulate:
            return self._load(tile)
        if depth.first is True:
            return self._zeros(tile)
        before = self.builder.block
        with self.builder.if_then(self.builder.not_(depth.first)):
            loaded = self._load(tile)
            loading = self.builder.block
        merged = []
        for vectors, zero in zip(loaded, self._zeros(tile), strict=True):
            merged.append([self.builder.phi(self.vector) for _ in vectors])
            for phi, value, none in zip(merged[-1], vectors, zero, strict=True):
                phi.add_incoming(none, before)
                phi.add_incoming(value, loading)
        return merged

    def _zeros(self, tile: Tile) -> Vectors:
        return [[code.zeros(self.vector)] * tile.vectors for _ in range(tile.rows)]

    def _sum(self, depth: _Depth, start: Vectors, tile: Tile, a: _Walk, b: _Walk) -> Vectors:
        """A block of the sum over k; of a long one part by part, the parts' sums added up on the stack."""
        builder, part = self.builder, self.plan.part
        if not part:
            return self._walk(depth.terms, start, tile, a, b)
        totals = code.stack(builder, self.vector, tile.rows * tile.vectors)
        places = [code.address(builder, totals, k, self.vector) for k in range(tile.rows * tile.vectors)]
        aligned = self.item * self.plan.lanes
        for place, value in zip(places, chain(*start), strict=True):
            code.store(builder, value, place, aligned)
        with code.loop(builder, 0, depth.terms, part, "part") as done:
            terms = code.minimum(builder, code.subtract(builder, depth.terms, done), part)
            moved = [
                replace(w, start=code.address(builder, w.start, code.multiply(builder, done, w.along), self.element))
                for w in (a, b)
            ]
            sums = self._walk(terms, self._zeros(tile), tile, *moved)
            for place, value in zip(places, chain(*sums), strict=True):
                before = code.load(builder, place, self.vector, aligned)
                code.store(builder, builder.fadd(before, value), place, aligned)
        found = [code.load(builder, place, self.vector, aligned) for place in places]
        return [found[r : r + tile.vectors] for r in range(0, len(found), tile.vectors)]

    def _walk(self, terms: ir.Value, start: Vectors, tile: Tile, a: _Walk, b: _Walk) -> Vectors:
        """The sum over terms of k: the loop all the time is spent in."""
        builder = self.builder
        before = builder.block
        body = builder.append_basic_block("k")
        after = builder.append_basic_block("k.end")
        builder.branch(body)
        builder.position_at_end(body)
        count, a_here, b_here = builder.phi(code.INDEX), builder.phi(code.POINTER), builder.phi(code.POINTER)
        sums = [[builder.phi(self.vector) for _ in row] for row in start]
        vectors = [
            code.load(
                builder,
                code.address(builder, b_here, v * b.across, self.element),
                self.vector,
                b.alignment,
                b.mask if v == tile.vectors - 1 else None,
            )
            for v in range(tile.vectors)
        ]
        self._fetch_ahead(a_here, a, self.plan.ahead_a, tile.rows - 1)
        self._fetch_ahead(b_here, b, self.plan.ahead_b, (tile.vectors - 1) * self.plan.lanes)
        following: Vectors = []
        for r, row in enumerate(sums):
            at = code.address(builder, a_here, r * a.across, self.element)
            number = code.splat(builder, code.load(builder, at, self.element, a.alignment), self.plan.lanes)
            following.append([self._multiply_add(number, x, s) for x, s in zip(vectors, row, strict=True)])
        left = builder.sub(count, code.index(1))
        a_next = code.address(builder, a_here, a.along, self.element)
        b_next = code.address(builder, b_here, b.along, self.element)
        pairs = [(count, terms, left), (a_here, a.start, a_next), (b_here, b.start, b_next)]
        for row, first, next_ in zip(sums, start, following, strict=True):
            pairs.extend(zip(row, first, next_, strict=True))
        for phi, first_value, next_value in pairs:
            phi.add_incoming(first_value, before)
            phi.add_incoming(next_value, builder.block)
        builder.cbranch(builder.icmp_signed("==", left, code.index(0)), after, body)
        builder.position_at_end(after)
        return following

    def _fetch_ahead(self, here: ir.Value, walk: _Walk, terms: int, last: int) -> None:
        """Ask for the cache lines of a later term, as far as element ``last`` of it. Beyond the end it does no harm."""
        line = 64 // self.item
        for offset in sorted({*range(0, last + 1, line), last}) if terms else ():
            at = code.address(self.builder, here, terms * walk.along + offset, self.element)
            code.prefetch(self.builder, at)

    def _multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        if not self.plan.target.fma:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        suffix = "f32" if self.product.dtype == "float32" else "f64"
        return code.intrinsic(self.builder, f"llvm.fma.v{self.plan.lanes}{suffix}", self.vector, a, b, c)

    def _finish(self, vectors: Vectors, tile: Tile) -> None:
        """Epilogue and store, written out for every row or, rolled, in a loop over the rows of a copy on the stack."""
        if self.epilogue is None or not self.rolled or tile.rows == 1:
            result = vectors if self.epilogue is None else self.epilogue(self.builder, vectors, tile)
            if result is not None:
                self._store(result, tile)
            return
        copy = code.stack(self.builder, self.vector, tile.rows * tile.vectors)
        alignment = self.item * self.plan.lanes
        for i, value in enumerate(vector for row in vectors for vector in row):
            code.store(self.builder, value, code.address(self.builder, copy, i, self.vector), alignment)
        with code.loop(self.builder, 0, tile.rows, 1, "epilogue") as r:
            first = code.multiply(self.builder, r, tile.vectors)
            places = [code.add(self.builder, first, v) for v in range(tile.vectors)]
            row = [
                code.load(self.builder, code.address(self.builder, copy, place, self.vector), self.vector, alignment)
                for place in places
            ]
            single = replace(tile, row=code.add(self.builder, tile.row, r), rows=1)
            result = self.epilogue(self.builder, [row], single)
            if result is not None:
                self._store(result, single)

    def _load(self, tile: Tile) -> Vectors:
        ld = self.product.ldc
        return [[tile.load(self.builder, self.c, ld, r, v) for v in range(tile.vectors)] for r in range(tile.rows)]

    def _store(self, vectors: Vectors, tile: Tile) -> None:
        for r, row in enumerate(vectors):
            for v, value in enumerate(row):
                tile.store(self.builder, value, self.c, self.product.ldc, r, v)
