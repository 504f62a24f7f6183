"""Native programs against the NumPy executor: every primitive on its samples, and what a program promises."""

import threading

import numpy as np
import pytest
from scipy import special

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.calculus import grad, hessian, value_and_grad
from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply, trace
from chainrule.graph.tree import flatten
from chainrule.native.compile import compile_graph
from chainrule.native.frame import address_of
from chainrule.native.steps import ProductStep
from chainrule.native.target import Target

TOLERANCE = {"float32": (2e-5, 2e-6), "float64": (1e-12, 1e-13)}


def agree(graph: Graph, leaves: list[np.ndarray], target: Target | None = None) -> list[np.ndarray]:
    """Run on both executors, compare, and check that a second run gives the same bits."""
    with np.errstate(all="ignore"):
        expected = [np.asarray(v) for v in graph.run(*leaves)]
    program = compile_graph(graph, target)
    got = program.run(*leaves)
    for want, have in zip(expected, got, strict=True):
        assert have.shape == want.shape
        assert have.dtype == want.dtype
        if want.dtype.kind == "f":
            rtol, atol = TOLERANCE[want.dtype.name]
            np.testing.assert_allclose(have, want, rtol=rtol, atol=atol, err_msg=f"{graph}\n{program}")
        else:
            np.testing.assert_array_equal(have, want, err_msg=f"{graph}\n{program}")
    again = program.run(*leaves)
    assert [a.tobytes() for a in again] == [a.tobytes() for a in got]
    return got


def check(function, *args, target: Target | None = None) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        graph = trace(function, *args)
    leaves = [np.asarray(a) for a in flatten(args)[0]]
    return agree(graph, leaves, target)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(n for n in PRIMITIVES if n not in ("input", "constant")))
def test_every_primitive_agrees_on_its_samples(name, dtype):
    primitive = PRIMITIVES[name]
    for sample in primitive.samples(np.random.default_rng(0)):
        inputs = [x.astype(dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in sample.inputs]
        params = dict(sample.params)
        if name in ("cast", "uniform"):
            params["dtype"] = dtype
        graph = trace(lambda *xs, p=params: apply(primitive, *xs, **p), *inputs, name=name)
        agree(graph, inputs)


def f(*shape, dtype="float64", seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.tanh(x.T).reshape(-1)[3:20:2] * 2.0,
        lambda x: np.concatenate([x, x * 2.0], 1).sum(1),
        lambda x: np.exp(np.concatenate([x[:, ::-1], np.cos(x)], 0)) - 1.0,
        lambda x: np.max(x, axis=1, keepdims=True) - x,
        lambda x: (x @ x.T, x.T @ x, x @ x[0], x[0] @ x.T, x[0] @ x[1]),
        lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=7.0)[::2] + 1.0,
        lambda x: np.sort(x, 1)[:, :3],
        lambda x: (x, x, x + 0.0, x[2], np.ones(3), x.reshape(7, 5).T.reshape(-1)),
        lambda x: np.where(x > 0, x, x[::-1]).reshape(5, 7).T.sum(0),
        lambda x: special.logsumexp(x, axis=1) + np.mean(x, 1),
        lambda x: np.cumsum(x, 0)[:, 2] / (1.0 + np.arange(5.0)),
        lambda x: x.reshape(7, 5)[np.array([[0, -1], [3, 3]])].sum(axis=1),
        lambda x: np.linalg.solve(x[:, :5] + 9 * np.eye(5), x) @ np.ones(7),
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.stack([x, x]).transpose(2, 0, 1) @ np.stack([x] * 7),
        lambda x: (np.any(x > 1, 0), np.all(x > -1, 1), (x > 0).sum(0), np.argmin(x, 0)),
        lambda x: np.roll(x, 2, axis=1) * np.flip(x),
        lambda x: np.repeat(x, 3, axis=0)[1:4],
        lambda x: np.prod(np.abs(x) + 0.5, axis=1),
    ],
)
def test_functions_agree(function, dtype):
    check(function, f(5, 7, dtype=dtype))


def network_loss(theta, x, y):
    w1, b1, w2 = theta[:63].reshape(7, 9), theta[63:72], theta[72:90].reshape(9, 2)
    z = np.maximum(x @ w1 + b1, 0.0) @ w2
    logp = z - special.logsumexp(z, axis=1, keepdims=True)
    return -np.mean(logp[np.arange(len(x)), y])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_of_a_network(dtype):
    y = np.array([0, 1, 1, 0, 1])
    check(value_and_grad(network_loss), f(90, dtype=dtype), f(5, 7, dtype=dtype), y)


def test_pieces_of_a_flat_gradient_are_written_in_place():
    graph = trace(value_and_grad(network_loss), f(90), f(5, 7), np.array([0, 1, 1, 0, 1]))
    program = compile_graph(graph).program
    flat = next(b for b, buffer in enumerate(program.buffers) if buffer.role == "output" and buffer.size == 90)
    assert sum(flat in step.writes for step in program.steps) == 3  # one producer per piece, nothing is copied
    assert not any(flat in step.reads for step in program.steps)


def test_second_order():
    def loss(x):
        return np.sum(np.sin(x @ f(4, 3)) ** 2) + np.prod(x)

    check(hessian(loss), f(4))
    check(grad(lambda x: np.sum(grad(loss)(x) ** 2)), f(4))


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_narrower_targets(level):
    target = Target.restricted(level)
    if not target.runs_here:
        pytest.skip(f"this machine has no {level}")
    y = np.array([0, 1, 1, 0, 1])
    check(value_and_grad(network_loss), f(90, dtype="float32"), f(5, 7, dtype="float32"), y, target=target)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "uint32", "uint64"])
def test_integers(dtype):
    x = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 9, size=(3, 5)).astype(dtype)
    for g in (
        lambda x: (x.max(1), x.min(0), x + x, x * x, np.maximum(x, x[0]), x == x[0], x < x[1]),
        lambda x: (x.sum(0), x.astype(float) / 2.0, np.cumsum(x, 1), np.argmax(x, 1)),
        lambda x: x.astype(np.float32) @ np.ones((5, 2), np.float32),
        lambda x: (x & x[0], x | x[0], x ^ x[0], ~x),
    ):
        check(g, x)
    if dtype != "bool":
        check(lambda x: (x // (x[0] + 1), x % (x[1] + 1), x // x, x % x, x @ x.T), x)
    if dtype.startswith("int"):
        check(lambda x: ((x - 4) // -3, (x - 4) % 3, -x, np.abs(x - 4), np.sign(x - 4)), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_not_a_number_and_infinity_as_in_numpy(dtype):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5, 3.0], dtype)
    x, y = (a.reshape(-1) for a in np.meshgrid(values, values))
    check(lambda x, y: (np.maximum(x, y), np.minimum(x, y), np.fmax(x, y), np.fmin(x, y), np.sign(x)), x, y)
    check(lambda x, y: (np.maximum(x, 0.0), np.minimum(x, 1.0), np.heaviside(x, y), np.copysign(x, y)), x, y)
    check(lambda x, y: (x < y, x <= y, x == y, x != y, np.isnan(x), np.isinf(y), np.isfinite(x), np.signbit(y)), x, y)
    check(lambda x, y: (x // y, x % y, np.logical_and(x, y), np.logical_not(x), np.rint(x), np.floor(x)), x, y)
    check(lambda x, y: (special.xlogy(x, y), special.entr(x), special.rel_entr(x, y), np.logaddexp(x, y)), x, y)
    for block in values.reshape(2, 4), values[3:], values[::-1]:
        check(lambda v: (np.max(v), np.min(v, 0), np.argmax(v), np.argmin(v), np.any(v), np.all(v)), block)


def test_random_numbers_are_the_same_bits():
    from chainrule.primitives.random import uniform

    key = np.asarray(7, np.uint64)
    for dtype in (np.float32, np.float64):
        graph = trace(lambda key, d=dtype: uniform(key, (5, 7), d)[1:, ::2].T, key)
        (got,) = agree(graph, [key])
        assert got.tobytes() == np.ascontiguousarray(graph.run(key)[0]).tobytes()


def test_index_out_of_bounds_is_an_error_that_names_the_node():
    graph = trace(lambda x, i: x[i] * 2.0, f(5), np.array([0, 4]), name="pick")
    program = compile_graph(graph)
    np.testing.assert_array_equal(program.run(f(5), np.array([-5, 4]))[0], f(5)[[-5, 4]] * 2.0)
    for wrong in ([0, 5], [-6, 0]):
        with pytest.raises(GraphError, match=r"pick: v2 = gather\(float64\[5\], int64\[2\]\): an index is out of"):
            program.run(f(5), np.array(wrong))


def test_errors_of_library_calls_come_through():
    program = compile_graph(trace(lambda a: np.linalg.inv(a) + 1.0, np.eye(3)))
    np.testing.assert_allclose(program.run(2 * np.eye(3))[0], 0.5 * np.eye(3) + 1.0)
    with pytest.raises(np.linalg.LinAlgError):
        program.run(np.zeros((3, 3)))


def test_inputs_are_checked():
    program = compile_graph(trace(lambda x: x + 1.0, f(3), name="g"))
    assert program.run([1, 2, 3])[0].tolist() == [2, 3, 4]
    with pytest.raises(GraphError, match=r"g: input x must have shape \(3,\), got \(4,\)"):
        program.run(np.zeros(4))
    with pytest.raises(GraphError, match="takes 1 inputs, got 2"):
        program.run(np.zeros(3), np.zeros(3))


def test_inputs_are_not_touched_and_outputs_are_new():
    x = f(40)
    before = x.copy()
    program = compile_graph(trace(lambda x: (x * 2.0, x[::-1], x), x))
    first = program.run(x)
    second = program.run(x)
    np.testing.assert_array_equal(x, before)
    assert not any(np.shares_memory(a, b) for a in first for b in [x, *second])


def test_many_threads_at_once():
    x, y = f(90), np.array([0, 1, 1, 0, 1])
    program = compile_graph(trace(value_and_grad(network_loss), x, f(5, 7), y))
    expected = [program.run(x * k, f(5, 7), y)[1].tobytes() for k in range(8)]
    wrong = []

    def work(k):
        for _ in range(200):
            if program.run(x * k, f(5, 7), y)[1].tobytes() != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_addresses_of_arrays_are_numpys_own():
    a = np.zeros((4, 6), np.float32)
    for view in (a, a[1:], a[:, ::2], a.T, a[::-1], np.array(2.0), np.empty(0)):
        assert address_of(view) == view.__array_interface__["data"][0]


def test_a_product_with_one_column_is_dot_products():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(32, 40)).astype(np.float32), rng.normal(size=(40, 1)).astype(np.float32)
    graph = trace(lambda a, b: a @ b, a, b)
    agree(graph, [a, b])
    assert not any(isinstance(s, ProductStep) for s in compile_graph(graph).program.steps)
    agree(trace(lambda a, b: a.T @ b, a.T.copy(), b), [a.T.copy(), b])


def test_a_product_with_one_column_of_whatever_strides():
    rng = np.random.default_rng(0)
    a, theta = rng.normal(size=(32, 40)).astype(np.float32), rng.normal(size=200).astype(np.float32)
    agree(trace(lambda a, t: a @ t[7:47].reshape(40, 1), a, theta), [a, theta])
    agree(trace(lambda a, t: a @ t.reshape(40, 5)[:, 2:3], a, theta), [a, theta])
    agree(trace(lambda a, t: a @ t[7:47].reshape(1, 40).T, a, theta), [a, theta])
    agree(trace(lambda a, t: (a @ t[:80].reshape(40, 2)) @ t[80:82].reshape(2, 1), a, theta), [a, theta])
