"""Critical points against algebra; figures say what the numbers say."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.curves import critical_points, curve, learning_rates, starts


def test_critical_points_of_a_polynomial():
    # f' = (x + 1) (x - 1)² (x - 2): a minimum or maximum where it changes sign, a saddle where it touches
    f = np.polynomial.Polynomial([-2.0, 3.0, 1.0, -3.0, 1.0]).integ()
    coefficients = f.coef

    def polynomial(x):
        return sum(c * x**k for k, c in enumerate(coefficients))

    found = critical_points(polynomial, (-2.5, 2.8))
    assert [p.kind for p in found] == ["maximum", "saddle", "minimum"]
    np.testing.assert_allclose([p.x for p in found], [-1.0, 1.0, 2.0], atol=1e-5)
    np.testing.assert_allclose([p.value for p in found], f(np.array([-1.0, 1.0, 2.0])), atol=1e-9)


def test_global_and_local_minima_and_one_on_a_sample_point():
    found = critical_points(lambda x: x**4 - 2 * x**2 + 0.1 * x, (-2.0, 2.0))
    assert [(p.kind, p.global_) for p in found] == [("minimum", True), ("maximum", False), ("minimum", False)]
    (only,) = critical_points(lambda x: (x - 0.0) ** 2, (-1.0, 1.0))  # 0 is one of the points looked at
    assert (only.x, only.kind, only.global_) == (0.0, "minimum", True)


def test_a_kink_at_a_minimum_counts_and_a_line_has_none():
    (only,) = critical_points(lambda x: np.abs(x - 0.3), (-1.0, 1.0))
    assert only.kind == "minimum"
    assert only.x == pytest.approx(0.3, abs=1e-12)
    assert critical_points(lambda x: 2.0 * x, (-1.0, 1.0)) == []
    with pytest.raises(cr.OptionError, match="smaller end first"):
        critical_points(np.sin, (1.0, 1.0))


def legend(figure):
    texts = [t.get_text() for ax in figure.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
    return texts + [t.get_text() for each in figure.legends for t in each.get_texts()]


def test_figures():
    pytest.importorskip("matplotlib")
    assert legend(curve(lambda x: x**4 - 2 * x**2 + 0.1 * x, (-2.0, 2.0))) == [
        "global minimum",
        "local maximum",
        "local minimum",
    ]
    words = legend(learning_rates(lambda x: np.sum(x**2), np.array([1.0, 2.0]), [0.1, 0.5, 1.1], steps=80))
    assert words == ["η = 0.1", "η = 0.5", "η = 1.1: diverges"]
    result = cr.minimize(lambda x: np.sum(x**4 - 2 * x**2), np.zeros(2), starts=20)
    figure = starts(result)
    assert [t.get_text() for t in figure.axes[1].texts] == [r.curvature.kind for r, _ in result.optima]
    assert [bar.get_width() for bar in figure.axes[1].patches] == [count for _, count in result.optima]
    with pytest.raises(cr.OptionError, match="one start"):
        starts(cr.minimize(lambda x: x**2, 1.0))
