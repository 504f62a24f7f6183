"""The stored polynomials stand for the functions they claim to stand for, to the last bits of their format."""

import mpmath as mp
import numpy as np
import pytest
from fits import FITS
from minimax import Fit, remez, rounded

from chainrule.native.math import coefficients

UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}


@pytest.mark.parametrize(("name", "dtype"), [(name, dtype) for name, formats in FITS.items() for dtype in formats])
def test_polynomial_is_near_its_function(name, dtype):
    fit = FITS[name][dtype]
    stored = getattr(coefficients, name)[dtype]
    assert len(stored) == fit.degree + 1
    low, high = (float(v) for v in fit.interval)
    points = [low + (high - low) * (1 - np.cos(np.pi * (i + 0.5) / 101)) / 2 for i in range(101)]
    worst = max(abs(float(fit.error([mp.mpf(c) for c in stored], t))) for t in points)
    assert worst <= (UNIT[dtype] if fit.bound is None else fit.bound)


def test_every_table_has_its_fit():
    tables = {name for name in vars(coefficients) if name.isupper()}
    assert tables == set(FITS)


def test_minimax_error_alternates():
    """Chebyshev's criterion: the cubic for exp on [-1, 1] has 5 extrema of one size and changing sign."""
    fit = Fit(mp.exp, (-1, 1), 3, lambda t: mp.mpf(1))
    solution, largest = remez(fit)
    errors = np.array([float(fit.error(solution, t)) for t in np.linspace(-1, 1, 2001)])
    inner = 1 + np.flatnonzero(np.diff(np.sign(np.diff(errors))))
    extrema = errors[[0, *inner, -1]]
    assert len(extrema) == 5
    np.testing.assert_allclose(np.abs(extrema), float(largest), rtol=1e-2)
    assert np.all(np.diff(np.sign(extrema)) != 0)


def test_rounding_spreads_what_it_loses():
    """A coefficient that no float32 is near: the higher ones take over."""
    fit = Fit(mp.sin, (0.5, 1), 5, lambda t: mp.mpf(1))
    solution, _ = remez(fit)
    one_by_one = [float(np.float32(mp.nstr(c, 40))) for c in solution]
    together = rounded(fit, solution, "float32")
    points = np.linspace(0.5, 1, 50)
    worst = [max(abs(float(fit.error([mp.mpf(c) for c in cs], t))) for t in points) for cs in (one_by_one, together)]
    assert worst[1] < worst[0]
    assert all(np.float32(c) == c for c in together)
