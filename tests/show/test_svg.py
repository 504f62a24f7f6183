"""The static picture: valid XML, every number in it, and texts that fit their boxes in a real browser."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import chainrule as cr
from chainrule.calculus.backprop import backpropagate
from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope, trace
from chainrule.graph.tree import flatten
from chainrule.learn.step import training_step
from chainrule.show.svg import local_derivative, svg
from chainrule.show.text import formula, number

SVG = "{http://www.w3.org/2000/svg}"


def square_error() -> tuple[Graph, list[Any]]:
    return trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0, name="f"), [2.0, 3.0]


def logistic() -> tuple[Graph, list[Any]]:
    x, y = np.random.default_rng(0).normal(size=(4, 2)), np.array([0.0, 1.0, 1.0, 0.0])

    def nll(w: Any, b: Any, x: Any, y: Any) -> Any:
        p = label(expit(label(x @ w + b, "logit")), "p")
        return label(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), "nll")

    args: list[Any] = [np.array([0.5, -1.0]), 0.1, x, y]
    return trace(nll, *args), args


def network(units: int = 32) -> tuple[Graph, list[Any]]:
    net = cr.Network([cr.Dense(units), cr.Dense(16, "tanh")], output=cr.Categorical(3))
    rng = np.random.default_rng(0)
    pieces = net.layout(9).unflatten(net.initial(9, rng))
    x, y = rng.normal(size=(8, 9)), rng.integers(0, 3, (8, 1)).astype(float)

    def cost(parameters: Any, x: Any, y: Any) -> Any:
        raw = net.raw(parameters, x)
        with scope("cost"):
            return label(np.mean(net.output.nll(raw, y)), "cost")

    return trace(cost, pieces, x, y), flatten((pieces, x, y))[0]


def draw(case: tuple[Graph, list[Any]], **options: Any) -> str:
    graph, arguments = case
    passed = backpropagate(graph, arguments)
    return svg(graph, passed.values, passed.gradients, **options)


def words(picture: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(picture).iter(f"{SVG}text")]


def test_every_number_of_a_small_function() -> None:
    seen = words(draw(square_error()))
    for expected in ("w", "x", "w · x", "v2 − 1", "v4²", "2", "3", "6", "5", "25", "30", "20", "10", "1"):
        assert expected in seen, expected
    local = [node.text for node in ET.fromstring(draw(square_error())).iter(f"{SVG}text") if node.get("paint-order")]
    assert sorted(local, key=str) == ["1", "10", "2", "3"]  # ∂v2/∂w = x, ∂v2/∂x = w, ∂v4/∂v2 = 1, ∂v5/∂v4 = 2 v4


def test_arrows_of_arrays_have_words() -> None:
    W, x = np.array([[0.5, -1.0, 0.25]]), np.array([[1.0], [2.0], [0.5]])
    graph = cr.trace(lambda W, x: np.sum(np.tanh(x @ W) * 2.0), W, x)
    slopes = 1 - np.tanh(x @ W) ** 2
    shown = words(draw((graph, [W, x])))
    for each in ("xᵀ ·", "· Wᵀ", f"{slopes.min():.3g} … {slopes.max():.3g}", "to each"):
        assert shown.count(each) == 1


def test_steps() -> None:
    forward, backward = words(draw(square_error(), step="forward")), words(draw(square_error(), step="backward"))
    assert "30" not in forward
    assert "25" in forward
    assert {"30", "25"} <= set(backward)
    assert not any("gradient" in word or "local" in word for word in forward)
    bare = words(svg(square_error()[0]))
    assert "w · x" in bare
    assert "6" not in bare


@pytest.mark.parametrize("case", [square_error, logistic, network])
@pytest.mark.parametrize("direction", ["down", "right"])
def test_valid_and_accessible(case: Any, direction: str) -> None:
    picture = draw(case(), direction=direction)
    root = ET.fromstring(picture)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert root.get("role") == "img"
    assert "gradient" in (description.text or "")
    assert "script" not in picture
    assert re.findall(r"https?://[^\s\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert draw(case(), direction=direction) == picture


def test_names_are_escaped() -> None:
    graph = trace(lambda x: label(np.exp(x), 'a<b & "c"'), 1.0, name="f")
    picture = svg(graph, [1.0, np.e], title="<f>")
    assert 'a<b & "c"' in words(picture)
    assert (ET.fromstring(picture).findtext(f"{SVG}title") or "").startswith("<f>")


def test_folding() -> None:
    folded = words(draw(network(), opened=()))
    assert {"layer1", "layer2", "output", "cost"} <= set(folded)
    assert "3 operations, 320 parameters" in folded
    assert not any("layer1.weight" in word for word in folded)
    opened = words(draw(network(), opened=["layer1"]))
    assert "x @ layer1.weight" in opened
    step = training_step(cr.Network([cr.Dense(3)], output=cr.Gaussian()), cr.Adam(), 2, 1, 8).graph
    assert {"layer1", "gradient", "update"} <= set(words(svg(step)))  # a large graph is folded by itself


@pytest.mark.parametrize("shape", [(2,), (5, 3), (40, 70), (2, 3, 4), (0,), (1, 1)])
def test_arrays(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=float).reshape(shape) - 2.0
    picture = draw((trace(lambda x: np.sum(x * x), x), [x]))
    assert len(list(ET.fromstring(picture).iter(f"{SVG}rect"))) < 24 * 16 * 5
    assert (number(x.max(initial=-2.0), 3) in " ".join(words(picture))) or x.size == 0


def test_heat_map_of_what_is_no_number() -> None:
    x = np.full((6, 6), np.nan)
    x[0, 0] = np.inf
    with np.errstate(all="ignore"):
        assert "#9aa5b1" in svg(trace(lambda x: x + 1.0, x), [x, None, x + 1.0])


def test_local_derivatives_are_those_of_mathematics() -> None:
    def f(x: Any, y: Any) -> Any:
        return x * x * np.sin(y) / np.maximum(x, y)

    graph = trace(f, 1.5, -0.5)
    passed = backpropagate(graph, [1.5, -0.5])
    for position, node in enumerate(graph.nodes):
        for source in set(node.inputs):
            found = local_derivative(graph, position, source, passed.values)

            def at(value: float, position: int = position, source: int = source) -> Any:
                inputs = [value if i == source else passed.values[i] for i in graph.nodes[position].inputs]
                return graph.nodes[position].primitive.numpy(*inputs, **graph.nodes[position].params)

            x = float(passed.values[source])
            assert found == pytest.approx((at(x + 1e-6) - at(x - 1e-6)) / 2e-6, abs=1e-8)
    vector = trace(lambda x: np.sum(x), np.ones(3))
    assert local_derivative(vector, 1, 0, [np.ones(3), np.float64(3)]) is None
    parity = trace(lambda x: np.floor(x), 1.5)
    assert local_derivative(parity, 1, 0, [1.5, 1.0]) == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (25.0, "25"),
        (0.119203, "0.1192"),
        (-1.2e-7, "−1.2e−07"),
        (1e10, "1e10"),
        (-0.0, "0"),
        (np.nan, "nan"),
        (3, "3"),
        (True, "True"),
    ],
)
def test_numbers(value: Any, expected: str) -> None:
    assert number(value) == expected


def test_formulas() -> None:
    graph = trace(lambda x, y: np.concatenate([-x, np.sum(y) * 2.0 - x]), np.ones(2), np.ones(3))
    written = [formula(graph, position) for position in range(len(graph.nodes))]
    assert {"−x", "Σ y", "v3 · 2", "v5 − x", "concatenate(v2, v6)"} <= set(written)


def test_wrong_arguments() -> None:
    graph, _ = square_error()
    with pytest.raises(OptionError, match="values must have one entry for each of the 6 nodes of f, got 2"):
        svg(graph, [1.0, 2.0])
    with pytest.raises(OptionError, match="step must be 'forward', 'backward' or None, got 'sideways'"):
        svg(graph, step="sideways")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a chromium browser")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("case", [square_error, logistic, network])
def test_texts_fit_their_boxes_in_a_browser(page: Any, case: Any) -> None:
    page.set_content(draw(case()))
    spilt = page.evaluate(
        """() => [...document.querySelectorAll('g > title')].flatMap(title => {
            const card = title.parentElement;
            const box = card.querySelector(':scope > rect').getBoundingClientRect();
            return [...card.querySelectorAll('text')].filter(text => {
                const t = text.getBoundingClientRect();
                return t.left < box.left + 5 || t.right > box.right - 5
                    || t.top < box.top - 1 || t.bottom > box.bottom + 1;
            }).map(text => text.textContent);
        })"""
    )
    assert spilt == []
    assert page.evaluate("document.querySelectorAll('g > title').length") > 3
