"""Paths of linear models: optimal at every strength, exact zeros, the largest strength exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import OptionError
from chainrule.learn.linear_solver import LinearSolver, _Quadratic
from chainrule.learn.options import Options
from chainrule.learn.path import linear_path
from chainrule.learn.penalties import L1, L2, GroupL1
from chainrule.learn.rows import Rows
from chainrule.networks import Dense, Network
from chainrule.outputs import Bernoulli, Categorical, Gaussian, Poisson

SQUARES = Gaussian(variance="constant")
OUTPUTS = {"gaussian": SQUARES, "bernoulli": Bernoulli(), "categorical": Categorical(3), "poisson": Poisson()}


def rows(output, seed=0, n=60, p=7):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) @ (np.eye(p) + 0.4)
    signal = x @ np.where(np.arange(p) % 2, 0.0, np.linspace(0.5, -0.8, p))
    y = {
        "gaussian": lambda: signal + rng.standard_normal(n),
        "bernoulli": lambda: (signal + rng.logistic(size=n) > 0).astype(float),
        "categorical": lambda: np.digitize(signal + rng.standard_normal(n), [-0.7, 0.7]).astype(float),
        "poisson": lambda: rng.poisson(np.exp(0.3 * np.clip(signal, -4, 4))).astype(float),
    }[output]()
    return Rows.of(x, y, rng.uniform(0.2, 2.0, n), "float64")


def mean_loss(network, data, theta):
    """Computed by NumPy, not by the solver."""
    raw = data.x @ theta[: -network.output.n_raw(1)].reshape(data.x.shape[1], -1) + theta[-network.output.n_raw(1) :]
    return float(np.sum(data.w * network.output.nll(raw, data.y)) / len(data))


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_point_of_a_path_is_a_minimum(name, kind):
    """The objective, computed anew, is no smaller at any of many points nearby; zeros are exact; L2 beside it."""
    network, data = Network((), OUTPUTS[name]), rows(name)
    groups = (0, 0, 1, 1, 2, 2, 2)
    units = np.append(np.repeat(np.linspace(0.5, 2, 7), network.output.n_raw(1)), np.ones(network.output.n_raw(1)))
    solver = LinearSolver(network, data, kind, groups=groups, units=units)
    rng, l2 = np.random.default_rng(1), 0.02
    largest, theta = solver.largest_strength()
    mask = network.layout(7, 1).mask()

    def objective(at, strength):
        smooth = mean_loss(network, data, at) + l2 / 2 * np.sum(mask * np.square(units * at))
        if kind is L1:
            return smooth + strength * np.sum(mask * np.abs(units * at))
        scaled = (units * at)[: -network.output.n_raw(1)].reshape(7, -1)
        return smooth + strength * sum(np.linalg.norm(scaled[np.array(groups) == g]) for g in range(3))

    zeros = []
    for strength in largest * np.geomspace(0.9, 0.02, 5):
        found = solver.solve(theta, strength, l2)
        theta = found.theta
        assert found.residual <= 1e-10
        assert found.converged
        least = objective(theta, strength)
        np.testing.assert_allclose(found.value, least, rtol=1e-12)
        for size in (1e-1, 1e-3, 1e-5):
            for _ in range(20):
                step = size * rng.standard_normal(len(theta)) * rng.integers(0, 2, len(theta))
                assert objective(theta + step, strength) >= least - 1e-14
        zeros.append(int(np.sum(theta == 0.0)))
    assert zeros[0] > zeros[-1]
    assert 0 < zeros[0] < len(theta)


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_largest_strength_is_exact(name, kind):
    network, data = Network((), OUTPUTS[name]), rows(name)
    solver = LinearSolver(network, data, kind, tol=1e-13)
    largest, null = solver.largest_strength()
    penalised = network.layout(7, 1).mask() > 0
    assert not null[penalised].any()
    assert not solver.solve(null, largest * (1 + 1e-9), 0.0).theta[penalised].any()
    assert solver.solve(null, largest * (1 - 1e-6), 0.0).theta[penalised].any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 30), p=st.integers(1, 40), ratio=st.floats(1e-3, 0.9))
def test_any_data_are_solved(seed, n, p, ratio):
    """More columns than rows, repeated and constant columns among them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)).round(1)
    x[:, rng.integers(p)] = 0.5
    x[:, rng.integers(p)] = x[:, rng.integers(p)]
    y = x[:, 0] + rng.standard_normal(n)
    solver = LinearSolver(Network((), SQUARES), Rows.of(x, y, dtype="float64"), L1)
    largest, theta = solver.largest_strength()
    found = solver.solve(theta, ratio * largest, 0.0, largest)
    assert found.residual <= 1e-8 * max(1.0, largest)


def test_a_start_does_not_matter():
    data, network = rows("bernoulli"), Network((), Bernoulli())
    solver = LinearSolver(network, data, L1)
    rng = np.random.default_rng(0)
    several = [solver.solve(rng.standard_normal(8), 0.05, 0.0).theta for _ in range(3)]
    np.testing.assert_allclose(several, [several[0]] * 3, atol=1e-8)


@pytest.mark.parametrize("penalty", ["l1", "group_l1", "l2"])
def test_paths_fall_and_losses_fall_with_them(penalty):
    path = linear_path(Network((), SQUARES), rows("gaussian"), Options(tol=1e-10, dtype="float64"), penalty)
    assert path.strengths.shape == path.losses.shape == path.residuals.shape == (100,)
    assert (np.diff(path.strengths) < 0).all()
    assert (np.diff(path.losses) <= 1e-12).all()
    assert path.residuals.max() <= 1e-10
    assert path.largest == pytest.approx(path.strengths[0])
    if penalty != "l2":
        assert not path.thetas[0, :-1].any()
        assert path.thetas[-1].all()


def test_native_and_numpy_agree(monkeypatch):
    one = linear_path(Network((), Bernoulli()), rows("bernoulli"), Options(tol=1e-10, dtype="float64"), "group_l1")
    from chainrule.learn import linear_solver
    from chainrule.learn.executors import epoch_runner

    monkeypatch.setattr(linear_solver, "epoch_runner", lambda g, c, h, b: epoch_runner(g, c, h, b, "numpy"))
    other = linear_path(Network((), Bernoulli()), rows("bernoulli"), Options(tol=1e-10, dtype="float64"), "group_l1")
    np.testing.assert_allclose(one.thetas, other.thetas, atol=1e-8)


def test_what_cannot_be_is_refused():
    data = rows("gaussian")
    with pytest.raises(OptionError, match="hidden layers"):
        linear_path(Network((Dense(3),), SQUARES), data, Options(), "l1")
    with pytest.raises(OptionError, match="not both"):
        linear_path(Network((), SQUARES), data, Options(penalties=(L1(0.1), L2(0.1))), "group_l1")
    flat = Rows.of(np.zeros((5, 2)), np.arange(5.0), dtype="float64")
    with pytest.raises(OptionError, match="no path"):
        linear_path(Network((), SQUARES), flat, Options(dtype="float64"), "l1")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 25), p=st.integers(1, 30), strength=st.floats(0.01, 2.0))
def test_feature_sign_search_is_proximal_gradient_descents_minimum(seed, n, p, strength):
    """From any start, nearly singular, with units that differ: no subgradient is left over."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) @ rng.standard_normal((p, p))
    hessian = x.T @ x / n + 1e-6 * np.eye(p)
    units, where = np.exp(rng.normal(size=p)), (rng.random(p) < 0.8).astype(float)
    start = rng.standard_normal(p) * (rng.random(p) < 0.5)
    model = _Quadratic(hessian, rng.standard_normal(p), start, L1, units, where, strength)
    found = model._by_signs(1e-12)
    assert np.abs(model.residual(found)).max() <= 1e-7 * max(1.0, np.abs(hessian).max())
