"""A short campaign of adversarial fits; ``python -m benchmarks.reliability`` runs longer ones."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import reliability_mixtures
from benchmarks.reliability import SECTIONS
from benchmarks.reliability_mixtures import TARGETS, attempt, wrong

from chainrule.outputs import Normal


def test_the_section_is_entered():
    assert SECTIONS["mixture outputs on adversarial data"].run is reliability_mixtures.mixtures


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_short_campaign(name, seed):
    assert attempt((name, seed)) == ""


def test_what_is_no_number_is_seen():
    y = np.zeros(2)
    assert wrong(Normal(y, np.ones(2)), y) == ""
    assert wrong(Normal(np.array([np.nan, 0.0]), np.ones(2)), y) == "mean is nan"
    assert wrong(Normal(np.array([0.0, np.inf]), np.ones(2)), y) == "mean is inf"
