"""Conversion: operands as NumPy converts them (NEP 50), and the primitives that leave values as they are."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import CONSTANT, Traced, apply, implements
from chainrule.graph.traced import full_name
from chainrule.graph.types import DTYPES, ArrayType

RECORDABLE = frozenset(DTYPES.values())
BOOL, INT64, UINT64, FLOAT64 = map(np.dtype, ("bool", "int64", "uint64", "float64"))


# -- the dtypes operands are converted to


def kind_of(x: Any) -> Any:
    """What decides the dtype of a result: a dtype, or ``int`` or ``float`` for a Python number, which is weak."""
    if isinstance(x, (Traced, np.ndarray)):
        return x.dtype
    kind = type(x)
    return kind if kind is int or kind is float else np.asarray(x).dtype


@cache
def _operand_dtypes(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> tuple[np.dtype, ...]:
    if all(kind is int or kind is float for kind in kinds):  # by identity: a dtype equals its Python type
        kinds = tuple(INT64 if kind is int else FLOAT64 for kind in kinds)
    try:
        resolved = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
    except TypeError:
        resolved = ()
    if resolved and resolved[-1] == BOOL and resolved[0].kind in "iu" and resolved[0] not in RECORDABLE:
        resolved = (*(INT64,) * ufunc.nin, BOOL)  # comparisons of small integers are as good in large ones
    if not resolved or not RECORDABLE.issuperset(resolved):
        given = " and ".join(kind.__name__ if isinstance(kind, type) else str(kind) for kind in kinds)
        why = f"works in {resolved[0]}, which cannot be recorded" if resolved else "is not defined"
        hint = " (x.value is None where only shapes are known, as in cr.compile)" if "object" in given else ""
        raise TraceError(f"{full_name(ufunc)} of {given} {why}; convert with .astype(float) first{hint}")
    inputs = resolved[: ufunc.nin]
    return inputs if len(set(inputs)) == 1 else (np.result_type(*inputs),) * len(inputs)


def operand_dtypes(ufunc: np.ufunc, operands: tuple[Any, ...]) -> tuple[np.dtype, ...]:
    """The dtypes a ufunc converts its operands to, Python numbers being weak (NEP 50).

    Raises
    ------
    TraceError
        If NumPy defines no such operation, or would work in a dtype that graphs do not hold.
    """
    return _operand_dtypes(ufunc, tuple([kind_of(x) for x in operands]))


@cache
def loop_dtype(ufunc: np.ufunc, given: tuple[np.dtype, ...]) -> np.dtype:
    """The dtype of a ufunc's result for operands of exactly these dtypes, which must all be equal."""
    try:
        *inputs, output = ufunc.resolve_dtypes((*given, None))
    except TypeError:
        inputs = []
    if tuple(inputs) != given or len(set(given)) > 1:
        raise GraphError(f"{ufunc.__name__}: there is none for operands of dtype {' and '.join(map(str, given))}")
    return np.dtype(output)


def result_dtype(*operands: Any) -> np.dtype:
    """The dtype of operands taken together, Python numbers being weak (NEP 50)."""
    kinds = [kind_of(x) for x in operands]
    return np.result_type(*[kind(0) if kind is int or kind is float else kind for kind in kinds])


# -- conversion


def convert(x: Any, dtype: np.dtype) -> Any:
    """Convert an operand: traced values by a recorded cast, constants at once.

    Raises
    ------
    TraceError
        If graphs do not hold the dtype.
    """
    if isinstance(x, Traced):
        if x.dtype == dtype:
            return x
        if dtype not in RECORDABLE:
            raise TraceError(f"{x.type} cannot be converted to {dtype}, which cannot be recorded; use one of {_NAMES}")
        return apply(CAST, x, dtype=dtype.name)
    return np.asarray(x, dtype=dtype)


_NAMES = ", ".join(DTYPES)


def as_array(x: Any) -> Any:
    """A traced value as it is, anything else as an array."""
    return x if isinstance(x, Traced) else np.asarray(x)


def as_float(x: Any) -> Any:
    """A floating-point value as it is, any other as float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else convert(x, FLOAT64)


def constant_number(x: Any) -> float | None:
    """The number of a recorded constant scalar, ``None`` for everything else."""
    return x.value.item() if x.shape == () and x.node.primitive is CONSTANT else None


def _cast_infer(x: ArrayType, dtype: str) -> ArrayType:
    if dtype not in DTYPES:
        raise GraphError(f"cast: dtype {dtype!r} cannot be recorded; use one of {_NAMES}")
    return ArrayType(x.shape, DTYPES[dtype])


def _cast_forward(tangents: Any, out: Any, x: Any, *, dtype: str) -> Any:
    return None if tangents[0] is None or not out.type.is_float else convert(tangents[0], out.dtype)


CAST: Primitive = register(
    Primitive(
        name="cast",
        family="elementwise",
        formula="{dtype}({0})",
        infer=_cast_infer,
        numpy=lambda x, dtype: np.asarray(x).astype(dtype),
        reverse=lambda i, g, out, x, *, dtype: convert(g, x.dtype),
        forward=_cast_forward,
        lowering="elementwise",
        samples=lambda rng: iter(
            [
                Sample((rng.normal(size=(2, 3)),), {"dtype": "float64"}),
                Sample((rng.normal(size=3) * 5,), {"dtype": "int64"}, smooth=False),
            ]
        ),
    )
)


def _pass_on(name: str, formula: str, reverse: Any, forward: Any, smooth: bool) -> Primitive:
    return register(
        Primitive(
            name=name,
            family="elementwise",
            formula=formula,
            infer=lambda x: x,
            numpy=lambda x: x,
            reverse=reverse,
            forward=forward,
            lowering="elementwise",
            samples=lambda rng: iter([Sample((rng.normal(size=(2, 3)),), smooth=smooth)]),
        )
    )


#: a node of its own for a value: differentiation starts from it
IDENTITY = _pass_on("identity", "{0}", lambda i, g, out, x: g, lambda tangents, out, x: tangents[0], True)
#: the value, with derivative zero
STOP_GRADIENT = _pass_on("stop_gradient", "stop_gradient({0})", zero_reverse, zero_forward, False)


def stop_gradient(x: Any) -> Any:
    """The value itself, with derivative zero: whatever is computed from it counts as a constant."""
    return apply(STOP_GRADIENT, x)


# -- NumPy's functions


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    """Conversion to a dtype that graphs hold; to integers and booleans it has no derivative."""
    return convert(x, np.dtype(dtype))


@implements(np.copy)
def copy(a: Any, order: str = "K") -> Any:
    """The value itself: traced values never change."""
    return a


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """False: traced values are real."""
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """True: traced values are real."""
    return True


@implements(np.real)
def real(val: Any) -> Any:
    """The value itself: traced values are real."""
    return val


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """The value itself: traced values are real."""
    return a


@implements(np.imag)
def imag(val: Any) -> np.ndarray:
    """Zeros: traced values are real."""
    return np.zeros(val.shape, val.dtype)


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of the operands taken together."""
    return np.result_type(*(x.dtype if isinstance(x, Traced) else x for x in arrays_and_dtypes))
