"""The value that stands in for an array while a function is recorded, and the tables of what may be done with it.

NumPy hands every ufunc and function called on a `Traced` value to it (``__array_ufunc__``, ``__array_function__``).
The tables `UFUNCS`, `UFUNC_METHODS` and `FUNCTIONS`, filled by ``chainrule.primitives``, say what each of them means.
Operators and methods are written as the NumPy functions they are, so that they take the same way.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.errors import TraceError
from chainrule.graph.types import ArrayType

if TYPE_CHECKING:
    from chainrule.graph.graph import Node
    from chainrule.graph.trace import Recorder

#: NumPy or SciPy ufunc -> function on traced values
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
#: (ufunc, method such as "reduce") -> function on traced values
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
#: NumPy function -> function on traced values; it need not have the options that make no sense in a graph
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
#: NumPy function that can never work on a traced value -> what to do instead
REFUSED: dict[Callable[..., Any], str] = {}


def implements(*targets: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function on traced values as the meaning of NumPy functions."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for target in targets:
            FUNCTIONS[target] = function
        return function

    return enter


# -- operators and methods of a traced value, made from the NumPy functions they are


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"Like ``np.{function.__name__}`` of this value."
    return method


def _augmented(ufunc: np.ufunc, sign: str) -> Callable[..., Any]:
    def method(self: Traced, other: Any) -> Any:
        if self.shape:  # arrays change in place, which others would see; numbers are replaced
            raise TraceError(f"x {sign}= y writes in place into a traced array; write x = x {sign} y instead")
        return ufunc(self, other)

    return method


def _writing(name: str) -> Callable[..., NoReturn]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> NoReturn:
        raise TraceError(f"x.{name}(...) writes in place into a traced value; use a function that returns a new one")

    return method


class Traced(NDArrayOperatorsMixin):
    """Stands in for an array while a function is recorded.

    Behaves like a NumPy array: operators, methods, indexing, and every NumPy function chainrule supports.
    ``.value`` is the array itself where it is known, else ``None``.
    """

    __slots__ = ("index", "recorder")

    def __init__(self, recorder: Recorder, index: int) -> None:
        self.recorder = recorder
        self.index = index

    # -- what it is

    @property
    def node(self) -> Node:
        return self.recorder.nodes[self.index]

    @property
    def type(self) -> ArrayType:
        return self.recorder.nodes[self.index].type

    @property
    def value(self) -> Any:
        return self.recorder.values[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recorder.nodes[self.index].type.shape

    @property
    def dtype(self) -> np.dtype:
        return self.recorder.nodes[self.index].type.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.type.size

    def __repr__(self) -> str:
        known = "" if self.value is None else f", value={np.array2string(self.value, threshold=8, precision=6)}"
        return f"<traced {self.type}{known}>"

    def __format__(self, spec: str) -> str:
        return format(self.value[()], spec) if spec and self.value is not None else repr(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced scalar")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a traced scalar")
        return (self[k] for k in range(self.shape[0]))

    def __copy__(self) -> Traced:
        return self  # a traced value never changes

    def __deepcopy__(self, memo: Any) -> Traced:
        return self

    __hash__ = None  # type: ignore[assignment]  # == is element by element, as in NumPy

    # -- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        rule = UFUNCS.get(ufunc) if method == "__call__" else UFUNC_METHODS.get((ufunc, method))
        if rule is None or options:
            name = full_name(ufunc) if method == "__call__" else f"{full_name(ufunc)}.{method}"
            if rule is None:
                raise TraceError(f"{name} is not supported on traced values; {SUPPORTED}")
            if options.pop("out", None) is not None:
                raise TraceError(f"{name}(out=...) writes in place; use the returned value instead")
            if method == "__call__":
                _refuse(name, {k: v for k, v in options.items() if not _is_default(v, _UFUNC_DEFAULTS.get(k))})
                options = {}
        return rule(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(function)
        if rule is None:
            advice = REFUSED.get(function, SUPPORTED)
            raise TraceError(f"{full_name(function)} is not supported on traced values; {advice}")
        leading, names = _known_arguments(function)
        if len(args) > leading or (names is not None and not names.issuperset(kwargs)):
            args, kwargs = _without_defaults(function, leading, names, args, kwargs)
        return rule(*args, **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TraceError(
            "np.array / np.asarray of a traced value (or writing it into an array, or indexing an array with it) would "
            "leave the graph; use np.stack, np.concatenate or np.take_along_axis, and .value to read numbers"
        )

    # -- indexing

    def __getitem__(self, key: Any) -> Any:
        return FUNCTIONS[operator.getitem](self, key)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TraceError("x[...] = y writes in place into a traced value; use np.where, np.concatenate or np.stack")

    # -- leaving the graph

    def _known(self, how: str) -> Any:
        if self.value is None:
            raise TraceError(
                f"{how} of a traced value needs its number, but only shapes are known here; "
                "use np.where for a choice (if may depend on shapes, and on arguments that are Python ints)"
            )
        return self.value

    def __bool__(self) -> bool:
        return bool(self._known("bool() (if, while, and, or, not)"))

    def _leaves(self, how: str) -> Any:
        """The number, where nothing is lost with it: real numbers would be constants to whatever is made of them."""
        number = self._known(how)
        if self.type.is_float:
            raise TraceError(
                f"{how} of a traced value leaves the graph, and its derivative is lost; use NumPy's functions (np.sin "
                "for math.sin, np.stack to put values together), or x.value for its number as a constant"
            )
        return number

    def __float__(self) -> float:
        return float(self._leaves("float() (or a function of the math module, or writing into an array)"))

    def __complex__(self) -> NoReturn:
        raise TraceError("complex() of a traced value: complex numbers cannot be recorded; keep to real ones")

    def __int__(self) -> int:
        return int(self._known("int()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"a traced {self.dtype} cannot be used as an index")
        return int(self._known("use as an index"))

    def item(self) -> Any:
        """The number of a traced scalar that is not real; see `value`."""
        return self._leaves("item()").item()

    def tolist(self) -> Any:
        """The numbers as nested lists, where they are not real; see `value`."""
        return self._leaves("tolist()").tolist()

    # -- operators that assign

    __iadd__ = _augmented(np.add, "+")
    __isub__ = _augmented(np.subtract, "-")
    __imul__ = _augmented(np.multiply, "*")
    __itruediv__ = _augmented(np.true_divide, "/")
    __ifloordiv__ = _augmented(np.floor_divide, "//")
    __imod__ = _augmented(np.remainder, "%")
    __ipow__ = _augmented(np.power, "**")
    __imatmul__ = _augmented(np.matmul, "@")
    __iand__ = _augmented(np.bitwise_and, "&")
    __ior__ = _augmented(np.bitwise_or, "|")
    __ixor__ = _augmented(np.bitwise_xor, "^")

    # -- methods

    all = _method(np.all)
    any = _method(np.any)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    argsort = _method(np.argsort)
    clip = _method(np.clip)
    conj = conjugate = _method(np.conjugate)
    copy = _method(np.copy)
    cumprod = _method(np.cumprod)
    cumsum = _method(np.cumsum)
    diagonal = _method(np.diagonal)
    dot = _method(np.dot)
    flatten = _method(np.ravel)
    max = _method(np.max)
    mean = _method(np.mean)
    min = _method(np.min)
    nonzero = _method(np.nonzero)
    prod = _method(np.prod)
    ravel = _method(np.ravel)
    repeat = _method(np.repeat)
    round = __round__ = _method(np.round)
    squeeze = _method(np.squeeze)
    std = _method(np.std)
    sum = _method(np.sum)
    swapaxes = _method(np.swapaxes)
    take = _method(np.take)
    trace = _method(np.trace)
    var = _method(np.var)
    fill, partition, put, resize, sort = map(_writing, ("fill", "partition", "put", "resize", "sort"))

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """Like the method of arrays: this value in another dtype."""
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"cannot cast {self.type} to {np.dtype(dtype)} according to the rule {casting!r}")
        return FUNCTIONS[np.astype](self, dtype)

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        """Like ``np.compress`` of this value."""
        return np.compress(condition, self, axis=axis)

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """Like ``np.reshape`` of this value; the sizes may be given one by one."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def searchsorted(self, v: Any, side: Any = "left") -> Any:
        """Like ``np.searchsorted`` in this value."""
        return np.searchsorted(self, v, side=side)

    def transpose(self, *axes: Any) -> Any:
        """Like ``np.transpose`` of this value; the axes may be given one by one."""
        if not axes or axes == (None,):
            return np.transpose(self)
        return np.transpose(self, axes[0] if isinstance(axes[0], (tuple, list)) else axes)

    @property
    def T(self) -> Any:
        """Its axes in reverse order."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """Its last two axes exchanged."""
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """Itself: traced values are real."""
        return self

    @property
    def imag(self) -> np.ndarray:
        """Zeros: traced values are real."""
        return np.zeros(self.shape, self.dtype)


# -- options that NumPy's functions have and a graph has not

SUPPORTED = "docs/numpy.md lists what is"
_UFUNC_DEFAULTS = {"where": True, "casting": "same_kind", "order": "K", "subok": True}


def full_name(function: Any) -> str:
    """How a user writes a NumPy or SciPy function: ``np.linalg.svd``."""
    name = getattr(function, "__name__", str(function))
    if isinstance(function, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is function else f"scipy.special.{name}"
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np")
    return ".".join([*(part for part in module.split(".") if not part.startswith("_")), name])


@cache
def _known_arguments(function: Any) -> tuple[float, frozenset[str] | None]:
    """How many leading arguments the meaning of a NumPy function takes in NumPy's places, and which keywords (all?)."""
    ours = list(inspect.signature(FUNCTIONS[function]).parameters.values())
    theirs = _numpy_parameters(function)
    leading: float = 0
    for mine, other in zip(ours, theirs or ours, strict=False):
        if mine.kind is mine.VAR_POSITIONAL:
            leading = float("inf")
        if mine.kind not in (mine.POSITIONAL_ONLY, mine.POSITIONAL_OR_KEYWORD):
            break
        if mine.name != other.name and other.kind is not other.POSITIONAL_ONLY:
            break
        leading += 1
    if any(mine.kind is mine.VAR_KEYWORD for mine in ours):
        return leading, None
    return leading, frozenset(p.name for p in ours if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def _numpy_parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # written in C, without a signature in this version
        return []


def _without_defaults(
    function: Any, leading: float, names: frozenset[str] | None, args: Any, kwargs: Any
) -> tuple[list[Any], dict[str, Any]]:
    """Take away options that have NumPy's default, give the others their names, refuse those without a meaning."""
    theirs = _numpy_parameters(function)
    places = [p for p in theirs if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    first = int(min(leading, len(args)))
    if len(args) > max(len(places), first):
        raise TypeError(f"{full_name(function)} takes {len(places)} positional arguments, got {len(args)}")
    options = {p.name: value for p, value in zip(places[first:], args[first:], strict=False)} | kwargs
    defaults = {p.name: p.default for p in theirs}
    unknown = {}
    for name, value in list(options.items()):
        if value is np._NoValue:
            del options[name]
        elif names is not None and name not in names:
            del options[name]
            if not _is_default(value, defaults.get(name)):
                unknown[name] = value
    _refuse(full_name(function), unknown)
    return list(args[:first]), options


def _is_default(value: Any, default: Any) -> bool:
    return value is None or (type(value) is type(default) and isinstance(value, (bool, int, str)) and value == default)


def _refuse(name: str, options: dict[str, Any]) -> None:
    for option in options:
        if option == "out":
            raise TraceError(f"{name}(out=...) writes in place; use the returned value instead")
        raise TraceError(f"{name}({option}=...) is not supported on traced values; leave it out")
