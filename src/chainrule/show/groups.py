"""Parts of a graph that a picture can fold into one box each: layers, preprocessing, cost, penalty, update."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile

from chainrule.graph.graph import Graph
from chainrule.show.text import is_literal

_GRADIENT = "gradient"
#: a graph without scopes and of more values than this is cut into parts, each of about the square root of their number
MOST_LOOSE = 60


@dataclass(frozen=True)
class Group:
    """A part of a graph, which may have parts of its own.

    Parameters
    ----------
    name : str
        Such as ``"layer1"``.
    path : str
        Its name inside those of the groups around it, such as ``"gradient/layer1"``: unique.
    nodes : tuple of int
        Positions in ``graph.nodes`` of all nodes inside, rising, those of its children too.
    children : tuple of Group
    """

    name: str
    path: str
    nodes: tuple[int, ...]
    children: tuple[Group, ...] = ()

    def walk(self) -> Iterator[Group]:
        """The group itself and all inside, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()


def groups_of(graph: Graph) -> tuple[Group, ...]:
    """Find the parts of a graph.

    They are the scopes it was recorded in (`chainrule.graph.trace.scope`): networks record their layers, models the
    preprocessing, training steps cost, gradient, penalty and update. What no scope claims but one alone reads belongs
    to it too: the slice of θ that is a layer's weights, a parameter named after the layer. A graph without scopes (such
    as one from a file) falls into its named values, each with what was computed for it alone.

    Returns
    -------
    tuple of Group
        Outermost ones, in the order of their first nodes; each has two boxes or more. Empty where nothing folds.

    Examples
    --------
    >>> import chainrule as cr
    >>> graph = cr.Network([cr.Dense(3)], output=cr.Gaussian()).trace(n_inputs=2)
    >>> [(group.name, len(group.nodes)) for group in groups_of(graph)]
    [('layer1', 6), ('output', 4)]
    """
    paths = [node.scope if node.primitive.name != "input" else "" for node in graph.nodes]
    if any(paths):
        _adopt(graph, paths)
    else:
        paths = _named_values(graph)
        if len({path or position for position, path in enumerate(paths) if _computes(graph, position)}) > MOST_LOOSE:
            paths = _parts(graph)
    literals = {position for position, node in enumerate(graph.nodes) if is_literal(node)}
    return _tree("", paths, range(len(paths)), literals)


def _adopt(graph: Graph, paths: list[str]) -> None:
    """Let nodes without a scope join the one that reads them."""
    outputs = set(graph.outputs)
    for position in reversed(range(len(paths))):
        if paths[position] or position in outputs:
            continue
        readers = [paths[user] for user in graph.users[position]]
        forward = [path for path in readers if not path.startswith(_GRADIENT)]
        path = _shared(forward or readers)  # the gradient reads everything again
        if graph.nodes[position].primitive.name == "input" and not _named_after(graph, position, path):
            continue
        paths[position] = path


def _shared(paths: Sequence[str]) -> str:
    """The innermost group that all are in."""
    same = takewhile(lambda parts: len(set(parts)) == 1, zip(*[path.split("/") for path in paths], strict=False))
    return "/".join([parts[0] for parts in same])


def _named_after(graph: Graph, position: int, path: str) -> bool:
    """Whether an input is a group's parameter, such as ``layer1.weight`` of ``layer1``."""
    name = re.escape(path.rsplit("/", 1)[-1])
    return bool(name) and re.search(rf"\b{name}\.", graph.nodes[position].name or "") is not None


def _named_values(graph: Graph) -> list[str]:
    """For each node the named value it was computed for alone, itself included; empty for inputs."""
    paths = [""] * len(graph.nodes)
    for position in reversed(range(len(paths))):
        node, readers = graph.nodes[position], {paths[user] for user in graph.users[position]}
        if node.primitive.name == "input":
            continue
        if node.name and node.primitive.name != "constant":
            paths[position] = graph.node_names[position].replace("/", "∕")  # a slash in a name is no nesting
        elif len(readers) == 1 and position not in graph.outputs:
            paths[position] = readers.pop()
    return paths


def _computes(graph: Graph, position: int) -> bool:
    return graph.nodes[position].primitive.family != "source"


def _parts(graph: Graph) -> list[str]:
    """Consecutive parts of a graph that says nothing of its own, named after their first and last values."""
    computed = [position for position in range(len(graph.nodes)) if _computes(graph, position)]
    last = [max(graph.users[position], default=position) for position in range(len(graph.nodes))]
    alive = [0] * (len(computed) + 1)  # how many values pass the place before the k-th, read later on
    for k, position in enumerate(computed):
        reader = bisect_right(computed, last[position]) - 1
        alive[k + 1] += 1
        if reader + 1 < len(alive):
            alive[reader + 1] -= 1
    passing = list(accumulate(alive))
    size = max(2, round(len(computed) ** 0.5))
    cuts = [0]
    while len(computed) - cuts[-1] > size + size // 2:
        near = range(cuts[-1] + size - size // 4, cuts[-1] + size + size // 4 + 1)
        cuts.append(min(near, key=lambda k: (passing[k], abs(k - cuts[-1] - size))))
    paths = [""] * len(graph.nodes)
    for begin, end in pairwise([*cuts, len(computed)]):
        first, *_, final = (graph.node_names[position].replace("/", "∕") for position in computed[begin:end])
        for position in computed[begin:end]:
            paths[position] = f"{first} … {final}"
    for position in reversed(range(len(paths))):  # a constant belongs to what alone reads it
        readers = {paths[user] for user in graph.users[position]}
        if graph.nodes[position].primitive.name == "constant" and len(readers) == 1:
            paths[position] = readers.pop()
    return paths


def _tree(outer: str, paths: Sequence[str], positions: Sequence[int], literals: set[int]) -> tuple[Group, ...]:
    """The groups right inside one, from the paths of its nodes; one box alone, whatever literals it reads, is none."""
    depth = len(outer.split("/")) if outer else 0
    inside: dict[str, list[int]] = {}
    for position in positions:
        parts = paths[position].split("/") if paths[position] else []
        if len(parts) > depth:
            inside.setdefault("/".join(parts[: depth + 1]), []).append(position)
    groups = []
    for path, nodes in inside.items():
        children = _tree(path, paths, nodes, literals)
        while len(children) == 1 and len(children[0].nodes) == len(nodes):  # two boxes for the same
            children = children[0].children
        if len(set(nodes) - literals) > 1:
            groups.append(Group(path.rsplit("/", 1)[-1], path, tuple(nodes), children))
    return tuple(groups)
