"""Graphs as data: written and read without loss, and read without believing anything."""

from __future__ import annotations

import copy
import json
from collections import namedtuple
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import GraphError
from chainrule.graph import serial
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.serial import Cost, cost, graph_from_dict, graph_to_dict
from chainrule.graph.trace import apply
from chainrule.graph.types import ArrayType
from golden import graphs

GRAPHS = graphs()


def through_json(record: Any) -> Any:
    """As a model file does it: strict JSON, read by another library."""
    return msgspec.json.decode(json.dumps(record, allow_nan=False))


def assert_same(one: Graph, other: Graph) -> None:
    assert str(one) == str(other)
    assert (one.input_tree, one.output_tree, one.inputs, one.outputs) == (
        other.input_tree,
        other.output_tree,
        other.inputs,
        other.outputs,
    )
    for mine, theirs in zip(one.nodes, other.nodes, strict=True):
        assert (mine.primitive, mine.inputs, mine.type, mine.name) == (
            theirs.primitive,
            theirs.inputs,
            theirs.type,
            theirs.name,
        )
        if mine.primitive.name == "constant":
            np.testing.assert_array_equal(mine.params["value"], theirs.params["value"])
            assert not theirs.params["value"].flags.writeable
        else:
            assert repr(dict(mine.params)) == repr(dict(theirs.params))


@pytest.mark.parametrize("name", GRAPHS)
def test_there_and_back(name: str) -> None:
    record, constants = graph_to_dict(GRAPHS[name])
    assert_same(GRAPHS[name], graph_from_dict(through_json(record), constants))


@pytest.mark.parametrize("primitive", [p for p in PRIMITIVES.values() if p.family != "source"], ids=lambda p: p.name)
def test_every_primitive_there_and_back(primitive: Any) -> None:
    for sample in primitive.samples(np.random.default_rng(0)):
        graph = cr.trace(lambda *xs, sample=sample: apply(primitive, *xs, **sample.params), *sample.inputs)
        record, constants = graph_to_dict(graph)
        assert_same(graph, graph_from_dict(through_json(record), constants))


def test_numbers_that_json_has_not() -> None:
    for value in (np.nan, np.inf, -np.inf, -0.0, 0.1, 5e-324, 1.7976931348623157e308):
        graph = cr.trace(lambda x, value=value: np.pad(x, 1, constant_values=value), np.ones(2))
        record, constants = graph_to_dict(graph)
        again = graph_from_dict(through_json(record), constants)
        assert repr(again.nodes[1].params["value"]) == repr(float(value))


def test_named_tuples_become_tuples() -> None:
    pair = namedtuple("pair", ["a", "b"])
    record, constants = graph_to_dict(cr.trace(lambda p: {"x": p.a, 3: [p.b, None]}, pair(1.0, 2.0)))
    again = graph_from_dict(through_json(record), constants)
    assert again((1.0, 2.0)) == {"x": 1.0, 3: [2.0, None]}


def test_other_keys_are_refused() -> None:
    with pytest.raises(GraphError, match="keys that are text or integers"):
        graph_to_dict(cr.trace(lambda p: p[(1, 2)], {(1, 2): 1.0}))


def test_constants_are_row_major_and_not_copied() -> None:
    record, constants = graph_to_dict(cr.trace(lambda x: x @ np.asfortranarray(np.ones((2, 3))), np.ones(2)))
    assert constants[0].flags.c_contiguous
    assert np.shares_memory(graph_from_dict(record, constants).nodes[1].params["value"], constants[0])


# -- what is refused, and how it is said


def fresh() -> tuple[dict[str, Any], list[np.ndarray]]:
    """Nodes: 0 x, 1 constant, 2 multiply, 3 sum, 4 pad."""
    graph = cr.trace(lambda x: {"y": np.pad(np.sum(x * np.arange(3.0), axis=0), 1)}, np.ones((2, 3)), name="f")
    record, constants = graph_to_dict(graph)
    return through_json(record), constants


def put(*path: Any) -> Any:
    """A mutation: the last item of the path goes to the place that the others name."""

    def mutate(record: Any) -> Any:
        *way, last, value = path
        for step in way:
            record = record[step]
        record[last] = value

    return mutate


@pytest.mark.parametrize(
    ("mutate", "message"),
    [
        (put("nodes", 3), r"nodes must be list, got int"),
        (put("name", None), r"name must be str, got NoneType"),
        (lambda r: r.pop("outputs"), r"must have the fields"),
        (put("more", 1), r"must have the fields"),
        (put("nodes", 2, "x"), r"node 2 must have the fields"),
        (put("nodes", 2, "primitive", "eval"), r"node 2 \(eval\): there is no such primitive"),
        (put("nodes", 2, "inputs", [0, 2]), r"node 2 \(multiply\): reads \(0, 2\), but inputs must come before"),
        (put("nodes", 2, "inputs", [0, -1]), r"node 2 \(multiply\): inputs must be integers from 0"),
        (put("nodes", 2, "inputs", [0, 1.0]), r"inputs must be integers"),
        (put("nodes", 2, "inputs", [0, True]), r"inputs must be integers"),
        (put("nodes", 2, "inputs", [0]), r"node 2 \(multiply\): multiply takes 2 operands, got 1"),
        (put("nodes", 2, "shape", [3, 2]), r"declared float64\[3,2\], but its shape rule says float64\[2,3\]"),
        (put("nodes", 2, "shape", [2, 3.0]), r"shape must be integers"),
        (put("nodes", 2, "shape", [1] * 33), r"node 2 .* too large; 32 axes"),
        (put("nodes", 0, "shape", [2**27, 4]), r"node 0 \(input\): shape \(134217728, 4\) is too large"),
        (put("nodes", 0, "shape", [2**70]), r"shape must be integers from 0 to 268435456"),
        (put("nodes", 2, "dtype", "complex128"), r"node 2 \(multiply\): dtype must be one of bool, int32"),
        (put("nodes", 2, "dtype", "float32"), r"declared float32\[2,3\]"),
        (put("nodes", 2, "name", 5), r"node 2 \(multiply\): name must be text"),
        (put("nodes", 2, "params", {"axis": 1}), r"node 2 \(multiply\): takes params \[\], got \['axis'\]"),
        (put("nodes", 3, "params", {"axis": [0]}), r"node 3 \(sum\): takes params \['axis', 'keepdims'\]"),
        (put("nodes", 3, "params", "axis", 0), r"node 3 \(sum\): axis must be tuple\[int, \.\.\.\], got 0"),
        (put("nodes", 3, "params", "axis", [0.0]), r"node 3 \(sum\): axis must be int, got 0.0"),
        (put("nodes", 3, "params", "axis", [0, 0]), r"node 3 \(sum\): axis \(0, 0\) names an axis twice"),
        (put("nodes", 3, "params", "axis", [9]), r"node 3 \(sum\): axis 9 does not exist"),
        (put("nodes", 3, "params", "axis", [2**40]), r"node 3 \(sum\): axis must be int"),
        (put("nodes", 3, "params", "keepdims", 1), r"node 3 \(sum\): keepdims must be bool, got 1"),
        (put("nodes", 4, "params", "width", [[1, 1, 1]]), r"node 4 \(pad\): width must be tuple\[int, int\]"),
        (put("nodes", 4, "params", "width", [[1, 2**27]]), r"node 4 \(pad\): is declared"),
        (put("nodes", 4, "params", "value", "NaN"), r"node 4 \(pad\): value must be float, got 'NaN'"),
        (put("nodes", 4, "params", "value", 1), r"node 4 \(pad\): value must be float, got 1"),
        (put("nodes", 0, "params", {"type": "float64"}), r"node 0 \(input\): takes no params"),
        (
            put("nodes", 1, "shape", [4]),
            r"node 1 \(constant\): is declared float64\[4\], but its array is float64\[3\]",
        ),
        (put("nodes", 1, "primitive", "input"), r"1 of 1 constants belong to no node"),
        (put("nodes", 0, "primitive", "constant"), r"node 0 \(constant\): is declared float64\[2,3\], but its array"),
        (put("inputs", []), r"input tree has 1 leaves for 0 inputs"),
        (put("inputs", [1]), r"the input nodes are \[0\], but \(1,\)"),
        (put("inputs", [-1]), r"the inputs must be integers"),
        (put("outputs", [5]), r"output positions \(5,\) do not all exist"),
        (put("output_tree", "**"), r"the output tree must be"),
        (put("output_tree", {"set": ["*"]}), r"container it cannot have"),
        (put("output_tree", {"dict": [["a", "*"], ["a", "*"]]}), r"key twice"),
        (put("output_tree", {"dict": [[1.5, "*"]]}), r"container it cannot have"),
        (put("output_tree", {"dict": ["*"]}), r"container it cannot have"),
        (put("output_tree", {"tuple": "*"}), r"the output tree must be"),
    ],
)
def test_refused(mutate: Any, message: str) -> None:
    record, constants = fresh()
    mutate(record)
    with pytest.raises(GraphError, match=message) as caught:
        graph_from_dict(record, constants)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_wrong_constants() -> None:
    record, constants = fresh()
    for wrong, message in (
        ([], "fewer constants"),
        ([*constants, constants[0]], "1 of 2 constants belong to no node"),
        ([[0.0, 1.0, 2.0]], r"its array is list"),
        ([constants[0].astype(np.float32)], r"its array is float32\[3\]"),
    ):
        with pytest.raises(GraphError, match=message):
            graph_from_dict(record, wrong)


def test_not_a_record_at_all() -> None:
    for data in (None, 3, "graph", [], {}, {"name": "f"}):
        with pytest.raises(GraphError, match="must have the fields"):
            graph_from_dict(data, [])


def test_deep_and_long(monkeypatch: pytest.MonkeyPatch) -> None:
    record, constants = fresh()
    tree: Any = "*"
    for _ in range(100):
        tree = {"list": [tree]}
    record["output_tree"] = tree
    with pytest.raises(GraphError, match="more than 64 deep"):
        graph_from_dict(record, constants)
    record, constants = fresh()
    monkeypatch.setattr(serial, "MAX_NODES", 4)
    with pytest.raises(GraphError, match="the graph has 5 nodes; 4 are allowed"):
        graph_from_dict(record, constants)


# -- what a graph may cost


def test_cost_counts_what_is_computed() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.sum(np.exp(x @ w.T), axis=1)

    found = cost(cr.trace(f, np.ones((4, 3)), np.ones((5, 3))))
    assert found.nodes == 6
    assert found.elements == 12 + 15 + 15 + 20 + 20 + 4
    assert found.bytes == (20 + 20) * 8  # the product and its exponential; inputs are there anyway
    assert found.operations == (12 + 15) + 15 + (20 + 12 + 15 + 20 * 3) + 40 + 24


@pytest.mark.parametrize(("order", "most"), [(1, 8), (-1, 2)])
def test_cost_counts_what_is_alive_at_the_same_time(order: int, most: int) -> None:
    def f(x: Any) -> Any:
        if order < 0:
            for k in range(8):
                x = np.cumsum(x * (k + 1.0))
            return x
        total, parts = 0.0, [np.cumsum(x * (k + 1.0)) for k in range(8)]
        for part in parts[::-1]:
            total = total + np.sum(part)
        return total

    found = cost(cr.trace(f, np.ones(1000))).bytes
    assert most * 8000 <= found <= (most + 1) * 8000 + 200


def test_cost_of_solving_is_cubic() -> None:
    costs = [cost(cr.trace(np.linalg.inv, np.eye(n))).operations for n in (10, 100)]
    assert costs[1] > 900 * costs[0]


@pytest.mark.parametrize("what", ["nodes", "elements", "bytes", "operations"])
def test_more_than_is_allowed_is_refused(what: str) -> None:
    record, constants = fresh()
    own = cost(graph_from_dict(record, constants))
    assert graph_from_dict(record, constants, own) is not None
    number = getattr(own, what)
    with pytest.raises(GraphError, match=f"the graph has {number} {what}.*; {number - 1} are allowed"):
        graph_from_dict(record, constants, Cost(**{**vars(own), what: number - 1}))


def test_a_small_record_of_a_huge_graph_is_refused_before_it_is_run() -> None:
    graph = cr.trace(lambda x: np.exp(np.broadcast_to(x, (2**27,)))[:2], ArrayType((1,), np.dtype(np.float64)))
    record, constants = graph_to_dict(graph)
    assert len(json.dumps(record)) < 1000
    with pytest.raises(GraphError, match=r"elements; 1000000 are allowed"):
        graph_from_dict(record, constants, Cost(100, 1_000_000, 2**60, 2**60))


# -- mutations: GraphError, or a graph that is the same or runs as well

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 6),
    st.sampled_from([2**31, -(2**63), 2**80, 1.5, float("nan"), "*", "", "nan", "float32", "int64", "bool", "exp"]),
    st.sampled_from(sorted(PRIMITIVES)),
    st.lists(st.integers(-2, 5), max_size=4),
    st.just([[0, 1, 1]]),
    st.just({}),
    st.just({"axis": [0], "keepdims": True}),
    st.just({"tuple": ["*", {"list": []}]}),
)


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in nested data."""
    found: list[tuple[Any, Any]] = []
    stack = [data]
    while stack:
        item = stack.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else []
        for key in keys:
            found.append((item, key))
            stack.append(item[key])
    return found


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(st.data(), st.sampled_from(sorted(GRAPHS)))
def test_mutations(data: Any, name: str) -> None:
    original, constants = graph_to_dict(GRAPHS[name])
    record = through_json(original)
    for _ in range(data.draw(st.integers(1, 3))):
        options = places(record)
        container, key = options[data.draw(st.integers(0, len(options) - 1))]
        action = data.draw(st.sampled_from(("replace", "replace", "delete", "copy", "swap")))
        if action == "replace":
            container[key] = copy.deepcopy(data.draw(VALUES))
        elif action == "delete":
            del container[key]
        elif action == "copy" and isinstance(container, list):
            container.append(container[key])
        else:
            other, place = options[data.draw(st.integers(0, len(options) - 1))]
            container[key], other[place] = other[place], container[key]
        if not isinstance(record, dict):
            break
    try:
        record = json.loads(json.dumps(record))
    except ValueError:  # a swap may tie a knot, which no file can hold
        return
    graph = read(record, constants)
    if graph is not None:
        again, arrays = graph_to_dict(graph)
        assert_same(graph, graph_from_dict(through_json(again), arrays))


def read(record: Any, constants: list[np.ndarray]) -> Graph | None:
    """The graph, or None where it is refused; any other exception is a fault."""
    try:
        return graph_from_dict(record, constants)
    except GraphError:
        return None
