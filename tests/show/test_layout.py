"""Layouts: no boxes overlap, arrows go from border to border, groups open in place."""

from __future__ import annotations

import builtins
import time
from itertools import combinations, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import scope, trace
from chainrule.learn.step import training_step
from chainrule.show.groups import groups_of
from chainrule.show.layout import Box, Layout, compose, layout, levels
from chainrule.show.ranks import BOX_GAP, LINE_GAP, draw, settled
from chainrule.show.text import is_literal

NETWORK = cr.Network([cr.Dense(3), cr.BatchNorm(), cr.Maxout(4, pieces=2)], output=cr.Gaussian())


@st.composite
def graphs(draws: Any) -> Graph:
    """Random graphs with scopes in scopes."""
    paths = draws(st.lists(st.sampled_from(["", "a", "b", "a/c", "a/c/e", "b/d"]), min_size=1, max_size=25))
    picks = [(draws(st.integers(0, 10**6)), draws(st.integers(0, 10**6))) for _ in paths]

    def f(x: Any, y: Any) -> Any:
        values = [x, y]
        for path, (i, j) in zip(paths, picks, strict=True):
            with scope(path):
                values.append(values[i % len(values)] + np.exp(values[j % len(values)]))
        return tuple(values[-3:])

    return trace(f, cr.ArrayType((), np.dtype(float)), cr.ArrayType((), np.dtype(float)))


def overlap(a: Box, b: Box) -> bool:
    eps = 1e-6
    apart_across = a.x + a.width <= b.x + eps or b.x + b.width <= a.x + eps
    apart_along = a.y + a.height <= b.y + eps or b.y + b.height <= a.y + eps
    return not (apart_across or apart_along)


def within(outer: Box, inner: Box) -> bool:
    eps = 1e-6
    return (
        outer.x <= inner.x + eps
        and outer.y <= inner.y + eps
        and inner.x + inner.width <= outer.x + outer.width + eps
        and inner.y + inner.height <= outer.y + outer.height + eps
    )


def on_border(box: Box, point: tuple[float, float]) -> bool:
    x, y = point
    left, right, top, bottom = box.x, box.x + box.width, box.y, box.y + box.height
    inside = left - 1e-6 <= x <= right + 1e-6 and top - 1e-6 <= y <= bottom + 1e-6
    return inside and min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) < 1e-6


def cuts(a: tuple[float, float], b: tuple[float, float], box: Box, direction: str = "down") -> bool:
    """Whether a bend between two points, drawn as `chainrule.show.svg` draws it, cuts a box."""
    span = Box("span", min(a[0], b[0]), min(a[1], b[1]), abs(a[0] - b[0]), abs(a[1] - b[1]))
    if not overlap(span, box):  # a bend stays within
        return False
    t = np.linspace(0.0, 1.0, 65)
    along, across = (1, 0) if direction == "down" else (0, 1)
    points = np.empty((len(t), 2))
    points[:, across] = a[across] + (b[across] - a[across]) * (3 * t**2 - 2 * t**3)
    middle = (a[along] + b[along]) / 2
    points[:, along] = (1 - t) ** 3 * a[along] + 3 * t * (1 - t) * middle + t**3 * b[along]
    return any(overlap(Box("point", x, y, 0.0, 0.0), box) for x, y in points)


def check(graph: Graph, placed: Layout, direction: str = "down") -> None:
    """Everything that must be true of a layout."""
    boxes = {box.key: box for box in placed.boxes}
    assert len(boxes) == len(placed.boxes)
    members: dict[Any, set[int]] = {g.path: set(g.nodes) for outer in groups_of(graph) for g in outer.walk()}
    nodes = {key: members.get(key, {key}) for key in boxes}
    for a, b in combinations(placed.boxes, 2):
        if nodes[b.key] < nodes[a.key] and a.opened:
            assert within(a, b)
        else:
            assert not overlap(a, b), (a, b)
    sheet = Box("sheet", 0.0, 0.0, placed.width, placed.height)
    assert all(within(sheet, box) for box in placed.boxes)
    leaves = {key: nodes[key] for key, box in boxes.items() if not box.opened}
    shown = sorted(position for group in leaves.values() for position in group)
    assert len(shown) == len(set(shown))
    assert set(shown) >= {k for k, node in enumerate(graph.nodes) if not is_literal(node)}
    owner = {position: key for key, group in leaves.items() for position in group}
    wanted = {
        (owner[i], owner[position], i)
        for position, node in enumerate(graph.nodes)
        for i in node.inputs
        if not is_literal(graph.nodes[i]) and owner[i] != owner[position]
    }
    assert {(e.source, e.target, value) for e in placed.edges for value in e.values} == wanted
    axis = itemgetter(1 if direction == "down" else 0)
    for edge in placed.edges:
        assert on_border(boxes[edge.source], edge.points[0])
        assert on_border(boxes[edge.target], edge.points[-1])
        closed = [box for box in placed.boxes if not box.opened and box.key not in (edge.source, edge.target)]
        ahead = [axis(point) for point in edge.points]
        if ahead != sorted(ahead):  # folding closed a circle: then an arrow goes back, over what is there
            continue
        for a, b in pairwise(edge.points):
            assert not [box for box in closed if cuts(a, b, box, direction)], (edge, a, b)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_random_graphs(graph: Graph, data: Any) -> None:
    paths = [g.path for outer in groups_of(graph) for g in outer.walk()]
    opened = frozenset(data.draw(st.lists(st.sampled_from(paths), unique=True))) if paths else frozenset()
    size = st.tuples(st.floats(1, 400), st.floats(1, 200))
    keys: list[Any] = [*range(len(graph.nodes)), *paths]
    sizes = {key: data.draw(size) for key in data.draw(st.lists(st.sampled_from(keys), unique=True))}
    direction = data.draw(st.sampled_from(["down", "right"]))
    placed = layout(graph, opened, sizes=sizes, direction=direction)
    check(graph, placed, direction)
    for box in placed.boxes:
        if not box.opened and box.key in sizes:
            assert (box.width, box.height) == pytest.approx(sizes[box.key])
    assert layout(graph, opened, sizes=sizes, direction=direction) == placed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40), st.data())
def test_drawing_of_any_arrows(arrows: list[tuple[int, int]], data: Any) -> None:
    """Circles included, as folding may close some."""
    arrows = [(a, b) for a, b in dict.fromkeys(arrows) if a != b]
    sizes = [data.draw(st.tuples(st.floats(1, 300), st.floats(1, 100))) for _ in range(13)]
    drawn = draw(sizes, arrows)
    boxes = [
        Box(k, x - w / 2, y - h / 2, w, h) for k, ((x, y), (w, h)) in enumerate(zip(drawn.centres, sizes, strict=True))
    ]
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    for (start, end), line in zip(arrows, drawn.lines, strict=True):
        assert on_border(boxes[start], line[0])
        assert on_border(boxes[end], line[-1])


@pytest.mark.parametrize("direction", ["down", "right"])
def test_arrows_point_down_or_right(direction: Any) -> None:
    placed = layout(trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0), direction=direction)
    axis = 1 if direction == "down" else 0
    for edge in placed.edges:
        ahead = [point[axis] for point in edge.points]
        assert ahead == sorted(ahead)
        assert ahead[0] < ahead[-1]
    assert len(placed.boxes) == 5  # the number 1 is written where it is used


def test_long_arrows_pass_beside_boxes() -> None:
    """A line from layer to layer is upright where it passes boxes, so it cuts none."""

    def f(x: Any) -> Any:
        y = x
        for _ in range(6):
            y = np.tanh(y)
        return x + y

    placed = layout(trace(f, 1.0))
    long = next(edge for edge in placed.edges if len(edge.points) > 4)
    for box in placed.boxes:
        if box.key not in (long.source, long.target):
            upright = [(a, b) for a, b in zip(long.points, long.points[1:], strict=False) if a[0] == b[0]]
            assert len(upright) >= 5
            assert all(not (box.x < a[0] < box.x + box.width and a[1] < box.y + 1 < b[1]) for a, b in upright)


def test_every_group_of_a_training_step_opens() -> None:
    graph = training_step(NETWORK, cr.Adam(), 2, 1, 8, penalties=(cr.L2(0.1), cr.L1(0.1))).graph
    known = levels(graph)
    for path in known.keys() - {""}:
        parts = path.split("/")
        opened = frozenset("/".join(parts[: k + 1]) for k in range(len(parts)))
        check(graph, compose(graph, known, opened))
    check(graph, compose(graph, known, known.keys() - {""}))
    folded = compose(graph, known)
    assert not any(box.opened for box in folded.boxes)
    assert compose(graph, known, ["gradient/layer1"]) == folded  # inside a closed group: out of sight


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(0, 300), st.booleans()), min_size=1, max_size=8))
def test_settled_is_the_nearest(row: list[tuple[float, float, bool]]) -> None:
    wishes, widths, is_box = map(list, zip(*row, strict=True))
    least = [(a + b) / 2 for a, b in pairwise(widths)]
    least = [d + (BOX_GAP if p and q else LINE_GAP) for d, (p, q) in zip(least, pairwise(is_box), strict=True)]
    centres = settled(wishes, widths, is_box)
    assert all(b - a >= d - 1e-6 for (a, b), d in zip(pairwise(centres), least, strict=True))
    solved = minimize(
        lambda x: np.sum((x - wishes) ** 2),
        centres,
        jac=lambda x: 2 * (x - np.array(wishes)),
        constraints=[{"type": "ineq", "fun": lambda x: np.diff(x) - least}] if least else [],
        method="SLSQP",
    )
    cost = np.sum(np.subtract(centres, wishes) ** 2)
    assert cost <= solved.fun + 1e-3 + 1e-6 * cost


def test_opening_moves_no_other_row_sideways() -> None:
    graph = NETWORK.trace(n_inputs=2)
    known = levels(graph)
    folded = {box.key: box for box in compose(graph, known).boxes}
    opened = {box.key: box for box in compose(graph, known, ["layer2"]).boxes}
    assert opened["layer2"].opened
    moves = {opened[key].x - folded[key].x for key in folded if key != "layer2"}
    assert max(moves) - min(moves) < 1e-6
    assert opened["layer3"].y - folded["layer3"].y == pytest.approx(opened["layer2"].height - folded["layer2"].height)


def test_nothing_and_one_node() -> None:
    assert layout(trace(lambda: (), name="empty")) == Layout(0.0, 0.0, (), ())
    placed = layout(trace(lambda x: x, 1.0))
    assert [box.key for box in placed.boxes] == [0]
    assert placed.edges == ()


def test_wrong_options() -> None:
    graph = NETWORK.trace(n_inputs=2)
    with pytest.raises(OptionError, match="no group 'layer7' to open; it has layer1, layer2, layer3, output"):
        layout(graph, ["layer7"])
    with pytest.raises(OptionError, match="'down' or 'right', got 'up'"):
        layout(graph, direction="up")  # type: ignore[arg-type]


def test_without_igraph(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "igraph":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(OptionError, match=r'pip install "chainrule\[show\]"'):
        layout(NETWORK.trace(n_inputs=2))


def test_a_thousand_nodes_in_half_a_second() -> None:
    rng = np.random.default_rng(0)

    def f(x: Any) -> Any:
        values = [x]
        for k in range(990):
            i, j = rng.integers(max(0, len(values) - 30), len(values), 2)
            values.append(values[i] + values[j] if k % 3 else np.tanh(values[i]))
        return tuple(values)

    graph = trace(f, 1.0)
    assert len(graph.nodes) > 980
    layout(trace(f, 1.0))  # igraph is loaded
    times = []
    for _ in range(3):
        start = time.process_time()  # of this process: others may be busy
        layout(graph)
        times.append(time.process_time() - start)
    assert min(times) < 0.5
