"""Record plain NumPy code as a graph, through NumPy's own dispatch protocols.

A `Traced` value stands in for an array. NumPy hands every ufunc and function called on one to it (``__array_ufunc__``,
``__array_function__``), and the tables `UFUNCS` and `FUNCTIONS`, filled by ``chainrule.primitives``, say which
primitives to record. A traced value knows its shape and dtype, and its array too where everything it depends on is
known (*eager* tracing: Python's ``if`` works); recorded from shapes alone it has none.

There is one recorder at a time (per thread and context). Transformations nest by recording into the one that is
already active: the derivative of a graph is more nodes of the same graph, which is why derivatives of derivatives
need nothing more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import GraphError, TraceError
from chainrule.graph.graph import NO_PARAMS, Graph, Node, ancestors
from chainrule.graph.primitive import PRIMITIVES, NoDerivative, Primitive, Sample, register
from chainrule.graph.tree import TreeShape, flatten
from chainrule.graph.types import DTYPES, ArrayType

#: NumPy (or SciPy) ufunc -> function on traced values
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
#: (ufunc, method such as "reduce") -> function on traced values
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
#: NumPy function -> function on traced values
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}

_ACTIVE: ContextVar[Recorder | None] = ContextVar("chainrule_recorder", default=None)


def implements(*targets: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function on traced values as the meaning of NumPy functions."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for target in targets:
            FUNCTIONS[target] = function
        return function

    return enter


class Recorder:
    """A graph under construction: nodes, and their values where they are known."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.open = True
        self.depth = 0  # how many transformations are recording into it right now

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
                f"{primitive.name} was applied to a traced value after its trace ended; return values from the traced "
                "function instead of storing them outside"
            )
        self.nodes.append(Node(primitive, inputs, params, type, name))
        self.values.append(value)
        return Traced(self, len(self.nodes) - 1)

    def input(self, type: ArrayType, value: Any = None, name: str | None = None) -> Traced:
        """Append an input of the graph."""
        return self.add(INPUT, (), {"type": type}, type, value, name)

    def constant(self, value: Any, dtype: Any = None) -> Traced:
        """Append a constant."""
        array = np.array(value, dtype=dtype)  # a copy: a constant must not change when the user's array does
        if array.dtype.name not in DTYPES:
            if array.dtype == object:
                raise TraceError("an array of Python objects cannot be recorded; build it with np.stack([...]) instead")
            if array.dtype.kind in "iu":
                array = array.astype(np.int64)
            elif array.dtype == np.float16:
                array = array.astype(np.float32)
            else:
                raise TraceError(f"dtype {array.dtype} cannot be recorded; use one of {', '.join(DTYPES)}")
        array.setflags(write=False)
        return self.add(CONSTANT, (), {"value": array}, ArrayType.of(array), array)

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
            Node(n.primitive, tuple(place[i] for i in n.inputs), n.params, n.type, n.name)
            for n in (self.nodes[old] for old in needed)
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
    recorder.depth += 1
    try:
        yield recorder
    finally:
        _ACTIVE.reset(token)
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


def apply(primitive: Primitive, *inputs: Any, **params: Any) -> Any:
    """Apply a primitive: record it if an input is traced, else run its NumPy meaning."""
    recorder = next((x.recorder for x in inputs if isinstance(x, Traced)), None)
    if recorder is None:
        return primitive.numpy(*inputs, **params)
    lifted = [recorder.lift(x) for x in inputs]
    type = primitive.infer(*(x.type for x in lifted), **params)
    values = [recorder.values[x.index] for x in lifted]
    value = None
    if all(v is not None for v in values):
        value = primitive.numpy(*values, **params)
        if not isinstance(value, np.ndarray):
            value = np.asarray(value)
    return recorder.add(primitive, tuple(x.index for x in lifted), params or NO_PARAMS, type, value)


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
      v1 = exp(x)                                # float64[3]
      v2 = sum(v1, axis=(0,), keepdims=False)    # float64[]
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
        result = f(*tree.unflatten(inputs))
        outputs, output_tree = flatten(result)
        lifted = [recorder.lift(x) for x in outputs]
        return recorder.graph(inputs, lifted, tree, output_tree, name or function_name(f))


def as_recordable(value: Any, what: str = "argument") -> np.ndarray:
    """Convert to an array of a dtype graphs may hold.

    Raises
    ------
    TraceError
        For complex numbers, text and objects.
    """
    array = np.array(value)
    if array.dtype.name in DTYPES:
        return array
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    raise TraceError(f"{what} has dtype {array.dtype}, which cannot be recorded; use one of {', '.join(DTYPES)}")


def function_name(f: Callable[..., Any]) -> str:
    """A name fit for the head of a graph."""
    name = getattr(f, "__name__", "f")
    return name if name.isidentifier() else "f"


def argument_names(f: Callable[..., Any], tree: TreeShape) -> list[str]:
    """Names for the leaves of a call's arguments: the function's own parameter names where they can be had."""
    import inspect

    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for k, child in enumerate(tree.children):
        if k < len(parameters) and parameters[k].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            base = parameters[k].name
        else:
            base = f"x{k}"
        names += child.paths(base)
    return names


def label(x: Any, name: str) -> Any:
    """Give a traced value a name of its own in the graph; anything else is returned as it is."""
    if isinstance(x, Traced):
        x.recorder.nodes[x.index] = replace(x.recorder.nodes[x.index], name=name)
    return x


def inline(graph: Graph, *inputs: Traced) -> list[Traced]:
    """Record a graph's nodes again on traced inputs (flat lists)."""
    recorder = inputs[0].recorder
    values: dict[int, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for position, node in enumerate(graph.nodes):
        if position in values:
            continue
        if node.primitive is CONSTANT:
            values[position] = recorder.constant(node.params["value"])
        else:
            values[position] = apply(node.primitive, *(values[i] for i in node.inputs), **node.params)
    return [values[i] for i in graph.outputs]


class Traced:
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
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    def __repr__(self) -> str:
        known = "" if self.value is None else f", value={np.array2string(self.value, threshold=8, precision=6)}"
        return f"<traced {self.type}{known}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced scalar")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a traced scalar")
        return (self[k] for k in range(self.shape[0]))

    __hash__ = None  # type: ignore[assignment]  # == is element by element, as in NumPy

    # -- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise TraceError(f"np.{ufunc.__name__}(..., out=...) writes in place; use the returned value instead")
        if method == "__call__":
            rule = UFUNCS.get(ufunc)
        else:
            rule = UFUNC_METHODS.get((ufunc, method))
        if rule is None:
            dot = "" if method == "__call__" else f".{method}"
            raise TraceError(f"{_full_name(ufunc)}{dot} is not supported on traced values; {SUPPORTED}")
        kwargs.pop("out", None)
        return rule(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(func)
        if rule is None:
            raise TraceError(f"{_full_name(func)} is not supported on traced values; {SUPPORTED}")
        if kwargs.get("out") is not None:
            raise TraceError(f"{_full_name(func)}(..., out=...) writes in place; use the returned value instead")
        kwargs = {key: value for key, value in kwargs.items() if key != "out"}
        return rule(*args, **kwargs)

    # -- leaving the graph

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TraceError(
            "np.array / np.asarray (or an in-place write) of a traced value would leave the graph; "
            "build arrays with np.stack or np.concatenate, and read numbers with .value"
        )

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TraceError("in-place write into a traced value; use np.where, np.concatenate or np.stack instead")

    def _known(self, how: str) -> Any:
        if self.value is None:
            raise TraceError(
                f"{how} of a traced value needs its number, but only shapes are known here; "
                "use np.where for a choice, or trace with arrays instead of shapes"
            )
        return self.value

    def __bool__(self) -> bool:
        return bool(self._known("bool() (if, while, and, or, not)"))

    def __float__(self) -> float:
        number = float(self._known("float() (or a function of the math module)"))
        if self.type.is_float:
            warnings.warn(
                "float() of a traced value leaves the graph: whatever is computed from it counts as a constant; "
                "use NumPy functions to keep derivatives, or .value to read the number",
                stacklevel=2,
            )
        return number

    def __int__(self) -> int:
        return int(self._known("int()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"a traced {self.dtype} cannot be used as an index")
        return int(self._known("use as an index"))

    def item(self) -> Any:
        """The number of a traced scalar; leaves the graph."""
        return self._known("item()").item()

    def tolist(self) -> Any:
        """The numbers as nested lists; leaves the graph."""
        return self._known("tolist()").tolist()


SUPPORTED = "docs/numpy.md lists what is"


def _full_name(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    if isinstance(function, np.ufunc):
        module = "numpy" if hasattr(np, function.__name__) else "scipy.special"
    return f"{module.removesuffix('._core').replace('numpy', 'np')}.{getattr(function, '__name__', function)}"


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

__all__ = ["PRIMITIVES", "Recorder", "Traced", "apply", "implements", "inline", "recording", "trace"]
