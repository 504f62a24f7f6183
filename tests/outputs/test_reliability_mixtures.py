"""A short campaign of adversarial fits; ``python -m benchmarks.reliability`` runs longer ones."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import reliability_mixtures
from benchmarks.reliability import SECTIONS, outcome
from benchmarks.reliability_checks import REFUSED, run_tries
from benchmarks.reliability_mixtures import TARGETS, attempt, wrong

import chainrule as cr
from chainrule.errors import DivergenceError, OptionError
from chainrule.outputs import Normal


def test_the_section_is_entered():
    assert SECTIONS["mixture outputs on adversarial data"].run is reliability_mixtures.mixtures


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_short_campaign(name, seed):
    assert attempt((name, seed)) in ("", f"{REFUSED}numbers too large to be squared")


def refuse(each):
    return f"{REFUSED}DivergenceError" if each else ""


def test_errors_are_counted_apart(monkeypatch):
    check = run_tries("some", [0, 1, 1], refuse)
    assert (check.count, check.failures, check.refused) == (3, [], {"DivergenceError": 2})
    assert outcome([check]) == "3 tries, 2 refused in one line (DivergenceError)"
    for error, counted in (
        (DivergenceError("the loss became NaN"), True),
        (DivergenceError("two\nlines"), False),
        (OptionError("no such option"), False),
        (OptionError("y is 1e300 in row 0; numbers beyond 1e+150 cannot be squared"), True),
    ):

        def fit(self, *args, error=error, **others):
            raise error

        monkeypatch.setattr(cr.FeedForwardRegressor, "fit", fit)
        assert attempt(("exact", 0)).startswith(REFUSED) == counted
        assert attempt(("exact", 0))


def test_what_is_no_number_is_seen():
    y = np.zeros(2)
    assert wrong(Normal(y, np.ones(2)), y) == ""
    assert wrong(Normal(np.array([np.nan, 0.0]), np.ones(2)), y) == "mean is nan"
    assert wrong(Normal(np.array([0.0, np.inf]), np.ones(2)), y) == "mean is inf"
