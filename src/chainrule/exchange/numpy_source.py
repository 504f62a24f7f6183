"""A fitted model as one Python file that needs NumPy alone: every value of the graph is a line one can read."""

from __future__ import annotations

import base64
import io
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.exchange.predictor import Predictor
from chainrule.exchange.row_graph import where
from chainrule.graph.graph import Node
from chainrule.tables import Boolean, Categorical
from chainrule.tables.cells import TRUTH


def python_source(predictor: Predictor) -> str:
    """The source of a module with ``predict(columns) -> dict of arrays``.

    Raises
    ------
    GraphError
        Naming the node and the primitive that NumPy does not express.
    """
    graph, axes = predictor.rows.graph, predictor.rows.axes
    names: list[str] = []
    lines: list[str] = []
    arrays: dict[str, np.ndarray] = {}
    used: set[str] = set()
    scope = ""
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "input":
            names.append("x")
        elif node.primitive.name == "constant":
            names.append(_constant(node.params["value"], arrays))
        else:
            at = [axes[i] for i in node.inputs]
            given = [names[i] for i in node.inputs]
            try:
                text = _expression(node, given, [graph.nodes[i] for i in node.inputs], at, axes[position])
            except GraphError as error:
                raise GraphError(f"{where(graph, position)}: {error}") from None
            used |= {name for name in HELPERS if re.search(rf"\b{name}\(", text)}
            if node.scope and node.scope != scope:
                scope = node.scope
                lines.append(f"# {scope}")
            names.append(f"v{position}")
            lines.append(f"v{position} = {text}")
    results = []
    for name, i in zip(predictor.outputs, graph.outputs, strict=True):
        value = names[i] if axes[i] is not None else _spread(names[i], graph.nodes[i], 0)
        results.append(f"{name!r}: {value},")
    return _PAGE.format(
        notes="\n".join(f"# {line}".rstrip() for line in predictor.notes()),
        imports="import math\n" if any("math." in HELPERS[name] for name in used) else "",
        columns="\n".join(f"    ({_literal(e.name)}, {_categories(e)})," for e in predictor.encodings),
        arrays=_embedded(arrays),
        helpers="".join(f"\n\n{HELPERS[name]}" for name in HELPERS if name in used),
        body=textwrap.indent("\n".join(lines), " " * 8),
        results=textwrap.indent("\n".join(results), " " * 12),
    )


def _literal(text: str) -> str:
    return ascii(text)


def _categories(encoding: Any) -> str:
    """Numbers of the texts that a column's cells may be, or None for a column of numbers."""
    match encoding:
        case Categorical():
            places: dict[str, int] = {c: k for k, c in enumerate(encoding.categories)}
        case Boolean():
            places = {
                way(word): int(truth) for word, truth in TRUTH.items() for way in (str.lower, str.title, str.upper)
            }
            places |= {"1": 1, "0": 0}
        case _:
            return "None"
    return "{" + ", ".join(f"{_literal(text)}: {place}" for text, place in places.items()) + "}"


def _constant(value: np.ndarray, arrays: dict[str, np.ndarray]) -> str:
    if value.shape == () and value.dtype.kind == "b":
        return f"np.{value.item()}_"
    if value.shape == ():
        number = repr(value.item())
        number = f"np.{number.lstrip('-')}" if not np.isfinite(value) else number.lstrip("-")
        number = f"np.{value.dtype.name}({number})" if value.dtype != np.float64 else number
        return f"(-{number})" if np.signbit(value) and not np.isnan(value) else number
    for name, other in arrays.items():
        if other.dtype == value.dtype and other.shape == value.shape and other.tobytes() == value.tobytes():
            return f'c["{name}"]'
    name = f"c{len(arrays)}"
    arrays[name] = value
    return f'c["{name}"]'


def _embedded(arrays: dict[str, np.ndarray]) -> str:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    return "\n".join(textwrap.wrap(base64.b64encode(buffer.getvalue()).decode(), 116))


# -- expressions


def _option(value: Any) -> Any:
    """An option of a primitive as it is written; infinities and what is no number have no literals."""
    if isinstance(value, float) and not np.isfinite(value):
        return f"-np.{-value}" if value < 0 else f"np.{value}"
    return value


Rule = Callable[[Node, Sequence[str], Sequence[Node], Sequence[int | None], int | None], str]


def _expression(
    node: Node, given: Sequence[str], sources: Sequence[Node], at: Sequence[int | None], axis: int | None
) -> str:
    """A node as an expression; rows are any number, ``n``."""
    name = node.primitive.name
    if name in _WRITTEN:
        return _WRITTEN[name].format(*given, **{key: _option(value) for key, value in node.params.items()})
    if name in _SHAPES:
        return _SHAPES[name](node, given, sources, at, axis)
    if node.primitive.family in ("elementwise", "choice") and isinstance(node.primitive.numpy, np.ufunc):
        return f"np.{name}({', '.join(given)})"
    raise GraphError("has no translation into NumPy's functions")


def _sizes(shape: Sequence[int], axis: int | None) -> str:
    sizes = ["n" if k == axis else str(s) for k, s in enumerate(shape)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _spread(name: str, node: Node, axis: int) -> str:
    return f"np.broadcast_to({name}, {_sizes(node.shape, axis)})"


def _concatenate(node: Node, given: Any, sources: Any, at: Any, axis: Any) -> str:
    parts = [
        name if along is not None else _spread(name, source, axis)
        for name, source, along in zip(given, sources, at, strict=True)
    ]
    return f"np.concatenate([{', '.join(parts)}], axis={node.params['axis']})"


def _slice(node: Node, given: Any, sources: Any, at: Any, axis: Any) -> str:
    items = []
    for k, (start, count, step) in enumerate(node.params["window"]):
        stop: int | None = start + count * step
        if k == axis or (start, count, step) == (0, sources[0].shape[k], 1):
            items.append(":")
        elif count == 0:
            items.append("0:0")
        else:
            stop = None if stop is not None and stop < 0 else stop
            items.append(f"{start}:{'' if stop is None else stop}" + (f":{step}" if step != 1 else ""))
    return f"{given[0]}[{', '.join(items)}]"


def _gather(node: Node, given: Any, sources: Any, at: Any, axis: Any) -> str:
    axes = node.params["axes"]
    front = f"np.moveaxis({given[0]}, {axes}, {tuple(range(len(axes)))})" if axes != (0,) else given[0]
    return f"{front}[{', '.join(given[1:])}]"


_SHAPES: dict[str, Rule] = {
    "reshape": lambda node, given, sources, at, axis: f"np.reshape({given[0]}, {_sizes(node.shape, axis)})",
    "broadcast_to": lambda node, given, sources, at, axis: f"np.broadcast_to({given[0]}, {_sizes(node.shape, axis)})",
    "concatenate": _concatenate,
    "slice": _slice,
    "gather": _gather,
}

#: primitives that are not NumPy's function of that name, or read better otherwise
_WRITTEN = {
    "cast": "{0}.astype(np.{dtype})",
    "identity": "{0}",
    "stop_gradient": "{0}",
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "matmul": "{0} @ {1}",
    "where": "np.where({0}, {1}, {2})",
    **{name: f"np.{name}({{0}}, axis={{axis}}, keepdims={{keepdims}})" for name in ("sum", "max", "min", "any", "all")},
    **{name: f"np.{name}({{0}}, axis={{axis}})" for name in ("argmax", "argmin", "cumsum", "flip")},
    "argsort": 'np.argsort({0}, axis={axis}, kind="stable")',
    "transpose": "np.transpose({0}, {axes})",
    "pad": "np.pad({0}, {width}, constant_values={value})",
    "expit": "expit({0})",
    "logit": "np.log({0}) - np.log1p(-{0})",
    "log_expit": "log_expit({0})",
    "erf": "erf({0})",
    "erfc": "erfc({0})",
    "ndtr": "0.5 * erfc({0} * -0.7071067811865476)",
    "gammaln": "gammaln({0})",
    "xlogy": "xlogy({0}, {1})",
    "entr": "-xlogy({0}, {0})",
}

_EACH = """def {name}(x):
    return np.array([math.{function}(v) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)
"""
#: functions that a file defines if it uses them
HELPERS = {
    "expit": '''def expit(x):
    """The logistic function, without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0.0, small, np.ones_like(small)) / (1.0 + small)
''',
    "log_expit": '''def log_expit(x):
    """Logarithm of the logistic function, without overflow."""
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
''',
    "xlogy": '''def xlogy(x, y):
    """x log y, zero where x is."""
    return np.where((x == 0.0) & ~np.isnan(y), np.zeros_like(x * y), x * np.log(y))
''',
    "erf": _EACH.format(name="erf", function="erf"),
    "erfc": _EACH.format(name="erfc", function="erfc"),
    "gammaln": _EACH.format(name="gammaln", function="lgamma"),
}

_PAGE = '''# A fitted model, written by chainrule export. It needs NumPy alone.
#
{notes}

import base64
import io
{imports}
import numpy as np

#: name of each column, and the numbers of what its cells may be
COLUMNS = [
{columns}
]

#: parameters and other constants: a NumPy archive as text
c = np.load(io.BytesIO(base64.b64decode("""
{arrays}
""")))
c = {{name: c[name] for name in c.files}}


def predict(columns):
    """The parameters of every row's predictive distribution.

    columns: a mapping of column names to sequences of cells (None is missing), such as a data frame; or a float64
    matrix with these columns in this order, as the lines above say.
    """
    x = columns if isinstance(columns, np.ndarray) else matrix(columns)
    n = len(x)
    with np.errstate(all="ignore"):
{body}
        return {{
{results}
        }}


def matrix(columns):
    """Cells as numbers: categories as their places, others than those of training as -1, missing ones as NaN."""
    return np.stack([numbers(columns[name], places) for name, places in COLUMNS], axis=1)


def numbers(cells, places):
    cells = np.asarray(cells, dtype=object).tolist()
    return np.array([number(None if v is None or v != v else v, places) for v in cells], np.float64)


def number(cell, places):
    if cell is None or places is None:
        return np.nan if cell is None or cell == "" else float(cell)
    return places.get(text(cell), np.nan if cell == "" else -1)


def text(cell):
    """A cell as the name of a category: whole numbers without decimals, true and false in lower case."""
    if isinstance(cell, (bool, np.bool_)):
        return str(cell).lower()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
{helpers}'''
