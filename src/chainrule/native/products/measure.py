"""Run planned products on NumPy arrays, and measure them against NumPy's."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from chainrule.native import code
from chainrule.native.cache import ObjectCache
from chainrule.native.products.emit import Epilogue, define_product
from chainrule.native.products.plan import Product, ProductPlan, plan_product
from chainrule.native.runtime import Executable, Unit, compile_units
from chainrule.native.target import Target

_ALIGNMENT = 64
_POINTER = ctypes.c_void_p


def aligned_empty(shape: tuple[int, ...], dtype: str, alignment: int = _ALIGNMENT) -> np.ndarray:
    """Uninitialised array whose first element lies at a multiple of ``alignment`` bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(dtype).reshape(shape)


class NativeProduct:
    """A planned product as a function of arrays: ``product(a, b, c)`` writes c.

    The arrays are the stored ones: A of shape (k, lda) if transposed, else (m, lda); B (n, ldb) or (k, ldb); C
    (m, ldc).
    """

    def __init__(
        self,
        plan: ProductPlan,
        epilogue: Epilogue | None = None,
        *,
        rolled: bool = True,
        cache: ObjectCache | None = None,
    ) -> None:
        self.plan = plan

        def build() -> ir.Module:
            module = ir.Module("product")
            product = define_product(module, plan, "product", epilogue, rolled=rolled)
            _define_repeat(module, product)
            return module

        unit = Unit(build, level=0, name=f"product {plan.product.form}")
        self.executable: Executable = compile_units(unit, ["product", "repeat"], target=plan.target, cache=cache)
        self._once = self.executable.function("product", None, *[_POINTER] * 4)
        self._often = self.executable.function("repeat", None, *[_POINTER] * 4, ctypes.c_int64)
        self._scratch = aligned_empty((max(plan.scratch_bytes, 1),), "uint8")

    def __call__(self, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        self._once(a.ctypes.data, b.ctypes.data, c.ctypes.data, self._scratch.ctypes.data)

    def seconds(self, a: np.ndarray, b: np.ndarray, c: np.ndarray, repeats: int = 20) -> float:
        """Time of one product, the best of several repetitions, without the cost of a call from Python."""
        pointers = (a.ctypes.data, b.ctypes.data, c.ctypes.data, self._scratch.ctypes.data)
        return _best(lambda count: self._often(*pointers, count), repeats)


@dataclass(frozen=True)
class Speed:
    """Measured speeds of one product, in multiplications and additions per nanosecond (GFLOP/s)."""

    plan: ProductPlan
    native: float
    numpy: float

    def __str__(self) -> str:
        product = self.plan.product
        shape = f"{product.m}×{product.n}×{product.k}"
        return f"{shape:>16} {product.form} {product.dtype}  {self.native:6.1f}  {self.numpy:6.1f}"


def random_operands(product: Product, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stored A, B and C, aligned, with standard normal numbers everywhere, gaps between rows included."""
    generator = np.random.default_rng(seed)
    shapes = [
        (product.k if product.transpose_a else product.m, product.lda),
        (product.n if product.transpose_b else product.k, product.ldb),
        (product.m, product.ldc),
    ]
    arrays = tuple(aligned_empty(shape, product.dtype) for shape in shapes)
    for array in arrays:
        array[...] = generator.normal(size=array.shape)
    return arrays  # type: ignore[return-value]


def operand_views(
    product: Product, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """op(A), op(B) and C as NumPy sees them: gaps cut off, transposes taken."""
    left = a[:, : product.m].T if product.transpose_a else a[:, : product.k]
    right = b[:, : product.k].T if product.transpose_b else b[:, : product.n]
    return left, right, c[:, : product.n]


def measure(product: Product, target: Target | None = None, repeats: int = 20) -> Speed:
    """Speed of the planned product and of NumPy's (call from Python included), alternating."""
    plan = plan_product(product, target)
    native, arrays = NativeProduct(plan), random_operands(product)
    left, right, out = operand_views(product, *arrays)

    def numpy_product(count: int) -> None:
        for _ in range(count):
            np.matmul(left, right, out=out)

    times = [(native.seconds(*arrays, repeats // 2), _best(numpy_product, repeats // 2)) for _ in range(2)]
    ours, theirs = (min(column) for column in zip(*times, strict=True))
    return Speed(plan, product.flops / ours / 1e9, product.flops / theirs / 1e9)


SHAPES = (
    (32, 32, 10),
    (32, 2, 32),
    (32, 32, 64),
    (32, 64, 64),
    (64, 64, 32),
    (45, 45, 45),
    (63, 64, 65),
    (128, 128, 54),
    (128, 128, 128),
    (128, 7, 128),
    (256, 256, 256),
    (64, 128, 784),
    (784, 128, 64),
    (512, 1024, 784),
    (1024, 1024, 512),
)
"""m, n, k of the products of BARS-sized networks: forward, weight gradient, input gradient."""


def table(
    shapes: Iterable[tuple[int, int, int]] = SHAPES, dtype: str = "float32", target: Target | None = None
) -> Iterator[str]:
    """Lines of a table of GFLOP/s by shape and form, NumPy's beside ours."""
    yield f"{target or Target.host()}"
    yield f"{'m×n×k':>16} form dtype     ours   NumPy  (GFLOP/s, best of several, NumPy with the threads it has)"
    for m, n, k in shapes:
        for transpose_a, transpose_b in ((False, False), (False, True), (True, False)):
            product = Product(m, n, k, dtype, transpose_a, transpose_b)
            yield str(measure(product, target))


def _define_repeat(module: ir.Module, product: ir.Function) -> None:
    arguments = [code.POINTER] * 4
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*arguments, code.INDEX]), "repeat")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    with code.loop(builder, 0, function.args[4], 1, "repeat"):
        builder.call(product, function.args[:4])
    builder.ret_void()


def _best(run: Callable[[int], None], repeats: int, batch_seconds: float = 3e-4) -> float:
    """Seconds per pass: the best of several batches, each long enough for the clock."""
    run(1)
    start = time.perf_counter()
    run(1)
    count = max(1, int(batch_seconds / max(time.perf_counter() - start, 1e-7)))
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        run(count)
        best = min(best, (time.perf_counter() - start) / count)
    return float(best)
