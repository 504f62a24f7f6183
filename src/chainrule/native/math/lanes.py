"""Vectors of numbers inside LLVM code, with Python's operators: the language in which the formulae are written.

``x * y + 1.0`` on :class:`Real` lanes emits one ``fmul`` and one ``fadd`` on all lanes. No fast-math flag is ever
set, so the target changes neither the operations nor their order, and the result's bits are the same everywhere.
A fused multiply-add is asked for by name (:func:`fma`): it rounds once on every target, in hardware where there is
such an instruction and through the C library's exact ``fma`` elsewhere (x86-64 before 2013), where it is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps

from llvmlite import ir


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary format: its LLVM types and the numbers that describe its bits."""

    name: str
    suffix: str
    real: ir.Type
    integer: ir.Type
    bits: int
    fraction: int
    """Number of explicitly stored bits of the significand."""

    @property
    def bias(self) -> int:
        """Exponent bias; also the largest exponent of a finite number."""
        return (1 << (self.bits - self.fraction - 2)) - 1

    @property
    def magic(self) -> float:
        """1.5·2^fraction: adding it rounds to an integer and leaves that integer in the low bits of the sum."""
        return 1.5 * 2.0**self.fraction

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.fraction


FLOAT32 = Format("float32", "f32", ir.FloatType(), ir.IntType(32), 32, 23)
FLOAT64 = Format("float64", "f64", ir.DoubleType(), ir.IntType(64), 64, 52)
_FORMATS = {str(f.real): f for f in (FLOAT32, FLOAT64)}


def format_of(type_: ir.Type) -> Format:
    """The format of a float or double, scalar or vector, LLVM type."""
    element = type_.element if isinstance(type_, ir.VectorType) else type_
    if str(element) not in _FORMATS:
        raise TypeError(f"expected float, double or a vector of them, got {type_}")
    return _FORMATS[str(element)]


def _like(type_: ir.Type, element: ir.Type) -> ir.Type:
    return ir.VectorType(element, type_.count) if isinstance(type_, ir.VectorType) else element


class _Splat(ir.FormattedConstant):
    """One number in every lane of a vector, written ``splat (float 1.0)``, so that LLVM parses it once."""

    def __init__(self, type_: ir.VectorType, number: float | int) -> None:
        self.type = type_
        self.constant = f"splat ({type_.element} {ir.Constant(type_.element, number).get_reference()})"


def _constant(type_: ir.Type, number: float | int) -> ir.Constant:
    return (_Splat if isinstance(type_, ir.VectorType) else ir.Constant)(type_, number)


def _intrinsic(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> ir.Value:
    type_ = operands[0].type
    width = f"v{type_.count}" if isinstance(type_, ir.VectorType) else ""
    full_name = f"llvm.{name}.{width}{format_of(type_).suffix}"
    function = builder.module.globals.get(full_name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(type_, [type_] * len(operands)), full_name)
    return builder.call(function, operands)


@dataclass(frozen=True, eq=False)
class Mask:
    """One truth value per lane."""

    builder: ir.IRBuilder
    value: ir.Value

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.or_(self.value, other.value))

    def __xor__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.xor(self.value, other.value))

    def __invert__(self) -> Mask:
        return Mask(self.builder, self.builder.not_(self.value))


@dataclass(frozen=True, eq=False)
class Whole:
    """One integer per lane, as wide as the reals it belongs to; arithmetic wraps around, ``>>`` brings in zeros."""

    builder: ir.IRBuilder
    value: ir.Value
    format: Format

    def _wrap(self, value: ir.Value) -> Whole:
        return Whole(self.builder, value, self.format)

    def _operand(self, other: Whole | int) -> ir.Value:
        if isinstance(other, Whole):
            return other.value
        sign = 1 << (self.format.bits - 1)
        return _constant(self.value.type, ((other + sign) & (2 * sign - 1)) - sign)

    def __add__(self, other: Whole | int) -> Whole:
        return self._wrap(self.builder.add(self.value, self._operand(other)))

    def __sub__(self, other: Whole | int) -> Whole:
        return self._wrap(self.builder.sub(self.value, self._operand(other)))

    def __rsub__(self, other: int) -> Whole:
        return self._wrap(self.builder.sub(self._operand(other), self.value))

    def __and__(self, other: Whole | int) -> Whole:
        return self._wrap(self.builder.and_(self.value, self._operand(other)))

    def __or__(self, other: Whole | int) -> Whole:
        return self._wrap(self.builder.or_(self.value, self._operand(other)))

    def __xor__(self, other: Whole | int) -> Whole:
        return self._wrap(self.builder.xor(self.value, self._operand(other)))

    def __lshift__(self, count: int) -> Whole:
        return self._wrap(self.builder.shl(self.value, self._operand(count)))

    def __rshift__(self, count: int) -> Whole:
        return self._wrap(self.builder.lshr(self.value, self._operand(count)))

    def __lt__(self, other: Whole | int) -> Mask:
        return Mask(self.builder, self.builder.icmp_signed("<", self.value, self._operand(other)))

    def equals(self, other: Whole | int) -> Mask:
        """Lane by lane equality."""
        return Mask(self.builder, self.builder.icmp_signed("==", self.value, self._operand(other)))

    def at_least(self, low: int) -> Whole:
        """max(x, low)."""
        return self._wrap(self.builder.select((self < low).value, self._operand(low), self.value))

    def real(self) -> Real:
        """The same bits, read as real numbers."""
        type_ = _like(self.value.type, self.format.real)
        return Real(self.builder, self.builder.bitcast(self.value, type_))


@dataclass(frozen=True, eq=False)
class Real:
    """One float32 or float64 per lane. Comparisons are false where an operand is NaN."""

    builder: ir.IRBuilder
    value: ir.Value

    @property
    def format(self) -> Format:
        return format_of(self.value.type)

    def constant(self, number: float) -> Real:
        """``number`` in every lane."""
        return self._wrap(_constant(self.value.type, number))

    def _wrap(self, value: ir.Value) -> Real:
        return Real(self.builder, value)

    def _operand(self, other: Real | float) -> ir.Value:
        return other.value if isinstance(other, Real) else _constant(self.value.type, other)

    def __add__(self, other: Real | float) -> Real:
        return self._wrap(self.builder.fadd(self.value, self._operand(other)))

    def __sub__(self, other: Real | float) -> Real:
        return self._wrap(self.builder.fsub(self.value, self._operand(other)))

    def __mul__(self, other: Real | float) -> Real:
        return self._wrap(self.builder.fmul(self.value, self._operand(other)))

    def __truediv__(self, other: Real | float) -> Real:
        return self._wrap(self.builder.fdiv(self.value, self._operand(other)))

    def __radd__(self, other: float) -> Real:
        return self._wrap(self.builder.fadd(self._operand(other), self.value))

    def __rsub__(self, other: float) -> Real:
        return self._wrap(self.builder.fsub(self._operand(other), self.value))

    def __rmul__(self, other: float) -> Real:
        return self._wrap(self.builder.fmul(self._operand(other), self.value))

    def __rtruediv__(self, other: float) -> Real:
        return self._wrap(self.builder.fdiv(self._operand(other), self.value))

    def __neg__(self) -> Real:
        return self._wrap(self.builder.fneg(self.value))

    def __abs__(self) -> Real:
        return self._wrap(_intrinsic(self.builder, "fabs", self.value))

    def _compare(self, relation: str, other: Real | float) -> Mask:
        return Mask(self.builder, self.builder.fcmp_ordered(relation, self.value, self._operand(other)))

    def __lt__(self, other: Real | float) -> Mask:
        return self._compare("<", other)

    def __le__(self, other: Real | float) -> Mask:
        return self._compare("<=", other)

    def __gt__(self, other: Real | float) -> Mask:
        return self._compare(">", other)

    def __ge__(self, other: Real | float) -> Mask:
        return self._compare(">=", other)

    def equals(self, other: Real | float) -> Mask:
        """Lane by lane equality (not ``==``, which Python expects to give one truth value)."""
        return self._compare("==", other)

    def is_nan(self) -> Mask:
        return Mask(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def bits(self) -> Whole:
        """The same bits, read as integers."""
        type_ = _like(self.value.type, self.format.integer)
        return Whole(self.builder, self.builder.bitcast(self.value, type_), self.format)

    def sqrt(self) -> Real:
        """Square root, correctly rounded (a native instruction everywhere)."""
        return self._wrap(_intrinsic(self.builder, "sqrt", self.value))

    def with_sign_of(self, other: Real) -> Real:
        return self._wrap(_intrinsic(self.builder, "copysign", self.value, other.value))

    def at_least(self, low: Real | float) -> Real:
        """max(x, low); NaN stays NaN."""
        return where(self < low, low, self)

    def at_most(self, high: Real | float) -> Real:
        """min(x, high); NaN stays NaN."""
        return where(self > high, high, self)

    def widen(self) -> Real:
        """float32 → float64, exact."""
        return self._wrap(self.builder.fpext(self.value, _like(self.value.type, FLOAT64.real)))

    def narrow(self) -> Real:
        """float64 → float32, rounded once."""
        return self._wrap(self.builder.fptrunc(self.value, _like(self.value.type, FLOAT32.real)))


def where(condition: Mask, yes: Real | float, no: Real | float) -> Real:
    """Lane by lane choice. At least one of ``yes`` and ``no`` must be lanes."""
    example = yes if isinstance(yes, Real) else no
    if not isinstance(example, Real):
        raise TypeError(f"where({yes}, {no}): one of the two choices must be lanes")
    builder = condition.builder
    return Real(builder, builder.select(condition.value, example._operand(yes), example._operand(no)))


def fma(a: Real | float, b: Real | float, c: Real | float) -> Real:
    """a·b + c, rounded once. At least one operand must be lanes."""
    example = next((v for v in (a, b, c) if isinstance(v, Real)), None)
    if example is None:
        raise TypeError(f"fma({a}, {b}, {c}): one of the operands must be lanes")
    operands = [example._operand(v) for v in (a, b, c)]
    return Real(example.builder, _intrinsic(example.builder, "fma", *operands))


def polynomial(x: Real, coefficients: Sequence[float]) -> Real:
    """c₀ + c₁x + c₂x² + …, by Horner's rule: the fewest instructions; neighbouring vectors fill its waiting times."""
    *rest, leading = coefficients
    result: Real = x.constant(leading)
    for c in reversed(rest):
        result = fma(result, x, c)
    return result


def two_sum(a: Real, b: Real | float) -> tuple[Real, Real]:
    """(s, e) with s = a + b rounded and s + e = a + b exactly (Knuth, TAOCP 2, §4.2.2)."""
    s = a + b
    b_part = s - a
    return s, (a - (s - b_part)) + (b - b_part)


def fast_two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """As :func:`two_sum`, for |a| ≥ |b| or a = 0 (Dekker 1971)."""
    s = a + b
    return s, b - (s - a)


def in_float64(function: Callable[..., Real]) -> Callable[..., Real]:
    """A float64 formula that serves float32 too: widened before, rounded once after."""

    @wraps(function)
    def emit(*operands: Real) -> Real:
        if operands[0].format is FLOAT32:
            return function(*[x.widen() for x in operands]).narrow()
        return function(*operands)

    return emit
