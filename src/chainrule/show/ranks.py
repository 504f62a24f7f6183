"""Boxes of any size in layers, arrows between them: the layered drawing of one directed graph.

After Sugiyama, Tagawa & Toda (1981): put every box into a layer below those it reads; lead long arrows through one
invisible point per layer; order the layers so that few arrows cross (igraph); then let boxes move towards their
neighbours as far as their sizes allow, which is an isotonic regression per layer (Barlow et al. 1972).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

from chainrule.errors import OptionError

Point = tuple[float, float]
Arrow = tuple[int, int]  # from box to box

Direction = Literal["down", "right"]

#: space between boxes of a layer, and around lines that pass, in pixels
BOX_GAP, LINE_GAP = 28.0, 12.0
#: between layers, where numbers stand beside the arrows
LAYER_GAP: dict[Direction, float] = {"down": 44.0, "right": 68.0}
#: how many invisible points lead long arrows; the longest ones beyond that go straight
MAX_POINTS = 3000
_SWEEPS = 6


@dataclass(frozen=True)
class Drawn:
    """A drawing from layer to layer downwards, its upper left corner at (0, 0).

    Parameters
    ----------
    width, height : float
    centres : list of points
        One for each box.
    lines : list of lists of points
        One for each arrow, from border to border.
    rows : list of (float, float)
        Where each layer begins and ends.
    """

    width: float
    height: float
    centres: list[Point]
    lines: list[list[Point]]
    rows: list[Point]


def draw(
    sizes: Sequence[tuple[float, float]],
    arrows: Sequence[Arrow],
    first: Sequence[int] = (),
    last: Sequence[int] = (),
    gap: float = LAYER_GAP["down"],
) -> Drawn:
    """Draw boxes and arrows in layers.

    Parameters
    ----------
    sizes : sequence of (width, height)
    arrows : sequence of (int, int)
        Pairs of boxes. Where they go round in circles, some point upwards.
    first, last : sequence of int
        Boxes that have the topmost layer, and the lowest, for themselves.
    gap : float
        Between layers, in pixels.

    Raises
    ------
    OptionError
        If igraph is not installed.
    """
    if not sizes:
        return Drawn(0.0, 0.0, [], [], [])
    down = _acyclic(len(sizes), arrows)
    layer = _layers(len(sizes), down, first, last)
    points = _Points(sizes, layer)
    routes = _routes(points, down, layer)
    order = _order(points)
    across = _coordinates(points, order)
    tops, heights = _tops(points, order, gap)
    centres = [(across[k], tops[layer[k]] + heights[layer[k]] / 2) for k in range(len(sizes))]
    lines = _lines(sizes, arrows, down, routes, points, across, centres, tops, heights)
    left = min([across[k] - points.width[k] / 2 for k in range(len(across))])
    right = max([across[k] + points.width[k] / 2 for k in range(len(across))])
    return Drawn(
        right - left,
        tops[-1] + heights[-1],
        [(x - left, y) for x, y in centres],
        [[(x - left, y) for x, y in line] for line in lines],
        [(top, top + height) for top, height in zip(tops, heights, strict=True)],
    )


class _Points:
    """Boxes, and the invisible points that long arrows pass through."""

    def __init__(self, sizes: Sequence[tuple[float, float]], layer: Sequence[int]) -> None:
        self.n_boxes = len(sizes)
        self.width = [width for width, _ in sizes]
        self.height = [height for _, height in sizes]
        self.layer = list(layer)
        self.arrows: list[Arrow] = []  # each to the next layer

    def add(self, layer: int) -> int:
        self.width.append(0.0)
        self.height.append(0.0)
        self.layer.append(layer)
        return len(self.layer) - 1


def _acyclic(n: int, arrows: Sequence[Arrow]) -> list[Arrow]:
    """The arrows, turned round where they close a circle; boxes come as early as those given before them allow."""
    waiting = [0] * n
    readers: list[list[int]] = [[] for _ in range(n)]
    for start, end in arrows:
        waiting[end] += 1
        readers[start].append(end)
    ready = [k for k in range(n) if not waiting[k]]
    heapify(ready)
    turn: dict[int, int] = {}
    unseen = iter(range(n))
    while len(turn) < n:
        k = heappop(ready) if ready else next(k for k in unseen if k not in turn)
        if k in turn:
            continue
        turn[k] = len(turn)
        for reader in readers[k]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, reader)
    return [(a, b) if turn[a] < turn[b] else (b, a) for a, b in arrows]


def _layers(n: int, arrows: Sequence[Arrow], first: Sequence[int], last: Sequence[int]) -> list[int]:
    """A layer for each box, below all it reads, and near its readers where that makes no arrow longer in sum."""
    above: list[set[int]] = [set() for _ in range(n)]
    below: list[set[int]] = [set() for _ in range(n)]
    for start, end in arrows:
        above[end].add(start)
        below[start].add(end)
    order: list[int] = []
    waiting = [len(a) for a in above]
    ready = [k for k in range(n) if not waiting[k]]
    while ready:
        k = ready.pop()
        order.append(k)
        for reader in below[k]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    layer = [0] * n
    offset = 1 if first else 0
    fixed = {*first, *last}
    for k in order:
        layer[k] = 0 if k in first else max([offset, *[layer[i] + 1 for i in above[k]]])
    for k in reversed(order):
        if k not in fixed and below[k] and len(above[k] - fixed) <= len(below[k]):
            layer[k] = min([layer[i] for i in below[k]]) - 1
    lowest = max([layer[k] for k in range(n) if k not in last], default=0) + 1
    for k in last:
        layer[k] = lowest
    used = {old: new for new, old in enumerate(sorted(set(layer)))}
    return [used[k] for k in layer]


def _routes(points: _Points, arrows: Sequence[Arrow], layer: Sequence[int]) -> dict[Arrow, list[int]]:
    """The invisible points of each arrow; arrows from one box share theirs while they go the same way."""
    routes: dict[Arrow, list[int]] = {}
    shared: dict[tuple[int, int], int] = {}
    for start, end in sorted(set(arrows), key=lambda arrow: layer[arrow[1]] - layer[arrow[0]]):
        routes[start, end] = route = []
        if len(points.layer) - points.n_boxes + layer[end] - layer[start] > MAX_POINTS:
            continue
        previous = start
        for passed in range(layer[start] + 1, layer[end]):
            if (start, passed) not in shared:
                shared[start, passed] = points.add(passed)
                points.arrows.append((previous, shared[start, passed]))
            previous = shared[start, passed]
            route.append(previous)
        points.arrows.append((previous, end))
    return routes


def _order(points: _Points) -> list[list[int]]:
    """The order within each layer in which few arrows cross."""
    try:
        from igraph import Graph
    except ImportError:
        raise OptionError('drawing a graph needs igraph; install it with: pip install "chainrule[show]"') from None
    graph = Graph(n=len(points.layer), edges=points.arrows, directed=True)
    coordinates = graph.layout_sugiyama(layers=points.layer, maxiter=24).coords
    order: list[list[int]] = [[] for _ in range(max(points.layer) + 1)]
    for k in sorted(range(len(points.layer)), key=lambda k: (coordinates[k][0], k)):
        order[points.layer[k]].append(k)
    return order


def _coordinates(points: _Points, order: Sequence[Sequence[int]]) -> list[float]:
    """Positions across the layers: each box near the mean of its neighbours, lines straight, no overlap."""
    across = [0.0] * len(points.layer)
    for row in order:
        widths = [points.width[k] for k in row]
        for k, x in zip(row, settled([0.0] * len(row), widths, [k < points.n_boxes for k in row]), strict=True):
            across[k] = x
    up: list[list[tuple[int, float]]] = [[] for _ in across]
    down: list[list[tuple[int, float]]] = [[] for _ in across]
    for start, end in points.arrows:
        weight = 1.0 + 2.0 * (start >= points.n_boxes) + 2.0 * (end >= points.n_boxes)
        down[start].append((end, weight))
        up[end].append((start, weight))
    for k in range(points.n_boxes, len(across)):  # a line goes straight on, whatever branches off it
        for sides in (up, down):
            sides[k] = [pair for pair in sides[k] if pair[0] >= points.n_boxes] or sides[k]
    both = [[*u, *d] for u, d in zip(up, down, strict=True)]
    for sweep in range(_SWEEPS):
        for neighbours, rows in ((up, order), (down, order[::-1])):
            for row in rows:
                _settle(points, row, across, neighbours if sweep < _SWEEPS - 1 else both)
    return across


def _settle(
    points: _Points, row: Sequence[int], across: list[float], neighbours: Sequence[Sequence[tuple[int, float]]]
) -> None:
    """Move the boxes of a layer as near to the mean of their neighbours as their sizes allow."""
    weights = [sum([w for _, w in neighbours[k]]) for k in row]
    wishes = [
        sum([across[i] * w for i, w in neighbours[k]]) / weight if weight else across[k]
        for k, weight in zip(row, weights, strict=True)
    ]
    widths, is_box = [points.width[k] for k in row], [k < points.n_boxes for k in row]
    for k, x in zip(row, settled(wishes, widths, is_box, [w or 0.01 for w in weights]), strict=True):
        across[k] = x


def settled(
    wishes: Sequence[float], widths: Sequence[float], is_box: Sequence[bool], weights: Sequence[float] | None = None
) -> list[float]:
    """Centres of boxes and lines side by side in this order, as near to where they wish as their widths allow.

    Nearest in (weighted) least squares: with the room between neighbours taken off, centres must not fall; neighbours
    that would are pooled and take their mean, which is isotonic regression.

    Parameters
    ----------
    wishes, widths : sequence of float
    is_box : sequence of bool
        Two boxes keep further apart than a line and its neighbour.
    weights : sequence of float, optional
    """
    taken = [0.0]
    for k in range(1, len(wishes)):
        gap = BOX_GAP if is_box[k - 1] and is_box[k] else LINE_GAP
        taken.append(taken[-1] + (widths[k - 1] + widths[k]) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for k, (wish, room) in enumerate(zip(wishes, taken, strict=True)):
        mean, weight, count = wish - room, 1.0 if weights is None else weights[k], 1
        while pools and pools[-1][0] >= mean:
            other, its, members = pools.pop()
            mean = (mean * weight + other * its) / (weight + its)
            weight, count = weight + its, count + members
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + room for mean, room in zip(means, taken, strict=True)]


def _tops(points: _Points, order: Sequence[Sequence[int]], gap: float) -> tuple[list[float], list[float]]:
    """Where each layer begins, and how high it is: as its highest box."""
    heights = [max([points.height[k] for k in row]) for row in order]
    tops = [0.0]
    for height in heights[:-1]:
        tops.append(tops[-1] + height + gap)
    return tops, heights


def _lines(
    sizes: Sequence[tuple[float, float]],
    arrows: Sequence[Arrow],
    down: Sequence[Arrow],
    routes: dict[Arrow, list[int]],
    points: _Points,
    across: Sequence[float],
    centres: Sequence[Point],
    tops: Sequence[float],
    heights: Sequence[float],
) -> list[list[Point]]:
    """Each arrow's points: from the middle of the box it leaves, to places side by side on the one it reaches."""
    arriving: dict[int, list[tuple[float, int]]] = {}
    for k, (start, end) in enumerate(down):
        route = routes[start, end]
        arriving.setdefault(end, []).append((across[route[-1] if route else start], k))
    place: dict[int, float] = {}
    for end, comers in arriving.items():
        width = sizes[end][0] * 0.8
        for rank, (_, k) in enumerate(sorted(comers)):
            place[k] = across[end] + width * ((rank + 1) / (len(comers) + 1) - 0.5)
    lines = []
    for k, (start, end) in enumerate(down):
        line = [(across[start], centres[start][1] + sizes[start][1] / 2)]
        for point in routes[start, end]:
            row = points.layer[point]
            line += [(across[point], tops[row]), (across[point], tops[row] + heights[row])]
        line.append((place[k], centres[end][1] - sizes[end][1] / 2))
        lines.append(line if arrows[k] == (start, end) else line[::-1])
    return lines
