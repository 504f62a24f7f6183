"""Passes: what each does to a graph, and that no bit of any result changes."""

from __future__ import annotations

import doctest
import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import GraphError
from chainrule.graph.graph import Graph, check
from chainrule.graph.interpret import walk
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply, label, scope
from chainrule.graph.types import ArrayType
from chainrule.passes import PIPELINE, fold, optimize, prune, share, simplify
from chainrule.passes.rewrite import Rewriter
from chainrule.primitives import random, stop_gradient
from programs import Program, programs

EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 5e-324, -2.5e-310, 1.7e308, 3.0, -7.25])


def same_bits(one: Any, other: Any) -> bool:
    """Equal dtype, shape and bits; NaNs are all alike, whatever their sign."""
    one, other = np.asarray(one), np.asarray(other)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if one.dtype.kind == "f":
        nan = np.isnan(one)
        if not np.array_equal(nan, np.isnan(other)):
            return False
        one, other = np.where(nan, 0, one), np.where(nan, 0, other)
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def assert_same_results(before: Graph, after: Graph, inputs: Any) -> None:
    assert (after.input_tree, after.output_tree, after.name) == (before.input_tree, before.output_tree, before.name)
    check(after)
    with np.errstate(all="ignore"):
        for one, other in zip(before.run(*inputs), after.run(*inputs), strict=True):
            assert same_bits(one, other), f"{before}\n{after}\n{one}\n{other}"


def operations(graph: Graph) -> list[str]:
    return [node.primitive.name for node in graph.nodes if node.primitive.family != "source"]


@pytest.mark.parametrize("name", ["fold", "prune", "share", "simplify"])
def test_pair_in_the_docstring(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"chainrule.passes.{name}"))
    assert result.attempted >= 3
    assert result.failed == 0


# -- simplify, rule by rule

X = np.arange(6.0).reshape(2, 3)
C = -0.0 * np.ones((2, 3))
neg = np.negative


@pytest.mark.parametrize(
    ("f", "left"),
    [
        (lambda x: stop_gradient(x), []),
        (lambda x: apply(PRIMITIVES["identity"], x), []),
        (lambda x: x + (-0.0), []),
        (lambda x: C + x, []),
        (lambda x: x + 0.0, ["add"]),
        (lambda x: x - 0.0, []),
        (lambda x: x - (-0.0), ["subtract"]),
        (lambda x: 0.0 - x, ["subtract"]),
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1.0, []),
        (lambda x: 1.0 / x, ["divide"]),
        (lambda x: np.power(x, np.ones(())), []),
        (lambda x: x * np.ones((4, 2, 3)), ["multiply"]),
        (lambda x: x / 8.0, ["multiply"]),
        (lambda x: x / -0.125, ["multiply"]),
        (lambda x: x / 3.0, ["divide"]),
        (lambda x: x / 2.0**-1060, ["divide"]),
        (lambda x: x / 0.0, ["divide"]),
        (lambda x: x / np.inf, ["divide"]),
        (lambda x: x / np.array([2.0, 4.0, 3.0]), ["divide"]),
        (lambda x: neg(neg(x)), []),
        (lambda x: neg(neg(neg(x))), ["negative"]),
        (lambda x: x + (-x), ["subtract"]),
        (lambda x: (-x) + 2.0, ["subtract"]),
        (lambda x: x - (-x), ["add"]),
        (lambda x: (-x) * (-x), ["multiply"]),
        (lambda x: (-x) / (-x), ["divide"]),
        (lambda x: -(x - 1.0), ["subtract", "negative"]),
        (lambda x: np.square(-x), ["square"]),
        (lambda x: np.square(np.abs(-x)), ["square"]),
        (lambda x: np.abs(np.abs(x)), ["absolute"]),
        (lambda x: x.astype(int).astype(float), ["cast", "cast"]),
        (lambda x: (x > 1).astype(int).astype(float), ["greater", "cast"]),
        (lambda x: (x > 1).astype(np.float32).astype(bool), ["greater"]),
        (lambda x: x.astype(np.float32).astype(float), ["cast", "cast"]),
        (lambda x: x.astype(np.float32).astype(float).astype(np.float32), ["cast"]),
        (lambda x: x.reshape(3, 2).reshape(6).reshape(1, 6), ["reshape"]),
        (lambda x: x.reshape(6).reshape(2, 3), []),
        (lambda x: x.T.reshape(6).reshape(2, 3), ["transpose", "reshape", "reshape"]),
        (lambda x: x.T.T, []),
        (lambda x: x[None].transpose(2, 0, 1).transpose(2, 0, 1), ["reshape", "transpose"]),
        (lambda x: np.flip(np.flip(x, 0), 1), ["flip"]),
        (lambda x: np.flip(np.flip(x, 0)), ["flip"]),
        (lambda x: np.flip(np.flip(x, 1), 1), []),
        (lambda x: x[:, 1:][:, ::-1][1:], ["slice"]),
        (lambda x: x[:, ::-1][:, ::-1], []),
        (lambda x: x[:0][:, :2][0:], ["slice"]),
        (lambda x: np.broadcast_to(np.broadcast_to(x, (1, 2, 3)), (4, 2, 3)), ["broadcast_to"]),
        (lambda x: np.broadcast_to(x[0], (2, 3)) * x, ["slice", "reshape", "multiply"]),
        (lambda x: np.broadcast_to(x[0], (2, 3)) * x[1], [*2 * ["slice", "reshape"], "broadcast_to", "multiply"]),
        (lambda x: np.broadcast_to(x[0, 0], (2, 3)).reshape(6) + x.reshape(6), [*2 * ["reshape"], "slice", "add"]),
        (lambda x: np.broadcast_to(x[0, 0], (2, 3)).T, ["slice", "reshape", "broadcast_to"]),
        (lambda x: np.broadcast_to(x[0, 0], (2, 3)).reshape(6).reshape(3, 2), ["slice", "reshape", "broadcast_to"]),
        (lambda x: np.broadcast_to(x[:1, :1], (2, 3)).reshape(6), ["slice", "broadcast_to", "reshape"]),
        (lambda x: np.where(~(x > 1), x, 5.0), ["greater", "where"]),
        (lambda x: np.where(np.logical_not(x > 1), x, 5.0), ["greater", "where"]),
        (lambda x: np.where(np.logical_not(x), x, 5.0), ["logical_not", "where"]),
        (lambda x: np.where(np.ones((2, 3), bool), x, 5.0), []),
        (lambda x: np.where(np.zeros((), bool), 5.0, x), []),
        (lambda x: np.where(np.array([True, False, True]), x, 5.0), ["where"]),
        (lambda x: np.where(np.ones((4, 2, 3), bool), x, 5.0), ["where"]),
    ],
)  # fmt: skip
def test_simplify(f: Any, left: list[str]) -> None:
    before = cr.trace(f, ArrayType.of(X))
    after = prune(simplify(before))
    assert sorted(operations(after)) == sorted(left), f"{before}\n{after}"
    assert_same_results(before, after, [X])
    for values in (EDGES[:6], EDGES[6:], -EDGES[:6] * 1.5):
        assert_same_results(before, after, [values.reshape(2, 3)])


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint32", "uint64", "float32"])
def test_simplify_in_other_dtypes(dtype: str) -> None:
    def f(x: Any) -> Any:
        return (
            neg(neg(x)) + x * 1 - 0,
            (-x) * (-x) + (-x),
            x + 0,
            np.abs(-x) if dtype[0] != "u" else x,
            x.astype(float).astype(dtype),
        )

    x = np.array([0, 1, 2**31 - 1, 5], dtype)
    before = cr.trace(f, x)
    after = optimize(before)
    assert len(after) < len(before)
    assert_same_results(before, after, [x])
    if np.dtype(dtype).kind == "i":
        assert_same_results(before, after, [np.array([np.iinfo(dtype).min, -1, 7, -5], dtype)])


def test_int64_does_not_fit_into_float64() -> None:
    graph = cr.trace(lambda n: n.astype(float).astype(int), np.array([2**62 + 1]))
    assert operations(simplify(graph)) == ["cast", "cast"]
    assert_same_results(graph, simplify(graph), [np.array([2**62 + 1])])


# -- fold


def both_constants(x: Any) -> Any:
    """Everything below depends on constants alone: they come from another gradient."""
    return cr.grad(lambda y: np.sum(y * np.arange(6.0).reshape(2, 3)))(x)


def test_fold() -> None:
    before = cr.trace(lambda x: x + np.exp(np.sum(both_constants(x), axis=0)), X)
    after = prune(fold(before))
    assert operations(after) == ["add"]
    assert_same_results(before, after, [X])


def test_fold_keeps_what_would_grow() -> None:
    before = cr.trace(lambda x: x + np.broadcast_to(np.sum(both_constants(x)), (100, 100, 2, 3)), X)
    after = prune(fold(before))
    assert operations(after) == ["broadcast_to", "add"]
    assert all(node.params["value"].size == 1 for node in after.nodes if node.primitive.name == "constant")


def test_fold_keeps_the_order_in_memory() -> None:
    """A folded constant is row-major; a transposed one is not, and products of it may differ in their last bits."""
    before = cr.trace(lambda x: x @ both_constants(x).T + np.sum(both_constants(x).T), X)
    after = prune(fold(before))
    assert sorted(operations(after)) == ["add", "matmul", "transpose"]
    assert_same_results(before, after, [X])


def test_fold_leaves_failures_to_the_run() -> None:
    def f(x: Any) -> Any:
        return np.sum(x) + np.linalg.inv(cr.grad(lambda y: np.sum(y * np.eye(2)))(x) * 1.0)

    before = cr.trace(f, np.ones((2, 2)))
    nodes = [
        replace(n, params={"value": np.zeros((2, 2))}) if n.primitive.name == "constant" and n.shape == (2, 2) else n
        for n in before.nodes
    ]
    singular = replace(before, nodes=tuple(nodes))
    assert "inv" in operations(fold(singular))


def test_fold_of_random_numbers() -> None:
    graph = cr.trace(lambda x: x * random.uniform(cr.grad(lambda y: y)(1.0).astype(np.uint64), (3,)), np.ones(3))
    assert operations(prune(fold(graph))) == ["multiply"]
    assert_same_results(graph, fold(graph), [np.ones(3)])


# -- share


def test_share() -> None:
    before = cr.trace(lambda x: np.sum(np.exp(x) * 2.0) + np.sum(2.0 * np.exp(x)) + np.sum(np.exp(x) * 3.0), X)
    after = share(before)
    assert operations(after) == ["exp", "multiply", "sum", "add", "multiply", "sum", "add"]
    assert_same_results(before, after, [X])


def test_share_tells_apart() -> None:
    def f(x: Any) -> Any:
        return (
            np.pad(x, 1, constant_values=0.0), np.pad(x, 1, constant_values=-0.0),
            x + 0.0, x + (-0.0), np.maximum(x, 0.0), np.maximum(x, -0.0), x - 1.0, 1.0 - x,
            np.sum(x, axis=0), np.sum(x, axis=0, keepdims=True), np.sum(x, axis=1),
            x.astype(np.float32), x.astype(int),
        )  # fmt: skip

    before = cr.trace(f, X)
    after = share(before)
    assert len(operations(after)) == 13
    assert_same_results(before, after, [X])


def test_share_inputs_stay_apart() -> None:
    before = cr.trace(lambda x, y: x + y, 1.0, 1.0)
    assert len(share(before).inputs) == 2
    assert share(before)(1.0, 2.0) == 3.0


# -- prune, the pipeline, names


def test_prune_keeps_inputs() -> None:
    graph = cr.trace(lambda x, y: (np.exp(x), np.exp(y)), 1.0, 2.0)
    first = replace(graph, outputs=graph.outputs[:1], output_tree=graph.output_tree.children[0])
    assert len(prune(first)) == 3
    assert prune(first)(1.0, 2.0) == np.exp(1.0)
    assert prune(graph) is graph


def test_outputs_may_be_inputs_and_constants() -> None:
    graph = cr.trace(lambda x, y: {"x": x * 1.0, "again": neg(neg(x)), "y": 3.0, "both": x}, X, 1.0)
    after = optimize(graph)
    assert operations(after) == []
    assert_same_results(graph, after, [X, np.asarray(1.0)])


def test_names_stay() -> None:
    def f(x: Any) -> Any:
        a = label(np.exp(x), "activation")
        return label(neg(neg(a)), "double negative") + label(np.exp(x), "again"), label(x * 1.0, "never mind")

    names = [node.name for node in optimize(cr.trace(f, X)).nodes if node.name]
    assert names == ["x", "activation"]
    after = optimize(cr.trace(lambda x: label(stop_gradient(np.exp(x)), "held"), X))
    assert [node.name for node in after.nodes] == ["x", "held"]


def test_scopes_stay() -> None:
    def f(x: Any) -> Any:
        with scope("a"):
            y = neg(neg(np.exp(x))) / 4.0
        with scope("b"):
            return np.sum(y) + np.sum(np.ones(3) * 2.0)

    after = optimize(cr.trace(f, X))
    assert {(node.primitive.name, node.scope) for node in after.nodes} == {
        ("input", ""),
        ("exp", "a"),
        ("constant", "a"),
        ("multiply", "a"),
        ("sum", "b"),
        ("constant", "b"),
        ("add", "b"),
    }


def test_optimize_checks_at_entry() -> None:
    graph = cr.trace(np.exp, X)
    wrong = replace(graph, nodes=(graph.nodes[0], replace(graph.nodes[1], type=graph.nodes[0].type.of(1.0))))
    with pytest.raises(GraphError, match=r"node 1 \(exp\): is declared float64\[\]"):
        optimize(wrong)


def test_gradient_of_a_network_gets_smaller() -> None:
    def loss(w: Any) -> Any:
        h = np.maximum(X @ w["a"] + w["b"], 0.0)
        z = h @ w["c"]
        return np.mean(np.logaddexp(0.0, z) - z) + 0.5 * np.sum(np.square(w["a"]))

    rng = np.random.default_rng(0)
    w = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=4), "c": rng.normal(size=4)}
    before = cr.trace(cr.value_and_grad(loss), w)
    after = optimize(before)
    assert len(operations(after)) < 0.8 * len(operations(before))
    assert str(optimize(after)) == str(after)
    assert_same_results(before, after, list(w.values()))


# -- every bit, on random programs and their gradients

MANY = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@MANY
@given(programs(smooth=False, most=12), st.sampled_from(("float64", "float32")), st.booleans(), st.booleans())
def test_bits_stay(program: Program, dtype: str, with_gradient: bool, edges: bool) -> None:
    inputs = program.inputs(dtype=dtype)
    with np.errstate(all="ignore"):
        if with_gradient:
            numbers = tuple(range(len(inputs)))
            loss = lambda *xs: sum(np.sum(np.sin(y)) for y in program(*xs))  # noqa: E731
            before = cr.trace(cr.value_and_grad(loss, numbers), *inputs)
        else:
            before = cr.trace(program, *inputs)
        if edges:
            inputs = [np.resize(EDGES, x.shape).astype(dtype) for x in inputs]
    after = before
    for each in PIPELINE:
        after = each(after)
        assert_same_results(before, after, inputs)
    assert len(optimize(after)) <= len(after)


@MANY
@given(programs(smooth=False, most=12))
def test_row_major_is_what_numpy_does(program: Program) -> None:
    graph = cr.trace(program, *program.inputs())
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        rewriter.place.append(rewriter.add(node))
    for position, value in walk(graph, program.inputs()):
        if rewriter.row_major[position]:
            assert np.asarray(value).flags.c_contiguous, f"{program}\n{graph}\n{position}"
