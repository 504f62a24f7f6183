"""Record plain NumPy code as a graph, through NumPy's own dispatch protocols.

A `Traced` value stands in for an array. It knows its shape and dtype, and its array too where everything it depends
on is known (*eager* tracing: Python's ``if`` works); recorded from shapes alone it has none.

There is one recorder at a time (per thread and context). Transformations nest by recording into the one that is
already active: the derivative of a graph is more nodes of the same graph, which is why derivatives of derivatives
need nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from inspect import Parameter, signature
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.graph import NO_PARAMS, Graph, Node, ancestors
from chainrule.graph.primitive import PRIMITIVES, NoDerivative, Primitive, Sample, register
from chainrule.graph.traced import FUNCTIONS, UFUNC_METHODS, UFUNCS, Traced, implements
from chainrule.graph.tree import TreeShape, flatten
from chainrule.graph.types import DTYPES, ArrayType

_ACTIVE: ContextVar[Recorder | None] = ContextVar("chainrule_recorder", default=None)


class Recorder:
    """A graph under construction: nodes, and their values where they are known."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.open = True
        self.depth = 0  # how many transformations are recording into it right now
        self.scope = ""  # of what is being recorded

    @property
    def nested(self) -> bool:
        """Whether the innermost transformation works inside another one's recording."""
        return self.depth > 1

    def add(
        self,
        primitive: Primitive,
        inputs: tuple[int, ...],
        params: Mapping[str, Any],
        type: ArrayType,
        value: Any,
        name: str | None = None,
    ) -> Traced:
        """Append a node."""
        if not self.open:
            raise TraceError(
                f"a traced value was used after its trace ended (in {primitive.name}); return values from the traced "
                "function instead of storing them outside"
            )
        self.nodes.append(Node(primitive, inputs, params, type, name, self.scope))
        self.values.append(value)
        return Traced(self, len(self.nodes) - 1)

    def input(self, type: ArrayType, value: Any = None, name: str | None = None) -> Traced:
        """Append an input of the graph."""
        return self.add(INPUT, (), {"type": type}, type, value, name)

    def constant(self, value: Any, dtype: Any = None) -> Traced:
        """Append a constant."""
        array = as_recordable(value, "a constant", dtype)  # a copy: it must not change when the user's array does
        array.setflags(write=False)
        return self.add(CONSTANT, (), {"value": array}, _type(array.shape, array.dtype), array)

    def lift(self, value: Any) -> Traced:
        """A traced value as it is, anything else as a constant."""
        if isinstance(value, Traced):
            if value.recorder is not self:
                raise TraceError(
                    "a traced value of another trace was used; return it from its own traced function instead of "
                    "storing it outside"
                )
            return value
        return self.constant(value)

    def graph(
        self,
        inputs: list[Traced],
        outputs: list[Traced],
        input_tree: TreeShape,
        output_tree: TreeShape,
        name: str = "graph",
    ) -> Graph:
        """The part of the recording that the outputs need, as an immutable graph."""
        ins = [t.index for t in inputs]
        needed = sorted(ancestors(self.nodes, [t.index for t in outputs]) | set(ins))
        place = {old: new for new, old in enumerate(needed)}
        nodes = tuple(
            replace(n, inputs=tuple([place[i] for i in n.inputs])) for n in (self.nodes[old] for old in needed)
        )
        return Graph(
            nodes,
            tuple(place[i] for i in ins),
            tuple(place[t.index] for t in outputs),
            input_tree,
            output_tree,
            name,
        )


@contextmanager
def recording() -> Iterator[Recorder]:
    """The active recorder, or a new one that is active inside the ``with``."""
    recorder = _ACTIVE.get() or Recorder()
    token = _ACTIVE.set(recorder)
    outer = recorder.scope
    recorder.depth += 1
    try:
        yield recorder
    finally:
        _ACTIVE.reset(token)
        recorder.scope = outer
        recorder.depth -= 1
        recorder.open = recorder.depth > 0


@contextmanager
def fresh_recording() -> Iterator[Recorder]:
    """A new recorder that is active inside the ``with``, whatever was active before."""
    token = _ACTIVE.set(None)
    try:
        with recording() as recorder:
            yield recorder
    finally:
        _ACTIVE.reset(token)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """What is recorded inside the ``with`` belongs to this part of the whole; parts nest.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> def f(x):
    ...     with scope("layer1"):
    ...         h = np.tanh(x)
    ...     return np.sum(h)
    >>> [node.scope for node in cr.trace(f, np.zeros(3)).nodes]
    ['', 'layer1', '']
    """
    recorder = _ACTIVE.get()
    if recorder is None:
        yield
        return
    outer = recorder.scope
    recorder.scope = join_scopes(outer, name)
    try:
        yield
    finally:
        recorder.scope = outer


def join_scopes(outer: str, inner: str) -> str:
    """The path of a scope inside another one; an empty one is none."""
    return f"{outer}/{inner}" if outer and inner else outer or inner


def apply(primitive: Primitive, *inputs: Any, **params: Any) -> Any:
    """Apply a primitive: record it if an input is traced, else run its NumPy meaning."""
    for x in inputs:
        if isinstance(x, Traced):
            recorder = x.recorder
            break
    else:
        return primitive.numpy(*inputs, **params)
    nodes, positions, values, known = recorder.nodes, [], [], True
    for x in inputs:
        i = x.index if isinstance(x, Traced) and x.recorder is recorder else recorder.lift(x).index
        positions.append(i)
        values.append(recorder.values[i])
        known = known and values[-1] is not None
    if not known:
        type = primitive.infer(*[nodes[i].type for i in positions], **params)
        return recorder.add(primitive, tuple(positions), params or NO_PARAMS, type, None)
    try:
        value = np.asarray(primitive.numpy(*values, **params))
    except (TypeError, ValueError, IndexError):
        primitive.infer(*[nodes[i].type for i in positions], **params)  # says what does not fit, if it knows
        raise
    return recorder.add(primitive, tuple(positions), params or NO_PARAMS, _type(value.shape, value.dtype), value)


@lru_cache(maxsize=4096)
def _type(shape: tuple[int, ...], dtype: np.dtype) -> ArrayType:
    return ArrayType(shape, dtype)


def trace(f: Callable[..., Any], *args: Any, name: str | None = None) -> Graph:
    """Record what ``f(*args)`` computes.

    Parameters
    ----------
    f : callable
        Plain NumPy code.
    *args
        Arrays, numbers or `ArrayType` leaves, in nested tuples, lists and dicts. With arrays the recording is
        eager: values are known while ``f`` runs, ``if`` follows them, and the graph holds the branch that was taken.
        With `ArrayType` leaves only shapes are known.
    name : str, optional
        Name of the graph; the function's by default.

    Returns
    -------
    Graph
        ``graph(*args)`` runs it.

    Raises
    ------
    TraceError
        If ``f`` does something that cannot be recorded.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(cr.trace(lambda x: np.sum(np.exp(x)), np.zeros(3), name="f"))
    f(x: float64[3]):
      v1 = exp(x)                              # float64[3]
      v2 = sum(v1, axis=(0,), keepdims=False)  # float64[]
      return v2
    """
    leaves, tree = flatten(args)
    names = argument_names(f, tree)
    with fresh_recording() as recorder:
        inputs = []
        for leaf, leaf_name in zip(leaves, names, strict=True):
            if isinstance(leaf, ArrayType):
                inputs.append(recorder.input(leaf, None, leaf_name))
            else:
                array = as_recordable(leaf, leaf_name)
                inputs.append(recorder.input(ArrayType.of(array), array, leaf_name))
        result = called(f, *tree.unflatten(inputs))
        outputs, output_tree = flatten(result)
        lifted = [recorder.lift(x) for x in outputs]
        return recorder.graph(inputs, lifted, tree, output_tree, name or function_name(f))


def called(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)`` with our words where NumPy hides them: when a traced value is written into an array."""
    try:
        return f(*args, **kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, TraceError):
            raise error.__cause__.with_traceback(error.__traceback__) from None  # with the user's line
        raise


_RECORDABLE = frozenset(DTYPES.values())


def as_recordable(value: Any, what: str = "argument", dtype: Any = None) -> np.ndarray:
    """Copy into an array of a dtype graphs may hold; other integers become int64, half precision single.

    Raises
    ------
    TraceError
        For complex numbers, text and objects, and for masked arrays.
    """
    if type(value) is not np.ndarray and isinstance(value, (np.ma.MaskedArray, np.matrix)):
        if isinstance(value, np.matrix):
            raise TraceError(f"{what} is an np.matrix, whose * is a matrix product; give np.asarray of it and write @")
        raise TraceError(f"{what} is a masked array, whose mask would be ignored; use .filled(...) or .compressed()")
    array = np.array(value, dtype=dtype, order="C")
    dtype = array.dtype
    if dtype in _RECORDABLE:
        return array
    if dtype.newbyteorder("=") in _RECORDABLE:
        return array.astype(dtype.newbyteorder("="))
    if dtype.kind in "iu":
        return array.astype(np.int64)
    if dtype == np.float16:
        return array.astype(np.float32)
    hint = "build it with np.stack([...])" if array.dtype == object else f"use one of {', '.join(DTYPES)}"
    raise TraceError(f"{what} has dtype {array.dtype}, which cannot be recorded; {hint}")


def function_name(f: Callable[..., Any]) -> str:
    """A name fit for the head of a graph."""
    name = getattr(f, "__name__", "f")
    return name if name.isidentifier() else "f"


def argument_names(f: Callable[..., Any], tree: TreeShape) -> list[str]:
    """Names for the leaves of a call's arguments: the function's own parameter names where they can be had."""
    parameters = _parameter_names(f)
    names: list[str] = []
    for k, child in enumerate(tree.children):
        names += child.paths(parameters[k] if k < len(parameters) else f"x{k}")
    return names


def _parameter_names(f: Callable[..., Any]) -> Sequence[str]:
    """Names of the parameters that take positional arguments."""
    if isinstance(f, FunctionType) and "__wrapped__" not in f.__dict__:  # quicker than a signature
        return f.__code__.co_varnames[: f.__code__.co_argcount]
    try:
        parameters = signature(f).parameters.values()
    except (TypeError, ValueError):  # written in C
        return ()
    return [p.name for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]


def label(x: Any, name: str) -> Any:
    """Give a traced value a name of its own in the graph; anything else is returned as it is."""
    if isinstance(x, Traced):
        x.recorder.nodes[x.index] = replace(x.recorder.nodes[x.index], name=name)
    return x


def inline(graph: Graph, *inputs: Any) -> list[Any]:
    """Record a graph's nodes again, names and scopes too, on flat inputs; without a traced one just run it."""
    recorder = next((x.recorder for x in inputs if isinstance(x, Traced)), None)
    if recorder is None:
        return graph.run(*(graph.as_input(k, x) for k, x in enumerate(inputs)))
    values: dict[int, Any] = dict(zip(graph.inputs, inputs, strict=True))
    outer = recorder.scope
    for position, node in enumerate(graph.nodes):
        if position in values:
            continue
        recorder.scope = join_scopes(outer, node.scope)
        if node.primitive is CONSTANT:
            values[position] = recorder.constant(node.params["value"])
        else:
            values[position] = apply(node.primitive, *(values[i] for i in node.inputs), **node.params)
        if node.name:
            label(values[position], node.name)
    recorder.scope = outer
    return [values[i] for i in graph.outputs]


def _no_samples(rng: np.random.Generator) -> Iterator[Sample]:
    return iter(())


def _run_input(**params: Any) -> NoReturn:
    raise GraphError("an input has no value of its own; give it one when calling the graph")


#: a value that comes from outside
INPUT = register(
    Primitive(
        name="input",
        family="source",
        formula="input",
        infer=lambda type: type,
        numpy=_run_input,
        reverse=NoDerivative("it has no inputs"),
        forward=NoDerivative("it has no inputs"),
        lowering="source",
        samples=_no_samples,
    )
)
#: a value known when the graph was recorded
CONSTANT = register(
    Primitive(
        name="constant",
        family="source",
        formula="{value}",
        infer=lambda value: ArrayType.of(value),
        numpy=lambda value: value,
        reverse=NoDerivative("it has no inputs"),
        forward=NoDerivative("it has no inputs"),
        lowering="source",
        samples=_no_samples,
    )
)

__all__ = [
    "CONSTANT",
    "FUNCTIONS",
    "INPUT",
    "PRIMITIVES",
    "UFUNCS",
    "UFUNC_METHODS",
    "Recorder",
    "Traced",
    "apply",
    "argument_names",
    "as_recordable",
    "implements",
    "inline",
    "label",
    "recording",
    "scope",
    "trace",
]
