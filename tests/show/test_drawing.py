"""``cr.draw``: what it takes, what it gives back, how it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import GraphError, OptionError


def f(w: Any, x: Any) -> Any:
    return np.sum((w["a"] * x - 1.0) ** 2)


ARGS = ({"a": np.array([1.0, 2.0])}, np.array([3.0, 4.0]))


def test_functions_and_graphs_are_the_same_story(tmp_path: Path) -> None:
    drawing = cr.draw(f, *ARGS, path=tmp_path / "f.html")
    again = cr.draw(cr.trace(f, *ARGS), *ARGS)
    assert drawing.html == again.html == (tmp_path / "f.html").read_text("utf-8")
    assert drawing.path == tmp_path / "f.html"
    np.testing.assert_array_equal(drawing.story.gradient(0), cr.grad(f)(*ARGS)["a"])


def test_a_notebook_shows_it() -> None:
    drawing = cr.draw(f, *ARGS)
    shown = drawing._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown  # it is text of an attribute there
    assert repr(drawing) == "<Drawing of f: 7 nodes>"


def test_a_picture_for_print(tmp_path: Path) -> None:
    drawing = cr.draw(f, *ARGS, path=tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text("utf-8").startswith("<svg")
    assert drawing.path == tmp_path / "f.svg"


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (OptionError, "written as .html or .svg", lambda: cr.draw(f, *ARGS, path="f.pdf")),
        (OptionError, "cannot be written", lambda: cr.draw(f, *ARGS, path="/nowhere/f.html")),
        (OptionError, "learning_rate must be positive", lambda: cr.draw(f, *ARGS, learning_rate=0.0)),
        (OptionError, "a function, a graph, a network or a fitted model, got int", lambda: cr.draw(3)),
        (OptionError, "is not fitted", lambda: cr.draw(cr.LinearRegression(), [1.0])),
        (GraphError, "one value each", lambda: cr.draw(cr.trace(f, *ARGS))),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_refusals(error: type[Exception], words: str, call: Any) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_parameters_are_the_arguments_asked_for() -> None:
    drawing = cr.draw(f, *ARGS, argnums=0)
    assert drawing.story.cost == drawing.story.graph.outputs[0]
    assert cr.draw(f, *ARGS, argnums=0).html != cr.draw(f, *ARGS).html


def test_a_network_as_it_starts() -> None:
    network = cr.Network([cr.Dense(2, "tanh")], output=cr.Bernoulli())
    x, y = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 0.0])
    story = cr.draw(network, x, y).story
    theta = network.initial(2, np.random.default_rng(0))
    raw = network.raw(network.layout(2).unflatten(theta), x)
    assert story.cost is not None
    np.testing.assert_allclose(story.value(story.cost), np.mean(network.output.nll(raw, y[:, None])), rtol=1e-12)
    assert cr.draw(network, x).story.cost is None
    with pytest.raises(OptionError, match="takes rows"):
        cr.draw(network)
