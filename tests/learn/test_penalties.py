"""Penalties: proximal steps against their definition, zeros, fixed points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.graph.types import ArrayType
from chainrule.learn.penalties import L1, L2, PENALTIES, GroupL1, Penalty, Sum, optimality_residual

number = st.floats(-100, 100)
size = st.floats(1e-6, 100)


def test_every_penalty_is_one_of_these() -> None:
    assert set(PENALTIES.values()) == {L1, L2, GroupL1}


def test_l2_value_gradient_and_mask() -> None:
    theta, mask = np.array([1.0, -2.0, 3.0]), np.array([1.0, 1.0, 0.0])
    assert L2.value(theta, None, 0.5) == 0.25 * 14
    assert L2.value(theta, mask, 0.5) == 0.25 * 5
    assert L2.gradient(theta, mask, 0.5).tolist() == [0.5, -1.0, 0.0]
    np.testing.assert_allclose(cr.grad(lambda t: L2.value(t, mask, 0.5))(theta), L2.gradient(theta, mask, 0.5))


def test_l2_is_the_negative_log_density_of_a_gaussian_prior_of_that_precision() -> None:
    from scipy.stats import norm

    theta, precision = np.array([0.3, -1.2]), 4.0
    log_prior = norm(scale=precision**-0.5).logpdf
    difference = np.sum(log_prior(theta)) - np.sum(log_prior(np.zeros(2)))
    np.testing.assert_allclose(-difference, L2.value(theta, None, precision))


def test_l1_is_the_negative_log_density_of_a_laplace_prior_of_that_rate() -> None:
    from scipy.stats import laplace

    theta, rate = np.array([0.3, -1.2]), 4.0
    log_prior = laplace(scale=1 / rate).logpdf
    difference = np.sum(log_prior(theta)) - np.sum(log_prior(np.zeros(2)))
    np.testing.assert_allclose(-difference, L1.value(theta, None, rate))


@given(st.lists(st.tuples(number, size), min_size=1, max_size=6), size)
def test_l1_prox_is_soft_thresholding_with_exact_zeros(pairs: list[tuple[float, float]], strength: float) -> None:
    u, step = (np.array(column) for column in zip(*pairs, strict=True))
    new = L1.prox(u, step, None, strength)
    threshold = strength * step
    small = np.abs(u) <= threshold
    assert (new[small] == 0.0).all()
    assert not np.signbit(new[small]).any()
    np.testing.assert_allclose(new[~small], (u - np.sign(u) * threshold)[~small], rtol=1e-12)


def test_l1_prox_leaves_what_is_masked_to_the_bit() -> None:
    u = np.array([1e-300, -0.1, 1 / 3])
    assert L1.prox(u, 10.0, np.zeros(3), 5.0).tolist() == u.tolist()


IDS = np.array([0, 0, 0, 1, 1, -1])


def group_objective(theta: np.ndarray, u: np.ndarray, step: np.ndarray, strength: float) -> float:
    return GroupL1.value(theta, IDS, strength) + float(np.sum((theta - u) ** 2 / (2 * step)))


@given(
    st.lists(number, min_size=6, max_size=6),
    st.lists(size, min_size=6, max_size=6),
    st.floats(1e-3, 100),
    st.integers(0, 2**32 - 1),
)
def test_group_prox_minimises_its_objective(u: list[float], step: list[float], strength: float, seed: int) -> None:
    a, s = np.array(u), np.array(step)
    new = GroupL1.prox(a, s, IDS, strength)
    assert new[5] == a[5]
    best = group_objective(new, a, s, strength)
    rng = np.random.default_rng(seed)
    for scale in (1e-6, 1e-3, 1.0):
        other = new + scale * rng.normal(size=6) * np.array([1, 1, 1, 1, 1, 0])
        assert best <= group_objective(other, a, s, strength) + 1e-9 * (1 + abs(best))


def exact_group_prox(u: np.ndarray, step: np.ndarray, strength: float) -> np.ndarray:
    if np.sum((u / step) ** 2) <= strength**2:
        return np.zeros_like(u)
    shift = strength * step
    root = brentq(lambda r: np.sum((u / (r + shift)) ** 2) - 1, 0, np.linalg.norm(u), xtol=1e-300, rtol=1e-14)
    return u * root / (root + shift)


@pytest.mark.parametrize("spread", [0, 2, 4, 6, 8])
def test_group_prox_solves_the_secular_equation_over_many_orders_of_magnitude(spread: int) -> None:
    rng = np.random.default_rng(spread)
    for _ in range(300):
        n = int(rng.integers(1, 12))
        step = 10.0 ** rng.uniform(-spread, 0, n)
        u = rng.normal(size=n) * 10.0 ** rng.uniform(-spread, 0.5) * step ** rng.choice([0, 0.5, 1])
        new = GroupL1.prox(u, step, np.zeros(n, int), 1.0)
        expected = exact_group_prox(u, step, 1.0)
        assert (new == 0).all() == (expected == 0).all()
        np.testing.assert_allclose(new, expected, rtol=1e-9, atol=1e-10 * np.max(np.abs(expected)))


def test_group_prox_with_one_step_size_is_the_closed_form_and_the_limit_of_the_diagonal_one() -> None:
    u = np.array([3.0, 4.0, 0.0, 0.1, 0.2, 7.0])
    new = GroupL1.prox(u, 0.5, IDS, 2.0)
    np.testing.assert_allclose(new, [3 * 0.8, 4 * 0.8, 0.0, 0.0, 0.0, 7.0])
    np.testing.assert_allclose(GroupL1.prox(u, np.full(6, 0.5), IDS, 2.0), new, rtol=1e-14)


def test_group_prox_without_strength_changes_nothing() -> None:
    u = np.array([3.0, 4.0, 0.0, 0.0, 0.0, 7.0])
    np.testing.assert_allclose(GroupL1.prox(u, np.linspace(0.1, 1, 6), IDS, 0.0), u, rtol=1e-15)
    np.testing.assert_allclose(GroupL1.prox(u, 0.1, IDS, 0.0), u)


@pytest.mark.parametrize("penalty", [L1, GroupL1])
@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_prox_is_the_same(penalty: type, scalar: bool, dtype: str) -> None:
    kind = np.dtype(dtype)
    u = np.array([3.0, -4.0, 0.5, 0.1, -0.2, 7.0], kind)
    step = np.asarray(0.3 if scalar else np.linspace(0.1, 1, 6), kind)
    where = IDS if penalty is GroupL1 else (IDS >= 0).astype(kind)
    graph = cr.trace(
        lambda u, step, strength: penalty.prox(u, step, where, strength),
        ArrayType((6,), kind),
        ArrayType(step.shape, kind),
        ArrayType((), kind),
    )
    assert graph.nodes[graph.outputs[0]].dtype == kind
    expected = penalty.prox(u, step, where, kind.type(0.7))
    np.testing.assert_allclose(graph(u, step, 0.7), expected, rtol=1e-6 if dtype == "float32" else 1e-14)


@given(st.lists(number, min_size=6, max_size=6), st.lists(size, min_size=6, max_size=6), st.floats(0.01, 10))
def test_a_prox_fixed_point_has_no_residual_and_the_other_way_round(
    theta: list[float], step: list[float], strength: float
) -> None:
    """θ = prox(θ − s·g) exactly if the smallest subgradient is zero: with g the negative of a subgradient of P at θ."""
    t, s = np.array(theta), np.array(step)
    t[:3] = 0.0
    norm = np.linalg.norm(t[3:5])
    if norm < 1e-3 or np.min(np.abs(t[3:])) < 1e-3:
        return
    inside = np.array([0.3, -0.4, 0.5]) * strength  # of norm below the strength, for the group at zero
    for penalty, where, slope in (
        (GroupL1, IDS, strength * t[3:5] / norm),
        (L1, (IDS >= 0).astype(float), strength * np.sign(t[3:5])),
    ):
        g = -np.concatenate([inside, slope, [0.0]])
        assert np.max(np.abs(penalty.residual(t, g, where, strength))) <= 1e-13 * strength
        new = penalty.prox(t - s * g, s, where, strength)
        assert (new[:3] == 0).all()
        np.testing.assert_allclose(new, t, rtol=1e-8)
        pushed = g + np.array([0, 0, 0, 1.0, 0, 0]) * strength
        assert np.max(np.abs(penalty.residual(t, pushed, where, strength))) > 0.5 * strength
        assert np.max(np.abs(penalty.prox(t - s * pushed, s, where, strength) - t)) > 0


def test_optimality_residual_is_the_largest_element() -> None:
    theta, g = np.array([0.0, 1.0, -1.0]), np.array([0.5, -1.0, 1.25])
    assert optimality_residual(L1(1.0), theta, g) == 0.25
    assert optimality_residual(L2(1.0), theta, g) == 0.5
    assert optimality_residual(GroupL1(1.0), np.zeros(2), np.array([0.6, 0.8]), np.zeros(2, int)) == 0.0
    assert optimality_residual(GroupL1(0.5), np.zeros(2), np.array([0.6, 0.8]), np.zeros(2, int)) == pytest.approx(0.4)


def test_groups_of_a_weight_matrix_are_its_input_columns_unless_told_otherwise() -> None:
    assert GroupL1(1.0).group_ids((3, 2)).tolist() == [0, 0, 1, 1, 2, 2]
    assert GroupL1(1.0, (7, 7, -1)).group_ids((3, 2)).tolist() == [0, 0, 0, 0, -1, -1]
    assert GroupL1(1.0, (4, 2, 4)).group_ids((3,)).tolist() == [1, 0, 1]
    assert GroupL1(1.0).group_ids(()).tolist() == [0]
    with pytest.raises(OptionError, match=r"2 groups for a parameter of shape \(3, 2\)"):
        GroupL1(1.0, (0, 1)).group_ids((3, 2))


def test_penalties_add_up() -> None:
    assert L1(0.1) + L2(0.2) == Sum((L1(0.1), L2(0.2)))
    assert L1(0.1) + L2(0.2) + GroupL1(0.3) == Sum((L1(0.1), L2(0.2), GroupL1(0.3)))
    assert L1(0.1) + (L2(0.2) + L2(0.3)) == Sum((L1(0.1), L2(0.2), L2(0.3)))
    with pytest.raises(TypeError):
        L1(0.1) + 1  # type: ignore[operator]


@pytest.mark.parametrize("penalty", [L1(0.1), L2(0.0), GroupL1(0.3), GroupL1(0.3, (0, 0, -1))], ids=repr)
def test_json_there_and_back(penalty: Penalty) -> None:
    import json

    assert Penalty.from_json(json.loads(json.dumps(penalty.to_json()))) == penalty


@pytest.mark.parametrize("strength", [-1.0, float("inf"), float("nan"), "0.1", None, True])
def test_a_strength_that_makes_no_sense_is_refused(strength: object) -> None:
    for penalty in (L1, L2, GroupL1):
        with pytest.raises(OptionError, match="strength must be"):
            penalty(strength)  # type: ignore[arg-type]
