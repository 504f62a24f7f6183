"""Descents for pictures: the numbers are those of the update rules written out, and of minimize."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.paths import compare, descend, extent_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
Y = X @ [2.0, -0.5] + 0.1 * RNG.normal(size=20)
START = np.array([-1.0, 1.5])


def squared_error(w, X, y):
    return 0.5 * np.mean((X @ w - y) ** 2)


def slope(w, x=X, y=Y):
    return x.T @ (x @ w - y) / len(y)


def test_gradient_descent_step_by_step():
    found = descend(squared_error, START, cr.GD(0.3), steps=25, data=(X, Y))
    w = START
    for theta, value, norm in zip(found.theta, found.values, found.gradient_norms, strict=True):
        np.testing.assert_allclose(theta, w, rtol=1e-13)
        assert value == pytest.approx(squared_error(w, X, Y), rel=1e-12)
        assert norm == pytest.approx(np.linalg.norm(slope(w)), rel=1e-9)
        w = w - 0.3 * slope(w)
    assert len(found.theta) == 26
    assert not found.diverged


def test_each_batch_is_of_rows_not_yet_seen():
    seen = descend(lambda w, X: np.mean((w - X) ** 2), 0.0, cr.GD(0.5), steps=20, data=np.arange(20.0), batch_size=1)
    # θ ← θ − (θ − x) = x: the path spells out the rows
    assert sorted(seen.theta[1:, 0]) == list(range(20))


def test_a_penalty_gives_exact_zeros_and_the_sum_is_what_is_reported():
    found = descend(squared_error, START, cr.GD(0.3), steps=300, data=(X, Y), penalty=cr.L1(0.8))
    exact = cr.minimize(squared_error, START, data=(X, Y), penalty=cr.L1(0.8))
    assert found.theta[-1, 1] == 0.0
    assert found.values[-1] == pytest.approx(exact.value, rel=1e-10)
    np.testing.assert_allclose(found.theta[-1], exact.x, atol=1e-8)


def test_divergence_ends_before_the_first_value_that_is_not_finite():
    found = descend(lambda x: x**4, 2.0, cr.GD(1.0), steps=50)
    assert found.diverged
    assert np.isfinite(found.values).all()
    assert len(found.values) < 50


def test_compare_and_extent():
    found = compare(squared_error, START, {"all": cr.GD(0.1), "one": (cr.SGD(0.1), 1)}, steps=5, data=(X, Y))
    assert [d.name for d in found] == ["all", "one"]
    box = extent_of(found, [np.array([3.0, 0.0])])
    for d in found:
        assert (box[:, 0] < d.theta.min(axis=0)).all()
        assert (d.theta.max(axis=0) < box[:, 1]).all()
    assert box[0, 1] > 3.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": cr.LBFGS()}, "steps from gradients"),
        ({"batch_size": 21}, "number of rows, 20"),
        ({"x0": np.array([np.inf, 0.0])}, "infinite or missing"),
    ],
)
def test_refusals(change, words):
    options = {"x0": START, "optimizer": cr.GD(0.1), "data": (X, Y), **change}
    with pytest.raises(cr.OptionError, match=words):
        descend(squared_error, options.pop("x0"), options.pop("optimizer"), **options)
