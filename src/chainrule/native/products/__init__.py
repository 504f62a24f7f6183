"""Matrix products of known shape as LLVM code: the plan (pure), packing, emission, a table of measured speeds."""

from chainrule.native.products.emit import Epilogue, Tile, Vectors, define_product, emit_product
from chainrule.native.products.plan import Product, ProductPlan, plan_product

__all__ = ["Epilogue", "Product", "ProductPlan", "Tile", "Vectors", "define_product", "emit_product", "plan_product"]
