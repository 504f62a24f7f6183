"""The gradient check of a fitted model: right models pass, planted faults are found, by operation and row."""

from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply
from chainrule.models.check import check_model
from chainrule.models.model import load_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=20)


def model_of(**options):
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "early_stopping": False, **options}
    return cr.FeedForwardRegressor(**options).fit(X, Y).model_


def gelu_of_ones_own(z):
    return 0.5 * z * (1.0 + np.tanh(0.79788456 * (z + 0.044715 * z**3)))


@pytest.mark.parametrize("output", ["gaussian", "mixture:2", "laplace", "student_t"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_row_of_a_right_model_is_right(output, activation):
    model = model_of(output=output, activation=activation, n_members=2)
    checks = check_model(model, [X], Y[:, None])
    assert len(checks) == 2
    for each in checks:
        assert each.ok, each.gradient
        assert len(each.rows.comparisons) == len(X)
        assert {p.name for p in each.gradient.parameters} >= {"parameters['layer1.weight']"}


def test_a_rule_slightly_wrong_is_found(monkeypatch):
    right = PRIMITIVES["tanh"]

    def reverse(*args, **params):
        return right.reverse(*args, **params) * 1.0005

    spoilt = replace(right, name="spoilt_tanh", reverse=reverse)
    monkeypatch.setitem(PRIMITIVES, "spoilt_tanh", spoilt)
    model = model_of(activation=np.tanh)
    network = cr.Network([cr.Dense(4, lambda z: apply(spoilt, z))], output=model.output)
    each = check_model(replace(model, network=network), [X], Y[:, None])[0]
    assert not each.ok
    assert "spoilt_tanh" in each.gradient.summary


def test_a_fault_of_one_row_is_named(monkeypatch):
    right = PRIMITIVES["tanh"]

    def forward(tangents, out, *args, **params):
        return right.forward(tangents, out, *args, **params) * np.where(np.arange(20)[:, None] == 7, 1.01, 1.0)

    spoilt = replace(right, name="spoilt_tanh", forward=forward)
    monkeypatch.setitem(PRIMITIVES, "spoilt_tanh", spoilt)
    model = model_of(activation=np.tanh)
    network = cr.Network([cr.Dense(4, lambda z: apply(spoilt, z))], output=model.output)
    each = check_model(replace(model, network=network), [X], Y[:, None])[0]
    assert not each.ok
    assert each.rows.at("fault") == [7]
    assert each.rows.worst == 7


def test_a_kink_is_no_fault():
    model = model_of(activation="relu", l2=0.0)
    theta = np.zeros_like(model.members[0].theta)  # every unit sits at its kink
    theta[-8:] = 0.5
    each = check_model(replace(model, members=(replace(model.members[0], theta=theta),)), [X], Y[:, None])[0]
    assert each.ok
    assert each.gradient.kinks


def test_a_loaded_model_with_a_unit_of_ones_own(tmp_path):
    model = model_of(activation=gelu_of_ones_own)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    assert loaded.network is None
    assert check_model(loaded, [X], Y[:, None])[0].ok
