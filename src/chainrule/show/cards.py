"""What is in a box of a static picture: name, operation, formula, value and gradient, small arrays as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.show.groups import Group
from chainrule.show.text import formula, number, shortened, text_width

INK, FAINT, VALUE, GRADIENT = "#1f2933", "#7b8794", "#1a7340", "#b42318"
_NEGATIVE, _POSITIVE = np.array([33, 102, 172]), np.array([217, 95, 14])  # seen apart by the colour-blind too
_LINE, _SIDE, _GAP, _BOLD = 19.0, 12.0, 4.0, 1.1
#: cells of a heat map across and along; more elements are averaged in blocks
MOST_CELLS = 24, 16
_WIDEST = 300.0


@dataclass(frozen=True)
class Card:
    """The drawing inside a box.

    Parameters
    ----------
    width, height : float
        Of the box, in pixels.
    body : str
        SVG, its upper left corner at (0, 0).
    summary : str
        The same in words.
    """

    width: float
    height: float
    body: str
    summary: str


@dataclass(frozen=True)
class _Part:
    width: float
    height: float
    body: str


def node_card(graph: Graph, position: int, called: Sequence[str], value: Any, gradient: Any) -> Card:
    """The card of a node; value and gradient may be ``None``."""
    node = graph.nodes[position]
    kind = node.primitive.name.replace("_", " ")
    rows = [_heading(called[position], kind + _brackets(node.shape))]
    written = shortened(formula(graph, position, called), 44)
    if written:
        rows.append(_line(written, 13))
    if value is not None:
        rows.append(_numbers(value, gradient))
    words = [f"{called[position]}", f"= {written}" if written else f"({kind})", *_in_words(value, gradient)]
    return _stack(rows, " ".join(words))


def group_card(
    graph: Graph, group: Group, called: Sequence[str], values: Sequence[Any], gradients: Sequence[Any]
) -> Card:
    """The card of a folded group: how much is in it, and what comes out of it."""
    inside = set(group.nodes)
    operations = sum([graph.nodes[k].primitive.family != "source" for k in group.nodes])
    parameters = sum([graph.nodes[k].type.size for k in group.nodes if graph.nodes[k].primitive.name == "input"])
    what = f"{operations} operations" + (f", {parameters} parameters" if parameters else "")
    rows = [_heading(group.name, ""), _line(what, 11, fill=FAINT)]
    leaving = [k for k in group.nodes if k in graph.outputs or not inside.issuperset(graph.users[k])]
    words = [f"{group.name}: {what}"]
    if leaving and values[leaving[-1]] is not None:
        last = leaving[-1]
        name = "" if called[last] == group.name else called[last]
        if result := f"{name} {_brackets(graph.nodes[last].shape)}".strip():
            rows.append(_line(f"gives {result}", 11, fill=FAINT))
        rows.append(_numbers(values[last], gradients[last]))
        words += _in_words(values[last], gradients[last])
    return _stack(rows, " ".join(words))


def _brackets(shape: Sequence[int]) -> str:
    """The shape as in a graph's text: ``[4,2]``, nothing for a number."""
    return f" [{','.join(map(str, shape))}]" if shape else ""


def _in_words(value: Any, gradient: Any) -> list[str]:
    words = []
    for name, array in (("value", value), ("gradient", gradient)):
        if array is not None:
            array = np.asarray(array)
            few = ", ".join([number(x) for x in array.reshape(-1)[:8]])
            words.append(f"{name} {few}{', …' if array.size > 8 else ''}")
    return words


# -- lines and stacks


def text(x: float, y: float, words: str, size: float, fill: str = INK, **more: str) -> str:
    """A line of text, its left end on the base line."""
    extra = "".join([f' {key.replace("_", "-")}="{value}"' for key, value in more.items()])
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{extra}>{escape(words)}</text>'


def _line(words: str, size: float, fill: str = INK) -> _Part:
    return _Part(
        text_width(words, size), _LINE if size > 12 else 15.0, text(0, 13 if size > 12 else 11, words, size, fill)
    )


def _heading(name: str, kind: str) -> _Part:
    name = shortened(name, 36)
    left = text_width(name, 13) * _BOLD
    body = text(0, 13, name, 13, font_weight="600")
    if kind:
        body += text(left + 10, 13, kind, 11, FAINT)
    return _Part(left + (10 + text_width(kind, 11) if kind else 0), 20.0, body)


def _stack(rows: Sequence[_Part], summary: str) -> Card:
    y, body = 7.0, ""
    for row in rows:
        body += f'<g transform="translate({_SIDE:g} {y:.1f})">{row.body}</g>'
        y += row.height
    return Card(max(76.0, 2 * _SIDE + max([row.width for row in rows])), y + 8.0, body, summary)


def _numbers(value: Any, gradient: Any) -> _Part:
    """Value and gradient side by side, or one below the other where they are wide."""
    parts = [_array(value, VALUE)] + ([_array(gradient, GRADIENT)] if gradient is not None else [])
    beside = sum([part.width for part in parts]) + 16.0 * (len(parts) - 1) <= _WIDEST
    x = y = width = height = 0.0
    body = ""
    top = y = height = 3.0 if np.size(value) > 1 else 0.0
    for part in parts:
        body += f'<g transform="translate({x:.1f} {y:.1f})">{part.body}</g>'
        width, height = max(width, x + part.width), max(height, y + part.height)
        x, y = (x + part.width + 16.0, top) if beside else (0.0, y + part.height + 3.0)
    return _Part(width, height, body)


# -- arrays


def _array(value: Any, colour: str) -> _Part:
    """A number as text; up to four by four as a table; more as a heat map."""
    array = np.asarray(value)
    if array.size == 1:
        words = number(array)
        return _Part(text_width(words, 13) * _BOLD, _LINE, text(0, 14, words, 13, colour, font_weight="600"))
    if array.size == 0:
        return _line("empty", 11, FAINT)
    table = array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])
    scale = float(np.max(np.abs(finite), initial=0.0)) if (finite := table[np.isfinite(table)]).size else 0.0
    if table.shape[0] <= 4 and table.shape[1] <= 4:
        return _table(table, scale, colour)
    return _heat_map(table, scale, colour)


def _table(table: np.ndarray, scale: float, colour: str) -> _Part:
    words = [[number(x, 4) for x in row] for row in table]
    wide, high = max([text_width(word, 10.5) for row in words for word in row]) + 8.0, 17.0
    body = ""
    for i, row in enumerate(words):
        for j, word in enumerate(row):
            body += f'<rect x="{j * wide:.1f}" y="{i * high:.1f}" width="{wide:.1f}" height="{high:g}" '
            body += f'fill="{_shade(table[i, j], scale, 0.3)}" stroke="#fff"/>'
            body += text(j * wide + wide / 2, i * high + 12.5, word, 10.5, colour, text_anchor="middle")
    width, height = wide * table.shape[1], high * table.shape[0]
    return _Part(width, height + _GAP, _framed(body, width, height, colour))


def _heat_map(table: np.ndarray, scale: float, colour: str) -> _Part:
    cells = _averaged(table)
    rows, columns = cells.shape
    side = max(4.0, min(9.0, 112.0 / columns))
    body = ""
    for (i, j), x in np.ndenumerate(cells):
        place = f'x="{j * side:.4g}" y="{i * side:.4g}" width="{side:.4g}" height="{side:.4g}"'
        body += f'<rect {place} fill="{_shade(x, scale, 1.0)}"/>'
    width, height = side * columns, side * rows
    span = f"{number(table.min(), 3)} … {number(table.max(), 3)}"
    caption = text(0, height + 13, span, 10.5, colour)
    return _Part(
        max(width, text_width(span, 10.5)),
        height + 16.0,
        f'<g shape-rendering="crispEdges">{_framed(body, width, height, colour)}</g>{caption}',
    )


def _framed(body: str, width: float, height: float, colour: str) -> str:
    return (
        f'{body}<rect width="{width:.1f}" height="{height:.1f}" fill="none" stroke="{colour}" stroke-opacity="0.55"/>'
    )


def _averaged(table: np.ndarray) -> np.ndarray:
    """At most so many cells, each the mean of its block."""
    result = table.astype(np.float64)
    for axis, most in ((1, MOST_CELLS[0]), (0, MOST_CELLS[1])):
        if result.shape[axis] > most:
            starts = np.linspace(0, result.shape[axis], most, endpoint=False).astype(int)
            counts = np.diff([*starts, result.shape[axis]])
            sums = np.add.reduceat(result, starts, axis=axis)
            result = sums / (counts[:, None] if axis == 0 else counts)
    return result


def _shade(x: Any, scale: float, strength: float) -> str:
    """White at zero, blue below, orange above; grey where it is no number."""
    if not np.isfinite(x):
        return "#9aa5b1"
    share = strength * abs(float(x)) / scale if scale else 0.0
    red, green, blue = 255 + share * ((_POSITIVE if x > 0 else _NEGATIVE) - 255)
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


__all__ = ["Card", "group_card", "node_card", "text"]
