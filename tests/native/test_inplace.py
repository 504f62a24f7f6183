"""Outputs in the memory of inputs: what may overwrite, what may not, and that the numbers stay right."""

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.graph.trace import trace
from chainrule.native.inplace import in_place
from chainrule.native.loop import compile_loop
from chainrule.native.lower import lower
from chainrule.native.terms import to_terms


def program_of(function, *args):
    return in_place(lower(to_terms(trace(function, *args))), {0: 0})


def copies(program):
    """Buffers of role arena as large as the first input: updates that could not be done in place."""
    size = program.buffers[0].size
    return sum(b.role == "arena" and b.size == size for b in program.buffers)


X = np.arange(6.0)


def test_element_by_element():
    assert copies(program_of(lambda x: x * 2.0 + 1.0, X)) == 0


def test_readers_run_before():
    def f(x):
        w = x.reshape(2, 3)
        return x * 0.5, (w @ np.ones((3, 2))).sum()  # the product is recorded after the update

    program = program_of(f, X)
    assert copies(program) == 0
    writers = [k for k, s in enumerate(program.steps) if 0 in s.writes]
    readers = [k for k, s in enumerate(program.steps) if 0 in s.reads]
    assert max(readers) == max(writers)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[::-1] * 2.0,
        lambda x: np.cumsum(x) + x[0],
        lambda x: x + x.reshape(2, 3).T.reshape(-1),
        lambda x: x - x.reshape(2, 3).sum(0).repeat(2) + x[3],
    ],
)
def test_reading_elsewhere_needs_a_copy(f):
    assert copies(program_of(f, X)) >= 1


def test_an_unchanged_input_costs_nothing():
    assert program_of(lambda x: x, X).steps == ()


def run_twice(f, *carry):
    """Two steps in place against two steps by NumPy."""
    graph = trace(lambda *a: (*f(*a[:-1]), a[-1].sum()), *carry, np.ones(1))
    loop = compile_loop(graph, len(carry), 0, 1)
    got, sums = loop(carry, [], [np.ones(2)], np.arange(2))
    want = graph.run(*graph.run(*carry, np.ones(1))[:-1], np.ones(1))[:-1]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    assert sums.tolist() == [2.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: (y, x),
        lambda x, y: (x + y, x - y),
        lambda x, y: (x[::-1] + y, y[::-1] + x),
        lambda x, y: (x * 2.0, x + y[0]),
        lambda x, y: (y + 1.0, y),
        lambda x, y: (np.concatenate([x[3:], y[:3]]), x @ y * np.ones(6)),
        lambda x, y: (x, y),
        lambda x, y: (x.reshape(2, 3).T.reshape(-1), (x.reshape(3, 2) @ y.reshape(2, 3)).reshape(-1)[:6]),
    ],
)
def test_updates_that_read_each_other(f):
    run_twice(f, X + 0.5, np.cos(X))
