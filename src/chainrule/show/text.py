"""Words of a picture: what a node computes, numbers in four digits, and how wide a line of text is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph, Node

#: fonts every system has something of; no web fonts
FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

#: characters of an abridged name by which it is known again
LEAST_KEPT = 10

_WIDTHS = dict.fromkeys("iljI.,:;'|! ()[]ftr/-·", 0.36) | dict.fromkeys("mwMW@%∑Σ…−+=<>≤≥", 0.9)


def text_width(text: str, size: float) -> float:
    """About how wide a line of text is in a sans-serif font of so many pixels: rather too wide than too narrow."""
    return size * sum([_WIDTHS.get(character, 0.74 if character.isupper() else 0.64) for character in text])


def shortened(text: str, length: int) -> str:
    """A text of at most so many characters, with an ellipsis where the rest was."""
    return text if len(text) <= length else text[: length - 1] + "…"


def abridged(name: str, length: int, among: Iterable[str] = ()) -> str:
    """A name of at most so many characters, an ellipsis in it where it stays apart from others, near its middle.

    Parameters
    ----------
    name : str
    length : int
    among : iterable of str
        Names that it is to be told from.

    Examples
    --------
    >>> abridged("concentration_of_chloride", 13)
    'concen…loride'
    >>> abridged("chloride_before_meals", 13, ["chloride_before_meals", "chloride_after_meals"])
    'chlor…e_meals'
    """
    if len(name) <= length:
        return name
    others = [other for other in among if other != name]
    middle = length // 2
    for begin in sorted(range(1, length - 1), key=lambda k: abs(k - middle)):
        first, last = name[:begin], name[len(name) - (length - 1 - begin) :]
        if not any(other.startswith(first) and other.endswith(last) for other in others):
            return f"{first}…{last}"
    return f"{name[:middle]}…{name[len(name) - (length - 1 - middle) :]}"


def in_full(text: str, names: Sequence[str]) -> str:
    """A text with the names that were `abridged` in it written out, where it is plain which they are.

    Examples
    --------
    >>> in_full("chlor…e_meals = 3", ["chloride_before_meals", "chloride_after_meals"])
    'chloride_before_meals = 3'
    """
    for place in reversed([k for k, character in enumerate(text) if character == "…"]):
        before, after = text[:place], text[place + 1 :]
        found = [(*kept, name) for name in names if (kept := _kept(name, before, after))]
        most = max((begin + end for begin, end, _ in found), default=0)
        best = [each for each in found if each[0] + each[1] == most]
        if len(best) == 1:
            begin, end, name = best[0]
            text = before[: len(before) - begin] + name + after[end:]
    return text


def _kept(name: str, before: str, after: str) -> tuple[int, int] | None:
    """How much of a name stands before and after an ellipsis; nothing if it is too little."""
    begin = next((k for k in range(len(name) - 2, 0, -1) if before.endswith(name[:k])), 0)
    end = next((k for k in range(len(name) - 1 - begin, 0, -1) if after.startswith(name[len(name) - k :])), 0)
    return (begin, end) if begin and end and begin + end >= LEAST_KEPT else None


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
