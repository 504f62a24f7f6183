"""A graph as one static SVG for a paper or a slide: every number in it, without a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import NoDerivative
from chainrule.show.cards import FAINT, GRADIENT, INK, VALUE, Card, group_card, node_card, text
from chainrule.show.formulas import on_arrow
from chainrule.show.groups import groups_of
from chainrule.show.layout import Box, Direction, Edge, Key, Layout, Point, compose, levels
from chainrule.show.text import FONT, names, number, shortened, spread, text_width

LOCAL = "#6941a5"
_MARGIN, _LEGEND = 20.0, 14.0
#: with up to so many nodes all groups are open
_SMALL = 40

# fill and outline: of what comes from outside, of results, of the rest, of constants, of folded groups, of open ones
_INPUT, _RESULT, _PLAIN = ("#eaf2fb", "#7ea6d3"), ("#fff5dc", "#d5a13b"), ("#ffffff", "#9aa5b1")
_CONSTANT, _FOLDED, _OPEN = ("#f5f5f4", "#b8b5ae"), ("#f0f2f5", "#8793a1"), ("#fafbfc", "#cfd6dd")


def svg(
    graph: Graph,
    values: Sequence[Any] | None = None,
    gradients: Sequence[Any] | None = None,
    step: Literal["forward", "backward"] | None = None,
    *,
    opened: Iterable[str] | None = None,
    direction: Direction = "down",
    title: str | None = None,
) -> str:
    """Draw a graph with its numbers.

    Each box holds a node's name, operation, formula, value (green) and gradient (red), four digits each; arrays are
    tables or heat maps, blue below zero and orange above. On an arrow stands the local derivative of the value it leads
    to by the one it comes from: a number, the range of an array's, or what a linear map does (``· wᵀ``).

    Parameters
    ----------
    graph : Graph
    values, gradients : sequence of arrays, optional
        One for each node, as `chainrule.calculus.backprop.backpropagate` gives them; ``None`` where there is none.
    step : {"forward", "backward"}, optional
        After forward propagation there are values only; after back-propagation everything, as by default.
    opened : iterable of str, optional
        Paths of the groups to draw from inside; of small graphs all, of others none.
    direction : {"down", "right"}
        Where arrows point.
    title : str, optional
        For screen readers; the graph's name by default.

    Returns
    -------
    str
        An XML document in UTF-8, with sizes in pixels; any browser and ``\\includesvg`` show it.

    Raises
    ------
    OptionError
        If igraph is not installed, or an argument does not fit.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.calculus.backprop import backpropagate
    >>> graph = cr.trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0, name="f")
    >>> passed = backpropagate(graph, [2.0, 3.0])
    >>> picture = svg(graph, passed.values, passed.gradients)
    >>> picture[:4]
    '<svg'
    """
    if step not in (None, "forward", "backward"):
        raise OptionError(f"step must be 'forward', 'backward' or None, got {step!r}")
    n = len(graph.nodes)
    for name, given in (("values", values), ("gradients", gradients)):
        if given is not None and len(given) != n:
            raise OptionError(f"{name} must have one entry for each of the {n} nodes of {graph.name}, got {len(given)}")
    shown = [None] * n if values is None else list(values)
    slopes = [None] * n if gradients is None or step == "forward" else list(gradients)
    groups = groups_of(graph)
    called = names(graph, graph.outputs[0] if gradients is not None and len(graph.outputs) == 1 else None)
    cards: dict[Key, Card] = {k: node_card(graph, k, called, shown[k], slopes[k]) for k in range(n)}
    for outer in groups:
        cards |= {group.path: group_card(graph, group, called, shown, slopes) for group in outer.walk()}
    known = levels(graph, sizes={key: (c.width, c.height) for key, c in cards.items()}, direction=direction)
    chosen = (known.keys() - {""} if n <= _SMALL else ()) if opened is None else opened
    placed = compose(graph, known, chosen)
    result = called[graph.outputs[0]] if len(graph.outputs) == 1 else "the cost"
    return _document(graph, placed, cards, shown, slopes, direction, title or graph.name, result)


def local_derivative(graph: Graph, position: int, source: int, values: Sequence[Any]) -> float | None:
    """The derivative of a node's one number by the one number of a node it reads, at the nodes' values.

    ``None`` where either has more numbers than one, or there is no derivative.
    """
    node = graph.nodes[position]
    rule = node.primitive.reverse
    types = node.type, graph.nodes[source].type
    inputs = [values[i] for i in node.inputs]
    if any(t.size != 1 or not t.is_float for t in types) or isinstance(rule, NoDerivative):
        return None
    if values[position] is None or any(value is None for value in inputs):
        return None
    one = np.ones(node.shape, node.dtype)
    parts = [rule(k, one, values[position], *inputs, **node.params) for k, i in enumerate(node.inputs) if i == source]
    return float(sum([np.sum(part) for part in parts if part is not None]))


def _derivative(graph: Graph, position: int, source: int, values: Sequence[Any], called: Sequence[str]) -> str:
    """What stands on an arrow: a number, few numbers or their range, or what a linear map does; empty if unknown."""
    node = graph.nodes[position]
    rule = node.primitive.reverse
    inputs = [values[i] for i in node.inputs]
    if values[position] is None or any(value is None for value in inputs) or isinstance(rule, NoDerivative):
        return ""
    single = local_derivative(graph, position, source, values)
    if single is not None:
        return number(single)
    operands = [k for k, i in enumerate(node.inputs) if i == source]
    if not (node.type.is_float and graph.nodes[source].type.is_float):
        return ""
    if node.primitive.lowering != "elementwise":
        short = [called[i].rpartition(".")[2] for i in node.inputs]  # layer1.weight is its layer's weight
        told = [on_arrow(graph, position, k).format(*short) for k in operands]
        return " ".join(filter(None, told))
    ones = np.ones(node.shape, node.dtype)
    wide = [np.broadcast_to(value, node.shape) for value in inputs]
    with np.errstate(all="ignore"):
        parts = [rule(k, ones, values[position], *wide, **node.params) for k in operands]
    return " ".join([spread(part) for part in parts if part is not None])


def _document(
    graph: Graph,
    placed: Layout,
    cards: dict[Key, Card],
    values: Sequence[Any],
    gradients: Sequence[Any],
    direction: Direction,
    title: str,
    result: str,
) -> str:
    called = names(graph, graph.outputs[0] if len(graph.outputs) == 1 else None)
    local: dict[Edge, str] = {}
    for edge in placed.edges:
        if isinstance(edge.target, int) and len(edge.values) == 1 and gradients[edge.target] is not None:
            found = _derivative(graph, edge.target, edge.values[0], values, called)
            if found and gradients[edge.values[0]] is not None:
                local[edge] = found
    entries = [(VALUE, "value")] if any(v is not None for v in values) else []
    entries += [(GRADIENT, f"gradient: ∂ {result} / ∂ node")] if any(g is not None for g in gradients) else []
    entries += [(LOCAL, "on an arrow: local derivative")] if local else []
    legend, wide, high = _legend(entries, placed.width)
    width = max(placed.width, wide) + 2 * _MARGIN
    height = placed.height + 2 * _MARGIN + (high + _LEGEND if entries else 0.0)
    left = (width - placed.width) / 2
    frames = "".join([_frame(box) for box in placed.boxes if box.opened])
    arrows = "".join([f'<path d="{_curve(edge.points, direction)}"/>' for edge in placed.edges])
    drawn = "".join([_box(graph, box, cards[box.key]) for box in placed.boxes if not box.opened])
    taken: list[tuple[float, float, float]] = []  # where words stand already
    numbers = "".join([_on_arrow(edge, words, direction, taken) for edge, words in local.items()])
    words = " ".join([f"{cards[box.key].summary}." for box in placed.boxes if not box.opened][:40])
    mark = blake2b(f"{drawn}{arrows}".encode(), digest_size=4).hexdigest()  # several pictures may share one page
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-labelledby="t{mark} d{mark}" '
        f'font-family="{FONT}">\n'
        f'<title id="t{mark}">{escape(title)}: computational graph</title>\n'
        f'<desc id="d{mark}">{escape(words)}</desc>\n'
        f'<defs><marker id="a{mark}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7.5" markerHeight="7.5" '
        f'orient="auto"><path d="M0 0.8 8 4 0 7.2 1.6 4z" fill="#52606d"/></marker></defs>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<g transform="translate({left:.1f} {_MARGIN:g})">\n{frames}\n'
        f'<g fill="none" stroke="#52606d" stroke-width="1.2" marker-end="url(#a{mark})">{arrows}</g>\n'
        f"{drawn}\n{numbers}\n</g>\n"
        f'<g transform="translate({(width - wide) / 2:.1f} {height - _MARGIN - high + 12:.1f})">{legend}</g>\n</svg>\n'
    )


def _box(graph: Graph, box: Box, card: Card) -> str:
    folded = isinstance(box.key, str)
    fill, stroke = _FOLDED if folded else _colours(graph, int(box.key))
    size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="7"'
    behind = f'<rect x="4" y="4" {size} fill="#fff" stroke="{stroke}" stroke-opacity="0.6"/>' if folded else ""
    return (
        f'\n<g transform="translate({box.x:.1f} {box.y:.1f})"><title>{escape(card.summary)}</title>{behind}'
        f'<rect {size} fill="{fill}" stroke="{stroke}"/>{card.body}</g>'
    )


def _colours(graph: Graph, position: int) -> tuple[str, str]:
    kind = graph.nodes[position].primitive.name
    if kind == "input":
        return _INPUT
    return _RESULT if position in graph.outputs else _CONSTANT if kind == "constant" else _PLAIN


def _frame(box: Box) -> str:
    fill, stroke = _OPEN
    name = str(box.key).rsplit("/", 1)[-1]
    name = shortened(name, max(3, int((box.width - 24) / 8)))
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="10" '
        f'fill="{fill}" stroke="{stroke}"/>' + text(box.x + 12, box.y + 19, name, 12, FAINT, font_weight="600")
    )


def _curve(points: Sequence[Point], direction: Direction) -> str:
    """A smooth line through the points, upright (or level) at each."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        if (x0 == x1) if direction == "down" else (y0 == y1):
            path += f"L{x1:.1f} {y1:.1f}"
        elif direction == "down":
            middle = (y0 + y1) / 2
            path += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        else:
            middle = (x0 + x1) / 2
            path += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return path


def _on_arrow(edge: Edge, words: str, direction: Direction, taken: list[tuple[float, float, float]]) -> str:
    """The local derivative on the arrow's last bend, or above it where arrows point right, in no other one's way."""
    bends = [(a, b) for a, b in pairwise(edge.points) if abs(b[0] - a[0]) + abs(b[1] - a[1]) > 30]
    (x0, y0), (x1, y1) = bends[-1] if bends else edge.points[-2:]
    half = text_width(words, 11) / 2
    places = []
    for t in (0.5, 0.7, 0.3, 0.85, 0.15):
        steep, flat = 3 * t**2 - 2 * t**3, 1.5 * t - 1.5 * t**2 + t**3
        across, along = (steep, flat) if direction == "down" else (flat, steep)
        shift = 2 if direction == "down" else 14 if y1 < y0 - 1 else -6  # one that rises has its free side below
        places.append((x0 + across * (x1 - x0), y0 + along * (y1 - y0) + shift))
    free = [p for p in places if all(abs(p[0] - x) > half + h or abs(p[1] - y) > 13 for x, y, h in taken)]
    x, y = [*free, places[0]][0]
    taken.append((x, y, half))
    halo = {"text_anchor": "middle", "stroke": "#fff", "stroke_width": "4", "paint_order": "stroke"}
    return text(x, y, words, 11, LOCAL, **halo)


def _legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float, float]:
    """What the colours mean, side by side or, where that is too wide, one below the other; with width and height."""
    widths = [16 + text_width(words, 11) for _, words in entries]
    beside = sum(widths) + 22 * (len(widths) - 1) <= width
    x = y = 0.0
    body = ""
    for (colour, words), wide in zip(entries, widths, strict=True):
        body += f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2" fill="{colour}"/>'
        body += text(x + 16, y, words, 11, INK)
        x, y = (x + wide + 22, y) if beside else (x, y + 17)
    return body, (x - 22 if beside else max(widths, default=0.0)), (17.0 if beside else y)


__all__ = ["local_derivative", "svg"]
