"""What each polynomial of ``chainrule.native.math.coefficients`` stands for.

Run as a script it derives them all and prints that module. ``FITS[name][format]`` is a :class:`minimax.Fit`; the
weights turn the error of the polynomial into the relative error of the function that is computed with it.
"""

from __future__ import annotations

import sys

import mpmath as mp
from minimax import Fit, remez, rounded, text

LN2 = mp.log(2)
ROOT2 = mp.sqrt(2)


def limit(function, at_zero):
    """``function`` with its limit filled in at 0."""
    return lambda t: function(t) if t else mp.mpf(at_zero)


def both(function, interval, weight, float32, float64):
    """The same fit for both formats, of these degrees."""
    return {
        "float32": Fit(function, interval, float32, weight),
        "float64": Fit(function, interval, float64, weight),
    }


exp_rest = limit(lambda r: (mp.expm1(r) - r) / r**2, 0.5)
atanh_rest = limit(lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z, mp.mpf(2) / 3)

exp2_rest = limit(lambda r: (mp.mpf(2) ** r - 1) / r, LN2)
erf_rest = limit(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 2 / mp.sqrt(mp.pi) - 1)


def erfcx(x):
    if x > 100:  # the asymptotic series (DLMF 7.12.1), far beyond the digits needed
        terms = [(-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(14)]
        return mp.fsum(terms) / (x * mp.sqrt(mp.pi))
    return mp.exp(x * x) * mp.erfc(x)


def erfcx_fit(pole: int, start: float, degree: int) -> Fit:
    """erfcx(x)·(x + pole) as a function of t = (x - pole)/(x + pole), x from ``start`` to ∞."""

    def function(t):
        if t == 1:
            return 1 / mp.sqrt(mp.pi)
        x = pole * (1 + t) / (1 - t)
        return erfcx(x) * (x + pole)

    return Fit(function, ((mp.mpf(start) - pole) / (mp.mpf(start) + pole), 1), degree, lambda t: 1 / function(t))


sin_rest = limit(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(-1) / 6)
cos_rest = limit(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24)
RIGHT = (mp.pi / 4) ** 2
atan_rest = limit(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(-1) / 3)
asin_rest = limit(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 6)

HALF_LOG_2PI = mp.log(2 * mp.pi) / 2
PSI_ROOT = mp.findroot(lambda x: mp.psi(0, x), mp.mpf("1.46163214496836"))
SMALL = mp.mpf(10) ** -30  # where a quotient of vanishing terms is replaced by its limit


def lgamma_rest(u):
    return mp.loggamma(2 + u) / u if abs(u) > SMALL else mp.psi(0, 2)


def lgamma_stirling(w):
    if w == 0:
        return mp.mpf(1) / 12
    x = 1 / mp.sqrt(w)
    return (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - HALF_LOG_2PI) * x


def psi_rest(u):
    z = u + mp.mpf(1.5)
    return mp.psi(0, z) / (z - PSI_ROOT) if abs(z - PSI_ROOT) > SMALL else mp.psi(1, PSI_ROOT)


def psi_stirling(w):
    if w == 0:
        return mp.mpf(1) / 12
    x = 1 / mp.sqrt(w)
    return (mp.log(x) - 1 / (2 * x) - mp.psi(0, x)) / w


def bessel_near(order):
    """I₀ and 2·I₁/x as functions of x²/4."""
    return limit(lambda t: mp.besseli(order, 2 * mp.sqrt(t)) / mp.sqrt(t) ** order, 1)


def bessel_far(order):
    """√x·exp(-x)·I(x) as a function of 1/x."""

    def function(w):
        if w < mp.mpf(1) / 60:  # asymptotic series, A&S 9.7.1
            term, total = mp.mpf(1), mp.mpf(1)
            for k in range(1, 40):
                term *= -(4 * order**2 - (2 * k - 1) ** 2) * w / (8 * k)
                total += term
            return total / mp.sqrt(2 * mp.pi)
        return mp.besseli(order, 1 / w) * mp.exp(-1 / w) / mp.sqrt(w)

    return function


def normal_tail_start(s):
    """t - z with Φ(-z) = exp(-t²/2), as a function of s = 1/(t + 3)."""
    t = 1 / s - 3
    q = mp.exp(-t * t / 2)
    z = t - (2.515517 + 0.802853 * t + 0.010328 * t**2) / (1 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3)
    for _ in range(6):  # Abramowitz & Stegun 26.2.23, then Halley's iteration
        u = (mp.erfc(z / mp.sqrt(2)) / 2 - q) / (mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi))
        z += u / (1 - u * z / 2)
    return t - z


FITS = {
    # exp r = 1 + r + r²P(r)
    "EXP": both(exp_rest, (-LN2 / 2, LN2 / 2), lambda r: r**2 / mp.exp(r), 4, 9),
    # expm1 r = r + r²P(r)
    "EXPM1": both(exp_rest, (-LN2 / 2, LN2 / 2), limit(lambda r: r**2 / mp.expm1(r), 0), 5, 10),
    # sinh x = x + x³P(x²), |x| < 1
    "SINH": both(
        limit(lambda t: (mp.sinh(mp.sqrt(t)) / mp.sqrt(t) - 1) / t, mp.mpf(1) / 6),
        (0, 1),
        limit(lambda t: t ** mp.mpf(1.5) / mp.sinh(mp.sqrt(t)), 0),
        3,
        6,
    ),
    # log(1+f) = f - f²/2 + f³P(f) in float32
    "LOG_SERIES": {
        "float32": Fit(
            limit(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, mp.mpf(1) / 3),
            (1 / ROOT2 - 1, ROOT2 - 1),
            8,
            limit(lambda f: f**3 / mp.log1p(f), 0),
        )
    },
    # log(1+f) = 2s + s·s²P(s²), s = f/(2+f) in float64
    "LOG_ATANH": {
        "float64": Fit(atanh_rest, (0, ((ROOT2 - 1) / (ROOT2 + 1)) ** 2), 6, limit(lambda z: z, 0)),
    },
    # log(1+e) = e + e²P(e), 0 ≤ e ≤ 1, in float32; 2s + s·s²P(s²) in float64
    "LOG1P_UNIT": {
        "float32": Fit(
            limit(lambda e: (mp.log1p(e) - e) / e**2, -0.5), (0, 1), 8, limit(lambda e: e**2 / mp.log1p(e), 0)
        ),
        "float64": Fit(atanh_rest, (0, mp.mpf(1) / 9), 9, limit(lambda z: z, 0)),
    },
    # erf x = x + x·P(x²)
    "ERF_NEAR": {
        "float32": Fit(erf_rest, (0, 1), 6, lambda z: 1 / (1 + erf_rest(z))),
        "float64": Fit(erf_rest, (0, 0.75**2), 10, lambda z: 1 / (1 + erf_rest(z))),
    },
    # erfcx x = P(t)/(x + a), t = (x - a)/(x + a)
    "ERFCX": {"float32": erfcx_fit(2, 0.75, 9), "float64": erfcx_fit(3, 0.59, 22)},
    # erfc x = 2^(x·P(x)), 1 < x < 4
    "ERF_TAIL": {
        "float32": Fit(lambda x: mp.log(mp.erfc(x), 2) / x, (1, 4), 5, lambda x: mp.erfc(x) * LN2 * x / mp.erf(x)),
    },
    # 2^r = 1 + r·P(r)
    "EXP2": both(exp2_rest, (-0.5, 0.5), lambda r: r / mp.mpf(2) ** r, 5, 11),
    # sin r = r + r³P(r²), cos r = 1 - r²/2 + r⁴P(r²), |r| ≤ π/4
    "SIN": both(sin_rest, (0, RIGHT), limit(lambda z: z ** mp.mpf(1.5) / mp.sin(mp.sqrt(z)), 0), 2, 5),
    "COS": both(cos_rest, (0, RIGHT), lambda z: z**2 / mp.cos(mp.sqrt(z)), 2, 5),
    # arctan x = x + x³P(x²), |x| ≤ tan π/8; arcsin x = x + x³P(x²), |x| ≤ ½
    "ARCTAN": both(atan_rest, (0, (ROOT2 - 1) ** 2), limit(lambda z: z ** mp.mpf(1.5) / mp.atan(mp.sqrt(z)), 0), 4, 10),
    "ARCSIN": both(asin_rest, (0, 0.25), limit(lambda z: z ** mp.mpf(1.5) / mp.asin(mp.sqrt(z)), 0), 4, 11),
    # log(1+f) = 2s + s·(2/3·z + z²P(z)), z = s², s = f/(2+f): the part of a logarithm in two parts that needs one
    "LOG_ATANH_REST": {
        "float64": Fit(
            limit(lambda z: ((2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z - mp.mpf(2) / 3) / z, mp.mpf(2) / 5),
            (0, ((ROOT2 - 1) / (ROOT2 + 1)) ** 2),
            7,
            lambda z: z**2 * 2**10,
        ),
    },
    # a first approximation of m^(1/3)
    "CBRT_START": {
        "float32": Fit(mp.cbrt, (ROOT2 / 4, 2 * ROOT2), 4, lambda m: 1 / mp.cbrt(m), bound=2e-3),
        "float64": Fit(mp.cbrt, (ROOT2 / 4, 2 * ROOT2), 4, lambda m: 1 / mp.cbrt(m), bound=2e-3),
    },
    # log Γ(2+u) = u·P(u); log Γ(x) = (x-½)·log x - x + ½log 2π + P(1/x²)/x, x ≥ 5
    "LGAMMA_NEAR": {"float64": Fit(lgamma_rest, (-0.5, 0.5), 17, lambda u: 1 / abs(lgamma_rest(u)))},
    "LGAMMA_STIRLING": {"float64": Fit(lgamma_stirling, (0, 0.04), 7, lambda w: mp.sqrt(w))},
    # ψ(3/2+u) = (3/2 + u - root)·P(u); ψ(x) = log x - 1/2x - P(1/x²)/x², x ≥ 5
    "PSI_NEAR": {"float64": Fit(psi_rest, (-0.5, 0.5), 21, lambda u: 1 / psi_rest(u))},
    "PSI_STIRLING": {"float64": Fit(psi_stirling, (0, 0.04), 7, lambda w: w)},
    # Γ(5/2+u)
    "GAMMA_NEAR": {
        "float64": Fit(lambda u: mp.gamma(2.5 + u), (-0.5, 0.5), 16, lambda u: 1 / mp.gamma(2.5 + u)),
    },
    # erfinv x = x·P(x²), |x| ≤ 0.6
    "ERFINV": {
        "float64": Fit(
            limit(lambda t: mp.erfinv(mp.sqrt(t)) / mp.sqrt(t), mp.sqrt(mp.pi) / 2), (0, 0.36), 16, lambda t: mp.mpf(1)
        ),
    },
    # a first approximation of the normal quantile z: t - P(1/(t+3)), t = √(-2 log Φ(-z)), Φ(-z) from 2^-1074 to 0.2
    "NORMAL_TAIL": {
        "float64": Fit(
            normal_tail_start,
            (1 / (mp.sqrt(2 * 1075 * LN2) + 3), 1 / (mp.sqrt(2 * mp.log(5)) + 3)),
            9,
            lambda s: mp.mpf(1),
            bound=2e-6,
        ),
    },
    # I₀(x) = P(x²/4), I₁(x) = x/2·P(x²/4) up to 12; I(x) = exp(x)/√x·P(1/x) beyond
    **{
        f"I{order}_{place}": {"float64": Fit(function(order), interval, degree, weight(function(order)))}
        for order in (0, 1)
        for place, function, interval, degree, weight in (
            ("NEAR", bessel_near, (0, 36), 20, lambda f: lambda t: 1 / f(t)),
            ("FAR", bessel_far, (0, mp.mpf(1) / 12), 16, lambda f: lambda w: mp.mpf(2.5)),
        )
    },
}


def module_text() -> str:
    lines = [
        '"""Polynomial coefficients, in ascending order. Derived, and checked, by ``tests/native/math/fits.py``."""',
        "",
    ]
    for name, by_format in FITS.items():
        lines.append(f"{name}: dict[str, tuple[float, ...]] = {{")
        for format_name, fit in by_format.items():
            coefficients, error = remez(fit)
            ulp = 2.0 ** (24 if format_name == "float32" else 53)
            lines.append(f'    "{format_name}": (  # degree {fit.degree}, largest error {float(error * ulp):.2g} ulp')
            lines += [f"        {text(c, format_name)}," for c in rounded(fit, coefficients, format_name)]
            lines.append("    ),")
        lines += ["}", ""]
        print(name, file=sys.stderr)
    return "\n".join(lines)


if __name__ == "__main__":
    print(module_text(), end="")
