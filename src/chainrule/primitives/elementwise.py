"""Element-wise primitives: one result per element, operands broadcast as in NumPy.

Each is declared by its ufunc and its partial derivatives. The chain rule in both directions follows from the partials:
``x̄ᵢ = unbroadcast(ḡ · ∂out/∂xᵢ)`` and ``ȯut = Σ ∂out/∂xᵢ · ẋᵢ``.

A partial is ``partial(out, *inputs)`` in traced operations; it returns the factor, the number 1 or -1, `Over` a
divisor, a boolean (where true the factor is 1, elsewhere 0), or ``None`` for zero.

At kinks and at the edge of a domain: ``absolute`` has derivative 0 at 0, ``hypot`` at (0, 0); a base <= 0 has no
derivative by its exponent and counts as constant in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log, pi
from typing import Any

import numpy as np
from scipy.special import expit

from chainrule.errors import DifferentiationError, GraphError
from chainrule.graph.primitive import NoDerivative, Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import UFUNCS, Traced, apply
from chainrule.graph.types import ArrayType
from chainrule.primitives.broadcasting import SAMPLE_SHAPES, broadcast_shapes, unbroadcast
from chainrule.primitives.conversion import (
    CAST,
    IDENTITY,
    STOP_GRADIENT,
    constant_number,
    convert,
    loop_dtype,
    operand_dtypes,
    stop_gradient,
)

Partial = Callable[..., Any] | NoDerivative | None


@dataclass(frozen=True)
class Over:
    """A partial derivative ``1 / divisor``."""

    divisor: Any


def times(g: Any, factor: Any) -> Any:
    """The product of a (co)tangent and a partial derivative, cheap where the factor is simple."""
    if factor is None:
        return None
    if isinstance(factor, Over):
        return g / factor.divisor
    if isinstance(factor, (int, float)):
        return g if factor == 1 else -g if factor == -1 else g * factor
    if factor.dtype == np.bool_:
        return np.where(factor, g, 0.0)
    return g * factor


def elementwise(
    name: str,
    ufunc: Any,
    formula: str,
    *partials: Partial,
    infer: Callable[..., ArrayType] | None = None,
    samples: Callable[[np.random.Generator], Iterator[Sample]] | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    family: str = "elementwise",
) -> Primitive:
    """Declare an element-wise primitive.

    Parameters
    ----------
    name : str
    ufunc : numpy.ufunc
        Its NumPy meaning.
    formula : str
        Format string over the operands.
    *partials
        One per operand; all absent: piecewise constant. ``None`` is zero, `NoDerivative` says why there is none.
    infer : callable, optional
        Its shape rule, where NumPy cannot say the dtype of the result.
    domain : tuple of float
        Where sample operands are drawn from.
    """
    arity = ufunc.nin if isinstance(ufunc, np.ufunc) else len(partials)

    def shape_rule(*types: ArrayType) -> ArrayType:
        if len(types) != arity:
            raise GraphError(f"{name} takes {arity} operands, got {len(types)}")
        shape = broadcast_shapes(name, *[t.shape for t in types])
        return ArrayType(shape, loop_dtype(ufunc, tuple([t.dtype for t in types])))

    def factor(i: int, out: Any, inputs: Any) -> Any:
        partial = partials[i]
        if isinstance(partial, NoDerivative):
            raise DifferentiationError(f"{name} has no derivative by operand {i + 1}: {partial.reason}")
        return None if partial is None else partial(out, *inputs)

    def reverse(i: int, g: Any, out: Any, *inputs: Any) -> Any:
        product = times(g, factor(i, out, inputs))
        return None if product is None else unbroadcast(product, inputs[i].shape)

    def forward(tangents: Any, out: Any, *inputs: Any) -> Any:
        total = None
        for i, tangent in enumerate(tangents):
            term = None if tangent is None else times(tangent, factor(i, out, inputs))
            total = term if total is None else total if term is None else total + term
        return total if total is None or total.shape == out.shape else np.broadcast_to(total, out.shape)

    def default_samples(rng: np.random.Generator) -> Iterator[Sample]:
        low, high = domain
        for shapes in SAMPLE_SHAPES[arity]:
            yield Sample(tuple(rng.uniform(low, high, size=shape) for shape in shapes))

    return register(
        Primitive(
            name=name,
            family=family,
            formula=formula,
            infer=infer or shape_rule,
            numpy=ufunc,
            reverse=reverse if partials else zero_reverse,
            forward=forward if partials else zero_forward,
            lowering="elementwise",
            samples=samples or default_samples,
        )
    )


def record_ufunc(ufunc: np.ufunc, primitive: Primitive, constant_last: bool = False) -> None:
    """Record calls of a ufunc as a primitive, after NumPy's own conversion of the operands.

    With ``constant_last`` the operands of a symmetric function change places where only the second one is traced.
    """

    def call(*operands: Any) -> Any:
        if constant_last and not isinstance(operands[0], Traced):
            operands = operands[::-1]
        return apply(primitive, *map(convert, operands, operand_dtypes(ufunc, operands)))

    UFUNCS[ufunc] = call


def declare(
    ufunc: np.ufunc, formula: str, *partials: Partial, constant_last: bool = False, **options: Any
) -> Primitive:
    """Declare an element-wise primitive of a ufunc's name, and record calls of the ufunc as it."""
    primitive = elementwise(ufunc.__name__, ufunc, formula, *partials, **options)
    record_ufunc(ufunc, primitive, constant_last)
    return primitive


def zero_over_zero(x: Any, y: Any, value: float = 0.0) -> Any:
    """x / y, with a value of its own where y is zero."""
    zero = np.equal(y, 0.0)
    return np.where(zero, value, x / np.where(zero, 1.0, y))


# -- arithmetic

ADD = declare(np.add, "{0} + {1}", lambda z, x, y: 1, lambda z, x, y: 1)
SUBTRACT = declare(np.subtract, "{0} - {1}", lambda z, x, y: 1, lambda z, x, y: -1)
MULTIPLY = declare(np.multiply, "{0} * {1}", lambda z, x, y: y, lambda z, x, y: x)
DIVIDE = declare(np.divide, "{0} / {1}", lambda z, x, y: Over(y), lambda z, x, y: -z / y, domain=(0.5, 3.0))
NEGATIVE = declare(np.negative, "-{0}", lambda z, x: -1)
SQUARE = declare(np.square, "{0}²", lambda z, x: 2.0 * x)
RECIPROCAL = declare(np.reciprocal, "1 / {0}", lambda z, x: -np.square(z), domain=(0.5, 3.0))
SQRT = declare(np.sqrt, "√{0}", lambda z, x: Over(2.0 * z), domain=(0.1, 3.0))
CBRT = declare(np.cbrt, "∛{0}", lambda z, x: Over(3.0 * np.square(z)), domain=(0.1, 3.0))


def _power_by_base(z: Any, x: Any, y: Any) -> Any:
    n = constant_number(y)
    if n is not None:
        return n * np.power(x, n - 1.0) if n else None
    return y * np.power(x, np.where(np.equal(y, 0.0), 1.0, y - 1.0))  # 0 where the exponent is, even at base 0


POWER = declare(
    np.power,
    "{0} ** {1}",
    _power_by_base,
    lambda z, x, y: z * np.log(np.where(x > 0.0, x, 1.0)),
    domain=(0.2, 2.0),
)
ABSOLUTE = declare(np.absolute, "|{0}|", lambda z, x: np.sign(x))
SIGN = declare(np.sign, "sign({0})")
REMAINDER = declare(
    np.remainder, "{0} mod {1}", lambda z, x, y: 1, lambda z, x, y: -np.floor_divide(x, y), domain=(0.6, 2.9)
)
FMOD = declare(np.fmod, "fmod({0}, {1})", lambda z, x, y: 1, lambda z, x, y: -np.trunc(x / y), domain=(0.6, 2.9))
FLOOR_DIVIDE = declare(np.floor_divide, "{0} // {1}", domain=(0.6, 2.9))
HYPOT = declare(
    np.hypot,
    "hypot({0}, {1})",
    lambda z, x, y: zero_over_zero(x, z),
    lambda z, x, y: zero_over_zero(y, z),
    domain=(0.5, 3.0),
)
COPYSIGN = declare(
    np.copysign, "copysign({0}, {1})", lambda z, x, y: np.copysign(1.0, y) * np.sign(x), None, domain=(0.5, 3.0)
)

# -- exponentials and logarithms

_LN_2, _LN_10 = log(2.0), log(10.0)

EXP = declare(np.exp, "exp({0})", lambda z, x: z)
EXP2 = declare(np.exp2, "2 ** {0}", lambda z, x: z * _LN_2)
EXPM1 = declare(np.expm1, "exp({0}) - 1", lambda z, x: np.exp(x))
LOG = declare(np.log, "log({0})", lambda z, x: Over(x), domain=(0.1, 3.0))
LOG2 = declare(np.log2, "log2({0})", lambda z, x: Over(_LN_2 * x), domain=(0.1, 3.0))
LOG10 = declare(np.log10, "log10({0})", lambda z, x: Over(_LN_10 * x), domain=(0.1, 3.0))
LOG1P = declare(np.log1p, "log(1 + {0})", lambda z, x: Over(1.0 + x), domain=(-0.8, 3.0))


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), by SciPy's ufunc."""
    return expit(x)


def _share(a: Any, b: Any, rate: float = 1.0) -> Any:
    """exp(a) / (exp(a) + exp(b)); operands of the same infinity share evenly."""
    same = np.isinf(a) & np.equal(a, b)
    return sigmoid(rate * (np.where(same, 0.0, a) - np.where(same, 0.0, b)))


LOGADDEXP = declare(
    np.logaddexp, "log(exp({0}) + exp({1}))", lambda z, x, y: _share(x, y), lambda z, x, y: _share(y, x)
)
LOGADDEXP2 = declare(
    np.logaddexp2, "log2(2 ** {0} + 2 ** {1})", lambda z, x, y: _share(x, y, _LN_2), lambda z, x, y: _share(y, x, _LN_2)
)

# -- trigonometric and hyperbolic functions

SIN = declare(np.sin, "sin({0})", lambda z, x: np.cos(x))
COS = declare(np.cos, "cos({0})", lambda z, x: -np.sin(x))
TAN = declare(np.tan, "tan({0})", lambda z, x: 1.0 + np.square(z), domain=(-1.2, 1.2))
ARCSIN = declare(np.arcsin, "arcsin({0})", lambda z, x: Over(np.sqrt((1.0 - x) * (1.0 + x))), domain=(-0.9, 0.9))
ARCCOS = declare(np.arccos, "arccos({0})", lambda z, x: Over(-np.sqrt((1.0 - x) * (1.0 + x))), domain=(-0.9, 0.9))
ARCTAN = declare(np.arctan, "arctan({0})", lambda z, x: Over(1.0 + np.square(x)))
ARCTAN2 = declare(
    np.arctan2,
    "arctan2({0}, {1})",
    lambda z, y, x: x / (np.square(x) + np.square(y)),
    lambda z, y, x: -y / (np.square(x) + np.square(y)),
    domain=(0.3, 3.0),
)
SINH = declare(np.sinh, "sinh({0})", lambda z, x: np.cosh(x))
COSH = declare(np.cosh, "cosh({0})", lambda z, x: np.sinh(x))
TANH = declare(np.tanh, "tanh({0})", lambda z, x: 1.0 - np.square(z))
ARCSINH = declare(np.arcsinh, "arcsinh({0})", lambda z, x: Over(np.hypot(x, 1.0)))
ARCCOSH = declare(np.arccosh, "arccosh({0})", lambda z, x: Over(np.sqrt(x - 1.0) * np.sqrt(x + 1.0)), domain=(1.2, 4.0))
ARCTANH = declare(np.arctanh, "arctanh({0})", lambda z, x: Over((1.0 - x) * (1.0 + x)), domain=(-0.8, 0.8))

# -- piecewise constant functions

FLOOR = declare(np.floor, "floor({0})")
CEIL = declare(np.ceil, "ceil({0})")
RINT = declare(np.rint, "round({0})")
TRUNC = declare(np.trunc, "trunc({0})")
HEAVISIDE = declare(np.heaviside, "heaviside({0}, {1})", None, lambda z, x, y: np.equal(x, 0.0))

EQUAL = declare(np.equal, "{0} = {1}")
NOT_EQUAL = declare(np.not_equal, "{0} ≠ {1}")
LESS = declare(np.less, "{0} < {1}")
LESS_EQUAL = declare(np.less_equal, "{0} ≤ {1}")
GREATER = declare(np.greater, "{0} > {1}")
GREATER_EQUAL = declare(np.greater_equal, "{0} ≥ {1}")
ISNAN = declare(np.isnan, "isnan({0})")
ISINF = declare(np.isinf, "isinf({0})")
ISFINITE = declare(np.isfinite, "isfinite({0})")
SIGNBIT = declare(np.signbit, "signbit({0})")
LOGICAL_AND = declare(np.logical_and, "{0} and {1}")
LOGICAL_OR = declare(np.logical_or, "{0} or {1}")
LOGICAL_XOR = declare(np.logical_xor, "{0} xor {1}")
LOGICAL_NOT = declare(np.logical_not, "not {0}")


def _integers(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in SAMPLE_SHAPES[2]:
        yield Sample((rng.integers(0, 9, size=a), rng.integers(0, 9, size=b)), smooth=False)


def _booleans(rng: np.random.Generator) -> Iterator[Sample]:
    for (a,) in SAMPLE_SHAPES[1]:
        yield Sample((np.asarray(rng.uniform(size=a) < 0.5),), smooth=False)


BITWISE_AND = declare(np.bitwise_and, "{0} & {1}", samples=_integers)
BITWISE_OR = declare(np.bitwise_or, "{0} | {1}", samples=_integers)
BITWISE_XOR = declare(np.bitwise_xor, "{0} ^ {1}", samples=_integers)
INVERT = declare(np.invert, "~{0}", samples=_booleans)

# -- ufuncs that are other ufuncs


_any_power = UFUNCS[np.power]


def _record_power(x: Any, y: Any) -> Any:
    """Record x ** y; small constant exponents become the simpler functions they are."""
    if type(y) in (int, float) and isinstance(x, Traced) and x.type.is_float:
        if y == 2:
            return np.square(x)
        if y == 1:
            return x
        if y == 0.5:
            return np.sqrt(x)
        if y == -1:
            return np.reciprocal(x)
    return _any_power(x, y)


def express(ufunc: np.ufunc, function: Callable[..., Any]) -> None:
    """Give a ufunc its meaning in terms of others, after NumPy's own conversion of the operands."""
    UFUNCS[ufunc] = lambda *operands: function(*map(convert, operands, operand_dtypes(ufunc, operands)))


UFUNCS[np.power] = _record_power
express(np.float_power, np.power)
express(np.positive, lambda x: x)
express(np.conjugate, lambda x: x)
express(np.fabs, np.absolute)
express(np.deg2rad, lambda x: x * (pi / 180.0))
express(np.radians, lambda x: x * (pi / 180.0))
express(np.rad2deg, lambda x: x * (180.0 / pi))
express(np.degrees, lambda x: x * (180.0 / pi))
express(np.divmod, lambda x, y: (np.floor_divide(x, y), np.remainder(x, y)))

__all__ = ["CAST", "IDENTITY", "STOP_GRADIENT", "Over", "convert", "declare", "elementwise", "sigmoid", "stop_gradient"]
