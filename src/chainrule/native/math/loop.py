"""Functions of :data:`VECTOR_MATH` as compiled loops over arrays, for tests and measurements."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from chainrule.errors import OptionError
from chainrule.native import code
from chainrule.native.math.registry import VECTOR_MATH, emit
from chainrule.native.runtime import Unit, compile_units
from chainrule.native.target import Target


def loop_module(names: Sequence[str], dtype: str, width: int) -> ir.Module:
    """A module with a function ``name(x, …, out, n)`` for each name; n is a multiple of ``width``.

    Width 1 computes with scalars, other widths with vectors.
    """
    module = ir.Module("vector_math")
    element = code.element_type(dtype)
    lanes = ir.VectorType(element, width) if width > 1 else element
    for name in names:
        arity = VECTOR_MATH[name].arity
        signature = ir.FunctionType(ir.VoidType(), [code.POINTER] * (arity + 1) + [code.INDEX])
        function = ir.Function(module, signature, name)
        *inputs, out, n = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        with code.loop(builder, 0, n, width) as i:
            alignment = np.dtype(dtype).itemsize
            values = [code.load(builder, code.address(builder, p, i, element), lanes, alignment) for p in inputs]
            result = emit(builder, name, *values)
            code.store(builder, result, code.address(builder, out, i, element), alignment)
        builder.ret_void()
    return module


class VectorLoops:
    """Compiled loops: ``VectorLoops(["exp"], "float32", 8)("exp", x)``.

    Parameters
    ----------
    names : sequence of str
        Keys of :data:`VECTOR_MATH`.
    dtype : str
        ``float32`` or ``float64``.
    width : int
        Lanes per vector; 1 computes with scalars.
    target : Target, optional
        Default: the host.
    """

    def __init__(self, names: Sequence[str], dtype: str, width: int, target: Target | None = None) -> None:
        unit = Unit(lambda: loop_module(names, dtype, width), name="vector math")
        executable = compile_units(unit, names, target=target)
        pointers = {name: [ctypes.c_void_p] * (VECTOR_MATH[name].arity + 1) for name in names}
        self._functions = {name: executable.function(name, None, *pointers[name], ctypes.c_int64) for name in names}
        self.dtype = np.dtype(dtype)
        self.width = width

    def __call__(self, name: str, *arrays: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Apply a function to arrays, shape (n,) each, n a multiple of the width; result in ``out`` if given.

        Raises
        ------
        OptionError
            If the lengths differ or are no multiple of the width.
        """
        inputs = [np.ascontiguousarray(a, self.dtype) for a in arrays]
        out = np.empty_like(inputs[0]) if out is None else out
        n = len(out)
        if n % self.width or any(a.shape != (n,) for a in inputs):
            shapes = [a.shape for a in inputs]
            raise OptionError(f"{name} of arrays {shapes}: expected one length, a multiple of {self.width}; pad them")
        self._functions[name](*[a.ctypes.data for a in inputs], out.ctypes.data, n)
        return out
