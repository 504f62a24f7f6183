"""All primitives, by family, and the meaning of NumPy's functions on traced values.

Importing this package fills the registry and the dispatch tables. At its foot the one cycle of the design is opened in
plain sight: operators and methods of a traced value need the primitives, the primitives need the traced value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.trace import Traced
from chainrule.primitives import einsum, elementwise, indexing, linalg, product, random, reduction, shape, special
from chainrule.primitives.elementwise import stop_gradient

__all__ = [
    "einsum",
    "elementwise",
    "indexing",
    "linalg",
    "product",
    "random",
    "reduction",
    "shape",
    "special",
    "stop_gradient",
]

_OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNARY = {"neg": np.negative, "abs": np.absolute, "invert": np.invert, "pos": np.positive}
_METHODS = {
    name: getattr(np, name)
    for name in (
        *("sum", "mean", "var", "std", "max", "min", "prod", "cumsum", "cumprod", "argmax", "argmin", "argsort"),
        *("any", "all", "ptp", "dot", "squeeze", "swapaxes", "ravel", "repeat", "take", "clip", "diagonal", "trace"),
        *("round", "nonzero", "copy", "astype"),
    )
}


def _attach() -> None:
    def operator(function: Any) -> Any:
        return lambda self, other: function(self, other) if _is_arraylike(other) else NotImplemented

    def reflected(function: Any) -> Any:
        return lambda self, other: function(other, self) if _is_arraylike(other) else NotImplemented

    for name, function in _OPERATORS.items():
        setattr(Traced, f"__{name}__", operator(function))
        setattr(Traced, f"__r{name}__", reflected(function))
    for name, function in _COMPARISONS.items():
        setattr(Traced, f"__{name}__", operator(function))
    for name, function in _UNARY.items():
        setattr(Traced, f"__{name}__", function_of_one(function))
    for name, function in _METHODS.items():
        setattr(Traced, name, function_of_one(function))
    Traced.__getitem__ = indexing.getitem  # type: ignore[attr-defined]
    Traced.__round__ = function_of_one(np.round)  # type: ignore[attr-defined]
    Traced.T = property(np.transpose)  # type: ignore[attr-defined]
    Traced.mT = property(np.matrix_transpose)  # type: ignore[attr-defined]
    Traced.real = property(lambda self: self)  # type: ignore[attr-defined]
    Traced.reshape = _reshape_method  # type: ignore[attr-defined]
    Traced.transpose = _transpose_method  # type: ignore[attr-defined]
    Traced.flatten = function_of_one(np.ravel)  # type: ignore[attr-defined]


def function_of_one(function: Any) -> Any:
    """A NumPy function as a method."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return method


def _is_arraylike(x: Any) -> bool:
    return isinstance(x, (Traced, np.ndarray, np.generic, int, float, bool, list, tuple))


def _reshape_method(self: Any, *sizes: Any, order: str = "C") -> Any:
    return np.reshape(self, sizes[0] if len(sizes) == 1 else sizes, order=order)  # type: ignore[call-overload]


def _transpose_method(self: Any, *axes: Any) -> Any:
    if not axes or axes == (None,):
        return np.transpose(self)
    return np.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes)


_attach()
