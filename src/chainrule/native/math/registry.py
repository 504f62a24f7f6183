"""The table of vector functions: name, how to emit it, what it means, and how far its last bits may be off.

Largest errors measured, in units in the last place of the exact result:

==========  ====  ====  ==========  ====  ====  ==========  ====  ====
name        f32   f64   name        f32   f64   name        f32   f64
==========  ====  ====  ==========  ====  ====  ==========  ====  ====
exp         0.89  0.87  logaddexp2  3.91  4.62  arctan2     1.73  1.56
exp2        0.82  0.78  logit       3.22  2.38  erf         1.01  1.36
expm1       1.34  1.82  xlogy       1.58  1.55  erfc        2.70  2.83
expit       1.50  1.46  xlog1py     2.12  1.99  erfcx       2.07  4.64
tanh        1.60  1.91  entr        1.56  1.49  erfinv      0.50  2.63
sinh        1.57  1.60  rel_entr    3.68  3.45  erfcinv     0.50  2.62
cosh        1.41  1.43  kl_div      2.62  2.68  ndtr        3.33  3.40
arcsinh     1.73  1.73  power       0.50  0.94  log_ndtr    3.41  3.42
arccosh     1.86  2.15  sqrt        0.50  0.50  ndtri       0.50  2.47
arctanh     1.92  2.04  cbrt        1.06  0.96  gammaln     0.50  4.35
log         0.82  0.78  hypot       1.84  1.89  gamma       0.50  3.84
log2        1.45  1.54  sin         1.50  0.78  psi         0.50  5.39
log10       1.56  1.59  cos         1.54  0.77  betaln      1.00  3.98
log1p       1.36  1.33  tan         2.86  1.79  i0          0.50  5.05
softplus    1.86  2.60  arcsin      1.66  1.71  i0e         0.50  5.93
log_expit   1.86  2.59  arccos      1.08  1.16  i1          0.50  4.52
logaddexp   2.46  3.35  arctan      1.81  1.79  i1e         0.50  5.60
==========  ====  ====  ==========  ====  ====  ==========  ====  ====

tanh_log1p, the tanh of log1p: 2.39 and 2.20.

exp, expit, tanh, log, softplus and log_expit in float32 on all 2³² arguments; other float32 functions of one argument
on every 251st; the rest on 40 000 random arguments or pairs of all magnitudes and special values, against 40 digits
(elementary functions in float64 on 8 million, against 64 bits). Of logaddexp, logaddexp2, kl_div and betaln, and of
gammaln and psi at negative arguments, where terms may cancel, the unit is that of the largest term or of 1. The bounds
below leave some room; the tests hold the functions to them. ``tests/native/math/accuracy.py`` measures again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from scipy import special

from chainrule.errors import CompileError
from chainrule.native.math import bessel, exponential, gammas, gaussian, hyperbolic, logarithm, powers, trigonometric
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


def _tanh_log1p(x: np.ndarray) -> np.ndarray:
    return np.tanh(np.log1p(x))


VECTOR_MATH: dict[str, VectorFunction] = {
    f.name: f
    for f in (
        VectorFunction("exp", 1, exponential.exp, np.exp, 1, 1),
        VectorFunction("exp2", 1, exponential.exp2, np.exp2, 1, 1),
        VectorFunction("expm1", 1, exponential.expm1, np.expm1, 1.5, 2),
        VectorFunction("expit", 1, exponential.sigmoid, special.expit, 1.5, 2),
        VectorFunction("tanh", 1, hyperbolic.tanh, np.tanh, 2, 2),
        VectorFunction("tanh_log1p", 1, hyperbolic.tanh_log1p, _tanh_log1p, 3, 3),
        VectorFunction("sinh", 1, hyperbolic.sinh, np.sinh, 2, 2),
        VectorFunction("cosh", 1, hyperbolic.cosh, np.cosh, 2, 2),
        VectorFunction("arcsinh", 1, hyperbolic.arcsinh, np.arcsinh, 2, 2),
        VectorFunction("arccosh", 1, hyperbolic.arccosh, np.arccosh, 2, 2.5),
        VectorFunction("arctanh", 1, hyperbolic.arctanh, np.arctanh, 2.5, 2.5),
        VectorFunction("log", 1, logarithm.log, np.log, 1, 1),
        VectorFunction("log2", 1, logarithm.log2, np.log2, 2, 2),
        VectorFunction("log10", 1, logarithm.log10, np.log10, 2, 2),
        VectorFunction("log1p", 1, logarithm.log1p, np.log1p, 1.5, 1.5),
        VectorFunction("softplus", 1, logarithm.softplus, _softplus, 2, 3),
        VectorFunction("log_expit", 1, logarithm.log_expit, special.log_expit, 2, 3),
        VectorFunction("logaddexp", 2, logarithm.logaddexp, np.logaddexp, 3, 4),
        VectorFunction("logaddexp2", 2, logarithm.logaddexp2, np.logaddexp2, 5, 5),
        VectorFunction("logit", 1, logarithm.logit, special.logit, 4, 3),
        VectorFunction("xlogy", 2, logarithm.xlogy, special.xlogy, 2, 2),
        VectorFunction("xlog1py", 2, logarithm.xlog1py, special.xlog1py, 2.5, 2.5),
        VectorFunction("entr", 1, logarithm.entr, special.entr, 2, 2),
        VectorFunction("rel_entr", 2, logarithm.rel_entr, special.rel_entr, 4, 4),
        VectorFunction("kl_div", 2, logarithm.kl_div, special.kl_div, 4, 4),
        VectorFunction("power", 2, powers.power, np.power, 0.51, 1),
        VectorFunction("sqrt", 1, powers.sqrt, np.sqrt, 0.5, 0.5),
        VectorFunction("cbrt", 1, powers.cbrt, np.cbrt, 1.5, 1.5),
        VectorFunction("hypot", 2, powers.hypot, np.hypot, 2, 2),
        VectorFunction("sin", 1, trigonometric.sin, np.sin, 2, 1),
        VectorFunction("cos", 1, trigonometric.cos, np.cos, 2, 1),
        VectorFunction("tan", 1, trigonometric.tan, np.tan, 3, 2),
        VectorFunction("arcsin", 1, trigonometric.arcsin, np.arcsin, 2, 2),
        VectorFunction("arccos", 1, trigonometric.arccos, np.arccos, 1.5, 1.5),
        VectorFunction("arctan", 1, trigonometric.arctan, np.arctan, 2, 2),
        VectorFunction("arctan2", 2, trigonometric.arctan2, np.arctan2, 2, 2),
        VectorFunction("erf", 1, gaussian.erf, special.erf, 1.5, 2),
        VectorFunction("erfc", 1, gaussian.erfc, special.erfc, 3, 3.5),
        VectorFunction("erfcx", 1, gaussian.erfcx, special.erfcx, 2.5, 5),
        VectorFunction("erfinv", 1, gaussian.erfinv, special.erfinv, 0.51, 4),
        VectorFunction("erfcinv", 1, gaussian.erfcinv, special.erfcinv, 0.51, 4),
        VectorFunction("ndtr", 1, gaussian.ndtr, special.ndtr, 4, 3.5),
        VectorFunction("log_ndtr", 1, gaussian.log_ndtr, special.log_ndtr, 4, 4),
        VectorFunction("ndtri", 1, gaussian.ndtri, special.ndtri, 0.51, 3),
        VectorFunction("gammaln", 1, gammas.gammaln, special.gammaln, 0.51, 5),
        VectorFunction("gamma", 1, gammas.gamma, special.gamma, 0.51, 5),
        VectorFunction("psi", 1, gammas.psi, special.psi, 0.51, 6),
        VectorFunction("betaln", 2, gammas.betaln, special.betaln, 1, 5),
        VectorFunction("i0", 1, bessel.i0, special.i0, 0.51, 6),
        VectorFunction("i0e", 1, bessel.i0e, special.i0e, 0.51, 7),
        VectorFunction("i1", 1, bessel.i1, special.i1, 0.51, 5),
        VectorFunction("i1e", 1, bessel.i1e, special.i1e, 0.51, 7),
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
