"""Front doors of SciPy's Python functions.

``scipy.special.logsumexp`` and a few others are Python functions that convert their arguments with ``np.asarray``
before NumPy could dispatch on them, and users hold references to them (``from scipy.special import logsumexp``). So
each such function itself gets a front door: calls with a traced argument go to our meaning, all others to SciPy's own
code, unchanged. ``docs/decisions/0003-scipy-python-functions.md`` has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import scipy.special as sp

from chainrule.graph.traced import Traced
from chainrule.primitives import softmax, special

#: SciPy's Python function -> function on traced values
PYTHON_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    sp.logsumexp: softmax.logsumexp,
    sp.softmax: softmax.softmax,
    sp.log_softmax: softmax.log_softmax,
    sp.polygamma: special.polygamma,
    sp.multigammaln: special.multigammaln,
}


def _door(*args: Any, _door: Any, **kwargs: Any) -> Any:
    theirs, ours, traced = _door
    if any(isinstance(x, traced) for x in (*args, *kwargs.values())):
        return ours(*args, **kwargs)
    return theirs(*args, **kwargs)


def open_door(original: Callable[..., Any], ours: Callable[..., Any]) -> None:
    """Let a Python function be ``ours`` for traced arguments, whoever holds it and since when.

    What it was is kept as its ``__wrapped__``, which is where `inspect.signature` looks. A function that is not plain
    Python, or has a closure, stays as it is: then the error of ``np.asarray`` says what is wrong.
    """
    if not isinstance(original, FunctionType) or original.__closure__:
        return
    theirs = FunctionType(original.__code__, original.__globals__, original.__name__, original.__defaults__)
    theirs.__kwdefaults__ = original.__kwdefaults__
    theirs.__doc__, theirs.__module__, theirs.__qualname__ = (
        original.__doc__,
        original.__module__,
        original.__qualname__,
    )
    original.__defaults__, original.__kwdefaults__ = None, {"_door": (theirs, ours, Traced)}
    original.__dict__["__wrapped__"] = theirs
    original.__code__ = _door.__code__


for _original, _ours in PYTHON_FUNCTIONS.items():
    open_door(_original, _ours)
