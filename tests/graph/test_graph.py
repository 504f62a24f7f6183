"""Graphs: what is checked of them, how they are called, what they know of themselves."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import GraphError
from chainrule.graph.graph import NO_PARAMS, Graph, Node, check
from chainrule.graph.interpret import first_non_finite, walk
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.trace import label
from chainrule.graph.tree import LEAF, TreeShape, flatten
from chainrule.graph.types import ArrayType

X = np.arange(6.0).reshape(2, 3)
F32 = ArrayType((2, 3), np.dtype("float32"))


def example() -> Graph:
    """Positions: 0 x, 1 exp, 2 constant, 3 multiply, 4 sum."""
    return cr.trace(lambda x: np.sum(label(np.exp(x), "growth") * np.array([1.0, 2.0, 3.0]), axis=1), X, name="f")


def changed(position: int, **fields: Any) -> Graph:
    graph = example()
    nodes = list(graph.nodes)
    nodes[position] = replace(nodes[position], **fields)
    return replace(graph, nodes=tuple(nodes))


# -- check


def test_traced_graphs_are_well_formed() -> None:
    graph = example()
    assert check(graph) is graph


MUTATIONS: dict[str, tuple[Callable[[], Graph], str]] = {
    "unregistered primitive": (
        lambda: changed(1, primitive=replace(PRIMITIVES["exp"], name="ex")),
        r"node 1 \(ex 'growth'\): is not a registered primitive",
    ),
    "impostor": (
        lambda: changed(1, primitive=replace(PRIMITIVES["exp"])),
        r"node 1 \(exp 'growth'\): is not a registered primitive",
    ),
    "reads itself": (lambda: changed(1, inputs=(1,)), r"node 1 .*inputs must come before"),
    "reads later": (lambda: changed(1, inputs=(3,)), r"node 1 .*inputs must come before"),
    "reads before the first": (lambda: changed(1, inputs=(-1,)), r"node 1 .*inputs must come before"),
    "reads by a float": (lambda: changed(1, inputs=(0.0,)), r"node 1 .*inputs must come before"),
    "reads by a bool": (lambda: changed(1, inputs=(False,)), r"node 1 .*inputs must come before"),
    "too few inputs": (lambda: changed(3, inputs=(1,)), r"node 3 \(multiply\): multiply takes 2 operands, got 1"),
    "too many inputs": (lambda: changed(4, inputs=(3, 3)), r"node 4 \(sum\): takes 1 inputs, got 2"),
    "shape": (lambda: changed(1, type=ArrayType((3, 2), np.dtype(float))), r"node 1 .*declared float64\[3,2\]"),
    "dtype": (lambda: changed(1, type=F32), r"declared float32\[2,3\], but its shape rule says float64\[2,3\]"),
    "dtype no graph holds": (lambda: changed(0, type=ArrayType((2, 3), np.dtype("complex64"))), r"node 0 .*complex64"),
    "byte order": (lambda: changed(0, type=ArrayType((2, 3), np.dtype(">i4"))), r"node 0 .*cannot hold"),
    "negative size": (lambda: changed(0, type=ArrayType((2, -3), np.dtype(float))), r"node 0 .*cannot hold"),
    "size that is no int": (lambda: changed(0, type=ArrayType((2, np.int64(3)), np.dtype(float))), r"node 0 .*cannot"),
    "operands do not fit": (
        lambda: changed(2, params={"value": np.ones(4)}, type=ArrayType((4,), np.dtype(float))),
        r"node 3 \(multiply\): multiply: shapes \(2, 3\) and \(4,\) do not broadcast",
    ),
    "missing param": (lambda: changed(4, params={"axis": (1,)}), r"node 4 .*takes params \['axis', 'keepdims'\]"),
    "unknown param": (lambda: changed(1, params={"axis": 1}), r"node 1 .*takes params \[\], got \['axis'\]"),
    "param of another type": (
        lambda: changed(4, params={"axis": [1], "keepdims": False}),
        r"node 4 \(sum\): axis must be tuple\[int, \.\.\.\], got \[1\]",
    ),
    "param with another int": (
        lambda: changed(4, params={"axis": (np.int64(1),), "keepdims": False}),
        r"node 4 .*axis",
    ),
    "int for a bool": (lambda: changed(4, params={"axis": (1,), "keepdims": 0}), r"node 4 .*keepdims must be bool"),
    "axis that does not exist": (lambda: changed(4, params={"axis": (5,), "keepdims": False}), r"node 4 .*axis 5"),
    "name that is no text": (lambda: changed(1, name=3), r"node 1 .*name"),
    "input with inputs": (lambda: changed(1, primitive=PRIMITIVES["input"]), r"node 1 .*has no inputs"),
    "input of another type": (lambda: changed(0, params={"type": F32}), r"node 0 .*holds float32\[2,3\]"),
    "constant without a value": (lambda: changed(2, params={}), r"node 2 \(constant\): has no inputs and one param"),
    "constant of a list": (lambda: changed(2, params={"value": [1.0]}), r"node 2 .*holds a list, not an array"),
    "constant of another type": (lambda: changed(2, params={"value": np.ones(4)}), r"node 2 .*holds float64\[4\]"),
    "input that does not exist": (lambda: replace(example(), inputs=(7,)), r"input positions \(7,\)"),
    "output that does not exist": (lambda: replace(example(), outputs=(5,)), r"output positions \(5,\)"),
    "input that is none": (lambda: replace(example(), inputs=(1,)), r"the input nodes are \[0\], but \(1,\)"),
    "input not listed": (
        lambda: replace(example(), inputs=(), input_tree=flatten(())[1]),
        r"the input nodes are \[0\], but \(\)",
    ),
    "input listed twice": (
        lambda: replace(example(), inputs=(0, 0), input_tree=flatten((1, 2))[1]),
        r"the input nodes are \[0\], but \(0, 0\)",
    ),
    "input tree": (lambda: replace(example(), input_tree=flatten((1, 2))[1]), r"input tree has 2 leaves for 1 inputs"),
    "output tree": (lambda: replace(example(), output_tree=TreeShape(type(None))), r"output tree has 0 leaves"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutated_graphs_are_refused(name: str) -> None:
    make, message = MUTATIONS[name]
    graph = make()
    with pytest.raises(GraphError, match=message) as caught:
        check(graph)
    assert "\n" not in str(caught.value)


# -- calls


def test_call() -> None:
    graph = example()
    expected = np.sum(np.exp(X) * [1.0, 2.0, 3.0], axis=1)
    np.testing.assert_array_equal(graph(X), expected)
    np.testing.assert_array_equal(graph(X.tolist() and np.array(X.tolist())), expected)
    np.testing.assert_array_equal(graph(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(graph(X.astype(int)), expected)
    np.testing.assert_array_equal(graph.run(X)[0], expected)


def test_containers_go_in_and_come_out() -> None:
    pair = namedtuple("pair", ["a", "b"])

    def f(p: Any, x: Any) -> Any:
        return {"sum": p.a + p.b[0], "list": [x["k"], None, (p.a,)], "pair": pair(x["k"], 1.5)}

    graph = cr.trace(f, pair(1.0, [2.0]), {"k": 3.0})
    result = graph(pair(10.0, [20.0]), {"k": 30.0})
    assert result == {"sum": 30.0, "list": [30.0, None, (10.0,)], "pair": pair(30.0, 1.5)}
    assert type(result["pair"]) is pair
    with pytest.raises(
        GraphError, match=r"takes arguments nested as \(pair\(\*, \[\*\]\), \{k: \*\}\), got \(\*, \*\)"
    ):
        graph(1.0, 2.0)


def test_results_belong_to_the_caller() -> None:
    c = np.arange(3.0)
    graph = cr.trace(lambda x: (x, x, c, np.broadcast_to(x, (2, 3)), np.sum(x)), np.ones(3))
    x = np.ones(3)
    one, two, constant, wide, number = graph(x)
    for array in (one, two, constant, wide):
        array += 1.0
    np.testing.assert_array_equal(x, 1.0)
    np.testing.assert_array_equal(graph(x)[2], [0.0, 1.0, 2.0])
    assert type(number) is np.float64


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (np.ones(3), r"f: input x must have shape \(2, 3\), got \(3,\)"),
        (1.0, r"shape \(2, 3\), got \(\)"),
        (X + 1j, r"float64, which complex128 does not fit into"),
        (np.full((2, 3), "a"), r"float64, which <U1 does not fit into"),
        (np.full((2, 3), None), r"float64, which object does not fit into"),
    ],
)
def test_wrong_arguments(argument: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        example()(argument)


def test_numbers_keep_their_kind() -> None:
    graph = cr.trace(lambda n, seed, flag: (n, seed, flag), 1, np.uint64(1), True)
    assert graph(2.0, 7, 0) == (2, 7, False)
    for wrong in ((0.5, 1, True), (1, -1, True), (1, 1, 2), (np.nan, 1, True), (2**70, 1, True)):
        with pytest.raises(GraphError, match="does not fit into"):
            graph(*wrong)


# -- what a graph knows of itself


def test_users_and_ancestors() -> None:
    graph = example()
    assert graph.users == ((1,), (3,), (3,), (4,), ())
    assert graph.ancestors([3]) == {0, 1, 2, 3}
    assert graph.ancestors([]) == set()
    assert len(graph) == 5
    assert repr(graph) == "<Graph f: (float64[2,3]) -> (float64[2]), 5 nodes>"
    square = cr.trace(lambda x: x * x, 2.0)
    assert square.users == ((1,), ())
    assert square.nodes[1].shape == ()
    assert square.nodes[1].dtype == np.float64


def test_names_are_unique() -> None:
    def f(x: Any) -> Any:
        return label(label(np.exp(x), "x") + label(np.sin(x), "x"), "x#2")

    assert cr.trace(f, 1.0).node_names == ("x", "x#2", "x#3", "x#2#2")


def test_pickle_and_copy() -> None:
    graph = cr.trace(lambda p: {"a": np.sum(p["w"] @ np.ones(3)), "b": p["w"].T}, {"w": X})
    graph({"w": X})  # the program is cached, and not pickled
    for again in (pickle.loads(pickle.dumps(graph)), copy.deepcopy(graph), copy.copy(graph)):
        assert str(check(again)) == str(graph)
        assert again({"w": X})["a"] == graph({"w": X})["a"]
    node = replace(graph.nodes[-1], scope="layer1")
    assert pickle.loads(pickle.dumps(node)).scope == "layer1"
    assert copy.deepcopy(PRIMITIVES["exp"]) is PRIMITIVES["exp"]
    blob = pickle.dumps(graph).replace(b"matmul", b"madmul")
    with pytest.raises(GraphError, match="no primitive 'madmul'"):
        pickle.loads(blob)


# -- running


class Spy:
    """Stands in for a rule, and knows which of the arrays it made are still alive."""

    def __init__(self) -> None:
        self.made: list[weakref.ref] = []
        self.alive: list[int] = []

    def __call__(self, x: Any) -> Any:
        self.alive.append(sum(r() is not None for r in self.made))
        result = np.exp(-np.asarray(x))
        self.made.append(weakref.ref(result))
        return result


def spied(spy: Spy, n: int, also: tuple[int, ...] = ()) -> Graph:
    """A chain of n nodes; nobody reads those in ``also`` but a node that no output needs."""
    step = replace(PRIMITIVES["exp"], name="step", numpy=spy)
    kind = ArrayType((1000,), np.dtype(float))
    nodes = [Node(PRIMITIVES["input"], (), {"type": kind}, kind)]
    nodes += [Node(step, (k,), NO_PARAMS, kind) for k in range(n)]
    nodes += [Node(PRIMITIVES["negative"], (k,), NO_PARAMS, kind) for k in also]
    return Graph(tuple(nodes), (0,), (n,), TreeShape(tuple, (0,), (LEAF,)))


@pytest.mark.parametrize("also", [(), (1, 2, 3)])
def test_values_are_dropped_after_their_last_use(also: tuple[int, ...]) -> None:
    spy = Spy()
    graph = spied(spy, 20, also)
    gc.disable()  # references alone must do
    try:
        graph.run(np.ones(1000))
    finally:
        gc.enable()
    assert max(spy.alive) == 1
    assert len(spy.alive) == 20


def test_walk_goes_node_by_node() -> None:
    graph = example()
    steps = dict(walk(graph, [X]))
    assert list(steps) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(steps[1], np.exp(X))
    np.testing.assert_array_equal(steps[4], graph(X))


def test_first_non_finite() -> None:
    graph = cr.trace(lambda x: np.sum(np.log(x) - 1.0) + np.exp(x[0]), np.array([1.0, 2.0]), name="f")
    assert first_non_finite(graph, [np.array([1.0, 2.0])]) is None
    where = first_non_finite(graph, [np.array([1.0, 0.0])])
    assert where is not None
    assert graph.nodes[where].primitive.name == "log"
    assert first_non_finite(graph, [np.array([np.nan, 0.0])]) == 0


# -- primitives


def test_every_param_has_a_type_and_every_sample_fits() -> None:
    rng = np.random.default_rng(0)
    for primitive in PRIMITIVES.values():
        for sample in primitive.samples(rng):
            types = [ArrayType.of(x) for x in sample.inputs]
            assert primitive.infer_type(types, sample.params) == primitive.infer(*types, **sample.params)


def test_registry() -> None:
    from chainrule.graph.primitive import register

    with pytest.raises(GraphError, match="'exp' already"):
        register(PRIMITIVES["exp"])
    with pytest.raises(GraphError, match="unknown lowering 'magic'"):
        replace(PRIMITIVES["exp"], lowering="magic")
    fields = dict.fromkeys(Primitive.__dataclass_fields__)
    for missing in fields:
        with pytest.raises(TypeError, match=missing):
            Primitive(**{k: v for k, v in fields.items() if k != missing})
