"""Groups: what folds into what."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule.graph.serial import graph_from_dict, graph_to_dict
from chainrule.graph.trace import label, scope, trace
from chainrule.learn.step import training_step
from chainrule.show.groups import Group, groups_of

NETWORK = cr.Network([cr.Dense(3), cr.BatchNorm(), cr.Maxout(4, pieces=2)], output=cr.Gaussian())


def outline(groups: tuple[Group, ...]) -> dict[str, Any]:
    return {group.name: outline(group.children) for group in groups}


def test_layers_of_a_network() -> None:
    graph = NETWORK.trace(n_inputs=2)
    groups = groups_of(graph)
    assert outline(groups) == {"layer1": {}, "layer2": {}, "layer3": {}, "output": {}}
    owner = {graph.node_names[position]: group.name for group in groups for position in group.nodes}
    assert "x" not in owner  # a network's input is no part of a layer
    assert owner["parameters['layer1.weight']"] == owner["layer1"] == "layer1"
    assert owner["buffers['layer2.mean']"] == owner["parameters['layer2.scale']"] == "layer2"
    assert owner["raw"] == "output"


def test_parts_of_a_training_step() -> None:
    step = training_step(NETWORK, cr.Adam(), 2, 1, 8, penalties=(cr.L2(0.1), cr.L1(0.1)))
    groups = groups_of(step.graph)
    layers = ["layer1", "layer2", "layer3", "output"]
    assert sorted(outline(groups)) == sorted([*layers, "cost", "gradient", "penalty", "update"])
    inside = outline(groups)["gradient"]
    assert sorted(inside) == sorted([*layers, "cost"])
    assert list(outline(groups)["update"]) == ["penalty"]
    assert {group.path for outer in groups for group in outer.walk()} >= {"gradient/layer1", "update/penalty"}
    (layer1,) = (group for group in groups if group.name == "layer1")
    operations = {step.graph.nodes[position].primitive.name for position in layer1.nodes}
    assert {"slice", "reshape", "matmul"} <= operations  # the layer's part of θ belongs to the layer


def test_groups_share_no_node_and_hold_their_children() -> None:
    graph = training_step(NETWORK, cr.Adam(), 2, 1, 8, penalties=(cr.L1(0.1),)).graph
    for outer in groups_of(graph):
        for group in outer.walk():
            children = [position for child in group.children for position in child.nodes]
            assert len(children) == len(set(children))
            assert set(children) <= set(group.nodes)
            assert len(group.nodes) > 1
            assert list(group.nodes) == sorted(group.nodes)
    top = [position for group in groups_of(graph) for position in group.nodes]
    assert len(top) == len(set(top))


def test_one_box_and_a_literal_are_nothing_to_fold() -> None:
    graph = trace(lambda x: label(np.maximum(0.0, label(3.0 * np.sin(x), "z")), "h"), 1.0)
    assert [group.name for group in groups_of(graph)] == ["z"]


def test_without_scopes_named_values_fold() -> None:
    graph = NETWORK.trace(n_inputs=2)
    stored = graph_from_dict(*graph_to_dict(graph))  # files hold no scopes
    assert list(outline(groups_of(stored))) == ["layer1", "layer2", "layer3", "raw"]

    def f(x: Any) -> Any:
        a = label(np.exp(x) + 1.0, "a/b")
        return np.sum(a) * np.max(a)

    (group,) = groups_of(trace(f, np.zeros(3)))
    assert (group.path, group.children) == ("a∕b", ())


def test_plain_functions_have_no_groups() -> None:
    assert groups_of(trace(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0)) == ()


def test_large_plain_functions_fold_into_consecutive_parts() -> None:
    def f(w: Any, x: Any) -> Any:
        for k in range(100):
            h = np.tanh(w * x)
            x = h + np.sin(h) * 0.5 + k  # two values pass in the middle of a round, one between rounds
        return x

    graph = trace(f, 1.0, 2.0)
    groups = groups_of(graph)
    computed = [k for k, node in enumerate(graph.nodes) if node.primitive.family != "source"]
    assert 15 <= len(groups) <= 35
    assert [k for group in groups for k in group.nodes if k in computed] == computed
    assert all(len(group.nodes) < 80 for group in groups)
    first, last = graph.node_names[computed[0]], graph.node_names[computed[-1]]
    assert groups[0].name.startswith(f"{first} … ")
    assert groups[-1].name.endswith(f" … {last}")
    for group in groups[:-1]:  # cut where one value passes, besides what is given
        leaving = [k for k in group.nodes if any(user not in group.nodes for user in graph.users[k])]
        assert len(leaving) == 1
    assert groups_of(trace(lambda x: np.sin(np.sin(np.sin(x))), 1.0)) == ()


def test_one_node_is_no_group() -> None:
    def f(x: Any) -> Any:
        with scope("outer"):
            with scope("single"):
                y = np.exp(x)
            return y + np.sin(y)

    assert outline(groups_of(trace(f, 1.0))) == {"outer": {}}


def test_a_group_with_all_of_another_is_that_one() -> None:
    def f(x: Any) -> Any:
        with scope("outer"), scope("inner"):
            return np.exp(np.sin(x))

    assert outline(groups_of(trace(f, 1.0))) == {"outer": {}}
