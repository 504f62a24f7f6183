"""The loss of every output: the density's logarithm, recordable, differentiable, finite at every magnitude."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.graph.types import ArrayType
from chainrule.outputs import Quantile
from outputs.output_cases import ALL, LIKELIHOODS, REGISTERED, SCALED, SMOOTHED, cases, like_batch, raw_of, target_of


@pytest.mark.parametrize(("output", "t"), LIKELIHOODS)
def test_is_minus_the_log_density(output, t):
    raw, y = raw_of(output, 50, t, spread=2.0), target_of(output, 50, t)
    nll = output.nll(raw, y)
    assert nll.shape == (50,)
    np.testing.assert_allclose(nll, -output.distribution(raw).log_score(like_batch(y)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("output", "t"), [c for c in SCALED if c.values[0].likelihood])
def test_own_units_shift_it_by_log_scale(output, t):
    raw, y = raw_of(output, 50, t), target_of(output, 50, t)
    location, scale = np.array([30.0, -2.0, 0.0])[:t], np.array([7.0, 0.01, 1.0])[:t]
    own = output.distribution(raw, location=location, scale=scale)
    score = own.log_score(like_batch(location + scale * y))
    np.testing.assert_allclose(output.nll(raw, y) + np.log(scale).sum(), -score, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("output", "t"), [*ALL, *cases(SMOOTHED)])
def test_gradient_agrees_with_central_differences(output, t):
    raw, y = raw_of(output, 6, t), target_of(output, 6, t)
    gradient = cr.grad(lambda r: np.sum(output.nll(r, y)))(raw)
    step = 1e-6
    for index in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[index] += step
        down[index] -= step
        slope = (output.nll(up, y).sum() - output.nll(down, y).sum()) / (2 * step)
        assert gradient[index] == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "t"), [*ALL, *cases(SMOOTHED)])
def test_is_recorded_from_shapes_in_its_own_dtype(output, t, dtype):
    raw, y = raw_of(output, 5, t).astype(dtype), target_of(output, 5, t).astype(dtype)
    kinds = ArrayType(raw.shape, np.dtype(dtype)), ArrayType(y.shape, np.dtype(dtype))
    graph = cr.trace(cr.value_and_grad(lambda r, y: np.mean(output.nll(r, y))), *kinds)
    floats = {node.type.dtype.name for node in graph.nodes if node.type.is_float}
    assert floats == {dtype}
    value, gradient = graph(raw, y)
    np.testing.assert_allclose(value, output.nll(raw, y).mean(), rtol=1e-5)
    assert gradient.dtype == dtype


@pytest.mark.parametrize(("output", "t"), ALL)
def test_float32_agrees_with_float64(output, t):
    raw, y = raw_of(output, 200, t, spread=3.0), target_of(output, 200, t)
    raw32, y32 = raw.astype(np.float32), y.astype(np.float32)
    exact = output.nll(raw32.astype(float), y32.astype(float))
    got = output.nll(raw32, y32)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, exact, rtol=3e-6, atol=1e-5)


EXTREMES = [0.0, 1.0, -1.0, 30.0, -30.0, 88.0, -88.0, 103.9, 710.0, -710.0, 1e4, -1e4]


@pytest.mark.parametrize(("output", "t"), ALL)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_value_and_gradient_are_finite_at_every_magnitude(output, t, data):
    n = 4
    numbers = data.draw(st.lists(st.sampled_from(EXTREMES), min_size=n * output.n_raw(t), max_size=n * output.n_raw(t)))
    raw = np.array(numbers, np.float32).reshape(n, -1)
    y = target_of(output, n, t).astype(np.float32)
    if output.kind in ("numeric", "count"):
        y = np.array(data.draw(st.lists(st.sampled_from(EXTREMES), min_size=n * t, max_size=n * t)), np.float32)
        y = (np.abs(np.round(y)) if output.kind == "count" else y).reshape(n, t)
    value, gradient = cr.value_and_grad(lambda r: np.sum(output.nll(r, y)))(raw)
    assert np.isfinite(output.nll(raw, y)).all()
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient.dtype == np.float32


@pytest.mark.parametrize(("output", "t"), ALL)
def test_initial_raw_beats_zero_and_random_constants(output, t):
    y = target_of(output, 400, t, seed=3)
    if output.kind == "numeric":
        y = 1.0 + 1.5 * y
    raw = output.initial_raw(y)
    assert raw.shape == (output.n_raw(t),)

    def loss(constant):
        return output.nll(np.tile(constant, (400, 1)), y).mean()

    start = loss(raw)
    assert start < loss(np.zeros(output.n_raw(t))) + 1e-9
    rng = np.random.default_rng(0)
    assert all(start < loss(rng.normal(scale=2.0, size=output.n_raw(t))) for _ in range(30))


@pytest.mark.parametrize(("output", "t"), ALL)
def test_initial_raw_takes_weights_as_repetition_and_zero_as_absence(output, t):
    y = target_of(output, 60, t)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    got = output.initial_raw(y, counts.astype(float))
    # half a row stands for what never occurs, so rows are counted where something is missing; here nothing is
    np.testing.assert_allclose(got, output.initial_raw(np.repeat(y, counts, axis=0)), rtol=1e-7, atol=1e-9)
    junk = np.concatenate([y, target_of(output, 5, t, seed=9)])
    weights = np.concatenate([counts, np.zeros(5)]).astype(float)
    np.testing.assert_allclose(output.initial_raw(junk, weights), got, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("output", "t"), cases(REGISTERED))
def test_initial_raw_of_a_constant_target_is_usable(output, t):
    y = np.ones((20, t))
    raw = output.initial_raw(y)
    assert np.isfinite(raw).all()
    assert np.abs(raw).max() <= 2e4
    assert np.isfinite(output.nll(np.tile(raw, (20, 1)).astype(np.float32), y.astype(np.float32))).all()


@pytest.mark.parametrize(("output", "t"), ALL)
def test_rows_do_not_mix(output, t):
    raw, y = raw_of(output, 30, t), target_of(output, 30, t)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_array_equal(output.nll(raw, y)[order], output.nll(raw[order], y[order]))


@pytest.mark.parametrize(
    ("output", "t"), [c for c in ALL if c.values[1] == 3 and c.values[0].name != "gaussian_mixture"]
)
def test_targets_are_independent_and_in_blocks(output, t):
    raw, y = raw_of(output, 20, t), target_of(output, 20, t)
    blocks = raw.reshape(20, -1, t)
    single = sum(output.nll(blocks[:, :, j], y[:, j : j + 1]) for j in range(t))
    np.testing.assert_allclose(output.nll(raw, y), single, rtol=1e-12)


def test_pinball_loss_is_not_called_a_likelihood():
    assert not Quantile().likelihood
