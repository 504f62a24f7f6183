"""Health of a network in the report: planted faults are found, gradients agree with differences."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.models.model import Member
from chainrule.networks import BatchNorm, Dense, Dropout, Maxout, Network, Pass, PiecewiseLinear
from chainrule.outputs import Gaussian
from chainrule.show.report.gather import report_of_estimator
from chainrule.show.report.health import diagnosis, layer_health
from chainrule.show.report.penalties import dropped_columns

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 1))


def member(network, change=None):
    theta = network.initial(3, np.random.default_rng(0))
    if change is not None:
        change(network.layout(3).unflatten(theta))
    return Member(theta, network.buffers(3))


def test_a_planted_dead_unit_is_found():
    network = Network([Dense(5, "relu"), Dense(4, "relu")], Gaussian())

    def kill(pieces):
        pieces["layer1.bias"][3] = -1e3

    first, second, _ = layer_health(network, member(network, kill), X, Y)
    assert 3 in first.dead
    alive = layer_health(network, member(network), X, Y)[0]
    assert set(first.dead) == {*alive.dead, 3}
    _, text = diagnosis([[first, second, second]])[0]
    assert "dead unit" in text
    assert "layer1" in text


@pytest.mark.parametrize(("unit", "bound"), [("tanh", 1.0), ("sigmoid", 1.0)])
def test_saturated_units_are_counted(unit, bound):
    network = Network([Dense(4, unit)], Gaussian())

    def saturate(pieces):
        pieces["layer1.bias"][:2] = 50.0
        pieces["layer1.weight"][:, 2:] = 0.0

    first, _ = layer_health(network, member(network, saturate), X, Y)
    assert first.saturated == 0.5
    assert np.isnan(layer_health(Network([4], Gaussian()), member(Network([4], Gaussian())), X, Y)[0].saturated)


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(4, "tanh"), Dense(3, "silu")],
        [Maxout(4), BatchNorm(), Dropout(0.5), Dense(3, "gelu")],
        [PiecewiseLinear.fit(X), Dense(4)],
        [],
    ],
)
def test_values_and_gradients_agree_with_the_network(layers):
    network = Network(layers, Gaussian())
    one = member(network)
    found = layer_health(network, one, X, Y)
    pieces = network.layout(3).unflatten(one.theta)
    state = Pass(training=False, buffers=one.buffers)
    values = network.hidden(pieces, X, state)[1:]
    for layer, h in zip(found, values, strict=False):
        assert (layer.width, layer.mean, layer.std) == (h.shape[1], pytest.approx(h.mean()), pytest.approx(h.std()))

    def loss(parameters):
        return np.mean(network.output.nll(network.raw(parameters, X, state), Y))

    slopes = cr.grad(loss)(pieces)
    for layer in found:
        own = [slopes[k] for k in pieces if k.startswith(f"{layer.name}.")]
        if own:
            assert layer.parameter_gradient == pytest.approx(np.sqrt(sum(np.sum(np.square(g)) for g in own)))
    raw = network.raw(pieces, X, state)
    by_raw = cr.grad(lambda raw: np.sum(network.output.nll(raw, Y)))(raw)
    assert found[-1].gradient == pytest.approx(np.sqrt(np.mean(np.square(by_raw))))
    if layers:
        last = by_raw @ pieces["output.weight"].T
        assert found[-2].gradient == pytest.approx(np.sqrt(np.mean(np.square(last))))


def test_vanishing_gradients_are_told():
    network = Network([Dense(6, "sigmoid") for _ in range(8)], Gaussian())
    said = diagnosis([layer_health(network, member(network), X, Y)])
    assert any("vanish" in text and not good for good, text in said)
    healthy = Network([Dense(16, "tanh"), Dense(16, "tanh")], Gaussian())
    assert all(good for good, _ in diagnosis([layer_health(healthy, member(healthy), X, Y)]))


def test_dropped_columns_are_those_with_zero_weights():
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = 3.0 * X[:, 1]
    fit = cr.FeedForwardRegressor((8,), group_l1=0.2, max_iter=60, random_state=0, n_members=2).fit(X, y)
    weights = [m.theta[: 4 * 8].reshape(-1) for m in fit.model_.members]
    layout = fit.model_.network.layout(4)
    zero = [
        not any(np.any(layout.unflatten(m.theta)["layer1.weight"][k]) for m in fit.model_.members) for k in range(4)
    ]
    assert len(weights) == 2
    assert dropped_columns(report_of_estimator(fit, X, y)) == [f"x{k}" for k in range(4) if zero[k]]
    assert zero[0]
    assert not zero[1]
