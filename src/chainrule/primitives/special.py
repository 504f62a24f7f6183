"""Special functions: SciPy's ufuncs as element-wise primitives, and what is written with them.

Derivatives: Abramowitz & Stegun (1964), chapters 6 (gamma functions) and 7 (error function).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import pi, sqrt
from typing import Any

import numpy as np
import scipy.special as sp

from chainrule.errors import GraphError, TraceError
from chainrule.graph.primitive import NoDerivative, Primitive, Sample, register
from chainrule.graph.trace import Traced, apply, implements
from chainrule.graph.types import ArrayType
from chainrule.primitives.conversion import FLOAT64, convert
from chainrule.primitives.elementwise import Over, Partial, declare, express, zero_over_zero


def _declare(ufunc: np.ufunc, formula: str, *partials: Partial, **options: Any) -> Primitive:
    return declare(ufunc, formula, *partials, family="special", **options)


_TWO_BY_ROOT_PI = 2.0 / sqrt(pi)
_ROOT_TWO_PI = sqrt(2.0 * pi)


def _normal_density(x: Any) -> Any:
    return np.exp(-0.5 * np.square(x)) / _ROOT_TWO_PI


# -- logistic family

EXPIT = _declare(sp.expit, "σ({0})", lambda z, x: z * sp.expit(-x))
LOGIT = _declare(sp.logit, "logit({0})", lambda z, x: Over(x * (1.0 - x)), domain=(0.1, 0.9))
LOG_EXPIT = _declare(sp.log_expit, "log σ({0})", lambda z, x: sp.expit(-x))

# -- error function and normal distribution

ERF = _declare(sp.erf, "erf({0})", lambda z, x: _TWO_BY_ROOT_PI * np.exp(-np.square(x)))
ERFC = _declare(sp.erfc, "erfc({0})", lambda z, x: -_TWO_BY_ROOT_PI * np.exp(-np.square(x)))
ERFCX = _declare(sp.erfcx, "erfcx({0})", lambda z, x: 2.0 * x * z - _TWO_BY_ROOT_PI, domain=(-2.0, 3.0))
ERFINV = _declare(sp.erfinv, "erfinv({0})", lambda z, x: np.exp(np.square(z)) / _TWO_BY_ROOT_PI, domain=(-0.9, 0.9))
ERFCINV = _declare(sp.erfcinv, "erfcinv({0})", lambda z, x: np.exp(np.square(z)) / -_TWO_BY_ROOT_PI, domain=(0.1, 1.9))
NDTR = _declare(sp.ndtr, "Φ({0})", lambda z, x: _normal_density(x))
NDTRI = _declare(sp.ndtri, "Φ⁻¹({0})", lambda z, x: _ROOT_TWO_PI * np.exp(0.5 * np.square(z)), domain=(0.05, 0.95))
# φ(x)/Φ(x) through the scaled complement, so that it stays exact far out in the left tail
LOG_NDTR = _declare(sp.log_ndtr, "log Φ({0})", lambda z, x: sqrt(2.0 / pi) / sp.erfcx(x * -sqrt(0.5)))

# -- gamma family

GAMMALN = _declare(sp.gammaln, "log Γ({0})", lambda z, x: sp.digamma(x), domain=(0.5, 5.0))
GAMMA = _declare(sp.gamma, "Γ({0})", lambda z, x: z * sp.digamma(x), domain=(0.5, 4.0))
DIGAMMA = _declare(sp.psi, "ψ({0})", lambda z, x: apply(POLYGAMMA, x, order=1), domain=(0.5, 5.0))
BETALN = _declare(
    sp.betaln,
    "log B({0}, {1})",
    lambda z, a, b: sp.digamma(a) - sp.digamma(a + b),
    lambda z, a, b: sp.digamma(b) - sp.digamma(a + b),
    domain=(0.5, 4.0),
)
BETA = _declare(
    sp.beta,
    "B({0}, {1})",
    lambda z, a, b: z * (sp.digamma(a) - sp.digamma(a + b)),
    lambda z, a, b: z * (sp.digamma(b) - sp.digamma(a + b)),
    domain=(0.5, 4.0),
)

# -- cumulative distribution functions, smooth in their last operand

_SHAPE_PARAMETER = NoDerivative("a shape parameter of this function is not differentiable in closed form")


def _gamma_density(a: Any, x: Any) -> Any:
    return np.exp(sp.xlogy(a - 1.0, x) - x - sp.gammaln(a))


GAMMAINC = _declare(
    sp.gammainc, "P({0}, {1})", _SHAPE_PARAMETER, lambda z, a, x: _gamma_density(a, x), domain=(0.5, 4.0)
)
GAMMAINCC = _declare(
    sp.gammaincc, "Q({0}, {1})", _SHAPE_PARAMETER, lambda z, a, x: -_gamma_density(a, x), domain=(0.5, 4.0)
)


def _student_density(df: Any, t: Any) -> Any:
    scale = sp.gammaln(0.5 * df + 0.5) - sp.gammaln(0.5 * df) - 0.5 * np.log(pi * df)
    return np.exp(scale - (0.5 * df + 0.5) * np.log1p(np.square(t) / df))


STDTR = _declare(sp.stdtr, "T({0}, {1})", _SHAPE_PARAMETER, lambda z, df, t: _student_density(df, t), domain=(0.5, 4.0))

# -- entropies and products with logarithms


def _log_unless_zero(x: Any, y: Any) -> Any:
    """log y, but 0 where both are zero."""
    return np.log(np.where(np.equal(x, 0.0) & np.equal(y, 0.0), 1.0, y))


XLOGY = _declare(
    sp.xlogy,
    "{0} log {1}",
    lambda z, x, y: _log_unless_zero(x, y),
    lambda z, x, y: x / np.where(np.equal(x, 0.0), 1.0, y),
    domain=(0.2, 3.0),
)
XLOG1PY = _declare(
    sp.xlog1py,
    "{0} log(1 + {1})",
    lambda z, x, y: _log_unless_zero(x, 1.0 + y),
    lambda z, x, y: x / np.where(np.equal(x, 0.0), 1.0, 1.0 + y),
    domain=(0.2, 3.0),
)
ENTR = _declare(sp.entr, "-{0} log {0}", lambda z, x: -np.log(x) - 1.0, domain=(0.1, 3.0))
REL_ENTR = _declare(
    sp.rel_entr, "{0} log({0} / {1})", lambda z, x, y: np.log(x / y) + 1.0, lambda z, x, y: -x / y, domain=(0.2, 3.0)
)
KL_DIV = _declare(
    sp.kl_div,
    "{0} log({0} / {1}) - {0} + {1}",
    lambda z, x, y: np.log(x / y),
    lambda z, x, y: 1.0 - x / y,
    domain=(0.2, 3.0),
)

# -- Bessel functions

I0 = _declare(sp.i0, "I₀({0})", lambda z, x: sp.i1(x))
I1 = _declare(sp.i1, "I₁({0})", lambda z, x: sp.i0(x) - zero_over_zero(z, x, 0.5))
I0E = _declare(sp.i0e, "I₀ₑ({0})", lambda z, x: sp.i1e(x) - np.sign(x) * z)
I1E = _declare(sp.i1e, "I₁ₑ({0})", lambda z, x: sp.i0e(x) - zero_over_zero(z, x, 0.5) - np.sign(x) * z)


# -- polygamma: the order is a parameter


def _polygamma_reverse(i: int, g: Any, out: Any, x: Any, *, order: int) -> Any:
    return g * apply(POLYGAMMA, x, order=order + 1)


def _polygamma_forward(tangents: Any, out: Any, x: Any, *, order: int) -> Any:
    return tangents[0] * apply(POLYGAMMA, x, order=order + 1)


def _polygamma_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, order in (((), 1), ((3,), 1), ((2, 0), 2), ((2, 2), 3)):
        yield Sample((rng.uniform(0.8, 5.0, size=shape),), {"order": order})


def _polygamma_infer(x: ArrayType, order: int) -> ArrayType:
    if order < 0 or not x.is_float:
        raise GraphError(f"polygamma needs an order >= 0 and floating-point numbers, got {order} and {x}")
    return x


POLYGAMMA: Primitive = register(
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
    return apply(POLYGAMMA, convert(x, FLOAT64), order=int(n))  # SciPy computes it in float64 always


def multigammaln(a: Any, d: int) -> Any:
    """Logarithm of the multivariate gamma function of dimension d."""
    j = np.arange(1, d + 1)
    terms = sp.gammaln(np.expand_dims(a, -1) - (j - 1) / 2.0)
    return np.sum(terms, axis=-1) + d * (d - 1) / 4.0 * float(np.log(pi))


# -- ufuncs that are other ufuncs


def _huber(delta: Any, r: Any) -> Any:
    """Square near zero, straight lines outside."""
    inside = np.minimum(np.absolute(r), delta)
    return inside * (np.absolute(r) - 0.5 * inside)


def _pseudo_huber(delta: Any, r: Any) -> Any:
    """δ² (√(1 + (r/δ)²) - 1), without cancellation."""
    u = np.square(r / delta)
    return np.square(delta) * u / (1.0 + np.sqrt(1.0 + u))


express(sp.huber, _huber)
express(sp.pseudo_huber, _pseudo_huber)
express(sp.log1p, np.log1p)
express(sp.expm1, np.expm1)
express(sp.cbrt, np.cbrt)
express(sp.exp2, np.exp2)
express(sp.exp10, lambda x: np.power(10.0, x))
express(sp.round, np.rint)


@implements(np.i0)
def i0(x: Any) -> Any:
    """Bessel function I₀."""
    return sp.i0(x)
