"""Types of values."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.types import DTYPES, ArrayType


def test_of() -> None:
    assert ArrayType.of(np.ones((2, 3), np.float32)) == ArrayType((2, 3), np.dtype("float32"))
    assert ArrayType.of(1.5) == ArrayType((), np.dtype("float64"))
    assert ArrayType.of([[1, 2]]) == ArrayType((1, 2), np.dtype("int64"))
    assert ArrayType.of(np.bool_(True)) == ArrayType((), np.dtype("bool"))
    assert cr.trace(lambda x: x * ArrayType.of(x).size, np.ones((2, 2)))(np.ones((2, 2)))[0, 0] == 4.0


@pytest.mark.parametrize("name", DTYPES)
def test_properties(name: str) -> None:
    kind = ArrayType((4, 0, 2), DTYPES[name])
    assert (kind.ndim, kind.size) == (3, 0)
    assert kind.is_float == name.startswith("float")
    assert str(kind) == f"{name}[4,0,2]"
    assert str(ArrayType((), DTYPES[name])) == f"{name}[]"
    assert hash(kind) == hash(ArrayType((4, 0, 2), np.dtype(name)))
