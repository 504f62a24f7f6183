"""The machine's peak, measured: the fastest matrix product that fits its caches, on one thread."""

from functools import cache
from time import perf_counter

import numpy as np

from chainrule.graph.trace import trace
from chainrule.native.compile import compile_graph

_SIZE, _TRIES = 192, 30


@cache
def peak(dtype: str) -> float:
    """Operations per second of a product of 192 × 192 matrices, the best of thirty."""
    x = np.ones((_SIZE, _SIZE), dtype)
    program = compile_graph(trace(np.matmul, x, x, name="peak"))
    best = float("inf")
    for _ in range(_TRIES):
        start = perf_counter()
        program.run(x, x)
        best = min(best, perf_counter() - start)
    return 2.0 * _SIZE**3 / best
