"""Which way to compute a matrix product of known shape on a known machine. Pure: same arguments, same plan.

The product C = op(A)·op(B), op(A) m × k and op(B) k × n, all row-major, is cut into register tiles of a few rows times
a few vectors of columns (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015). A tile keeps its part of C in
registers while it walks along k: one vector of B times one number of A, spread over the lanes, at a time. Every
element of C is therefore the sum over k in ascending order, or, if k is long, the sum of the sums of parts of fixed
length, as roundings would add up otherwise; whatever the tile, the blocks or the number of threads that share the rows
and columns: the plan is free to choose and the bits are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from chainrule.errors import OptionError
from chainrule.native.target import Target

ITEM_BYTES = {"float32": 4, "float64": 8}

# Figures of the cost model, in cycles. They matter only relative to each other: they rank tiles.
_FMA_PER_CYCLE = 2.0
_LOADS_PER_CYCLE = 2.0
_FMA_LATENCY = 4.0
_TILE_OVERHEAD = 6.0
_INSTRUCTIONS_PER_CYCLE, _LOOP_INSTRUCTIONS = 6.0, 3.0
_VARIANT_COST = 12.0  # code that must be compiled and fetched once more
_SCATTER_CYCLES = 1.5  # to put a number of a column in its place
_LARGEST_TILE = 28
_MOST_VECTORS = 8
_MOST_APART = 2

# Measured (python -m chainrule.native.products prints the speeds): B is walked in pieces a row apart, which no hardware
# prefetcher follows. As long as it fits the first-level cache that costs nothing; beyond it, fetching ahead helps, most
# where another thread has just written B; beyond half of the second-level cache, so do short sums, so that the part of
# B in use fits; and once A and B together exceed the cache and rows enough share the work, so do copies in dense
# panels. Far beyond it, lower and wider tiles ask less of the cache. With these, OpenBLAS is slower up to some 6 MB
# of operands and 5 to 10 % faster at 32 MB: too little for a second path with threads and an order of sums of its own.
_FIRST_LEVEL_BYTES, _SPLIT_SHARE = 32 << 10, 0.5
_TERMS_AHEAD = 16
_FEWEST_TERMS_AHEAD = 32
_SHORT_SUM, _LONG_SUM, _LONGEST_SUM = 256, 512, 2048  # multiples of the shortest, which is the part of longer sums
_PACKED_ROWS, _PACKED_COLUMNS = 256, 256
_BAND_ROWS = 128
_HUGE_SHARE, _HUGE_BAND_ROWS = 3.0, 256
_HUGE_ROWS, _HUGE_VECTORS = 9, 4


@dataclass(frozen=True)
class Product:
    """C = op(A)·op(B), or C += …, of fixed shape; op is the identity or the transpose.

    Parameters
    ----------
    m, n, k : int
        op(A) is m × k, op(B) is k × n, C is m × n. Each at least 0.
    dtype : str
        ``float32`` or ``float64``, of all three.
    transpose_a, transpose_b : bool
        A is stored k × m, B is stored n × k.
    lda, ldb, ldc : int
        Elements from one stored row to the next; 0: rows follow each other without gap.
    accumulate : bool
        Add to C what is there.
    stored : bool
        C is memory that takes the result. If an epilogue consumes the result and stores nothing, say False: C is then
        neither read nor written, and the sum over k is not split.
    alignment : int
        Bytes: a power of two that divides the addresses of B and C and the length of their rows. The element's size (0)
        is always enough.
    """

    m: int
    n: int
    k: int
    dtype: str = "float32"
    transpose_a: bool = False
    transpose_b: bool = False
    lda: int = 0
    ldb: int = 0
    ldc: int = 0
    accumulate: bool = False
    stored: bool = True
    alignment: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in ITEM_BYTES:
            raise OptionError(f"matrix product: dtype {self.dtype!r} is not float32 or float64")
        if min(self.m, self.n, self.k) < 0:
            raise OptionError(f"matrix product: negative size in {self.m} × {self.n} × {self.k}")
        if self.accumulate and not self.stored:
            raise OptionError("matrix product: accumulate=True adds to C, stored=False says there is none")
        a_columns = self.m if self.transpose_a else self.k
        b_columns = self.k if self.transpose_b else self.n
        for name, columns in (("lda", a_columns), ("ldb", b_columns), ("ldc", self.n)):
            given = getattr(self, name)
            if given and given < columns:
                raise OptionError(f"matrix product: {name}={given} is less than the {columns} columns of a row")
            object.__setattr__(self, name, given or max(columns, 1))
        object.__setattr__(self, "alignment", self.alignment or ITEM_BYTES[self.dtype])

    @property
    def form(self) -> str:
        """``NN``, ``NT``, ``TN`` or ``TT``: which operands are transposed."""
        return "NT"[self.transpose_a] + "NT"[self.transpose_b]

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.m * self.n * self.k

    @property
    def a_bytes(self) -> int:
        """Memory that A spans."""
        return ITEM_BYTES[self.dtype] * self.lda * (self.k if self.transpose_a else self.m)

    @property
    def b_bytes(self) -> int:
        """Memory that B spans."""
        return ITEM_BYTES[self.dtype] * self.ldb * (self.n if self.transpose_b else self.k)


@dataclass(frozen=True)
class ProductPlan:
    """How a product is computed. ``str(plan)`` says it in words.

    Parameters
    ----------
    product : Product
    target : Target
    rows : tuple of (int, int)
        (rows of a tile, number of such tiles), from the first row to the last.
    vectors : tuple of (int, int)
        (vectors of a tile, number of such tiles), from the first column to the last.
    depth : int
        Terms of the sum over k that are added between two visits of C; less than k splits the sum into blocks.
    band : int
        Tiles of rows that share one packed block of A; 0: all.
    pack_a, pack_b : bool
        Copy blocks of A and panels of B to scratch memory first. B is always packed if it is stored transposed.
    ahead_a, ahead_b : int
        Terms of the sum by which a tile asks for its cache lines of A and B in advance; 0: not.
    apart : int
        Last columns of C that have vectors of their own, along the rows. Where A is stored transposed, its rows of
        numbers for all rows of C are at hand, and one column takes a vector for 16 rows instead of one for each.
    cycles : float
        The cost model's estimate.
    """

    product: Product
    target: Target
    rows: tuple[tuple[int, int], ...]
    vectors: tuple[tuple[int, int], ...]
    depth: int
    band: int = 0
    pack_a: bool = False
    pack_b: bool = False
    ahead_a: int = 0
    ahead_b: int = 0
    apart: int = 0
    cycles: float = 0.0

    @property
    def lanes(self) -> int:
        """Elements per vector."""
        return self.target.lanes(self.product.dtype)

    @property
    def tail(self) -> int:
        """Lanes used of the last vector of a row, without the columns apart."""
        return (self.product.n - self.apart - 1) % self.lanes + 1 if self.product.n else 0

    @property
    def vectors_apart(self) -> int:
        """Vectors of rows of the columns apart that are computed at once."""
        most = max(v for v in range(1, _MOST_VECTORS + 1) if v == 1 or _tallest(self.target, v) >= self.apart)
        return min(most, ceil(self.product.m / self.lanes))

    @property
    def widest(self) -> int:
        """Vectors of the widest tile."""
        return max((count for count, _ in self.vectors), default=0)

    @property
    def panel_elements(self) -> int:
        """Scratch for a packed panel of B."""
        return self.depth * self.widest * self.lanes if self.pack_b else 0

    @property
    def band_rows(self) -> int:
        """Rows of the largest band."""
        tiles = [size for size, count in self.rows for _ in range(count)]
        width = self.band or len(tiles)
        return max((sum(tiles[i : i + width]) for i in range(0, len(tiles), width)), default=0)

    @property
    def packed_row(self) -> int:
        """Elements that a row of A takes in its packed block: an odd number of cache lines, lest rows evict others."""
        line = 64 // ITEM_BYTES[self.product.dtype]
        return self.depth if self.product.transpose_a else (ceil(self.depth / line) | 1) * line

    @property
    def block_elements(self) -> int:
        """Scratch for a packed band of A."""
        return self.packed_row * self.band_rows if self.pack_a else 0

    @property
    def scratch_bytes(self) -> int:
        """Scratch memory the kernel needs, aligned to 64 bytes; 0: none."""
        return (self.panel_elements + self.block_elements) * ITEM_BYTES[self.product.dtype]

    @property
    def part(self) -> int:
        """Terms of a part of a long sum, which has a sum of its own; 0: the sum is short."""
        return _SHORT_SUM if self.product.k > _LONGEST_SUM else 0

    @property
    def depth_blocks(self) -> int:
        """Visits of each element of C."""
        return max(1, ceil(self.product.k / self.depth)) if self.depth else 1

    def __str__(self) -> str:
        product = self.product
        rows = " + ".join(f"{count}×{size}" for size, count in self.rows) or "none"
        vectors = " + ".join(f"{count}×{size}" for size, count in self.vectors) or "none"
        parts = [
            f"{product.form} {product.m}×{product.n}×{product.k} {product.dtype}",
            f"tiles of rows {rows}, of {self.lanes}-lane vectors {vectors}",
        ]
        if self.tail not in (0, self.lanes):
            parts.append(f"last vector {self.tail} lanes")
        if self.apart:
            last = "last column" if self.apart == 1 else f"last {self.apart} columns"
            parts.append(f"{last} apart, {self.vectors_apart} vectors of rows at once")
        if self.depth_blocks > 1:
            parts.append(f"sum in {self.depth_blocks} blocks of {self.depth}")
        if self.pack_a:
            parts.append(f"A packed in bands of {self.band_rows} rows")
        if self.pack_b:
            parts.append("B packed in panels")
        for name, ahead in (("A", self.ahead_a), ("B", self.ahead_b)):
            if ahead:
                parts.append(f"{name} fetched {ahead} terms ahead")
        if self.scratch_bytes:
            parts.append(f"{self.scratch_bytes} bytes of scratch")
        return "; ".join(parts) + f"; about {self.cycles:.0f} cycles"


def plan_product(product: Product, target: Target | None = None) -> ProductPlan:
    """The plan with the least estimated cost, packing included.

    Parameters
    ----------
    product : Product
    target : Target, optional
        Default: the host.
    """
    target = Target.host() if target is None else target
    lanes = target.lanes(product.dtype)
    if not (product.m and product.n):
        return ProductPlan(product, target, (), (), product.k)
    across = ceil(product.n / lanes)
    huge = _is_huge(product, target)
    choices = [
        _priced(ProductPlan(product, target, rows, vectors, product.k))
        for widest in range(1, min(_HUGE_VECTORS if huge else _MOST_VECTORS, across) + 1)
        for vectors in [_split(across, widest)]
        for tallest in range(1, min(_tallest(target, vectors[0][0]), _HUGE_ROWS if huge else product.m, product.m) + 1)
        for rows in [_split(product.m, tallest)]
    ]
    tail = product.n % lanes
    if across > 1 and 0 < tail <= _MOST_APART and _may_be_apart(product):
        choices += [
            _priced(replace(plan, vectors=vectors, apart=tail))
            for plan in choices
            if plan.vectors[0][0] < across
            for vectors in [_split(across - 1, plan.vectors[0][0])]
        ]
    return _fed(min(choices, key=lambda plan: (plan.cycles, plan.rows, plan.vectors)))


def _may_be_apart(product: Product) -> bool:
    """Whether the last columns could have vectors along the rows: they have to be computed in one go."""
    return product.transpose_a and not product.transpose_b and not product.accumulate and product.k <= _SHORT_SUM


def _fed(plan: ProductPlan) -> ProductPlan:
    """The plan with the way its tiles get their operands: packed, fetched ahead, or simply read."""
    product, cache = plan.product, plan.target.cache_bytes
    enough = product.m >= _PACKED_ROWS and product.n >= _PACKED_COLUMNS
    large = enough and product.a_bytes + product.b_bytes > cache
    huge = _is_huge(product, plan.target)
    pack_a, pack_b = huge or (large and product.transpose_a), large or product.transpose_b
    if pack_b:
        depth = _SHORT_SUM if pack_a and product.transpose_a else _LONG_SUM
    else:
        depth = _SHORT_SUM if product.b_bytes > _SPLIT_SHARE * cache else _LONGEST_SUM
    band_rows = _HUGE_BAND_ROWS if huge else _BAND_ROWS
    return replace(
        plan,
        depth=_block(product.k, depth) if product.stored else product.k,
        band=max(1, band_rows // plan.rows[0][0]) if pack_a else 0,
        pack_a=pack_a,
        pack_b=pack_b,
        ahead_a=_TERMS_AHEAD if product.transpose_a and not pack_a and product.k >= _FEWEST_TERMS_AHEAD else 0,
        ahead_b=_TERMS_AHEAD if product.b_bytes > _FIRST_LEVEL_BYTES and not pack_b else 0,
    )


def _is_huge(product: Product, target: Target) -> bool:
    enough = product.m >= _PACKED_ROWS and product.n >= _PACKED_COLUMNS
    return enough and product.a_bytes + product.b_bytes > _HUGE_SHARE * target.cache_bytes


def _block(total: int, most: int) -> int:
    """Size of the blocks of a sum: as few and as equal as possible, of a long one whole parts."""
    if total > _LONGEST_SUM:
        return most
    return ceil(total / ceil(total / most)) if total else 0


def _tallest(target: Target, vectors: int) -> int:
    """Rows of the largest tile whose accumulators, one row of B and what A needs fit in the registers."""
    free = target.registers - vectors - (0 if target.fma else vectors) - 1
    return min(free // vectors, _LARGEST_TILE)


def _split(total: int, most: int) -> tuple[tuple[int, int], ...]:
    """Cut into as few nearly equal parts of at most ``most`` as possible, the larger ones first: (size, count)."""
    parts = ceil(total / most)
    size, larger = divmod(total, parts)
    return tuple((s, c) for s, c in ((size + 1, larger), (size, parts - larger)) if c)


def _priced(plan: ProductPlan) -> ProductPlan:
    """The plan with its estimate: per tile and step along k the busiest of multipliers, load ports and latency."""
    cycles = 0.0
    for rows, row_count in plan.rows:
        for vectors, vector_count in plan.vectors:
            step = max(
                rows * vectors / _FMA_PER_CYCLE,
                (rows + vectors) / _LOADS_PER_CYCLE,
                (rows * vectors + rows + vectors + _LOOP_INSTRUCTIONS) / _INSTRUCTIONS_PER_CYCLE,
                _FMA_LATENCY,
            )
            cycles += row_count * vector_count * (plan.product.k * step + rows * vectors + _TILE_OVERHEAD)
    if plan.apart:
        at_once = plan.vectors_apart
        step = max(at_once * plan.apart / _FMA_PER_CYCLE, (at_once + plan.apart) / _LOADS_PER_CYCLE, _FMA_LATENCY)
        cycles += ceil(plan.product.m / (plan.lanes * at_once)) * (plan.product.k * step + _TILE_OVERHEAD)
        cycles += plan.product.m * plan.apart * _SCATTER_CYCLES + _VARIANT_COST
    variants = len(plan.rows) * (len(plan.vectors) + (plan.tail != plan.lanes and plan.vectors[-1][1] > 1))
    return replace(plan, cycles=cycles + variants * _VARIANT_COST)
