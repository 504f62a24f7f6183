"""Every hidden unit of the registry: range, derivative, extremes."""

import numpy as np
import pytest
from scipy.special import erf, expit

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.networks import UNITS, as_unit

REFERENCE = {
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": expit,
    "tanh": np.tanh,
    "linear": lambda z: z,
    "softplus": lambda z: np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "silu": lambda z: z * expit(z),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
}


def test_every_unit_has_a_reference():
    assert {unit.name for unit in UNITS.values()} == set(REFERENCE)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_values(name):
    z = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(UNITS[name].function(z), REFERENCE[name](z), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_gradient_and_kinks(name):
    rng = np.random.default_rng(0)
    z = rng.normal(size=20)
    assert cr.check_gradient(lambda z: np.sum(UNITS[name].function(z) ** 2), z).ok


@pytest.mark.parametrize("name", sorted(UNITS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_arguments_give_finite_values_and_gradients(name, dtype):
    z = np.array([-1e4, -100, -1, 0, 1, 100, 1e4], dtype)
    value, gradient = cr.value_and_grad(lambda z: np.sum(UNITS[name].function(z)))(z)
    assert np.isfinite(value)
    assert gradient.dtype == dtype
    assert np.isfinite(gradient).all()


def test_relu_has_derivative_zero_at_zero():
    assert cr.grad(lambda z: UNITS["relu"].function(z))(0.0) == 0.0


def test_gain_keeps_the_second_moment():
    """A wide layer drawn with variance gain / n keeps the mean square of its input within a factor of two."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 300))
    for name in ("relu", "linear", "tanh", "elu", "leaky_relu", "silu", "gelu"):
        unit, h = UNITS[name], x
        for _ in range(3):
            h = unit.function(h @ rng.normal(scale=np.sqrt(unit.gain / h.shape[1]), size=(h.shape[1], 300)))
        assert 0.15 < np.mean(h**2) < 3.0, name


def test_a_function_is_a_unit():
    made = as_unit(lambda z: np.sin(z))
    assert made.function(0.5) == np.sin(0.5)


def test_unknown_unit():
    with pytest.raises(cr.OptionError, match=r"there is no unit 'relo'; choose one of elu, gelu"):
        as_unit("relo")
    with pytest.raises(cr.OptionError, match="must be a name or a function, got 3"):
        as_unit(3)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda z: z - z.mean(axis=0), "must depend on that row alone"),
        (lambda z: z + np.random.default_rng().normal(size=z.shape), "must depend on that row alone"),
        (lambda z: z.mean(axis=1), r"one number for each of an array \(4, 8\); got shape \(4,\)"),
        (lambda z: None, "got NoneType"),
        (lambda z: z * np.ones(7), r"fails on an array of shape \(4, 8\): operands could not be broadcast"),
    ],
)
def test_units_of_ones_own_are_tried(function, said):
    with pytest.raises(OptionError, match=said):
        cr.Dense(8, function)


def test_units_of_ones_own_may_mix_columns():
    width = np.linspace(0.5, 1.5, 8)
    for function in (lambda z: np.sort(z, axis=1), lambda z: z * width, lambda z: z - z.mean(axis=1, keepdims=True)):
        assert cr.Dense(8, function).unit.function is function
