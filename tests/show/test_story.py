"""The story of a graph: values and gradients as back-propagation has them, shares that sum to gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from chainrule.calculus.backprop import backpropagate
from chainrule.errors import DifferentiationError
from chainrule.graph.graph import Graph
from chainrule.primitives import trace
from chainrule.show.story import ELEMENTWISE, NUMBER, PULLED_BACK, tell


def logistic(w: Any, b: Any, x: Any, y: Any) -> Any:
    z = x @ w + b
    return np.mean(np.logaddexp(0.0, z) - y * z)


def tangled(x: Any, y: Any) -> Any:
    h = np.tanh(x @ y)
    return np.sum(h * h[::-1] + np.max(h)) / np.sum(expit(y)) + x[0, 1] * y[0, 0]


RNG = np.random.default_rng(0)
CASES = {
    "scalars": (lambda w, x: (w * x - 1.0) ** 2, [np.array(2.0), np.array(3.0)]),
    "logistic": (logistic, [RNG.normal(size=2), np.array(0.3), RNG.normal(size=(5, 2)), np.array([0.0, 1, 1, 0, 1])]),
    "tangled": (tangled, [RNG.normal(size=(3, 2)), RNG.normal(size=(2, 4))]),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_backpropagation(name: str) -> None:
    f, arguments = CASES[name]
    graph = trace(f, *arguments)
    story, expected = tell(graph, arguments), backpropagate(graph, arguments)
    for position in range(len(graph.nodes)):
        np.testing.assert_array_equal(story.value(position), expected.values[position])
        found, gradient = story.gradient(position), expected.gradients[position]
        assert (found is None) == (gradient is None)
        if found is not None:
            np.testing.assert_allclose(found, gradient, rtol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_shares_of_arrows_sum_to_the_gradient(name: str) -> None:
    f, arguments = CASES[name]
    story = tell(trace(f, *arguments), arguments)
    for position in range(len(story.graph.nodes)):
        shares = [story.numbers[a.share] for a in story.arrows if a.source == position]
        gradient = story.gradient(position)
        if shares:
            np.testing.assert_allclose(sum(shares), gradient, rtol=1e-12, atol=1e-15)
        else:
            assert gradient is None or position == story.cost


@pytest.mark.parametrize("name", CASES)
def test_local_derivatives_give_the_shares(name: str) -> None:
    f, arguments = CASES[name]
    story = tell(trace(f, *arguments), arguments)
    kinds = set()
    for arrow in story.arrows:
        kinds.add(arrow.kind)
        if arrow.kind == PULLED_BACK:
            assert arrow.local is None
            continue
        outer, local, share = story.gradient(arrow.target), story.numbers[arrow.local], story.numbers[arrow.share]
        product = outer * local
        extra = tuple(range(product.ndim - share.ndim))
        product = product.sum(axis=extra) if extra else product
        repeated = tuple(k for k, s in enumerate(share.shape) if s == 1 and product.shape[k] != 1)
        np.testing.assert_allclose(product.sum(axis=repeated, keepdims=True).reshape(share.shape), share, rtol=1e-12)
    assert kinds == ({NUMBER} if name == "scalars" else {NUMBER, ELEMENTWISE, PULLED_BACK})


def test_the_program_tells_the_story_elsewhere() -> None:
    f, arguments = CASES["logistic"]
    story = tell(trace(f, *arguments), arguments)
    moved = [x + 0.5 for x in arguments]
    elsewhere = tell(story.graph, moved)
    for found, expected in zip(story.program.run(*moved), elsewhere.numbers, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_without_one_number_there_is_no_way_back() -> None:
    graph = trace(lambda x: np.exp(x), np.zeros(3))
    story = tell(graph, [np.zeros(3)])
    assert story.cost is None
    assert story.gradients == (None, None)
    with pytest.raises(DifferentiationError, match="one floating-point number"):
        tell(graph, [np.zeros(3)], cost=1)


def test_no_gradient_through_what_has_none() -> None:
    graph: Graph = trace(lambda x: np.floor(x) * x, 2.5)
    story = tell(graph, [2.5])
    assert story.gradient(0) == 2.0
    assert [(a.source, a.target) for a in story.arrows] == [(1, 2), (0, 2)]
