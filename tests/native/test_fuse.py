"""Fusion: what becomes one nest, what stays in registers, and what must not be merged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.graph.trace import trace
from chainrule.native.affine import Affine
from chainrule.native.compile import compile_graph
from chainrule.native.fuse import fuse, same_iteration
from chainrule.native.lower import lower
from chainrule.native.nests import Nest
from chainrule.native.terms import to_terms

X = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)


def fused(function, *args):
    return fuse(lower(to_terms(trace(function, *args))))


def agrees(function, *args):
    graph = trace(function, *args)
    for got, want in zip(compile_graph(graph).run(*args), graph.run(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)


def test_softmax_is_one_nest():
    program = fused(lambda x: special.softmax(x, axis=1), X)
    (nest,) = program.steps
    assert [r.kind for r in nest.results] == ["fold", "store", "fold", "store"]
    assert [b.role for b in program.buffers if b.role not in ("input", "output")].count("local") == 1
    assert [r.buffer is None for r in nest.results if r.kind == "fold"] == [True, True]
    agrees(lambda x: special.softmax(x, axis=1), X)
    agrees(lambda x: special.softmax(x, axis=0), X)


@pytest.mark.parametrize(("width", "n_local"), [(1_000, 1), (200_000, 0)])
def test_local_arrays_fit_on_the_stack(width, n_local):
    """A row of 140 000 numbers overflowed it, and the process ended without a word."""

    def softmax(x):
        e = np.exp(x - np.max(x, axis=1, keepdims=True))
        return e / np.sum(e, axis=1, keepdims=True)

    x = np.random.default_rng(0).normal(size=(2, width)).astype(np.float32)
    program = fused(softmax, x)
    assert [b.role for b in program.buffers].count("local") == n_local
    agrees(softmax, x)


def test_local_arrays_of_a_nest_fit_on_the_stack_together():
    def several(x):
        for _ in range(8):
            e = np.exp(x - np.max(x, axis=1, keepdims=True))
            x = e / np.sum(e, axis=1, keepdims=True)
        return x

    program = fused(several, np.ones((2, 2_000), np.float32))
    local = [sum(program.buffers[b].size for b in s.local) for s in program.steps if isinstance(s, Nest)]
    assert 0 < max(local) * 64 <= 2**18


def test_optimiser_state_and_parameters_are_one_nest():
    def adam(theta, m, v, g):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        return theta - 0.1 * m / (np.sqrt(v) + 1e-6), m, v

    program = fused(adam, *(np.full(40, k + 0.5) for k in range(4)))
    (nest,) = program.steps
    assert sorted(program.buffers[r.buffer].role for r in nest.results) == ["output"] * 3
    assert len(nest.loads()) == 4  # each input once; what was just computed is not read again


def test_weights_of_one_vector_do_not_bring_layers_together():
    """Two layers with biases side by side shared a loop over columns, and walked both matrices against the grain."""

    def layers(theta, x, z):
        return np.tanh(x + theta[:40]), np.exp(z + theta[40:])

    rng = np.random.default_rng(0)
    theta, x, z = (rng.normal(size=s).astype(np.float32) for s in (80, (32, 40), (32, 40)))
    assert [len(nest.results) for nest in fused(layers, theta, x, z).steps] == [1, 1]
    agrees(layers, theta, x, z)
    shared = fused(lambda t, x, z: (np.tanh(x + t[:40]), np.exp(x + t[40:])), theta, x, z)
    assert [len(nest.results) for nest in shared.steps] == [2]


def test_a_sum_over_rows_joins_what_it_sums_if_the_array_is_small():
    def f(x):
        y = np.tanh(x) * x
        return y, y.sum(0)

    assert len(fused(f, X).steps) == 1
    large = np.zeros((600, 400), np.float32)
    assert len(fused(f, large).steps) == 2  # walking along columns would miss the cache at every step
    agrees(f, X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (np.exp(x), np.exp(x)[::-1] + 1.0),  # other elements
        lambda x: (np.exp(x) * 2.0 - np.sum(np.exp(x)),),  # a total is not known inside its own loop
        lambda x: (np.cumsum(np.exp(x), 0) + np.tanh(np.exp(x)),),
        lambda x: (np.sin(x) @ np.cos(x).T, np.sin(x).sum(1), np.cos(x).sum(0)),
        lambda x: (np.max(x, 1) + np.max(x, 1)[::-1], np.sort(x, 0) - np.min(x, 0)),
        lambda x: (np.tanh(x).T.reshape(-1) + np.tanh(x).reshape(-1),),
    ],
)
def test_results_that_cannot_be_shared_are_still_right(f):
    agrees(f, X)


def test_nests_do_not_overtake_what_they_depend_on():
    def f(x):
        y = np.exp(x)
        total = np.sum(y @ np.ones((5, 2), np.float32))  # a product between the two
        return y * total, np.sum(y * total, axis=1)

    agrees(f, X)
    steps = fused(f, X).steps
    assert sum(isinstance(s, Nest) for s in steps) <= 4


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_same_iteration_is_right_when_it_says_yes(data):
    """Against listing all elements."""
    extents = {0: data.draw(st.integers(2, 4)), 1: data.draw(st.integers(2, 4)), 2: data.draw(st.integers(2, 3))}

    def place():
        strides = {a: data.draw(st.integers(-1, 6)) for a in extents}
        return Affine(data.draw(st.integers(0, 6)), tuple((a, s) for a, s in strides.items() if s))

    written, read = place(), place()
    shared = data.draw(st.sampled_from([(0,), (1,), (0, 1), (0, 1, 2)]))
    if not same_iteration(written, read, shared, extents):
        return

    def elements(p):
        found = {}
        for i in np.ndindex(*extents.values()):
            at = p.offset + sum(s * i[a] for a, s in p.terms)
            found.setdefault(at, set()).add(tuple(i[a] for a in shared))
        return found

    before = elements(written)
    for at, iterations in elements(read).items():
        assert before.get(at, iterations) == iterations
        assert len(iterations) == 1


def test_loops_that_meet_in_one_element_are_not_the_same_iteration():
    place = Affine(0, ((0, 1), (1, 1)))
    assert not same_iteration(place, place, (0, 1), {0: 2, 1: 2})
    assert same_iteration(Affine(0, ((0, 2), (1, 1))), Affine(0, ((0, 2), (1, 1))), (0, 1), {0: 2, 1: 2})
