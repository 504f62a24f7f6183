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

from chainrule.native.math import VECTOR_MATH
from chainrule.native.math.loop import VectorLoops

mp.mp.dps = 40
_INF = mp.inf


def _clip(x, low, high):
    return min(max(x, mp.mpf(low)), mp.mpf(high))


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


# name -> the function on mpmath numbers (never NaN)
EXACT = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "tanh": lambda x: mp.tanh(_clip(x, -100, 100)),
    "expit": _sigmoid,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "log": _log,
    "log2": lambda x: _log(x) / mp.log(2),
    "log1p": _log1p,
    "softplus": _softplus,
    "log_expit": lambda x: -_softplus(-x),
    "logaddexp": _logaddexp,
    "sin": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.sin, x),
    "cos": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.cos, x),
    "tan": lambda x: mp.nan if mp.isinf(x) else _exact_angle(mp.tan, x),
    "arcsin": lambda x: mp.asin(x) if abs(x) <= 1 else mp.nan,
    "arccos": lambda x: mp.acos(x) if abs(x) <= 1 else mp.nan,
    "arctan": mp.atan,
    "arctan2": _arctan2,
    "erf": lambda x: mp.erf(_clip(x, -40, 40)),
    "erfc": lambda x: mp.erfc(_clip(x, -40, 40)),
    "ndtr": lambda x: mp.erfc(-_clip(x, -60, 60) / mp.sqrt(2)) / 2,
    "log_ndtr": _log_ndtr,
}


def exact64(name: str, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rounded, rest): the exact results are rounded + rest·spacing(rounded). Zeros have no sign here."""
    rounded, rest = np.empty(len(arrays[0])), np.zeros(len(arrays[0]))
    for i, arguments in enumerate(zip(*[a.tolist() for a in arrays], strict=True)):
        value = mp.nan if any(v != v for v in arguments) else EXACT[name](*map(mp.mpf, arguments))
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
    positive = [
        0,
        info.smallest_subnormal,
        info.tiny / 2,
        info.tiny,
        info.eps / 4,
        info.eps,
        0.5,
        1,
        1 + info.eps,
        1.5,
        2,
    ]
    positive += [2.5, 3, 7, 8, 100, 2.0**30, info.max / 2, info.max, np.inf]
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
    if name == "logaddexp":  # max + log1p(…) may cancel: the unit is that of the larger of max and result
        scale = np.maximum(np.abs(rounded), np.abs(np.maximum(*arrays)))
        finite = np.isfinite(errors) & np.isfinite(scale)
        ratio = np.divide(_spacing(rounded), _spacing(scale), out=np.ones_like(scale), where=finite)
        errors = np.where(finite, errors * ratio, errors)
    return errors


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
    high = 1 if name in {"arcsin", "arccos"} else 8
    arrays = [rng.uniform(0.1, high, n).astype(dtype) for _ in range(VECTOR_MATH[name].arity)]
    out = np.empty(n, dtype)
    loops = VectorLoops([name], dtype, 16 if dtype == "float32" else 8)
    native = nanoseconds(lambda: loops(name, *arrays, out=out), n)
    return native, nanoseconds(lambda: VECTOR_MATH[name].meaning(*arrays), n)


def measure_error(name: str, dtype: str, stride: int = 4099, count: int = 1000) -> tuple[float, tuple]:
    """Largest error found and where: float32 on every ``stride``-th argument, float64 on some 8·``count``."""
    loops = VectorLoops([name], dtype, 16 if dtype == "float32" else 8)
    if VECTOR_MATH[name].arity == 2:
        pairs = pairs64(count)
        with np.errstate(over="ignore", under="ignore"):
            return worst(loops, name, *[a.astype(dtype) for a in pairs])
    if dtype == "float64":
        return worst(loops, name, arguments64(count))
    return max((worst(loops, name, x) for x in patterns32(stride)), key=lambda found: found[0])


def report(names: list[str] | None = None, stride: int = 4099, count: int = 1000, file=None) -> None:
    """Print a table: per function and format the largest error measured and the time beside NumPy's or SciPy's."""
    print(f"{'':12}{'float32: ulp':>14}{'ns':>8}{'NumPy':>8}{'float64: ulp':>16}{'ns':>8}{'NumPy':>8}", file=file)
    for name in names or VECTOR_MATH:
        row = f"{name:12}"
        for dtype in ("float32", "float64"):
            error, _ = measure_error(name, dtype, stride, count)
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
