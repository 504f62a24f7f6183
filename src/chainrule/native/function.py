"""``cr.compile``: a plain NumPy function as native code, specialised for the shapes and dtypes it is called with."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import update_wrapper
from time import perf_counter
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.errors import CompileError, OptionError, TraceError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import Traced, argument_names, as_recordable, function_name, label, trace
from chainrule.graph.tree import TreeShape, flatten
from chainrule.graph.types import DTYPES, ArrayType
from chainrule.native.cache import shared_cache
from chainrule.native.fallback import warn_fallback
from chainrule.native.forks import late_imports

if TYPE_CHECKING:  # there may be no compiler on this platform
    from chainrule.native.report import ProgramReport
    from chainrule.native.target import Target

_REPORT_SECONDS = 0.05


class _Runs(Protocol):
    def run(self, *inputs: Any) -> list[np.ndarray]: ...


def compile(f: Callable[..., Any], *, target: Target | None = None) -> Compiled:
    """Make a native callable with the same meaning as f.

    The first call with new shapes, dtypes, or nesting of arguments records f from shapes alone and compiles it; later
    ones run at once. Arrays, NumPy scalars and Python floats are data. Everything else (integers, booleans, text,
    None) belongs to the program: another value is another program, and Python control flow may depend on it.

    Parameters
    ----------
    f : callable
        Plain NumPy code, as for `chainrule.grad`; ``compile(value_and_grad(f))`` works too, and so does
        ``grad(compile(f))``, which differentiates f as it is written.
    target : Target, optional
        Default: the host.

    Returns
    -------
    Compiled
        Call it like f.

    Raises
    ------
    TraceError
        When called, if f cannot be recorded from shapes: ``if`` on the value of an array, for instance.

    Notes
    -----
    What f takes from outside (globals, closures, the attributes of a method's object, random numbers) is read once,
    when f is recorded: make an argument of whatever may change. A Python float is a float32 number if all
    floating-point arrays among the arguments are float32, else float64.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> norm = cr.compile(lambda x: np.sqrt(np.sum(x * x)))
    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    >>> print(norm.report(np.ones(1000)))  # doctest: +SKIP
    """
    if not callable(f):
        raise OptionError(f"cr.compile takes a function, got {f!r}")
    return Compiled(f, target)


class Compiled:
    """A function that compiles itself for the arguments it is given. Made by `compile`; safe to share by threads."""

    def __init__(self, f: Callable[..., Any], target: Target | None) -> None:
        update_wrapper(self, f)
        self._f, self._target = f, target
        self._programs: dict[Any, tuple[_Runs, TreeShape]] = {}
        self._quick: dict[Any, tuple[_Runs, TreeShape]] = {}  # the same by `_signature`
        self._lock, self._process = threading.Lock(), os.getpid()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain: list[np.ndarray] = []
        signature = None if kwargs else _signature(args, plain)  # the usual case, and the fastest
        if signature is not None:
            found = self._quick.get(signature)
            if found is not None:
                return _results(found[0].run(*plain), found[1])
        leaves, tree = flatten((args, kwargs))
        if any(isinstance(leaf, Traced) for leaf in leaves):  # inside of what is being recorded
            return self._f(*args, **kwargs)
        data, key = self._sorted(leaves)
        try:
            found = self._programs.get((tree, key))
        except TypeError as error:
            raise TraceError(
                f"{function_name(self._f)}: an argument is neither an array nor hashable ({error}); "
                "of a data frame, give .to_numpy()"
            ) from None
        if found is None:
            with self._compiling():
                found = self._programs.get((tree, key)) or self._compile(leaves, tree, data, key)
                self._programs[tree, key] = found
        program, output_tree = found
        if signature is not None and all(a.dtype.name in DTYPES for a in plain):
            self._quick[signature] = found
        return _results(program.run(*data), output_tree)

    def _compiling(self) -> threading.Lock:
        """The lock of whoever compiles; another one in a forked process, where that thread does not exist."""
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        return self._lock

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method: the object belongs to the program, as all arguments that are not data."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """Travels as its function, or, a decorated one, by name; the code is made again, or found on disk."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(str(self.__module__))
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (_remade, (self._f, self._target))

    def program(self, *args: Any, **kwargs: Any) -> Any:
        """The compiled program that these arguments would run; ``print`` shows its stages."""
        self(*args, **kwargs)
        leaves, tree = flatten((args, kwargs))
        return self._programs[tree, self._sorted(leaves)[1]][0]

    def stages(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        """What each stage of the compiler makes of the function for these arguments, as text; from graph to LLVM code.

        Returns
        -------
        dict of str to str
            ``graph``, ``terms``, ``loops``, ``epilogues``, ``fused``, ``products``, ``memory``, ``llvm``, in order.
            Letters: ``v`` nodes of the graph, ``t`` terms that are left of them, ``b`` memory, ``i`` loops, ``r``
            registers inside one nest of loops, ``(i1 | i0)`` for each i1 over all i0. ``fold`` and ``scan`` reduce,
            ``bound`` checks an index, ``NN``, ``TN``, … say which operands of a product are stored transposed.

        Raises
        ------
        CompileError
            If native code cannot run here.
        """
        self._need_native_code()
        with late_imports():
            from chainrule.native.stages import stages

        return stages(self.program(*args, **kwargs))

    def report(self, *args: Any, **kwargs: Any) -> ProgramReport:
        """Operations, memory and measured time of every step for these arguments, beside the machine's measured peak.

        Runs the function for a twentieth of a second, natively, on one thread.

        Raises
        ------
        CompileError
            If native code cannot run here.
        """
        self._need_native_code()
        with late_imports():
            from chainrule.native.compile import compile_graph
            from chainrule.native.peak import peak

        leaves, _ = flatten((args, kwargs))
        data, _ = self._sorted(leaves)
        graph = self.program(*args, **kwargs).graph
        program = compile_graph(graph, self._target, shared_cache(), measured=True)
        start = perf_counter()
        while perf_counter() - start < _REPORT_SECONDS:
            program.run(*data)
        kinds = {a.dtype.name for a in data} & {"float32", "float64"}
        return replace(program.report(), peak=peak(min(kinds, default="float64")))

    def _need_native_code(self) -> None:
        reason = obstacle()
        if reason is not None:
            raise CompileError(f"{function_name(self._f)}: there is no native code to look at ({reason})")

    def _sorted(self, leaves: Sequence[Any]) -> tuple[list[np.ndarray], tuple[Any, ...]]:
        """The data among the leaves, and what the program depends on: their types, and the values of all others."""
        kinds = {leaf.dtype for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"}
        real = np.float32 if kinds == {np.dtype(np.float32)} else np.float64
        data: list[np.ndarray] = []
        key: list[Any] = []
        for leaf in leaves:
            if isinstance(leaf, float) and not isinstance(leaf, np.generic):
                leaf = real(leaf)
            if isinstance(leaf, (np.ndarray, np.generic)):
                array = as_recordable(leaf)
                data.append(array)
                key.append(ArrayType.of(array))
            else:
                key.append((type(leaf), leaf))
        return data, tuple(key)

    def _compile(
        self, leaves: Sequence[Any], tree: TreeShape, data: Sequence[np.ndarray], key: tuple[Any, ...]
    ) -> tuple[_Runs, TreeShape]:
        positional, named = tree.children
        names = argument_names(self._f, positional) + named.paths()
        kept = [name for name, k in zip(names, key, strict=True) if isinstance(k, ArrayType)]
        for name, leaf in zip(names, leaves, strict=True):
            if isinstance(leaf, (np.random.Generator, np.random.RandomState)):
                raise TraceError(
                    f"{function_name(self._f)}: {name} is a random generator, whose numbers would be drawn only "
                    "once; give the numbers"
                )

        def inner(*inputs: Any) -> Any:
            given = iter([label(x, name) for x, name in zip(inputs, kept, strict=True)])
            filled = [next(given) if isinstance(k, ArrayType) else leaf for leaf, k in zip(leaves, key, strict=True)]
            args, kwargs = tree.unflatten(filled)
            return self._f(*args, **kwargs)

        graph = trace(inner, *(ArrayType.of(a) for a in data), name=function_name(self._f))
        return executable(graph, self._target), graph.output_tree


def _remade(f: Callable[..., Any], target: Target | None) -> Compiled:
    return Compiled(f, target)


def executable(graph: Graph, target: Target | None = None) -> _Runs:
    """The graph compiled, or the graph itself, with a warning, where native code cannot run."""
    reason = obstacle()
    if reason is not None:
        warn_fallback(reason)
        return graph
    with late_imports():
        from chainrule.native.compile import compile_graph

    return compile_graph(graph, target, shared_cache())


def obstacle() -> str | None:
    """Why there is no native code, or None."""
    try:
        with late_imports():
            from chainrule.native.runtime import unavailable
    except ImportError as error:
        return str(error)
    return unavailable()


def _results(values: Sequence[np.ndarray], tree: TreeShape) -> Any:
    """What a program gives in the nesting of what the function gives; numbers are NumPy scalars."""
    results = [value if value.shape else value[()] for value in values]
    return results[0] if tree.kind is None else tree.unflatten(results)


def _signature(tree: Any, arrays: list[np.ndarray]) -> Any:
    """Nesting, shapes and dtypes of nothing but plain arrays, which are listed in the order of `flatten`; else None."""
    kind = type(tree)
    if kind is np.ndarray:
        arrays.append(tree)
        return tree.shape, tree.dtype
    if kind is tuple or kind is list:
        parts, keys = tree, None
    elif kind is dict and all(type(key) is str for key in tree):
        keys = tuple(sorted(tree))
        parts = [tree[key] for key in keys]
    else:
        return None
    below = []
    for part in parts:
        if type(part) is np.ndarray:
            arrays.append(part)
            below.append((part.shape, part.dtype))
            continue
        below.append(_signature(part, arrays))
        if below[-1] is None:
            return None
    return kind, keys, tuple(below)
