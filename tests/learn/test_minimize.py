"""minimize: standard problems to solver precision, every method, reasons to stop, penalties, batches, many starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.calculus.curvature import curvature, curvature_of_product
from chainrule.errors import DifferentiationError, OptionError, TraceError
from chainrule.learn.minimize import METHODS
from chainrule.learn.minimize_objective import Objective
from chainrule.learn.minimize_result import Path


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(p: Any) -> Any:
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def quadratic_form(n: int = 5) -> tuple[Any, np.ndarray, np.ndarray]:
    """½xᵀAx − bᵀx with A positive definite, A, and its minimiser."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(n, n))
    a, b = root @ root.T + np.eye(n), rng.normal(size=n)
    return (lambda x: 0.5 * x @ a @ x - b @ x), a, np.linalg.solve(a, b)


# -- standard problems


@pytest.mark.parametrize("method", ["lbfgs", "nesterov", "adam"])
def test_rosenbrock(method: str) -> None:
    result = cr.minimize(rosenbrock, np.array([-1.2, 1.0]), method)
    assert result.success
    assert result.status == "gradient"
    assert result.grad_norm <= 1e-8
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)
    assert result.curvature.kind == "minimum"
    np.testing.assert_allclose([result.curvature.smallest, result.curvature.largest], [0.39936, 1001.6], rtol=1e-4)


def test_rosenbrock_of_a_hundred_variables() -> None:
    result = cr.minimize(rosenbrock, np.zeros(100))
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-8)


@pytest.mark.parametrize("method", ["lbfgs", "gd", "nesterov"])
def test_quadratic_form(method: str) -> None:
    f, a, solution = quadratic_form()
    result = cr.minimize(f, np.zeros(5), method)
    assert result.success
    np.testing.assert_allclose(result.x, solution, atol=1e-7)
    spectrum = np.linalg.eigvalsh(a)
    np.testing.assert_allclose(result.curvature.smallest, spectrum[0], rtol=1e-10)
    np.testing.assert_allclose(result.curvature.largest, spectrum[-1], rtol=1e-10)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_with_a_learning_rate_of_its_own(method: str) -> None:
    f, _, solution = quadratic_form(3)
    if method == "lbfgs":
        with pytest.raises(OptionError, match="line search; leave lr out"):
            cr.minimize(f, np.zeros(3), method, lr=0.1)
        return
    result = cr.minimize(f, np.zeros(3), method, lr=cr.exponential_decay(0.05, 1000), max_iter=5000, tol=1e-6)
    assert result.method == method
    # AdamW's decay moves the fixed point; RMSProp's step never shrinks by itself
    np.testing.assert_allclose(result.x, solution, atol={"adamw": 0.05, "rmsprop": 1e-4}.get(method, 1e-5))


def test_gradient_descent_is_the_textbook_iteration() -> None:
    f, a, solution = quadratic_form(3)
    b, x = a @ solution, np.zeros(3)
    for _ in range(20):
        x = x - 0.03 * (a @ x - b)
    result = cr.minimize(f, np.zeros(3), "gd", lr=0.03, max_iter=20)
    np.testing.assert_allclose(result.x, x, rtol=1e-13)
    assert result.n_iter == 20
    assert result.status == "limit"
    np.testing.assert_allclose(result.path.theta[1], 0.03 * b, rtol=1e-13)


def test_maximise_by_minimising_the_negative() -> None:
    result = cr.minimize(lambda x: -(np.exp(-((x - 2.0) ** 2)) * (1 + 0.1 * x)), 1.5)
    assert result.success
    assert curvature(lambda x: np.exp(-((x - 2.0) ** 2)) * (1 + 0.1 * x), result.x).kind == "maximum"


def test_nested_parameters_come_back_nested() -> None:
    def f(p: Any) -> Any:
        return np.sum((p["w"] - 1) ** 2) + (p["b"][0] - 2) ** 2 + (p["b"][1] + 3) ** 2

    result = cr.minimize(f, {"w": np.zeros((2, 3), np.float32), "b": (0, 1)})
    np.testing.assert_allclose(result.x["w"], np.ones((2, 3)), atol=1e-8)
    assert isinstance(result.x["b"], tuple)
    np.testing.assert_allclose(result.x["b"], (2, -3), atol=1e-8)


def test_a_function_that_branches_on_values_is_run_as_it_is() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return (x - 1) ** 2 if x > 0 else x**2 + 1 - 2 * x

    result = cr.minimize(f, -3.0)
    assert abs(result.x - 1) < 1e-8
    assert len(calls) > 3
    slow = cr.minimize(f, -3.0, "momentum", lr=0.1)
    assert abs(slow.x - 1) < 1e-7


def test_a_function_recorded_from_shapes_is_called_once_per_program() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.sum(x**4)

    cr.minimize(f, np.ones(3), "sgd", lr=0.01, max_iter=50)
    assert len(calls) <= 2


def test_beyond_where_values_tell_points_apart() -> None:
    """A large constant hides the last seven digits of the values; the gradient still finds them."""
    f, _, solution = quadratic_form()
    result = cr.minimize(lambda x: f(x) + 1e6, np.zeros(5), tol=1e-12)
    assert result.success
    np.testing.assert_allclose(result.x, solution, rtol=1e-11)


# -- stationary points of every kind


def test_himmelblau_has_four_minima_and_all_are_found() -> None:
    result = cr.minimize(himmelblau, (0.0, 0.0), starts=40, spread=4.0)
    assert len(result.starts) == 40
    found = {tuple(np.round(one.x, 4)) for one, _ in result.optima}
    assert found == {(3.0, 2.0), (-2.8051, 3.1313), (-3.7793, -3.2832), (3.5844, -1.8481)}
    assert sum(count for _, count in result.optima) == 40
    assert all(one.curvature.kind == "minimum" for one, _ in result.optima)
    assert result.value == min(one.value for one in result.starts)
    assert "40 starts ended in 4 different points" in str(result)


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        ((3.0, 2.0), "minimum"),
        ((-0.27084459, -0.92303855), "maximum"),
        ((0.08667750, 2.88425470), "saddle"),
        ((3.38515418, 0.07385188), "saddle"),
        ((-3.07302575, -0.08135304), "saddle"),
        ((-0.12796135, -1.95371498), "saddle"),
        ((1.0, 1.0), "not stationary"),
    ],
)
def test_himmelblaus_stationary_points(point: tuple[float, float], kind: str) -> None:
    assert curvature(himmelblau, point, tol=1e-5).kind == kind
    if kind != "not stationary":
        result = cr.minimize(himmelblau, point, tol=1e-5)
        assert result.n_iter == 0
        assert result.curvature.kind == kind


def test_a_flat_direction_is_degenerate() -> None:
    assert curvature(lambda x: (x[0] + x[1]) ** 2, np.zeros(2)).kind == "degenerate"
    assert curvature(lambda x: x**4, 0.0).kind == "degenerate"
    assert curvature(lambda x: np.sum(x) * 0.0, np.zeros(3)).kind == "degenerate"


@pytest.mark.parametrize("low", [-1.0, 0.0, 1e-2])
def test_lanczos_finds_both_ends_of_a_large_spectrum(low: float) -> None:
    spectrum = np.concatenate([[low], np.linspace(0.5, 50, 299)])
    found = curvature_of_product(lambda v: spectrum * v, 300, stationary=True)
    assert found.kind == {-1.0: "saddle", 0.0: "degenerate", 1e-2: "minimum"}[low]
    np.testing.assert_allclose([found.smallest, found.largest], [low, 50.0], atol=1e-6)


@pytest.mark.parametrize(("scale", "kind"), [(0.0, "degenerate"), (2.0, "minimum"), (-2.0, "maximum")])
def test_lanczos_on_multiples_of_the_identity(scale: float, kind: str) -> None:
    found = curvature_of_product(lambda v: scale * v, 500, stationary=True)
    assert (found.kind, found.smallest, found.largest) == (kind, pytest.approx(scale), pytest.approx(scale))


def test_a_hessian_that_is_not_finite_is_unknown() -> None:
    for size in (3, 300):
        assert curvature_of_product(lambda v: v * np.nan, size, stationary=True).kind == "unknown"


# -- why it stopped


def test_divergence_names_the_node_and_gives_advice_and_never_nan() -> None:
    result = cr.minimize(rosenbrock, np.array([-1.2, 1.0]), "gd", lr=0.01)
    assert not result.success
    assert result.status == "diverged"
    assert "diverged after 5 iterations" in result.reason
    assert "square" in result.reason
    assert "lower lr (it was 0.01)" in result.reason
    assert np.isfinite(result.x).all()
    assert result.value == min(result.path.values)


def test_slow_divergence_is_told_at_the_limit() -> None:
    result = cr.minimize(lambda x: x**2, 1.0, "gd", lr=1.1, max_iter=30)
    assert result.status == "limit"
    assert "J rose from 1 to" in result.reason
    assert result.value == 1.0


@pytest.mark.parametrize("method", ["lbfgs", "gd", "nesterov", "sgd"])
def test_a_function_without_a_minimum(method: Any) -> None:
    method = cr.SGD(0.5) if method == "sgd" else method
    result = cr.minimize(lambda x: -(x**2), 1.0, method)
    assert not result.success
    assert result.status == "unbounded"
    assert "to maximise f, minimise -f" in result.reason
    assert np.isfinite(result.x)
    assert np.isfinite(result.value)


@pytest.mark.parametrize("method", ["lbfgs", "gd", "nesterov", "adam"])
def test_a_start_outside_the_domain(method: str) -> None:
    result = cr.minimize(lambda x: np.log(x) ** 2, -1.0, method)
    assert not result.success
    assert "not finite at the starting point: " in result.reason
    assert "log" in result.reason
    assert result.x == -1.0


@pytest.mark.parametrize("method", ["lbfgs", "gd", "nesterov"])
def test_trial_points_outside_the_domain_are_stepped_back_from(method: str) -> None:
    result = cr.minimize(lambda x: np.sum(x - np.log(x)), np.array([0.01, 30.0]), method)
    assert result.success, result.reason
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)


def test_the_limit_is_named() -> None:
    result = cr.minimize(rosenbrock, np.zeros(2), max_iter=3)
    assert not result.success
    assert result.n_iter == 3
    assert result.reason.startswith("the limit of 3 iterations was reached with ‖∇J‖ = ")
    assert result.curvature.kind == "not stationary"
    assert cr.minimize(rosenbrock, np.zeros(2), max_iter=0).n_iter == 0


def test_a_kink_is_suspected_where_the_line_search_fails() -> None:
    result = cr.minimize(lambda x: np.abs(x[0] - 0.3) + 2 * np.abs(x[1] + 0.7), np.array([1.0, 1.0]))
    assert not result.success or result.grad_norm == 0
    assert np.isfinite(result.x).all()


# -- penalties


def lasso_problem() -> tuple[Any, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8))
    y = x @ np.array([2.0, -1.0, 0, 0, 0.5, 0, 0, 0]) + 0.1 * rng.normal(size=60)
    return (lambda w: 0.5 * np.mean((x @ w - y) ** 2)), x, y


@pytest.mark.parametrize("method", ["lbfgs", "gd", "nesterov", cr.SGD(0.1), cr.SGD(0.05, 0.8), cr.Adam(0.02)], ids=str)
def test_l1_gives_the_same_exact_zeros_with_every_method(method: Any) -> None:
    f, x, y = lasso_problem()
    result = cr.minimize(f, np.zeros(8), method, penalty=cr.L1(0.1), tol=1e-9, max_iter=20_000)
    assert result.success, result.reason
    assert np.flatnonzero(result.x).tolist() == [0, 1, 4]
    g = x.T @ (x @ result.x - y) / 60
    np.testing.assert_allclose(g[[0, 1, 4]], -0.1 * np.sign(result.x[[0, 1, 4]]), atol=1e-8)
    assert (np.abs(g[[2, 3, 5, 6, 7]]) < 0.1).all()
    assert result.value == pytest.approx(f(result.x) + 0.1 * np.sum(np.abs(result.x)), rel=1e-14)
    assert result.curvature.kind == "minimum"


@pytest.mark.parametrize("method", [None, "gd", cr.Adam(0.02), cr.SGD(0.1)], ids=str)
def test_group_l1_drops_whole_groups_with_every_method(method: Any) -> None:
    f, x, y = lasso_problem()
    penalty = cr.GroupL1(0.3, (0, 0, 1, 1, 2, 2, -1, -1))
    result = cr.minimize(f, np.zeros(8), method, penalty=penalty, tol=1e-9, max_iter=20_000)
    assert result.success, result.reason
    assert np.flatnonzero(result.x == 0).tolist() == [2, 3]
    g = x.T @ (x @ result.x - y) / 60
    for k in (0, 4):
        pair = result.x[k : k + 2]
        np.testing.assert_allclose(g[k : k + 2], -0.3 * pair / np.linalg.norm(pair), atol=1e-8)
    assert np.linalg.norm(g[2:4]) < 0.3
    np.testing.assert_allclose(g[6:], 0.0, atol=1e-8)
    assert result.curvature.kind == "minimum"


def test_all_parameters_at_zero_is_a_minimum() -> None:
    f, *_ = lasso_problem()
    result = cr.minimize(f, np.ones(8), penalty=cr.L1(100.0))
    assert (result.x == 0).all()
    assert result.success
    assert result.curvature.kind == "minimum"


def test_penalties_for_parts_of_the_parameters() -> None:
    def f(p: Any) -> Any:
        return 0.5 * np.sum((p["w"] - 1.0) ** 2) + 0.5 * (p["b"] - 1.0) ** 2 + 0.5 * np.sum((p["v"][0] - 0.2) ** 2)

    x0 = {"w": np.zeros(2), "b": 0.0, "v": [np.zeros(3), np.zeros(1)]}
    result = cr.minimize(f, x0, penalty={"w": cr.L2(1.0), "v": [cr.L1(0.3) + cr.L2(1.0), cr.L2(1.0)]})
    np.testing.assert_allclose(result.x["w"], 0.5)
    np.testing.assert_allclose(result.x["b"], 1.0)
    assert (result.x["v"][0] == 0).all()


def test_the_two_forms_of_an_l2_penalty_go_the_same_way() -> None:
    f, *_ = lasso_problem()
    penalised = cr.minimize(f, np.ones(8), cr.GD(0.1), penalty=cr.L2(0.5), max_iter=200, tol=0)
    shrunk = cr.minimize(f, np.ones(8), cr.GD(0.1, weight_decay=0.5), max_iter=200, tol=0)
    np.testing.assert_allclose(penalised.path.theta[:100], shrunk.path.theta[:100], rtol=0, atol=2e-15)


# -- data, batches


def regression() -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(100), rng.normal(size=(100, 3))])
    y = x @ np.array([1.0, 2.0, 0.0, -1.0]) + 0.1 * rng.normal(size=100)
    return (lambda w, x, y: 0.5 * np.mean((x @ w - y) ** 2)), x, y, np.linalg.lstsq(x, y, rcond=None)[0]


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100, 1000])
def test_any_batch_size_from_one_row_to_all(batch_size: int) -> None:
    f, x, y, solution = regression()
    rate = cr.inverse_time(0.1, halving=100)
    result = cr.minimize(f, np.zeros(4), "sgd", lr=rate, data=(x, y), batch_size=batch_size, max_iter=60)
    np.testing.assert_allclose(result.x, solution, atol=0.1)
    assert result.n_iter == 60
    assert "epochs" in result.reason


def test_a_batch_of_all_rows_is_gradient_descent() -> None:
    f, x, y, _ = regression()
    batched = cr.minimize(f, np.zeros(4), "sgd", lr=0.1, data=(x, y), batch_size=100, max_iter=20)
    whole = cr.minimize(f, np.zeros(4), "gd", lr=0.1, data=(x, y), max_iter=20)
    np.testing.assert_allclose(batched.x, whole.x, rtol=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not() -> None:
    f, x, y, _ = regression()
    options: dict[str, Any] = {"lr": 0.05, "data": (x, y), "batch_size": 8, "max_iter": 3}
    one, two, other = (cr.minimize(f, np.zeros(4), "adam", random_state=s, **options).x for s in (1, 1, 2))
    assert one.tolist() == two.tolist()
    assert one.tolist() != other.tolist()


def test_the_objective_seen_after_an_epoch_is_that_of_all_rows() -> None:
    f, x, y, _ = regression()
    result = cr.minimize(f, np.zeros(4), "sgd", lr=0.05, data=(x, y), batch_size=10, max_iter=5)
    assert result.value == pytest.approx(f(result.x, x, y), rel=1e-14)
    np.testing.assert_allclose(result.path.values[0], f(np.zeros(4), x, y))


def test_a_diverging_epoch_is_told() -> None:
    f, x, y, _ = regression()
    result = cr.minimize(f, np.zeros(4), "sgd", lr=1e3, data=(x, y), batch_size=1, max_iter=50)
    assert result.status == "diverged"
    assert np.isfinite(result.x).all()


# -- starts


def test_starts_may_be_given_and_are_averaged() -> None:
    result = cr.minimize(lambda x: (x**2 - 1.0) ** 2, 0.5, starts=[-0.5, -2.0])
    assert sorted(round(float(one.x), 6) for one in result.starts) == [-1.0, -1.0, 1.0]
    assert [count for _, count in sorted(result.optima, key=lambda pair: float(pair[0].x))] == [2, 1]
    assert result.average() == pytest.approx(-1 / 3)
    assert result.average(lambda x: x**2) == pytest.approx(1.0)


def test_a_failed_start_is_kept_but_not_counted() -> None:
    result = cr.minimize(lambda x: x - np.log(x), 2.0, starts=[-1.0])
    assert result.success
    assert len(result.starts) == 2
    assert not result.starts[1].success
    assert "did not arrive" in str(result)
    assert result.average() == pytest.approx(1.0)


# -- the path and the text


def test_the_path_is_thinned_but_keeps_first_and_last() -> None:
    path = Path(3, length=10)
    for k in range(1003):
        path.add(k, np.full(3, float(k)), -float(k), 0.5)
    assert len(path) <= 11
    assert path.iterations[0] == 0
    assert path.iterations[-1] == 1002
    assert path.theta.shape == (len(path), 3)
    assert path.values[-1] == -1002.0
    assert (np.diff(path.iterations) > 0).all()


def test_the_path_leads_from_the_start_to_the_result() -> None:
    result = cr.minimize(rosenbrock, np.array([-1.2, 1.0]))
    assert result.path.theta[0].tolist() == [-1.2, 1.0]
    assert result.path.theta[-1].tolist() == result.x.tolist()
    assert result.path.iterations[-1] == result.n_iter
    assert result.path.values[-1] == result.value


def test_a_result_prints_as_a_person_would_say_it() -> None:
    text = str(cr.minimize(lambda p: (p["a"] - 1) ** 2 + p["b"] ** 2, {"a": 0.0, "b": 1.0}))
    lines = dict(line.split(None, 1) for line in text.splitlines())
    assert lines["x"] == "a = 1., b = 0."
    assert lines["curvature"] == "minimum: second derivative 2"
    assert lines["stopped"].startswith("the gradient is small: ‖∇J‖ = ")
    assert lines["method"].startswith("lbfgs, ")


# -- what is refused


def square(x: Any, *data: Any) -> Any:
    return np.sum(x**2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.minimize(square, 1.0, "newton"), "method 'newton' is not known; choose one of gd"),
        (lambda: cr.minimize(square, 1.0, cr.SGD(0.1), lr=0.1), "give lr inside the optimiser"),
        (lambda: cr.minimize(square, 1.0, tol=-1), "tol must be at least 0"),
        (lambda: cr.minimize(square, 1.0, tol=np.nan), "tol must be at least 0"),
        (lambda: cr.minimize(square, 1.0, max_iter=1.5), "max_iter must be a whole number"),
        (lambda: cr.minimize(square, np.nan), "x0 holds infinite or missing numbers"),
        (lambda: cr.minimize(square, {"a": "text"}), "a must hold real numbers"),
        (lambda: cr.minimize(square, []), "x0 holds no numbers"),
        (lambda: cr.minimize(square, 1.0, batch_size=3), "batch_size needs data="),
        (lambda: cr.minimize(square, 1.0, data=np.ones(3), batch_size=0), "batch_size must be a whole number"),
        (lambda: cr.minimize(square, 1.0, data=(np.ones(3), np.ones(4))), "one length along the first axis"),
        (lambda: cr.minimize(square, 1.0, "lbfgs", data=np.ones(3), batch_size=1), "leave batch_size out"),
        (lambda: cr.minimize(square, np.ones(2), "lbfgs", penalty=cr.GroupL1(1)), "use method='nesterov'"),
        (lambda: cr.minimize(square, {"a": 1.0}, penalty={"b": cr.L1(1)}), "penalty has a key 'b'"),
        (lambda: cr.minimize(square, {"a": 1.0}, penalty={"a": 0.1}), "must be a penalty such as L1"),
        (lambda: cr.minimize(square, (1.0, 2.0), penalty=[cr.L1(1)]), "nested like x0"),
        (lambda: cr.minimize(square, np.ones(2), penalty=cr.L1(1) + cr.GroupL1(1)), "act on the same parameter"),
        (lambda: cr.minimize(square, 1.0, starts=0), "starts must be at least 1"),
        (lambda: cr.minimize(square, 1.0, starts="many"), "starts must be a number or a sequence"),
        (lambda: cr.minimize(square, 1.0, starts=[np.ones(2)]), "has shapes"),
        (lambda: cr.minimize(square, 1.0, spread=np.inf), "spread must be a number"),
    ],
)
def test_nonsense_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_function_that_does_not_return_one_number() -> None:
    with pytest.raises(DifferentiationError, match="returns one number"):
        cr.minimize(lambda x: x**2, np.ones(3))


def test_a_function_that_leaves_numpy() -> None:
    with pytest.raises(TraceError):
        cr.minimize(lambda x: np.sum(np.fft.fft(x)), np.ones(3))


def test_the_update_step_is_one_graph_with_its_hyper_parameters_as_inputs() -> None:
    objective = Objective(square, np.ones(3), cr.L1(0.1) + cr.L2(0.2))
    program = objective.update_step(cr.Adam(0.01), None)
    assert program.graph is not None
    # θ, two moments, t, four hyper-parameters, two strengths
    assert len(program.graph.inputs) == 10
    assert "θ'" in program.graph.node_names
