"""Every primitive continued to complex numbers: the oracle of derivatives.

A real-analytic function evaluated at ``x + ih`` has ``f'(x) h`` as its imaginary part (Squire & Trapp 1998), without
subtraction, so that derivatives come out to machine precision. Most of NumPy continues by itself; what does not, or
means something else for complex numbers, is written out here, independently of the rules under test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp

from chainrule.graph.graph import Graph

STEP = 1e-30


def part(name: str, z: Any) -> Any:
    return getattr(np.asarray(z), name)


def sign(z: Any) -> Any:
    return np.sign(part("real", z))


def floor_ratio(x: Any, y: Any) -> Any:
    return np.floor(part("real", x) / part("real", y))


def through_inverse(function: Any, inverse: Any) -> Any:
    """Continue the real ``inverse`` of an analytic ``function`` by one Newton step in the imaginary direction."""

    def continued(w: Any) -> Any:
        w = np.asarray(w)
        x = inverse(w.real)
        slope = part("imag", function(x + 1j * STEP)) / STEP
        return x + 1j * w.imag / slope

    return continued


def polygamma(z: Any, order: int) -> Any:
    """Abramowitz & Stegun 6.4.11 after moving the argument to the right by recurrence (6.4.6)."""
    z = np.asarray(z, dtype=complex)
    n, shift = order, 25
    total = sum((z + k) ** -(n + 1.0) for k in range(shift))
    total = np.zeros_like(z) + total
    y = z + shift
    fact = float(sp.factorial(n - 1)) if n > 0 else 1.0
    if n == 0:
        series = np.log(y) - 0.5 / y
        for k, b in enumerate(BERNOULLI, start=1):
            series = series - b / (2 * k) * y ** (-2.0 * k)
        return series - sum(1.0 / (z + k) for k in range(shift))
    series = fact * y ** (-float(n)) + 0.5 * float(sp.factorial(n)) * y ** (-n - 1.0)
    for k, b in enumerate(BERNOULLI, start=1):
        series = series + b * float(sp.factorial(2 * k + n - 1) / sp.factorial(2 * k)) * y ** (-2.0 * k - n)
    return (-1.0) ** (n + 1) * (series + float(sp.factorial(n)) * total)


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


def bessel_i(order: int) -> Any:
    def continued(z: Any) -> Any:
        half = np.square(np.asarray(z) / 2.0)
        term = total = (np.asarray(z) / 2.0) ** order / float(sp.factorial(order)) + 0 * half
        for k in range(1, 40):
            term = term * half / (k * (k + order))
            total = total + term
        return total

    return continued


def cholesky(a: Any) -> Any:
    a = 0.5 * (a + np.swapaxes(a, -1, -2))
    n = a.shape[-1]
    factor = np.zeros(a.shape, dtype=a.dtype)
    for i in range(n):
        for j in range(i + 1):
            rest = a[..., i, j] - np.sum(factor[..., i, :j] * factor[..., j, :j], axis=-1)
            factor[..., i, j] = np.sqrt(rest) if i == j else rest / factor[..., j, j]
    return factor


def integral(density: Any) -> Any:
    """A cumulative distribution function (shape, x): real value, imaginary part by its density."""

    def continued(value: Any) -> Any:
        return lambda a, x: value(a.real, x.real) + 1j * np.asarray(x).imag * density(a.real, x.real)

    return continued


def _binomial_log(a: Any, b: Any) -> Any:
    return sp.loggamma(a) + sp.loggamma(b) - sp.loggamma(a + b)


def _as_complex(z: Any) -> Any:
    return np.asarray(z) + 0j


def _gamma_density(a: Any, x: Any) -> Any:
    return x ** (a - 1) * np.exp(-x) / sp.gamma(a)


def _student_density(df: Any, t: Any) -> Any:
    return sp.gamma((df + 1) / 2) / (np.sqrt(df * np.pi) * sp.gamma(df / 2)) * (1 + t**2 / df) ** (-(df + 1) / 2)


#: primitive -> its continuation, where NumPy's meaning does not continue by itself
ANALYTIC: dict[str, Any] = {
    "absolute": lambda z: z * sign(z),
    "sign": sign,
    "stop_gradient": lambda z: part("real", z),
    "floor": lambda z: np.floor(part("real", z)),
    "ceil": lambda z: np.ceil(part("real", z)),
    "rint": lambda z: np.rint(part("real", z)),
    "trunc": lambda z: np.trunc(part("real", z)),
    "heaviside": lambda z, y: np.where(part("real", z) == 0, y, np.heaviside(part("real", z), 0.0)),
    "floor_divide": floor_ratio,
    "remainder": lambda x, y: x - y * floor_ratio(x, y),
    "fmod": lambda x, y: x - y * np.trunc(part("real", x) / part("real", y)),
    "copysign": lambda x, y: x * sign(x) * np.copysign(1.0, part("real", y)),
    "signbit": lambda z: np.signbit(part("real", z)),
    "hypot": lambda x, y: np.sqrt(x * x + y * y),
    "arctan2": lambda y, x: np.arctan(y / x),  # the samples lie right of the axis
    "cbrt": lambda z: sign(z) * np.power(z * sign(z), 1.0 / 3.0),
    "logaddexp": lambda x, y: np.log(np.exp(x) + np.exp(y)),
    "logaddexp2": lambda x, y: np.log(np.exp2(x) + np.exp2(y)) / np.log(2.0),
    "cast": lambda z, dtype: z if np.dtype(dtype).kind == "f" else part("real", z).astype(dtype),
    "logabsdet": lambda a: np.log(np.linalg.det(a) * np.sign(np.linalg.det(a.real))),
    "signdet": lambda a: np.sign(np.linalg.det(part("real", a))),
    "cholesky": cholesky,
    "expit": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "logit": lambda p: np.log(p / (1.0 - p)),
    "log_expit": lambda z: -np.log1p(np.exp(-z)),
    "ndtr": lambda z: 0.5 * sp.erfc(-_as_complex(z) / np.sqrt(2.0)),
    "log_ndtr": lambda z: np.log(0.5 * sp.erfc(-_as_complex(z) / np.sqrt(2.0))),
    "erfinv": through_inverse(sp.erf, sp.erfinv),
    "erfcinv": through_inverse(sp.erfc, sp.erfcinv),
    "ndtri": through_inverse(lambda z: 0.5 * sp.erfc(-z / np.sqrt(2.0)), sp.ndtri),
    "gammaln": lambda z: sp.loggamma(_as_complex(z)),
    "gamma": lambda z: np.exp(sp.loggamma(_as_complex(z))),
    "betaln": lambda a, b: _binomial_log(_as_complex(a), _as_complex(b)),
    "beta": lambda a, b: np.exp(_binomial_log(_as_complex(a), _as_complex(b))),
    "polygamma": polygamma,
    "psi": lambda z: polygamma(z, 0),
    "gammainc": integral(_gamma_density)(sp.gammainc),
    "gammaincc": integral(lambda a, x: -_gamma_density(a, x))(sp.gammaincc),
    "stdtr": integral(_student_density)(sp.stdtr),
    "xlogy": lambda x, y: x * np.log(y),
    "xlog1py": lambda x, y: x * np.log1p(y),
    "entr": lambda x: -x * np.log(x),
    "rel_entr": lambda x, y: x * np.log(x / y),
    "kl_div": lambda x, y: x * np.log(x / y) - x + y,
    "i0": bessel_i(0),
    "i1": bessel_i(1),
    "i0e": lambda z: bessel_i(0)(z) * np.exp(-z * sign(z)),
    "i1e": lambda z: bessel_i(1)(z) * np.exp(-z * sign(z)),
}


def evaluate(graph: Graph, arguments: Any) -> list[np.ndarray]:
    """Run a graph on complex (or real) arguments."""
    values: list[Any] = [None] * len(graph.nodes)
    for i, argument in zip(graph.inputs, arguments, strict=True):
        values[i] = argument
    for position, node in enumerate(graph.nodes):
        if node.primitive.name != "input":
            rule = ANALYTIC.get(node.primitive.name, node.primitive.numpy)
            values[position] = np.asarray(rule(*[values[i] for i in node.inputs], **node.params))
    return [values[i] for i in graph.outputs]


def push(graph: Graph, arguments: Any, tangents: Any) -> list[np.ndarray]:
    """Directional derivatives of a graph's outputs, by a complex step."""
    moved = [x if t is None else x + 1j * STEP * t for x, t in zip(arguments, tangents, strict=True)]
    with np.errstate(all="ignore"):
        return [part("imag", y) / STEP for y in evaluate(graph, moved)]
