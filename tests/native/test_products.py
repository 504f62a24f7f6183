"""Native matrix products against NumPy in float64, bit for bit against each other, and within their memory."""

import ctypes
import itertools
import mmap
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from chainrule.errors import CompileError
from chainrule.native import code
from chainrule.native.products import Product, ProductPlan, Tile, Vectors, define_product, emit_product, plan_product
from chainrule.native.products.measure import NativeProduct, measure, operand_views, random_operands, table
from chainrule.native.runtime import Unit, compile_units, emit_assembly, emit_object
from chainrule.native.target import Target

FORMS = list(itertools.product((False, True), repeat=2))
DTYPES = ("float32", "float64")
SIZES = [
    (0, 3, 2),
    (3, 0, 2),
    (3, 2, 0),
    (1, 1, 1),
    (1, 64, 30),
    (64, 1, 7),
    (7, 7, 7),
    (32, 2, 10),
    (45, 45, 45),
    (63, 64, 65),
    (65, 63, 64),
    (129, 17, 50),
]
RESTRICTED = [name for name in ("x86-64", "x86-64-v3", "x86-64-v4", "aarch64") if Target.restricted(name).runs_here]


def bound(product: Product, left: np.ndarray, right: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Largest rounding error a sum of k products may have, element by element (Higham 2002, §3.1)."""
    unit = np.finfo(product.dtype).eps / 2
    terms = product.k + 2
    size = np.abs(left).astype(np.float64) @ np.abs(right).astype(np.float64)
    return terms * unit / (1 - terms * unit) * (size + product.accumulate * np.abs(c).astype(np.float64))


def run(plan: ProductPlan, seed: int = 0) -> np.ndarray:
    """Result of a plan on random operands, checked against float64 and for writes into the gaps between rows."""
    product = plan.product
    a, b, c = random_operands(product, seed)
    left, right, out = operand_views(product, a, b, c)
    expected = left.astype(np.float64) @ right.astype(np.float64) + product.accumulate * out.astype(np.float64)
    allowed = bound(product, left, right, out)
    before = [array.copy() for array in (a, b, c)]
    NativeProduct(plan)(a, b, c)
    assert np.all(np.abs(out - expected) <= allowed), str(plan)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])
    np.testing.assert_array_equal(c[:, product.n :], before[2][:, product.n :])
    return out.copy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("transpose_a", "transpose_b"), FORMS)
def test_all_forms_and_odd_sizes(transpose_a: bool, transpose_b: bool, dtype: str) -> None:
    for m, n, k in SIZES:
        run(plan_product(Product(m, n, k, dtype, transpose_a, transpose_b)))


@pytest.mark.parametrize(("transpose_a", "transpose_b"), FORMS)
def test_gaps_between_rows_and_accumulation(transpose_a: bool, transpose_b: bool) -> None:
    for m, n, k in SIZES:
        lda, ldb = (m if transpose_a else k) + 3, (k if transpose_b else n) + 5
        run(plan_product(Product(m, n, k, "float32", transpose_a, transpose_b, lda, ldb, n + 7, accumulate=True)))


def with_choices(plan: ProductPlan, tallest: int, widest: int, depth: int, band: int, pack: int) -> ProductPlan:
    """The same product, computed in a way the planner would not choose."""

    def split(total: int, size: int) -> tuple[tuple[int, int], ...]:
        return tuple((s, c) for s, c in ((size, total // size), (total % size, int(total % size > 0))) if c and s)

    m, vectors = plan.product.m, -(-plan.product.n // plan.lanes)
    return replace(
        plan,
        rows=split(m, min(tallest, m)) if m else (),
        vectors=split(vectors, min(widest, vectors)) if vectors else (),
        depth=min(depth, plan.product.k),
        band=band,
        pack_a=pack in (1, 3),
        pack_b=pack in (2, 3) or plan.product.transpose_b,
        ahead_a=band,
        ahead_b=pack,
        apart=0,
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    size=st.tuples(*[st.integers(0, 70)] * 3),
    form=st.sampled_from(FORMS),
    dtype=st.sampled_from(DTYPES),
    choices=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 80), st.integers(0, 3), st.integers(0, 3)),
    accumulate=st.booleans(),
)
def test_every_way_gives_the_same_bits(
    size: tuple[int, int, int],
    form: tuple[bool, bool],
    dtype: str,
    choices: tuple[int, int, int, int, int],
    accumulate: bool,
) -> None:
    plan = plan_product(Product(*size, dtype, *form, accumulate=accumulate))
    np.testing.assert_array_equal(run(plan), run(with_choices(plan, *choices)))


@pytest.mark.parametrize("k", [2048, 2049, 2304, 5000])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("accumulate", [False, True])
def test_long_sums_have_the_same_bits_however_they_are_cut(k: int, form: tuple[bool, bool], accumulate: bool) -> None:
    plan = plan_product(Product(7, 21, k, "float32", *form, accumulate=accumulate))
    for tallest, widest, depth, band, pack in [
        (3, 1, 256, 0, 0),
        (5, 2, 512, 2, 3),
        (2, 1, 2048, 1, 1),
        (7, 1, k, 0, 2),
    ]:
        np.testing.assert_array_equal(run(plan), run(with_choices(plan, tallest, widest, depth, band, pack)))


@pytest.mark.parametrize("form", FORMS)
def test_long_float32_sums_keep_their_digits(form: tuple[bool, bool]) -> None:
    k = 300_000
    plan = plan_product(Product(2, 3, k, "float32", *form))
    a, b = (np.full(size[::-1] if t else size, 0.1, "f") for size, t in zip([(2, k), (k, 3)], form, strict=True))
    c = np.empty((2, 3), "f")
    NativeProduct(plan)(a, b, c)
    np.testing.assert_allclose(c, k * float(np.float32(0.1)) ** 2, rtol=3e-5)  # term by term: 1e-3


def test_repeated_runs_and_parts_of_a_product_give_the_same_bits() -> None:
    whole = Product(64, 96, 70)
    a, b, c = random_operands(whole)
    product = NativeProduct(plan_product(whole))
    product(a, b, c)
    first = c.copy()
    product(a, b, c)
    np.testing.assert_array_equal(c, first)
    columns = NativeProduct(plan_product(Product(64, 48, 70, ldb=96, ldc=96)))
    c[...] = 0.0
    columns(a, b, c)
    columns(a, b[:, 48:], c[:, 48:])
    np.testing.assert_array_equal(c, first)


@pytest.mark.parametrize("name", RESTRICTED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_apart_have_the_same_bits(name: str, dtype: str) -> None:
    target = Target.restricted(name)
    apart = 0
    for m, n, k in [(65, 65, 32), (40, 17, 256), (300, 33, 9), (9, 18, 0), (129, 66, 50), (70, 66, 40), (5, 65, 3)]:
        plan = plan_product(Product(m, n, k, dtype, transpose_a=True, ldc=n + 2), target)
        apart += plan.apart
        np.testing.assert_array_equal(run(plan), run(with_choices(plan, 3, 2, k, 0, 0)))
    assert apart >= 3


@pytest.mark.parametrize("name", RESTRICTED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_restricted_targets(name: str, dtype: str) -> None:
    target = Target.restricted(name)
    for transpose_a, transpose_b in FORMS:
        for m, n, k in [(7, 7, 7), (33, 45, 20), (16, 64, 33)]:
            run(plan_product(Product(m, n, k, dtype, transpose_a, transpose_b), target))


@pytest.mark.parametrize("name", ["x86-64-v4", "aarch64"])
def test_foreign_targets_are_emitted_and_verified(name: str) -> None:
    target = Target.restricted(name)
    for transpose_a, transpose_b in FORMS:
        module = ir.Module("foreign")
        define_product(
            module, plan_product(Product(45, 45, 45, "float32", transpose_a, transpose_b), target), "product"
        )
        assert len(emit_object(module, target, level=0)) > 1000


def test_special_values_beside_the_operands_stay_there() -> None:
    product = Product(33, 45, 21, lda=24, ldb=48, ldc=48)
    a, b, c = random_operands(product)
    left, right, out = operand_views(product, a, b, c)
    expected = left.astype(np.float64) @ right
    a[:, product.k :] = np.nan
    b[:, product.n :] = np.inf
    NativeProduct(plan_product(product))(a, b, c)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_infinities_and_nans_go_where_they_belong() -> None:
    product = Product(5, 20, 3)
    a, b, c = random_operands(product)
    a[2, 1], b[0, 7] = np.nan, np.inf
    NativeProduct(plan_product(product))(a, b, c)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.isfinite(c), np.isfinite(a @ b))


class Fenced:
    """An array that ends where forbidden memory begins."""

    def __init__(self, array: np.ndarray) -> None:
        page = mmap.PAGESIZE
        size = -(-array.nbytes // page) * page
        self.memory = mmap.mmap(-1, size + page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start + size), ctypes.c_size_t(page), 0) == 0
        raw = np.frombuffer(self.memory, np.uint8, count=size)
        self.array = raw[size - array.nbytes :].view(array.dtype).reshape(array.shape)
        self.array[...] = array


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("name", RESTRICTED)
def test_nothing_is_read_beyond_the_operands(name: str) -> None:
    for transpose_a, transpose_b in FORMS:
        for m, n, k, pack in [(7, 7, 7, 0), (18, 35, 21, 0), (18, 35, 21, 3), (1, 1, 1, 3), (41, 33, 7, 0)]:
            plan = plan_product(Product(m, n, k, "float32", transpose_a, transpose_b), Target.restricted(name))
            plan = replace(plan, pack_a=pack == 3, pack_b=pack == 3 or transpose_b, ahead_a=8, ahead_b=8)
            arrays = random_operands(plan.product)
            fenced = [Fenced(array) for array in arrays]
            a, b, c = (fence.array for fence in fenced)
            NativeProduct(plan)(a, b, c)
            left, right, out = operand_views(plan.product, a, b, c)
            np.testing.assert_allclose(out, left.astype(np.float64) @ right, atol=1e-4)


def bias_and_relu(bias: np.ndarray) -> Callable[[ir.IRBuilder, Vectors, Tile], Vectors]:
    """relu(A·B + bias), the bias at a fixed address."""

    def epilogue(builder: ir.IRBuilder, vectors: Vectors, tile: Tile) -> Vectors:
        pointer = builder.inttoptr(code.index(bias.ctypes.data), code.POINTER)
        zero = code.zeros(tile.type)
        added = [tile.load_columns(builder, pointer, v) for v in range(tile.vectors)]
        sums = [[builder.fadd(x, y) for x, y in zip(row, added, strict=True)] for row in vectors]
        return [[builder.select(builder.fcmp_ordered(">", x, zero), x, zero) for x in row] for row in sums]

    return epilogue


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(32, 64, 64), (45, 45, 45), (3, 5, 0), (1, 7, 9), (40, 65, 32), (70, 34, 5)])
@pytest.mark.parametrize("transpose_a", [False, True])
def test_epilogue_with_bias_and_activation(m: int, n: int, k: int, rolled: bool, transpose_a: bool) -> None:
    product = Product(m, n, k, transpose_a=transpose_a)
    a, b, c = random_operands(product)
    bias = np.random.default_rng(1).normal(size=n).astype(np.float32)
    NativeProduct(plan_product(product), bias_and_relu(bias), rolled=rolled)(a, b, c)
    left, right, _ = operand_views(product, a, b, c)
    np.testing.assert_allclose(c, np.maximum(left.astype(np.float64) @ right + bias, 0.0), atol=1e-4)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("pack", [0, 3])
def test_epilogue_runs_once_per_element_after_the_last_block_of_the_sum(rolled: bool, pack: int) -> None:
    plan = with_choices(plan_product(Product(20, 37, 50, transpose_a=True)), 4, 2, 16, 2, pack)
    a, b, c = random_operands(plan.product)
    bias = np.full(37, 0.25, np.float32)
    NativeProduct(plan, bias_and_relu(bias), rolled=rolled)(a, b, c)
    np.testing.assert_allclose(c, np.maximum(a.T.astype(np.float64) @ b + 0.25, 0.0), atol=1e-4)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("n", [23, 65])
def test_epilogue_that_consumes_the_result(rolled: bool, n: int) -> None:
    """A descent step W ← W − 0.5 (s ∘ XᵀG), s one number per row; the gradient is never stored."""
    product = Product(45, n, 32, transpose_a=True, ldc=n + 3, stored=False)
    rng = np.random.default_rng(2)
    weights, scale = rng.normal(size=(45, n + 3)).astype(np.float32), rng.normal(size=45).astype(np.float32)
    before = weights.copy()

    def epilogue(builder: ir.IRBuilder, vectors: Vectors, tile: Tile) -> None:
        pointer, scales = (builder.inttoptr(code.index(array.ctypes.data), code.POINTER) for array in (weights, scale))
        rate = code.splat(builder, ir.Constant(tile.element, 0.5), tile.plan.lanes)
        for r, row in enumerate(vectors):
            factor = builder.fmul(rate, tile.load_row(builder, scales, r))
            for v, gradient in enumerate(row):
                old = tile.load(builder, pointer, n + 3, r, v)
                tile.store(builder, builder.fsub(old, builder.fmul(factor, gradient)), pointer, n + 3, r, v)

    a, b, c = random_operands(product)
    untouched = c.copy()
    NativeProduct(plan_product(product), epilogue, rolled=rolled)(a, b, c)
    expected = before[:, :n] - 0.5 * scale[:, None] * (a.T.astype(np.float64) @ b)
    np.testing.assert_allclose(weights[:, :n], expected, atol=1e-4)
    np.testing.assert_array_equal(weights[:, n:], before[:, n:])
    np.testing.assert_array_equal(c, untouched)


def test_inline_emission_between_other_code() -> None:
    """Two products after each other in one function: D = (A·B)·B."""
    plan = plan_product(Product(20, 20, 20))
    module = ir.Module("twice")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [code.POINTER] * 4), "twice")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, b, c, d = function.args
    emit_product(builder, plan, a, b, c)
    emit_product(builder, plan, c, b, d)
    builder.ret_void()
    twice = compile_units(Unit(lambda: module), ["twice"]).function("twice", None, *[ctypes.c_void_p] * 4)
    x, y, z = random_operands(plan.product)
    result = np.empty_like(z)
    twice(*(array.ctypes.data for array in (x, y, z, result)))
    np.testing.assert_allclose(result, x.astype(np.float64) @ y @ y, atol=1e-3)


def test_scratch_memory_must_be_given() -> None:
    plan = plan_product(Product(8, 8, 8, transpose_b=True))
    function = ir.Function(ir.Module("m"), ir.FunctionType(ir.VoidType(), [code.POINTER] * 3), "f")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    with pytest.raises(CompileError, match="scratch"):
        emit_product(builder, plan, *function.args)


@pytest.mark.parametrize(("name", "register"), [("x86-64-v4", "zmm"), ("x86-64-v3", "ymm")])
@pytest.mark.parametrize(("transpose_a", "transpose_b"), FORMS)
def test_accumulators_stay_in_registers(name: str, register: str, transpose_a: bool, transpose_b: bool) -> None:
    target = Target.restricted(name)
    for m, n, k in [(128, 128, 128), (32, 64, 64), (45, 45, 45)]:
        module = ir.Module("registers")
        plan = plan_product(Product(m, n, k, "float32", transpose_a, transpose_b), target)
        define_product(module, plan, "product")
        lines = emit_assembly(module, target, level=0).splitlines()
        assert any("vfmadd" in line and register in line for line in lines)
        assert not [line for line in lines if register in line and "(%rsp)" in line], str(plan)


def test_speeds_are_measured_and_printed() -> None:
    speed = measure(Product(32, 32, 32), repeats=4)
    assert speed.native > 0.0
    assert speed.numpy > 0.0
    lines = list(table([(8, 8, 8)]))
    assert len(lines) == 5
    assert "8×8×8 TN" in lines[-1]
