"""Code made before is loaded without planning or lowering anything, and never mistaken for other code."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.native import epoch_plan, rows_plan
from chainrule.native.cache import ObjectCache, graph_words
from chainrule.native.frame import Slots
from chainrule.native.loop import compile_loop
from chainrule.native.recipe import Recipe
from chainrule.native.rows import compile_rows
from chainrule.primitives.random import step_key  # noqa: F401  fills the dispatch tables

MATRIX = np.arange(12.0).reshape(3, 4) / 7


def step_graph(batch=4, factor=0.1, matrix=MATRIX, function=np.tanh):
    def step(theta, x):
        error = function(x @ matrix) - theta
        return theta + factor * error.mean(axis=0), np.sum(error * error)

    return trace(step, ArrayType((4,), np.dtype("f8")), ArrayType((batch, 3), np.dtype("f8")))


def rows_graph(function=np.tanh):
    return trace(lambda x: function(x @ MATRIX), ArrayType((4, 3), np.dtype("f8")))


def run(epoch, n=10):
    x = np.random.default_rng(0).normal(size=(n, 3))
    [theta], sums = epoch([np.zeros(4)], (), [x], np.arange(n))
    return theta, sums


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path)


@pytest.fixture
def planned(monkeypatch):
    """Counts plans made."""
    made = []
    for module, name in ((epoch_plan, "plan_epoch"), (rows_plan, "plan_rows")):
        make = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, make=make: (made.append(1), make(*a))[1])
    return made


def test_round_trip():
    slots = Slots(input=0, output=3)
    slots.length, slots.has_status = 5, True
    constants = (MATRIX, np.array([1, 2], np.int64), np.zeros((0, 2), np.float32), np.array(True))
    recipe, objects = Recipe.from_bytes(Recipe(slots, 128, 2, 1e-6, constants).to_bytes(["one", "two"]))
    assert objects == ["one", "two"]
    assert (recipe.slots, recipe.slots.length, recipe.slots.has_status) == (slots, 5, True)
    assert (recipe.arena, recipe.members, recipe.seconds) == (128, 2, 1e-6)
    for a, b in zip(recipe.constants, constants, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_an_epoch_is_planned_once(cache, planned):
    first = compile_loop(step_graph(), 1, 0, 4, cache=cache)
    assert len(planned) == 1
    second = compile_loop(step_graph(), 1, 0, 4, cache=cache)
    assert len(planned) == 1
    for a, b in zip(run(first), run(second), strict=True):
        assert a.tobytes() == b.tobytes()
    assert str(second) == str(first)  # whoever asks for the plan gets it


def test_so_is_code_over_rows(cache, planned):
    x = np.random.default_rng(0).normal(size=(30, 3))
    [first] = compile_rows(rows_graph(), 0, cache=cache)([], [x])
    [second] = compile_rows(rows_graph(), 0, cache=cache)([], [x])
    assert len(planned) == 1
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    "other",
    [
        {"batch": 5},
        {"factor": 0.2},
        {"matrix": np.nextafter(MATRIX, 9)},
        {"function": np.sin},
    ],
)
def test_what_differs_is_planned_anew(cache, planned, other):
    compile_loop(step_graph(), 1, 0, 4, cache=cache)
    graph = step_graph(**other)
    got = run(compile_loop(graph, 1, 0, other.get("batch", 4), cache=cache))
    assert len(planned) == 2
    want = run(compile_loop(graph, 1, 0, other.get("batch", 4)))
    for a, b in zip(got, want, strict=True):
        assert a.tobytes() == b.tobytes()


def test_changed_source_is_planned_anew(cache, planned, monkeypatch):
    compile_loop(step_graph(), 1, 0, 4, cache=cache)
    monkeypatch.setattr("chainrule.native.recipe.environment", lambda: ("another version",))
    compile_loop(step_graph(), 1, 0, 4, cache=cache)
    assert len(planned) == 2


def test_a_recipe_without_its_code_is_no_use(cache, planned):
    compile_loop(step_graph(), 1, 0, 4, cache=cache)
    largest = max(cache.directory.glob("*.object"), key=lambda p: p.stat().st_size)
    largest.unlink()
    run(compile_loop(step_graph(), 1, 0, 4, cache=cache))
    assert len(planned) == 2


def test_code_that_calls_python_needs_its_plan(cache, planned):
    x = np.random.default_rng(0).normal(size=(30, 3))
    for _ in range(2):
        [got] = compile_rows(rows_graph(np.sort), 0, cache=cache)([], [x])
        np.testing.assert_allclose(got, np.sort(x @ MATRIX), rtol=1e-12)
    assert len(planned) == 2


def test_words_tell_graphs_apart_but_not_their_names():
    assert graph_words(step_graph()) == graph_words(step_graph())
    others = [{"batch": 5}, {"factor": 0.2}, {"matrix": -MATRIX}, {"function": np.sin}]
    assert len({graph_words(step_graph(**o)) for o in others} | {graph_words(step_graph())}) == 5
