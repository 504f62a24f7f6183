"""Special functions: SciPy's ufuncs as element-wise primitives, and the few that are Python functions.

Derivatives: Abramowitz & Stegun (1964), chapters 6 (gamma functions) and 7 (error function).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import pi, sqrt
from types import FunctionType
from typing import Any

import numpy as np
import scipy.special as sp

from chainrule.errors import TraceError
from chainrule.graph.primitive import Primitive, Sample, register
from chainrule.graph.trace import UFUNCS, Traced, apply
from chainrule.graph.types import ArrayType
from chainrule.primitives import reduction
from chainrule.primitives.elementwise import Partial, convert, elementwise, record_ufunc, stop_gradient, times


def _ufunc(ufunc: np.ufunc, formula: str, *partials: Partial, **options: Any) -> Primitive:
    primitive = elementwise(ufunc.__name__, ufunc, formula, *partials, family="special", **options)
    record_ufunc(ufunc, primitive)
    return primitive


_TWO_BY_ROOT_PI = 2.0 / sqrt(pi)
_LOG_ROOT_TWO_PI = 0.5 * float(np.log(2.0 * pi))


def _normal_density(x: Any) -> Any:
    return np.exp(-0.5 * np.square(x) - _LOG_ROOT_TWO_PI)


# -- logistic family

EXPIT = _ufunc(sp.expit, "σ({0})", lambda z, x: z * sp.expit(-x))
LOGIT = _ufunc(sp.logit, "logit({0})", lambda z, x: 1.0 / (x * (1.0 - x)), domain=(0.1, 0.9))
LOG_EXPIT = _ufunc(sp.log_expit, "log σ({0})", lambda z, x: sp.expit(-x))

# -- error function and normal distribution

ERF = _ufunc(sp.erf, "erf({0})", lambda z, x: _TWO_BY_ROOT_PI * np.exp(-np.square(x)))
ERFC = _ufunc(sp.erfc, "erfc({0})", lambda z, x: -_TWO_BY_ROOT_PI * np.exp(-np.square(x)))
ERFCX = _ufunc(sp.erfcx, "erfcx({0})", lambda z, x: 2.0 * x * z - _TWO_BY_ROOT_PI, domain=(-2.0, 3.0))
ERFINV = _ufunc(
    sp.erfinv, "erfinv({0})", lambda z, x: (1.0 / _TWO_BY_ROOT_PI) * np.exp(np.square(z)), domain=(-0.9, 0.9)
)
NDTR = _ufunc(sp.ndtr, "Φ({0})", lambda z, x: _normal_density(x))
NDTRI = _ufunc(sp.ndtri, "Φ⁻¹({0})", lambda z, x: 1.0 / _normal_density(z), domain=(0.05, 0.95))
# φ(x)/Φ(x) through logarithms, so that it stays exact far out in the left tail
LOG_NDTR = _ufunc(sp.log_ndtr, "log Φ({0})", lambda z, x: np.exp(-0.5 * np.square(x) - _LOG_ROOT_TWO_PI - z))

# -- gamma family

GAMMALN = _ufunc(sp.gammaln, "log Γ({0})", lambda z, x: sp.digamma(x), domain=(0.5, 5.0))
GAMMA = _ufunc(sp.gamma, "Γ({0})", lambda z, x: z * sp.digamma(x), domain=(0.5, 4.0))
DIGAMMA = _ufunc(sp.psi, "ψ({0})", lambda z, x: sp.polygamma(1, x), domain=(0.5, 5.0))
BETALN = _ufunc(
    sp.betaln,
    "log B({0}, {1})",
    lambda z, a, b: sp.digamma(a) - sp.digamma(a + b),
    lambda z, a, b: sp.digamma(b) - sp.digamma(a + b),
    domain=(0.5, 4.0),
)

# -- entropies and products with logarithms

XLOGY = _ufunc(
    sp.xlogy,
    "{0} log {1}",
    lambda z, x, y: np.log(np.where(x == 0.0, 1.0, y)),
    lambda z, x, y: x / y,
    domain=(0.2, 3.0),
)
XLOG1PY = _ufunc(
    sp.xlog1py,
    "{0} log(1 + {1})",
    lambda z, x, y: np.log1p(np.where(x == 0.0, 0.0, y)),
    lambda z, x, y: x / (1.0 + y),
    domain=(0.2, 3.0),
)
ENTR = _ufunc(sp.entr, "-{0} log {0}", lambda z, x: -np.log(x) - 1.0, domain=(0.1, 3.0))
REL_ENTR = _ufunc(
    sp.rel_entr, "{0} log({0} / {1})", lambda z, x, y: np.log(x / y) + 1.0, lambda z, x, y: -x / y, domain=(0.2, 3.0)
)
I0E = _ufunc(sp.i0e, "I₀ₑ({0})", lambda z, x: sp.i1e(x) - np.sign(x) * z, domain=(0.1, 3.0))
I1E = _ufunc(sp.i1e, "I₁ₑ({0})", lambda z, x: sp.i0e(x) - z / x - np.sign(x) * z, domain=(0.1, 3.0))


# -- polygamma: the order is a parameter


def _polygamma_reverse(i: int, g: Any, out: Any, x: Any, *, order: int) -> Any:
    return times(g, apply(POLYGAMMA, x, order=order + 1))


def _polygamma_forward(tangents: Any, out: Any, x: Any, *, order: int) -> Any:
    return None if tangents[0] is None else tangents[0] * apply(POLYGAMMA, x, order=order + 1)


def _polygamma_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, order in (((), 1), ((3,), 1), ((2, 0), 2), ((2, 2), 3)):
        yield Sample((rng.uniform(0.8, 5.0, size=shape),), {"order": order})


def _polygamma_infer(x: ArrayType, order: int) -> ArrayType:
    if not isinstance(order, int) or order < 0:
        raise TraceError(f"polygamma: the order must be a plain integer >= 0, got {order!r}")
    return x


POLYGAMMA = register(
    Primitive(
        name="polygamma",
        family="special",
        formula="ψ⁽{order}⁾({0})",
        infer=_polygamma_infer,
        numpy=lambda x, order: np.asarray(sp.polygamma(order, x), dtype=np.asarray(x).dtype),
        reverse=_polygamma_reverse,
        forward=_polygamma_forward,
        lowering="library",
        samples=_polygamma_samples,
    )
)


def polygamma(n: Any, x: Any) -> Any:
    """scipy.special.polygamma of a plain integer order."""
    if isinstance(n, Traced):
        raise TraceError("scipy.special.polygamma: the order must be a plain integer, not a traced value")
    x = convert(x, np.dtype(np.float64)) if x.dtype.kind != "f" else x
    return apply(POLYGAMMA, x, order=int(n))


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) / Σ exp(x), shifted by the maximum."""
    e = np.exp(x - stop_gradient(np.max(x, axis=axis, keepdims=True)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """x - log Σ exp(x), shifted by the maximum."""
    shifted = x - stop_gradient(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def multigammaln(a: Any, d: int) -> Any:
    """Logarithm of the multivariate gamma function of dimension d."""
    j = np.arange(1, d + 1)
    terms = sp.gammaln(np.expand_dims(a, -1) - (j - 1) / 2.0)
    return np.sum(terms, axis=-1) + d * (d - 1) / 4.0 * float(np.log(pi))


# -- SciPy's Python functions
#
# ``scipy.special.logsumexp`` and a few others are Python functions that convert their argument with np.asarray before
# NumPy could dispatch on it, and users hold references to them (``from scipy.special import logsumexp``). So the
# function itself gets a front door: traced arguments go to our meaning, all others to SciPy's code, unchanged.
# docs/decisions/0003-scipy-python-functions.md has the reasons.


def _front_door(original: Callable[..., Any], ours: Callable[..., Any]) -> None:
    if not isinstance(original, FunctionType) or original.__closure__:
        return  # another SciPy, where it dispatches by itself or cannot be entered: asarray says what is wrong
    theirs = FunctionType(
        original.__code__, original.__globals__, original.__name__, original.__defaults__, original.__closure__
    )
    theirs.__kwdefaults__ = original.__kwdefaults__
    original.__defaults__, original.__kwdefaults__ = None, {"_door": (theirs, ours, Traced)}
    original.__code__ = _door.__code__


def _door(*args: Any, _door: Any, **kwargs: Any) -> Any:
    theirs, ours, traced = _door
    if any(isinstance(x, traced) for x in (*args, *kwargs.values())):
        return ours(*args, **kwargs)
    return theirs(*args, **kwargs)


for _name, _ours in (
    ("logsumexp", reduction.logsumexp),
    ("softmax", softmax),
    ("log_softmax", log_softmax),
    ("polygamma", polygamma),
    ("multigammaln", multigammaln),
):
    _front_door(getattr(sp, _name), _ours)

UFUNCS.setdefault(sp.log1p, lambda x: np.log1p(x))
UFUNCS.setdefault(sp.expm1, lambda x: np.expm1(x))
UFUNCS.setdefault(sp.cbrt, lambda x: np.cbrt(x))
