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


def erfcx_fit(pole: int, degree: int) -> Fit:
    """erfcx(x)·(x + pole) as a function of t = (x - pole)/(x + pole), x from 3/4 to ∞."""

    def function(t):
        if t == 1:
            return 1 / mp.sqrt(mp.pi)
        x = pole * (1 + t) / (1 - t)
        return erfcx(x) * (x + pole)

    return Fit(function, ((mp.mpf(0.75) - pole) / (mp.mpf(0.75) + pole), 1), degree, lambda t: 1 / function(t))


sin_rest = limit(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(-1) / 6)
cos_rest = limit(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24)
RIGHT = (mp.pi / 4) ** 2
atan_rest = limit(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(-1) / 3)
asin_rest = limit(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 6)

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
    "ERFCX": {"float32": erfcx_fit(2, 9), "float64": erfcx_fit(3, 21)},
    # erfc x = 2^(x·P(x)), 1 < x < 4
    "ERF_TAIL": {
        "float32": Fit(lambda x: mp.log(mp.erfc(x), 2) / x, (1, 4), 5, lambda x: mp.erfc(x) * LN2 * x / mp.erf(x)),
    },
    # 2^r = 1 + r·P(r)
    "EXP2": {"float32": Fit(exp2_rest, (-0.5, 0.5), 5, lambda r: r / mp.mpf(2) ** r)},
    # sin r = r + r³P(r²), cos r = 1 - r²/2 + r⁴P(r²), |r| ≤ π/4
    "SIN": both(sin_rest, (0, RIGHT), limit(lambda z: z ** mp.mpf(1.5) / mp.sin(mp.sqrt(z)), 0), 2, 5),
    "COS": both(cos_rest, (0, RIGHT), lambda z: z**2 / mp.cos(mp.sqrt(z)), 2, 5),
    # arctan x = x + x³P(x²), |x| ≤ tan π/8; arcsin x = x + x³P(x²), |x| ≤ ½
    "ARCTAN": both(atan_rest, (0, (ROOT2 - 1) ** 2), limit(lambda z: z ** mp.mpf(1.5) / mp.atan(mp.sqrt(z)), 0), 4, 10),
    "ARCSIN": both(asin_rest, (0, 0.25), limit(lambda z: z ** mp.mpf(1.5) / mp.asin(mp.sqrt(z)), 0), 4, 11),
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
