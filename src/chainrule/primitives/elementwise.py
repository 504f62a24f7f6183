"""Element-wise primitives: one result per element, operands broadcast as in NumPy.

Each is declared by its ufunc and its partial derivatives. The chain rule in both directions follows from the partials:
``x̄ᵢ = unbroadcast(ḡ · ∂out/∂xᵢ)`` and ``ȯut = Σ ∂out/∂xᵢ · ẋᵢ``.

A partial is ``partial(out, *inputs)`` in traced operations; it returns the factor, the number 1 or -1, a boolean
(where true the factor is 1, elsewhere 0), or ``None`` for zero.

Sub-gradients at kinks, all documented here: ``absolute`` has derivative 0 at 0. At a tie of ``maximum`` or ``minimum``
the second operand receives the whole gradient, after a constant has been put second: so ``np.maximum(x, 0)`` and
``np.maximum(0, x)`` both have derivative 0 at ``x = 0``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import NoDerivative, Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import UFUNCS, Recorder, Traced, apply, implements
from chainrule.graph.types import ArrayType

Partial = Callable[..., Any] | None


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcast of shapes, with a `GraphError` that names the operation."""
    result = []
    for sizes in zip_longest(*(reversed(s) for s in shapes), fillvalue=1):
        size = 1
        for s in sizes:
            if s != 1 and size not in (1, s):
                raise GraphError(f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast together")
            size = s if s != 1 else size
        result.append(size)
    return tuple(reversed(result))


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent over the axes along which an operand of the given shape was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, (size, full) in enumerate(zip(shape, g.shape[extra:], strict=True)) if size != full
    )
    return np.reshape(np.sum(g, axis=axes), shape)


def times(g: Any, factor: Any) -> Any:
    """The product of a (co)tangent and a partial derivative, cheap where the factor is simple."""
    if factor is None:
        return None
    if isinstance(factor, (int, float)):
        return g if factor == 1 else -g if factor == -1 else g * factor
    if factor.dtype == np.bool_:
        return np.where(factor, g, 0.0)
    return g * factor


def elementwise(
    name: str,
    numpy: Any,
    formula: str,
    *partials: Partial,
    dtype: Any = None,
    samples: Callable[[np.random.Generator], Iterator[Sample]] | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    family: str = "elementwise",
    reason: str | None = None,
) -> Primitive:
    """Declare an element-wise primitive.

    Parameters
    ----------
    name : str
    numpy : numpy.ufunc
        Its NumPy meaning.
    formula : str
        Format string over the operands.
    *partials
        One per operand; all absent: piecewise constant.
    dtype : optional
        Of the result; the operands' own by default.
    domain : tuple of float
        Where sample operands are drawn from.
    reason : str, optional
        Why there is no derivative, where there is none.
    """
    arity = numpy.nin if isinstance(numpy, np.ufunc) else len(partials)

    def infer(*types: ArrayType) -> ArrayType:
        if len(types) != arity:
            raise GraphError(f"{name} takes {arity} operands, got {len(types)}")
        if len({t.dtype for t in types[-2:]}) > 1:
            raise GraphError(f"{name}: operands {' and '.join(map(str, types))} must have one dtype")
        shape = broadcast_shapes(name, *(t.shape for t in types))
        return ArrayType(shape, np.dtype(dtype) if dtype is not None else types[-1].dtype)

    def reverse(i: int, g: Any, out: Any, *inputs: Any) -> Any:
        partial = partials[i]
        if partial is None:
            return None
        product = times(g, partial(out, *inputs))
        return None if product is None else unbroadcast(product, inputs[i].shape)

    def forward(tangents: Any, out: Any, *inputs: Any) -> Any:
        total = None
        for partial, tangent in zip(partials, tangents, strict=True):
            if partial is None or tangent is None:
                continue
            term = times(tangent, partial(out, *inputs))
            total = term if total is None else term if term is None else total + term
        if total is not None and total.shape != out.shape:
            total = np.broadcast_to(total, out.shape)
        return total

    def default_samples(rng: np.random.Generator) -> Iterator[Sample]:
        low, high = domain
        for shapes in SHAPES[arity]:
            yield Sample(tuple(rng.uniform(low, high, size=shape) for shape in shapes))

    return register(
        Primitive(
            name=name,
            family=family,
            formula=formula,
            infer=infer,
            numpy=numpy,
            reverse=NoDerivative(reason) if reason else (reverse if partials else zero_reverse),
            forward=NoDerivative(reason) if reason else (forward if partials else zero_forward),
            lowering="elementwise",
            samples=samples or default_samples,
        )
    )


#: shapes of sample operands: scalars, broadcasting, size 0 and size 1
SHAPES: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((),), ((3,),), ((2, 3),), ((0,),), ((1, 1),), ((2, 0, 3),)],
    2: [
        ((), ()),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((), (2, 2)),
        ((0,), (1,)),
        ((4, 1, 2), (3, 1)),
        ((2, 0), (1, 1)),
    ],
    3: [((3,), (3,), (3,)), ((2, 1), (3,), ()), ((), (2, 2), (1, 2)), ((0,), (1,), ())],
}


def operand_dtypes(ufunc: np.ufunc, operands: tuple[Any, ...]) -> list[np.dtype]:
    """The dtypes a ufunc converts its operands to, Python numbers being weak (NEP 50)."""
    given = tuple(type(x) if type(x) in (int, float, bool) else np.dtype(ArrayType.of(x).dtype) for x in operands)
    given = tuple(np.dtype(bool) if kind is bool else kind for kind in given)
    if all(kind is int or kind is float for kind in given):  # by identity: np.dtype('int64') == int
        given = tuple(np.dtype(np.int64 if kind is int else np.float64) for kind in given)
    try:
        resolved = ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout))
    except TypeError:
        kinds = ", ".join(str(kind) for kind in given)
        raise TraceError(f"np.{ufunc.__name__} is not defined for operands of dtype {kinds}") from None
    return list(resolved[: ufunc.nin])


def convert(x: Any, dtype: np.dtype) -> Any:
    """Convert an operand: traced values by a recorded cast, constants at once."""
    if isinstance(x, Traced):
        return x if x.dtype == dtype else apply(CAST, x, dtype=dtype.name)
    return np.asarray(x, dtype=dtype)


def record_ufunc(ufunc: np.ufunc, primitive: Primitive, commutative: bool = False) -> None:
    """Record calls of a ufunc as a primitive, after NumPy's own conversion of the operands."""

    def call(*operands: Any, **options: Any) -> Any:
        reject_options(ufunc, options)
        if commutative and not isinstance(operands[0], Traced):
            operands = operands[::-1]
        dtypes = operand_dtypes(ufunc, operands)
        return apply(primitive, *(convert(x, dtype) for x, dtype in zip(operands, dtypes, strict=True)))

    UFUNCS[ufunc] = call


def reject_options(ufunc: np.ufunc, options: dict[str, Any]) -> None:
    """Refuse ufunc options that a graph cannot honour."""
    given = [key for key, value in options.items() if not (key == "where" and value is True) and value is not None]
    if given:
        raise TraceError(f"np.{ufunc.__name__}({given[0]}=...) is not supported on traced values; leave it out")


def _ufunc(ufunc: np.ufunc, formula: str, *partials: Partial, name: str | None = None, **options: Any) -> Primitive:
    commutative = options.pop("commutative", False)
    primitive = elementwise(name or ufunc.__name__, ufunc, formula, *partials, **options)
    record_ufunc(ufunc, primitive, commutative)
    return primitive


# -- conversion and identity


def _cast_reverse(i: int, g: Any, out: Any, x: Any, *, dtype: str) -> Any:
    return convert(g, x.dtype)


def _cast_forward(tangents: Any, out: Any, x: Any, *, dtype: str) -> Any:
    return None if tangents[0] is None or not out.type.is_float else convert(tangents[0], out.dtype)


CAST = register(
    Primitive(
        name="cast",
        family="elementwise",
        formula="{dtype}({0})",
        infer=lambda x, dtype: ArrayType(x.shape, np.dtype(dtype)),
        numpy=lambda x, dtype: np.asarray(x).astype(dtype),
        reverse=_cast_reverse,
        forward=_cast_forward,
        lowering="elementwise",
        samples=lambda rng: iter([Sample((rng.normal(size=(2, 3)),), {"dtype": "float64"})]),
    )
)
IDENTITY = register(
    Primitive(
        name="identity",
        family="elementwise",
        formula="{0}",
        infer=lambda x: x,
        numpy=lambda x: x,
        reverse=lambda i, g, out, x: g,
        forward=lambda tangents, out, x: tangents[0],
        lowering="elementwise",
        samples=lambda rng: iter([Sample((rng.normal(size=(2, 3)),))]),
    )
)
STOP_GRADIENT = register(
    Primitive(
        name="stop_gradient",
        family="elementwise",
        formula="stop_gradient({0})",
        infer=lambda x: x,
        numpy=lambda x: x,
        reverse=zero_reverse,
        forward=zero_forward,
        lowering="elementwise",
        samples=lambda rng: iter([Sample((rng.normal(size=(2, 3)),), smooth=False)]),
    )
)


def stop_gradient(x: Any) -> Any:
    """The value itself, with derivative zero: whatever is computed from it counts as a constant."""
    return apply(STOP_GRADIENT, x)


# -- arithmetic

ADD = _ufunc(np.add, "{0} + {1}", lambda z, x, y: 1, lambda z, x, y: 1)
SUBTRACT = _ufunc(np.subtract, "{0} - {1}", lambda z, x, y: 1, lambda z, x, y: -1)
MULTIPLY = _ufunc(np.multiply, "{0} * {1}", lambda z, x, y: y, lambda z, x, y: x)
DIVIDE = _ufunc(
    np.divide, "{0} / {1}", lambda z, x, y: 1.0 / y, lambda z, x, y: -z / y, name="divide", domain=(0.5, 3.0)
)
NEGATIVE = _ufunc(np.negative, "-{0}", lambda z, x: -1)
SQUARE = _ufunc(np.square, "{0}²", lambda z, x: 2.0 * x)
RECIPROCAL = _ufunc(np.reciprocal, "1 / {0}", lambda z, x: -np.square(z), domain=(0.5, 3.0))
SQRT = _ufunc(np.sqrt, "√{0}", lambda z, x: 0.5 / z, domain=(0.1, 3.0))
CBRT = _ufunc(np.cbrt, "∛{0}", lambda z, x: 1.0 / (3.0 * np.square(z)), domain=(0.1, 3.0))
POWER = _ufunc(
    np.power,
    "{0} ** {1}",
    # where the exponent is 0 the factor is 0 even at base 0, and a base <= 0 has no derivative by the exponent
    lambda z, x, y: y * np.power(x, np.where(y == 0.0, 1.0, y - 1.0)),
    lambda z, x, y: z * np.log(np.where(x > 0.0, x, 1.0)),
    domain=(0.2, 2.0),
)
ABSOLUTE = _ufunc(np.absolute, "|{0}|", lambda z, x: np.sign(x))
SIGN = _ufunc(np.sign, "sign({0})")
REMAINDER = _ufunc(np.remainder, "{0} mod {1}", lambda z, x, y: 1, lambda z, x, y: -np.floor(x / y), domain=(0.6, 2.9))
FLOOR_DIVIDE = _ufunc(np.floor_divide, "{0} // {1}", domain=(0.6, 2.9))
HYPOT = _ufunc(np.hypot, "hypot({0}, {1})", lambda z, x, y: x / z, lambda z, x, y: y / z, domain=(0.5, 3.0))
COPYSIGN = _ufunc(
    np.copysign, "copysign({0}, {1})", lambda z, x, y: np.copysign(1.0, y) * np.sign(x), None, domain=(0.5, 3.0)
)

# -- exponentials and logarithms

EXP = _ufunc(np.exp, "exp({0})", lambda z, x: z)
EXP2 = _ufunc(np.exp2, "2 ** {0}", lambda z, x: z * float(np.log(2.0)))
EXPM1 = _ufunc(np.expm1, "exp({0}) - 1", lambda z, x: np.exp(x))
LOG = _ufunc(np.log, "log({0})", lambda z, x: 1.0 / x, domain=(0.1, 3.0))
LOG2 = _ufunc(np.log2, "log2({0})", lambda z, x: float(1 / np.log(2.0)) / x, domain=(0.1, 3.0))
LOG10 = _ufunc(np.log10, "log10({0})", lambda z, x: float(1 / np.log(10.0)) / x, domain=(0.1, 3.0))
LOG1P = _ufunc(np.log1p, "log(1 + {0})", lambda z, x: 1.0 / (1.0 + x), domain=(-0.8, 3.0))


def _logaddexp_share(a: Any, b: Any) -> Any:
    """exp(a) / (exp(a) + exp(b)), also where both are infinite or far apart."""
    same = np.equal(a, b)  # -inf - -inf is not a number; equal operands share evenly
    return sigmoid(np.where(same, 0.0, np.where(same, 0.0, a) - np.where(same, 0.0, b)))


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), by SciPy's ufunc."""
    from scipy.special import expit

    return expit(x)


LOGADDEXP = _ufunc(
    np.logaddexp,
    "log(exp({0}) + exp({1}))",
    lambda z, x, y: _logaddexp_share(x, y),
    lambda z, x, y: _logaddexp_share(y, x),
)
LOGADDEXP2 = _ufunc(
    np.logaddexp2,
    "log2(2 ** {0} + 2 ** {1})",
    lambda z, x, y: np.exp2(x - z),
    lambda z, x, y: np.exp2(y - z),
)

# -- trigonometric and hyperbolic functions

SIN = _ufunc(np.sin, "sin({0})", lambda z, x: np.cos(x))
COS = _ufunc(np.cos, "cos({0})", lambda z, x: -np.sin(x))
TAN = _ufunc(np.tan, "tan({0})", lambda z, x: 1.0 + np.square(z), domain=(-1.2, 1.2))
ARCSIN = _ufunc(np.arcsin, "arcsin({0})", lambda z, x: 1.0 / np.sqrt(1.0 - np.square(x)), domain=(-0.9, 0.9))
ARCCOS = _ufunc(np.arccos, "arccos({0})", lambda z, x: -1.0 / np.sqrt(1.0 - np.square(x)), domain=(-0.9, 0.9))
ARCTAN = _ufunc(np.arctan, "arctan({0})", lambda z, x: 1.0 / (1.0 + np.square(x)))
ARCTAN2 = _ufunc(
    np.arctan2,
    "arctan2({0}, {1})",
    lambda z, y, x: x / (np.square(x) + np.square(y)),
    lambda z, y, x: -y / (np.square(x) + np.square(y)),
    domain=(0.3, 3.0),
)
SINH = _ufunc(np.sinh, "sinh({0})", lambda z, x: np.cosh(x))
COSH = _ufunc(np.cosh, "cosh({0})", lambda z, x: np.sinh(x))
TANH = _ufunc(np.tanh, "tanh({0})", lambda z, x: 1.0 - np.square(z))
ARCSINH = _ufunc(np.arcsinh, "arcsinh({0})", lambda z, x: 1.0 / np.hypot(x, 1.0))
ARCCOSH = _ufunc(
    np.arccosh, "arccosh({0})", lambda z, x: 1.0 / (np.sqrt(x - 1.0) * np.sqrt(x + 1.0)), domain=(1.2, 4.0)
)
ARCTANH = _ufunc(np.arctanh, "arctanh({0})", lambda z, x: 1.0 / (1.0 - np.square(x)), domain=(-0.8, 0.8))

# -- choices


def _distinct(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in SHAPES[2]:
        yield Sample((rng.choice([-2.0, 0.5, 1.5], size=a), rng.choice([-1.0, 0.0, 2.0], size=b)))


MAXIMUM = _ufunc(
    np.maximum, "max({0}, {1})", lambda z, x, y: x > y, lambda z, x, y: ~(x > y), commutative=True, samples=_distinct
)
MINIMUM = _ufunc(
    np.minimum, "min({0}, {1})", lambda z, x, y: x < y, lambda z, x, y: ~(x < y), commutative=True, samples=_distinct
)
FMAX = _ufunc(
    np.fmax,
    "fmax({0}, {1})",
    lambda z, x, y: (x > y) | np.isnan(y),
    lambda z, x, y: ~((x > y) | np.isnan(y)),
    commutative=True,
    samples=_distinct,
)
FMIN = _ufunc(
    np.fmin,
    "fmin({0}, {1})",
    lambda z, x, y: (x < y) | np.isnan(y),
    lambda z, x, y: ~((x < y) | np.isnan(y)),
    commutative=True,
    samples=_distinct,
)


def _select_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for c, a, b in SHAPES[3]:
        yield Sample((rng.uniform(size=c) < 0.5, rng.normal(size=a), rng.normal(size=b)))


SELECT = elementwise(
    "where",
    np.where,
    "{1} if {0} else {2}",
    None,
    lambda z, c, x, y: c,
    lambda z, c, x, y: ~c,
    samples=_select_samples,
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Record np.where; with a condition alone the positions depend on values, which must be known."""
    if x is None and y is None:
        return np.nonzero(condition)
    # the weakness of Python numbers is np.add's: the two choices are promoted as if they were added
    kinds = operand_dtypes(np.add, (x, y)) if not _both_bool(x, y) else [np.dtype(bool)] * 2
    if not isinstance(condition, Traced):
        condition = np.asarray(condition)
    if condition.dtype != np.bool_:
        condition = np.not_equal(condition, 0)
    return apply(SELECT, condition, convert(x, kinds[0]), convert(y, kinds[1]))


def _both_bool(x: Any, y: Any) -> bool:
    return ArrayType.of(x).dtype == np.bool_ and ArrayType.of(y).dtype == np.bool_


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Record np.clip as a maximum and a minimum."""
    low, high = a_min if a_min is not None else min, a_max if a_max is not None else max
    if low is not None:
        a = np.maximum(a, low)
    if high is not None:
        a = np.minimum(a, high)
    return a


# -- piecewise constant functions

FLOOR = _ufunc(np.floor, "floor({0})")
CEIL = _ufunc(np.ceil, "ceil({0})")
RINT = _ufunc(np.rint, "round({0})")
TRUNC = _ufunc(np.trunc, "trunc({0})")
HEAVISIDE = _ufunc(np.heaviside, "heaviside({0}, {1})")


def _boolean(ufunc: np.ufunc, formula: str) -> Primitive:
    return _ufunc(ufunc, formula, dtype=bool)


EQUAL = _boolean(np.equal, "{0} = {1}")
NOT_EQUAL = _boolean(np.not_equal, "{0} ≠ {1}")
LESS = _boolean(np.less, "{0} < {1}")
LESS_EQUAL = _boolean(np.less_equal, "{0} ≤ {1}")
GREATER = _boolean(np.greater, "{0} > {1}")
GREATER_EQUAL = _boolean(np.greater_equal, "{0} ≥ {1}")
ISNAN = _boolean(np.isnan, "isnan({0})")
ISINF = _boolean(np.isinf, "isinf({0})")
ISFINITE = _boolean(np.isfinite, "isfinite({0})")
SIGNBIT = _boolean(np.signbit, "signbit({0})")
LOGICAL_AND = _boolean(np.logical_and, "{0} and {1}")
LOGICAL_OR = _boolean(np.logical_or, "{0} or {1}")
LOGICAL_XOR = _boolean(np.logical_xor, "{0} xor {1}")
LOGICAL_NOT = _boolean(np.logical_not, "not {0}")


def _integers(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in SHAPES[2]:
        yield Sample((rng.integers(0, 9, size=a), rng.integers(0, 9, size=b)), smooth=False)


BITWISE_AND = _ufunc(np.bitwise_and, "{0} & {1}", samples=_integers)
BITWISE_OR = _ufunc(np.bitwise_or, "{0} | {1}", samples=_integers)
BITWISE_XOR = _ufunc(np.bitwise_xor, "{0} ^ {1}", samples=_integers)
INVERT = _ufunc(np.invert, "~{0}", samples=lambda rng: iter([Sample((rng.uniform(size=(2, 3)) < 0.5,), smooth=False)]))

# -- ufuncs that are other ufuncs

UFUNCS[np.positive] = lambda x: x
UFUNCS[np.fabs] = np.absolute
UFUNCS[np.deg2rad] = UFUNCS[np.radians] = lambda x: x * float(np.pi / 180.0)
UFUNCS[np.rad2deg] = UFUNCS[np.degrees] = lambda x: x * float(180.0 / np.pi)
UFUNCS[np.float_power] = lambda x, y: np.power(x, y)
UFUNCS[np.conjugate] = lambda x: x
_power = UFUNCS[np.power]


def _record_power(x: Any, y: Any, **options: Any) -> Any:
    """Record x ** y; small constant exponents become the simpler functions they are."""
    if isinstance(x, Traced) and x.type.is_float and not isinstance(y, Traced) and np.ndim(y) == 0:
        if y == 2:
            return np.square(x)
        if y == 1:
            return x
        if y == 0.5:
            return np.sqrt(x)
        if y == -1:
            return np.reciprocal(x)
    if isinstance(x, Traced) and x.dtype.kind == "b":
        raise TraceError("np.power of booleans is not supported on traced values; convert with .astype(float) first")
    return _power(x, y, **options)


UFUNCS[np.power] = _record_power


def real_constant(recorder: Recorder, x: Any) -> Traced:
    """A number or array as a constant of floating dtype: what differentiation starts from."""
    array = np.asarray(x)
    return recorder.constant(array if array.dtype.kind == "f" else array.astype(np.float64))


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Traced values are real."""
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Traced values are real."""
    return True


@implements(np.real)
def real(x: Any) -> Any:
    """Traced values are real."""
    return x


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Record np.isclose (element-wise comparison with tolerance)."""
    close = np.equal(a, b) | ((np.absolute(a - b) <= atol + rtol * np.absolute(b)) & np.isfinite(b))
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Record np.nan_to_num."""
    info = np.finfo(x.dtype)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(x == np.inf, float(info.max) if posinf is None else posinf, x)
    return np.where(x == -np.inf, float(info.min) if neginf is None else neginf, x)


@implements(np.round)
def round(a: Any, decimals: int = 0) -> Any:
    """Record np.round."""
    if decimals == 0:
        return np.rint(a)
    scale = 10.0**decimals
    return np.rint(a * scale) / scale


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """Record np.sinc, safe at zero."""
    safe = np.where(x == 0.0, 1.0, x) * float(np.pi)
    return np.where(x == 0.0, 1.0, np.sin(safe) / safe)
