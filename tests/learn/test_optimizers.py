"""Optimisers: against their published recurrences written out with loops, and as graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.graph.types import ArrayType
from chainrule.learn.optimizers import GD, LBFGS, OPTIMIZERS, SGD, Adam, AdamW, FirstOrder, Optimizer, RMSProp
from chainrule.learn.penalties import L1, L2
from chainrule.learn.schedules import cosine, exponential_decay, inverse_time, one_cycle

FIRST_ORDER = [
    GD(0.1),
    GD(0.1, weight_decay=0.3),
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    RMSProp(0.01),
    Adam(0.01),
    AdamW(0.01, weight_decay=0.1),
    Adam(cosine(0.1, 50, warmup=5)),
    SGD(one_cycle(0.1, 50), momentum=0.5),
    AdamW(inverse_time(0.1, 10)),
]


def by_name(optimizer: Optimizer) -> str:
    return repr(optimizer)


def quadratic(n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A well-conditioned quadratic ½θᵀAθ − bᵀθ."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(n, n))
    return root @ root.T / n + np.eye(n), rng.normal(size=n)


def run(optimizer: FirstOrder, steps: int, theta: np.ndarray) -> np.ndarray:
    a, b = quadratic(len(theta))
    state, hyper = optimizer.init(theta), optimizer.hyper()
    for t in range(1, steps + 1):
        theta, state, _ = optimizer.update(a @ theta - b, theta, state, hyper, t)
    return theta


def test_the_samples_cover_every_optimiser() -> None:
    assert {type(o) for o in FIRST_ORDER} | {LBFGS} == set(OPTIMIZERS.values())


def test_gradient_descent_by_hand() -> None:
    theta, state, step = GD(0.5).update(np.array([2.0, -4.0]), np.array([1.0, 1.0]), {}, {"lr": 0.5}, 1)
    assert theta.tolist() == [0.0, 3.0]
    assert state == {}
    assert step == 0.5


def test_momentum_and_nesterov_follow_their_recurrences() -> None:
    a, b = quadratic()
    for nesterov in (False, True):
        theta = velocity = np.zeros(4)
        for _ in range(30):
            g = a @ theta - b
            velocity = 0.8 * velocity + g
            theta = theta - 0.05 * ((g + 0.8 * velocity) if nesterov else velocity)
        np.testing.assert_allclose(run(SGD(0.05, 0.8, nesterov), 30, np.zeros(4)), theta, rtol=1e-13)


def test_adam_is_algorithm_1_of_kingma_and_ba() -> None:
    a, b = quadratic()
    theta = m = v = np.zeros(4)
    for t in range(1, 41):
        g = a @ theta - b
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g**2
        theta = theta - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-3)
    np.testing.assert_allclose(run(Adam(0.05, 0.9, 0.99, 1e-3), 40, np.zeros(4)), theta, rtol=1e-12)


def test_adams_first_step_has_the_length_of_the_learning_rate() -> None:
    theta, _, _ = Adam(0.01).update(
        np.array([1e-3, -1e3]), np.zeros(2), Adam().init(np.zeros(2)), Adam(0.01).hyper(), 1
    )
    np.testing.assert_allclose(theta, [-0.01, 0.01], rtol=1e-4)


def test_adamw_decays_by_the_schedule_and_beside_the_moments() -> None:
    a, b = quadratic()
    theta, m, v = np.ones(4), np.zeros(4), np.zeros(4)
    rate = exponential_decay(0.1, 10, 0.5)
    for t in range(1, 21):
        g, lr = a @ theta - b, rate(t)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        theta = theta - lr * 0.2 * theta - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(run(AdamW(rate, 0.2), 20, np.ones(4)), theta, rtol=1e-12)


def test_adamw_is_not_adam_with_an_l2_penalty() -> None:
    optimizer, theta, penalty = Adam(0.1), np.array([1.0, 1.0]), 0.5
    g = np.array([1e-3, 10.0])
    with_penalty = optimizer.update(g + penalty * theta, theta, optimizer.init(theta), optimizer.hyper(), 1)[0]
    decoupled = AdamW(0.1, penalty)
    decayed = decoupled.update(g, theta, decoupled.init(theta), decoupled.hyper(), 1)[0]
    assert np.max(np.abs(with_penalty - decayed)) > 0.01


def test_rmsprop_follows_its_recurrence() -> None:
    a, b = quadratic()
    theta, v = np.ones(4), np.zeros(4)
    for _ in range(25):
        g = a @ theta - b
        v = 0.8 * v + 0.2 * g**2
        theta = theta - 0.02 * g / (np.sqrt(v) + 1e-6)
    np.testing.assert_allclose(run(RMSProp(0.02, 0.8, 1e-6), 25, np.ones(4)), theta, rtol=1e-12)


dyadic = st.integers(-(2**20), 2**20).map(lambda k: k / 2**10)


@given(st.lists(st.tuples(dyadic, dyadic), min_size=1, max_size=5), st.integers(0, 6), st.integers(0, 6))
def test_penalty_and_shrinkage_form_give_equal_bits_where_nothing_rounds(
    pairs: list[tuple[float, float]], p: int, q: int
) -> None:
    theta, g = (np.array(column) for column in zip(*pairs, strict=True))
    lr, strength = 2.0**-p, 2.0**-q
    penalised = GD(lr).update(g + L2.gradient(theta, None, strength), theta, {}, GD(lr).hyper(), 1)[0]
    shrinking = GD(lr, weight_decay=strength)
    shrunk = shrinking.update(g, theta, {}, shrinking.hyper(), 1)[0]
    assert penalised.tolist() == shrunk.tolist()


finite = st.floats(-1e6, 1e6)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=5),
    st.floats(1e-6, 1.0),
    st.floats(1e-6, 0.9),
)
def test_penalty_and_shrinkage_form_agree_to_the_rounding_of_their_terms(
    pairs: list[tuple[float, float]], lr: float, strength: float
) -> None:
    theta, g = (np.array(column) for column in zip(*pairs, strict=True))
    penalised = GD(lr).update(g + L2.gradient(theta, None, strength), theta, {}, GD(lr).hyper(), 1)[0]
    shrinking = GD(lr, weight_decay=strength)
    shrunk = shrinking.update(g, theta, {}, shrinking.hyper(), 1)[0]
    unit = np.spacing(np.maximum(np.abs(theta), np.abs(lr * g)))
    assert (np.abs(penalised - shrunk) <= 3 * unit).all()


def test_penalty_and_shrinkage_form_stay_together_for_a_thousand_steps() -> None:
    a, b = quadratic()
    theta, shrunk = np.ones(4), np.ones(4)
    plain, shrinking = GD(0.05), GD(0.05, weight_decay=0.3)
    for t in range(1, 1001):
        theta = plain.update(a @ theta - b + L2.gradient(theta, None, 0.3), theta, {}, plain.hyper(), t)[0]
        shrunk = shrinking.update(a @ shrunk - b, shrunk, {}, shrinking.hyper(), t)[0]
    assert np.max(np.abs(shrunk - theta)) <= 2 * np.spacing(np.max(np.abs(theta)))


def test_weight_decay_spares_what_the_mask_spares() -> None:
    theta, mask = np.array([1.0, 1.0]), np.array([1.0, 0.0])
    for optimizer in (GD(0.1, weight_decay=0.5), AdamW(0.1, weight_decay=0.5)):
        new = optimizer.update(np.zeros(2), theta, optimizer.init(theta), optimizer.hyper(), 1, mask)[0]
        np.testing.assert_allclose(new, [0.95, 1.0], rtol=1e-15)


@pytest.mark.parametrize("optimizer", FIRST_ORDER, ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_with_an_integer_counter_it_keeps_the_dtype_and_computes_the_same(
    optimizer: FirstOrder, dtype: str
) -> None:
    kind = np.dtype(dtype)
    theta, g = np.linspace(-1, 1, 5).astype(kind), np.linspace(2, -1, 5).astype(kind)
    hyper = {k: np.asarray(v, kind) for k, v in optimizer.hyper().items()}
    state = optimizer.init(theta)
    graph = cr.trace(
        lambda g, theta, state, hyper, t: optimizer.update(g, theta, state, hyper, t),
        ArrayType((5,), kind),
        ArrayType((5,), kind),
        {k: ArrayType((5,), kind) for k in state},
        {k: ArrayType((), kind) for k in hyper},
        ArrayType((), np.dtype("int64")),
    )
    assert {str(graph.nodes[i].dtype) for i in graph.outputs} == {dtype}
    for t in (1, 2, 7):
        expected = optimizer.update(g, theta, state, hyper, t)
        new, new_state, step = graph(g, theta, state, hyper, np.int64(t))
        np.testing.assert_allclose(new, expected[0], rtol=1e-5 if dtype == "float32" else 1e-13)
        np.testing.assert_allclose(step, expected[2], rtol=1e-5 if dtype == "float32" else 1e-13)
        theta, state = new, new_state


@pytest.mark.parametrize("optimizer", FIRST_ORDER, ids=by_name)
def test_hyper_parameters_are_inputs(optimizer: FirstOrder) -> None:
    """Another learning rate given from outside works like another optimiser."""
    theta = np.ones(3)
    hyper = {k: v / 2 if k in ("lr", "lr.lr") else v for k, v in optimizer.hyper().items()}
    new, _, step = optimizer.update(np.ones(3), theta, optimizer.init(theta), hyper, 1)
    _, _, full = optimizer.update(np.ones(3), theta, optimizer.init(theta), optimizer.hyper(), 1)
    np.testing.assert_allclose(step, np.asarray(full) / 2)
    assert np.isfinite(new).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        GD(0.05),
        SGD(0.02, 0.8),
        SGD(0.02, 0.8, nesterov=True),
        RMSProp(inverse_time(0.05, 50)),
        Adam(inverse_time(0.1, 100)),
    ],
    ids=by_name,
)
def test_with_a_proximal_step_of_its_size_it_ends_in_the_penalised_optimum(optimizer: FirstOrder) -> None:
    a, b = quadratic(6)
    theta = np.zeros(6)
    state, hyper, strength = optimizer.init(theta), optimizer.hyper(), 0.4
    for t in range(1, 6001):
        theta, state, step = optimizer.update(a @ theta - b, theta, state, hyper, t)
        theta = L1.prox(theta, step, None, strength)
    residual = L1.residual(theta, a @ theta - b, None, strength)
    assert 0 < np.count_nonzero(theta) < 6
    assert np.max(np.abs(residual)) < (1e-2 if isinstance(optimizer, RMSProp) else 1e-7)


@pytest.mark.parametrize("optimizer", [*FIRST_ORDER, LBFGS(7)], ids=by_name)
def test_json_there_and_back(optimizer: Optimizer) -> None:
    import json

    text = json.dumps(optimizer.to_json())
    assert Optimizer.from_json(json.loads(text)) == optimizer


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "Adamax"}, "'Adamax' is not known"),
        ({}, "None is not known"),
        ({"name": ["Adam"]}, "not known"),
        ({"name": "Adam", "beta3": 1}, "no 'beta3'"),
        ({"name": "Adam", "lr": "0.1"}, "lr must be a number"),
        ({"name": "Adam", "lr": float("nan")}, "lr must be in"),
        ({"name": "Adam", "lr": {"name": "cosine", "lr": 0.1}}, "needs 'steps'"),
        ({"name": "Adam", "lr": {"name": "Adam"}}, "schedule 'Adam' is not known"),
        ({"name": "SGD", "momentum": None}, "momentum must be a number"),
    ],
)
def test_json_is_checked(data: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Optimizer.from_json(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GD(0.0), r"lr must be in \(0"),
        (lambda: GD(-1.0), "lr must be in"),
        (lambda: SGD(0.1, momentum=1.0), r"momentum must be in \[0, 1\), got 1"),
        (lambda: SGD(0.1, nesterov=True), "give momentum > 0"),
        (lambda: SGD(0.1, momentum=0.9, nesterov=1), "True or False"),
        (lambda: Adam(0.1, beta2=1.0), "beta2 must be in"),
        (lambda: Adam(0.1, eps=0.0), "eps must be in"),
        (lambda: AdamW(0.1, weight_decay=-0.1), "weight_decay must be in"),
        (lambda: RMSProp(True), "lr must be a number"),
        (lambda: LBFGS(0), "memory must be in"),
    ],
)
def test_nonsense_is_refused(make: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()  # type: ignore[operator]
