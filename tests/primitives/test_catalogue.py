"""docs/numpy.md is true: its list is the dispatch tables', its sub-gradients are what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule.primitives.catalogue import catalogue, generated_part

PAGE = (Path(__file__).parents[2] / "docs" / "numpy.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (-?\d+) \| (-?\d+) \|$", PAGE, flags=re.MULTILINE)


def test_list_of_functions_is_the_tables() -> None:
    assert generated_part(PAGE) == catalogue(), "run: python -m chainrule.primitives.catalogue docs/numpy.md"


@pytest.mark.parametrize(("code", "point", "derivative"), ROWS)
def test_sub_gradient(code: str, point: str, derivative: str) -> None:
    f = eval(f"lambda x: {code}", {"np": np, "scipy": scipy})
    assert float(cr.grad(f)(float(point))) == float(derivative)
    assert float(cr.jvp(f, (float(point),), (1.0,))[1]) == float(derivative)


def test_the_page_has_its_table() -> None:
    assert len(ROWS) > 20
