"""Run a graph over any number of rows in blocks of a few fixed sizes, so that few graphs serve all tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.learn.loop import gather

#: rows per block; a table is cut into large blocks, and the rest runs padded in the smallest that holds it
BLOCKS = (1, 32, 1024)


class BlockRunner:
    """Runs a graph whose last inputs are rows.

    Parameters
    ----------
    graph_of : callable
        ``graph_of(n_rows) -> Graph``; called once per block size.
    """

    def __init__(self, graph_of: Callable[[int], Graph]) -> None:
        self._graph_of = graph_of
        self._graphs: dict[int, Graph] = {}

    def graph(self, size: int) -> Graph:
        """The graph of blocks of so many rows."""
        if size not in self._graphs:
            self._graphs[size] = self._graph_of(size)
        return self._graphs[size]

    def _blocks(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> Any:
        n = len(rows[0])
        start = 0
        while start < n:
            left = n - start
            size = BLOCKS[-1] if left >= BLOCKS[-1] else next(b for b in BLOCKS if b >= left)
            stop = min(start + size, n)
            if stop - start == size:
                blocks = [a[start:stop] for a in rows]
            else:
                blocks = [gather(a, np.arange(start, stop), size) for a in rows]
            yield stop - start, self.graph(size).run(*fixed, *blocks)
            start = stop

    def rows(self, fixed: Sequence[Any], rows: Sequence[np.ndarray]) -> np.ndarray:
        """Join the graph's only output, which has one row per input row."""
        parts = [outputs[0][:count] for count, outputs in self._blocks(fixed, rows)]
        if not parts:
            graph = self.graph(BLOCKS[0])
            kind = graph.nodes[graph.outputs[0]].type
            return np.zeros((0, *kind.shape[1:]), kind.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
