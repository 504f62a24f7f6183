"""A fitted model as C99 source that needs nothing but the standard library's ``math.h``.

Every node is a loop over its elements, one row at a time. What only moves data (reshape, transpose, slice, broadcast)
is no code at all: it is another way of counting through the same array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np

from chainrule.errors import GraphError
from chainrule.exchange.c_functions import EXPRESSIONS, HELPERS
from chainrule.exchange.predictor import Predictor
from chainrule.exchange.row_graph import where
from chainrule.graph.graph import Node
from chainrule.graph.types import ArrayType

_TYPES = {
    "float64": "double",
    "float32": "float",
    "bool": "bool",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
}


@dataclass(frozen=True)
class View:
    """How to count through an array: element i of the value is ``name[offset + Σ strides[k] * i[k]]``.

    Parameters
    ----------
    name : str
        Of the C array; of a single number that is known, the number itself.
    offset : int
    strides : tuple of int
    type : ArrayType
    """

    name: str
    offset: int
    strides: tuple[int, ...]
    type: ArrayType
    number: bool = False

    def at(self, indices: Sequence[str]) -> str:
        """The element at some indices, the last ones if the value has fewer axes; axes of length 1 broadcast."""
        if self.number:
            return self.name
        terms = [
            index if stride == 1 else f"{stride} * {index}"
            for index, stride, size in zip(
                indices[len(indices) - len(self.strides) :], self.strides, self.type.shape, strict=True
            )
            if size != 1 and stride and index != "0"
        ]
        if self.offset or not terms:
            terms.append(str(self.offset))
        return f"{self.name}[{' + '.join(terms)}]"


def whole(name: str, type_: ArrayType) -> View:
    """All of a row-major array."""
    return View(name, 0, _row_major(type_.shape), type_)


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple([prod(shape[k + 1 :]) for k in range(len(shape))])


def c_source(predictor: Predictor) -> str:
    """The source, with ``void predict(const double *row, double *out)`` and comments that say what these are.

    Raises
    ------
    GraphError
        Naming the node and the primitive that C does not express.
    """
    graph = predictor.rows.graph
    body = _Body()
    views: list[View] = []
    for position, node in enumerate(graph.nodes):
        given = [views[i] for i in node.inputs]
        if node.primitive.name == "input":
            views.append(whole("row", node.type))
        elif node.primitive.name == "constant":
            views.append(body.constant(node.params["value"]))
        else:
            try:
                views.append(body.value(f"v{position}", node, given))
            except GraphError as error:
                raise GraphError(f"{where(graph, position)}: {error}") from None
    places, first = [], 0
    for name, i in zip(predictor.outputs, graph.outputs, strict=True):
        node = graph.nodes[i]
        size, ending = prod(node.shape), f", row-major {node.shape[1:]}" if len(node.shape) > 2 else ""
        places.append(f"  out[{first}]" + (f" ... out[{first + size - 1}]" if size > 1 else "") + f"  {name}{ending}")
        body.copy(View("out", first, _row_major(node.shape), node.type), views[i])
        first += size
    notes = [*predictor.notes(), "predict() reads the columns from row and writes", *places]
    own = _OWN_MEMORY if body.bytes > _MOST_STACK else ""
    text = "\n".join("    " + line for line in body.lines).replace(_OWN, "OWN_MEMORY " if own else "")
    return _PAGE.format(
        notes="\n".join(f" * {line}".rstrip() for line in notes),
        own=own,
        n_columns=len(predictor.encodings),
        n_outputs=first,
        constants="\n".join(lines for name, lines in body.constants.items() if f"{name}[" in text),
        helpers="\n".join(HELPERS[name] for name in HELPERS if re.search(rf"\b{name}\(", text)),
        unused="" if "row[" in text else "    (void)row;\n",
        body=text,
    )


class _Body:
    """Lines of the function, and constants before it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bytes = 0  # of all arrays of the function
        self.constants: dict[str, str] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], View] = {}

    def constant(self, value: np.ndarray) -> View:
        """A constant array, written once; a single number stands where it is used."""
        type_ = ArrayType.of(value)
        if value.size == 1:
            return View(_number(value.ravel()[0]), 0, (0,) * value.ndim, type_, number=True)
        key = (value.dtype.name, value.shape, value.tobytes())
        if key not in self._known:
            name = f"c{len(self._known)}"
            self._known[key] = whole(name, type_)
            numbers = [_number(v) for v in value.ravel()] or ["0"]
            rows = ["    " + ", ".join(numbers[k : k + 6]) + "," for k in range(0, len(numbers), 6)]
            kind = _TYPES[value.dtype.name]
            self.constants[name] = "\n".join([f"static const {kind} {name}[{len(numbers)}] = {{", *rows, "};"])
        return self._known[key]

    def value(self, name: str, node: Node, given: Sequence[View]) -> View:
        """A node's value: another view, or a new array and the loop that fills it."""
        primitive = node.primitive.name
        if primitive in _VIEWS:
            view = _VIEWS[primitive](node, given[0])
            return view if view is not None else self._reshaped(name, node, given[0])
        result = whole(name, node.type)
        if primitive in EXPRESSIONS or primitive == "cast":
            self._declare(result)
            self._elementwise(result, node, given)
        elif primitive in _LOOPS:
            self._declare(result)
            _LOOPS[primitive](self, result, node, given)
        else:
            raise GraphError("has no translation into C")
        return result

    def copy(self, target: View, source: View) -> None:
        """Fill an array with a value."""
        with _Loops(self, target.type.shape) as i:
            self.line(f"{target.at(i)} = {source.at(i)};")

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    depth = 0

    def _declare(self, view: View) -> None:
        self.bytes += view.type.size * view.type.dtype.itemsize
        self.lines.append(f"{_OWN}{_TYPES[view.type.dtype.name]} {view.name}[{max(1, view.type.size)}];")

    def _reshaped(self, name: str, node: Node, x: View) -> View:
        """A row-major copy in another shape."""
        copied = whole(name, x.type)
        self._declare(copied)
        self.copy(copied, x)
        return whole(name, node.type)

    def _elementwise(self, result: View, node: Node, given: Sequence[View]) -> None:
        kind = _TYPES[node.dtype.name]
        with _Loops(self, node.shape) as i:
            parts = [x.at(i) for x in given]
            if node.primitive.name == "cast":
                text = f"({parts[0]} != 0)" if node.dtype == np.bool_ else f"({kind}){parts[0]}"
            else:
                rule = EXPRESSIONS[node.primitive.name]
                if rule.kinds and any(x.type.dtype.kind not in rule.kinds for x in given):
                    raise GraphError(f"of {given[0].type.dtype} has no translation into C")
                text = rule.text.format(*parts)
            self.line(f"{result.at(i)} = {text};")


class _Loops:
    """Nested loops over a shape: the indices inside, ``"0"`` for axes of length 1."""

    def __init__(self, body: _Body, shape: Sequence[int], letter: str = "i") -> None:
        self.body, self.shape, self.letter = body, shape, letter
        self.opened = 0

    def __enter__(self) -> list[str]:
        indices = []
        for k, size in enumerate(self.shape):
            if size == 1:
                indices.append("0")
                continue
            index = f"{self.letter}{k}"
            self.body.line(f"for (int {index} = 0; {index} < {size}; {index}++) {{")
            self.body.depth += 1
            self.opened += 1
            indices.append(index)
        return indices

    def __exit__(self, *exception: object) -> None:
        for _ in range(self.opened):
            self.body.depth -= 1
            self.body.line("}")


# -- views


def _transposed(node: Node, x: View) -> View:
    axes = node.params["axes"]
    return View(x.name, x.offset, tuple([x.strides[k] for k in axes]), node.type, x.number)


def _broadcast(node: Node, x: View) -> View:
    ahead = len(node.shape) - x.type.ndim
    own = [0 if size == 1 else stride for size, stride in zip(x.type.shape, x.strides, strict=True)]
    return View(x.name, x.offset, (*[0] * ahead, *own), node.type, x.number)


def _sliced(node: Node, x: View) -> View:
    window = node.params["window"]
    offset = x.offset + sum(start * stride for (start, _, _), stride in zip(window, x.strides, strict=True))
    strides = tuple([step * stride for (_, _, step), stride in zip(window, x.strides, strict=True)])
    return View(x.name, offset, strides, node.type, x.number)


def _flipped(node: Node, x: View) -> View:
    axes = {k % x.type.ndim for k in node.params["axis"]}
    offset = x.offset + sum((x.type.shape[k] - 1) * x.strides[k] for k in axes)
    return View(x.name, offset, tuple([-s if k in axes else s for k, s in enumerate(x.strides)]), node.type, x.number)


def _reshaped(node: Node, x: View) -> View | None:
    """Another shape of what lies row-major; else nothing."""
    lies = all(
        size == 1 or stride == full
        for size, stride, full in zip(x.type.shape, x.strides, _row_major(x.type.shape), strict=True)
    )
    return View(x.name, x.offset, _row_major(node.shape), node.type, x.number) if lies or x.number else None


_VIEWS: dict[str, Callable[[Node, View], View | None]] = {
    "identity": lambda node, x: x,
    "stop_gradient": lambda node, x: x,
    "transpose": _transposed,
    "broadcast_to": _broadcast,
    "slice": _sliced,
    "flip": _flipped,
    "reshape": _reshaped,
}


# -- loops


def _over(node: Node, x: View) -> tuple[list[int], bool]:
    """Axes a reduction goes over, and whether they stay, of length 1."""
    axis = node.params["axis"]
    axes = sorted({k % x.type.ndim for k in (axis if isinstance(axis, tuple) else (axis,))})
    return axes, len(node.shape) == x.type.ndim and bool(axes)


def _mixed(outer: Sequence[str], inner: Sequence[str], over: Sequence[int], keeps: bool, ndim: int) -> list[str]:
    """Indices of what is reduced, from those of the result and those along the axes that go."""
    left, along = iter([i for k, i in enumerate(outer) if not (keeps and k in over)]), iter(inner)
    return [next(along) if k in over else next(left) for k in range(ndim)]


def _reduce(start: str, step: str) -> Callable[[_Body, View, Node, Sequence[View]], None]:
    def loop(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
        (x,) = given
        over, keeps = _over(node, x)
        with _Loops(body, node.shape) as i:
            body.line(f"{_TYPES[node.dtype.name]} s = {start};")
            with _Loops(body, [x.type.shape[k] for k in over], "j") as j:
                element = x.at(_mixed(i, j, over, keeps, x.type.ndim))
                body.line(step.format(x=element))
            body.line(f"{result.at(i)} = s;")

    return _in_braces(loop)


def _in_braces(
    loop: Callable[[_Body, View, Node, Sequence[View]], None],
) -> Callable[[_Body, View, Node, Sequence[View]], None]:
    """A loop whose own variables are nobody else's."""

    def inside(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
        body.line("{")
        body.depth += 1
        loop(body, result, node, given)
        body.depth -= 1
        body.line("}")

    return inside


def _position(compare: str) -> Callable[[_Body, View, Node, Sequence[View]], None]:
    def loop(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
        (x,) = given
        over, _ = _over(node, x)
        with _Loops(body, node.shape) as i:
            first = x.at(_mixed(i, ["0"], over, False, x.type.ndim))
            body.line(f"{_TYPES[x.type.dtype.name]} s = {first};")
            body.line("int64_t at = 0;")
            with _Loops(body, [x.type.shape[k] for k in over], "j") as j:
                element = x.at(_mixed(i, j, over, False, x.type.ndim))
                body.line(f"if ({element} {compare} s) {{ s = {element}; at = {j[0]}; }}")
            body.line(f"{result.at(i)} = at;")

    return _in_braces(loop)


def _cumsum(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
    (x,) = given
    axis = node.params["axis"] % x.type.ndim
    others = [1 if k == axis else size for k, size in enumerate(node.shape)]
    with _Loops(body, others) as i:
        body.line(f"{_TYPES[node.dtype.name]} s = 0;")
        with _Loops(body, [node.shape[axis]], "j") as j:
            at = [j[0] if k == axis else index for k, index in enumerate(i)]
            body.line(f"s += {x.at(at)};")
            body.line(f"{result.at(at)} = s;")


def _matmul(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
    a, b = given
    batch = node.shape[: len(node.shape) - (a.type.ndim > 1) - (b.type.ndim > 1)]
    rows = node.shape[len(batch) : len(batch) + (a.type.ndim > 1)]
    columns = node.shape[len(batch) + len(rows) :]
    with _Loops(body, node.shape) as i:
        body.line(f"{result.at(i)} = 0;")
    with _Loops(body, (*batch, *rows)) as i, _Loops(body, a.type.shape[-1:], "k") as k, _Loops(body, columns, "j") as j:
        left = a.at([*i, *k])
        right = b.at([*i[: len(batch)], *k, *j])
        body.line(f"{result.at([*i, *j])} += {left} * {right};")


def _concatenate(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
    axis = node.params["axis"] % len(node.shape)
    sizes = [x.type.shape[axis] for x in given]
    for start, x in zip(accumulate(sizes, initial=0), given, strict=False):
        body.copy(View(result.name, start * result.strides[axis], result.strides, x.type), x)


def _pad(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
    (x,) = given
    with _Loops(body, node.shape) as i:
        body.line(f"{result.at(i)} = {_number(node.params['value'])};")
    offset = sum(before * stride for (before, _), stride in zip(node.params["width"], result.strides, strict=True))
    body.copy(View(result.name, offset, result.strides, x.type), x)


def _gather(body: _Body, result: View, node: Node, given: Sequence[View]) -> None:
    x, *indices = given
    axes = [k % x.type.ndim for k in node.params["axes"]]
    lead = len(node.shape) - (x.type.ndim - len(axes))
    with _Loops(body, node.shape) as i:
        places = {}
        for axis, index in zip(axes, indices, strict=True):
            place = index.at(i[:lead])
            places[axis] = f"place({place}, {x.type.shape[axis]})"
        rest: Iterator[str] = iter(i[lead:])
        at = [places[k] if k in places else next(rest) for k in range(x.type.ndim)]
        body.line(f"{result.at(i)} = {x.at(at)};")


_LOOPS: dict[str, Callable[[_Body, View, Node, Sequence[View]], None]] = {
    "sum": _reduce("0", "s += {x};"),
    "max": _reduce("-INFINITY", "s = {x} > s || {x} != {x} ? {x} : s;"),
    "min": _reduce("INFINITY", "s = {x} < s || {x} != {x} ? {x} : s;"),
    "any": _reduce("false", "s = s || {x} != 0;"),
    "all": _reduce("true", "s = s && {x} != 0;"),
    "argmax": _position(">"),
    "argmin": _position("<"),
    "cumsum": _in_braces(_cumsum),
    "matmul": _matmul,
    "concatenate": _concatenate,
    "pad": _pad,
    "gather": _gather,
}


def _number(value: object) -> str:
    """A number as C writes it, to the last bit."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return f"INT64_C({value})" if abs(int(value)) > 2**31 - 1 else f"({value})" if value < 0 else str(value)
    number = float(value)  # type: ignore[arg-type]  # every other value is a float
    if number != number:
        return "NAN"
    if number in (np.inf, -np.inf):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    return f"({number!r})" if np.signbit(number) else repr(number)


#: bytes of the function's arrays that fit any thread's stack; beyond, each thread has memory of its own for them
_MOST_STACK = 1 << 17
_OWN = "@own "  # before every array's type, until it is known how much memory all take
_OWN_MEMORY = """
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && !defined(__STDC_NO_THREADS__)
#define OWN_MEMORY static _Thread_local
#elif defined(__GNUC__)
#define OWN_MEMORY static __thread
#elif defined(_MSC_VER)
#define OWN_MEMORY static __declspec(thread)
#else
#define OWN_MEMORY static /* one call at a time */
#endif
"""

_PAGE = """/* A fitted model, written by chainrule export. It needs nothing but C99's standard library.
 *
{notes}
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
{own}
#define N_COLUMNS {n_columns}
#define N_OUTPUTS {n_outputs}

void predict(const double *row, double *out);

{constants}

{helpers}
void predict(const double *row, double *out)
{{
{unused}{body}
}}
"""
