"""A matrix product with an element-wise epilogue as an LLVM function."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from chainrule.native import code
from chainrule.native.emit_nest import NestEmitter
from chainrule.native.epilogue import COLUMN, ROW
from chainrule.native.nests import Buffer, Nest
from chainrule.native.products import ProductPlan, Tile, emit_product
from chainrule.native.products.emit import Vectors

_WRITTEN_OUT = 12  # an epilogue of so many instructions is emitted for every row of a tile, not in a loop over rows


def define_product_with(
    module: ir.Module, name: str, plan: ProductPlan, epilogue: Nest, buffers: Sequence[Buffer]
) -> ir.Function:
    """Define ``void name(A*, B*, C*, scratch*, buffer*, …, int64 row, int64 column)``.

    Parameters
    ----------
    module : llvmlite.ir.Module
    name : str
    plan : ProductPlan
        Of the product, or of a part of it, whose first element is in that row and column of the whole.
    epilogue : Nest
        Its buffer numbers count ``buffers``.
    buffers : sequence of Buffer
    """
    types = [*[code.POINTER] * (4 + len(buffers)), code.INDEX, code.INDEX]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    a, b, c, scratch, *pointers = function.args[:-2]
    row, column = function.args[-2:]
    for argument, known in zip((a, b, c, scratch), ("a", "b", "c", "scratch"), strict=True):
        argument.name = known
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emitter = NestEmitter(builder, epilogue, buffers, dict(enumerate(pointers)), c, plan.lanes)
    emitter.prepare()

    def apply(inner: ir.IRBuilder, vectors: Vectors, tile: Tile) -> Vectors:
        return [
            [
                emitter.element(
                    inner,
                    {
                        ROW: code.add(inner, code.add(inner, tile.row, r), row),
                        COLUMN: code.add(inner, code.add(inner, tile.column, v * plan.lanes), column),
                    },
                    tile.mask_of(v),
                    value,
                )
                for v, value in enumerate(line)
            ]
            for r, line in enumerate(vectors)
        ]

    emit_product(builder, plan, a, b, c, scratch, apply, rolled=len(epilogue.body) > _WRITTEN_OUT)
    builder.ret_void()
    return function
