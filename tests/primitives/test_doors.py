"""SciPy's Python functions: traced arguments find our meaning through any reference, all others find SciPy's."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special as sp

import chainrule as cr
import chainrule.primitives
from chainrule.primitives.doors import PYTHON_FUNCTIONS, open_door

PROGRAM = """
import sys, numpy as np
{first}
{second}
x = np.array([1.0, 2.0, 3.0])
gradient = cr.grad(lambda x: logsumexp(x, axis=0))(x)
assert np.allclose(gradient, np.exp(x) / np.exp(x).sum()), gradient
assert logsumexp(x) == logsumexp(x.tolist()) and logsumexp(np.array([0, 0])).dtype == float
assert np.isclose(cr.trace(lambda x: logsumexp(x), x)(x), logsumexp(x))
"""
SCIPY, OURS = "from scipy.special import logsumexp", "import chainrule as cr"


@pytest.mark.parametrize(("first", "second"), [(SCIPY, OURS), (OURS, SCIPY), (OURS + "; cr.grad", SCIPY)])
def test_either_import_order(first: str, second: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first, second=second)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", PYTHON_FUNCTIONS, ids=lambda f: f.__name__)
def test_function_stays_itself(function: Any) -> None:
    assert getattr(sp, function.__name__) is function
    assert pickle.loads(pickle.dumps(function)) is function
    assert "_door" not in str(inspect.signature(function))
    assert list(inspect.signature(function).parameters)
    assert function.__doc__


def test_arrays_get_scipys_own_code() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    original = inspect.unwrap(sp.logsumexp)
    assert original is not sp.logsumexp
    for arguments, options in (((x,), {}), ((x, 1), {}), ((x,), {"axis": 0, "b": x, "return_sign": True})):
        np.testing.assert_array_equal(sp.logsumexp(*arguments, **options), original(*arguments, **options))
    assert isinstance(sp.logsumexp([1.0, 2.0]), float)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        sp.logsumexp(x, nonsense=1)


def test_traced_arguments_by_keyword_and_in_any_place() -> None:
    x, b = np.array([0.3, 0.7]), np.array([1.0, 2.0])
    np.testing.assert_allclose(cr.grad(lambda x: sp.logsumexp(a=x))(x), sp.softmax(x))
    np.testing.assert_allclose(cr.grad(lambda b: sp.logsumexp(x, b=b))(b), np.exp(x - sp.logsumexp(x, b=b)))


def test_what_cannot_be_entered_is_left_alone() -> None:
    outside = 1.0

    def closed(x: Any) -> Any:
        return np.asarray(x) + outside

    code = closed.__code__
    open_door(closed, lambda x: x)
    open_door(len, lambda x: x)
    assert closed.__code__ is code
    with pytest.raises(cr.TraceError, match=r"np.asarray of a traced value.*np.stack"):
        cr.grad(closed)(1.0)


def test_plain_functions_with_all_kinds_of_parameters() -> None:
    def theirs(a: Any, /, b: Any = 2.0, *rest: Any, c: Any = 3.0, **more: Any) -> Any:
        return (a, b, rest, c, more)

    open_door(theirs, lambda *args, **kwargs: "ours")
    assert theirs(1) == (1, 2.0, (), 3.0, {})
    assert theirs(1, 5, 6, c=7, d=8) == (1, 5, (6,), 7, {"d": 8})
    graph = cr.trace(lambda x: x * len(theirs(1, rest=x)), 1.0)
    assert graph(1.0) == 4.0
