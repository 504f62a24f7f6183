"""Memory that cannot be had: the error names the largest value and its shape."""

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.errors import OutOfMemoryError
from chainrule.graph.trace import label, trace
from chainrule.graph.types import ArrayType
from chainrule.native import frame
from chainrule.native.compile import compile_graph
from chainrule.native.loop import compile_loop
from chainrule.native.rows import compile_rows


def kind(*shape):
    return ArrayType(shape, np.dtype("f8"))


def test_a_graph():
    n = 1 << 21
    graph = trace(lambda x, y, z: label(x @ y, "far") @ z, kind(n, 1), kind(1, n), kind(n, 1))
    arrays = [np.broadcast_to(1.0, node.shape) for node in (graph.nodes[i] for i in graph.inputs)]
    with pytest.raises(OutOfMemoryError, match=r"33554432 MiB .* far = matmul.*float64\[2097152,2097152\].*batches"):
        compile_graph(graph).run(*arrays)


def test_a_value_inside_a_step_of_many():
    """The step ends in a number; what takes the memory is what is sorted on the way."""
    n = 1 << 22
    graph = trace(lambda x, y: np.linalg.norm(np.sort(x * y, axis=0) @ np.exp(x)), kind(n, 1), kind(1, n))
    arrays = [np.broadcast_to(1.0, node.shape) for node in (graph.nodes[i] for i in graph.inputs)]
    with pytest.raises(OutOfMemoryError, match=r"the largest is .*64\[4194304,4194304\]"):
        compile_graph(graph).run(*arrays)


def test_a_result():
    n = 1 << 22
    x = np.broadcast_to(1.0, (n,))
    graph = trace(lambda x: (x, label(np.outer(x, x), "all pairs")), kind(n))
    with pytest.raises(OutOfMemoryError, match=r"MiB of memory for the results.* all pairs = .*64\[4194304,4194304\]"):
        compile_graph(graph).run(x)


@pytest.fixture
def no_memory(monkeypatch):
    def refuse(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(frame.Frame, "__init__", refuse)


def test_an_epoch_and_rows(no_memory):
    def step(theta, x):
        return theta + np.sum(np.tanh(x @ np.ones((3, 4))) @ theta), np.sum(theta)

    epoch = compile_loop(trace(step, kind(4), kind(8, 3)), 1, 0, 8)
    with pytest.raises(OutOfMemoryError, match=r"step: .*float64\[8"):
        epoch([np.zeros(4)], (), [np.zeros((8, 3))], np.arange(8))
    rows = compile_rows(trace(lambda x: np.tanh(x @ np.ones((3, 4))) @ np.ones((4, 2)), kind(8, 3)), 0)
    with pytest.raises(MemoryError, match=r"float64\[8,4\]"):
        rows([], [np.zeros((8, 3))])
