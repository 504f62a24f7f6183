"""Element-wise operations as LLVM code, on single numbers and on vectors of them: NumPy's meaning, dtype by dtype.

Values have LLVM's own types: ``i1`` for bool, ``i32`` and ``i64`` for integers of either sign, float and double. One
rule serves scalars and vectors. Exponentials, logarithms and their kin come from :mod:`chainrule.native.math`; what it
lacks is called from the C library, lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from chainrule.errors import CompileError
from chainrule.native.math.lanes import Mask, Real, _constant, where
from chainrule.native.math.registry import VECTOR_MATH
from chainrule.native.math.registry import emit as emit_math

_TYPES = {
    "bool": ir.IntType(1),
    "int32": ir.IntType(32),
    "uint32": ir.IntType(32),
    "int64": ir.IntType(64),
    "uint64": ir.IntType(64),
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
}
_LANE = ir.IntType(32)
_KINDS = {"bool": "b", "int32": "i", "int64": "i", "uint32": "u", "uint64": "u", "float32": "f", "float64": "f"}
_SUFFIX = {"float": "f32", "double": "f64", "i1": "i1", "i8": "i8", "i32": "i32", "i64": "i64"}
_UNSIGNED_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

#: primitive -> name in `VECTOR_MATH`, where they differ
_MATH_NAMES = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}
#: primitive -> function of the C library (with an f appended for float32)
_C_NAMES = {
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "cbrt", "exp2", "log10", "hypot")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "power": "pow",
}


def llvm_type(dtype: str, lanes: int = 1) -> ir.Type:
    """Type of a value in registers; one lane is a number, not a vector."""
    return _TYPES[dtype] if lanes == 1 else ir.VectorType(_TYPES[dtype], lanes)


def constant(dtype: str, number: bool | int | float, lanes: int = 1) -> ir.Constant:
    """A number, in all lanes."""
    if dtype == "bool":
        number = int(number)
    elif _KINDS[dtype] == "u":
        bits = _TYPES[dtype].width
        number = (int(number) + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))  # LLVM's text is signed
    return _constant(llvm_type(dtype, lanes), number)


def mangled(type_: ir.Type) -> str:
    """How LLVM's intrinsics spell a type in their names."""
    if isinstance(type_, ir.VectorType):
        return f"v{type_.count}{_SUFFIX[str(type_.element)]}"
    return _SUFFIX[str(type_)]


def declared(builder: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Type) -> ir.Function:
    """A function of that name, declared in the module at its first use."""
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, operands), name)


def is_native(op: str, dtypes: Sequence[str], result: str) -> bool:
    """Whether :func:`emit_op` has a rule for an operation on these dtypes."""
    if op in ("cast", "where"):
        return True
    kind = _KINDS[dtypes[-1]]
    return op in _RULES[kind] or (kind == "f" and (_math_name(op) is not None or op in _C_NAMES))


def emit_op(builder: ir.IRBuilder, op: str, dtypes: Sequence[str], result: str, *operands: ir.Value) -> ir.Value:
    """Code for an operation.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    op : str
        Name of an element-wise primitive, ``uniform`` (of a key and a position), or ``at_least``, ``at_most``: maximum
        and minimum with a second operand that is not NaN.
    dtypes : sequence of str
        Of the operands.
    result : str
        Dtype of the result.
    *operands : llvmlite.ir.Value
        All numbers, or all vectors of one length.

    Raises
    ------
    CompileError
        If there is no rule.
    """
    if op == "cast":
        return _cast(builder, dtypes[0], result, operands[0])
    if op == "where":
        return builder.select(*operands)
    if op == "uniform":
        return _uniform(builder, result, *operands)
    kind = _KINDS[dtypes[-1]]
    rule = _RULES[kind].get(op)
    if rule is not None:
        if kind != "f":
            made: ir.Value = rule(builder, *operands)
            return made
        value = rule(*[Real(builder, x) for x in operands])
        return value.value
    name = _math_name(op)
    if kind == "f" and name is not None:
        return emit_math(builder, name, *operands)
    if kind == "f" and op in _C_NAMES:
        return _c_call(builder, _C_NAMES[op], *operands)
    raise CompileError(f"no native code for {op} of {', '.join(dtypes)}")


def _math_name(op: str) -> str | None:
    return next((name for name in (op, _MATH_NAMES.get(op)) if name in VECTOR_MATH), None)


def _c_call(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> ir.Value:
    type_ = operands[0].type
    lanes = type_.count if isinstance(type_, ir.VectorType) else 1
    element = type_.element if lanes > 1 else type_
    suffix = "f" if isinstance(element, ir.FloatType) else ""
    function = declared(builder, name + suffix, element, *[element] * len(operands))
    if lanes == 1:
        return builder.call(function, operands)
    result: ir.Value = ir.Constant(type_, ir.Undefined)
    for k in range(lanes):
        lane = ir.Constant(_LANE, k)
        value = builder.call(function, [builder.extract_element(x, lane) for x in operands])
        result = builder.insert_element(result, value, lane)
    return result


def _intrinsic(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> ir.Value:
    type_ = operands[0].type
    function = declared(builder, f"llvm.{name}.{mangled(type_)}", type_, *[x.type for x in operands])
    return builder.call(function, operands)


def _same(x: ir.Value, number: int | float) -> ir.Constant:
    """A constant of the type of x."""
    return _constant(x.type, number)


# -- conversion


def _cast(builder: ir.IRBuilder, source: str, target: str, x: ir.Value) -> ir.Value:
    lanes = x.type.count if isinstance(x.type, ir.VectorType) else 1
    type_ = llvm_type(target, lanes)
    before, after = _KINDS[source], _KINDS[target]
    if source == target or (x.type == type_ and before in "iu" and after in "iu"):
        return x
    if after == "b":
        return builder.fcmp_unordered("!=", x, _same(x, 0.0)) if before == "f" else _nonzero(builder, x)
    if before == "f" and after == "f":
        return builder.fpext(x, type_) if target == "float64" else builder.fptrunc(x, type_)
    if before == "f":  # out of range saturates and NaN becomes 0, where C leaves it open
        name = f"llvm.fpto{'si' if after == 'i' else 'ui'}.sat.{mangled(type_)}.{mangled(x.type)}"
        return builder.call(declared(builder, name, type_, x.type), [x])
    if after == "f":
        return builder.sitofp(x, type_) if before == "i" else builder.uitofp(x, type_)
    if _TYPES[target].width < _TYPES[source].width:
        return builder.trunc(x, type_)
    return builder.sext(x, type_) if before == "i" else builder.zext(x, type_)


def _uniform(builder: ir.IRBuilder, dtype: str, key: ir.Value, position: ir.Value) -> ir.Value:
    """The number at a position of a stream; see :mod:`chainrule.primitives.random`."""

    def c(number: int) -> ir.Constant:
        return constant("uint64", number, lanes)

    lanes = position.type.count if isinstance(position.type, ir.VectorType) else 1
    z = _mixed(builder, builder.add(key, builder.mul(builder.add(position, c(1)), c(_UNSIGNED_GOLDEN))))
    drop = 40 if dtype == "float32" else 11
    number = builder.uitofp(builder.lshr(z, c(drop)), llvm_type(dtype, lanes))
    return builder.fmul(number, _same(number, 2.0 ** -(64 - drop)))


def _mixed(builder: ir.IRBuilder, z: ir.Value) -> ir.Value:
    """SplitMix64's finaliser."""
    lanes = z.type.count if isinstance(z.type, ir.VectorType) else 1
    for shift, factor in ((30, _MIX_1), (27, _MIX_2)):
        shifted = builder.lshr(z, constant("uint64", shift, lanes))
        z = builder.mul(builder.xor(z, shifted), constant("uint64", factor, lanes))
    return builder.xor(z, builder.lshr(z, constant("uint64", 31, lanes)))


def _step_key(builder: ir.IRBuilder, seed: ir.Value, t: ir.Value) -> ir.Value:
    lanes = t.type.count if isinstance(t.type, ir.VectorType) else 1
    return _mixed(builder, builder.xor(seed, builder.mul(t, constant("uint64", _MIX_1, lanes))))


# -- floating point


def _sign(x: Real) -> Real:
    return where(x.is_nan(), x, where(x > 0.0, 1.0, where(x < 0.0, x.constant(-1.0), 0.0)))


def _maximum(x: Real, y: Real) -> Real:
    return where(x.is_nan(), x, where(x > y, x, y))


def _minimum(x: Real, y: Real) -> Real:
    return where(x.is_nan(), x, where(x < y, x, y))


def _fmax(x: Real, y: Real) -> Real:
    return where(y.is_nan() | (x >= y), x, y)


def _fmin(x: Real, y: Real) -> Real:
    return where(y.is_nan() | (x <= y), x, y)


def _rounding(name: str) -> Callable[[Real], Real]:
    return lambda x: x._wrap(_intrinsic(x.builder, name, x.value))


def _heaviside(x: Real, y: Real) -> Real:
    return where(x.is_nan(), x, where(x.equals(0.0), y, where(x > 0.0, x.constant(1.0), 0.0)))


def _divmod(x: Real, y: Real) -> tuple[Real, Real]:
    """Floored quotient and remainder with the divisor's sign, as Python and NumPy have them."""
    remainder = x._wrap(x.builder.frem(x.value, y.value))
    exact = remainder.equals(0.0)
    shifted = ((remainder < 0.0) ^ (y < 0.0)) & ~exact
    modulus = where(exact, y.constant(0.0).with_sign_of(y), where(shifted, remainder + y, remainder))
    quotient = (x - remainder) / y
    quotient = where(shifted, quotient - 1.0, quotient)
    floored = x._wrap(_intrinsic(x.builder, "floor", quotient.value))
    floored = where(quotient - floored > 0.5, floored + 1.0, floored)
    floored = where(quotient.equals(0.0), quotient.constant(0.0).with_sign_of(x / y), floored)
    return where(y.equals(0.0), x / y, floored), where(y.equals(0.0), x.constant(math.nan), modulus)


def _math(x: Real, name: str, *operands: Real) -> Real:
    return x._wrap(emit_math(x.builder, name, *[o.value for o in operands]))


def _logit(x: Real) -> Real:
    """log(x/(1-x)); near ½ as log1p((2x-1)/(1-x)), where nothing cancels."""
    complement = 1.0 - x
    near = (x > 0.3) & (x < 0.65)
    return where(near, _math(x, "log1p", (x * 2.0 - 1.0) / complement), _math(x, "log", x / complement))


def _x_log(name: str) -> Callable[[Real, Real], Real]:
    def rule(x: Real, y: Real) -> Real:
        zero = x.equals(0.0) & ~y.is_nan()
        return where(zero, x.constant(0.0), x * _math(x, name, y))

    return rule


def _entr(x: Real) -> Real:
    inner = -(x * _math(x, "log", x))
    return where(x > 0.0, inner, where(x.equals(0.0), x.constant(0.0), where(x.is_nan(), x, -math.inf)))


def _rel_entr(x: Real, y: Real) -> Real:
    inside = (x > 0.0) & (y > 0.0)
    at_zero = x.equals(0.0) & (y >= 0.0)
    edge = where(x.is_nan() | y.is_nan(), x.constant(math.nan), math.inf)
    return where(inside, x * _math(x, "log", x / y), where(at_zero, x.constant(0.0), edge))


def _logaddexp2(x: Real, y: Real) -> Real:
    larger = where(x < y, y, x)
    difference = where(x.equals(y), x.constant(0.0), -abs(x - y))
    powers = _math(x, "exp", difference * math.log(2.0))
    total = larger + _math(x, "log1p", powers) * (1.0 / math.log(2.0))
    return where(x.is_nan(), x, where(y.is_nan(), y, total))


def _comparison(relation: str) -> Callable[[Real, Real], Mask]:
    return lambda x, y: x._compare(relation, y)


def _truth(x: Real) -> Mask:
    """Whether a number is not zero (NaN is not)."""
    return Mask(x.builder, x.builder.fcmp_unordered("!=", x.value, x.constant(0.0).value))


def _signbit(x: Real) -> Mask:
    return x.bits() < 0


def _not_equal(x: Real, y: Real) -> Mask:
    return Mask(x.builder, x.builder.fcmp_unordered("!=", x.value, y.value))


_FLOAT: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "negative": lambda x: -x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "sqrt": lambda x: x.sqrt(),
    "absolute": abs,
    "sign": _sign,
    "maximum": _maximum,
    "minimum": _minimum,
    "fmax": _fmax,
    "fmin": _fmin,
    "at_least": lambda x, low: x.at_least(low),
    "at_most": lambda x, high: x.at_most(high),
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "rint": _rounding("rint"),
    "trunc": _rounding("trunc"),
    "heaviside": _heaviside,
    "copysign": lambda x, y: x.with_sign_of(y),
    "remainder": lambda x, y: _divmod(x, y)[1],
    "floor_divide": lambda x, y: _divmod(x, y)[0],
    "logit": _logit,
    "xlogy": _x_log("log"),
    "xlog1py": _x_log("log1p"),
    "entr": _entr,
    "rel_entr": _rel_entr,
    "logaddexp2": _logaddexp2,
    "equal": _comparison("=="),
    "not_equal": _not_equal,
    "less": _comparison("<"),
    "less_equal": _comparison("<="),
    "greater": _comparison(">"),
    "greater_equal": _comparison(">="),
    "isnan": lambda x: x.is_nan(),
    "isinf": lambda x: abs(x).equals(math.inf),
    "isfinite": lambda x: abs(x) < math.inf,
    "signbit": _signbit,
    "logical_and": lambda x, y: _truth(x) & _truth(y),
    "logical_or": lambda x, y: _truth(x) | _truth(y),
    "logical_xor": lambda x, y: _truth(x) ^ _truth(y),
    "logical_not": lambda x: x.equals(0.0),
}

# -- integers and truth values

_Rule = Callable[..., ir.Value]


def _nonzero(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.icmp_unsigned("!=", x, _same(x, 0))


def _integer_rules(signed: bool) -> dict[str, _Rule]:
    def compare(relation: str) -> _Rule:
        if signed:
            return lambda b, x, y: b.icmp_signed(relation, x, y)
        return lambda b, x, y: b.icmp_unsigned(relation, x, y)

    def pick(relation: str) -> _Rule:
        return lambda b, x, y: b.select(compare(relation)(b, x, y), x, y)

    def absolute(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.select(b.icmp_signed("<", x, _same(x, 0)), b.neg(x), x) if signed else x

    def sign(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        positive = b.zext(compare(">")(b, x, _same(x, 0)), x.type)
        return b.sub(positive, b.zext(b.icmp_signed("<", x, _same(x, 0)), x.type)) if signed else positive

    def parts(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Floored quotient and remainder; 0 for divisor 0, and the machine never sees what it would trap on."""
        zero = b.icmp_unsigned("==", y, _same(y, 0))
        if not signed:
            safe = b.select(zero, _same(y, 1), y)
            quotient, remainder = b.udiv(x, safe), b.urem(x, safe)
        else:
            minus_one = b.icmp_signed("==", y, _same(y, -1))
            safe = b.select(b.or_(zero, minus_one), _same(y, 1), y)
            quotient, remainder = b.sdiv(x, safe), b.srem(x, safe)
            differ = b.icmp_signed("<", b.xor(remainder, safe), _same(x, 0))
            down = b.and_(differ, _nonzero(b, remainder))
            quotient = b.select(down, b.sub(quotient, _same(x, 1)), quotient)
            remainder = b.select(down, b.add(remainder, safe), remainder)
            quotient = b.select(minus_one, b.neg(x), quotient)
        none = _same(x, 0)
        return b.select(zero, none, quotient), b.select(zero, none, remainder)

    def both(rule: Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]) -> _Rule:
        return lambda b, x, y: rule(b, _nonzero(b, x), _nonzero(b, y))

    return {
        "add": lambda b, x, y: b.add(x, y),
        "subtract": lambda b, x, y: b.sub(x, y),
        "multiply": lambda b, x, y: b.mul(x, y),
        "square": lambda b, x: b.mul(x, x),
        "negative": lambda b, x: b.neg(x),
        "absolute": absolute,
        "sign": sign,
        "maximum": pick(">"),
        "minimum": pick("<"),
        "fmax": pick(">"),
        "fmin": pick("<"),
        "remainder": lambda b, x, y: parts(b, x, y)[1],
        "floor_divide": lambda b, x, y: parts(b, x, y)[0],
        "step_key": _step_key,
        "bitwise_and": lambda b, x, y: b.and_(x, y),
        "bitwise_or": lambda b, x, y: b.or_(x, y),
        "bitwise_xor": lambda b, x, y: b.xor(x, y),
        "invert": lambda b, x: b.not_(x),
        "equal": compare("=="),
        "not_equal": compare("!="),
        "less": compare("<"),
        "less_equal": compare("<="),
        "greater": compare(">"),
        "greater_equal": compare(">="),
        "logical_and": both(lambda b, x, y: b.and_(x, y)),
        "logical_or": both(lambda b, x, y: b.or_(x, y)),
        "logical_xor": both(lambda b, x, y: b.xor(x, y)),
        "logical_not": lambda b, x: b.icmp_unsigned("==", x, _same(x, 0)),
    }


_AND: _Rule = lambda b, x, y: b.and_(x, y)  # noqa: E731
_OR: _Rule = lambda b, x, y: b.or_(x, y)  # noqa: E731
_XOR: _Rule = lambda b, x, y: b.xor(x, y)  # noqa: E731
_NOT: _Rule = lambda b, x: b.not_(x)  # noqa: E731

_BOOL: dict[str, _Rule] = {
    **dict.fromkeys(("add", "maximum", "fmax", "bitwise_or", "logical_or"), _OR),
    **dict.fromkeys(("multiply", "minimum", "fmin", "bitwise_and", "logical_and"), _AND),
    **dict.fromkeys(("bitwise_xor", "logical_xor", "not_equal"), _XOR),
    **dict.fromkeys(("invert", "logical_not"), _NOT),
    "absolute": lambda b, x: x,
    "equal": lambda b, x, y: b.not_(b.xor(x, y)),
    "less": lambda b, x, y: b.and_(b.not_(x), y),
    "less_equal": lambda b, x, y: b.or_(b.not_(x), y),
    "greater": lambda b, x, y: b.and_(x, b.not_(y)),
    "greater_equal": lambda b, x, y: b.or_(x, b.not_(y)),
}

_RULES: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "f": _FLOAT,
    "i": _integer_rules(signed=True),
    "u": _integer_rules(signed=False),
    "b": _BOOL,
}

# -- folds


def neutral(op: str, dtype: str) -> bool | int | float:
    """What a fold starts from."""
    kind = _KINDS[dtype]
    if op in ("sum", "any"):
        return 0
    if op == "all":
        return 1
    lowest = op in ("max", "argmax")
    if kind == "f":
        return -math.inf if lowest else math.inf
    if kind == "b":
        return not lowest
    bits = _TYPES[dtype].width
    if kind == "u":
        return 0 if lowest else 2**bits - 1
    return -(2 ** (bits - 1)) if lowest else 2 ** (bits - 1) - 1


#: reduction -> the operation that joins two partial results
FOLDS = {"sum": "add", "max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and"}
