"""Element-wise mathematics as straight-line LLVM vector code, with stated errors: :data:`VECTOR_MATH`, :func:`emit`."""

from chainrule.native.math.registry import VECTOR_MATH, VectorFunction, emit

__all__ = ["VECTOR_MATH", "VectorFunction", "emit"]
