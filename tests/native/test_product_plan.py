"""Plans of matrix products: cover the matrix, fit the registers, are printable and pure."""

import itertools

import pytest

from chainrule.errors import OptionError
from chainrule.native.products import Product, ProductPlan, plan_product
from chainrule.native.target import Target

NAMES = ("x86-64", "x86-64-v3", "x86-64-v4", "aarch64")
SIZES = (0, 1, 2, 7, 16, 45, 63, 64, 65, 129, 700)


def covered(parts: tuple[tuple[int, int], ...]) -> int:
    return sum(size * count for size, count in parts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_cover_the_matrix_and_fit_the_registers(name: str, dtype: str) -> None:
    target = Target.restricted(name)
    for m, n, k in itertools.product(SIZES, SIZES, (0, 1, 64, 5000)):
        plan = plan_product(Product(m, n, k, dtype), target)
        if m and n:
            assert covered(plan.rows) == m
            assert covered(plan.vectors) == -(-n // plan.lanes)
            assert 1 <= plan.tail <= plan.lanes
        for (rows, _), (vectors, _) in itertools.product(plan.rows, plan.vectors):
            assert rows * vectors + vectors + 1 <= target.registers
        assert plan.depth_blocks * plan.depth >= k
        assert (plan.scratch_bytes > 0) == (plan.pack_a or plan.pack_b) or k == 0


def test_plan_is_a_function_of_its_arguments() -> None:
    product, target = Product(45, 45, 45, transpose_b=True), Target.restricted("x86-64-v3")
    assert plan_product(product, target) == plan_product(Product(45, 45, 45, transpose_b=True), target)
    assert plan_product(product).target == Target.host()


def test_plan_says_what_it_does() -> None:
    plan = plan_product(Product(128, 100, 64, transpose_b=True), Target.restricted("x86-64-v4"))
    text = str(plan)
    for words in ("NT 128×100×64 float32", "16-lane", "last vector 4 lanes", "B packed", "scratch", "cycles"):
        assert words in text


def test_last_column_apart() -> None:
    target = Target.restricted("x86-64-v4")
    plan = plan_product(Product(65, 65, 32, transpose_a=True), target)
    assert (plan.apart, covered(plan.vectors), plan.tail) == (1, 4, 16)
    assert "last column apart, 5 vectors of rows at once" in str(plan)
    others = (Product(65, 65, 32), Product(65, 64, 32, transpose_a=True), Product(65, 70, 32, transpose_a=True))
    accumulated = Product(65, 65, 32, transpose_a=True, accumulate=True)
    split = Product(65, 65, 3000, transpose_a=True)
    for product in (*others, accumulated, split):
        assert plan_product(product, target).apart == 0


def large(m: int, n: int, k: int, **options: bool) -> ProductPlan:
    return plan_product(Product(m, n, k, **options), Target.restricted("x86-64-v4"))  # type: ignore[arg-type]


def test_small_operands_are_read_where_they_are() -> None:
    plan = large(64, 64, 64)
    assert not plan.pack_a
    assert not plan.pack_b
    assert plan.scratch_bytes == 0
    assert plan.depth_blocks == 1


def test_large_operands_are_packed_and_the_sum_is_split() -> None:
    plan = large(1024, 1024, 1024, transpose_a=True)
    assert plan.pack_a
    assert plan.pack_b
    assert plan.depth_blocks > 1
    assert plan.scratch_bytes < 1 << 20


def test_result_that_is_not_stored_is_summed_in_one_go() -> None:
    assert large(1024, 1024, 1024, transpose_a=True, stored=False).depth_blocks == 1
    assert large(16, 1024, 1 << 14, stored=False).depth_blocks == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"m": -1, "n": 1, "k": 1}, "negative"),
        ({"m": 1, "n": 1, "k": 1, "dtype": "int32"}, "int32"),
        ({"m": 2, "n": 3, "k": 4, "lda": 3}, "lda=3"),
        ({"m": 2, "n": 3, "k": 4, "transpose_b": True, "ldb": 3}, "ldb=3"),
        ({"m": 2, "n": 3, "k": 4, "ldc": 2}, "ldc=2"),
        ({"m": 2, "n": 3, "k": 4, "accumulate": True, "stored": False}, "accumulate"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Product(**arguments)  # type: ignore[arg-type]
