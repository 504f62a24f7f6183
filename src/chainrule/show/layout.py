"""Where the boxes and arrows of a graph's picture lie, for every way of folding it.

The inside of each group is laid out once, on its own, with all that is inside of it folded: a `Level`. Values that
come from outside enter through a point on the border, results leave through another. Layers follow Sugiyama, Tagawa &
Toda (1981): igraph finds the order within each layer that crosses few arrows, coordinates then respect the size of
every box.

To open a group is to put its level in place of its box. That needs no new layout: the plane is stretched in the
group's columns and rows until the level fits. Stretching never brings two boxes nearer, so boxes never overlap, and a
page can do it too, with these few lines of arithmetic (`stretched`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.show.groups import Group, groups_of
from chainrule.show.ranks import Drawn, draw
from chainrule.show.text import formula, is_literal, names, text_width

#: a node's position in ``graph.nodes``, or a group's path; in a level also ``in:5``, ``out:5``, where value 5 crosses
Key = int | str
Point = tuple[float, float]
Direction = Literal["down", "right"]

PADDING, TITLE = 16.0, 28.0  # inside an open group


@dataclass(frozen=True)
class Box:
    """A node, a folded group, or the frame of an open one.

    Parameters
    ----------
    key : int or str
        The node's position in ``graph.nodes``, or the group's path.
    x, y, width, height : float
        Upper left corner and size, in pixels.
    opened : bool
        Whether other boxes lie inside.
    """

    key: Key
    x: float
    y: float
    width: float
    height: float
    opened: bool = False

    @property
    def centre(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Edge:
    """An arrow.

    Parameters
    ----------
    source, target : int or str
        Keys of boxes.
    values : tuple of int
        Positions of the nodes whose values it carries.
    points : tuple of points
        From the border of one box to that of the other.
    """

    source: Key
    target: Key
    values: tuple[int, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Level:
    """The inside of one group, or of the whole graph (path ``""``), with all groups in it folded.

    Parameters
    ----------
    path : str
    width, height : float
        Size of the whole, in pixels.
    boxes : tuple of Box
        From its own upper left corner; where values cross its border there are boxes without size.
    edges : tuple of Edge
    """

    path: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Layout:
    """Boxes and arrows of one way of folding a graph.

    Parameters
    ----------
    width, height : float
        In pixels.
    boxes : tuple of Box
        Frames of open groups before what lies in them.
    edges : tuple of Edge
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def layout(
    graph: Graph,
    opened: Iterable[str] = (),
    *,
    sizes: Mapping[Key, tuple[float, float]] | None = None,
    direction: Direction = "down",
) -> Layout:
    """Lay out a graph with some of its groups open.

    Constant numbers without a name have no box; they are written in the formulas that use them.

    Parameters
    ----------
    graph : Graph
    opened : iterable of str
        Paths of the groups to open; one inside a closed one stays out of sight.
    sizes : mapping, optional
        Width and height of nodes (by position) and folded groups (by path); what is missing gets room for its name and
        formula.
    direction : {"down", "right"}
        Where arrows point.

    Raises
    ------
    OptionError
        If igraph is not installed, or there is no such group or direction.
    """
    opened = frozenset(opened)
    known = levels(graph, sizes=sizes, direction=direction)
    if missing := sorted(opened - known.keys()):
        found = ", ".join(path for path in known if path) or "no groups"
        raise OptionError(f"{graph.name} has no group {missing[0]!r} to open; it has {found}")
    return compose(graph, known, opened)


def levels(
    graph: Graph, *, sizes: Mapping[Key, tuple[float, float]] | None = None, direction: Direction = "down"
) -> dict[str, Level]:
    """Lay out the inside of the graph (path ``""``) and of each group: all that `compose` needs to open any of them.

    Parameters and errors are those of `layout`.
    """
    if direction not in ("down", "right"):
        raise OptionError(f"direction must be 'down' or 'right', got {direction!r}")
    groups = groups_of(graph)
    size = {**default_sizes(graph, groups), **(sizes or {})}
    chains = _chains(graph, groups)
    paths = ["", *[group.path for outer in groups for group in outer.walk()]]
    boxes: dict[str, dict[Key, None]] = {path: {} for path in paths}
    wires: dict[str, dict[tuple[Key, Key], dict[int, None]]] = {path: {} for path in paths}
    for position, node in enumerate(graph.nodes):
        if is_literal(node):
            continue
        for path, key in _views(chains[position], position):
            boxes[path].setdefault(key)
        for source in dict.fromkeys(node.inputs):
            if not is_literal(graph.nodes[source]):
                for path, start, end in _segments(chains, source, position):
                    boxes[path].setdefault(start)
                    boxes[path].setdefault(end)
                    wires[path].setdefault((start, end), {}).setdefault(source)
    return {path: _level(path, list(boxes[path]), wires[path], size, direction) for path in boxes}


def compose(graph: Graph, levels: Mapping[str, Level], opened: Iterable[str] = ()) -> Layout:
    """Put the levels of open groups in place of their boxes."""
    placed = _Placed(levels, frozenset(opened))
    placed.put("", (0.0, 0.0))
    width, height = placed.size("")
    chains = _chains(graph, groups_of(graph))
    joined: dict[tuple[Key, Key, tuple[Point, ...]], dict[int, None]] = {}
    for position, node in enumerate(graph.nodes):
        for source in dict.fromkeys(node.inputs):
            segments = [(p, a, b) for p, a, b in _segments(chains, source, position) if p in placed.corner]
            if segments and not is_literal(graph.nodes[source]):
                points: list[Point] = []
                for path, start, end in segments:
                    points += placed.wire(path, start, end)
                ends = placed.visible(chains[source], source), placed.visible(chains[position], position)
                joined.setdefault((*ends, tuple(points)), {}).setdefault(source)
    edges = [Edge(start, end, tuple(values), points) for (start, end, points), values in joined.items() if start != end]
    return Layout(width, height, tuple(placed.boxes), tuple(edges))


def stretched(coordinate: float, spans: Sequence[tuple[float, float, float]]) -> float:
    """Where a coordinate goes when each span ``(from, to, length)`` of the axis becomes at least so long.

    Between neighbouring ends of spans the axis is stretched evenly, as much as the span that needs it most.
    """
    ends = sorted({end for start, stop, _ in spans for end in (start, stop) if end < coordinate})
    result = coordinate
    for start, stop in pairwise([*ends, coordinate]):
        factor = max([1.0, *[length / (b - a) for a, b, length in spans if a <= start and b >= stop]])
        result += (factor - 1.0) * (stop - start)
    return result


def default_sizes(graph: Graph, groups: Sequence[Group]) -> dict[Key, tuple[float, float]]:
    """Room for two lines of text in each box."""
    called = names(graph)
    sizes: dict[Key, tuple[float, float]] = {}
    for position, node in enumerate(graph.nodes):
        lines = (f"{called[position]}  {node.primitive.name}", formula(graph, position, called) or str(node.type))
        sizes[position] = max(72.0, min(260.0, 24 + max([text_width(line, 12) for line in lines]))), 44.0
    for outer in groups:
        for group in outer.walk():
            sizes[group.path] = max(96.0, 40 + text_width(group.name, 13)), 44.0
    return sizes


# -- which group a node is in


def _chains(graph: Graph, groups: Sequence[Group]) -> list[tuple[str, ...]]:
    """For each node the groups it is in, the whole graph first."""
    chains: list[tuple[str, ...]] = [("",)] * len(graph.nodes)
    for outer in groups:
        for group in outer.walk():
            for position in group.nodes:
                chains[position] = (*chains[position], group.path)
    return chains


def _views(chain: tuple[str, ...], position: int) -> list[tuple[str, Key]]:
    """In each level that shows a node or a group with it: the level, and what it is there."""
    return list(zip(chain, (*chain[1:], position), strict=True))


def _segments(chains: Sequence[tuple[str, ...]], source: int, target: int) -> list[tuple[str, Key, Key]]:
    """The way from a node to one that reads it: out of the groups around one, into those around the other."""
    start, end = _views(chains[source], source), _views(chains[target], target)
    common = 0
    while common + 1 < min(len(start), len(end)) and start[common + 1][0] == end[common + 1][0]:
        common += 1
    leaving = [(path, key, f"out:{source}") for path, key in reversed(start[common + 1 :])]
    entering = [(path, f"in:{source}", key) for path, key in end[common + 1 :]]
    return [*leaving, (start[common][0], start[common][1], end[common][1]), *entering]


# -- one level


def _level(
    path: str,
    keys: list[Key],
    wires: Mapping[tuple[Key, Key], Iterable[int]],
    size: Mapping[Key, tuple[float, float]],
    direction: Direction,
) -> Level:
    """Lay out one level; to lay it out rightwards is to lay it out downwards in a mirror."""
    flip: Callable[[Any], Any] = (lambda pair: (pair[1], pair[0])) if direction == "right" else lambda pair: pair
    place = {key: k for k, key in enumerate(keys)}
    entries = [k for k, key in enumerate(keys) if isinstance(key, str) and key.startswith("in:")]
    exits = [k for k, key in enumerate(keys) if isinstance(key, str) and key.startswith("out:")]
    ports = {*entries, *exits}
    drawn: Drawn = draw(
        [(0.0, 0.0) if k in ports else flip(size[key]) for k, key in enumerate(keys)],
        [(place[start], place[end]) for start, end in wires],
        first=entries,
        last=exits,
    )
    # the frame: its title above, room on all sides, points where values cross on the border
    left, top = (PADDING, PADDING + TITLE) if path else (0.0, 0.0)
    width, height = flip((drawn.width, drawn.height))
    width = max(width + 2 * left, text_width(path.rsplit("/", 1)[-1], 13) + 48.0 if path else 0.0)
    height = height + top + left
    shift = (width - flip((drawn.width, drawn.height))[0]) / 2, top

    def moved(point: Point) -> Point:
        x, y = flip(point)
        return x + shift[0], y + shift[1]

    def on_border(k: int, point: Point) -> Point:
        if k not in ports:
            return point
        far = k in exits
        return (width if far else 0.0, point[1]) if direction == "right" else (point[0], height if far else 0.0)

    boxes = []
    for k, (key, centre) in enumerate(zip(keys, drawn.centres, strict=True)):
        x, y = on_border(k, moved(centre))
        w, h = (0.0, 0.0) if k in ports else size[key]
        boxes.append(Box(key, x - w / 2, y - h / 2, w, h))
    edges = []
    for (start, end), values, line in zip(wires, wires.values(), drawn.lines, strict=True):
        points = [moved(point) for point in line]
        points[0], points[-1] = on_border(place[start], points[0]), on_border(place[end], points[-1])
        edges.append(Edge(start, end, tuple(values), tuple(points)))
    return Level(path, width, height, tuple(boxes), tuple(edges))


# -- several levels


class _Placed:
    """Levels on one sheet: for each visible one its upper left corner, and where its own coordinates go."""

    def __init__(self, levels: Mapping[str, Level], opened: frozenset[str]) -> None:
        self.levels, self.opened = levels, opened
        self.boxes: list[Box] = []
        self.corner: dict[str, Point] = {}
        self._spans: dict[str, tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]] = {}
        self._sizes: dict[str, Point] = {}
        self._at: dict[tuple[str, Key], Box] = {}
        self._before: dict[str, dict[Key, Box]] = {p: {b.key: b for b in level.boxes} for p, level in levels.items()}
        self._edges = {p: {(e.source, e.target): e.points for e in level.edges} for p, level in levels.items()}

    def spans(self, path: str) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
        """What the open groups of a level need, along both axes."""
        if path not in self._spans:
            open_boxes = [b for b in self.levels[path].boxes if b.key in self.opened]
            needed = [self.size(str(b.key)) for b in open_boxes]
            self._spans[path] = (
                [(b.x, b.x + b.width, w) for b, (w, _) in zip(open_boxes, needed, strict=True)],
                [(b.y, b.y + b.height, h) for b, (_, h) in zip(open_boxes, needed, strict=True)],
            )
        return self._spans[path]

    def size(self, path: str) -> Point:
        """Width and height of a level with what is open in it."""
        if path not in self._sizes:
            across, along = self.spans(path)
            level = self.levels[path]
            self._sizes[path] = stretched(level.width, across), stretched(level.height, along)
        return self._sizes[path]

    def point(self, path: str, point: Point) -> Point:
        """A point of a level, on the sheet."""
        (across, along), (x, y) = self.spans(path), self.corner[path]
        return x + stretched(point[0], across), y + stretched(point[1], along)

    def put(self, path: str, corner: Point) -> None:
        """Place a level and all that is open in it."""
        self.corner[path] = corner
        for box in self.levels[path].boxes:
            opened = box.key in self.opened
            width, height = self.size(str(box.key)) if opened else (box.width, box.height)
            x, y = self.point(path, box.centre)
            placed = Box(box.key, x - width / 2, y - height / 2, width, height, opened)
            self._at[path, box.key] = placed
            if box.width:
                self.boxes.append(placed)
            if opened:
                self.put(str(box.key), (placed.x, placed.y))

    def visible(self, chain: tuple[str, ...], position: int) -> Key:
        """The box in which one sees a node."""
        return next((path for path in chain[1:] if path not in self.corner), position)

    def wire(self, path: str, start: Key, end: Key) -> list[Point]:
        """An arrow of a level, on the sheet: it stays on the borders of boxes, and leaves out those of open groups."""
        points = self._edges[path][start, end]
        middle = [self.point(path, point) for point in points[1:-1]]
        first = [] if start in self.opened else [self._kept(path, start, points[0])]
        last = [] if end in self.opened else [self._kept(path, end, points[-1])]
        return [*first, *middle, *last]

    def _kept(self, path: str, key: Key, point: Point) -> Point:
        """A point on a box's border, where the box is now."""
        (old_x, old_y), (x, y) = self._before[path][key].centre, self._at[path, key].centre
        return point[0] - old_x + x, point[1] - old_y + y
