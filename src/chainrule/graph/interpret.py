"""Run a graph with NumPy, node by node: the meaning of everything, and the oracle of the native executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chainrule.graph.graph import Graph


def program(graph: Graph) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Turn a graph into a function from the flat list of inputs to the flat list of outputs.

    Values are dropped as soon as their last reader has run.
    """
    keep = set(graph.outputs)
    needed = graph.ancestors(graph.outputs)
    last_use = {i: position for position in sorted(needed) for i in graph.nodes[position].inputs}
    blank: list[Any] = [None] * len(graph.nodes)
    steps = []
    for position, node in enumerate(graph.nodes):
        if position not in needed or node.primitive.name == "input":
            continue
        if node.primitive.name == "constant":
            blank[position] = node.params["value"]
            continue
        rule = partial(node.primitive.numpy, **node.params) if node.params else node.primitive.numpy
        done = tuple(
            i
            for i in dict.fromkeys(node.inputs)
            if last_use[i] == position and i not in keep and graph.nodes[i].primitive.name != "constant"
        )
        steps.append((position, rule, node.inputs, done))
    inputs, outputs = graph.inputs, graph.outputs

    def run(arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = blank.copy()
        for i, argument in zip(inputs, arguments, strict=True):
            values[i] = argument
        for position, rule, sources, done in steps:
            values[position] = rule(*[values[i] for i in sources])
            for i in done:
                values[i] = None
        return [values[i] for i in outputs]

    return run


def as_result(value: Any) -> Any:
    """A value as NumPy's own functions return it: an array of its own, or a scalar where it has no axes."""
    copy = np.array(value)
    return copy if copy.ndim else copy[()]


def walk(graph: Graph, arguments: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Run a graph and hand out every node's position and value, in order: forward propagation one step at a time."""
    values: list[Any] = [None] * len(graph.nodes)
    given = dict(zip(graph.inputs, arguments, strict=True))
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "input":
            if position not in given:
                continue
            values[position] = given[position]
        else:
            values[position] = node.primitive.numpy(*[values[i] for i in node.inputs], **node.params)
        yield position, values[position]


def first_non_finite(graph: Graph, arguments: Sequence[np.ndarray]) -> int | None:
    """Position of the first node whose value holds NaN or infinity, ``None`` if there is none."""
    with np.errstate(all="ignore"):
        for position, value in walk(graph, arguments):
            if np.asarray(value).dtype.kind == "f" and not np.isfinite(value).all():
                return position
    return None
