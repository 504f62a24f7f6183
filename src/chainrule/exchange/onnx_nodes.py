"""Primitives in terms of ONNX operators: one table, and what has to be composed.

ONNX (opset 18) has float64 for all of these operators, but its widest used runtime lacks kernels for some, such as the
inverse hyperbolic functions. Those are composed of others by formulas that lose no digit (Higham 2002, "Accuracy and
Stability of Numerical Algorithms", section 1.14.1, for log1p and expm1); the error function and the inverse
trigonometric functions, for which there is no short one, are taken in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.graph import Node

#: operators' version
OPSET = 18


@dataclass
class Body:
    """Nodes and constants of an ONNX graph in the making.

    Attributes
    ----------
    nodes : list of (operator, inputs, output, attributes)
    constants : dict of str to array
    prefix : str
        What the names of nodes and constants begin with, and those of columns and outputs do not.
    """

    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    prefix: str = "/"

    @property
    def rows(self) -> str:
        """Name of an int64 vector that holds the number of rows."""
        return f"{self.prefix}rows"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; the name of its value."""
        name = f"{self.prefix}{len(self.nodes)}_{operator}"
        self.nodes.append((operator, list(inputs), name, attributes))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A constant's name."""
        array = np.asarray(value, dtype)
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants[name] = array
        return name

    def integers(self, values: Sequence[int]) -> str:
        """An int64 vector."""
        return self.constant(list(values), np.int64)

    def spread(self, value: str, shape: Sequence[int], axis: int) -> str:
        """What all rows share, of length 1 along the rows' axis, once per row."""
        parts = [self.integers([1] * axis), self.rows, self.integers([1] * (len(shape) - axis - 1))]
        return self.add("Expand", value, self.add("Concat", *parts, axis=0))


@dataclass(frozen=True)
class Step:
    """A node to translate: its inputs by name, its own types, and where rows lie."""

    body: Body
    node: Node
    inputs: tuple[str, ...]
    types: tuple[Any, ...]
    axes: tuple[int | None, ...]
    axis: int | None

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node."""
        return self.body.add(operator, *inputs, **attributes)

    def number(self, value: float) -> str:
        """A scalar constant of the operands' dtype."""
        return self.body.constant(value, self.types[0].dtype)


Rule = Callable[[Step], str]


def translate(step: Step) -> str:
    """Append the ONNX nodes of a node.

    Raises
    ------
    GraphError
        If the primitive has no translation, or not for these operands.
    """
    rule = NODES.get(step.node.primitive.name)
    if rule is None:
        raise GraphError("has no translation into ONNX operators")
    return rule(step)


def _direct(operator: str) -> Rule:
    return lambda s: s.op(operator, *s.inputs)


def _of_booleans(operator: str) -> Rule:
    def rule(s: Step) -> str:
        if any(t.dtype != np.bool_ for t in s.types):
            raise GraphError(f"of {s.types[0].dtype} has no translation into ONNX operators, only of booleans")
        return s.op(operator, *s.inputs)

    return rule


def _in_float32(operator: str) -> Rule:
    def rule(s: Step) -> str:
        if s.types[0].dtype == np.float32:
            return s.op(operator, *s.inputs)
        return s.op("Cast", s.op(operator, s.op("Cast", *s.inputs, to=np.float32)), to=s.types[0].dtype)

    return rule


# -- exponentials and logarithms; arguments are names of values


def _log1p(s: Step, x: str) -> str:
    one = s.number(1.0)
    u = s.op("Add", x, one)
    apart = s.op("Sub", u, one)
    none = s.op("Equal", apart, s.number(0.0))
    exact = s.op("Mul", s.op("Log", u), s.op("Div", x, s.op("Where", none, one, apart)))
    # of infinity the quotient is no number, and far out the correction is nothing
    far = s.op("Greater", x, s.number(1e10))
    return s.op("Where", none, x, s.op("Where", far, s.op("Log", u), exact))


def _expm1(s: Step, x: str) -> str:
    one, zero = s.number(1.0), s.number(0.0)
    near = s.op("Max", s.op("Min", x, s.number(0.5)), s.number(-1.0))
    u = s.op("Exp", near)
    apart = s.op("Sub", u, one)
    none = s.op("Equal", apart, zero)
    exact = s.op("Div", s.op("Mul", apart, near), s.op("Where", none, one, s.op("Log", u)))
    inside = s.op("Equal", x, near)
    return s.op("Where", inside, s.op("Where", none, x, exact), s.op("Sub", s.op("Exp", x), one))


def _softplus_of_minus(s: Step, distance: str) -> str:
    """log(1 + exp(-d)) of distances d >= 0."""
    return _log1p(s, s.op("Exp", s.op("Neg", distance)))


def _logaddexp(s: Step) -> str:
    x, y = s.inputs
    same = s.op("Equal", x, y)  # infinities among them
    apart = s.op("Where", same, s.number(0.0), s.op("Sub", x, y))
    return s.op("Add", s.op("Max", x, y), _softplus_of_minus(s, s.op("Abs", apart)))


def _log_expit(s: Step) -> str:
    (x,) = s.inputs
    return s.op("Sub", s.op("Min", x, s.number(0.0)), _softplus_of_minus(s, s.op("Abs", x)))


def _arcsinh(s: Step) -> str:
    (x,) = s.inputs
    one, size = s.number(1.0), s.op("Abs", x)
    far = s.op("Greater", size, s.number(1e8))
    near = s.op("Where", far, one, size)
    square = s.op("Mul", near, near)
    root = s.op("Sqrt", s.op("Add", square, one))
    inner = _log1p(s, s.op("Add", near, s.op("Div", square, s.op("Add", root, one))))
    outer = s.op("Add", s.op("Log", s.op("Where", far, size, one)), s.number(log(2.0)))
    return s.op("Mul", s.op("Sign", x), s.op("Where", far, outer, inner))


def _arccosh(s: Step) -> str:
    (x,) = s.inputs
    t = s.op("Sub", x, s.number(1.0))
    return _log1p(s, s.op("Add", t, s.op("Sqrt", s.op("Mul", t, s.op("Add", x, s.number(1.0))))))


def _arctanh(s: Step) -> str:
    (x,) = s.inputs
    ratio = s.op("Div", s.op("Add", x, x), s.op("Sub", s.number(1.0), x))
    return s.op("Mul", s.number(0.5), _log1p(s, ratio))


def _sinh(s: Step) -> str:
    (x,) = s.inputs
    t = _expm1(s, s.op("Abs", x))
    both = s.op("Add", t, s.op("Div", t, s.op("Add", t, s.number(1.0))))
    return s.op("Mul", s.op("Sign", x), s.op("Mul", s.number(0.5), both))


def _cosh(s: Step) -> str:
    both = s.op("Add", s.op("Exp", *s.inputs), s.op("Exp", s.op("Neg", *s.inputs)))
    return s.op("Mul", s.number(0.5), both)


def _scaled_log(base: float) -> Rule:
    return lambda s: s.op("Div", s.op("Log", *s.inputs), s.number(log(base)))


def _xlogy(s: Step, x: str, y: str) -> str:
    none = s.op("And", s.op("Equal", x, s.number(0.0)), s.op("Not", s.op("IsNaN", y)))
    return s.op("Where", none, s.number(0.0), s.op("Mul", x, s.op("Log", s.op("Where", none, s.number(1.0), y))))


def _logit(s: Step) -> str:
    (x,) = s.inputs
    return s.op("Sub", s.op("Log", x), _log1p(s, s.op("Neg", x)))


def _ndtr(s: Step) -> str:
    inner = s.op("Mul", *s.inputs, s.number(0.5**0.5))
    if s.types[0].dtype != np.float32:
        inner = s.op("Cast", s.op("Erf", s.op("Cast", inner, to=np.float32)), to=s.types[0].dtype)
    else:
        inner = s.op("Erf", inner)
    return s.op("Mul", s.number(0.5), s.op("Add", s.number(1.0), inner))


# -- arithmetic and choices


def _hypot(s: Step) -> str:
    a, b = (s.op("Abs", x) for x in s.inputs)
    large, small = s.op("Max", a, b), s.op("Min", a, b)
    unit = s.op("Where", s.op("Equal", large, s.number(0.0)), s.number(1.0), large)
    ratio = s.op("Div", small, unit)
    return s.op("Mul", large, s.op("Sqrt", s.op("Add", s.op("Mul", ratio, ratio), s.number(1.0))))


def _ignoring_nan(operator: str) -> Rule:
    def rule(s: Step) -> str:
        x, y = s.inputs
        other = s.op("Where", s.op("IsNaN", y), x, s.op(operator, x, y))
        return s.op("Where", s.op("IsNaN", x), y, other)

    return rule


def _equal(s: Step) -> str:
    return s.op("Equal", *s.inputs)


def _isfinite(s: Step) -> str:
    return s.op("Not", s.op("Or", s.op("IsNaN", *s.inputs), s.op("IsInf", *s.inputs)))


def _where(s: Step) -> str:
    if s.node.dtype == np.bool_:
        c, x, y = s.inputs
        return s.op("Or", s.op("And", c, x), s.op("And", s.op("Not", c), y))
    return s.op("Where", *s.inputs)


def _trunc(s: Step) -> str:
    return s.op("Mul", s.op("Sign", *s.inputs), s.op("Floor", s.op("Abs", *s.inputs)))


# -- reductions


def _reduce(operator: str) -> Rule:
    logical = _reduce_logical(operator)

    def rule(s: Step) -> str:
        if s.types[0].dtype == np.bool_:  # which these operators do not take
            return logical(s)
        axes = s.body.integers(s.node.params["axis"])
        return s.op(operator, *s.inputs, axes, keepdims=int(s.node.params["keepdims"]), noop_with_empty_axes=1)

    return rule


def _reduce_logical(operator: str) -> Rule:
    def rule(s: Step) -> str:
        numbers = s.op("Cast", s.op("Cast", *s.inputs, to=np.bool_), to=np.int32)
        axes = s.body.integers(s.node.params["axis"])
        keep = int(s.node.params["keepdims"])
        return s.op("Cast", s.op(operator, numbers, axes, keepdims=keep, noop_with_empty_axes=1), to=np.bool_)

    return rule


def _position(operator: str) -> Rule:
    return lambda s: s.op(operator, *s.inputs, axis=s.node.params["axis"], keepdims=0)


def _cumsum(s: Step) -> str:
    return s.op("CumSum", *s.inputs, s.body.constant(s.node.params["axis"], np.int64))


# -- shapes and places


def _open(shape: Sequence[int], axis: int | None, size: int) -> list[int]:
    """A shape with another size at the rows' axis."""
    return [size if k == axis else s for k, s in enumerate(shape)]


def _reshape(s: Step) -> str:
    if 0 in s.node.shape:
        raise GraphError("of an empty value has no translation into ONNX operators")
    return s.op("Reshape", *s.inputs, s.body.integers(_open(s.node.shape, s.axis, -1)))


def _broadcast_to(s: Step) -> str:
    return s.op("Expand", *s.inputs, s.body.integers(_open(s.node.shape, s.axis, 1)))


def _transpose(s: Step) -> str:
    perm = list(s.node.params["axes"])
    return s.op("Transpose", *s.inputs, perm=perm) if perm else s.op("Identity", *s.inputs)


def _slice(s: Step) -> str:
    chosen = [(k, *w) for k, w in enumerate(s.node.params["window"]) if k != s.axes[0]]
    if any(count == 0 for _, _, count, _ in chosen):
        chosen = [(k, 0, 0, 1) if count == 0 else (k, start, count, step) for k, start, count, step in chosen]
    starts = [start for _, start, _, _ in chosen]
    far = -(2**31)
    stops = [far if step < 0 and start + count * step < 0 else start + count * step for _, start, count, step in chosen]
    parts = [starts, stops, [k for k, *_ in chosen], [step for *_, step in chosen]]
    return s.op("Slice", *s.inputs, *map(s.body.integers, parts)) if chosen else s.op("Identity", *s.inputs)


def _flip(s: Step) -> str:
    axes = list(s.node.params["axis"])
    n = len(axes)
    return s.op("Slice", *s.inputs, *map(s.body.integers, ([-1] * n, [-(2**31)] * n, axes, [-1] * n)))


def _pad(s: Step) -> str:
    before, after = zip(*s.node.params["width"], strict=True)
    return s.op("Pad", *s.inputs, s.body.integers([*before, *after]), s.number(s.node.params["value"]))


def _concatenate(s: Step) -> str:
    parts = [
        name if axis is not None or s.axis is None else s.body.spread(name, t.shape, s.axis)
        for name, t, axis in zip(s.inputs, s.types, s.axes, strict=True)
    ]
    return s.op("Concat", *parts, axis=s.node.params["axis"])


def _gather(s: Step) -> str:
    (axis, *others) = s.node.params["axes"]
    if others:
        raise GraphError("by several index arrays has no translation into ONNX operators")
    x, indices = s.inputs
    axis %= s.types[0].ndim
    lead = s.types[1].ndim
    value = s.op("Gather", x, indices, axis=axis)
    front = list(range(axis, axis + lead))
    perm = front + [k for k in range(len(s.node.shape)) if k not in front]
    return value if perm == sorted(perm) else s.op("Transpose", value, perm=perm)


#: primitive -> its ONNX nodes
NODES: dict[str, Rule] = {
    "cast": lambda s: s.op("Cast", *s.inputs, to=s.node.dtype),
    "identity": _direct("Identity"),
    "stop_gradient": _direct("Identity"),
    "add": _direct("Add"),
    "subtract": _direct("Sub"),
    "multiply": _direct("Mul"),
    "divide": _direct("Div"),
    "negative": _direct("Neg"),
    "square": lambda s: s.op("Mul", *s.inputs, *s.inputs),
    "reciprocal": _direct("Reciprocal"),
    "sqrt": _direct("Sqrt"),
    "power": _direct("Pow"),
    "absolute": _direct("Abs"),
    "sign": _direct("Sign"),
    "hypot": _hypot,
    "exp": _direct("Exp"),
    "exp2": lambda s: s.op("Pow", s.number(2.0), *s.inputs),
    "expm1": lambda s: _expm1(s, *s.inputs),
    "log": _direct("Log"),
    "log2": _scaled_log(2.0),
    "log10": _scaled_log(10.0),
    "log1p": lambda s: _log1p(s, *s.inputs),
    "logaddexp": _logaddexp,
    "sin": _direct("Sin"),
    "cos": _direct("Cos"),
    "tan": lambda s: s.op("Div", s.op("Sin", *s.inputs), s.op("Cos", *s.inputs)),
    "arcsin": _in_float32("Asin"),
    "arccos": _in_float32("Acos"),
    "arctan": _in_float32("Atan"),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _direct("Tanh"),
    "arcsinh": _arcsinh,
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "floor": _direct("Floor"),
    "ceil": _direct("Ceil"),
    "rint": _direct("Round"),
    "trunc": _trunc,
    "equal": _equal,
    "not_equal": lambda s: s.op("Not", _equal(s)),
    "less": _direct("Less"),
    "less_equal": _direct("LessOrEqual"),
    "greater": _direct("Greater"),
    "greater_equal": _direct("GreaterOrEqual"),
    "isnan": _direct("IsNaN"),
    "isinf": _direct("IsInf"),
    "isfinite": _isfinite,
    "logical_and": _of_booleans("And"),
    "logical_or": _of_booleans("Or"),
    "logical_xor": _of_booleans("Xor"),
    "logical_not": _of_booleans("Not"),
    "bitwise_and": _of_booleans("And"),
    "bitwise_or": _of_booleans("Or"),
    "bitwise_xor": _of_booleans("Xor"),
    "invert": _of_booleans("Not"),
    "maximum": _direct("Max"),
    "minimum": _direct("Min"),
    "fmax": _ignoring_nan("Max"),
    "fmin": _ignoring_nan("Min"),
    "where": _where,
    "sum": _reduce("ReduceSum"),
    "max": _reduce("ReduceMax"),
    "min": _reduce("ReduceMin"),
    "any": _reduce_logical("ReduceMax"),
    "all": _reduce_logical("ReduceMin"),
    "argmax": _position("ArgMax"),
    "argmin": _position("ArgMin"),
    "cumsum": _cumsum,
    "expit": _direct("Sigmoid"),
    "logit": _logit,
    "log_expit": _log_expit,
    "erf": _in_float32("Erf"),
    "ndtr": _ndtr,
    "xlogy": lambda s: _xlogy(s, *s.inputs),
    "entr": lambda s: s.op("Neg", _xlogy(s, s.inputs[0], s.inputs[0])),
    "matmul": _direct("MatMul"),
    "reshape": _reshape,
    "broadcast_to": _broadcast_to,
    "transpose": _transpose,
    "slice": _slice,
    "flip": _flip,
    "pad": _pad,
    "concatenate": _concatenate,
    "gather": _gather,
}
