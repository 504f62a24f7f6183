"""Run a graph over any number of rows, in blocks of one size: native code where it runs, NumPy elsewhere.

A row's results must not depend on the rows beside it, to the last bit. The order in which a matrix product adds up
depends on its sizes; so there is one size of block for all tables, single rows included, and what is missing to a whole
block is filled up with copies of a row. NumPy takes products row by row: in those of whole blocks the BLAS kernels of
some processors add up differently from place to place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from chainrule.errors import CompileError
from chainrule.graph.graph import Graph, Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.tree import flatten
from chainrule.learn.executors import Executor, native_runs
from chainrule.native.cache import graph_words, shared_cache
from chainrule.native.forks import late_imports

#: rows per block
BLOCK = 32
#: larger graphs are run by NumPy: compiling them takes longer than most predictions, whoever made them
MOST_COMPILED = 2_000
#: nodes that a special function counts as, by the time to compile one
_SPECIAL = 10


class RowsRunner(Protocol):
    """Runs a graph of a block of rows over tables: (what is the same for all blocks, arrays of rows) -> outputs."""

    def __call__(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> list[np.ndarray]: ...


class BlockRunner:
    """Runs a graph of `BLOCK` rows over tables of any length.

    Graphs that differ in the numbers of their floating-point constants only, such as those of models of the same
    architecture, share their code.

    Parameters
    ----------
    graph : Graph
        Inputs: ``n_fixed`` arrays that are the same for all rows (parameters), then arrays of `BLOCK` rows. Outputs:
        arrays of `BLOCK` rows, each row computed from its own alone.
    n_fixed : int
    executor : {"auto", "native", "numpy"}
        See `chainrule.learn.executors`.
    """

    def __init__(self, graph: Graph, n_fixed: int, executor: Executor = "auto") -> None:
        general, self._constants = constants_as_inputs(graph, n_fixed)
        native = executor == "native" or (executor == "auto" and native_runs())
        self._run = rows_runner(
            _Described(graph_words(general), general), n_fixed + len(self._constants), native, executor == "native"
        )

    def __call__(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs for all rows."""
        return self._run([*fixed, *self._constants], rows)


@dataclass(frozen=True)
class NumpyRows:
    """`RowsRunner` on the NumPy executor."""

    graph: Graph

    @classmethod
    def of(cls, graph: Graph) -> NumpyRows:
        """The runner of a graph of any products."""
        by_row = replace(PRIMITIVES["matmul"], numpy=_product_by_rows)
        nodes = (replace(n, primitive=by_row) if n.primitive.name == by_row.name else n for n in graph.nodes)
        return cls(replace(graph, nodes=tuple(nodes)))

    def __call__(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        parts = list(self._blocks(fixed, rows))
        if not parts:
            types = [self.graph.nodes[i].type for i in self.graph.outputs]
            return [np.zeros((0, *t.shape[1:]), t.dtype) for t in types]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _blocks(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
        n = len(rows[0])
        for start in range(0, n, BLOCK):
            count = min(BLOCK, n - start)
            chosen = np.minimum(np.arange(start, start + BLOCK), n - 1)
            outputs = self.graph.run(*fixed, *(np.ascontiguousarray(a[chosen]) for a in rows))
            yield [a[:count] for a in outputs]


def _product_by_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.ndim < 2:
        return np.matmul(a, b)
    if b.ndim < 2:
        return np.matmul(a[..., None, :], b[:, None])[..., 0, 0]
    return np.matmul(a[..., None, :], b[..., None, :, :])[..., 0, :]


def constants_as_inputs(graph: Graph, n_fixed: int) -> tuple[Graph, list[np.ndarray]]:
    """The graph with its floating-point arrays as further inputs, behind the first ``n_fixed``; and these arrays."""
    nodes, places, values = list(graph.nodes), [], []
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "constant" and node.shape and node.dtype.kind == "f":
            nodes[position] = Node(PRIMITIVES["input"], (), {"type": node.type}, node.type)
            places.append(position)
            values.append(np.ascontiguousarray(node.params["value"]))
    inputs = (*graph.inputs[:n_fixed], *places, *graph.inputs[n_fixed:])
    tree = flatten((0,) * len(inputs))[1]
    return replace(graph, nodes=tuple(nodes), inputs=inputs, input_tree=tree), values


def _size(graph: Graph) -> int:
    return sum(_SPECIAL if node.primitive.family == "special" else 1 for node in graph.nodes)


@dataclass(frozen=True)
class _Described:
    """A graph that is equal to others of the same description: all that a graph computes, in words."""

    words: str
    graph: Graph = field(compare=False)


@lru_cache(maxsize=64)
def rows_runner(described: _Described, n_fixed: int, native: bool, must: bool) -> RowsRunner:
    """The runner of a graph, made once for all graphs of the same description."""
    if native and (must or _size(described.graph) <= MOST_COMPILED):
        with late_imports():
            from chainrule.native.rows import compile_rows

        try:
            return compile_rows(described.graph, n_fixed, cache=shared_cache())
        except (CompileError, RecursionError):  # the latter: hundreds of functions one in another
            if must:
                raise
    return NumpyRows.of(described.graph)
