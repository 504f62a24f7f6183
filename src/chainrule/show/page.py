"""The graph page: a story and its graph's layout as data, in one HTML file with the scripts that show them."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.show.formulas import formula, on_arrow, pullback
from chainrule.show.groups import Group, groups_of
from chainrule.show.layout import Key, Level, compose, levels
from chainrule.show.ranks import BOX_GAP, LINE_GAP, Direction
from chainrule.show.story import PULLED_BACK, Story
from chainrule.show.text import formula as formula_text
from chainrule.show.text import is_literal, names, text_width

#: the greatest size of a page, in bytes
MAX_BYTES = 500_000
#: arrays of so few elements always travel with the page; of larger ones as many as there is room for
SMALL = 16
#: boxes that a page shows at first, by opening groups
OPEN_BOXES = 36
#: scripts, each after those it imports
SCRIPTS = (
    "arrays",
    "special",
    "primitives",
    "program",
    "text",
    "heat",
    "place",
    "state",
    "stage",
    "panel",
    "frame",
    "main",
)


@dataclass(frozen=True)
class Control:
    """A slider, or a list to choose from, for one element of an input.

    Parameters
    ----------
    label : str
    input : int
        Which input of the graph.
    element : int
        Which of its elements, counted in row-major order.
    low, high : float
        Ends of the slider.
    choices : tuple of (str, float)
        What there is to choose from, instead of a slider.
    missing : bool
        Whether it may be missing, which is NaN.
    """

    label: str
    input: int
    element: int = 0
    low: float = 0.0
    high: float = 0.0
    choices: tuple[tuple[str, float], ...] = ()
    missing: bool = False


@dataclass(frozen=True)
class Readout:
    """A result to keep in sight: a node, and what its elements are called.

    Parameters
    ----------
    label : str
    position : int
    elements : tuple of str
    note : str
        What is known besides, about the row as it was given.
    shares : bool
        Whether the elements are shares of one, to be drawn as bars.
    """

    label: str
    position: int
    elements: tuple[str, ...] = ()
    note: str = ""
    shares: bool = True


@dataclass(frozen=True)
class Show:
    """What a page shows besides the story itself.

    Parameters
    ----------
    title, subtitle : str
    parameters : tuple of int
        Positions of the inputs that a gradient step changes.
    learning_rate : float
    controls : tuple of Control
    readouts : tuple of Readout
    folded : tuple of str
        Paths of groups that are closed at first.
    """

    title: str
    subtitle: str = ""
    parameters: tuple[int, ...] = ()
    learning_rate: float = 0.1
    controls: tuple[Control, ...] = ()
    readouts: tuple[Readout, ...] = field(default=())
    folded: tuple[str, ...] = ()


def page(story: Story, show: Show) -> str:
    """Write the page.

    Raises
    ------
    OptionError
        If it cannot be kept within `MAX_BYTES`.
    """
    data = _data(story, show)
    numbers: list[Any] = [encode(x) for x in story.numbers]
    largest = sorted(range(len(numbers)), key=lambda k: story.numbers[k].size)
    while True:
        text = _fill(show, _pack({**data, "numbers": numbers}))
        excess = len(text.encode()) - MAX_BYTES
        if excess <= 0:
            return text
        if not largest or story.numbers[largest[-1]].size <= SMALL:
            break
        while excess > 0 and largest:  # what does not fit is left to the page, which computes it from the inputs
            k = largest.pop()
            excess -= len(str(numbers[k])) // 2
            numbers[k] = None
    total = sum(x.size for x in story.arguments)
    raise OptionError(
        f"the page of {story.graph.name} would have {len(text.encode()) // 1000} kB, more than {MAX_BYTES // 1000} kB: "
        f"its inputs are {total} numbers, its nodes {len(story.graph.nodes)}; draw a smaller network or fewer rows"
    )


def fits(story: Story, show: Show) -> bool:
    """Whether `page` can write it."""
    try:
        page(story, show)
    except OptionError:
        return False
    return True


def bundle(scripts: Sequence[str] = SCRIPTS) -> str:
    """Our ES modules as one: each in a scope of its own, imports and exports made plain assignments."""
    folder = files("chainrule.show") / "assets"
    parts = []
    for name in scripts:
        text = (folder / f"{name}.js").read_text("utf-8")
        text = re.sub(
            r'^import (?:\* as (\w+)|(\{[^}]*\})) from "\./(\w+)\.js";$',
            lambda m: f"const {m[1] or m[2]} = module_{m[3]};",
            text,
            flags=re.MULTILINE,
        )
        exported = re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", text, flags=re.MULTILINE)
        text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
        scoped = f"const module_{name} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();"
        parts.append(scoped if exported else text)
    return "\n".join(parts)


def _fill(show: Show, data: str) -> str:
    folder = files("chainrule.show") / "assets"
    parts = {
        "TITLE": html.escape(show.title),
        "SUBTITLE": html.escape(show.subtitle),
        "STYLE": (folder / "page.css").read_text("utf-8"),
        "DATA": data,
        "SCRIPT": bundle(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], (folder / "page.html").read_text("utf-8"))


def _pack(data: Mapping[str, Any]) -> str:
    """JSON, deflated, in base64: browsers inflate it, and it can hold nothing that a page would take for markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


# -- numbers


def encode(x: Any) -> float | str:
    """An array for the page: a number, ``nan``, ``inf``, or base64 of its bytes after a letter for their kind.

    ``d`` float64, ``f`` float32 where that holds the numbers exactly, ``b`` bytes, ``u`` uint64.
    """
    x = np.asarray(x)
    if x.dtype == np.uint64:
        return _base64("u", x, "<u8")
    wide = x.astype(np.float64)
    if x.ndim == 0:
        value = float(wide)
        return value if np.isfinite(value) else str(value)
    with np.errstate(all="ignore"):
        single = wide.astype("<f4")
        if x.dtype.kind in "iub" and ((wide >= 0) & (wide < 256)).all():
            return _base64("b", wide, "u1")
        return (
            _base64("f", single, "<f4") if np.array_equal(single, wide, equal_nan=True) else _base64("d", wide, "<f8")
        )


def _base64(letter: str, x: np.ndarray, dtype: str) -> str:
    return f"{letter}:{base64.b64encode(x.astype(dtype).tobytes()).decode()}"


# -- the story as data


def _data(story: Story, show: Show) -> dict[str, Any]:
    graph = story.graph
    called = names(graph, story.cost)
    templates: dict[str, int] = {"": 0}

    def template(text: str) -> int:
        return templates.setdefault(text, len(templates))

    nodes = [
        {
            "name": called[i],
            "op": node.primitive.name,
            "formula": template(formula(graph, i)),
            "inputs": list(node.inputs),
            "shape": list(node.shape),
            "dtype": node.dtype.name,
            "value": story.values[i],
            "gradient": story.gradients[i],
            "literal": is_literal(node),
        }
        for i, node in enumerate(graph.nodes)
    ]
    arrows = [
        [
            a.source,
            a.target,
            a.operand,
            a.share,
            a.kind,
            a.local,
            template(pullback(graph, a.target, a.operand)) if a.kind == PULLED_BACK else 0,
            template(on_arrow(graph, a.target, a.operand)) if a.kind == PULLED_BACK else 0,
        ]
        for a in story.arrows
    ]
    groups = groups_of(graph)
    inputs = set(graph.inputs)
    placed, opened = _place(graph, called, groups, show.folded)
    return {
        "title": show.title,
        "subtitle": show.subtitle,
        "nodes": nodes,
        "arrows": arrows,
        "templates": list(templates),
        "cost": story.cost,
        "inputs": list(graph.inputs),
        "arguments": [encode(x) for x in story.arguments],
        "program": _program(story.program),
        "parameters": [i for i in show.parameters if i in inputs and story.gradients[i] is not None],
        "rate": show.learning_rate,
        "controls": [{**vars(c), "choices": [list(choice) for choice in c.choices]} for c in show.controls],
        "readouts": [vars(r) for r in show.readouts],
        "groups": [{"path": g.path, "name": g.name, "nodes": list(g.nodes)} for o in groups for g in o.walk()],
        "gaps": {"box": BOX_GAP, "line": LINE_GAP},
        "levels": {path: _level(level) for path, level in placed.items()},
        "opened": opened,
    }


def _program(program: Graph) -> dict[str, Any]:
    nodes = []
    for node in program.nodes:
        record: list[Any] = [node.primitive.name, list(node.inputs), list(node.shape), node.dtype.name]
        if node.primitive.name == "constant":
            record.append(encode(node.params["value"]))
        elif node.params and node.primitive.name != "input":
            record.append(dict(node.params))
        nodes.append(record)
    return {"nodes": nodes, "inputs": list(program.inputs), "outputs": list(program.outputs)}


# -- places


def _sizes(graph: Graph, called: Sequence[str], groups: Sequence[Group]) -> dict[Key, tuple[float, float]]:
    """Room for a formula, and below it value and gradient: numbers, or two small heat maps."""
    sizes: dict[Key, tuple[float, float]] = {}
    for position, node in enumerate(graph.nodes):
        written = formula_text(graph, position, called)
        width = text_width(f"{called[position]} = {written}" if written else called[position], 15.5) + 34
        width = max(124.0, min(300.0, width))
        tall = 12.0 if node.primitive.name in ("divide", "reciprocal") or "munder" in formula(graph, position) else 0.0
        height = 64.0 if node.type.size == 1 else 84.0 if node.type.ndim == 1 else 104.0
        sizes[position] = width if node.type.size == 1 else max(width, 176.0), height + tall
    for outer in groups:
        for group in outer.walk():
            sizes[group.path] = max(170.0, 56 + text_width(group.name, 15)), 72.0
    return sizes


def _place(
    graph: Graph, called: Sequence[str], groups: Sequence[Group], folded: Sequence[str]
) -> tuple[dict[str, Level], list[str]]:
    """Levels in the direction that fills a screen better, and the groups that are open at first."""
    sizes = _sizes(graph, called, groups)
    opened = _opened(graph, groups, folded)
    choices: list[tuple[float, dict[str, Level]]] = []
    directions: tuple[Direction, ...] = ("down", "right")
    for direction in directions:
        placed = levels(graph, sizes=sizes, direction=direction)
        whole = compose(graph, placed, opened)
        choices.append((min(1000.0 / max(whole.width, 1.0), 640.0 / max(whole.height, 1.0)), placed))
    return max(choices, key=lambda choice: choice[0])[1], opened


def _opened(graph: Graph, groups: Sequence[Group], folded: Sequence[str]) -> list[str]:
    """Groups to open at first: outermost ones before inner ones, as long as there are few boxes."""
    inside = {i for g in groups for i in g.nodes}
    shown = sum(not is_literal(node) for i, node in enumerate(graph.nodes) if i not in inside) + len(groups)
    opened: list[str] = []
    waiting = sorted(groups, key=lambda g: len(g.nodes))
    while waiting:
        group = waiting.pop(0)
        if group.path in folded:
            continue
        within = {i for g in group.children for i in g.nodes}
        own = sum(not is_literal(graph.nodes[i]) for i in group.nodes if i not in within) + len(group.children)
        if shown + own - 1 <= OPEN_BOXES:
            shown += own - 1
            opened.append(group.path)
            waiting += sorted(group.children, key=lambda g: len(g.nodes))
    return opened


def _level(level: Level) -> dict[str, Any]:
    return {
        "width": round(level.width, 1),
        "height": round(level.height, 1),
        "boxes": [[b.key, *(round(v, 1) for v in (b.x, b.y, b.width, b.height))] for b in level.boxes],
        "edges": [[e.source, e.target, [round(v, 1) for point in e.points for v in point]] for e in level.edges],
        "rows": [[round(v, 1) for v in row] for row in level.rows],
        "direction": level.direction,
    }
