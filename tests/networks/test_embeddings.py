"""Piecewise linear values of columns: knots at quantiles, any piecewise linear function, weights, files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.networks import Network, Pass, PiecewiseLinear, layer_from_json


def applied(layer, x):
    return layer.apply({}, x, Pass(training=False, buffers={}), "")


@given(st.integers(0, 1000), st.integers(2, 20))
def test_any_piecewise_linear_function_is_affine_in_the_values(seed, bins):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 1))
    layer = PiecewiseLinear.fit(x, bins=bins)
    knots = np.append(layer.lows, layer.lows[-1] + layer.widths[-1])
    assert knots[0] == x.min()
    assert knots[-1] == pytest.approx(x.max())
    heights = rng.normal(size=len(knots))
    design = np.column_stack([np.ones(len(x)), applied(layer, x)])
    wanted = np.interp(x[:, 0], knots, heights)
    solution = np.linalg.lstsq(design, wanted, rcond=None)[0]
    np.testing.assert_allclose(design @ solution, wanted, atol=1e-9)


def test_intervals_hold_equal_shares_of_the_weight():
    x = np.arange(1000.0)[:, None]
    even = PiecewiseLinear.fit(x, bins=4)
    np.testing.assert_allclose(even.lows, [0, 249, 499, 749], atol=1)
    half = PiecewiseLinear.fit(x, np.where(x[:, 0] < 100, 9.0, 1.0), bins=2)  # half the weight is below 100
    assert half.lows[1] == pytest.approx(99, abs=1)


def test_weight_two_is_a_row_twice():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(100, 3)), rng.integers(1, 4, 100)
    assert PiecewiseLinear.fit(x, w) == PiecewiseLinear.fit(np.repeat(x, w, axis=0))


def test_columns_of_two_values_stay_as_they_are():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 2, 50), rng.normal(size=50), np.ones(50)])
    layer = PiecewiseLinear.fit(x, bins=8)
    assert set(layer.columns) == {1}
    values = applied(layer, x)
    assert values.shape == (50, layer.width(3)) == (50, 11)
    np.testing.assert_array_equal(values[:, :3], x)
    assert (np.abs(values[:, 3:]) <= 0.5).all()
    assert applied(PiecewiseLinear.fit(x[:, :1]), x[:, :1]) is not None
    assert PiecewiseLinear.fit(x[:, :1]).width(1) == 1


def test_many_columns_get_fewer_intervals():
    x = np.random.default_rng(0).normal(size=(300, 200))
    assert PiecewiseLinear.fit(x).width(200) <= 200 + 1024


def test_back_from_json_and_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(300, 2))
    y = np.floor(4 * x[:, 0]) + 0.01 * rng.normal(size=300)
    layer = PiecewiseLinear.fit(x)
    assert layer_from_json(layer.to_json()) == layer
    model = cr.FeedForwardRegressor((8,), embedding="piecewise", max_iter=5, n_members=2, random_state=0).fit(x, y)
    assert isinstance(model.model_.network.layers[0], PiecewiseLinear)
    model.save(tmp_path / "steps.chainrule")
    again = cr.load(tmp_path / "steps.chainrule")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.model_.network == model.model_.network


def test_two_fits_share_their_graph():
    rng = np.random.default_rng(0)
    nets = [
        Network([PiecewiseLinear.fit(rng.normal(size=(100, 2)), bins=4), cr.Dense(3)], cr.Gaussian()) for _ in range(2)
    ]
    assert nets[0] != nets[1]
    assert str(nets[0].trace(2)) == str(nets[1].trace(2))


@pytest.mark.parametrize(
    "fields", [((0,), (0.0, 1.0), (1.0,)), ((0,), (0.0,), (0.0,)), ((-1,), (0.0,), (1.0,))], ids=str
)
def test_senseless_intervals_are_refused(fields):
    with pytest.raises(cr.OptionError, match="PiecewiseLinear"):
        PiecewiseLinear(*fields)
