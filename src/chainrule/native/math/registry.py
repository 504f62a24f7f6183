"""The table of vector functions: name, how to emit it, what it means, and how far its last bits may be off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from scipy import special

from chainrule.errors import CompileError
from chainrule.native.math import exponential, gaussian, logarithm, trigonometric
from chainrule.native.math.lanes import Real


@dataclass(frozen=True)
class VectorFunction:
    """An element-wise function as LLVM code.

    ``emit`` takes ``arity`` :class:`~chainrule.native.math.lanes.Real` and gives one; ``meaning`` is the same function
    on arrays; ``ulp32`` and ``ulp64`` bound the error in units in the last place of the exact result.
    """

    name: str
    arity: int
    emit: Callable[..., Real]
    meaning: Callable[..., np.ndarray]
    ulp32: float
    ulp64: float

    def ulp(self, dtype: str) -> float:
        """The bound for ``float32`` or ``float64``."""
        return {"float32": self.ulp32, "float64": self.ulp64}[dtype]


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


VECTOR_MATH: dict[str, VectorFunction] = {
    f.name: f
    for f in (
        VectorFunction("exp", 1, exponential.exp, np.exp, 2, 2),
        VectorFunction("expm1", 1, exponential.expm1, np.expm1, 2, 2),
        VectorFunction("tanh", 1, exponential.tanh, np.tanh, 2, 2),
        VectorFunction("expit", 1, exponential.sigmoid, special.expit, 2, 2),
        VectorFunction("sinh", 1, exponential.sinh, np.sinh, 2, 2),
        VectorFunction("cosh", 1, exponential.cosh, np.cosh, 2, 2),
        VectorFunction("sin", 1, trigonometric.sin, np.sin, 2, 2),
        VectorFunction("cos", 1, trigonometric.cos, np.cos, 2, 2),
        VectorFunction("tan", 1, trigonometric.tan, np.tan, 3, 3),
        VectorFunction("arcsin", 1, trigonometric.arcsin, np.arcsin, 3, 3),
        VectorFunction("arccos", 1, trigonometric.arccos, np.arccos, 3, 3),
        VectorFunction("arctan", 1, trigonometric.arctan, np.arctan, 3, 3),
        VectorFunction("arctan2", 2, trigonometric.arctan2, np.arctan2, 3, 3),
        VectorFunction("log", 1, logarithm.log, np.log, 2, 2),
        VectorFunction("log2", 1, logarithm.log2, np.log2, 2, 2),
        VectorFunction("log1p", 1, logarithm.log1p, np.log1p, 2, 2),
        VectorFunction("softplus", 1, logarithm.softplus, _softplus, 2, 2),
        VectorFunction("log_expit", 1, logarithm.log_expit, special.log_expit, 2, 2),
        VectorFunction("logaddexp", 2, logarithm.logaddexp, np.logaddexp, 4, 4),
        VectorFunction("erf", 1, gaussian.erf, special.erf, 2, 2),
        VectorFunction("erfc", 1, gaussian.erfc, special.erfc, 5, 5),
        VectorFunction("ndtr", 1, gaussian.ndtr, special.ndtr, 5, 5),
        VectorFunction("log_ndtr", 1, gaussian.log_ndtr, special.log_ndtr, 6, 5),
    )
}


def emit(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> ir.Value:
    """Code for one function at the builder's place.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Stands where the code is wanted.
    name : str
        Key of :data:`VECTOR_MATH`.
    *operands : llvmlite.ir.Value
        ``arity`` many, all of one type: float or double, or a vector of them of any length.

    Returns
    -------
    llvmlite.ir.Value
        Of the operands' type.

    Raises
    ------
    CompileError
        If there is no such function, or it takes another number of operands.
    """
    if name not in VECTOR_MATH:
        raise CompileError(f"unknown vector function {name!r}: expected one of {', '.join(VECTOR_MATH)}")
    arity = VECTOR_MATH[name].arity
    if len(operands) != arity:
        raise CompileError(f"{name} takes {arity} operand{'s' * (arity > 1)}, got {len(operands)}")
    return VECTOR_MATH[name].emit(*[Real(builder, operand) for operand in operands]).value
