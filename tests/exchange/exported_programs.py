"""Graphs of one operation each, to export: every element-wise primitive on its own samples, and every move of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.exchange.predictor import Predictor
from chainrule.exchange.row_graph import row_graph
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply
from chainrule.tables import Numeric

N = 32
X = np.random.default_rng(0).normal(size=(N, 6))
W = np.random.default_rng(1).normal(size=(6, 4))
BOOLEAN = {
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "invert",
}

#: every row from its own row alone
BY_ROWS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.exp(x) * np.arange(6.0) - 1.0,
    "matrix product": lambda x: x @ W,
    "product from the left": lambda x: (W.T @ x.T).T,
    "row times vector": lambda x: x @ W[:, 0],
    "vector times rows": lambda x: W[:, 0] @ x.T,
    "vector times stacked matrices": lambda x: np.arange(3.0) @ np.reshape(x, (N, 3, 2)),
    "stacked matrices times vector": lambda x: np.reshape(x, (N, 3, 2)) @ np.arange(2.0),
    "stacked matrices times matrix": lambda x: np.reshape(x, (N, 2, 3)) @ W[:3],
    "matrix times stacked matrices": lambda x: W[:3].T @ np.reshape(x, (N, 3, 2)),
    "products by row": lambda x: np.einsum("nk,nk->n", x, np.tanh(x)),
    "reshape and back": lambda x: np.reshape(np.reshape(x, (N, 2, 3)), (N, 6))[:, ::-1],
    "rows last": lambda x: np.concatenate([x.T, x.T[:2] * 2.0], axis=0).T,
    "rows in the middle": lambda x: np.sum(np.moveaxis(np.reshape(x, (N, 2, 3)), 0, 1), axis=0),
    "transposed, then reshaped": lambda x: np.reshape(np.swapaxes(np.reshape(x, (N, 2, 3)), 1, 2), (N, 6)),
    "broadcast": lambda x: np.broadcast_to(x[:, None], (N, 3, 6)) * np.ones((N, 3, 1)),
    "running sums": lambda x: np.cumsum(np.flip(x, 1), axis=1),
    "every second, backwards": lambda x: x[:, 4:0:-2],
    "padded": lambda x: np.pad(x, ((0, 0), (2, 1)), constant_values=-1.5),
    "padded by infinity": lambda x: np.min(np.pad(x, ((0, 0), (2, 1)), constant_values=np.inf), axis=1, keepdims=True),
    "padded by no number": lambda x: np.isnan(np.pad(x, ((0, 0), (2, 1)), constant_values=np.nan)) * 1.0,
    "chosen columns": lambda x: x[:, np.array([4, -1, 1])],
    "chosen elements": lambda x: np.reshape(x, (N, 2, 3))[:, np.array([0, 1, 1]), np.array([2, 0, 1])],
    "a constant beside": lambda x: {"own": x, "shared": np.full((N, 2), 3.0), "one": np.full(N, 4.0)},
    "joined to what all rows share": lambda x: np.concatenate([np.full((N, 2), 3.0), x], axis=1),
    "largest and where": lambda x: np.max(x, axis=1) + np.argmax(x, axis=1) - np.argmin(x, axis=1) * np.min(x, axis=1),
    "sums that stay": lambda x: x / np.sum(np.abs(x), axis=1, keepdims=True),
    "any and all": lambda x: np.any(x > 1.0, axis=1) * 2.0 + np.all(x > -1.0, axis=1),
    "narrow": lambda x: np.tanh(x.astype(np.float32)).astype(np.float64),
    "whole numbers": lambda x: (np.abs(x) * 10).astype(np.int64).astype(np.float64),
    "choice of conditions": lambda x: np.where(x > 0, x > 1, x < -1).astype(np.float64),
    "constants of all kinds": lambda x: np.where(np.isnan(x), np.nan, np.minimum(x, np.inf)) - 1e-300,
}


def predictor_of_graph(graph: Any) -> Predictor:
    """A predictor of any graph from rows to values."""
    count = graph.nodes[graph.inputs[0]].shape[1]
    names = tuple(map(str, graph.output_tree.keys)) or ("value",)
    columns = [Numeric(f"x{k}", False, 0.0, 1.0) for k in range(count)]
    return Predictor(row_graph(graph), columns, False, names, ("y",), ((),))


def program_of(primitive: str) -> tuple[Callable[[Any], Any], np.ndarray]:
    """An element-wise primitive of the columns of a matrix, and a matrix made of its samples."""
    rule = PRIMITIVES[primitive]
    samples = list(rule.samples(np.random.default_rng(5)))
    arity = len(samples[0].inputs)
    columns = [np.concatenate([np.ravel(s.inputs[k]) for s in samples]).astype(float) for k in range(arity)]
    x = np.stack([np.resize(column, N) for column in columns], axis=1)
    kinds = [bool if primitive in BOOLEAN or (primitive == "where" and k == 0) else float for k in range(arity)]
    params = {"dtype": "float32"} if primitive == "cast" else {}

    def program(x: Any) -> Any:
        operands = [x[:, k] != 0.0 if kind is bool else x[:, k] for k, kind in enumerate(kinds)]
        return apply(rule, *operands, **params).astype(np.float64)

    return program, x


def traced(function: Callable[[Any], Any], x: np.ndarray) -> tuple[Predictor, dict[str, np.ndarray]]:
    """What is exported of a function of rows, and its values."""
    graph = cr.trace(function, x)
    predictor = predictor_of_graph(graph)
    with np.errstate(all="ignore"):
        return predictor, dict(zip(predictor.outputs, graph.run(x), strict=True))
