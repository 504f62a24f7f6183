"""Words of a picture: what a node computes, numbers in four digits, and how wide a line of text is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph, Node

#: fonts every system has something of; no web fonts
FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

_WIDTHS = dict.fromkeys("iljI.,:;'|! ()[]ftr/-·", 0.36) | dict.fromkeys("mwMW@%∑Σ…−+=<>≤≥", 0.9)


def text_width(text: str, size: float) -> float:
    """About how wide a line of text is in a sans-serif font of so many pixels: rather too wide than too narrow."""
    return size * sum([_WIDTHS.get(character, 0.74 if character.isupper() else 0.64) for character in text])


def shortened(text: str, length: int) -> str:
    """A text of at most so many characters, with an ellipsis where the rest was."""
    return text if len(text) <= length else text[: length - 1] + "…"


def number(value: Any, digits: int = 4) -> str:
    """A number with four significant digits, as a person writes it: ``25``, ``0.1192``, ``−1.2e−07``."""
    scalar = np.asarray(value).reshape(-1)[0]
    if scalar.dtype.kind != "f":
        return str(scalar)
    return f"{float(scalar) + 0.0:.{digits}g}".replace("-", "−").replace("e+", "e")


def spread(values: Any, digits: int = 4) -> str:
    """An array in a few letters: the number that all of it is, up to three numbers, or least and greatest."""
    array = np.asarray(values)
    if array.size == 0:
        return "empty"
    flat = array.reshape(-1)
    if (flat == flat[0]).all():
        return number(flat[0], digits)
    if array.size <= 3:
        return f"({', '.join(number(x, min(digits, 3)) for x in flat)})"
    return f"{number(flat.min(), min(digits, 3))} … {number(flat.max(), min(digits, 3))}"


def is_literal(node: Node) -> bool:
    """Whether a node is a constant number without a name: it is written where it is used."""
    return node.primitive.name == "constant" and node.type.size == 1 and not node.name


def names(graph: Graph, cost: int | None = None) -> tuple[str, ...]:
    """Names as a picture shows them: ``parameters['layer1.weight']`` is ``layer1.weight``, if that is unique.

    Parameters
    ----------
    graph : Graph
    cost : int, optional
        A node that is called J if it has no name of its own and no other one is.
    """
    short = [re.sub(r"^.*\['(.+)'\]$", r"\1", name) for name in graph.node_names]
    if cost is not None and not graph.nodes[cost].name and "J" not in short:
        short[cost] = "J"
    count = Counter(short)
    return tuple([s if count[s] == 1 else name for s, name in zip(short, graph.node_names, strict=True)])


def formula(graph: Graph, position: int, names: Sequence[str] | None = None) -> str:
    """What a node computes, in its inputs' names and numbers, such as ``w · x``; nothing for inputs and constants.

    Parameters
    ----------
    graph : Graph
    position : int
    names : sequence of str, optional
        What the nodes are called; ``graph.node_names`` by default.

    Examples
    --------
    >>> import chainrule as cr
    >>> graph = cr.trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0)
    >>> [formula(graph, position) for position in range(len(graph.nodes))]
    ['', '', 'w · x', '', 'v2 − 1', 'v4²']
    """
    node, nodes = graph.nodes[position], graph.nodes
    if node.primitive.family == "source":
        return ""
    known = graph.node_names if names is None else names
    words = [number(nodes[i].params["value"]) if is_literal(nodes[i]) else known[i] for i in node.inputs]
    written = node.primitive.formula
    text = written.format(*words, **node.params)
    if text == written:
        text = f"{text}({', '.join(words)})"
    return re.sub(r"^-", "−", text).replace(" * ", " · ").replace(" - ", " − ")
