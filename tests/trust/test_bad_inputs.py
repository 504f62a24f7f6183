"""Bad input: the table of cases. ``python -m benchmarks.reliability --section "bad inputs"`` counts them."""

import pytest

from trust.bad_inputs import CASES


def test_every_case_has_a_name_of_its_own():
    names = [(surface, case.name) for surface, cases in CASES.items() for case in cases]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{surface}: {case.name}") for surface, cases in CASES.items() for case in cases]
)
def test_case(case, tmp_path):
    assert not case.problem(tmp_path)
