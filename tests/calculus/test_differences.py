"""Extrapolated differences: accuracy, error estimates, kinks, jumps, edges of domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.calculus.differences import ROWS, Slopes, sides_differ, slopes

EPS = float(np.finfo(float).eps)


def along(f: Any, x: float, expected: float, rtol: float = 1e-6) -> tuple[Slopes, int]:
    calls = []

    def sample(k: int, t: float) -> np.ndarray:
        calls.append(t)
        with np.errstate(all="ignore"):
            return np.array([f(np.float64(x + t))])

    scale = np.array([abs(x) or 1.0])
    with np.errstate(all="ignore"):
        tolerance = np.array([[rtol * np.nan_to_num(abs(expected), posinf=0.0)]])
    return slopes(sample, scale, np.array([[expected]]), tolerance, EPS), len(calls)


@pytest.mark.parametrize(
    ("f", "x", "derivative"),
    [
        (np.exp, 3.0, np.exp(3.0)),
        (np.log, 1e-8, 1e8),
        (np.sin, 1e5, np.cos(1e5)),
        (lambda x: 1.0 / x, 1e-5, -1e10),
        (lambda x: x**7, -2.0, 7 * 64.0),
        (lambda x: np.sin(300.0 * x), 0.4, 300 * np.cos(120.0)),
        (lambda x: np.maximum(x - 1.0, 0.0), 1.0 + 1e-6, 1.0),
    ],
)
def test_accuracy_and_honest_errors(f: Any, x: float, derivative: float) -> None:
    for wrong in (1.0, 1.0005):  # a wrong expectation makes it look as closely as it can
        found, _ = along(f, x, derivative * wrong)
        assert found.central[0, 0] == pytest.approx(derivative, rel=2e-6)
        assert abs(found.central[0, 0] - derivative) <= 30.0 * found.error[0, 0] + 1e-15 * abs(derivative)
        assert not sides_differ(found, np.array([[1e-6 * abs(derivative)]])).any()
    assert found.error[0, 0] < 1e-6 * abs(derivative)


def test_smooth_functions_need_few_values() -> None:
    assert along(np.exp, 1.0, np.exp(1.0))[1] <= 11
    assert along(np.exp, 1.0, 2.0)[1] == 1 + 2 * ROWS


def test_kink_has_two_sides() -> None:
    found, _ = along(lambda x: max(x, 3.0 * x), 0.0, 2.0)
    assert (found.left[0, 0], found.central[0, 0], found.right[0, 0]) == pytest.approx((1.0, 2.0, 3.0))
    assert sides_differ(found, np.array([[1e-6]])).all()


def test_jump_has_an_infinite_side() -> None:
    found, _ = along(np.floor, 2.0, 0.0)
    assert (found.left[0, 0], found.right[0, 0]) == (np.inf, 0.0)
    found, _ = along(lambda x: -np.sign(x), 0.0, 0.0)
    assert (found.left[0, 0], found.right[0, 0]) == (-np.inf, -np.inf)


def test_edge_of_a_domain_has_no_limit() -> None:
    found, _ = along(np.sqrt, 0.0, np.inf)
    assert np.isnan(found.left[0, 0])
    assert np.isinf(found.error[0, 0])


def test_lines_are_independent() -> None:
    """Each line stops when it agrees; another one that does not goes on."""
    calls: list[int] = []

    def sample(k: int, t: float) -> np.ndarray:
        calls.append(k)
        return np.array([np.exp(t), np.sin(t)]) * (k + 1)

    expected = np.array([[1.0, 1.0], [2.0, 2.0], [2.9, 3.0]])
    found = slopes(sample, np.ones(3), expected, 1e-6 * expected, EPS)
    np.testing.assert_allclose(found.central, [[1, 1], [2, 2], [3, 3]], rtol=1e-7)
    assert calls.count(2) == 1 + 2 * ROWS > calls.count(0)


def test_no_lines_and_no_values() -> None:
    assert slopes(lambda k, t: np.zeros(2), np.ones(0), np.zeros((0, 2)), np.zeros((0, 2)), EPS).central.shape == (0, 2)
    assert slopes(lambda k, t: np.zeros(0), np.ones(2), np.zeros((2, 0)), np.zeros((2, 0)), EPS).central.shape == (2, 0)
