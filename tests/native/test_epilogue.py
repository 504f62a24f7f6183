"""Element-wise work taken into matrix products."""

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.calculus import grad
from chainrule.graph.trace import trace
from chainrule.native.compile import compile_graph
from chainrule.native.steps import ProductStep
from chainrule.native.target import Target


def f(*shape, dtype="float32"):
    return np.random.default_rng(list(shape)).normal(size=shape).astype(dtype)


def products(program):
    return [s for s in program.steps if isinstance(s, ProductStep)]


def compiled(function, *args, target=None):
    graph = trace(function, *args)
    program = compile_graph(graph, target)
    for got, want in zip(program.run(*args), graph.run(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)
    return program.program


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 4, 9), (33, 2, 40), (64, 17, 64), (9, 9, 2)])
def test_bias_and_activation(shape):
    m, k, n = shape

    def dense(x, w, b):
        return np.tanh(x @ w + b) * 2.0 + x.sum(1, keepdims=True)

    program = compiled(dense, f(m, k), f(k, n), f(n))
    (product,) = products(program)
    assert (product.epilogue is not None) == (n > 1)
    if n > 1:
        sizes = [b.size for k, b in enumerate(program.buffers) if b.role == "arena" and k in product.writes]
        assert sizes == []  # the product itself is nowhere in memory


def test_the_product_is_stored_if_it_is_read_elsewhere():
    def two(x, w):
        z = x @ w
        return np.exp(z), z.sum(0), np.maximum(z, 0.0)

    program = compiled(two, f(6, 5), f(5, 20))
    (product,) = products(program)
    assert len(product.epilogue.results) == 3


def test_only_what_is_read_in_place_is_taken():
    program = compiled(lambda x, w: (x @ w)[::-1] + 1.0, f(6, 5), f(5, 20))
    assert products(program)[0].epilogue is None
    program = compiled(lambda x, w: (x @ w).T + np.ones((20, 6), np.float32), f(6, 5), f(5, 20))
    assert all(s.epilogue is None for s in products(program))
    program = compiled(lambda x, w: (x @ w) * np.sum(x @ w), f(6, 5), f(5, 20))
    assert products(program)[0].epilogue is None


def test_chains_of_layers_and_their_gradient():
    def loss(w, v, x):
        h = np.maximum(x @ w + 0.5, 0.0)
        return np.sum(np.tanh(h @ v) ** 2)

    program = compiled(grad(loss, (0, 1)), f(6, 20), f(20, 18), f(9, 6))
    assert all(s.epilogue is not None for s in products(program)[:3])


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_narrower_targets(level):
    target = Target.restricted(level)
    if not target.runs_here:
        pytest.skip(f"this machine has no {level}")
    compiled(lambda x, w: np.exp((x @ w).astype(np.float64) * 0.1), f(7, 5), f(5, 21), target=target)
    compiled(lambda x, w: np.where(x @ w > 0.0, x @ w, 0.0), f(7, 5), f(5, 21), target=target)


def test_random_numbers_in_an_epilogue():
    from chainrule.primitives.random import uniform

    def dropped(x, w, key):
        z = x @ w
        return np.where(uniform(key, z.shape, np.float32) < 0.5, z, 0.0)

    args = (f(9, 5), f(5, 21), np.asarray(3, np.uint64))
    program = compiled(dropped, *args)
    assert products(program)[0].epilogue is not None
