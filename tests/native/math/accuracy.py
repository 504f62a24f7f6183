"""How far the vector functions are from the exact results, in units in the last place, and how fast they are.

``python tests/native/math/accuracy.py`` prints the table (:func:`report`); with ``--stride 1`` the float32 column is
measured on all 2³² arguments.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import mpmath as mp
import numpy as np
from scipy import special

from chainrule.native.math import VECTOR_MATH
from chainrule.native.math.loop import VectorLoops

mp.mp.dps = 40
_INF = mp.inf


def _clip(x, low, high):
    return min(max(x, mp.mpf(low)), mp.mpf(high))


def _tanh_log1p(x):
    if x < -1:
        return mp.nan
    return mp.mpf(1) if mp.isinf(x) else (x * (x + 2)) / (x * (x + 2) + 2)


def _softplus(x):
    return max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def _logaddexp(x, y):
    return x + mp.log(2) if x == y else max(x, y) + mp.log1p(mp.exp(-abs(x - y)))


def _sigmoid(x):
    return mp.exp(min(x, mp.mpf(0))) / (1 + mp.exp(-abs(x)))


def _log(x):
    return mp.log(x) if x >= 0 else mp.nan


def _log1p(x):
    return mp.log1p(x) if x > -1 else -_INF if x == -1 else mp.nan


def _log_ndtr(x):
    if mp.isinf(x):
        return min(x, mp.mpf(0))
    if x > 0:
        return mp.log1p(-mp.erfc(min(x, mp.mpf(60)) / mp.sqrt(2)) / 2)
    if x < -1000:  # asymptotic series, DLMF 7.12.1
        return -x * x / 2 - mp.log(-x * mp.sqrt(2 * mp.pi)) + mp.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6)
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def _exact_angle(function, x):
    with mp.workprec(1300):
        return +function(x)


def _arctan2(y, x):
    if mp.isinf(x) and mp.isinf(y):
        return mp.sign(y) * (1 if x > 0 else 3) * mp.pi / 4
    return mp.atan2(y, x)


def _within(function, low, high):
    return lambda x: function(x) if low <= x <= high else mp.nan


def _power(x, y):
    if y == 0 or x == 1:
        return mp.mpf(1)
    size = abs(x)
    if mp.isinf(y):
        return mp.mpf(1) if size == 1 else _INF if (size > 1) == (y > 0) else mp.mpf(0)
    whole = mp.isint(y)
    sign = -1 if x < 0 and whole and int(y) % 2 else 1
    if size == 0 or mp.isinf(size):
        return sign * (_INF if mp.isinf(size) == (y > 0) else mp.mpf(0))
    return mp.nan if x < 0 and not whole else sign * mp.exp(y * mp.log(size))


def _xlog(log):
    return lambda x, y: mp.mpf(0) if x == 0 else x * log(y)


def _entr(x):
    return -_INF if x < 0 else mp.mpf(0) if x == 0 else -x * mp.log(x)


def _rel_entr(x, y):
    if x > 0 and y > 0:
        return mp.nan if mp.isinf(x) and mp.isinf(y) else x * (_log(x) - _log(y))
    return mp.mpf(0) if x == 0 and y >= 0 else _INF


def _erfcx(x):
    if x > 100:
        return (1 - 1 / (2 * x * x) + 3 / (4 * x**4) - 15 / (8 * x**6)) / (x * mp.sqrt(mp.pi))
    return mp.exp(x * x) * mp.erfc(x) if x > -40 else _INF


def _erfinv(x):
    if abs(x) >= 1:
        return mp.sign(x) * _INF if abs(x) == 1 else mp.nan
    with mp.workdps(60):
        return mp.erfinv(x)


def _ndtri(p):
    if not 0 < p < 1:
        return -_INF if p == 0 else _INF if p == 1 else mp.nan
    with mp.workdps(60):
        if abs(p - 0.5) <= 0.25:
            return mp.sqrt(2) * mp.erfinv(2 * p - 1)
        q = min(p, 1 - p)
        z = mp.mpf(float(special.ndtri(float(q)))) if q > 1e-300 else -mp.sqrt(-2 * mp.log(q)) + mp.mpf(0.1)
        for _ in range(8):  # Newton's iteration on the logarithm, which is nearly a parabola
            value = mp.erfc(-z / mp.sqrt(2)) / 2
            z -= (mp.log(value) - mp.log(q)) * value / (mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi))
        return z if p < 0.5 else -z


def _gammaln(x):
    if mp.isinf(x):
        return x
    return _INF if x <= 0 and mp.isint(x) else mp.re(mp.loggamma(x))


def _gamma(x):
    if x == 0:
        return _INF
    if (x < 0 and mp.isint(x)) or x == -_INF:
        return mp.nan
    return mp.gamma(x) if -400 < x < 400 else _INF if x > 0 else mp.mpf(0)


def _psi(x):
    if x == 0:
        return -_INF
    return mp.nan if (x < 0 and mp.isint(x)) or x == -_INF else x if mp.isinf(x) else mp.psi(0, x)


def _erfcinv(y):
    if not 0 < y < 2:
        return _INF if y == 0 else -_INF if y == 2 else mp.nan
    with mp.workdps(340):  # so that 1 - y and y/2 are exact
        return -_ndtri(y / 2) / mp.sqrt(2)


def _kl_div(x, y):
    if x > 0 and y > 0:
        return mp.nan if mp.isinf(x) or mp.isinf(y) else x * (mp.log(x) - mp.log(y)) - x + y
    return y if x == 0 and y >= 0 else _INF


def _betaln(a, b):
    if mp.isinf(a) or mp.isinf(b):
        return mp.mpf(float(special.betaln(float(a), float(b))))
    if any(v <= 0 and mp.isint(v) for v in (a, b)):
        return _INF
    with mp.workdps(60 + max(0, int(mp.log10(abs(a) + abs(b))), int(-mp.log10(min(abs(a), abs(b)))))):
        return _gammaln(a) + _gammaln(b) - _gammaln(a + b)


def _bessel(order, scaled):
    def function(x):
        size = abs(x)
        if size <= 2000:
            return mp.besseli(order, x) * (mp.exp(-size) if scaled else 1)
        if not scaled or mp.isinf(x):
            return mp.sign(x) ** order * (mp.mpf(0) if scaled else _INF)
        term, total = mp.mpf(1), mp.mpf(1)
        for k in range(1, 15):  # asymptotic series, A&S 9.7.1
            term *= -(4 * order**2 - (2 * k - 1) ** 2) / (8 * k * size)
            total += term
        return mp.sign(x) ** order * total / mp.sqrt(2 * mp.pi * size)

    return function


# name -> the function on mpmath numbers (never NaN)
EXACT = {
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "expit": _sigmoid,
    "tanh": lambda x: mp.tanh(_clip(x, -100, 100)),
    "tanh_log1p": _tanh_log1p,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "arcsinh": lambda x: mp.sign(x) * mp.asinh(abs(x)),
    "arccosh": _within(mp.acosh, 1, _INF),
    "arctanh": _within(mp.atanh, -1, 1),
    "log": _log,
    "log2": lambda x: _log(x) / mp.log(2),
    "log10": lambda x: _log(x) / mp.log(10),
    "log1p": _log1p,
    "softplus": _softplus,
    "log_expit": lambda x: -_softplus(-x),
    "logaddexp": _logaddexp,
    "logaddexp2": lambda x, y: _logaddexp(x * mp.log(2), y * mp.log(2)) / mp.log(2),
    "logit": _within(lambda p: _log(p) - _log1p(-p), 0, 1),
    "xlogy": _xlog(_log),
    "xlog1py": _xlog(_log1p),
    "entr": _entr,
    "rel_entr": _rel_entr,
    "power": _power,
    "sqrt": _within(mp.sqrt, 0, _INF),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "hypot": lambda x, y: mp.sqrt(x * x + y * y),
    "sin": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.sin, x),
    "cos": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.cos, x),
    "tan": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.tan, x),
    "arcsin": _within(mp.asin, -1, 1),
    "arccos": _within(mp.acos, -1, 1),
    "arctan": mp.atan,
    "arctan2": _arctan2,
    "erf": lambda x: mp.erf(_clip(x, -40, 40)),
    "erfc": lambda x: mp.erfc(_clip(x, -40, 40)),
    "erfcx": _erfcx,
    "erfinv": _erfinv,
    "ndtr": lambda x: mp.erfc(-_clip(x, -60, 60) / mp.sqrt(2)) / 2,
    "log_ndtr": _log_ndtr,
    "ndtri": _ndtri,
    "erfcinv": _erfcinv,
    "kl_div": _kl_div,
    "betaln": _betaln,
    "i0": _bessel(0, False),
    "i0e": _bessel(0, True),
    "i1": _bessel(1, False),
    "i1e": _bessel(1, True),
    "gammaln": _gammaln,
    "gamma": _gamma,
    "psi": _psi,
}


def exact64(name: str, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rounded, rest): the exact results are rounded + rest·spacing(rounded). Zeros have no sign here."""
    rounded, rest = np.empty(len(arrays[0])), np.zeros(len(arrays[0]))
    for i, arguments in enumerate(zip(*[a.tolist() for a in arrays], strict=True)):
        if any(v != v for v in arguments):  # NaN ** 0 and hypot(NaN, ∞) are numbers
            with np.errstate(all="ignore"):
                rounded[i] = VECTOR_MATH[name].meaning(*arguments)
            continue
        value = EXACT[name](*map(mp.mpf, arguments))
        rounded[i] = float(value)
        if np.isfinite(rounded[i]):
            rest[i] = float((value - mp.mpf(rounded[i])) / mp.mpf(_spacing(rounded[i])))
    return rounded, rest


def exact32(name: str, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`exact64` for float32 arguments, from NumPy's and SciPy's float64 functions."""
    with np.errstate(all="ignore"):
        values = VECTOR_MATH[name].meaning(*[a.astype(np.float64) for a in arrays])
        rounded = values.astype(np.float32)
        rest = np.where(np.isfinite(rounded), (values - rounded) / _spacing(rounded), 0.0)
    return rounded, rest


def _spacing(x):
    x = np.abs(x)
    return np.spacing(
        np.minimum(x, 2.0 ** (np.finfo(x.dtype).maxexp - 1))
    )  # NumPy's own overflows at the largest numbers


def ulps(got: np.ndarray, rounded: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Errors in units in the last place of the exact result; infinite where one is NaN or ∞ and the other is not."""
    with np.errstate(all="ignore"):
        error = np.abs((got.astype(np.float64) - rounded) / _spacing(rounded) - rest)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(np.isfinite(got) & np.isfinite(rounded), error, np.where(same, 0.0, np.inf))


def specials(dtype: str) -> np.ndarray:
    """Zeros, infinities, NaN, the ends of the subnormal and normal ranges, small integers and halves."""
    info = np.finfo(dtype)
    positive = [0, info.smallest_subnormal, info.tiny / 2, info.tiny, info.eps / 4, info.eps, 1 + info.eps, info.max]
    positive += [0.5, 1, 1.5, 2, 2.5, 3, 7, 8, 100, 2.0**30, 1 / info.eps - 0.5, 2 / info.eps - 1, info.max / 2, np.inf]
    return np.array([*positive, *[-v for v in positive], np.nan], dtype)


def arguments64(count: int, seed: int = 0) -> np.ndarray:
    """About 8·count float64 numbers: specials, the ranges where the functions change, all magnitudes, all patterns."""
    rng = np.random.default_rng(seed)
    magnitudes = rng.standard_normal(count) * 10.0 ** rng.uniform(-20, 5, count)
    near_one = 1 + rng.standard_normal(count) * 10.0 ** rng.uniform(-16, -1, count)
    patterns = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    ranges = [rng.uniform(-r, r, count) for r in (1, 3, 10, 50, 760)]
    return np.concatenate([specials("float64"), *ranges, magnitudes, near_one, -near_one, patterns])


def pairs64(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of arguments: all pairs of specials, and random ones of like and unlike magnitude."""
    rng = np.random.default_rng(seed)
    x, y = (v.ravel() for v in np.meshgrid(specials("float64"), specials("float64")))
    a = arguments64(count, seed)
    b = rng.permutation(a)
    with np.errstate(over="ignore"):
        near = a * (1 + rng.uniform(-0.5, 0.5, len(a)))
    return np.concatenate([x, a, a]), np.concatenate([y, b, near])


def patterns32(stride: int) -> Iterator[np.ndarray]:
    """Every ``stride``-th of all float32 numbers, in pieces of about a million."""
    piece = (1 << 20) * stride
    for start in range(0, 1 << 32, piece):
        yield np.arange(start, min(start + piece, 1 << 32), stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def padded(array: np.ndarray, width: int) -> np.ndarray:
    return np.resize(array, -(-len(array) // width) * width)


def worst(loops: VectorLoops, name: str, *arrays: np.ndarray) -> tuple[float, tuple]:
    """The largest error in ulps, and the arguments that have it."""
    arrays = tuple(padded(a, loops.width) for a in arrays)
    exact = exact32 if loops.dtype == np.float32 else exact64
    errors = error_of(name, loops(name, *arrays), *arrays, exact=exact)
    i = int(np.argmax(errors))
    return float(errors[i]), tuple(a[i] for a in arrays)


def error_of(name: str, got: np.ndarray, *arrays: np.ndarray, exact) -> np.ndarray:
    rounded, rest = exact(name, *arrays)
    errors = ulps(got, rounded, rest)
    scale = _scale(name, rounded, *arrays)
    finite = np.isfinite(errors) & np.isfinite(scale)
    ratio = np.divide(_spacing(rounded), _spacing(scale), out=np.ones_like(scale), where=finite)
    return np.where(finite, errors * ratio, errors)


def _scale(name: str, rounded: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """The number whose last place is the unit: the result, or a larger term where a sum of two may cancel."""
    size = np.abs(rounded)
    if name in {"logaddexp", "logaddexp2"}:  # max(x, y) + a logarithm
        return np.maximum(size, np.abs(np.maximum(*arrays)))
    if name == "kl_div":
        return np.maximum(size, np.maximum(np.abs(arrays[0]), np.abs(arrays[1])))
    if name == "betaln":
        with np.errstate(all="ignore"):
            terms = [np.abs(special.gammaln(v)) for v in (*arrays, arrays[0] + arrays[1])]
        terms = [np.where(np.isfinite(t), t, 0) for t in terms]
        return np.maximum(1, np.maximum(np.maximum(terms[0], terms[1]), terms[2]))
    if name in {"gammaln", "psi"}:  # negative arguments are reflected: f(1 - x) and a term for sin πx
        with np.errstate(all="ignore"):
            mirrored = np.maximum(1, np.abs(VECTOR_MATH[name].meaning(1 - arrays[0])))
        return np.where(arrays[0] < 0, np.maximum(size, mirrored), size)
    return size


# where functions that are not defined everywhere are timed
_SPEED_RANGES = dict.fromkeys(["arcsin", "arccos", "arctanh", "logit", "erfinv", "ndtri"], (0.1, 0.9))
_SPEED_RANGES["arccosh"] = (1.0, 8.0)


def nanoseconds(function, n: int) -> float:
    """Time per element, the best of several runs."""
    best = np.inf
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(8):
            function()
        best = min(best, (time.perf_counter() - start) / 8)
    return best / n * 1e9


def measure_speed(name: str, dtype: str, n: int = 1 << 15) -> tuple[float, float]:
    """Nanoseconds per element of the vector function at the host's width, and of NumPy or SciPy."""
    rng = np.random.default_rng(0)
    low, high = _SPEED_RANGES.get(name, (0.1, 8.0))
    arrays = [rng.uniform(low, high, n).astype(dtype) for _ in range(VECTOR_MATH[name].arity)]
    out = np.empty(n, dtype)
    loops = VectorLoops([name], dtype, 16 if dtype == "float32" else 8)
    native = nanoseconds(lambda: loops(name, *arrays, out=out), n)
    return native, nanoseconds(lambda: VECTOR_MATH[name].meaning(*arrays), n)


def measure_error(loops: VectorLoops, name: str, stride: int = 4099, count: int = 1000) -> tuple[float, tuple]:
    """Largest error found and where: float32 on every ``stride``-th argument, float64 on some 8·``count``."""
    if VECTOR_MATH[name].arity == 2:
        with np.errstate(over="ignore", under="ignore"):
            arrays = tuple(a.astype(loops.dtype) for a in pairs64(count))
        if name == "betaln":  # the terms overflow, and at some poles SciPy has finite values
            usual = np.logical_and.reduce([(a > 1e-30) & (a < 1e30) for a in arrays])
            arrays = tuple(a[usual] for a in arrays)
        return worst(loops, name, *arrays)
    if loops.dtype == np.float64:
        return worst(loops, name, arguments64(count))
    return max((worst(loops, name, x) for x in patterns32(stride)), key=lambda found: found[0])


def report(names: list[str] | None = None, stride: int = 4099, count: int = 1000, file=None) -> None:
    """Print a table: per function and format the largest error measured and the time beside NumPy's or SciPy's."""
    print(f"{'':12}{'float32: ulp':>14}{'ns':>8}{'NumPy':>8}{'float64: ulp':>16}{'ns':>8}{'NumPy':>8}", file=file)
    for name in names or VECTOR_MATH:
        row = f"{name:12}"
        for dtype in ("float32", "float64"):
            error, _ = measure_error(VectorLoops([name], dtype, 8), name, stride, count)
            native, numpy_ = measure_speed(name, dtype)
            row += f"{error:{14 if dtype == 'float32' else 16}.2f}{native:8.2f}{numpy_:8.2f}"
        print(row, file=file, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--stride", type=int, default=4099)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    report(options.names, options.stride, options.count)
