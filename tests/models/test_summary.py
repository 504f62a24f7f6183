"""Summaries: every parameter is counted, operations are those of the products, every layer has its time."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import run
from chainrule.models import summary as module
from chainrule.models.summary import plain_output

LAYERS = [cr.Dense(7, "tanh"), cr.Maxout(5, pieces=3), cr.Dropout(0.2), cr.BatchNorm(), cr.Dense(4, "linear")]
NETWORK = cr.Network(LAYERS, output=cr.GaussianMixture(2))


def test_parameters_widths_and_operations_of_a_network():
    found = cr.summary(NETWORK, n_inputs=6)
    assert [p.name for p in found.parts] == [*(f"layer{k}" for k in range(1, 6)), "output", "cost", "update"]
    assert [p.width for p in found.parts[:6]] == [7, 5, 5, 5, 4, 6]
    assert [p.parameters for p in found.parts[:6]] == [6 * 7 + 7, 7 * 15 + 15, 0, 10, 5 * 4 + 4, 4 * 6 + 6]
    assert found.parameters == NETWORK.layout(6).size
    if not found.measured:
        pytest.skip("native code does not run here, so nothing is measured")
    for part, products in zip(found.parts, [6 * 7, 7 * 15, 0, 0, 5 * 4, 4 * 6], strict=False):
        assert 2 * products <= max(part.operations, 0) <= 2 * products + 8 * part.width + 15
    assert all(p.predict > 0.0 for p in found.parts[:2])
    assert all(p.backward > 0.0 for p in found.parts[:2])
    assert sum(p.backward for p in found.parts if p.name == "update") > 0.0


def test_without_native_code_there_are_no_times(monkeypatch):
    monkeypatch.setattr(module, "native_runs", lambda: False)
    found = cr.summary(NETWORK, n_inputs=6)
    assert not found.measured
    assert "forward" not in str(found)
    assert "layer2" in str(found)
    assert all(p.operations == -1 and np.isnan(p.predict) for p in found.parts)


def own_unit(z):
    return z / (1.0 + np.abs(z))


@pytest.mark.parametrize("activation", ["relu", own_unit])
def test_a_fitted_model_and_its_file(tmp_path, capsys, activation):
    x = np.random.default_rng(0).normal(size=(30, 2))
    fitted = cr.FeedForwardRegressor((8,), activation=activation, max_iter=2, n_members=2).fit(x, x[:, 0])
    fitted.save(tmp_path / "m.chainrule")
    assert run(["summary", str(tmp_path / "m.chainrule")]) == 0
    out = capsys.readouterr().out
    assert "2 columns to" in out
    assert f"2 networks of {fitted.model_.members[0].theta.size} parameters" in out
    assert ("layer1" in out) == (activation == "relu")
    assert cr.summary(fitted.model_).parameters == fitted.model_.members[0].theta.size


def test_refusals():
    with pytest.raises(cr.OptionError, match="n_inputs=8"):
        cr.summary(NETWORK)
    with pytest.raises(cr.OptionError, match="got int"):
        cr.summary(3)


def test_outputs_are_written_as_one_writes_them() -> None:
    for plain, output in (
        ("Gaussian(variance='network'), fitted 0.9427", cr.Gaussian(fitted=(0.9426847929791057,))),
        ("Gaussian(variance='constant'), fitted 0.1235, 2.5", cr.Gaussian("constant", fitted=(0.123456789, 2.5))),
        (repr(cr.GaussianMixture(3)), cr.GaussianMixture(3)),
    ):
        assert plain_output(output) == plain
