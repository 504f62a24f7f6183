"""Where the boxes and arrows of a graph's picture lie, for every way of folding it.

The inside of each group is laid out once, on its own, with all that is inside of it folded: a `Level`. Values that
come from outside enter through a point on the border, results leave through another. Layers follow Sugiyama, Tagawa &
Toda (1981): igraph finds the order within each layer that crosses few arrows, coordinates then respect the size of
every box.

To open a group is to put its level in place of its box. That needs no new layout, so a page can do it too: the row
grows as high as its highest box, and in it boxes and passing lines move aside as little as they can (`settled`).
Nothing else moves, except down.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.show.groups import Group, groups_of
from chainrule.show.ranks import LAYER_GAP, Direction, Point, draw, settled
from chainrule.show.text import formula, is_literal, names, text_width

#: a node's position in ``graph.nodes``, or a group's path; in a level also ``in:5``, ``out:5``, where value 5 crosses
Key = int | str

PADDING, TITLE = 16.0, 32.0  # inside an open group


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
        Between their ends, points come in pairs: where the line enters a row and where it leaves it.
    rows : tuple of (float, float)
        Where each row of boxes begins and ends, downwards or rightwards.
    direction : {"down", "right"}
    """

    path: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    rows: tuple[Point, ...] = ()
    direction: Direction = "down"


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
    first = {group.path: group.nodes[0] for outer in groups for group in outer.walk()}
    made: dict[str, Level] = {}
    for path in reversed(paths):  # the inside of a group before the level it is in
        # boxes that could change places stand as in the graph, or in the order in which a group takes them in
        rank: dict[Key, tuple[float, float]] = {}
        for key in boxes[path]:
            place = key if isinstance(key, int) else first[key] if key in first else int(key.partition(":")[2])
            rank[key] = float(place), 0.0
        readers: dict[Key, set[Key]] = {}
        for start, end in wires[path]:
            readers.setdefault(start, set()).add(end)
        for start, (end, *others) in readers.items():
            if end in made and not others:
                entries = {f"in:{value}" for value in wires[path][start, end]}
                port = next(box for box in made[str(end)].boxes if box.key in entries)
                rank[start] = rank[end][0] - 0.5, port.x if direction == "down" else port.y
        keys = sorted(boxes[path], key=rank.__getitem__)
        made[path] = _level(path, keys, wires[path], size, direction)
    return {path: made[path] for path in paths}


def compose(graph: Graph, levels: Mapping[str, Level], opened: Iterable[str] = ()) -> Layout:
    """Put the levels of open groups in place of their boxes."""
    placed = _Placed(levels, frozenset(opened))
    if not levels[""].boxes:
        return Layout(0.0, 0.0, (), ())
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


def _flip(pair: Point) -> Point:
    return pair[1], pair[0]


def _same(pair: Point) -> Point:
    return pair


#: to lay out rightwards is to lay out downwards in a mirror
_MIRROR: dict[Direction, Callable[[Point], Point]] = {"down": _same, "right": _flip}


def _level(
    path: str,
    keys: list[Key],
    wires: Mapping[tuple[Key, Key], Iterable[int]],
    size: Mapping[Key, tuple[float, float]],
    direction: Direction,
) -> Level:
    """Lay out one level."""
    mirror = _MIRROR[direction]
    place = {key: k for k, key in enumerate(keys)}
    entries = [k for k, key in enumerate(keys) if isinstance(key, str) and key.startswith("in:")]
    exits = [k for k, key in enumerate(keys) if isinstance(key, str) and key.startswith("out:")]
    ports = {*entries, *exits}
    own = [(0.0, 0.0) if k in ports else size[key] for k, key in enumerate(keys)]
    gap = LAYER_GAP[direction]
    drawn = draw([mirror(each) for each in own], [(place[a], place[b]) for a, b in wires], entries, exits, gap)
    # the frame: room on all sides, a title above; values cross on the border itself, where the gap is room enough
    left, top, right, bottom = (PADDING, TITLE, PADDING, PADDING) if path else (0.0, 0.0, 0.0, 0.0)
    if direction == "down":
        top, bottom = 0.0 if entries else top, 0.0 if exits else bottom
    else:
        left, right = 0.0 if entries else left, 0.0 if exits else right
    inner = mirror((drawn.width, drawn.height))
    if path and direction == "down":
        spare = max(0.0, text_width(path.rsplit("/", 1)[-1], 12) + 44.0 - inner[0] - left - right)
        left, right = left + spare / 2, right + spare / 2

    def moved(point: Point) -> Point:
        x, y = mirror(point)
        return x + left, y + top

    boxes = []
    for key, centre, (width, height) in zip(keys, drawn.centres, own, strict=True):
        x, y = moved(centre)
        boxes.append(Box(key, x - width / 2, y - height / 2, width, height))
    edges = [
        Edge(start, end, tuple(values), tuple([moved(point) for point in line]))
        for (start, end), values, line in zip(wires, wires.values(), drawn.lines, strict=True)
    ]
    before = mirror((left, top))[1]
    rows = tuple([(start + before, end + before) for start, end in drawn.rows])
    width, height = inner[0] + left + right, inner[1] + top + bottom
    return Level(path, width, height, tuple(boxes), tuple(edges), rows, direction)


# -- several levels


class _Open:
    """A level with some of its groups open: for its boxes and lines, where they are now.

    Parameters
    ----------
    level : Level
    grown : mapping
        Width and height of the open groups.
    """

    def __init__(self, level: Level, grown: Mapping[Key, Point]) -> None:
        self.mirror = mirror = _MIRROR[level.direction]
        sizes = {box.key: mirror(grown.get(box.key, (box.width, box.height))) for box in level.boxes}
        centres = {box.key: mirror(box.centre) for box in level.boxes}
        self._between = [(end + start) / 2 for (_, end), (start, _) in pairwise(level.rows)]
        # what is in each row, by its place across: boxes, and lines that pass
        items: list[dict[Key | Point, float]] = [{} for _ in level.rows]
        for box in level.boxes:
            across, along = centres[box.key]
            items[self._row(along)][box.key] = across
        for edge in level.edges:
            for point in edge.points[1:-1:2]:
                across, along = mirror(point)
                row = self._row(along)
                items[row].setdefault((float(row), across), across)
        self.centre: dict[Key, Point] = {}
        self._lines: dict[Point, float] = {}
        self._rows: list[tuple[Point, Point]] = []
        begin, previous = 0.0, 0.0
        for band, within in zip(level.rows, items, strict=True):
            begin += band[0] - previous
            end = begin + max([sizes[key][1] for key in within if not isinstance(key, tuple)], default=0.0)
            self._rows.append((band, (begin, end)))
            order = sorted(within, key=within.__getitem__)
            widths = [0.0 if isinstance(item, tuple) else sizes[item][0] for item in order]
            is_box = [not isinstance(item, tuple) for item in order]
            for item, across in zip(order, settled([within[item] for item in order], widths, is_box), strict=True):
                if isinstance(item, tuple):
                    self._lines[item] = across
                else:
                    self.centre[item] = across, (begin + end) / 2
            begin, previous = end, band[1]
        ends = [(self.centre[k][0] - sizes[k][0] / 2, self.centre[k][0] + sizes[k][0] / 2) for k in sizes]
        ends += [(across, across) for across in self._lines.values()]
        before = [(centres[b.key][0], mirror((b.width, b.height))[0] / 2) for b in level.boxes]
        low = min([x - half for x, half in before] + [x for _, x in self._lines])
        high = max([x + half for x, half in before] + [x for _, x in self._lines])
        old = mirror((level.width, level.height))
        self._shift = low - min([start for start, _ in ends])
        width = max([end for _, end in ends]) + self._shift + old[0] - high
        self.size = mirror((width, begin + old[1] - previous))

    def _row(self, along: float) -> int:
        """The row that is nearest."""
        return bisect_left(self._between, along)

    def row(self, along: float) -> Point:
        """Where the row at a place before is now."""
        return self._rows[self._row(along)][1]

    def box(self, key: Key) -> Point:
        """The centre of a box."""
        across, along = self.centre[key]
        return self.mirror((across + self._shift, along))

    def line(self, point: Point) -> Point:
        """A point where a line enters or leaves a row."""
        across, along = self.mirror(point)
        row = self._row(along)
        band, now = self._rows[row]
        enters = abs(along - band[0]) <= abs(along - band[1])
        return self.mirror((self._lines[float(row), across] + self._shift, now[0] if enters else now[1]))


class _Placed:
    """Levels on one sheet."""

    def __init__(self, levels: Mapping[str, Level], opened: frozenset[str]) -> None:
        self.levels, self.opened = levels, opened
        self.boxes: list[Box] = []
        self.corner: dict[str, Point] = {}
        self._open: dict[str, _Open] = {}
        self._at: dict[tuple[str, Key], Point] = {}
        self._before = {p: {b.key: b.centre for b in level.boxes} for p, level in levels.items()}
        self._edges = {p: {(e.source, e.target): e.points for e in level.edges} for p, level in levels.items()}

    def size(self, path: str) -> Point:
        """Width and height of a level with what is open in it."""
        if path not in self._open:
            inside = [box.key for box in self.levels[path].boxes if box.key in self.opened]
            self._open[path] = _Open(self.levels[path], {key: self.size(str(key)) for key in inside})
        return self._open[path].size

    def put(self, path: str, corner: Point) -> None:
        """Place a level and all that is open in it."""
        self.corner[path] = corner
        self.size(path)
        for box in self.levels[path].boxes:
            opened = box.key in self.opened
            width, height = self.size(str(box.key)) if opened else (box.width, box.height)
            x, y = self._open[path].box(box.key)
            x, y = x + corner[0], y + corner[1]
            self._at[path, box.key] = x, y
            placed = Box(box.key, x - width / 2, y - height / 2, width, height, opened)
            if box.width:
                self.boxes.append(placed)
            if opened:
                self.put(str(box.key), (placed.x, placed.y))

    def visible(self, chain: tuple[str, ...], position: int) -> Key:
        """The box in which one sees a node."""
        return next((path for path in chain[1:] if path not in self.corner), position)

    def wire(self, path: str, start: Key, end: Key) -> list[Point]:
        """An arrow of a level, on the sheet: in rows straight, so that it cuts no box; without ends at open groups."""
        points, (left, top) = self._edges[path][start, end], self.corner[path]
        middle = [(x + left, y + top) for x, y in map(self._open[path].line, points[1:-1])]
        first = [] if start in self.opened else self._end(path, start, points[0])
        last = [] if end in self.opened else self._end(path, end, points[-1])[::-1]
        return [*first, *middle, *last]

    def _end(self, path: str, key: Key, point: Point) -> list[Point]:
        """A point on a box's border, where the box is now, and straight on where it leaves the row."""
        (old_x, old_y), (x, y) = self._before[path][key], self._at[path, key]
        moved = point[0] - old_x + x, point[1] - old_y + y
        mirror = _MIRROR[self.levels[path].direction]
        across, along = mirror(moved)
        begin, end = self._open[path].row(mirror((old_x, old_y))[1])
        border = mirror(self.corner[path])[1] + (end if along > mirror((x, y))[1] else begin)
        return [moved] if abs(border - along) < 1e-6 else [moved, mirror((across, border))]
