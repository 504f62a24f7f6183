"""The graph page in a real browser: it shows Python's numbers, step by step, and asks nobody for anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from browser import Tab, chromium

from chainrule.calculus import value_and_grad
from chainrule.errors import OptionError
from chainrule.graph.trace import scope
from chainrule.show.drawing import draw
from chainrule.show.groups import groups_of
from chainrule.show.layout import compose, levels
from chainrule.show.page import MAX_BYTES, _sizes, bundle
from chainrule.show.story import Story
from chainrule.show.text import is_literal, names


def cost(w: Any, x: Any) -> Any:
    return (w * x - 1.0) ** 2 + np.exp(-w)


def xor(W: Any, c: Any, w: Any, b: Any, x: Any, y: Any) -> Any:
    h = np.maximum(0.0, x @ W + c)
    return np.mean((h @ w + b - y) ** 2)


X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = [
    np.array([[1.0, -0.4], [0.3, 1.2]]),
    np.array([0.1, -1.0]),
    np.array([1.0, -2.0]),
    0.1,
    X,
    np.array([0, 1, 1, 0.0]),
]


def layered(w: Any, x: Any) -> Any:
    h = x
    for k in range(6):
        with scope(f"layer{k + 1}"):
            for j in range(4):
                h = np.tanh(w * h + 0.1 * j)
    with scope("cost"):
        return np.sum(np.square(h))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as each:
        yield each


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    tabs: list[Tab] = []

    def open_tab(html: str, fragment: str = "", **options: Any) -> Tab:
        tabs.append(Tab(browser, html, fragment, **options))
        return tabs[-1]

    yield open_tab
    for each in tabs:
        each.close()


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


READ = """
() => Object.fromEntries([...document.querySelectorAll(".box:not(.group)")].map((box) => {
  const read = (cell) => cell.classList.contains("blank") ? null
    : cell.querySelector("canvas") ? [...cell.querySelector("canvas").getContext("2d").getImageData(
        0, 0, cell.querySelector("canvas").width, cell.querySelector("canvas").height).data] : cell.textContent;
  return [box.dataset.key, [read(box.querySelector(".value")), read(box.querySelector(".gradient"))]];
}))
"""
NUMBERS = """
([position, what]) => {
  const x = chainrule.state[what](position);
  return x && [x.shape, Array.from(x.data, String)];
}
"""


def held(tab: Tab, position: int, what: str) -> np.ndarray | None:
    """What the page holds as value or gradient of a node."""
    found = tab.page.evaluate(NUMBERS, [position, what])
    return None if found is None else np.array([float(v) for v in found[1]]).reshape(found[0])


def expected_at(story: Story, step: int) -> dict[str, tuple[bool, bool]]:
    """For each box whether value and gradient are known at a step."""
    shown = [k for k, node in enumerate(story.graph.nodes) if not is_literal(node)]

    def turn(k: int) -> float:  # what is given, as soon as its gradient is complete
        return k if story.graph.nodes[k].inputs else min(a.target for a in story.arrows if a.source == k) - 0.5

    graded = sorted([k for k in reversed(shown) if story.gradients[k] is not None], key=turn, reverse=True)
    given = [("value", k) for k in shown if not story.graph.nodes[k].inputs]
    computed = [[("value", k)] for k in shown if story.graph.nodes[k].inputs]
    moves = [given, *computed, *[[("gradient", k)] for k in graded]]
    done = {each for move in moves[:step] for each in move}
    return {str(k): (("value", k) in done, ("gradient", k) in done) for k in shown}


@pytest.mark.parametrize(("f", "arguments"), [(cost, [0.7, 3.0]), (xor, XOR)], ids=["scalars", "xor"])
def test_every_step_shows_what_python_computes(tab: Any, f: Any, arguments: list[Any]) -> None:
    drawing = draw(f, *arguments)
    story, shown = drawing.story, tab(drawing.html)
    steps = shown.page.evaluate("chainrule.state.last")
    for position in range(len(story.graph.nodes)):
        np.testing.assert_array_equal(held(shown, position, "value"), story.value(position))
        gradient = story.gradient(position)
        assert (held(shown, position, "gradient") is None) == (gradient is None)
        if gradient is not None:
            np.testing.assert_array_equal(held(shown, position, "gradient"), gradient)
    for step in range(steps + 1):
        boxes = shown.page.evaluate(READ)
        known = expected_at(story, step)
        assert boxes.keys() == known.keys()
        for key, cells in boxes.items():
            truths = story.value(int(key)), story.gradient(int(key))
            for cell, is_known, truth in zip(cells, known[key], truths, strict=True):
                assert (cell is not None) == is_known
                if isinstance(cell, str):
                    assert number(cell) == pytest.approx(float(np.ravel(truth)[0]), rel=1e-4)
                elif cell is not None:  # a pixel is blue below zero, red above, clear at zero
                    pixels = np.array(cell).reshape(-1, 4)
                    sign = np.where(pixels[:, 3] == 0, 0, np.where(pixels[:, 0] > pixels[:, 2], 1, -1))
                    strong = np.abs(np.ravel(truth)) > 0.02 * np.abs(truth).max()
                    np.testing.assert_array_equal(sign[strong], np.sign(np.ravel(truth))[strong])
        shown.page.keyboard.press("ArrowRight")


def test_the_product_is_spelled_out(tab: Any) -> None:
    shown = tab(draw(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0).html, "#step=7")
    words = re.sub(r"\s", "", shown.page.inner_text("#narration"))
    assert words.endswith("=10×1=10")
    assert "derivative of J by v2 is 10 times 1, which is 10" in shown.page.text_content("#live")
    shown = tab(draw(lambda x: x * x + 3.0 * x, 2.0).html, "#step=8")
    assert re.sub(r"\s", "", shown.page.inner_text("#narration")).endswith("=1×3+1×2+1×2=7")


def test_arrows_of_arrays_have_words(tab: Any) -> None:
    def f(W: Any, x: Any) -> Any:
        return np.sum(np.tanh(x @ W) * 2.0)

    W, x = np.array([[0.5, -1.0, 0.25]]), np.array([[1.0], [2.0], [0.5]])
    shown = tab(draw(f, W, x).html)
    shown.page.keyboard.press("End")
    slopes = 1 - np.tanh(x @ W) ** 2
    span = f"⊙ {slopes.min():.3g} … {slopes.max():.3g}"
    labels = shown.page.locator(".arrow text").all_text_contents()
    assert sorted(labels) == sorted(["xᵀ ·", "· Wᵀ", span, "×2", "to each"])
    places = [box.bounding_box() for box in shown.page.locator(".arrow text").all()]
    boxes = [box.bounding_box() for box in shown.page.locator(".box").all()]
    for label in places:  # none on a box
        middle = label["x"] + label["width"] / 2, label["y"] + label["height"] / 2
        for box in boxes:
            across = box["x"] < middle[0] < box["x"] + box["width"]
            assert not (across and box["y"] < middle[1] < box["y"] + box["height"])
    for k, a in enumerate(places):  # none on another
        for b in places[:k]:
            beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert beside or a["y"] + a["height"] <= b["y"] + 6 or b["y"] + b["height"] <= a["y"] + 6


def test_a_picture_that_is_all_in_sight_stays_where_it_is(tab: Any) -> None:
    shown = tab(draw(cost, 0.7, 3.0).html)
    views = set()
    for _ in range(shown.page.evaluate("chainrule.state.last")):
        shown.page.keyboard.press("ArrowRight")
        views.add(shown.page.evaluate("document.querySelector('.world').style.transform"))
    assert len(views) == 1


def test_names_are_written_as_on_paper(tab: Any) -> None:
    shown = tab(draw(lambda theta, x_1: np.exp(theta * x_1), 0.5, 2.0).html)
    boxes = [
        re.sub(r"\s", "", unicodedata.normalize("NFKC", text))  # mathematical italics are letters
        for text in shown.page.locator(".box .what").all_inner_texts()
    ]
    assert boxes == ["θ", "x1", "v2=θ·x1", "J=ev2"]
    assert shown.page.get_attribute("[data-key='0']", "aria-label").startswith("theta,")


def test_keyboard(tab: Any) -> None:
    shown = tab(draw(cost, 0.7, 3.0).html)
    step = "chainrule.state.step"
    last = shown.page.evaluate("chainrule.state.last")
    for key, expected in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", last), ("Home", 0)]:
        shown.page.keyboard.press(key)
        assert shown.page.evaluate(step) == expected
    before = shown.page.evaluate("chainrule.stage.view.scale")
    shown.page.keyboard.press("+")
    assert shown.page.evaluate("chainrule.stage.view.scale") > before
    shown.page.keyboard.press("-")
    assert shown.page.evaluate("chainrule.stage.view.scale") == pytest.approx(before)
    shown.page.keyboard.press("Space")
    assert shown.page.get_attribute("#play", "aria-pressed") == "true"
    shown.until("chainrule.state.step >= 1")
    shown.page.keyboard.press("Space")
    assert shown.page.get_attribute("#play", "aria-pressed") == "false"
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("w")
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("chainrule.state.selected") == 0
    shown.page.keyboard.press("Home")
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.evaluate(step) == 1


def test_deep_links(tab: Any) -> None:
    shown = tab(draw(cost, 0.7, 3.0).html, "#step=4")
    assert shown.page.evaluate("chainrule.state.step") == 4
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.url.endswith("#step=5")
    shown.page.evaluate("location.hash = 'step=2'")
    shown.until("chainrule.state.step === 2")


def test_everything_has_words(tab: Any) -> None:
    shown = tab(draw(cost, 0.7, 3.0).html, "#step=7")
    for control in shown.page.query_selector_all("button, input:not([type=hidden]), select, [role=button]"):
        name = control.get_attribute("aria-label") or control.inner_text().strip() or control.get_attribute("title")
        identity = control.get_attribute("id")
        assert name or (identity and shown.page.query_selector(f"label[for={identity}]"))
    assert "value" in shown.page.get_attribute(".box.known", "aria-label")


def test_what_if(tab: Any) -> None:
    story = draw(cost, 0.7, 3.0).story
    shown = tab(draw(cost, 0.7, 3.0).html)
    shown.page.fill("#control0 + input", "1.25")
    shown.page.keyboard.press("Enter")
    value, gradient = value_and_grad(cost, (0, 1))(1.25, 3.0)
    assert held(shown, story.cost, "value") == pytest.approx(value, rel=1e-9)
    for position, expected in zip(story.graph.inputs, gradient, strict=True):
        assert held(shown, position, "gradient") == pytest.approx(expected, rel=1e-9)
    shown.page.click("text=Back to the given numbers")
    assert held(shown, story.cost, "value") == story.value(story.cost)


def test_gradient_descent_in_the_page(tab: Any) -> None:
    drawing = draw(xor, *XOR, argnums=(0, 1, 2, 3), learning_rate=0.2)
    shown = tab(drawing.html, "#step=999")
    parameters = [np.asarray(x) for x in XOR]
    shown.page.click("#take-step")
    shown.page.click("text=10 steps")
    for _ in range(11):
        gradients = value_and_grad(xor, (0, 1, 2, 3))(*parameters)[1]
        parameters[:4] = [p - 0.2 * g for p, g in zip(parameters, gradients, strict=False)]
    for position, expected in zip(drawing.story.graph.inputs, parameters, strict=True):
        np.testing.assert_allclose(held(shown, position, "value"), expected, rtol=1e-9)
    assert "after 11 steps" in shown.page.inner_text(".history")


def test_groups_fold_and_open_as_python_lays_them_out(tab: Any) -> None:
    drawing = draw(layered, np.array([0.5, -1.0]), np.array([1.0, 2.0]))
    graph = drawing.story.graph
    shown = tab(drawing.html)
    groups = groups_of(graph)
    folded = shown.page.evaluate("[...chainrule.state.story.groups].map((g) => g.path)")
    assert folded == [g.path for g in groups]
    for opened in ([], ["layer2"], ["layer1", "cost", "layer5"], folded):
        shown.page.evaluate(
            "(paths) => { chainrule.state.opened = new Set(paths); chainrule.state.changed('groups'); }", opened
        )
        plan = shown.page.evaluate("chainrule.stage.plan")
        direction = shown.page.evaluate("chainrule.state.story.levels[''].direction")
        expected = compose(
            graph,
            levels(graph, sizes=_sizes(graph, names(graph, drawing.story.cost), groups), direction=direction),
            opened,
        )
        assert plan["width"] == pytest.approx(expected.width, abs=0.5)
        assert plan["height"] == pytest.approx(expected.height, abs=0.5)
        boxes = {b["key"]: [b["x"], b["y"], b["width"], b["height"]] for b in plan["boxes"]}
        assert boxes.keys() == {b.key for b in expected.boxes}
        for box in expected.boxes:
            assert boxes[box.key] == pytest.approx([box.x, box.y, box.width, box.height], abs=0.5)
        lines = {(e["source"], e["target"], len(e["points"])): e["points"] for e in plan["edges"]}
        assert len(plan["edges"]) == len(expected.edges)
        for edge in expected.edges:  # bends included: a line that leaves a low box goes straight on beside a high one
            points = lines[edge.source, edge.target, len(edge.points)]
            np.testing.assert_allclose(points, edge.points, atol=0.5)


def test_arrows_cut_no_box_beside_the_one_they_leave(tab: Any) -> None:
    def f(w: Any, x: Any, m: Any, y: Any) -> Any:  # numbers beside a matrix: low boxes in a high row
        return np.sum(m) * (w + x + y) + (w - y) * x

    shown = tab(draw(f, 1.0, 2.0, np.ones((4, 4)), 3.0).html)
    cut = shown.page.evaluate("""() => {
      const boxes = chainrule.stage.plan.boxes.filter((b) => !b.open);
      const inside = (p, b) => p.x > b.x + 1 && p.x < b.x + b.width - 1 && p.y > b.y + 1 && p.y < b.y + b.height - 1;
      return chainrule.stage.arrows.flatMap(({ edge, group }) => {
        const path = group.querySelector("path");
        const points = Array.from({ length: 200 }, (_, k) => path.getPointAtLength((path.getTotalLength() * k) / 199));
        return boxes.filter((b) => b.key !== edge.source && b.key !== edge.target && points.some((p) => inside(p, b)))
          .map((b) => [edge.source, edge.target, b.key]);
      });
    }""")
    assert cut == []


def test_a_folded_group_is_one_step(tab: Any) -> None:
    shown = tab(draw(layered, np.array([0.5, -1.0]), np.array([1.0, 2.0])).html)
    shown.page.evaluate("chainrule.state.opened.clear(); chainrule.state.changed('groups')")
    presses = 0
    while shown.page.evaluate("chainrule.state.step < chainrule.state.last"):
        shown.page.keyboard.press("ArrowRight")
        presses += 1
    assert presses <= 1 + 7 + 2 + 7 + 1
    shown.page.click(".group .title >> nth=0")
    assert shown.page.evaluate("chainrule.state.opened.size") == 1


def milliseconds_per_step(shown: Any) -> float:
    """Of the best of three times twenty steps: others use the machine, too."""
    return shown.page.evaluate("""() => Math.min(...[0, 1, 2].map(() => {
        const start = performance.now();
        for (let k = 0; k < 20; k++) chainrule.state.forth();
        return (performance.now() - start) / 20;
    }))""")


def test_a_thousand_nodes_stay_fluid(tab: Any) -> None:
    def long(x: Any) -> Any:
        for _ in range(500):
            x = np.sin(x) * 1.01
        return x

    drawing = draw(long, 0.5)
    assert len(drawing.story.graph.nodes) > 1000
    assert len(drawing.html.encode()) <= MAX_BYTES
    shown = tab(drawing.html)
    assert milliseconds_per_step(shown) < 100
    assert len(shown.page.query_selector_all(".box")) < 60  # it begins folded, although nobody named its parts
    shown.page.fill("#search", "v700")
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("chainrule.stage.plan.visible(700)") == 700  # what was sought is open
    shown.page.evaluate(OPEN_ALL)
    assert len(shown.page.query_selector_all(".box")) > 1000
    assert milliseconds_per_step(shown) < 100  # with everything open


def test_size_bar() -> None:
    wide = np.random.default_rng(0).normal(size=(150, 250)).astype(np.float32)
    drawing = draw(lambda w, x: np.sum(np.tanh(x @ w)), wide, np.ones((2, 150), np.float32))
    assert len(drawing.html.encode()) <= MAX_BYTES
    with pytest.raises(OptionError, match="smaller network or fewer rows"):
        draw(lambda w: np.sum(w), np.random.default_rng(0).normal(size=200_000))


def test_what_was_left_out_is_computed_in_the_page(tab: Any) -> None:
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=(100, 200)), rng.normal(size=(50, 100))]
    drawing = draw(lambda w, x: np.sum(np.tanh(x @ w) ** 2), *arguments)
    shown = tab(drawing.html)
    assert shown.page.evaluate("chainrule.state.story.numbers.includes(null)")
    np.testing.assert_allclose(held(shown, 0, "gradient"), drawing.story.gradient(0), rtol=1e-9, atol=1e-12)


def test_dark_and_light(tab: Any) -> None:
    html = draw(cost, 0.7, 3.0).html
    shades = []
    for scheme in ("light", "dark"):
        shown = tab(html, color_scheme=scheme)
        shades.append(shown.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        shown.page.click("[data-action=theme]")
        shades.append(shown.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades[0] == shades[3] != shades[1] == shades[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_prints_are_light_whatever_the_screen(tab: Any, scheme: str) -> None:
    shown = tab(draw(cost, 0.7, 3.0).html, color_scheme=scheme)
    for chosen in (None, "light", "dark"):
        shown.page.emulate_media(media="screen")
        if chosen:
            shown.page.evaluate(f"document.documentElement.dataset.theme = '{chosen}'")
        shown.page.emulate_media(media="print")
        for part in (".box:not(.given)", "#panel", "header"):
            shade = shown.page.evaluate(f"getComputedStyle(document.querySelector('{part}')).backgroundColor")
            assert min(map(int, re.findall(r"\d+", shade)[:3])) > 230, (chosen, part, shade)


def chain(w: Any, x: Any) -> Any:
    for _ in range(60):
        x = np.tanh(w * x + 0.1)
    return x**2


OPEN_ALL = """() => {
  const { state, stage } = chainrule;
  state.story.groups.forEach(({ path }) => state.opened.add(path));
  state.changed("groups");
  stage.first();
}"""
IN_SIGHT = """
(node) => {
  const placed = (selector) => document.querySelector(selector).getBoundingClientRect();
  const [box, stage] = [placed(`[data-key="${chainrule.stage.plan.visible(node)}"]`), placed("#stage")];
  return box.left >= stage.left && box.right <= stage.right && box.top >= stage.top && box.bottom <= stage.bottom;
}
"""


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_large_graph_begins_where_it_begins(tab: Any, width: int, folded: bool) -> None:
    shown = tab(draw(chain, 0.7, 1.0, title="a rather long title " * 5).html, viewport={"width": width, "height": 800})
    if not folded:
        shown.page.evaluate(OPEN_ALL)
    assert shown.page.evaluate("chainrule.stage.view.scale") >= 0.7
    assert shown.page.evaluate(IN_SIGHT, 0)
    assert shown.page.evaluate(IN_SIGHT, 2)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    for step in (40, 150, 3):  # the step is always in sight, also when the window changes
        shown.page.evaluate(f"chainrule.state.go({step})")
        assert shown.page.evaluate(IN_SIGHT, shown.page.evaluate("chainrule.state.move.node"))
    shown.page.set_viewport_size({"width": width, "height": 700})
    shown.page.wait_for_timeout(50)
    assert shown.page.evaluate("chainrule.stage.view.scale") >= 0.7


def test_while_stepping_nothing_beyond_the_picture_is_shown(tab: Any) -> None:
    shown = tab(draw(chain, 0.7, 1.0).html, viewport={"width": 1000, "height": 500})
    for key in ("End", *["ArrowLeft"] * 12, "Home", *["ArrowRight"] * 3):
        shown.page.keyboard.press(key)
        beyond = shown.page.evaluate(
            """() => {
                const [a, b] = [".world", "#stage"].map((q) => document.querySelector(q).getBoundingClientRect());
                return [a.left - b.left, b.right - a.right, a.top - b.top, b.bottom - a.bottom];
            }"""
        )
        for low, high in (beyond[:2], beyond[2:]):  # more than the margin on one side only if it is the same on both
            assert max(low, high) < 30 or abs(low - high) < 2, (key, beyond)


def test_a_large_graph_shows_the_derivatives_of_its_step_and_draws_no_line_twice(tab: Any) -> None:
    drawing = draw(chain, 0.7, 1.0)
    story, shown = drawing.story, tab(drawing.html)
    shown.page.evaluate(OPEN_ALL)
    node = next(a.source for a in story.arrows if a.kind == "number" and a.source > 100)
    shown.page.evaluate(f"chainrule.state.go(chainrule.state.backwardAt.get({node}))")
    labels = shown.page.locator(".arrow text").all_text_contents()
    expected = [float(story.numbers[a.local]) for a in story.arrows if a.source == node]
    assert sorted(number(text.removeprefix("×")) for text in labels) == pytest.approx(sorted(expected), rel=1e-3)
    lengths = shown.page.evaluate("[...document.querySelectorAll('.arrow path')].map((p) => p.getTotalLength())")
    height = shown.page.evaluate("chainrule.stage.plan.height")
    assert sum(lengths) < 6 * height  # w's line to each of its 60 readers has its last part only


@pytest.mark.parametrize("width", [1280, 390])
def test_title_and_words_have_room(tab: Any, width: int) -> None:
    shown = tab(draw(cost, 0.7, 3.0, title="What the cost is of").html, viewport={"width": width, "height": 800})
    shown.page.keyboard.press("End")
    for part in ("h1", ".said", "#narration"):
        over = "(what) => (({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector(what))"
        assert shown.page.evaluate(over, part) <= 0, part
    assert shown.page.evaluate("document.querySelector('h1').clientWidth") > 150


def test_long_sums_are_set_smaller(tab: Any) -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(np.sin(a) * b + np.cos(a) * b)

    shown = tab(
        draw(f, np.array([0.123456, 1.2, 2.3]), np.array([0.7, 0.8, 0.9])).html, viewport={"width": 1400, "height": 800}
    )
    sizes = set()
    for _ in range(shown.page.evaluate("chainrule.state.last")):
        shown.page.keyboard.press("ArrowRight")
        over = "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.said'))"
        size = shown.page.evaluate("parseFloat(getComputedStyle(document.querySelector('#narration')).fontSize)")
        assert shown.page.evaluate(over) <= 0 or size == 12  # legible first
        sizes.add(size)
    assert max(sizes) == 17
    assert len(sizes) > 1


def test_nothing_lies_over_arrows_but_boxes(tab: Any) -> None:
    shown = tab(draw(layered, 0.7, 1.0).html)
    shown.page.evaluate("chainrule.state.opened.add('layer1'); chainrule.state.changed('groups')")
    layer = "(what) => Number(getComputedStyle(document.querySelector(what)).zIndex) || 0"
    frame, arrows, box = (shown.page.evaluate(layer, what) for what in (".frame", ".arrows", ".box"))
    assert frame < arrows < box


def test_a_long_line_is_straight() -> None:
    placed = compose(*(lambda graph: (graph, levels(graph)))(draw(chain, 0.7, 1.0).story.graph))
    assert placed.width < 500.0


def test_a_group_stays_under_the_pointer(tab: Any) -> None:
    shown = tab(draw(layered, 0.7, 1.0).html)
    title = "[data-key=layer4] .title"
    for _ in range(2):
        before = shown.page.query_selector(title).bounding_box()
        shown.page.evaluate("chainrule.state.toggle('layer4')")
        after = shown.page.query_selector("[data-key=layer4]").bounding_box()
        assert abs(after["x"] - before["x"]) < 12
        assert abs(after["y"] - before["y"]) < 12


def test_in_a_notebook(browser: Any) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content(draw(cost, 0.7, 3.0)._repr_html_())
    frame = page.frames[1]
    for _ in range(2):
        frame.click("[data-action=forth]")
    assert frame.evaluate("chainrule.state.step") == 2
    page.close()
    assert not errors, errors


def test_only_forward_without_one_number(tab: Any) -> None:
    drawing = draw(lambda x: {"twice": 2.0 * x, "cube": x**3}, np.array([1.0, -2.0]))
    shown = tab(drawing.html, "#step=999")
    assert shown.page.evaluate("chainrule.state.moves.map((m) => m.kind)") == ["given", "forward", "forward"]
    assert shown.page.query_selector("[data-part=descent]").is_hidden()


def test_hostile_names_stay_text(tab: Any) -> None:
    name = "</script><img src=x onerror=alert(1)>"
    drawing = draw(lambda d: d[name] ** 3 + 1.0, {name: 2.0}, title=name)
    shown = tab(drawing.html, "#step=2")
    assert shown.page.query_selector("img") is None
    assert name in shown.page.inner_text("h1")


def test_scripts_are_one_module_without_imports() -> None:
    script = bundle()
    assert not re.search(r"^(import|export)\b", script, flags=re.MULTILINE)


def test_long_formulas_go_on_in_the_next_line(tab: Any) -> None:
    def long(first_of_the_weights: Any, second_of_the_weights: Any, third_of_the_weights: Any) -> Any:
        every = np.concatenate([first_of_the_weights, second_of_the_weights, third_of_the_weights] * 2)
        return np.sum(np.square(every[np.array([0, 0, 2])]))

    shown = tab(draw(long, np.ones(2), np.ones(2), np.ones(2)).html)
    shown.page.evaluate("chainrule.state.go(chainrule.state.last)")
    for position in range(shown.page.evaluate("chainrule.state.story.nodes.length")):
        shown.page.evaluate("(k) => chainrule.state.select(k)", position)
        cut = (
            "[...document.querySelectorAll('#panel h2, .equation')].filter((e) => e.scrollWidth > e.clientWidth).length"
        )
        assert shown.page.evaluate(cut) == 0
    several = shown.page.evaluate("document.querySelectorAll('#panel h2 math').length")
    shown.page.evaluate("chainrule.state.select(chainrule.state.story.nodes.findIndex((n) => n.op === 'concatenate'))")
    assert shown.page.evaluate("document.querySelectorAll('#panel h2 math').length") > several == 1
    whole = shown.page.inner_text("#panel h2").replace("\n", "")
    assert [whole.count(f"{k}_of_the_weights") for k in ("first", "second", "third")] == [2, 2, 2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_of_heat_maps_are_told_apart(tab: Any, scheme: str) -> None:
    """Between two cells of one colour lies a line of another, also where both are zero."""
    shown = tab(draw(lambda x: np.sum(x * 2.0), np.zeros((2, 3))).html, "#step=1", color_scheme=scheme)
    heat = shown.page.locator('.box[data-key="0"] .value .heat')
    assert heat.evaluate("(e) => [e.style.getPropertyValue('--columns'), e.style.getPropertyValue('--rows')]") == [
        "3",
        "2",
    ]
    picture = pytest.importorskip("PIL.Image").open(BytesIO(heat.screenshot())).convert("RGB")
    across = np.array(picture, int)[picture.height // 4, 3:-3].sum(axis=1)
    assert len(np.unique(across)) > 1
    assert np.ptp(across) > 40


def test_all_of_the_picture_is_on_paper(tab: Any) -> None:
    """Whatever part is on the screen, and however small the boxes have to be."""
    shown = tab(draw(layered, 0.5, np.ones(3)).html, "#step=9")
    shown.page.evaluate("chainrule.state.story.groups.forEach((g) => chainrule.state.reveal(g.nodes[0]))")
    shown.page.evaluate("chainrule.stage.zoom(3)")
    shown.page.emulate_media(media="print")
    shown.page.set_viewport_size({"width": 718, "height": 1046})  # A4 without its margins, as browsers lay it out
    shown.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    places = shown.page.evaluate(
        "['#stage', '.box'].map((of) => [...document.querySelectorAll(of)].map((e) => e.getBoundingClientRect())"
        ".map((r) => [r.left, r.top, r.right, r.bottom]))"
    )
    (stage,), boxes = np.array(places[0]), np.array(places[1])
    assert len(boxes) > 24
    assert (boxes[:, :2] >= stage[:2]).all()
    assert (boxes[:, 2:] <= stage[2:]).all()
    assert stage[3] - stage[1] < 900
    pages = re.findall(rb"/Type */Page\b", shown.page.pdf(format="A4"))
    assert len(pages) <= 2


def test_parameters_are_marked_where_not_everything_is_one(tab: Any) -> None:
    marked = "[...document.querySelectorAll('.box.parameter')].map((box) => box.ariaLabel.split(',')[0])"
    some = tab(draw(cost, 0.7, 3.0, argnums=0).html)
    assert some.page.evaluate(marked) == ["w"]
    some.page.click('.box[data-key="0"]')
    assert "a parameter" in some.page.inner_text("#panel .facts")
    assert tab(draw(cost, 0.7, 3.0).html).page.evaluate(marked) == []


def test_numbers_fit_into_their_boxes(tab: Any) -> None:
    shown = tab(draw(lambda x, y: 1.23456789e-7 * x * x + 1.987654e-11 * y * y, -1.0, -1.0).html, "#step=9999")
    wide = "[...document.querySelectorAll('.cells > div')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert shown.page.evaluate(wide) == 0
    assert "−2.47e−7" in shown.page.inner_text('.box[data-key="0"]')
    assert "−4e−11" in shown.page.inner_text('.box[data-key="1"]')
