"""Layers, one by one."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.trace import trace
from chainrule.networks import Layout, Pass
from chainrule.networks.layers import LAYERS, layer_from_json

EXAMPLES = {
    "dense": cr.Dense(3, "tanh"),
    "maxout": cr.Maxout(3, pieces=4),
    "dropout": cr.Dropout(0.3),
    "batch_norm": cr.BatchNorm(momentum=0.2),
    "piecewise_linear": cr.PiecewiseLinear((0, 3, 3), (-1.0, 0.0, 0.5), (2.0, 0.5, 1.0)),
}


def test_every_layer_has_an_example():
    assert set(EXAMPLES) == set(LAYERS)


def parameters_of(layer, n_inputs, seed=0):
    layout = Layout(layer.pieces(n_inputs))
    theta = np.random.default_rng(seed).normal(size=layout.size)
    return layout.unflatten(theta)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_shape_gradient_and_json(kind):
    layer = EXAMPLES[kind]
    p = parameters_of(layer, 5)
    x = np.random.default_rng(1).normal(size=(7, 5))

    def run(p, x):
        return layer.apply(p, x, Pass(training=False, buffers=layer.buffers(5)), "")

    assert run(p, x).shape == (7, layer.width(5))
    report = cr.check_gradient(lambda p, x: np.sum(np.tanh(run(p, x))), p, x)
    assert report.ok, report
    assert layer_from_json(layer.to_json()) == layer


def test_dense_is_affine_and_unit():
    p = parameters_of(cr.Dense(3), 2)
    x = np.random.default_rng(0).normal(size=(4, 2))
    expected = np.maximum(x @ p["weight"] + p["bias"], 0)
    np.testing.assert_array_equal(cr.Dense(3).apply(p, x, Pass(False, {}), ""), expected)


def test_maxout_is_the_largest_piece():
    layer = cr.Maxout(3, pieces=4)
    p = parameters_of(layer, 2)
    x = np.random.default_rng(0).normal(size=(5, 2))
    z = (x @ p["weight"] + p["bias"]).reshape(5, 4, 3)
    np.testing.assert_allclose(layer.apply(p, x, Pass(False, {}), ""), z.max(axis=1))


def test_maxout_of_two_pieces_is_any_convex_kink():
    """|x| is a maxout unit of pieces x and -x (Goodfellow et al. 2013)."""
    x = np.linspace(-2, 2, 9)[:, None]
    p = {"weight": np.array([[1.0, -1.0]]), "bias": np.zeros(2)}
    np.testing.assert_array_equal(cr.Maxout(1, pieces=2).apply(p, x, Pass(False, {}), ""), np.abs(x))


def test_dropout_keeps_the_mean_and_the_key_decides():
    x = np.ones((200, 50))
    one = cr.Dropout(0.4).apply({}, x, Pass(True, {}, key=np.uint64(1)), "")
    again = cr.Dropout(0.4).apply({}, x, Pass(True, {}, key=np.uint64(1)), "")
    other = cr.Dropout(0.4).apply({}, x, Pass(True, {}, key=np.uint64(2)), "")
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert abs((one == 0).mean() - 0.4) < 0.02
    assert abs(one.mean() - 1) < 0.03
    np.testing.assert_array_equal(cr.Dropout(0.4).apply({}, x, Pass(False, {}), ""), x)


def test_dropout_rate_is_an_input_of_the_graph():
    layer = cr.Dropout(0.4)

    def run(x, rate):
        return layer.apply({}, x, Pass(True, {}, key=np.uint64(3), hyper={"rate": rate}), "")

    graph = trace(run, np.ones((50, 50)), 0.4)
    assert abs((graph(np.ones((50, 50)), 0.1) == 0).mean() - 0.1) < 0.03


def test_batch_norm_standardises_and_remembers():
    layer = cr.BatchNorm(momentum=0.25)
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(100, 4))
    p = {"scale": np.ones(4), "shift": np.zeros(4)}
    state = Pass(True, layer.buffers(4))
    y = layer.apply(p, x, state, "")
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(state.updates["mean"], 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(state.updates["variance"], 0.75 + 0.25 * x.var(axis=0))


def test_batch_norm_rows_of_weight_zero_count_as_absent():
    layer = cr.BatchNorm()
    x = np.random.default_rng(0).normal(size=(10, 3))
    padded = np.concatenate([x, np.full((5, 3), 1e6)])
    p = {"scale": np.ones(3), "shift": np.zeros(3)}
    alone = layer.apply(p, x, Pass(True, layer.buffers(3), weights=np.ones(10)), "")
    w = np.concatenate([np.ones(10), np.zeros(5)])
    np.testing.assert_allclose(layer.apply(p, padded, Pass(True, layer.buffers(3), weights=w), "")[:10], alone)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Dense(0), r"Dense\(n_units\) must be a whole number >= 1, got 0"),
        (lambda: cr.Dense(2.5), "must be a whole number"),
        (lambda: cr.Maxout(3, pieces=1), "must be at least 2, got 1"),
        (lambda: cr.Dropout(1.0), r"must be a number in \[0, 1\), got 1.0"),
        (lambda: cr.BatchNorm(epsilon=0.0), "must be positive"),
        (lambda: layer_from_json({"kind": "conv"}), "there is no layer kind 'conv'"),
        (lambda: layer_from_json({"kind": "dense", "n_units": 2, "x": 1}), "layer dense has no field 'x'"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(cr.OptionError, match=message):
        make()
